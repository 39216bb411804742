//! A dead letter: what is put, what is kept about it, what is told about it.

use std::{fmt, time::SystemTime};

use towpath::{Headers, process::Name};

use crate::fault::{Class, Fault};

/// The number of a dead letter: unique in its store, for ever, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterId(pub u64);

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a replay: unique in its store, for ever, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplayId(pub u64);

impl fmt::Display for ReplayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A message that could not be handled, on its way to the dead letters.
///
/// ```
/// use towpath_patterns::fault::{Failure, Fault, dead::Letter};
///
/// let error = Failure::schema("field `price` is missing");
/// let letter = Letter::new(*b"{\"order\":7}")
///     .with_key("order-7")
///     .with_fault(Fault::of("parser", &error));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The message, as bytes that can be handled again.
    pub payload: Vec<u8>,
    /// Its idempotency key; empty if it has none of its own.
    pub key: Vec<u8>,
    /// The headers it came with: its trace context.
    pub headers: Headers,
    /// What went wrong with it, oldest first.
    pub faults: Vec<Fault>,
}

impl Letter {
    /// A message of these bytes.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        let (payload, key) = (payload.into(), Vec::new());
        Self { payload, key, headers: Headers::none(), faults: Vec::new() }
    }

    /// Gives it its idempotency key: what is put again under the same key is the same message, and joins its history.
    ///
    /// With a key, a source that delivers twice does not make two letters, and a message that was replayed and failed once more
    /// is the letter that it was.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = key.into();
        self
    }

    /// Gives it headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Adds what went wrong.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }
}

/// One thing that happened to a letter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// It failed: before it became a letter, or when it came back from a replay under its key.
    Failed(Fault),
    /// A replay took it. Without an outcome behind it, whether it had an effect is in doubt.
    Taken {
        /// Which replay.
        replay: ReplayId,
        /// When.
        when: SystemTime,
    },
    /// It failed in a replay.
    FailedAgain {
        /// Which replay.
        replay: ReplayId,
        /// What went wrong.
        fault: Fault,
    },
    /// A replay has handled it.
    Replayed {
        /// Which replay.
        replay: ReplayId,
        /// When.
        when: SystemTime,
    },
    /// It has another content from here on.
    Edited {
        /// When.
        when: SystemTime,
        /// What for.
        note: String,
    },
    /// Somebody decided that it is not to be handled.
    Discarded {
        /// When.
        when: SystemTime,
        /// Why.
        note: String,
    },
}

/// How things stand with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It waits to be replayed or discarded.
    Waiting,
    /// A replay took it and did not say what came of it: it is under way, or the process was killed meanwhile.
    InDoubt,
    /// So many replays were killed over it that it is only taken when it is asked for by its number.
    Quarantined,
    /// A replay has handled it.
    Replayed,
    /// It was discarded.
    Discarded,
}

/// A letter in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its number.
    pub id: LetterId,
    /// How things stand.
    pub status: Status,
    /// The process in which it failed last.
    pub process: Name,
    /// The class of its last failure.
    pub class: Class,
    /// The cause of its last failure.
    pub cause: String,
    /// How often it has failed, replays counted.
    pub failures: u32,
    /// How often a replay took it.
    pub replays: u32,
    /// When it failed first.
    pub first: SystemTime,
    /// When it failed last.
    pub last: SystemTime,
    /// Bytes of its content.
    pub payload_bytes: u64,
}

/// A letter with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// As in a list.
    pub summary: Summary,
    /// Its content; `None` once it was replayed or discarded.
    pub payload: Option<Vec<u8>>,
    /// The idempotency key with which it is replayed.
    pub key: Vec<u8>,
    /// Its headers.
    pub headers: Headers,
    /// What happened to it, oldest first.
    pub history: Vec<Step>,
    /// Steps in the middle of the history that were too many to keep.
    pub omitted: u32,
}

/// Letters that wait and failed last for the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The class.
    pub class: Class,
    /// The cause.
    pub cause: String,
    /// How many.
    pub letters: u64,
    /// The one with the lowest number.
    pub oldest: LetterId,
    /// The one with the highest number.
    pub newest: LetterId,
}

/// Which letters; those that wait and fit all that is said.
///
/// ```
/// use towpath_patterns::fault::{Class, dead::{LetterId, Pick}};
///
/// let one = Pick::one(LetterId(7));
/// let group = Pick::all().class(Class::Schema).cause("field `price` is missing");
/// assert_eq!(group.to_string(), "class schema, cause \"field `price` is missing\"");
/// # let _ = one;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pick {
    pub(super) id: Option<LetterId>,
    pub(super) class: Option<Class>,
    pub(super) cause: Option<String>,
    pub(super) process: Option<String>,
}

impl Pick {
    /// All that wait.
    pub fn all() -> Self {
        Self::default()
    }

    /// This one, also if it is quarantined.
    pub fn one(id: LetterId) -> Self {
        Self { id: Some(id), ..Self::default() }
    }

    /// Of a [`Group`].
    pub fn group(group: &Group) -> Self {
        Self::all().class(group.class).cause(group.cause.clone())
    }

    /// Whose last failure has this class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.class = Some(class);
        self
    }

    /// Whose last failure has this cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Which failed last in this process.
    #[must_use]
    pub fn process(mut self, process: impl Into<String>) -> Self {
        self.process = Some(process.into());
        self
    }
}

impl fmt::Display for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, class, cause, process } = self;
        let parts = [
            id.map(|id| format!("letter {id}")),
            class.map(|class| format!("class {class}")),
            cause.as_ref().map(|cause| format!("cause {cause:?}")),
            process.as_ref().map(|process| format!("process {process:?}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "all" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}
