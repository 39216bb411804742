//! How long operations waited: the probe, which has a clock only for what parks.
//!
//! What always holds:
//! - Nothing happens here for an operation that does not wait.
//! - What is kept is bounded: an entry for each wait that is under way and timed ([`TIMED_MAX`]), one for each process that lives and each
//!   channel with a name, and [`NAMES_MAX`] names of those that have gone.
//! - Counts and sums only grow.
//!
//! Why not every wait is timed: reading a clock twice and writing it down takes half a microsecond, and two tasks that play ping-pong
//! wait four million times a second. A thread may time one wait in [`EVERY`], and what it has saved, up to [`SAVED_MAX`]; so where waits are
//! rare, also when several processes wait at the same moment, each is timed. When that is used up one in so many is, which then counts
//! for all of them; on average that is right. Only short waits are so frequent, and a long one must not count for many: what lasts over
//! a scrape counts once, and a wait of which the probe was not told is found by the scrapes themselves (`scrape.rs`). So what can be
//! missed are some waits behind a burst on the same thread, longer than the burst's and shorter than the time between two scrapes.

use std::{
    cell::Cell,
    collections::BTreeMap,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use towpath::{
    probe::{
        self, Attached, Exit, Operation, Parked, Probe, ResourceId, Spawned, Thing, Unparked,
        WaitId,
    },
    process::{Name, Process},
    rt,
};

/// On a thread on which more waits begin, one in this time is timed on average, which costs half a percent of a core.
const EVERY: Duration = Duration::from_micros(100);

/// What a thread may save of that: so many waits at one moment are timed each, as when a network of that size starts.
const SAVED_MAX: Duration = EVERY.saturating_mul(256);

/// Waits that one timed wait stands for, at most: so many are at most missed when a burst ends. With 32 two tasks that do nothing but play
/// ping-pong would lose eight percent to the probe, with 128 one or two.
const STANDS_FOR_MAX: u32 = 64;

/// Waits that are timed at once; more of them only cost memory, a hundred bytes each.
///
/// A million is more processes than fit elsewhere, and ends the growth should a program forget futures while they wait.
const TIMED_MAX: usize = 1 << 20;

/// Names of channels and processes that have gone, of which the totals are kept.
///
/// Whoever names a process after each connection would fill the memory of the program and of Prometheus. What exceeds this is counted under
/// [`OTHERS`].
pub(super) const NAMES_MAX: usize = 4096;

/// Channels of which it is known that they have gone since the last scrape; more can only be where nobody scrapes for long.
const FINISHED_MAX: usize = 1 << 16;

/// The name for those that are too many.
pub(super) const OTHERS: &str = "(others)";

/// Parts of the table of waits, each with a lock, so that threads seldom meet there.
const SHARDS: usize = 16;

/// Upper limits of the buckets, in seconds; one more has no limit.
///
/// From a task switch to a minute in steps of about three: a wait is short, noticeable or a fault, and two channels with eleven series each
/// cost more than a finer scale tells.
const BOUNDS: [f64; 11] = [1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 10.0, 60.0];

/// What somebody waits for, as series have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum On {
    Recv,
    Send,
    Lock,
    Select,
}

impl On {
    pub(super) const ALL: [Self; 4] = [Self::Recv, Self::Send, Self::Lock, Self::Select];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Recv => "recv",
            Self::Send => "send",
            Self::Lock => "lock",
            Self::Select => "select",
        }
    }

    fn of(operation: Operation) -> Self {
        match operation {
            Operation::Recv => Self::Recv,
            Operation::Send | Operation::Reserve | Operation::Closed => Self::Send,
            Operation::Select => Self::Select,
            _ => Self::Lock,
        }
    }
}

/// A histogram that is being written.
#[derive(Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    /// `waits` waits of this length.
    fn observe(&self, length: Duration, waits: u32) {
        let seconds = length.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        // Relaxed: a scrape may find the bucket and not yet the sum.
        self.buckets[bucket].fetch_add(waits.into(), Ordering::Relaxed);
        self.nanos.fetch_add(nanos(length) * u64::from(waits), Ordering::Relaxed);
    }

    fn read(&self) -> Counts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Counts { buckets: self.buckets.each_ref().map(read), nanos: read(&self.nanos).into() }
    }
}

fn nanos(length: Duration) -> u64 {
    length.as_nanos().try_into().unwrap_or(u64::MAX >> 8)
}

/// A histogram as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    buckets: [u64; BOUNDS.len() + 1],
    nanos: u128,
}

impl Counts {
    pub(super) fn add(&mut self, more: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(more.buckets) {
            *bucket += more;
        }
        self.nanos += more.nanos;
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn sum(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// Each with its upper limit, and what is in it alone.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        BOUNDS.into_iter().chain([f64::INFINITY]).zip(self.buckets)
    }
}

/// The two lines of a channel.
#[derive(Default)]
pub(super) struct Lines {
    /// Their end will be told.
    told: bool,
    send: Histogram,
    recv: Histogram,
}

impl Lines {
    /// Of the senders, and of the receivers.
    pub(super) fn read(&self) -> [Counts; 2] {
        [self.send.read(), self.recv.read()]
    }
}

/// Time of one process, or of all with one name that have ended.
#[derive(Clone, Default, Debug)]
pub(super) struct Spent {
    /// Nanoseconds in each kind of wait, in the order of [`On::ALL`].
    pub(super) blocked: [u64; 4],
    pub(super) lived: Duration,
    pub(super) restarts: u64,
}

impl Spent {
    pub(super) fn add(&mut self, more: &Self) {
        self.blocked.iter_mut().zip(more.blocked).for_each(|(sum, more)| *sum += more);
        self.lived += more.lived;
        self.restarts += more.restarts;
    }
}

/// A process that lives.
pub(super) struct Times {
    name: Name,
    since: Instant,
    restarted: bool,
    /// Its end will be told.
    told: bool,
    blocked: [AtomicU64; 4],
    /// Timed waits that are under way.
    waiting: AtomicU32,
}

impl Times {
    fn new(name: Name, restarted: bool, told: bool) -> Arc<Self> {
        let (blocked, waiting) = Default::default();
        Arc::new(Self { name, since: rt::now(), restarted, told, blocked, waiting })
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn is_timed(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    pub(super) fn add(&self, on: On, waited: Duration, waits: u32) {
        let waited = nanos(waited) * u64::from(waits);
        self.blocked[on as usize].fetch_add(waited, Ordering::Relaxed);
    }

    pub(super) fn read(&self, now: Instant) -> Spent {
        Spent {
            blocked: self.blocked.each_ref().map(|cell| cell.load(Ordering::Relaxed)),
            lived: now.saturating_duration_since(self.since),
            restarts: self.restarted.into(),
        }
    }
}

/// A wait that is timed.
struct Timed {
    began: Instant,
    /// Until here a scrape has counted it.
    counted: Option<Instant>,
    on: On,
    /// It stands for so many.
    waits: u32,
    process: Option<Arc<Times>>,
    /// Its process waited for nothing else when this began. Of several waits at once, as in a select over futures, one is the process's.
    leads: bool,
    lines: Option<Arc<Lines>>,
}

/// What is known of everybody with a name: those that are there by number, those that have gone by name.
pub(super) struct Known<K, V, G> {
    pub(super) here: BTreeMap<K, V>,
    pub(super) gone: BTreeMap<Name, G>,
}

impl<K, V, G> Default for Known<K, V, G> {
    fn default() -> Self {
        Self { here: BTreeMap::new(), gone: BTreeMap::new() }
    }
}

impl<K, V, G: Default> Known<K, V, G> {
    /// Where the totals of those with this name are.
    pub(super) fn gone(&mut self, name: &Name) -> &mut G {
        let fits = self.gone.len() < NAMES_MAX || self.gone.contains_key(name.as_str());
        let name = if fits { name.clone() } else { Name::from(OTHERS) };
        self.gone.entry(name).or_default()
    }
}

pub(super) type Channels = Known<ResourceId, Arc<Lines>, [Counts; 2]>;
pub(super) type Processes = Known<u64, Arc<Times>, Spent>;

/// Messages in and out of channels that have gone.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Totals {
    pub(super) fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.received += more.received;
    }
}

/// Channels that have gone since the last scrape: which, and what went through those with the same name.
pub(super) type Finished = Known<ResourceId, (), Totals>;

/// What the probe has seen, for the scrapes to read.
#[derive(Default)]
pub(super) struct Books {
    finished: Mutex<Finished>,
    waits: [Mutex<BTreeMap<WaitId, Timed>>; SHARDS],
    pub(super) channels: RwLock<Channels>,
    pub(super) processes: RwLock<Processes>,
}

/// A panic under one of these locks leaves what it guards as it was, or with one entry more.
macro_rules! locked {
    ($lock:expr) => {
        $lock.unwrap_or_else(std::sync::PoisonError::into_inner)
    };
}

impl Books {
    fn shard(&self, id: WaitId) -> MutexGuard<'_, BTreeMap<WaitId, Timed>> {
        let mut hash = Spread(0);
        id.hash(&mut hash);
        locked!(self.waits[hash.finish() as usize % SHARDS].lock())
    }

    fn begin(&self, wait: &Parked<'_>, waits: u32, began: Instant) {
        let lines =
            wait.channel().and_then(|id| locked!(self.channels.read()).here.get(&id).cloned());
        let process = wait.process.map(|process| self.times(process));
        let mut shard = self.shard(wait.id);
        if shard.len() < TIMED_MAX / SHARDS {
            let others = process.as_ref().map(|it| it.waiting.fetch_add(1, Ordering::Relaxed));
            let (on, leads) = (On::of(wait.operation), others == Some(0));
            let timed = Timed { began, counted: None, on, waits, process, leads, lines };
            shard.insert(wait.id, timed);
        }
    }

    fn end(&self, wait: &Unparked) {
        let Some(timed) = self.shard(wait.id).remove(&wait.id) else { return };
        let now = rt::now();
        // What has lasted over a scrape is long, and long waits do not come in crowds.
        let waits = if timed.counted.is_some() { 1 } else { timed.waits };
        if let Some(lines) = &timed.lines {
            let line = if timed.on == On::Recv { &lines.recv } else { &lines.send };
            line.observe(now.saturating_duration_since(timed.began), waits);
        }
        if let Some(process) = &timed.process {
            process.waiting.fetch_sub(1, Ordering::Relaxed);
            if timed.leads {
                let from = timed.counted.unwrap_or(timed.began);
                process.add(timed.on, now.saturating_duration_since(from), waits);
            }
        }
    }

    /// The times of a process, which may have begun before the probe was installed.
    fn times(&self, process: &Process) -> Arc<Times> {
        if let Some(times) = locked!(self.processes.read()).here.get(&process.id()) {
            return times.clone();
        }
        self.enter(process.id(), process.name(), false, false)
    }

    pub(super) fn enter(&self, id: u64, name: &Name, restarted: bool, told: bool) -> Arc<Times> {
        let mut processes = locked!(self.processes.write());
        let times = || Times::new(name.clone(), restarted, told);
        processes.here.entry(id).or_insert_with(times).clone()
    }

    /// Lets a channel's waits be counted.
    pub(super) fn attach(&self, id: ResourceId, told: bool) {
        if !locked!(self.channels.read()).here.contains_key(&id) {
            let lines = || Arc::new(Lines { told, ..Lines::default() });
            locked!(self.channels.write()).here.entry(id).or_insert_with(lines);
        }
    }

    /// Those that have gone since this was asked.
    pub(super) fn take_finished(&self) -> Finished {
        std::mem::take(&mut *locked!(self.finished.lock()))
    }

    /// Counts what those have waited so far who still wait.
    pub(super) fn count_so_far(&self, now: Instant) {
        for shard in &self.waits {
            for timed in locked!(shard.lock()).values_mut().filter(|timed| timed.leads) {
                let Some(process) = &timed.process else { continue };
                let from = timed.counted.unwrap_or(timed.began);
                process.add(timed.on, now.saturating_duration_since(from), 1);
                timed.counted = Some(now);
            }
        }
    }

    /// Those of whom the probe is not told, and who are no more.
    pub(super) fn forget_processes(&self, now: Instant, lives: impl Fn(u64) -> bool) {
        let mut processes = locked!(self.processes.write());
        let ended: Vec<u64> = processes
            .here
            .iter()
            .filter(|(id, times)| !times.told && !lives(**id))
            .map(|(id, _)| *id)
            .collect();
        ended.into_iter().for_each(|id| leave(&mut processes, id, now));
    }

    /// As [`forget_processes`](Self::forget_processes): channels that had a name before the probe was installed.
    pub(super) fn forget_channels(&self, lives: impl Fn(ResourceId) -> bool) {
        locked!(self.channels.write()).here.retain(|id, lines| lines.told || lives(*id));
    }
}

fn leave(processes: &mut Processes, id: u64, now: Instant) {
    if let Some(times) = processes.here.remove(&id) {
        processes.gone(&times.name).add(&times.read(now));
    }
}

/// The probe of a [`Metrics`](super::Metrics): times what waits. Cloning copies a pointer.
///
/// A program has one [probe](towpath::probe). [`Metrics::install`](super::Metrics::install) makes it this one; a program that wants another
/// too calls this one from there, with all that it is told.
#[derive(Clone)]
pub struct WaitProbe {
    pub(super) books: Arc<Books>,
    pub(super) every_wait: bool,
}

impl WaitProbe {
    /// Times every wait, and is told of every wait: for a probe around this one that wants to know of all. Ping-pong between two tasks then
    /// takes about twice as long; a wait in a thousandth of a second is nothing to it.
    #[must_use]
    pub fn every_wait(self) -> Self {
        Self { every_wait: true, ..self }
    }
}

impl std::fmt::Debug for WaitProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitProbe").field("every_wait", &self.every_wait).finish_non_exhaustive()
    }
}

/// How fast waits begin on a thread.
#[derive(Clone, Copy)]
struct Pace {
    last: Option<Instant>,
    /// The next that is timed stands for so many.
    waits: u32,
    saved: Duration,
}

thread_local! {
    static PACE: Cell<Pace> = const { Cell::new(Pace { last: None, waits: 1, saved: SAVED_MAX }) };
}

impl Pace {
    /// One is timed now.
    fn after(self, now: Instant) -> Self {
        let gap = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let saved = (self.saved + gap).min(SAVED_MAX);
        let last = Some(now);
        match saved.checked_sub(EVERY) {
            Some(saved) => Self { last, waits: 1, saved },
            // As many as begin in that time.
            None => {
                let waits = EVERY.as_nanos() * u128::from(self.waits) / gap.as_nanos().max(1);
                Self { last, waits: waits.clamp(1, STANDS_FOR_MAX.into()) as u32, saved }
            }
        }
    }
}

impl Probe for WaitProbe {
    fn attach(&self, thing: &Attached<'_>) {
        if thing.thing == Thing::Channel {
            self.books.attach(thing.id, true);
        }
    }

    fn finish(&self, channel: &probe::Finished<'_>) {
        let mut finished = locked!(self.books.finished.lock());
        let totals = Totals { sent: channel.sent, received: channel.received };
        finished.gone(channel.name).add(totals);
        // Where nobody scrapes, nobody has seen them.
        if finished.here.len() < FINISHED_MAX {
            finished.here.insert(channel.id, ());
        }
    }

    fn detach(&self, thing: ResourceId, name: &Name) {
        let mut channels = locked!(self.books.channels.write());
        if let Some(lines) = channels.here.remove(&thing) {
            let gone = channels.gone(name);
            gone.iter_mut().zip(&lines.read()).for_each(|(sum, more)| sum.add(more));
        }
    }

    fn park(&self, wait: &Parked<'_>) {
        let now = rt::now();
        let pace = PACE.get();
        self.books.begin(wait, pace.waits, now);
        if !self.every_wait {
            let pace = pace.after(now);
            PACE.set(pace);
            probe::skip_waits(pace.waits - 1);
        }
    }

    fn unpark(&self, wait: &Unparked) {
        self.books.end(wait);
    }

    fn spawn(&self, spawned: &Spawned<'_>) {
        let process = spawned.process;
        self.books.enter(process.id(), process.name(), spawned.again, true);
    }

    fn exit(&self, process: &Process, _: Exit) {
        leave(&mut locked!(self.books.processes.write()), process.id(), rt::now());
    }
}

/// Spreads addresses, whose low bits say little, over the shards.
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 >> 32
    }
}

pub(super) use locked;
