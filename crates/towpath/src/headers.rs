//! Headers: bytes that ride along with a context, or with a message (`traced.rs`), and that the core never looks into.
//!
//! Why opaque: trace contexts, tenants and priorities come and go; whoever knows a format writes and reads it at the
//! edges, and what lies between carries it without depending on it.

use std::{fmt, sync::Arc};

/// Bytes that ride along, such as a trace context. Cloning copies a pointer.
///
/// ```
/// use towpath::{Ctx, Headers};
///
/// let ctx = Ctx::root().with_headers(Headers::new(*b"traceparent: 00-4bf9"));
/// assert_eq!(ctx.child().headers().as_bytes(), b"traceparent: 00-4bf9");
/// assert!(Ctx::root().headers().is_empty());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Headers(Option<Arc<[u8]>>);

impl Headers {
    /// No headers.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Headers of these bytes; of none, the same as [`none`](Self::none).
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Some(bytes.into()).filter(|bytes| !bytes.is_empty()))
    }

    /// The bytes, as they were given.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers(\"{}\")", self.as_bytes().escape_ascii())
    }
}
