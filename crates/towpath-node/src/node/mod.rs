//! A network of a file at work: what can be seen of it, and what it can be told.
//!
//! ```text
//!   Node ── calls ──▶ Work ── owns ──▶ the running network        one task drives it, and ends with it
//!     │                                   │
//!     └── looks at ──▶ lines and seats ◀──┘                       what is shared: counters, orders, taps
//! ```

mod change;
mod look;
mod measure;
mod reload;
mod work;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indexmap::IndexMap;
use serde_json::Value;
use towpath::{
    Ctx, Sender, Traced, bounded,
    network::{Graph, WiringError},
    rt,
    waitfor::{Options, Report},
};
use towpath_observe::metrics::Metrics;
use towpath_patterns::yaml::{LoadError, Problem};

pub use change::Change;
pub use reload::Reloaded;
use work::Call;
pub use work::Work;

use crate::{
    assemble::{Places, Plan, assemble, plan},
    component::Registry,
    facet::Facet,
    file::NetworkFile,
    home::{Setup, Shared},
    line::{NotInjected, Tap},
    ports::Message,
    seat::{Order, Seat},
    state::{ErrorState, State, Status, Why},
};

/// Calls that wait for the task that drives the network: people's, so few.
const CALLS: usize = 4;

/// A reload has one answer.
const REPLY: usize = 1;

/// A network of a file at work. Clones are handles on the same one.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    metrics: Metrics,
    shared: Arc<Shared>,
    started: Instant,
    status: Mutex<Status>,
    now: Mutex<Arc<Generation>>,
    calls: Sender<Call>,
}

/// A network from one reload to the next.
#[derive(Debug)]
struct Generation {
    number: u64,
    file: NetworkFile,
    plan: Plan,
    places: Arc<Places>,
}

/// Why a network could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The file is wrong.
    File(LoadError),
    /// The parts do not fit together, and the check has not noticed.
    Wiring(WiringError),
    /// The network has ended.
    Ended,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Wiring(error) => error.fmt(f),
            Self::Ended => f.write_str("the network has ended"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<LoadError> for StartError {
    fn from(error: LoadError) -> Self {
        Self::File(error)
    }
}

impl From<WiringError> for StartError {
    fn from(error: WiringError) -> Self {
        Self::Wiring(error)
    }
}

/// There is nothing of that name, or it takes nothing: in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotThere(String);

impl NotThere {
    fn new<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        let hint = towpath_patterns::yaml::hint(name, known);
        Self(format!("there is no {what} `{name}`{hint}"))
    }
}

impl fmt::Display for NotThere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotThere {}

impl Node {
    /// Starts a network. What comes back second drives it, and has to be [run](Work::run).
    ///
    /// # Errors
    /// Something is wrong with the file.
    pub fn start(
        file: NetworkFile,
        registry: Registry,
        setup: &Setup,
        ctx: &Ctx,
    ) -> Result<(Self, Work), StartError> {
        let plan = plan(&file, &registry)?;
        Self::start_with(file, plan, registry, setup, ctx)
    }

    /// As [`start`](Self::start), with a plan that was made of the file before.
    pub(crate) fn start_with(
        file: NetworkFile,
        plan: Plan,
        registry: Registry,
        setup: &Setup,
        ctx: &Ctx,
    ) -> Result<(Self, Work), StartError> {
        let shared = Shared::new(&file.name.text, &file.path, setup);
        // Before anything is started: it is told of all.
        let metrics = measure::metrics(&file.name.text, setup);
        let (network, places) = assemble(&file, &plan, &shared, &mut IndexMap::new(), &[]);
        let running = network.start(ctx)?;
        let (calls, received) = bounded(CALLS);
        let generation = Arc::new(Generation { number: 1, file, plan, places: Arc::new(places) });
        let inner = Inner {
            registry,
            metrics,
            shared,
            started: rt::now(),
            status: Mutex::new(Status::Running),
            now: Mutex::new(generation),
            calls,
        };
        let node = Self { inner: Arc::new(inner) };
        node.measured(setup);
        let work = Work::new(node.clone(), running, received, ctx);
        Ok((node, work))
    }

    /// What is allowed in its file and probably not meant.
    pub fn warnings(&self) -> Vec<Problem> {
        self.now().plan.warnings.clone()
    }

    /// How it is.
    pub fn state(&self) -> State {
        look::state(self)
    }

    /// Its graph.
    pub fn graph(&self) -> Graph {
        self.now().plan.graph.clone()
    }

    /// The file that it runs.
    pub fn file(&self) -> NetworkFile {
        self.now().file.clone()
    }

    /// What its processes can use.
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// How long it has been there, in milliseconds.
    pub(crate) fn uptime_ms(&self) -> u64 {
        millis(rt::now().saturating_duration_since(self.inner.started))
    }

    /// Who waits for whom.
    pub fn report(&self) -> Report {
        towpath::observe::snapshot().analyse(&Options::new())
    }

    /// Why a process waits.
    ///
    /// # Errors
    /// There is no such process.
    pub fn why(&self, process: &str) -> Result<Why, NotThere> {
        self.seat(process)?;
        Ok(look::why(self, process))
    }

    /// Every process with its wait, for people.
    pub fn dump(&self) -> String {
        look::dump(self)
    }

    /// Lets a process take nothing more until it is [resumed](Self::resume). What it has it finishes.
    ///
    /// # Errors
    /// There is no such process.
    pub fn pause(&self, process: &str) -> Result<(), NotThere> {
        self.seat(process)?.order(Order::Pause);
        Ok(())
    }

    /// Lets a process go on.
    ///
    /// # Errors
    /// There is no such process.
    pub fn resume(&self, process: &str) -> Result<(), NotThere> {
        self.seat(process)?.order(Order::Go);
        Ok(())
    }

    /// Copies of the messages of a channel from now on, with room for so many that are not fetched at once.
    ///
    /// # Errors
    /// There is no such channel.
    pub fn tap(&self, channel: &str, room: usize) -> Result<Tap, NotThere> {
        let now = self.now();
        let line = now.places.lines.iter().find(|line| line.name == channel);
        let names = now.places.lines.iter().map(|line| line.name.as_str());
        line.map(|line| line.tap(room)).ok_or_else(|| NotThere::new("channel", channel, names))
    }

    /// Has each message of a channel seen where it is sent, from now until a reload changes the channel.
    ///
    /// # Errors
    /// There is no such channel.
    pub(crate) fn look(
        &self,
        channel: &str,
        look: impl Fn(&Message) + Send + Sync + 'static,
    ) -> Result<(), NotThere> {
        let now = self.now();
        let names = now.places.lines.iter().map(|line| line.name.as_str());
        let line = now.places.lines.iter().find(|line| line.name == channel);
        line.ok_or_else(|| NotThere::new("channel", channel, names))?.look(look);
        Ok(())
    }

    /// Puts a message into a channel, past those that wait in it.
    ///
    /// # Errors
    /// There is no such channel; or so many have been put in that nobody has received yet, or its receiver has gone: in words.
    pub fn inject(&self, channel: &str, message: Value) -> Result<(), NotThere> {
        let now = self.now();
        let names = now.places.lines.iter().map(|line| line.name.as_str());
        let line = now.places.lines.iter().find(|line| line.name == channel);
        let line = line.ok_or_else(|| NotThere::new("channel", channel, names))?;
        let told = match line.inject(Traced::from(message)) {
            Ok(()) => return Ok(()),
            Err(NotInjected::Full) => {
                format!(
                    "channel `{channel}` has too much put into it that nobody receives: try later"
                )
            }
            Err(NotInjected::Ended) => {
                format!("nobody receives from channel `{channel}` any more: its process has ended")
            }
        };
        Err(NotThere(told))
    }

    /// What processes let people see: the process with what it has.
    pub fn facets(&self) -> Vec<(String, Arc<dyn Facet>)> {
        self.inner.shared.board.all()
    }

    /// What a process lets people see.
    ///
    /// # Errors
    /// There is no such process, or it has nothing of the kind.
    pub fn facet(&self, process: &str) -> Result<Arc<dyn Facet>, NotThere> {
        self.seat(process)?;
        let facet = self.inner.shared.board.get(process);
        facet.ok_or_else(|| {
            NotThere(format!("process `{process}` has nothing to show besides its channels"))
        })
    }

    /// What went wrong lately, the latest first.
    pub fn errors(&self, most: usize) -> Vec<ErrorState> {
        let now = rt::now();
        let troubles = self.inner.shared.troubles(most).into_iter();
        troubles
            .map(|trouble| ErrorState {
                process: trouble.process,
                text: trouble.text,
                ago_ms: millis(now.saturating_duration_since(trouble.at)),
                kind: if trouble.failed { "failed" } else { "refused" }.to_owned(),
            })
            .collect()
    }

    /// Lets the network finish what it has begun, and ends it; [`Work::run`] says how that went.
    ///
    /// # Cancel safety
    /// Dropped before completion, the network may or may not have been told.
    pub async fn drain(&self, within: Duration) {
        // Without somebody who drives it the network has ended.
        let _ = self.inner.calls.send(Call::Drain { within }).await;
    }

    /// What another text of the file would change; nothing is done.
    ///
    /// # Errors
    /// The text is no network, or one of another name.
    pub fn plan(&self, text: &str) -> Result<Vec<Change>, StartError> {
        let (file, plan) = self.read(text)?;
        let now = self.now();
        Ok(change::difference((&now.file, &now.plan), (&file, &plan)).changes)
    }

    /// Changes to another text of the file, while everything runs, and without losing a message. Each process that changes has `within`
    /// to finish what it has taken; if one cannot, or fails with what is new, everything is as it was. Processes that were paused may go
    /// on.
    ///
    /// # Errors
    /// The text is no network, or one of another name; the network has ended.
    ///
    /// # Cancel safety
    /// Dropped before completion, the change is made or not made, and nobody says which.
    pub async fn reload(&self, text: &str, within: Duration) -> Result<Reloaded, StartError> {
        let (file, plan) = self.read(text)?;
        let (reply, mut replied) = bounded(REPLY);
        let (file, plan) = (Box::new(file), Box::new(plan));
        // Without somebody who drives it the network has ended, and nobody replies.
        let _ = self.inner.calls.send(Call::Reload { file, plan, within, reply }).await;
        replied.recv().await.ok_or(StartError::Ended)
    }

    /// What is shared by all of its processes.
    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    fn read(&self, text: &str) -> Result<(NetworkFile, Plan), StartError> {
        let now = self.now();
        let file = NetworkFile::read(&now.file.path, text, &now.file.set)?;
        if file.name.text != now.file.name.text {
            let problem = Problem::new(
                file.name.place,
                format!(
                    "the network that runs is `{}`: start another one beside it, or keep the name",
                    now.file.name.text
                ),
            );
            return Err(LoadError::new(&file.path, text, vec![problem]).into());
        }
        let plan = plan(&file, &self.inner.registry)?;
        Ok((file, plan))
    }

    fn now(&self) -> Arc<Generation> {
        lock(&self.inner.now).clone()
    }

    fn seat(&self, process: &str) -> Result<Arc<Seat>, NotThere> {
        let now = self.now();
        let seats = &now.places.seats;
        let found = seats.iter().find(|seat| seat.name == process).cloned();
        let names = seats.iter().map(|seat| seat.name.as_str());
        found.ok_or_else(|| NotThere::new("process", process, names))
    }

    /// What it is about.
    pub(crate) fn status(&self) -> Status {
        *lock(&self.inner.status)
    }

    fn set_status(&self, status: Status) {
        *lock(&self.inner.status) = status;
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = self.now();
        f.debug_struct("Node")
            .field("network", &now.file.name.text)
            .field("generation", &now.number)
            .finish_non_exhaustive()
    }
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics and leaves them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
