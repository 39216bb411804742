//! What kind of failure it is: the one word that decides what is done about it.
//!
//! What always holds: a failure has exactly one class and one cause. The class says what to do, the cause says which failures
//! are the same one, so it has no numbers and no names of single things in it.

use std::{error, fmt, io, time::Duration};

use towpath::BoxError;

/// What kind of failure it is.
///
/// ```
/// use towpath_patterns::fault::Class;
///
/// assert_eq!(Class::Schema.to_string(), "schema");
/// assert_eq!(Class::ALL.len(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// May go well the next time, with nobody mending anything: a connection was lost, a server was busy.
    Transient,
    /// It took too long. Whether it had an effect is unknown.
    Timeout,
    /// The message cannot be understood or is not allowed. It will never go well as it is.
    Schema,
    /// A bug: the code that handled it panicked.
    Panic,
    /// Nothing can go well any more: the work has to stop.
    Fatal,
}

impl Class {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 5] =
        [Self::Transient, Self::Timeout, Self::Schema, Self::Panic, Self::Fatal];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::Schema => "schema",
            Self::Panic => "panic",
            Self::Fatal => "fatal",
        }
    }

    /// Its place in [`ALL`](Self::ALL), which is also its number in a journal.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Transient => 0,
            Self::Timeout => 1,
            Self::Schema => 2,
            Self::Panic => 3,
            Self::Fatal => 4,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An error that knows its class.
///
/// ```
/// use towpath_patterns::fault::{Class, Classify};
///
/// #[derive(Debug)]
/// enum Refused {
///     NoPrice { order: u64 },
///     Busy,
/// }
///
/// impl std::fmt::Display for Refused {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         match self {
///             Self::NoPrice { order } => write!(f, "order {order} has no price"),
///             Self::Busy => write!(f, "busy"),
///         }
///     }
/// }
/// impl std::error::Error for Refused {}
///
/// impl Classify for Refused {
///     fn class(&self) -> Class {
///         match self {
///             Self::NoPrice { .. } => Class::Schema,
///             Self::Busy => Class::Transient,
///         }
///     }
/// }
///
/// assert_eq!(Refused::NoPrice { order: 4711 }.cause_key(), "order # has no price");
/// ```
pub trait Classify: error::Error {
    /// Its class.
    fn class(&self) -> Class;

    /// What this failure has in common with others of the same kind, for counting and grouping. By default its text without
    /// numbers ([`cause_of`]).
    fn cause_key(&self) -> String {
        cause_of(&self.to_string())
    }

    /// How long to wait at least before the next attempt, if whoever failed has said so (`Retry-After`).
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl Classify for io::Error {
    /// `TimedOut` is a timeout, `InvalidData` and `InvalidInput` are schema errors, all others are transient.
    fn class(&self) -> Class {
        match self.kind() {
            io::ErrorKind::TimedOut => Class::Timeout,
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Class::Schema,
            _ => Class::Transient,
        }
    }
}

impl Classify for towpath::Cause {
    /// A deadline is a timeout, every other end is transient.
    fn class(&self) -> Class {
        match self {
            Self::DeadlineExceeded => Class::Timeout,
            _ => Class::Transient,
        }
    }
}

/// Any error together with its class, for those that do not know it themselves.
///
/// ```
/// use towpath_patterns::fault::{Class, Classify, Failure};
///
/// fn price(text: &str) -> Result<u32, Failure> {
///     text.parse().map_err(Failure::schema)
/// }
/// assert_eq!(price("ten").unwrap_err().class(), Class::Schema);
/// ```
#[derive(Debug)]
pub struct Failure {
    class: Class,
    error: BoxError,
    cause: Option<String>,
    retry_after: Option<Duration>,
}

impl Failure {
    /// An error, or a text, and its class.
    pub fn new(class: Class, error: impl Into<BoxError>) -> Self {
        Self { class, error: error.into(), cause: None, retry_after: None }
    }

    /// See [`Class::Transient`].
    pub fn transient(error: impl Into<BoxError>) -> Self {
        Self::new(Class::Transient, error)
    }

    /// See [`Class::Timeout`].
    pub fn timeout(error: impl Into<BoxError>) -> Self {
        Self::new(Class::Timeout, error)
    }

    /// See [`Class::Schema`].
    pub fn schema(error: impl Into<BoxError>) -> Self {
        Self::new(Class::Schema, error)
    }

    /// See [`Class::Fatal`].
    pub fn fatal(error: impl Into<BoxError>) -> Self {
        Self::new(Class::Fatal, error)
    }

    /// The same under this cause, when its text would group badly.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same, not to be tried again before so long.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl error::Error for Failure {
    /// What is behind the error, which `Display` prints itself.
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.error.source()
    }
}

impl Classify for Failure {
    fn class(&self) -> Class {
        self.class
    }

    fn cause_key(&self) -> String {
        self.cause.clone().unwrap_or_else(|| cause_of(&self.to_string()))
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// Bytes of a cause, and of the text of a failure, that are kept.
///
/// A cause is a line on a dashboard; what is longer than this is a dump that somebody put into an error.
pub(crate) const CAUSE_BYTES_MAX: usize = 160;
/// See [`CAUSE_BYTES_MAX`].
pub(crate) const MESSAGE_BYTES_MAX: usize = 512;

/// The text without what differs from case to case: each word with a digit in it becomes `#`, and 160 bytes are enough.
///
/// ```
/// use towpath_patterns::fault::cause_of;
///
/// assert_eq!(cause_of("no driver for 9f-3c in zone 12"), "no driver for # in zone #");
/// ```
pub fn cause_of(text: &str) -> String {
    let mut cause = String::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let in_word = is_word(first);
        let end = rest.find(|c| is_word(c) != in_word).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        let counts = in_word && part.contains(|c: char| c.is_ascii_digit());
        cause.push_str(if counts { "#" } else { part });
        rest = after;
        if cause.len() > CAUSE_BYTES_MAX {
            break;
        }
    }
    shorten(&mut cause, CAUSE_BYTES_MAX);
    cause
}

/// Cuts a text at a character, so that it has no more bytes than this.
pub(crate) fn shorten(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
    }
}
