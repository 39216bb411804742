//! What a process has of its node: its data, its files, its facet, and what outlives it.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indexmap::IndexMap;
use serde_json::Value;
use towpath::{BoxError, rt};
use towpath_journal::{Disk, Options, RealDisk, Writer};
use towpath_observe::{
    otlp::Exporter,
    span::{Sampling, Tracer},
};

use crate::{
    facet::{Board, Facet, Shown},
    seat::Seat,
};

/// Errors that are kept for whoever asks what went wrong lately.
const ERRORS_KEPT: usize = 1000;

/// Where a node has its files.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The directory of everything that must survive: journals, and how far files were read.
    pub data: PathBuf,
    /// What journals are written to.
    pub disk: Arc<dyn Disk>,
    /// Which traces are recorded that begin here.
    pub sampling: Sampling,
    /// Who is given the spans that are recorded, besides those who look at the node.
    pub exporter: Option<Arc<Exporter>>,
    /// Waits are timed, for the node's metrics.
    pub timed: bool,
}

impl Setup {
    /// With this data directory, on the disk of the machine. No trace begins, and waits are not timed.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let sampling = Sampling::NONE;
        Self { data: data.into(), disk: Arc::new(RealDisk), sampling, exporter: None, timed: false }
    }

    /// Records what this says of the traces that begin in the network; those of callers who record theirs are recorded anyway.
    #[must_use]
    pub fn sampled(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Gives spans to `exporter` too.
    #[must_use]
    pub fn exported(self, exporter: Arc<Exporter>) -> Self {
        Self { exporter: Some(exporter), ..self }
    }

    /// Times waits, for histograms and totals of the metrics. A program has one [probe](towpath::probe); one that has another already keeps
    /// that, and waits are not timed.
    #[must_use]
    pub fn timed(self) -> Self {
        Self { timed: true, ..self }
    }

    /// On another disk.
    #[must_use]
    pub fn on(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("data", &self.data).finish_non_exhaustive()
    }
}

/// Something that went wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Trouble {
    /// Whose.
    pub process: String,
    /// What.
    pub text: String,
    /// Whether it was the end of a run, and not of one message.
    pub failed: bool,
    /// When.
    pub at: Instant,
}

/// Something that was read from files and can be read again while it is in use, as certificates can.
pub(crate) trait Renews: Send + Sync {
    /// Reads it again; what there is to change, if it is another by now. Nothing has changed yet.
    ///
    /// # Errors
    /// In words: it cannot be used.
    fn read_again(self: Arc<Self>) -> Result<Option<Again>, String>;
}

/// Something that was read again.
pub(crate) struct Again {
    /// What, in words.
    pub(crate) told: String,
    /// Puts it in place.
    pub(crate) change: Box<dyn FnOnce() + Send>,
}

/// What all processes of a node share.
pub(crate) struct Shared {
    network: String,
    pub(crate) tracer: Arc<Tracer>,
    /// The folder of the network file.
    base: PathBuf,
    setup: Setup,
    pub(crate) board: Board,
    /// The network ends: who leaves has nobody who comes after.
    pub(crate) draining: AtomicBool,
    kept: Mutex<BTreeMap<String, Arc<dyn Any + Send + Sync>>>,
    troubles: Mutex<VecDeque<Trouble>>,
    /// For as long as somebody uses them.
    renewing: Mutex<Vec<Weak<dyn Renews>>>,
}

impl Shared {
    pub(crate) fn new(network: &str, file: &str, setup: &Setup) -> Arc<Self> {
        let base = Path::new(file).parent().unwrap_or(Path::new("")).to_owned();
        let tracer = match &setup.exporter {
            Some(exporter) => Tracer::exporting(setup.sampling, exporter.clone()),
            None => Tracer::new(setup.sampling),
        };
        Arc::new(Self {
            network: network.to_owned(),
            tracer: Arc::new(tracer),
            base,
            setup: setup.clone(),
            board: Board::default(),
            draining: AtomicBool::new(false),
            kept: Mutex::default(),
            troubles: Mutex::default(),
            renewing: Mutex::default(),
        })
    }

    pub(crate) fn tracer(&self) -> Tracer {
        (*self.tracer).clone()
    }

    /// From now on this is read again when the node reads its file again.
    pub(crate) fn renews(&self, thing: &Arc<impl Renews + 'static>) {
        let thing: Weak<dyn Renews> = Arc::downgrade(thing) as _;
        let mut renewing = lock(&self.renewing);
        renewing.retain(|it| it.strong_count() > 0);
        renewing.push(thing);
    }

    /// Reads all of that again.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be used.
    pub(crate) fn read_again(&self) -> Result<Vec<Again>, String> {
        let all: Vec<_> = lock(&self.renewing).iter().filter_map(Weak::upgrade).collect();
        all.into_iter().filter_map(|it| it.read_again().transpose()).collect()
    }

    pub(crate) fn trouble(&self, process: &str, text: String, failed: bool) {
        let mut troubles = lock(&self.troubles);
        if troubles.len() == ERRORS_KEPT {
            troubles.pop_front();
        }
        troubles.push_back(Trouble { process: process.to_owned(), text, failed, at: rt::now() });
    }

    /// The latest first.
    pub(crate) fn troubles(&self, most: usize) -> Vec<Trouble> {
        lock(&self.troubles).iter().rev().take(most).cloned().collect()
    }

    pub(crate) fn last_trouble(&self, process: &str) -> Option<(String, Duration)> {
        let troubles = lock(&self.troubles);
        let last = troubles.iter().rev().find(|trouble| trouble.process == process)?;
        Some((last.text.clone(), rt::now().saturating_duration_since(last.at)))
    }

    /// The last of each process, found in one walk: for whoever asks for all of them.
    pub(crate) fn last_troubles(&self) -> BTreeMap<String, (String, Duration)> {
        let now = rt::now();
        let mut last = BTreeMap::new();
        for Trouble { process, text, at, .. } in lock(&self.troubles).iter().rev() {
            if !last.contains_key(process) {
                let ago = now.saturating_duration_since(*at);
                last.insert(process.clone(), (text.clone(), ago));
            }
        }
        last
    }
}

/// What a process has of its node.
#[derive(Clone)]
pub struct Home {
    pub(crate) shared: Arc<Shared>,
    pub(crate) seat: Arc<Seat>,
}

impl Home {
    /// The network's name.
    pub fn network(&self) -> &str {
        &self.shared.network
    }

    /// The process's name.
    pub fn process(&self) -> &str {
        &self.seat.name
    }

    /// Opens a journal of this process. It is where the last one of that name was, also after a crash: in the node's data directory,
    /// under the names of network and process. `part` tells several of one process apart; it may be empty.
    ///
    /// # Errors
    /// As [`Writer::open`]; the journal is open already, or cannot be read.
    pub fn journal(&self, part: &str) -> Result<Writer, BoxError> {
        self.journal_with(part, &Options::new())
    }

    /// As [`journal`](Self::journal), with options.
    ///
    /// # Errors
    /// As there.
    pub fn journal_with(&self, part: &str, options: &Options) -> Result<Writer, BoxError> {
        let setup = &self.shared.setup;
        Ok(options.open_on(setup.disk.clone(), self.data(part))?)
    }

    /// A place in the data directory that is this process's alone.
    pub fn data(&self, part: &str) -> PathBuf {
        let process = match part {
            "" => self.process().to_owned(),
            part => format!("{}-{part}", self.process()),
        };
        self.shared.setup.data.join(self.network()).join(process)
    }

    /// A path that the network file names: relative to its folder.
    pub fn reads(&self, path: impl AsRef<Path>) -> PathBuf {
        self.shared.base.join(path)
    }

    /// Lets people see, and do, what the facet has, for as long as what comes back lives.
    pub fn show(&self, facet: impl Facet + 'static) -> Shown {
        self.shared.board.show(self.process(), Arc::new(facet))
    }

    /// What is kept for this process under that name, made when it is asked for the first time. It stays through restarts of the process
    /// and changes of its file, as a listening socket should.
    ///
    /// # Errors
    /// What `make` fails with; or there is something of another type under that name.
    pub fn kept<T: Any + Send + Sync>(
        &self,
        name: &str,
        make: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<Arc<T>> {
        let name = format!("{}/{name}", self.process());
        let mut kept = lock(&self.shared.kept);
        let thing = match kept.get(&name) {
            Some(thing) => thing.clone(),
            None => {
                let thing: Arc<dyn Any + Send + Sync> = Arc::new(make()?);
                kept.insert(name.clone(), thing.clone());
                thing
            }
        };
        thing
            .downcast()
            .map_err(|_| io::Error::other(format!("`{name}` is kept with another type")))
    }

    /// From now on this is read again when the node reads its file again.
    pub(crate) fn renews(&self, thing: &Arc<impl Renews + 'static>) {
        self.shared.renews(thing);
    }

    /// Whether the network ends, so that nobody takes the place of a process that is told to leave.
    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Notes that something went wrong, for whoever asks what did lately. Refused messages are noted by themselves.
    pub fn trouble(&self, text: impl fmt::Display) {
        self.shared.trouble(self.process(), text.to_string(), false);
    }

    pub(crate) fn refused(&self, why: &str) {
        self.seat.refused.fetch_add(1, Ordering::Relaxed);
        self.shared.trouble(self.process(), why.to_owned(), false);
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("network", &self.network())
            .field("process", &self.process())
            .finish_non_exhaustive()
    }
}

/// Where a process stands in its file: what its options may refer to. Known before anything runs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Site {
    /// The folder of the network file.
    pub base: PathBuf,
    /// The process's name.
    pub process: String,
    /// For each port with a channel whose type the file declares, the JSON Schema of that type.
    pub schemas: IndexMap<String, Value>,
}

impl Site {
    /// A path that the network file names: relative to its folder.
    pub fn reads(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics and leaves them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
