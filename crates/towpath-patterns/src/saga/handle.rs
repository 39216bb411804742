//! What others ask of a coordinator, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use towpath::{Ctx, Headers, Sender, bounded};
use towpath_journal::Lsn;

use super::error::Error;
use super::record::{Record, Rest, Why, bytes};
use super::state::{Phase, State};
use crate::leb128;

/// An answer is sent once and never waits.
const REPLY_CAPACITY: usize = 1;

/// How a saga ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Completed {
        /// What the last step answered.
        output: Arc<[u8]>,
    },
    /// Everything that was done, or may have been, is taken back.
    Compensated {
        /// The place of the step that made it turn back.
        step: u16,
        /// Why it did.
        reason: String,
    },
    /// It cannot go on without a person. It is kept, and may still be resumed and end otherwise.
    DeadLettered {
        /// The place of the step that cannot be done or taken back.
        step: u16,
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Of a saga that has ended.
    pub(super) fn of(state: &State) -> Option<Self> {
        let (step, reason) = state.trouble().unwrap_or_default();
        let reason = reason.to_owned();
        match state.phase() {
            Phase::Completed => {
                Some(Self::Completed { output: state.outputs.last().cloned().unwrap_or_default() })
            }
            Phase::Compensated => Some(Self::Compensated { step, reason }),
            _ => None,
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Completed { output } => {
                out.push(0);
                bytes(out, output);
            }
            Self::Compensated { step, reason } | Self::DeadLettered { step, reason } => {
                out.push(1);
                leb128::put(out, u64::from(*step));
                bytes(out, reason.as_bytes());
            }
        }
    }

    pub(super) fn read(rest: &mut Rest<'_>) -> Option<Self> {
        Some(match rest.byte()? {
            0 => Self::Completed { output: rest.bytes()?.into() },
            1 => Self::Compensated { step: rest.small()?, reason: rest.str()?.to_owned() },
            _ => return None,
        })
    }
}

/// What a saga is doing, for lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Going from step to step.
    Forward,
    /// Being taken back.
    Back,
    /// Paused by somebody.
    Paused,
    /// Paused, since processes died with its call in hand.
    Quarantined,
    /// Not to go on without a person.
    DeadLettered,
    /// Of a version that is not registered.
    Orphaned,
}

/// One unfinished saga, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: Arc<str>,
    /// Its definition.
    pub saga: Arc<str>,
    /// The version that it was started with.
    pub version: u32,
    /// What it is doing.
    pub status: Status,
    /// The step that is next, under way, or being taken back; empty behind the last.
    pub step: Arc<str>,
    /// Calls of that step so far.
    pub attempt: u32,
    /// Why it is paused, dead or turned back, if it is.
    pub reason: Option<String>,
}

/// One unfinished saga, with everything that the journal says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// In short.
    pub summary: Summary,
    /// From the first.
    pub records: Vec<Record>,
}

/// Which sagas are meant: those to which all that is set applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a filter does nothing by itself"]
pub struct Filter {
    id: Option<Arc<str>>,
    saga: Option<Arc<str>>,
    status: Option<Status>,
    step: Option<Arc<str>>,
    reason: Option<String>,
}

impl Filter {
    /// All unfinished ones.
    pub fn all() -> Self {
        Self::default()
    }

    /// The one of this id.
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Those of this definition.
    pub fn saga(mut self, name: &str) -> Self {
        self.saga = Some(name.into());
        self
    }

    /// Those that are doing this.
    pub fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Those that are at this step.
    pub fn at_step(mut self, step: &str) -> Self {
        self.step = Some(step.into());
        self
    }

    /// Those whose reason contains this text.
    pub fn reason(mut self, part: &str) -> Self {
        self.reason = Some(part.to_owned());
        self
    }

    pub(super) fn one(&self) -> Option<&Arc<str>> {
        self.id.as_ref()
    }

    pub(super) fn fits(&self, it: &Summary) -> bool {
        self.id.as_ref().is_none_or(|id| *id == it.id)
            && self.saga.as_ref().is_none_or(|saga| *saga == it.saga)
            && self.status.is_none_or(|status| status == it.status)
            && self.step.as_ref().is_none_or(|step| *step == it.step)
            && self.reason.as_ref().is_none_or(|part| {
                it.reason.as_ref().is_some_and(|reason| reason.contains(part.as_str()))
            })
    }
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The saga's id; empty when it is about the coordinator.
    pub id: Arc<str>,
    /// What.
    pub what: What,
    /// In words, with what to do.
    pub reason: String,
}

/// What an [`Alert`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum What {
    /// A saga is paused.
    Paused,
    /// A saga is in quarantine.
    Quarantined,
    /// A saga cannot go on without a person.
    DeadLettered,
    /// A saga has a version that is not registered, and is kept as it is.
    Orphaned,
    /// A checkpoint could not be kept. Nothing is lost; the journal grows.
    NoCheckpoint,
}

impl From<Why> for What {
    fn from(why: Why) -> Self {
        match why {
            Why::Asked => Self::Paused,
            Why::Quarantine => Self::Quarantined,
        }
    }
}

/// Whether a request changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It did, durably.
    New,
    /// It had been made before, or nothing was to be changed.
    Before,
    /// A cancellation that came behind the point of no return: the saga goes on.
    TooLate,
}

pub(super) type Reply<T> = Sender<Result<T, Error>>;

/// What a coordinator is asked.
pub(super) enum Request {
    Start {
        saga: Arc<str>,
        id: Arc<str>,
        input: Arc<[u8]>,
        headers: Headers,
        deadline: Option<Instant>,
        watch: Option<Ctx>,
        reply: Reply<Accepted>,
    },
    Outcome {
        id: Arc<str>,
        reply: Reply<Outcome>,
    },
    Signal {
        id: Arc<str>,
        name: Arc<str>,
        dedup: Arc<str>,
        payload: Arc<[u8]>,
        reply: Reply<Accepted>,
    },
    Pause {
        filter: Filter,
        reason: String,
        reply: Reply<usize>,
    },
    Resume {
        filter: Filter,
        reply: Reply<usize>,
    },
    Cancel {
        id: Arc<str>,
        reason: String,
        reply: Reply<Accepted>,
    },
    List {
        filter: Filter,
        reply: Reply<Vec<Summary>>,
    },
    Show {
        id: Arc<str>,
        reply: Reply<History>,
    },
    Release {
        to: Lsn,
        reply: Reply<()>,
    },
    Checkpoint {
        reply: Reply<()>,
    },
}

/// The way to a coordinator. Cloning copies a pointer.
///
/// Every request that changes something is durable when it returns. Dropped before it does, the change may or may not
/// happen; to find out, ask again: all requests may be repeated.
///
/// A coordinator whose handles are all gone ends when none of its sagas can go on.
#[derive(Clone)]
pub struct Handle {
    pub(super) requests: Sender<Request>,
}

impl Handle {
    /// Starts a saga of the newest registered version of a definition. An id that is unfinished or was finished lately is
    /// not started again: [`Accepted::Before`].
    ///
    /// # Errors
    /// [`Error::NoDefinition`], [`Error::Id`], [`Error::Large`], [`Error::Full`], [`Error::Gone`].
    pub async fn start(
        &self,
        saga: &str,
        id: &str,
        input: impl Into<Arc<[u8]>>,
    ) -> Result<Accepted, Error> {
        let (saga, id, input) = (saga.into(), id.into(), input.into());
        let (headers, deadline, watch) = (Headers::none(), None, None);
        self.ask(|reply| Request::Start { saga, id, input, headers, deadline, watch, reply }).await
    }

    /// As [`start`](Self::start), under a context: the saga carries its headers to every call, also after a restart; turns
    /// back when its deadline has passed, also after a restart; and turns back when it is cancelled, for as long as this
    /// process lives.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_under(
        &self,
        ctx: &Ctx,
        saga: &str,
        id: &str,
        input: impl Into<Arc<[u8]>>,
    ) -> Result<Accepted, Error> {
        let (saga, id, input) = (saga.into(), id.into(), input.into());
        let (headers, deadline, watch) = (ctx.headers(), ctx.deadline(), Some(ctx.clone()));
        self.ask(|reply| Request::Start { saga, id, input, headers, deadline, watch, reply }).await
    }

    /// Waits until a saga has ended, or has become a dead letter. A pause is waited through.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is neither unfinished nor remembered, [`Error::Gone`].
    pub async fn outcome(&self, id: &str) -> Result<Outcome, Error> {
        let id = id.into();
        self.ask(|reply| Request::Outcome { id, reply }).await
    }

    /// Tells a saga something. It is kept until a step waits for it; two signals of one name with the same `dedup` are one.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Large`], [`Error::Gone`].
    pub async fn signal(
        &self,
        id: &str,
        name: &str,
        dedup: &str,
        payload: impl Into<Arc<[u8]>>,
    ) -> Result<Accepted, Error> {
        let (id, name, dedup, payload) = (id.into(), name.into(), dedup.into(), payload.into());
        self.ask(|reply| Request::Signal { id, name, dedup, payload, reply }).await
    }

    /// Lets sagas call nobody until they are resumed; what is under way is still waited for. Says how many were paused, and
    /// each gives an [`Alert`].
    ///
    /// # Errors
    /// [`Error::Unknown`] when the filter names an id, [`Error::Gone`].
    pub async fn pause(&self, filter: Filter, reason: &str) -> Result<usize, Error> {
        let reason = reason.to_owned();
        self.ask(|reply| Request::Pause { filter, reason, reply }).await
    }

    /// Lets sagas go on that are paused, in quarantine or dead, with all their tries again. One that is named by its id goes
    /// on before this returns; several go on at the coordinator's pace. Says how many will.
    ///
    /// # Errors
    /// [`Error::Unknown`] when the filter names an id, [`Error::Gone`].
    pub async fn resume(&self, filter: Filter) -> Result<usize, Error> {
        self.ask(|reply| Request::Resume { filter, reply }).await
    }

    /// Turns a saga back, unless it is behind its point of no return. A call that is under way is waited for first. A saga that
    /// is paused stays so, and turns back when it is resumed.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Gone`].
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<Accepted, Error> {
        let (id, reason) = (id.into(), reason.to_owned());
        self.ask(|reply| Request::Cancel { id, reason, reply }).await
    }

    /// The unfinished sagas that fit, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub async fn list(&self, filter: Filter) -> Result<Vec<Summary>, Error> {
        self.ask(|reply| Request::List { filter, reply }).await
    }

    /// Everything the journal says of an unfinished saga.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Gone`].
    pub async fn show(&self, id: &str) -> Result<History, Error> {
        let id = id.into();
        self.ask(|reply| Request::Show { id, reply }).await
    }

    /// Says that whoever reads the effects has made them durable elsewhere, up to this record. Before that the journal
    /// keeps them, whatever is finished.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub async fn release(&self, to: Lsn) -> Result<(), Error> {
        self.ask(|reply| Request::Release { to, reply }).await
    }

    /// Writes a checkpoint now, so that the next start reads little. Otherwise the coordinator does when it is worth it.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub async fn checkpoint(&self) -> Result<(), Error> {
        self.ask(|reply| Request::Checkpoint { reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, mut answer) = bounded(REPLY_CAPACITY);
        self.requests.send(request(reply)).await.map_err(|_| Error::Gone)?;
        answer.recv().await.unwrap_or(Err(Error::Gone))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
