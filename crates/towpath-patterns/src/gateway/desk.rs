//! Where callers and workers meet: who is in hand, who waits, what is counted. One lock, under which nothing is awaited, woken,
//! called or dropped.
//!
//! What always holds:
//! - A call is let into hand only while fewer are than the limit says, which is never more than there are workers. So there is room for
//!   each in the channel to the workers. A limit that shrinks throws nobody out.
//! - Somebody waits in the line only while as many are in hand as the limit allows; whoever ends one in hand lets the next in, and more
//!   of them if the limit has grown.
//!
//! Why not a channel alone: a channel is first come, first served, and one cannot leave it. Workers that run dry wait at a channel all
//! the same; who ends a call while others wait takes the next without one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use towpath::{Canceller, Ctx, Sender, rt};

use super::{
    Adaptive, Options, Refused, Snapshot,
    call::Call,
    line::{Line, Place},
    snapshot::Counts,
    times::Times,
};

/// What goes to the workers.
pub(super) enum Hand<Req, Resp> {
    Work(Job<Req, Resp>),
    /// There will be nothing more; one for each worker.
    Go,
}

/// A call, and since when it is here.
pub(super) struct Job<Req, Resp> {
    pub(super) call: Call<Req, Resp>,
    pub(super) arrived: Instant,
}

/// How a call was let in.
pub(super) enum Admitted {
    InHand,
    Waits(Place),
}

/// What a worker has done.
pub(super) struct Done {
    pub(super) arrived: Instant,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// Whether it says something about what calls take: it was worked on, and nobody gave it up.
    pub(super) counts: bool,
}

pub(super) struct Desk<Req, Resp> {
    state: Mutex<State<Req, Resp>>,
    hand: Sender<Hand<Req, Resp>>,
    /// Ends what is in hand, when there is no more time.
    cut: Canceller,
    /// Ends when the last worker has.
    over: Canceller,
    pub(super) counts: Counts,
    timeout: Option<Duration>,
}

struct State<Req, Resp> {
    line: Line<Job<Req, Resp>>,
    in_hand: usize,
    limit: Limit,
    /// Whether calls are taken.
    open: bool,
    /// Whether the workers have been told to go.
    told: bool,
    workers: usize,
    /// What a call takes in hand, in seconds: a mean over about the last hundred. `None` before the first.
    work: Option<f64>,
    /// What calls took in hand, and from when they came.
    in_hand_times: Times,
    times: Times,
}

enum Limit {
    Fixed(usize),
    Adaptive(Adaptive),
}

impl Limit {
    fn get(&self) -> usize {
        match self {
            Self::Fixed(limit) => *limit,
            Self::Adaptive(limit) => limit.get(),
        }
    }
}

impl<Req, Resp> Desk<Req, Resp> {
    pub(super) fn new(options: Options, hand: Sender<Hand<Req, Resp>>) -> Self {
        let workers = options.workers;
        let state = State {
            line: Line::new(options.queue, options.patience),
            in_hand: 0,
            limit: match options.adaptive {
                None => Limit::Fixed(workers),
                Some(adaptive) => Limit::Adaptive(adaptive),
            },
            open: true,
            told: false,
            workers,
            work: None,
            in_hand_times: Times::new(),
            times: Times::new(),
        };
        Self {
            state: Mutex::new(state),
            hand,
            cut: Ctx::root().with_cancel().1,
            over: Ctx::root().with_cancel().1,
            counts: Counts::default(),
            timeout: options.timeout,
        }
    }

    /// Ends when there is no more time for what is in hand.
    pub(super) fn cut(&self) -> &Ctx {
        self.cut.ctx()
    }

    /// Ends when the last worker has.
    pub(super) fn over(&self) -> &Ctx {
        self.over.ctx()
    }

    /// Lets a call in, or refuses it.
    pub(super) fn admit(&self, call: Call<Req, Resp>) -> Result<Admitted, Refused> {
        let now = rt::now();
        let deadline = call.deadline();
        let job = Job { call, arrived: now };
        let mut state = self.lock();
        if !state.open {
            drop(state);
            Counts::one(&self.counts.refused_stopped);
            return Err(Self::turn_away(job, Refused::Stopped));
        }
        if state.in_hand < state.limit.get() {
            state.in_hand += 1;
            drop(state);
            Counts::one(&self.counts.accepted);
            self.send(Hand::Work(job));
            return Ok(Admitted::InHand);
        }
        let backlog = state.backlog();
        if deadline.is_some_and(|deadline| state.is_hopeless(now, deadline)) {
            drop(state);
            Counts::one(&self.counts.shed_hopeless);
            return Err(Self::turn_away(job, Refused::Overloaded { retry_after: backlog }));
        }
        let (work, mut shed) = (state.mean(), Vec::new());
        let pushed = state.line.push(now, work, job, &mut shed);
        drop(state);
        Self::refuse(shed, backlog);
        match pushed {
            Ok(place) => {
                Counts::one(&self.counts.accepted);
                Ok(Admitted::Waits(place))
            }
            Err(job) => {
                Counts::one(&self.counts.shed_full);
                Err(Self::turn_away(job, Refused::Overloaded { retry_after: backlog }))
            }
        }
    }

    /// A worker has ended one; the next for it, if there is one.
    pub(super) fn finished(&self, done: &Done) -> Option<Job<Req, Resp>> {
        let mut state = self.lock();
        state.record(done);
        state.in_hand -= 1;
        if state.line.is_empty() {
            let go = state.go();
            drop(state);
            self.tell(go);
            return None;
        }
        let (mut shed, backlog) = (Vec::new(), state.backlog());
        let mine = state.next(done.ended, &mut shed);
        let mut others = Vec::new();
        while let Some(job) = state.next(done.ended, &mut shed) {
            others.push(job);
        }
        let go = state.go();
        drop(state);
        Self::refuse(shed, backlog);
        for job in others {
            self.send(Hand::Work(job));
        }
        self.tell(go);
        mine
    }

    /// A caller gives up its place, if it still waits.
    pub(super) fn leave(&self, place: Place) {
        let mut state = self.lock();
        let job = state.line.leave(place);
        let go = state.go();
        drop(state);
        drop(job);
        self.tell(go);
    }

    /// Takes no more calls. What is here is still done.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.open = false;
        let go = state.go();
        drop(state);
        self.tell(go);
    }

    /// Stops, and cuts off what is here.
    pub(super) fn cut_off(&self) {
        let mut state = self.lock();
        state.open = false;
        let waiting = state.line.take_all();
        let go = state.go_now();
        drop(state);
        for job in waiting {
            job.call.refuse(Refused::Stopped);
        }
        self.cut.cancel("the gateway has no more time to stop");
        self.tell(go);
    }

    /// A worker has ended.
    pub(super) fn gone(&self) {
        let mut state = self.lock();
        state.workers -= 1;
        let last = state.workers == 0;
        if last {
            // What was cut off there.
            state.in_hand = 0;
        }
        drop(state);
        if last {
            self.cut_off();
            self.over.cancel("the last worker has ended");
        }
    }

    /// Why a call that was let in, with this context, has no answer.
    pub(super) fn unanswered(&self, ctx: &Ctx) -> Refused {
        // Cut off, or told to stop, it has not died by itself.
        if self.cut.ctx().is_done() {
            Refused::Stopped
        } else if ctx.is_done() {
            Refused::of(&ctx.cause())
        } else {
            Refused::Died
        }
    }

    /// Until when who has this context waits for a call.
    pub(super) fn call_ctx(&self, ctx: &Ctx) -> Ctx {
        match self.timeout {
            None => ctx.clone(),
            Some(timeout) => ctx.with_timeout(timeout),
        }
    }

    /// In which time what is here will have been done.
    pub(super) fn backlog(&self) -> Duration {
        self.lock().backlog()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.counts.snapshot();
        let state = self.lock();
        snapshot.waiting = state.line.len();
        snapshot.in_hand = state.in_hand;
        snapshot.limit = state.limit.get();
        snapshot.work_p50 = state.in_hand_times.rough(0.5);
        snapshot.work_p99 = state.in_hand_times.rough(0.99);
        snapshot.total_p50 = state.times.rough(0.5);
        snapshot.total_p99 = state.times.rough(0.99);
        snapshot.total_max = state.times.max();
        snapshot
    }

    fn turn_away(job: Job<Req, Resp>, why: Refused) -> Refused {
        job.call.turn_away(why);
        why
    }

    /// Tells those who have waited too long. Whoever waits counts it.
    fn refuse(shed: Vec<Job<Req, Resp>>, retry_after: Duration) {
        for job in shed {
            job.call.refuse(Refused::Overloaded { retry_after });
        }
    }

    /// There is room for as many as can be in hand, and for as many words to go as there are workers. When the workers are gone it is
    /// dropped, which its caller sees.
    fn send(&self, hand: Hand<Req, Resp>) {
        let sent = self.hand.try_send(hand);
        debug_assert!(
            !matches!(sent, Err(towpath::TrySendError::Full(_))),
            "there is room for all"
        );
    }

    fn tell(&self, workers: usize) {
        for _ in 0..workers {
            self.send(Hand::Go);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Req, Resp>> {
        // Nothing panics under it but what would be our own mistake.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Req, Resp> State<Req, Resp> {
    /// The next one to be worked on.
    fn next(&mut self, now: Instant, shed: &mut Vec<Job<Req, Resp>>) -> Option<Job<Req, Resp>> {
        if self.in_hand >= self.limit.get() {
            return None;
        }
        let job = self.line.pop(now, self.mean(), shed)?;
        self.in_hand += 1;
        Some(job)
    }

    /// So many workers are to be told, now, that there is nothing more. Not while a call is in hand: it may still be on its way, and must
    /// not be overtaken.
    fn go(&mut self) -> usize {
        if self.open || self.in_hand > 0 || !self.line.is_empty() { 0 } else { self.go_now() }
    }

    fn go_now(&mut self) -> usize {
        if std::mem::replace(&mut self.told, true) { 0 } else { self.workers }
    }

    fn record(&mut self, done: &Done) {
        /// The share that the last call has in the mean.
        const SHARE: f64 = 0.01;
        if !done.counts {
            return;
        }
        let took = done.ended.saturating_duration_since(done.began);
        let seconds = took.as_secs_f64();
        self.work = Some(self.work.map_or(seconds, |mean| mean + SHARE * (seconds - mean)));
        if let Limit::Adaptive(limit) = &mut self.limit {
            limit.sample(done.ended, took, self.in_hand);
        }
        self.in_hand_times.record(done.ended, took);
        self.times.record(done.ended, done.ended.saturating_duration_since(done.arrived));
    }

    /// What a call takes in hand.
    fn mean(&self) -> Duration {
        self.work.map_or(Duration::ZERO, seconds)
    }

    /// In which time so many calls are done, by Little's law.
    fn time_for(&self, calls: usize) -> Option<Duration> {
        self.work.map(|work| seconds(work * calls as f64 / self.limit.get() as f64))
    }

    /// In which time what is here will have been done.
    fn backlog(&self) -> Duration {
        /// Before the first call has ended nothing is known; this is what people try.
        const UNKNOWN: Duration = Duration::from_secs(1);
        self.time_for(self.line.len() + self.in_hand).unwrap_or(UNKNOWN)
    }

    /// Whether a call that takes its place at the end now will not have been done at its deadline, by what calls take on average. In a
    /// crowded line it would be next.
    ///
    /// Why: without this, a queue as long as callers are patient is all of calls that end just too late, and nobody is served.
    fn is_hopeless(&self, now: Instant, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(now);
        !self.line.is_crowded(now, self.mean())
            && self.time_for(self.line.len() + 1).is_some_and(|wait| wait + self.mean() > left)
    }
}

/// To a nanosecond, and at most five hundred years. `Duration::from_secs_f64` rounds exactly, for fifty instructions.
fn seconds(seconds: f64) -> Duration {
    Duration::from_nanos((seconds * 1e9) as u64)
}
