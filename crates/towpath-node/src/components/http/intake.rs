//! Taking messages in: the desk where callers hand them in, and the loops behind it. No sockets here.
//!
//! ```text
//!   callers ── Desk::hand_in ──▶ desk ──▶ take_in ── journal ──▶ answer ──▶ out ──▶ …
//!                                            ▲ shared: what is pending, what was seen
//!                             journal ◀── take_done ◀───────────────────── done ◀── …
//! ```
//!
//! What always holds:
//! - With a journal, who was answered that his message is taken finds it in the journal, and it is sent to `out` until its key has come
//!   in on `done`: again after every restart, so those who receive it may have it more than once, under the same key.
//! - Without one, who was answered so finds it in the channel behind `out`.
//! - Who was told that there is no room has left nothing behind: a message is either claimed by the loop or by its caller's leaving.
//! - `take_done` waits for nobody but the journal, so that `out` and `done` in a circle do not wait for each other.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use serde_json::Value;
use towpath::{BoxError, Headers, Receiver, Sender, Traced, after, at, bounded, rt, select};
use towpath_journal::{Lsn, Writer};
use towpath_patterns::log::{Append, Log};

use super::{
    body::{Keyed, as_key},
    pending::{self, ACCEPTED, Pending, Seen},
};
use crate::{
    expr::Expr,
    ports::{Input, Message, Outputs},
};

/// Callers at the desk. They wait there, not in tasks of their own; at 10,000 a second this is a tenth of one.
pub(crate) const DESK_CAPACITY: usize = 1024;

/// Callers whose messages share a commit: as many as arrive while the one before is on its way to the disk, or thereabouts.
const BATCH_MAX: usize = 256;

/// An answer is given once and never waits.
const ANSWER_CAPACITY: usize = 1;

/// Records after which the journal is told what it does not need any more.
const CHECKPOINT_RECORDS: u64 = 10_000;

/// The journal may be so many times as long as what is needed of it, before what is old and needed is written again at its end.
const SPAN_FACTOR: u64 = 4;

/// Records that are written again at a time: callers wait meanwhile.
const MOVED_MAX: usize = 1000;

/// Messages of a caller, with the way back to him.
pub(crate) struct Ask {
    messages: Vec<Keyed>,
    headers: Headers,
    /// When it came to the desk.
    came: Instant,
    claim: Arc<Claim>,
    answer: Sender<Answer>,
}

impl Ask {
    /// Makes it ours, unless its caller has left.
    fn claimed(self, store: &Store) -> Option<Taken> {
        let Self { messages, headers, came, claim, answer } = self;
        let now = claim.become_(Claim::TAKEN).then(rt::now)?;
        let is_new = messages.iter().map(|it| store.admit(&it.key, now)).collect();
        Some(Taken { messages, is_new, headers, came, answer })
    }
}

/// For each message whether it is new; the others were taken before.
type Answer = Result<Vec<bool>, String>;

/// Whose an ask is: the loop's, or its caller's, who leaves.
#[derive(Default)]
struct Claim(AtomicU8);

impl Claim {
    const OPEN: u8 = 0;
    const TAKEN: u8 = 1;
    const LEFT: u8 = 2;

    fn become_(&self, state: u8) -> bool {
        // The message itself goes through a channel; this orders nothing else.
        self.0.compare_exchange(Self::OPEN, state, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Why messages were not taken, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// There was no room for as long as the caller waits; they were not taken.
    Full,
    /// It is not known yet whether they were.
    Late,
    /// They may have been.
    Failed(String),
    /// Nobody takes anything now. They may have been taken.
    Closed,
}

/// What became of all that was handed in.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) wrong: AtomicU64,
    pub(crate) done: AtomicU64,
    pub(crate) again: AtomicU64,
    /// Callers who were not told in time.
    pub(crate) late: AtomicU64,
    /// Callers at the desk now.
    pub(crate) waiting: AtomicU64,
}

impl Counts {
    pub(crate) fn add(to: &AtomicU64, count: usize) {
        to.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Where callers hand messages in.
#[derive(Clone)]
pub(crate) struct Desk {
    asks: Sender<Ask>,
    counts: Arc<Counts>,
}

impl Desk {
    pub(crate) fn new(counts: Arc<Counts>) -> (Self, Receiver<Ask>) {
        let (asks, rx) = bounded(DESK_CAPACITY);
        (Self { asks: asks.named("desk"), counts }, rx)
    }

    /// What became of all that was handed in.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Hands messages in. `room` is how long it waits for room, `until` when an answer is of no use any more.
    ///
    /// # Errors
    /// [`NotTaken`].
    ///
    /// # Cancel safety
    /// Dropped before completion, the messages are taken, or not, as a whole.
    pub(crate) async fn hand_in(
        &self,
        messages: Vec<Keyed>,
        headers: Headers,
        room: Duration,
        until: Instant,
    ) -> Result<Vec<bool>, NotTaken> {
        let (count, claim) = (messages.len(), Arc::new(Claim::default()));
        let _waits = Waits::at(&self.counts.waiting);
        let (answer, mut answered) = bounded(ANSWER_CAPACITY);
        let ask = Ask { messages, headers, came: rt::now(), claim: claim.clone(), answer };
        // Also when the caller's connection is dropped.
        let leaves = Leaves(&claim);
        let shed = || {
            Counts::add(&self.counts.shed, count);
            Err(NotTaken::Full)
        };
        let full = after(room).deadline();
        let sent = select! { biased;
            sent = select::future(self.asks.send(ask)) => sent,
            () = at(full) => return shed(),
        };
        if sent.is_err() {
            return Err(NotTaken::Closed);
        }
        let first = select! { biased;
            answer = answered.recv() => Some(answer),
            () = at(full) => None,
        };
        let answer = match first {
            Some(answer) => answer,
            None if claim.become_(Claim::LEFT) => return shed(),
            None => select! { biased;
                answer = answered.recv() => answer,
                () = at(until) => {
                    Counts::add(&self.counts.late, count);
                    return Err(NotTaken::Late);
                }
            },
        };
        drop(leaves);
        answer.map_or(Err(NotTaken::Closed), |answer| answer.map_err(NotTaken::Failed))
    }
}

/// A caller at the desk, who may leave it at any time.
struct Waits<'a>(&'a AtomicU64);

impl<'a> Waits<'a> {
    fn at(desk: &'a AtomicU64) -> Self {
        desk.fetch_add(1, Ordering::Relaxed);
        Self(desk)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Leaves<'a>(&'a Claim);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.become_(Claim::LEFT);
    }
}

/// What both loops know.
struct State {
    pending: Pending,
    seen: Seen,
}

/// What is kept of messages between the caller's answer and their being done.
pub(crate) struct Store {
    state: Mutex<State>,
    log: Option<Log>,
    /// Where the journal ended when it was opened.
    opened_at: Lsn,
    /// The last record that the journal was told to be without need of those before it.
    checkpoint: AtomicU64,
    /// Where the journal ended when it was last looked whether it needs all it has.
    looked: AtomicU64,
    /// Records after which it is looked again.
    every: u64,
    counts: Arc<Counts>,
}

impl Store {
    /// Without a journal.
    pub(crate) fn fleeting(remember: Duration, counts: Arc<Counts>) -> Self {
        let state = State { pending: Pending::default(), seen: Seen::new(remember) };
        let (state, checkpoint) = (Mutex::new(state), AtomicU64::new(0));
        Self {
            state,
            log: None,
            opened_at: Lsn::ZERO,
            checkpoint,
            looked: AtomicU64::new(0),
            every: CHECKPOINT_RECORDS,
            counts,
        }
    }

    /// What a journal has. `start` gives the writer to a thread.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn durable(
        writer: Writer,
        start: impl FnOnce(Writer) -> Log,
        remember: Duration,
        counts: Arc<Counts>,
    ) -> Result<Self, BoxError> {
        let mut state = State { pending: Pending::default(), seen: Seen::new(remember) };
        let checkpoint = writer.latest_checkpoint()?.map_or(Lsn::ZERO, |it| it.lsn);
        let from = Lsn((checkpoint.0 + 1).max(writer.oldest().0));
        let (mut reader, now) = (writer.reader(from)?, rt::now());
        while let Some(record) = reader.next()? {
            state.pending.record(record.kind, record.key, record.lsn);
            if record.kind == ACCEPTED
                && let Ok(key) = std::str::from_utf8(record.key)
            {
                state.seen.add(key, now);
            }
        }
        let opened_at = writer.durable();
        let (state, checkpoint) = (Mutex::new(state), AtomicU64::new(checkpoint.0));
        let (log, every) = (Some(start(writer)), CHECKPOINT_RECORDS);
        let looked = AtomicU64::new(checkpoint.load(Ordering::Relaxed));
        Ok(Self { state, log, opened_at, checkpoint, looked, every, counts })
    }

    #[cfg(test)]
    pub(crate) fn every(self, every: u64) -> Self {
        Self { every, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under it panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pending(&self) -> usize {
        self.lock().pending.len()
    }

    /// Keys of what is pending.
    pub(crate) fn pending_keys(&self) -> Vec<String> {
        self.lock().pending.keys().map(str::to_owned).collect()
    }

    /// Whether a key is new; it is not from now on.
    fn admit(&self, key: &str, now: Instant) -> bool {
        let mut state = self.lock();
        state.seen.forget(now);
        let is_new = !state.seen.has(key) && !state.pending.has(key);
        if is_new {
            state.seen.add(key, now);
        }
        is_new
    }

    fn counted(&self, ask: &Taken) {
        let accepted = ask.fresh().count();
        Counts::add(&self.counts.accepted, accepted);
        Counts::add(&self.counts.repeated, ask.messages.len() - accepted);
    }

    fn expel<'a>(&self, keys: impl Iterator<Item = &'a str>) {
        let mut state = self.lock();
        keys.for_each(|key| state.seen.remove(key));
    }

    /// Makes messages durable. Without a journal they are as they are.
    async fn keep(&self, asks: &[Taken]) -> Result<(), BoxError> {
        let Some(log) = &self.log else { return Ok(()) };
        let (mut records, mut keys) = (Vec::new(), Vec::new());
        for (ask, message) in
            asks.iter().flat_map(|ask| ask.fresh().map(move |message| (ask, message)))
        {
            let body = serde_json::to_vec(&message.message)?;
            records.push(pending::accepted(&message.key, &ask.headers, &body));
            keys.push(&message.key);
        }
        if records.is_empty() {
            return Ok(());
        }
        let last = log.append_all(records).await?;
        let first = last.0 + 1 - keys.len() as u64;
        let mut state = self.lock();
        for (lsn, key) in (first..).zip(keys) {
            state.pending.accepted(key, Lsn(lsn));
        }
        Ok(())
    }

    /// Notes that messages are done. Keys that nobody waits for are nothing.
    pub(crate) async fn done(&self, keys: &[String]) -> Result<(), BoxError> {
        let Some(log) = &self.log else { return Ok(()) };
        let known: Vec<Append> = {
            let state = self.lock();
            keys.iter().filter(|key| state.pending.has(key)).map(|key| pending::done(key)).collect()
        };
        if known.is_empty() {
            return Ok(());
        }
        log.append_all(known).await?;
        let count = {
            let mut state = self.lock();
            keys.iter().filter(|key| state.pending.done(key)).count()
        };
        Counts::add(&self.counts.done, count);
        self.trim(log).await
    }

    /// Lets the journal forget what is not needed, and writes again at its end what is old and needed and holds up the rest.
    async fn trim(&self, log: &Log) -> Result<(), BoxError> {
        let end = log.durable();
        if end.0.saturating_sub(self.looked.load(Ordering::Relaxed)) < self.every {
            return Ok(());
        }
        self.looked.store(end.0, Ordering::Relaxed);
        let (oldest, needed) = {
            let state = self.lock();
            (state.pending.oldest().unwrap_or(Lsn(end.0 + 1)), state.pending.len() as u64)
        };
        let span = end.0 + 1 - oldest.0;
        if span > SPAN_FACTOR * needed.max(self.every) {
            self.move_up(log, oldest, Lsn(oldest.0 + span / 2)).await?;
        }
        let oldest = self.lock().pending.oldest().unwrap_or(Lsn(end.0 + 1));
        // The checkpoint has nothing in it: it says that all records up to it are about what is done.
        let lsn = Lsn(oldest.0 - 1);
        if lsn.0 > self.checkpoint.load(Ordering::Relaxed) {
            log.checkpoint(lsn, Vec::new()).await?;
            log.retain(oldest).await?;
            self.checkpoint.store(lsn.0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Called by the one loop that also writes that messages are done, so that no message becomes pending again behind its end.
    async fn move_up(&self, log: &Log, from: Lsn, to: Lsn) -> Result<(), BoxError> {
        if self.lock().pending.older_than(to) == 0 {
            return Ok(());
        }
        let mut reader = log.readers().reader(from)?;
        let mut moved: Vec<Append> = Vec::new();
        loop {
            let record = reader.next()?.filter(|record| record.lsn < to);
            let is_end = record.is_none();
            if let Some(record) = record
                && record.kind == ACCEPTED
                && self.lock().pending.is_at(record.lsn)
            {
                let (key, payload) = (record.key.to_vec(), record.payload.to_vec());
                moved.push(Append { kind: ACCEPTED, key, payload });
            }
            if moved.len() == MOVED_MAX || (is_end && !moved.is_empty()) {
                let keys: Vec<Vec<u8>> = moved.iter().map(|it| it.key.clone()).collect();
                let last = log.append_all(std::mem::take(&mut moved)).await?;
                let mut state = self.lock();
                for (lsn, key) in (last.0 + 1 - keys.len() as u64..).zip(keys) {
                    state.pending.record(ACCEPTED, &key, Lsn(lsn));
                }
            }
            if is_end {
                return Ok(());
            }
        }
    }

    /// Sends again what an earlier run has left.
    async fn send_again(&self, outputs: &Outputs, finish: bool) -> Result<(), BoxError> {
        let Some(log) = &self.log else { return Ok(()) };
        let Some(oldest) = self.lock().pending.oldest() else { return Ok(()) };
        let mut reader = log.readers().reader(oldest)?;
        while let Some(record) = reader.next()?.filter(|record| record.lsn <= self.opened_at) {
            if record.kind != ACCEPTED || !self.lock().pending.is_at(record.lsn) {
                continue;
            }
            let Some((headers, body)) = pending::parts(record.payload) else { continue };
            let message: Value = serde_json::from_slice(body)?;
            let key = String::from_utf8_lossy(record.key).into_owned();
            outputs.send("out", Traced::new(headers, message)).await?;
            Counts::add(&self.counts.again, 1);
            if finish {
                self.done(&[key]).await?;
            }
        }
        Ok(())
    }
}

/// An ask that is ours.
struct Taken {
    messages: Vec<Keyed>,
    is_new: Vec<bool>,
    headers: Headers,
    came: Instant,
    answer: Sender<Answer>,
}

impl Taken {
    fn fresh(&self) -> impl Iterator<Item = &Keyed> {
        self.messages.iter().zip(&self.is_new).filter(|(_, is_new)| **is_new).map(|(it, _)| it)
    }
}

/// Takes in what callers hand in, until nobody can any more: makes it durable, answers, and sends it to `out`.
///
/// # Errors
/// The journal failed, or nobody receives from `out`. What is durable is sent again by the next run.
///
/// # Cancel safety
/// Dropped before completion, callers are told that it is not known what became of their messages; those that were answered are in the
/// journal.
pub(crate) async fn take_in(
    mut desk: Receiver<Ask>,
    store: &Store,
    outputs: &Outputs,
    has_done: bool,
) -> Result<(), BoxError> {
    if store.log.is_some() {
        store.send_again(outputs, !has_done).await?;
    }
    let mut batch = Vec::new();
    while desk.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if store.log.is_some() {
            take_durably(batch.drain(..), store, outputs, has_done).await?;
            continue;
        }
        for ask in batch.drain(..) {
            // Nobody's until there is room, so that its caller can leave.
            outputs.room("out").await;
            let Some(ask) = ask.claimed(store) else { continue };
            store.counted(&ask);
            let (answer, is_new) = (ask.answer.clone(), ask.is_new.clone());
            if let Err(why) = pass_on(ask, store, outputs).await {
                drop(answer.try_send(Err(why.to_string())));
                return Err(why);
            }
            drop(answer.try_send(Ok(is_new)));
        }
    }
    Ok(())
}

/// Makes a batch durable, answers, and sends it on.
async fn take_durably(
    batch: impl Iterator<Item = Ask>,
    store: &Store,
    outputs: &Outputs,
    has_done: bool,
) -> Result<(), BoxError> {
    let asks: Vec<Taken> = batch.filter_map(|ask| ask.claimed(store)).collect();
    if let Err(error) = store.keep(&asks).await {
        for ask in &asks {
            store.expel(ask.fresh().map(|it| it.key.as_str()));
            drop(ask.answer.try_send(Err(error.to_string())));
        }
        return Err(error);
    }
    for ask in &asks {
        store.counted(ask);
        // Who has left does not want to know.
        drop(ask.answer.try_send(Ok(ask.is_new.clone())));
    }
    let mut sent = Vec::new();
    for ask in asks {
        sent.extend(pass_on(ask, store, outputs).await?);
    }
    if !has_done {
        // In the channel is as far as anybody follows them.
        store.done(&sent).await?;
    }
    Ok(())
}

/// Sends what is new of an ask to `out`; gives its keys.
async fn pass_on(ask: Taken, store: &Store, outputs: &Outputs) -> Result<Vec<String>, BoxError> {
    let Taken { messages, is_new, headers, came, .. } = ask;
    let new = messages.into_iter().zip(is_new).filter(|(_, is_new)| *is_new);
    let mut sent = Vec::new();
    for (Keyed { key, message }, _) in new {
        let message = Traced::new(headers.clone(), message);
        if let Err(error) = outputs.send_since("out", message, Some(came)).await {
            store.expel(std::iter::once(key.as_str()));
            return Err(format!("nobody receives messages from `out`: {error}").into());
        }
        sent.push(key);
    }
    Ok(sent)
}

/// Takes keys of messages that are done, until there are no more.
///
/// # Errors
/// The journal failed.
///
/// # Cancel safety
/// Dropped before completion, some keys may be lost, and their messages come again after a restart.
pub(crate) async fn take_done(
    done: &mut Input,
    store: &Store,
    outputs: &Outputs,
    key: Option<&Expr>,
) -> Result<(), BoxError> {
    let mut batch: Vec<Message> = Vec::new();
    while done.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut keys = Vec::with_capacity(batch.len());
        for message in batch.drain(..) {
            match told_key(&message, key, "done") {
                Ok(key) => keys.push(key),
                Err(why) => outputs.refuse(message, why).await?,
            }
        }
        store.done(&keys).await?;
    }
    Ok(())
}

/// Which message this says is done, or answered: `what`.
pub(super) fn told_key(message: &Value, key: Option<&Expr>, what: &str) -> Result<String, String> {
    if let Some(key) = key {
        let value = key.value(message).map_err(|error| error.to_string())?;
        return as_key(&value).ok_or_else(|| {
            format!(
                "the key of what is {what} is a word or a number, and `{}` is {value}",
                key.text()
            )
        });
    }
    let named = ["key", "id"].iter().find_map(|name| message.get(name));
    as_key(named.unwrap_or(message)).ok_or_else(|| {
        format!("this does not say what is {what}: send a key, or an object with `key` or `id`")
    })
}

/// Runs `main` to its end; `first` and `beside` run along. Any error ends it.
pub(crate) async fn together(
    first: impl Future<Output = Result<(), BoxError>>,
    main: impl Future<Output = Result<(), BoxError>>,
    beside: impl Future<Output = Result<(), BoxError>>,
) -> Result<(), BoxError> {
    // An ended future is dropped at once: the desk closes with its last caller.
    let mut first = Some(Box::pin(first));
    let mut beside = Some(Box::pin(beside));
    let mut main = pin!(main);
    poll_fn(move |cx| {
        if let Some(Poll::Ready(ended)) = first.as_mut().map(|it| it.as_mut().poll(cx)) {
            first = None;
            if ended.is_err() {
                return Poll::Ready(ended);
            }
        }
        if let Some(Poll::Ready(ended)) = beside.as_mut().map(|it| it.as_mut().poll(cx)) {
            beside = None;
            if ended.is_err() {
                return Poll::Ready(ended);
            }
        }
        main.as_mut().poll(cx)
    })
    .await
}
