//! What ended a context.

use std::{error::Error, fmt, sync::Arc};

use crate::process::Name;

/// What ended a [`Ctx`](crate::Ctx).
///
/// It is an error, so a process that stops because its context has ended can say so with `?`:
///
/// ```
/// use towpath::{Cause, Ctx};
///
/// fn crunch(ctx: &Ctx) -> Result<u64, Cause> {
///     let mut sum = 0;
///     for n in 0..1_000_000_u64 {
///         if n % 1_000 == 0 {
///             ctx.check()?;
///         }
///         sum += n;
///     }
///     Ok(sum)
/// }
///
/// let (ctx, canceller) = Ctx::root().with_cancel();
/// assert!(crunch(&ctx).is_ok());
/// canceller.cancel("the order was withdrawn");
/// assert_eq!(crunch(&ctx).unwrap_err().to_string(), "cancelled: the order was withdrawn");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing: it has not ended.
    Running,
    /// A [`Canceller`](crate::Canceller) was used, with this reason.
    Cancelled(Arc<dyn Error + Send + Sync>),
    /// Its deadline has passed, or one above it.
    DeadlineExceeded,
    /// Another process of the same scope has failed.
    #[non_exhaustive]
    Failed {
        /// Which process.
        process: Name,
        /// What its error or its panic said.
        message: Arc<str>,
    },
    /// The scope, supervisor or network it belongs to was stopped or dropped.
    Stopped,
}

impl Cause {
    /// Whether nothing has ended the context.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Running)
    }

    /// Of a reason that a canceller was given; a `Cause` stays what it is.
    pub(crate) fn of_reason(reason: Box<dyn Error + Send + Sync>) -> Self {
        match reason.downcast::<Self>() {
            Ok(cause) if !cause.is_running() => *cause,
            Ok(running) => Self::Cancelled(Arc::new(*running)),
            Err(reason) => Self::Cancelled(reason.into()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("the context has not ended"),
            Self::Cancelled(reason) => write!(f, "cancelled: {reason}"),
            Self::DeadlineExceeded => f.write_str("the deadline has passed"),
            Self::Failed { process, message } => write!(f, "process `{process}` failed: {message}"),
            Self::Stopped => f.write_str("stopped from outside"),
        }
    }
}

impl Error for Cause {
    /// What is behind the reason, which `Display` prints itself.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Cancelled(reason) => reason.source(),
            _ => None,
        }
    }
}
