//! Metrics: what channels and processes do, as OpenMetrics text for Prometheus and its like.
//!
//! ```
//! use towpath::bounded;
//! use towpath_observe::metrics::Metrics;
//!
//! let metrics = Metrics::new("rides");
//! let (requests, _rx) = bounded::<u32>(256);
//! let requests = requests.named("requests");
//! requests.try_send(1).unwrap();
//!
//! let scrape = metrics.scrape();
//! assert!(scrape.contains(r#"towpath_channel_length{network="rides",channel="requests"} 1"#));
//! assert!(scrape.contains(r#"towpath_channel_sends_total{network="rides",channel="requests"} 1"#));
//! ```
//!
//! [`families`] is the table of all there is. A scrape shows the channels that have a [name](towpath::Sender::named) and the processes of
//! scopes, supervisors and networks; with [`install`](Metrics::install), also how long they waited. Whoever knows other numbers adds a
//! [`Source`].
//!
//! # What it costs
//! - Nothing for a message that does not wait: a channel's totals are its positions, read at the scrape.
//! - With the probe: a clock, twice, for an operation that waits; where waits are frequent for one in up to 64, which counts for all.
//! - A scrape takes a [snapshot](towpath::observe::snapshot()) and its analysis: some milliseconds for thousands of processes.
//!
//! `towpath-bench observe` measures it; docs/bench.md has the numbers.
//!
//! # What the numbers mean
//! - A channel or process that has gone leaves its counters: they go on when another of that name comes, and do not go back. (Without the
//!   probe it is not known what a channel did after the last scrape that saw it.) Names are kept for 4096 that have gone, the others
//!   are `(others)`. What is in a channel when its last receiver goes is dropped, and counts as received.
//! - A [`Source`]'s counters do not go back either: one that begins again is counted on from where it was, and one that is told no more
//!   stays where it is.
//! - [Wait times](families::CHANNEL_SEND_WAIT) are those of operations that had to wait. A channel on which nobody waited has none.
//! - [Busy](families::PROCESS_BUSY) is the time not [blocked](families::PROCESS_BLOCKED). Where waits are millions a second, both are estimates, right on
//!   average. A wait behind such a burst that is shorter than the time between two scrapes may be taken for busy.

pub mod families;
mod kept;
mod scrape;
mod source;
mod waits;
mod write;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use towpath::{probe, rt, waitfor::Options};

pub use self::{
    families::{Family, Kind},
    source::{Samples, Source, Value},
    waits::WaitProbe,
};
use self::{kept::Kept, scrape::Memory, source::Names, waits::Books};

/// The content type of what [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// For how long somebody waits, for whom nobody known can come, before it is a suspect.
const SUSPECT_AFTER: Duration = Duration::from_secs(60);

/// Scrapes a running program. Cloning copies a pointer.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    network: String,
    /// What the names of channels begin with that is not shown.
    prefix: String,
    hides: fn(&str) -> bool,
    books: Arc<Books>,
    state: Mutex<State>,
    sources: Mutex<Vec<Weak<dyn Source>>>,
}

struct State {
    memory: Memory,
    kept: Kept,
    options: Options,
    took: Duration,
}

impl Metrics {
    /// Metrics with this label `network`. It shows all that the program shows its observers.
    pub fn new(network: impl Into<String>) -> Self {
        Self::make(network.into(), String::new(), |_| false)
    }

    /// As [`new`](Self::new), for the one network of a program: its channels go by the names they have in it (`requests`, not
    /// `rides/requests`), and processes that `hides` says yes to are left out.
    ///
    /// ```
    /// # use towpath::bounded;
    /// # use towpath_observe::metrics::Metrics;
    /// let metrics = Metrics::of_network("rides", |process| process.starts_with("supervisor"));
    /// let (requests, _rx) = bounded::<u32>(256);
    /// let _requests = requests.named("rides/requests");
    /// assert!(metrics.scrape().contains(r#"towpath_channel_length{network="rides",channel="requests"} 0"#));
    /// ```
    pub fn of_network(network: impl Into<String>, hides: fn(&str) -> bool) -> Self {
        let network = network.into();
        let prefix = format!("{network}/");
        Self::make(network, prefix, hides)
    }

    fn make(network: String, prefix: String, hides: fn(&str) -> bool) -> Self {
        let options = Options::new().suspect_after(SUSPECT_AFTER);
        let (memory, kept) = Default::default();
        let state = State { memory, kept, options, took: Duration::ZERO };
        let shared = Shared {
            network,
            prefix,
            hides,
            books: Arc::default(),
            state: Mutex::new(state),
            sources: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Counts a process as stuck with the grade `suspect` when it has waited for this long and nobody known can help; without this, after a
    /// minute.
    #[must_use]
    pub fn with_suspect_after(self, age: Duration) -> Self {
        self.state().options.suspect_after = Some(age);
        self
    }

    /// Also asks `source` at each scrape, for as long as somebody else keeps it.
    pub fn add<S: Source + 'static>(&self, source: &Arc<S>) {
        let source: Arc<dyn Source> = source.clone();
        self.sources().push(Arc::downgrade(&source));
    }

    /// The probe that times waits, for a program that has one of its own and calls this from there.
    pub fn probe(&self) -> WaitProbe {
        WaitProbe { books: self.shared.books.clone(), every_wait: false }
    }

    /// Makes [`probe`](Self::probe) the program's. Best done before anything is started: what began before is seen by scrapes alone.
    ///
    /// # Errors
    /// [`InstallError`](probe::InstallError): the program has another probe. Call this one from there.
    pub fn install(&self) -> Result<(), probe::InstallError<WaitProbe>> {
        probe::install(self.probe())
    }

    /// Writes a scrape behind what is in `out`: OpenMetrics text, ended by `# EOF`. To be served as [`CONTENT_TYPE`].
    ///
    /// Two at a time take turns.
    ///
    /// # Errors
    /// None that is known: a `String` takes all that is written. An error would be the encoder's.
    pub fn encode(&self, out: &mut String) -> fmt::Result {
        let Shared { prefix, hides, .. } = &*self.shared;
        let names = Names { prefix, hides: *hides };
        let (mut samples, mut told) = (Samples::new(names), Samples::new(names));
        let sources = {
            let mut sources = self.sources();
            sources.retain(|source| source.strong_count() > 0);
            sources.clone()
        };
        let mut state = self.state();
        let began = rt::now();
        let State { memory, kept, options, took } = &mut *state;
        memory.scrape(began, &self.shared.books, options, &mut samples);
        samples.put(&families::SCRAPE, &[], *took);
        for source in sources.iter().filter_map(Weak::upgrade) {
            source.collect(&mut told);
        }
        kept.add(told, &mut samples);
        let written = write::write(&self.shared.network, samples, out);
        *took = rt::now().saturating_duration_since(began);
        written
    }

    /// A scrape, as [`encode`](Self::encode) writes it.
    pub fn scrape(&self) -> String {
        let mut out = String::new();
        let written = self.encode(&mut out);
        debug_assert!(written.is_ok(), "a string takes everything");
        out
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> std::sync::MutexGuard<'_, Vec<Weak<dyn Source>>> {
        self.shared.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("network", &self.shared.network).finish_non_exhaustive()
    }
}
