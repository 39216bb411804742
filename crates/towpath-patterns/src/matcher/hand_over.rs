//! Differences on their way to a saga: durable first, then started, then let go.
//!
//! ```text
//!   tell ─▶ durable in the journal ─▶ saga started ─▶ handed ─▶ let go
//!             └───── started again after a crash ──────┘
//! ```
//!
//! What always holds:
//! - What [`HandOver::tell`] has returned for is a saga, or becomes one after the next start, whatever crashes. Its id is that of the
//!   difference, so one that is told or started twice is one saga, for as long as the coordinator remembers its ids.
//! - A difference is let go only when every one before it is a saga, and that is a record.
//!
//! Why a journal beside that of the sagas: who tells does not wait for a coordinator that is full or starting again.

use std::{
    collections::{BTreeMap, BTreeSet},
    error, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use towpath::{BoxError, Cause, Ctx, Receiver, Scope, Sender, after, bounded, select};
use towpath_journal::{Lsn, Writer};

use crate::{
    log::{self, Append, Log},
    saga::{self, Accepted, Handle, ID_BYTES_MAX, PAYLOAD_BYTES_MAX},
};

/// Sagas that are being started at once.
///
/// Each waits for the coordinator's journal, which takes what comes meanwhile in one commit; beyond some dozens there is nothing to gain.
pub const AT_ONCE: usize = 64;

/// Differences that may wait for their saga before nobody can tell any more. They are kept in memory.
const PENDING_MAX: usize = 4_096;

/// Who tells waits for the answer anyway; this many make a good batch.
const REQUEST_CAPACITY: usize = 256;

/// An answer is sent once and never waits.
const REPLY_CAPACITY: usize = 1;

/// Differences that are handed over between two records that say so, while more are on their way.
const CONFIRM_EVERY: u64 = 256;

/// Records after which the journal lets go of what was handed over.
const RETAIN_EVERY: u64 = 4_096;

/// How long a coordinator that is full is left alone. What it is full of takes longer, mostly.
const FULL_AGAIN: Duration = Duration::from_millis(100);

/// A difference: its id is the record's key, its content the payload.
const KIND_TOLD: u16 = 0x6d01;
/// All up to the record whose number is the payload are sagas.
const KIND_HANDED: u16 = 0x6d02;

/// Why a difference was not taken, or why the hand-over has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HandOverError {
    /// The journal failed; whether the difference is durable is known when it is opened again.
    Journal(log::Error),
    /// The coordinator refuses what no later try can mend, or has ended.
    Saga(saga::Error),
    /// The journal has a record that no hand-over has written.
    Foreign {
        /// Which.
        lsn: Lsn,
    },
    /// The context has ended; what was told is handed over after the next start.
    Ended(Cause),
    /// The hand-over has ended; tell again when it is back.
    Gone,
}

impl fmt::Display for HandOverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Saga(error) => error.fmt(f),
            Self::Foreign { lsn } => write!(
                f,
                "record {} of the journal is not of a hand-over: give it a journal of its own",
                lsn.0
            ),
            Self::Ended(_) => {
                f.write_str("stopped by its context; what was told goes on after the next start")
            }
            Self::Gone => f.write_str("the hand-over has ended; tell again when it is back"),
        }
    }
}

impl error::Error for HandOverError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Journal(error) => error.source(),
            Self::Saga(error) => error.source(),
            Self::Ended(cause) => Some(cause),
            Self::Foreign { .. } | Self::Gone => None,
        }
    }
}

/// How many differences went which way since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handed {
    /// Told and durable, those found in the journal among them.
    pub told: u64,
    /// Found in the journal at the start.
    pub recovered: u64,
    /// Told while one of the same id was waiting.
    pub doubled: u64,
    /// Sagas that were started.
    pub started: u64,
    /// Sagas that had been started before.
    pub known: u64,
}

#[derive(Debug, Default)]
struct Counts {
    told: AtomicU64,
    recovered: AtomicU64,
    doubled: AtomicU64,
    started: AtomicU64,
    known: AtomicU64,
}

#[derive(Clone)]
struct Deviation {
    id: Arc<str>,
    input: Arc<[u8]>,
}

struct Request {
    deviation: Deviation,
    reply: Sender<Result<(), HandOverError>>,
}

/// The way to a hand-over. Clones lead to the same one; it ends when the last is gone and everything told is a saga.
#[derive(Clone)]
pub struct HandOver {
    requests: Sender<Request>,
    counts: Arc<Counts>,
}

impl HandOver {
    /// Reads what a journal of its own says, and starts handing over: each difference becomes a saga of this name.
    ///
    /// # Errors
    /// [`HandOverError::Journal`], [`HandOverError::Foreign`]; [`HandOverError::Gone`] when the scope has ended.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, nothing was started, and the journal is closed when it has been read.
    pub async fn start(
        scope: &Scope,
        name: &'static str,
        writer: Writer,
        sagas: Handle,
        saga: &str,
    ) -> Result<Self, HandOverError> {
        let reading = scope.spawn_blocking(name, move |_| {
            let found = recover(&writer);
            Ok::<_, BoxError>((writer, found))
        });
        let (writer, found) = reading.await.map_err(|_| HandOverError::Gone)?;
        let pending = found?;
        let counts = Arc::new(Counts::default());
        counts.recovered.store(pending.len() as u64, Relaxed);
        counts.told.store(pending.len() as u64, Relaxed);
        let (requests, at_requests) = bounded(REQUEST_CAPACITY);
        let (done, at_done) = bounded(AT_ONCE);
        let last = Lsn(writer.next().0.saturating_sub(1));
        let handed = pending.keys().next().map_or(last, |first| Lsn(first.0 - 1));
        let keeper = Keeper {
            inside: scope.clone(),
            name,
            log: Log::start(scope, name, writer),
            sagas,
            saga: saga.into(),
            waiting: pending.keys().copied().collect(),
            ids: pending.values().map(|it| Arc::clone(&it.id)).collect(),
            pending,
            last,
            handed,
            retained: Lsn::ZERO,
            under_way: 0,
            done,
            counts: Arc::clone(&counts),
        };
        scope.spawn(name, move |ctx| keeper.keep(ctx, at_requests, at_done));
        Ok(Self { requests: requests.named(name), counts })
    }

    /// Tells of a difference. When it has returned, the difference is durable, and a saga with this id and input is started now or
    /// after the next start. Ids and inputs have the coordinator's limits.
    ///
    /// # Errors
    /// [`HandOverError::Saga`] with what is wrong with id or input; [`HandOverError::Journal`], [`HandOverError::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before it finishes, it may or may not have been told. Tell again: one id is one saga.
    pub async fn tell(&self, id: &str, input: impl Into<Arc<[u8]>>) -> Result<(), HandOverError> {
        let deviation = Deviation { id: id.into(), input: input.into() };
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(HandOverError::Saga(saga::Error::Id { bytes: id.len() }));
        }
        if deviation.input.len() > PAYLOAD_BYTES_MAX {
            let bytes = deviation.input.len();
            return Err(HandOverError::Saga(saga::Error::Large { bytes }));
        }
        let (reply, mut answer) = bounded(REPLY_CAPACITY);
        let request = Request { deviation, reply };
        self.requests.send(request).await.map_err(|_| HandOverError::Gone)?;
        answer.recv().await.unwrap_or(Err(HandOverError::Gone))
    }

    /// How many went which way; each number is right by itself.
    pub fn snapshot(&self) -> Handed {
        let Counts { told, recovered, doubled, started, known } = &*self.counts;
        Handed {
            told: told.load(Relaxed),
            recovered: recovered.load(Relaxed),
            doubled: doubled.load(Relaxed),
            started: started.load(Relaxed),
            known: known.load(Relaxed),
        }
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOver").field("handed", &self.snapshot()).finish_non_exhaustive()
    }
}

/// What was told and is not known to be handed over.
fn recover(writer: &Writer) -> Result<BTreeMap<Lsn, Deviation>, HandOverError> {
    let journal = |error| HandOverError::Journal(log::Error::Journal(error));
    let mut pending = BTreeMap::new();
    let handed = writer.latest_checkpoint().map_err(journal)?.map(|checkpoint| checkpoint.lsn);
    let mut reader = writer.reader(handed.map_or(Lsn::ZERO, Lsn::next)).map_err(journal)?;
    while let Some(record) = reader.next().map_err(journal)? {
        let foreign = HandOverError::Foreign { lsn: record.lsn };
        match record.kind {
            KIND_TOLD => {
                let Ok(id) = str::from_utf8(record.key) else { return Err(foreign) };
                let deviation = Deviation { id: id.into(), input: record.payload.into() };
                pending.insert(record.lsn, deviation);
            }
            KIND_HANDED => {
                let Ok(number) = record.payload.try_into() else { return Err(foreign) };
                pending = pending.split_off(&Lsn(u64::from_le_bytes(number)).next());
            }
            _ => return Err(foreign),
        }
    }
    Ok(pending)
}

/// The process.
struct Keeper {
    inside: Scope,
    name: &'static str,
    log: Log,
    sagas: Handle,
    saga: Arc<str>,
    /// Durable, and not known to be a saga.
    pending: BTreeMap<Lsn, Deviation>,
    /// Of those, the ones that nobody is starting.
    waiting: BTreeSet<Lsn>,
    /// Their ids.
    ids: BTreeSet<Arc<str>>,
    /// The last difference that is durable.
    last: Lsn,
    /// What the journal says was handed over.
    handed: Lsn,
    /// What it was allowed to let go.
    retained: Lsn,
    under_way: usize,
    done: Sender<Done>,
    counts: Arc<Counts>,
}

type Done = (Lsn, Result<Accepted, saga::Error>);

impl Keeper {
    async fn keep(
        mut self,
        ctx: Ctx,
        mut requests: Receiver<Request>,
        mut done: Receiver<Done>,
    ) -> Result<(), HandOverError> {
        let mut is_open = true;
        let mut batch = Vec::new();
        loop {
            self.start_some();
            self.confirm().await?;
            if !is_open && self.pending.is_empty() {
                return Ok(());
            }
            let may_tell = is_open && self.pending.len() < PENDING_MAX;
            select! {
                cause = ctx.done() => return Err(HandOverError::Ended(cause)),
                finished = done.recv() => {
                    if let Some((lsn, accepted)) = finished {
                        self.finished(lsn, accepted.map_err(HandOverError::Saga)?);
                    }
                }
                request = requests.recv(), if may_tell => {
                    let Some(request) = request else {
                        is_open = false;
                        continue;
                    };
                    batch.push(request);
                    while batch.len() < REQUEST_CAPACITY
                        && let Ok(request) = requests.try_recv()
                    {
                        batch.push(request);
                    }
                    self.told(&mut batch).await?;
                }
            }
        }
    }

    /// Makes differences durable and says so.
    async fn told(&mut self, batch: &mut Vec<Request>) -> Result<(), HandOverError> {
        let mut fresh = Vec::new();
        let mut ids = BTreeSet::new();
        for Request { deviation, .. } in &*batch {
            let is_new = !self.ids.contains(&deviation.id) && ids.insert(Arc::clone(&deviation.id));
            if is_new {
                fresh.push(deviation.clone());
            }
        }
        let records = fresh.iter().map(|Deviation { id, input }| Append {
            kind: KIND_TOLD,
            key: id.as_bytes().to_vec(),
            payload: input.to_vec(),
        });
        if !fresh.is_empty() {
            match self.log.append_all(records.collect()).await {
                Ok(last) => self.last = last,
                Err(error) => {
                    let error = HandOverError::Journal(error);
                    for Request { reply, .. } in batch.drain(..) {
                        // Who does not wait any more does not want to know.
                        let _ = reply.try_send(Err(error.clone()));
                    }
                    return Err(error);
                }
            }
        }
        self.counts.told.fetch_add(fresh.len() as u64, Relaxed);
        self.counts.doubled.fetch_add((batch.len() - fresh.len()) as u64, Relaxed);
        let first = self.last.0 + 1 - fresh.len() as u64;
        for (deviation, number) in fresh.into_iter().zip(first..) {
            self.ids.insert(Arc::clone(&deviation.id));
            self.waiting.insert(Lsn(number));
            self.pending.insert(Lsn(number), deviation);
        }
        for Request { reply, .. } in batch.drain(..) {
            let _ = reply.try_send(Ok(()));
        }
        Ok(())
    }

    /// Starts the sagas of the oldest differences.
    fn start_some(&mut self) {
        while self.under_way < AT_ONCE
            && let Some(lsn) = self.waiting.pop_first()
        {
            let Some(deviation) = self.pending.get(&lsn).cloned() else { continue };
            self.under_way += 1;
            let (sagas, saga, done) =
                (self.sagas.clone(), Arc::clone(&self.saga), self.done.clone());
            self.inside.spawn(self.name, move |ctx| async move {
                let accepted = start(&ctx, &sagas, &saga, &deviation).await;
                // If the keeper has gone, it is started again by the next one.
                let _ = done.send((lsn, accepted)).await;
                Ok::<_, BoxError>(())
            });
        }
    }

    fn finished(&mut self, lsn: Lsn, accepted: Accepted) {
        self.under_way -= 1;
        if let Some(deviation) = self.pending.remove(&lsn) {
            self.ids.remove(&deviation.id);
        }
        let count = match accepted {
            Accepted::New => &self.counts.started,
            Accepted::Before | Accepted::TooLate => &self.counts.known,
        };
        count.fetch_add(1, Relaxed);
    }

    /// Writes down what was handed over, when it is worth it.
    async fn confirm(&mut self) -> Result<(), HandOverError> {
        let handed = match self.pending.first_key_value() {
            Some((first, _)) => Lsn(first.0 - 1),
            None => self.last,
        };
        let more = handed.0.saturating_sub(self.handed.0);
        if more == 0 || more < CONFIRM_EVERY && !self.pending.is_empty() {
            return Ok(());
        }
        let payload = handed.0.to_le_bytes().to_vec();
        let record = Append { kind: KIND_HANDED, key: Vec::new(), payload };
        let written = self.log.append(record).await.map_err(HandOverError::Journal)?;
        self.handed = handed;
        if handed.0 - self.retained.0 >= RETAIN_EVERY {
            let journal = HandOverError::Journal;
            self.log.checkpoint(handed, Vec::new()).await.map_err(journal)?;
            self.log.retain(handed.next()).await.map_err(journal)?;
            self.retained = handed;
        }
        if self.pending.is_empty() {
            self.last = self.last.max(written);
            self.handed = self.last;
        }
        Ok(())
    }
}

/// Starts a saga, as often as it takes while the coordinator is full.
async fn start(
    ctx: &Ctx,
    sagas: &Handle,
    saga: &str,
    deviation: &Deviation,
) -> Result<Accepted, saga::Error> {
    loop {
        match sagas.start(saga, &deviation.id, Arc::clone(&deviation.input)).await {
            Err(saga::Error::Full { .. }) => {}
            accepted => return accepted,
        }
        select! {
            _ = ctx.done() => return Err(saga::Error::Gone),
            () = after(FULL_AGAIN) => {}
        }
    }
}
