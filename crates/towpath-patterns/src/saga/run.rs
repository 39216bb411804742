//! The coordinator's process: one loop over everything that can happen to its sagas.
//!
//! ```text
//!   requests ─┐                             ┌─▶ calls ─▶ processes ─▶ answers ─┐
//!   answers ──┼─▶ decide ─▶ batch ─▶ journal ┼─▶ replies                        │
//!   timers ───┘      ▲                       └─▶ alerts                         │
//!                    └──────────────────────────────────────────────────────────┘
//! ```
//!
//! What always holds:
//! - Nothing leaves before what it follows from is durable: no call, no reply, no outcome, no alert.
//! - One batch is on its way to the disk while the next is filled; so each sync carries everything that happened during the
//!   one before.
//! - For each saga at most one call is under way that counts.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use towpath::{BoxError, Ctx, Receiver, Scope, Sender, TrySendError, at, rt, select, unbounded};

use super::call::{Answer, Answers, Call, Effect, Ticket};
use super::coordinator::{Defined, Definitions, ID_BYTES_MAX, Limits, PAYLOAD_BYTES_MAX};
use super::decide::{Event, Moment, Taken, ToCall, Verdict};
use super::error::Error;
use super::handle::{Accepted, Alert, Outcome, Reply, Request, What};
use super::keep::{Batch, Found, Written, remember};
use super::pace::Pace;
use super::plan::{Millis, millis};
use super::record::{How, Record};
use super::state::State;
use super::table::{Live, Table};

/// Notices and requests that are looked at before a batch goes to the journal, each.
///
/// As many as a disk's sync takes in a batch without being slower than for one record.
const ROUND: usize = 4096;

/// Longer than this nobody sleeps at a time: a timer may be years away.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// What comes from those who work for the coordinator.
pub(super) enum Notice {
    Answer(Answer),
    Written(Result<Written, Error>),
    /// The context that a saga was started under has ended.
    Cancelled {
        slot: u32,
        life: u32,
        reason: String,
    },
}

/// What waits for records to be durable.
enum After {
    Call {
        slot: u32,
        life: u32,
        to: ToCall,
    },
    Say(Box<dyn FnOnce() + Send>),
    Alert(Alert),
    /// A saga has ended, or is dead: who waits hears of it.
    Tell {
        slot: u32,
        life: u32,
    },
}

/// Time in milliseconds: the machine's time of day at the start, going on steadily.
struct Clock {
    start: Instant,
    wall: Millis,
}

impl Clock {
    fn new() -> Self {
        let wall = rt::wall().duration_since(UNIX_EPOCH).map_or(0, millis);
        Self { start: rt::now(), wall }
    }

    fn now(&self) -> Millis {
        self.wall.saturating_add(millis(rt::now().saturating_duration_since(self.start)))
    }

    fn instant(&self, time: Millis) -> Instant {
        let ahead = Duration::from_millis(time.saturating_sub(self.wall));
        let latest = rt::now() + SLEEP_MAX;
        self.start.checked_add(ahead).map_or(latest, |it| it.min(latest))
    }

    fn millis(&self, instant: Instant) -> Millis {
        self.wall.saturating_add(millis(instant.saturating_duration_since(self.start)))
    }
}

/// Everything that the loop has in hand.
pub(super) struct Run {
    definitions: Definitions,
    limits: Limits,
    table: Table,
    clock: Clock,
    /// One entry for each saga that waits for a time; those that are out of date are skipped.
    timers: BinaryHeap<Reverse<(Millis, u32, u32)>>,
    pace: Pace,
    /// Sagas that go on at the coordinator's pace.
    queue: VecDeque<(u32, u32, Wake)>,
    /// Suspects that wait for others to be out of the way.
    held: VecDeque<(u32, u32, Wake)>,
    suspects: usize,
    alone: bool,
    alerts: Option<Sender<Alert>>,
    to_tell: VecDeque<Alert>,
    batches: Sender<Batch>,
    batch: Batch,
    after: Vec<After>,
    /// What waits for the batch that is on its way.
    on_way: Option<Vec<After>>,
    spare: Option<Batch>,
    since_checkpoint: usize,
    next_checkpoint: usize,
    notices: Sender<Notice>,
    /// Ways to processes that take calls more slowly than they come.
    feeders: Vec<(Sender<Call>, Sender<Call>)>,
    scope: Option<Scope>,
    records: Vec<Record>,
}

/// What becomes of an event: [`State::take`] or [`State::hear`].
type Reaction = fn(&mut State, Event, Moment<'_>, &mut Vec<Record>) -> Taken;

/// Why a saga goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    Tick,
    Reopened,
    Resume,
}

impl Run {
    pub(super) fn new(
        definitions: Definitions,
        limits: Limits,
        alerts: Option<Sender<Alert>>,
        found: Found,
        batches: Sender<Batch>,
        notices: Sender<Notice>,
    ) -> Self {
        let clock = Clock::new();
        let pace = Pace::new(limits.resume_per_second, clock.now());
        let mut run = Self {
            table: Table::new(limits.finished),
            definitions,
            next_checkpoint: limits.checkpoint_bytes,
            limits,
            clock,
            timers: BinaryHeap::new(),
            pace,
            queue: VecDeque::new(),
            held: VecDeque::new(),
            suspects: 0,
            alone: false,
            alerts,
            to_tell: VecDeque::new(),
            batches,
            batch: Batch::default(),
            after: Vec::new(),
            on_way: None,
            spare: Some(Batch::default()),
            since_checkpoint: 0,
            notices,
            feeders: Vec::new(),
            scope: None,
            records: Vec::new(),
        };
        run.adopt(found);
        run
    }

    /// Takes over what the journal says.
    fn adopt(&mut self, found: Found) {
        self.table.pin = found.pin;
        for (id, outcome) in found.finished {
            self.table.remember(id, outcome);
        }
        for (id, (state, history)) in found.live {
            let versions = self.definitions.get(&state.plan);
            let defined = versions.and_then(|it| it.get(&state.version)).cloned();
            let defined = defined.filter(|it| it.shape == state.shape);
            let slot = self.table.insert(Live::new(id, defined, state, history));
            self.tell_held(slot);
            self.enqueue(slot, Wake::Reopened);
        }
    }

    /// Until the context ends, the journal fails, or nobody is left who could want anything.
    pub(super) async fn go(
        mut self,
        ctx: Ctx,
        scope: Scope,
        mut requests: Receiver<Request>,
        mut notices: Receiver<Notice>,
    ) -> Result<(), BoxError> {
        self.scope = Some(scope);
        let mut asked = true;
        loop {
            self.wake();
            self.flush().await?;
            self.tell();
            if !asked && self.is_idle() {
                return Ok(());
            }
            let alerts = if self.to_tell.is_empty() { None } else { self.alerts.clone() };
            select! {
                notice = notices.recv() => {
                    // Our own sender is there as long as we are.
                    if let Some(notice) = notice {
                        self.hear(notice)?;
                    }
                },
                request = requests.recv(), if asked => match request {
                    Some(request) => self.serve(request),
                    None => asked = false,
                },
                _ = at(self.next_time()) => {},
                place = alerts.as_ref().map(Sender::reserve) => match place {
                    Ok(place) => {
                        if let Some(alert) = self.to_tell.pop_front() {
                            place.send(alert);
                        }
                    }
                    Err(_) => self.alerts = None,
                },
                _ = ctx.done() => break,
            }
            for _ in 0..ROUND {
                let Ok(notice) = notices.try_recv() else { break };
                self.hear(notice)?;
            }
            for _ in 0..ROUND {
                let Ok(request) = requests.try_recv() else { break };
                self.serve(request);
            }
        }
        self.stop(&mut notices).await
    }

    /// In good order: what is under way is noted as stopped, so that it does not look like a death.
    async fn stop(mut self, notices: &mut Receiver<Notice>) -> Result<(), BoxError> {
        let slots: Vec<_> = self.table.slots().collect();
        for slot in slots {
            let Some(live) = self.table.get(slot).filter(|live| !live.queued) else { continue };
            if let Some(ToCall { step, undo, attempt }) = live.state.call() {
                let reason = "the coordinator was stopped".to_owned();
                let verdict = Verdict::Not(How::Stopped, reason);
                self.take(slot, Event::Answer { step, undo, attempt, verdict }, &[]);
            }
        }
        // Nothing is begun any more.
        self.after.retain(|after| !matches!(after, After::Call { .. }));
        loop {
            self.flush().await?;
            self.tell();
            if self.on_way.is_none() {
                return Ok(());
            }
            match notices.recv().await {
                Some(Notice::Written(written)) => {
                    if let Some(after) = &mut self.on_way {
                        after.retain(|after| !matches!(after, After::Call { .. }));
                    }
                    self.written(written?);
                }
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// Nobody asks any more, and no saga can go on by itself.
    fn is_idle(&self) -> bool {
        let stays =
            |slot| self.table.get(slot).is_none_or(|it| it.defined.is_none() || it.state.is_held());
        self.on_way.is_none() && self.batch.is_empty() && self.table.slots().all(stays)
    }

    fn next_time(&self) -> Instant {
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let pace = (!self.queue.is_empty()).then(|| self.pace.next());
        let next = timer.into_iter().chain(pace).min();
        self.clock.instant(next.unwrap_or(Millis::MAX))
    }

    // What happens.

    fn hear(&mut self, notice: Notice) -> Result<(), Error> {
        match notice {
            Notice::Answer(answer) => self.answered(answer),
            Notice::Written(written) => self.written(written?),
            Notice::Cancelled { slot, life, reason } => {
                if self.table.same(slot, life).is_some() {
                    self.tell_saga(slot, Event::Cancel(reason));
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, answer: Answer) {
        let Answer { ticket, mut verdict, mut effects } = answer;
        let Ticket { slot, life, of: ToCall { step, undo, attempt } } = ticket;
        if self.table.same(slot, life).is_none() {
            return;
        }
        if let Some(wrong) = effects.iter().find(|effect| Record::is_ours(effect.kind)) {
            let reason = format!("an effect has kind {:#06x}, which is a saga's own", wrong.kind);
            verdict = Verdict::Not(How::Refused, reason);
            effects.clear();
        }
        if let Verdict::Done(output) = &verdict {
            let effects_bytes: usize =
                effects.iter().map(|it| it.key.len() + it.payload.len()).sum();
            let bytes = output.len() + effects_bytes;
            if bytes > PAYLOAD_BYTES_MAX || effects.iter().any(|it| it.key.len() > ID_BYTES_MAX) {
                // It was done all the same, so it is in doubt, and what calls it again gets the same answer.
                let reason = format!("{bytes} bytes of output and effects are too many");
                verdict = Verdict::Not(How::Lost, reason);
                effects.clear();
            }
        }
        self.take(slot, Event::Answer { step, undo, attempt, verdict }, &effects);
    }

    fn written(&mut self, written: Written) {
        let Written { mut batch, first, unkept } = written;
        if batch.effects {
            self.table.pin.get_or_insert(first);
        }
        if let Some(error) = unkept {
            let reason = format!("the last checkpoint stays in use: {error}");
            self.to_tell.push_back(Alert { id: "".into(), what: What::NoCheckpoint, reason });
        }
        batch.clear();
        self.spare = Some(batch);
        if let Some(after) = self.on_way.take() {
            self.release(after);
        }
    }

    /// Those whose time has come, and those whose turn it is.
    fn wake(&mut self) {
        let now = self.clock.now();
        while let Some(Reverse((at, slot, life))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            match self.table.same(slot, life) {
                Some(live) if live.armed == at => live.armed = Millis::MAX,
                // Another entry has taken its place.
                _ => continue,
            }
            self.rung(slot, now);
        }
        while !self.queue.is_empty() && self.pace.pass(now) {
            if let Some((slot, life, wake)) = self.queue.pop_front() {
                self.rouse(slot, life, wake);
            }
        }
        if self.suspects == 0 && !self.alone {
            for _ in 0..self.held.len() {
                let Some((slot, life, wake)) = self.held.pop_front() else { break };
                self.rouse(slot, life, wake);
                if self.alone {
                    break;
                }
            }
        }
    }

    /// A timer of this saga has rung.
    fn rung(&mut self, slot: u32, now: Millis) {
        let Some(live) = self.table.get(slot) else { return };
        match live.state.call() {
            Some(ToCall { step, undo, attempt }) if live.patience <= now => {
                let verdict = Verdict::Not(How::TimedOut, "no answer in time".to_owned());
                self.take(slot, Event::Answer { step, undo, attempt, verdict }, &[]);
            }
            _ => self.rouse(slot, self.table.life(slot), Wake::Tick),
        }
    }

    /// Lets a saga go on, unless processes have died with its call and others must be out of the way first.
    ///
    /// When a process dies, everything that was under way is suspect. Whatever has one death left is called while no other
    /// suspect is: so it is the poison that dies once more, and not its neighbours.
    fn rouse(&mut self, slot: u32, life: u32, wake: Wake) {
        let (suspects, alone) = (self.suspects, self.alone);
        let Some(live) = self.table.same(slot, life) else { return };
        let Some(defined) = &live.defined else { return };
        let unanswered = wake == Wake::Reopened && live.state.call().is_some();
        let suspect = live.state.is_suspect() || unanswered;
        if suspect && wake != Wake::Resume && !live.state.is_held() {
            let last = live.state.is_last_chance(&defined.saga.plan);
            if alone || last && suspects > 0 {
                live.queued = true;
                self.held.push_back((slot, life, wake));
                return;
            }
        }
        live.queued = false;
        let event = match wake {
            Wake::Tick => Event::Tick,
            Wake::Reopened => Event::Reopened,
            Wake::Resume => Event::Resume,
        };
        self.take(slot, event, &[]);
    }

    fn enqueue(&mut self, slot: u32, wake: Wake) {
        let life = self.table.life(slot);
        if let Some(live) = self.table.get_mut(slot) {
            live.queued = true;
            self.queue.push_back((slot, life, wake));
        }
    }

    // What follows.

    /// Hands an event to a saga, and its records to the batch.
    fn take(&mut self, slot: u32, event: Event, effects: &[Effect]) -> Taken {
        self.take_by(State::take, slot, event, effects)
    }

    /// Tells a saga something from outside. It hears of it at once; what follows passes the same gate as after a timer: who stands in a line
    /// keeps its place there, and a suspect waits until others are out of the way.
    fn tell_saga(&mut self, slot: u32, event: Event) -> Taken {
        let taken = self.take_by(State::hear, slot, event, &[]);
        // Whoever is called goes on when that is answered.
        let goes_on = |live: &Live| !live.queued && live.state.call().is_none();
        if taken == Taken::Noted && self.table.get(slot).is_some_and(goes_on) {
            self.rouse(slot, self.table.life(slot), Wake::Tick);
        }
        taken
    }

    fn take_by(&mut self, how: Reaction, slot: u32, event: Event, effects: &[Effect]) -> Taken {
        let now = self.clock.now();
        let life = self.table.life(slot);
        let Some(live) = self.table.get_mut(slot) else { return Taken::Ignored };
        let Some(defined) = live.defined.clone() else { return Taken::Ignored };
        let moment = Moment { plan: &defined.saga.plan, now, chance: rt::random() };
        let mut records = mem::take(&mut self.records);
        let was_held = live.state.is_held();
        let taken = how(&mut live.state, event, moment, &mut records);
        if live.state.call().is_none() {
            live.patience = Millis::MAX;
        }
        if !records.is_empty() {
            let done = records
                .iter()
                .any(|it| matches!(it, Record::StepDone { .. } | Record::CompDone { .. }));
            self.batch.push(&live.id, &records, if done { effects } else { &[] });
            let rows = records.len() + if done { effects.len() } else { 0 };
            for (kind, payload) in self.batch.payloads(rows).take(records.len()) {
                remember(&mut live.history, kind, payload);
            }
            let intent =
                |it: &Record| matches!(it, Record::StepIntent { .. } | Record::CompIntent { .. });
            if records.iter().any(intent) {
                live.patience = Millis::MAX;
                if let Some(to) = live.state.call() {
                    self.after.push(After::Call { slot, life, to });
                }
            }
            let (is_held, over) = (live.state.is_held(), live.state.is_over());
            if over || live.state.dead().is_some() {
                self.after.push(After::Tell { slot, life });
            }
            if is_held && !was_held {
                self.tell_held(slot);
            }
        }
        records.clear();
        self.records = records;
        self.count(slot);
        self.arm(slot, &defined);
        taken
    }

    /// Alerts of a saga that is held, once that is durable.
    fn tell_held(&mut self, slot: u32) {
        let Some(live) = self.table.get(slot) else { return };
        let state = &live.state;
        let (what, reason) = match (state.dead(), state.paused()) {
            _ if live.defined.is_none() => {
                let (name, version) = (&state.plan, state.version);
                (
                    What::Orphaned,
                    format!(
                        "version {version} of `{name}` is not registered as it was: register it"
                    ),
                )
            }
            (Some(reason), _) => (What::DeadLettered, reason.to_owned()),
            (None, Some((why, reason))) => (What::from(why), reason.to_owned()),
            (None, None) => return,
        };
        self.after.push(After::Alert(Alert { id: Arc::clone(&live.id), what, reason }));
    }

    /// Keeps the books of suspects whose calls are under way.
    fn count(&mut self, slot: u32) {
        let Some(live) = self.table.get_mut(slot) else { return };
        let suspect = live.state.call().is_some() && live.state.is_suspect() && !live.queued;
        let alone = suspect
            && live.defined.as_ref().is_some_and(|it| live.state.deaths + 1 >= it.saga.plan.deaths);
        if suspect != live.suspect {
            self.suspects = if suspect { self.suspects + 1 } else { self.suspects - 1 };
        }
        if alone != live.alone {
            self.alone = alone;
        }
        (live.suspect, live.alone) = (suspect, alone);
    }

    /// Sets its timer, if it has an earlier reason to be looked at than before.
    fn arm(&mut self, slot: u32, defined: &Defined) {
        let life = self.table.life(slot);
        let Some(live) = self.table.get_mut(slot) else { return };
        if live.queued {
            return;
        }
        let due = live.state.due(&defined.saga.plan).into_iter().chain([live.patience]).min();
        if let Some(due) = due
            && due < live.armed
        {
            live.armed = due;
            self.timers.push(Reverse((due, slot, life)));
        }
    }

    /// Sends the batch to the journal, if the one before has arrived there.
    async fn flush(&mut self) -> Result<(), Error> {
        if self.on_way.is_some() {
            return Ok(());
        }
        self.since_checkpoint += self.batch.len();
        // The first effects of all have no number yet that could be pinned.
        let pinned = self.table.pin.is_some() || !self.batch.effects;
        if self.since_checkpoint >= self.next_checkpoint && pinned {
            self.checkpoint();
        }
        if self.batch.is_empty() {
            let after = mem::take(&mut self.after);
            self.release(after);
            return Ok(());
        }
        let next = self.spare.take().unwrap_or_default();
        let batch = mem::replace(&mut self.batch, next);
        self.on_way = Some(mem::take(&mut self.after));
        // It has room: the thread takes one before it tells of the last.
        self.batches.send(batch).await.map_err(|_| Error::Gone)
    }

    /// Puts a checkpoint behind the records of the batch. The next comes when at least four times as many bytes of
    /// records have been written, so that checkpoints are at most a fifth of what is written.
    fn checkpoint(&mut self) {
        let state = self.table.checkpoint();
        self.next_checkpoint = self.limits.checkpoint_bytes.max(4 * state.len());
        self.since_checkpoint = 0;
        self.batch.pin = self.table.pin;
        self.batch.checkpoint = Some(state);
    }
}

mod outgoing;
mod requests;
