//! Why a scope, a supervisor or a network could not do its work.

use std::{error, fmt};

use crate::{
    Cause,
    process::{self, Name, Panic},
};

/// Any error, as processes return it.
pub type BoxError = Box<dyn error::Error + Send + Sync>;

/// Why a scope has no result: the first error of its processes, and those that came after it.
///
/// `Display` speaks of the first and counts the others; [`later`](Self::later) has them.
///
/// A failed send counts as later than the failure of the process that had the receivers, if it is that failure's echo; see
/// [`scope`](crate::scope()).
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A process returned an error.
    #[non_exhaustive]
    Failed {
        /// Which process.
        process: Name,
        /// What it returned.
        source: BoxError,
        /// What came after it, in that order.
        later: Vec<Error>,
    },
    /// A process panicked.
    #[non_exhaustive]
    Panicked {
        /// Which process.
        process: Name,
        /// What the panic said.
        message: String,
        /// Where, as `file:line:column`. `None` if the program replaced the panic hook, or the panic was one that had
        /// been caught before (`resume_unwind`).
        at: Option<String>,
        /// What came after it, in that order.
        later: Vec<Error>,
    },
    /// The context ended from outside, and somebody's work was cut short by that.
    #[non_exhaustive]
    Cancelled {
        /// What ended it.
        cause: Cause,
        /// What came after it, in that order.
        later: Vec<Error>,
    },
}

impl Error {
    pub(crate) fn failed(process: Name, source: impl Into<BoxError>) -> Self {
        Self::Failed { process, source: source.into(), later: Vec::new() }
    }

    pub(crate) fn panicked(process: Name, panic: Panic) -> Self {
        let Panic { message, at, .. } = panic;
        Self::Panicked { process, message, at, later: Vec::new() }
    }

    pub(crate) fn cancelled(cause: Cause) -> Self {
        Self::Cancelled { cause, later: Vec::new() }
    }

    /// The process it came from; `None` when it came from outside.
    pub fn process(&self) -> Option<&Name> {
        match self {
            Self::Failed { process, .. } | Self::Panicked { process, .. } => Some(process),
            Self::Cancelled { .. } => None,
        }
    }

    /// The errors that came after this one, oldest first.
    pub fn later(&self) -> &[Self] {
        match self {
            Self::Failed { later, .. }
            | Self::Panicked { later, .. }
            | Self::Cancelled { later, .. } => later,
        }
    }

    /// Whether it is a panic, a bug in a process.
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked { .. })
    }

    /// Whether nothing failed, but the context ended.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    pub(crate) fn later_mut(&mut self) -> &mut Vec<Self> {
        match self {
            Self::Failed { later, .. }
            | Self::Panicked { later, .. }
            | Self::Cancelled { later, .. } => later,
        }
    }

    /// What siblings are told.
    pub(crate) fn to_cause(&self) -> Cause {
        match self {
            Self::Failed { process, source, .. } => {
                // Its text is the user's code.
                let message = process::catch(|| source.to_string());
                let message =
                    message.unwrap_or_else(|_| "an error that cannot be shown".to_owned());
                Cause::Failed { process: process.clone(), message: message.into() }
            }
            Self::Panicked { process, message, .. } => Cause::Failed {
                process: process.clone(),
                message: format!("panicked: {message}").into(),
            },
            Self::Cancelled { cause, .. } => cause.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { process, .. } => write!(f, "process `{process}` failed")?,
            Self::Panicked { process, message, at, .. } => {
                write!(f, "process `{process}` panicked")?;
                if let Some(at) = at {
                    write!(f, " at {at}")?;
                }
                write!(f, ": {message}")?;
            }
            Self::Cancelled { .. } => f.write_str("the context ended before the work was done")?,
        }
        match self.later().len() {
            0 => Ok(()),
            1 => f.write_str(" (and one more error came later)"),
            n => write!(f, " (and {n} more errors came later)"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(&**source),
            Self::Cancelled { cause, .. } => Some(cause),
            Self::Panicked { .. } => None,
        }
    }
}
