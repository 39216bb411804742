//! Starts a coordinator: definitions and limits in, a handle out.

use std::collections::BTreeMap;
use std::sync::Arc;

use towpath::{BoxError, Scope, Sender, bounded, unbounded};
use towpath_journal::Writer;

use super::definition::Saga;
use super::error::Error;
use super::handle::{Alert, Handle};
use super::keep::{Found, recover};
use super::run::Run;

/// Requests that wait for the coordinator. Who asks waits for the answer anyway; this many make a good batch.
const REQUEST_CAPACITY: usize = 1024;

/// Batches on their way to the journal: one, while the next is filled.
const BATCH_CAPACITY: usize = 1;

/// Sagas that go on in a second when many go on at once, unless said otherwise.
///
/// What they call has just come back too, perhaps; a thousand a second is little for the coordinator and much for most of them.
pub const RESUME_PER_SECOND: u32 = 1_000;

/// Unfinished sagas that are allowed, unless said otherwise. Each takes about a kilobyte.
pub const UNFINISHED_MAX: usize = 1_000_000;

/// Finished sagas that are remembered with their outcomes, unless said otherwise, so that a start that comes twice is one.
pub const FINISHED_KEPT: usize = 65_536;

/// Bytes of an id that are allowed.
pub const ID_BYTES_MAX: usize = 200;

/// Bytes of an input, of a signal, or of an output with its effects, that are allowed. What is larger belongs into a store, with
/// its name in here: all of it is kept in memory and in every checkpoint while the saga is unfinished.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Bytes of records after which a checkpoint is written; more if the state itself is large.
const CHECKPOINT_BYTES: usize = 16 << 20;

/// A definition as the coordinator uses it.
pub(super) struct Defined {
    pub(super) saga: Saga,
    pub(super) shape: u64,
    pub(super) names: Arc<[Arc<str>]>,
}

pub(super) type Definitions = BTreeMap<Arc<str>, BTreeMap<u32, Arc<Defined>>>;

/// What to do with sagas in the journal whose version is not registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orphans {
    /// Refuse to start, and name the first.
    #[default]
    Refuse,
    /// Keep them as they are, with an [`Alert`] for each, and let the others go on.
    Hold,
}

pub(super) struct Limits {
    pub(super) resume_per_second: u32,
    pub(super) unfinished: usize,
    pub(super) finished: usize,
    pub(super) checkpoint_bytes: usize,
}

/// A coordinator that is being put together.
///
/// One process that owns a journal and all sagas in it. It calls nobody before what it is about to do is durable.
///
/// Two coordinators of one journal cannot be: the second [`Writer`] is refused while the first is open.
#[must_use = "nothing runs until it is started"]
pub struct Coordinator {
    definitions: Definitions,
    mistake: Option<Error>,
    alerts: Option<Sender<Alert>>,
    orphans: Orphans,
    limits: Limits,
}

impl Coordinator {
    /// No definitions yet.
    #[expect(clippy::new_without_default, reason = "one without definitions is of no use")]
    pub fn new() -> Self {
        let limits = Limits {
            resume_per_second: RESUME_PER_SECOND,
            unfinished: UNFINISHED_MAX,
            finished: FINISHED_KEPT,
            checkpoint_bytes: CHECKPOINT_BYTES,
        };
        let orphans = Orphans::default();
        Self { definitions: BTreeMap::new(), mistake: None, alerts: None, orphans, limits }
    }

    /// Registers a version of a saga. Sagas are started in the newest, and go on in the one they were started in.
    pub fn define(mut self, saga: Saga) -> Self {
        let name = Arc::clone(&saga.plan.name);
        let version = saga.plan.version;
        if let Some(mistake) = saga.mistake() {
            let saga = Arc::clone(&name);
            self.mistake.get_or_insert(Error::Definition { saga, mistake });
        }
        let names = saga.plan.steps.iter().map(|step| Arc::clone(&step.name)).collect();
        let defined = Defined { shape: saga.plan.shape(), names, saga };
        let versions = self.definitions.entry(Arc::clone(&name)).or_default();
        if versions.insert(version, Arc::new(defined)).is_some() {
            let mistake = format!("version {version} is registered twice");
            self.mistake.get_or_insert(Error::Definition { saga: name, mistake });
        }
        self
    }

    /// Where to report what a person should know. Without it, [`Handle::list`] tells who looks.
    ///
    /// Alerts wait in the coordinator while the channel is full, and those of sagas that are still held come again after a
    /// restart.
    pub fn alerts(mut self, to: Sender<Alert>) -> Self {
        self.alerts = Some(to);
        self
    }

    /// How many sagas go on in a second after a restart, or when many are resumed; [`RESUME_PER_SECOND`] unless said.
    pub fn resume_per_second(mut self, sagas: u32) -> Self {
        self.limits.resume_per_second = sagas.max(1);
        self
    }

    /// How many sagas may be unfinished; [`UNFINISHED_MAX`] unless said. More are refused.
    pub fn unfinished_max(mut self, sagas: usize) -> Self {
        self.limits.unfinished = sagas;
        self
    }

    /// How many finished sagas are remembered; [`FINISHED_KEPT`] unless said. An id that was forgotten can be started again.
    pub fn finished_kept(mut self, sagas: usize) -> Self {
        self.limits.finished = sagas;
        self
    }

    /// After how many bytes of records a checkpoint is written, at least; 16 MiB unless said. It bounds what a start reads.
    pub fn checkpoint_after(mut self, bytes: usize) -> Self {
        self.limits.checkpoint_bytes = bytes.max(1);
        self
    }

    /// What to do with sagas whose version is not registered.
    pub fn orphans(mut self, orphans: Orphans) -> Self {
        self.orphans = orphans;
        self
    }

    /// Reads the journal, then runs in this scope until its context ends; what is under way then is in doubt and called again
    /// after the next start. A failing journal fails the scope, since what is durable is not known any more.
    ///
    /// # Errors
    /// [`Error::Definition`], [`Error::Version`], [`Error::Changed`], [`Error::Malformed`], [`Error::Misplaced`],
    /// [`Error::Journal`]; [`Error::Gone`] when the scope has ended.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, nothing was started, and the journal is closed when it has been read.
    pub async fn start(
        self,
        scope: &Scope,
        name: &'static str,
        writer: Writer,
    ) -> Result<Handle, Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let reading = scope.spawn_blocking(name, move |_| {
            let found = recover(&writer);
            Ok::<_, BoxError>((writer, found))
        });
        let (writer, found) = reading.await.map_err(|_| Error::Gone)?;
        let found = found?;
        if self.orphans == Orphans::Refuse {
            check(&self.definitions, &found)?;
        }
        let (requests, at_requests) = bounded(REQUEST_CAPACITY);
        let (batches, at_batches) = bounded(BATCH_CAPACITY);
        // One answer for each call, one notice for each batch: as many as there are sagas.
        let (notices, at_notices) = unbounded();
        let told = notices.clone();
        scope.spawn_blocking(name, move |_| super::keep::keep(writer, at_batches, &told));
        let run = Run::new(self.definitions, self.limits, self.alerts, found, batches, notices);
        let inside = scope.clone();
        scope.spawn(name, move |ctx| run.go(ctx, inside, at_requests, at_notices));
        Ok(Handle { requests: requests.named(name) })
    }
}

/// Whether every unfinished saga has its definition.
fn check(definitions: &Definitions, found: &Found) -> Result<(), Error> {
    for (id, (state, _)) in &found.live {
        let (id, saga) = (Arc::clone(id), Arc::clone(&state.plan));
        let versions = definitions.get(&saga);
        match versions.and_then(|versions| versions.get(&state.version)) {
            None => {
                let code = versions.into_iter().flat_map(|it| it.keys().copied()).collect();
                return Err(Error::Version { id, saga, journal: state.version, code });
            }
            Some(defined) if defined.shape != state.shape => {
                return Err(Error::Changed { id, saga, version: state.version });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl Defined {
    /// What a step's call, or its compensation's, is named, and whom it is for.
    pub(super) fn target(
        &self,
        step: usize,
        undo: bool,
    ) -> (Arc<str>, Option<&Sender<super::Call>>) {
        let name = match &self.saga.plan.steps[step].kind {
            super::plan::Kind::Call { undo: Some((name, _)), .. } if undo => Arc::clone(name),
            _ => Arc::clone(&self.names[step]),
        };
        let (action, compensation) = &self.saga.targets[step];
        (name, if undo { compensation.as_ref() } else { action.as_ref() })
    }
}
