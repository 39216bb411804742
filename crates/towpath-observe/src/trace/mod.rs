//! Trace contexts as the W3C wrote them down: which trace a piece of work belongs to, and what its parent is.
//!
//! At the edge, what came in is continued, or a new trace begins; inside, the context rides in [`Headers`] through every channel,
//! select arm and scope; on the way out it becomes fields again:
//!
//! ```
//! use towpath::Ctx;
//! use towpath_observe::trace::TraceContext;
//!
//! let came = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("tracestate", "rojo=00f067aa")];
//! let ctx = Ctx::root().with_headers(TraceContext::serve(came).to_headers());
//!
//! // Somewhere behind three channels:
//! let here = TraceContext::of(&ctx).expect("it came along");
//! let fields = here.child().to_fields();
//! assert_eq!(fields[0].0, "traceparent");
//! assert!(fields[0].1.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
//! assert_eq!(fields[1], ("tracestate", "rojo=00f067aa".to_owned()));
//! ```
//!
//! # What is promised
//! - What the specification calls invalid is not used: a bad `traceparent` begins a new trace, a bad `tracestate` is discarded
//!   as a whole and leaves the parent as it is.
//! - A child has its parent's trace, flags and state, and a span id of its own.
//! - What is read is bounded: 32 members, 256 bytes for a key or a value.
//!
//! The specification is W3C, *Trace Context* (Recommendation, 2021, level 1), with the random flag of level 2. Keys with a tenant
//! (`tenant@system`) are checked as level 1 says; that is what the W3C's own test suite asks for.

mod parent;
mod state;

use std::fmt::{self, Write};

use towpath::{Ctx, Headers, rt};

pub use parent::ParentError;
pub use state::{StateError, TraceState};

/// The name of the field with the parent.
pub const TRACEPARENT: &str = "traceparent";

/// The name of the field with what tracing systems add.
pub const TRACESTATE: &str = "tracestate";

/// Which trace: sixteen bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// Which piece of work of a trace: eight bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

/// Two digits of lower case. By hand, since this is on the way of each span and `{:02x}` takes fifty instructions a byte.
fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

macro_rules! id {
    ($name:ident, $bytes:literal, $random:expr) => {
        impl $name {
            /// An id of these bytes; `None` if all of them are zero, which the specification keeps for "none".
            pub fn new(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// A new one, by the runtime's chance: in the simulator the same in every run of a schedule. There, chance may also give
            /// the same twice.
            pub fn random() -> Self {
                Self::of($random)
            }

            /// Of zeros, which the simulator gives as soon as anything, the least that is allowed.
            fn of(bytes: [u8; $bytes]) -> Self {
                Self::new(bytes).unwrap_or_else(|| {
                    let mut least = [0; $bytes];
                    least[$bytes - 1] = 1;
                    Self(least)
                })
            }

            /// The bytes, most significant first.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        /// As it is written.
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        /// As it is written: lower case, two digits a byte.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 2 * $bytes];
                for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
                    pair.copy_from_slice(&hex(byte));
                }
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id!(TraceId, 16, {
    let (high, low) = (u128::from(rt::random()), u128::from(rt::random()));
    (high << 64 | low).to_be_bytes()
});
impl TraceId {
    pub(crate) fn of_halves(high: u64, low: u64) -> Self {
        Self::of((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }
}

impl SpanId {
    pub(crate) fn of_number(number: u64) -> Self {
        Self::of(number.to_be_bytes())
    }
}

id!(SpanId, 8, rt::random().to_be_bytes());

/// Flags of a trace. Those that the specification does not know are never passed on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(u8);

impl Flags {
    const SAMPLED: u8 = 1;
    const RANDOM: u8 = 2;

    /// No flags.
    pub const fn none() -> Self {
        Self(0)
    }

    /// The flags of this byte that are known.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte & (Self::SAMPLED | Self::RANDOM))
    }

    /// Whether the caller may have recorded what it did.
    pub const fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    /// Whether the trace id's last seven bytes are by chance, so that sampling may go by them (level 2).
    pub const fn is_random(self) -> bool {
        self.0 & Self::RANDOM != 0
    }

    /// The same, with the flag for "recorded" as given.
    #[must_use]
    pub const fn sampled(self, yes: bool) -> Self {
        Self(if yes { self.0 | Self::SAMPLED } else { self.0 & !Self::SAMPLED })
    }
}

/// A place in a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TraceContext {
    /// Which trace.
    pub trace: TraceId,
    /// Which piece of work: what is done under this context has it as its parent.
    pub span: SpanId,
    /// The flags.
    pub flags: Flags,
    /// What tracing systems added on the way.
    pub state: TraceState,
}

impl TraceContext {
    /// A trace of its own, not sampled.
    pub fn root() -> Self {
        Self {
            trace: TraceId::random(),
            span: SpanId::random(),
            flags: Flags(Flags::RANDOM),
            state: TraceState::default(),
        }
    }

    /// A place below this one: its trace, flags and state, and a span of its own.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: SpanId::random(), ..self.clone() }
    }

    /// What a service works under that received these fields, of a request or a message: a [child](Self::child) of the caller's
    /// place, or a [root](Self::root) if they have none that is valid.
    pub fn serve<'a, V>(fields: impl IntoIterator<Item = (&'a str, V)>) -> Self
    where
        V: AsRef<[u8]>,
    {
        Self::extract(fields).ok().flatten().map_or_else(Self::root, |caller| caller.child())
    }

    /// The caller's place, from the fields that came. Names count in any case; other fields are passed over. `None` without a
    /// `traceparent`, whatever else there is.
    ///
    /// A `tracestate` that is not valid is discarded; [`TraceState::parse`] says what is wrong with it.
    ///
    /// # Errors
    /// [`ParentError`]: there is a parent and it cannot be used. The specification asks for a new trace then.
    pub fn extract<'a, V>(
        fields: impl IntoIterator<Item = (&'a str, V)>,
    ) -> Result<Option<Self>, ParentError>
    where
        V: AsRef<[u8]>,
    {
        let (mut parent, mut states): (Option<V>, Vec<V>) = (None, Vec::new());
        for (name, value) in fields {
            if name.eq_ignore_ascii_case(TRACEPARENT) {
                if parent.is_some() {
                    return Err(ParentError::Twice);
                }
                parent = Some(value);
            } else if name.eq_ignore_ascii_case(TRACESTATE) {
                states.push(value);
            }
        }
        let Some(parent) = parent else { return Ok(None) };
        let (trace, span, flags) = parent::parse(parent.as_ref())?;
        let state = TraceState::parse(states.iter().map(AsRef::as_ref)).unwrap_or_default();
        Ok(Some(Self { trace, span, flags, state }))
    }

    /// The fields to send: `traceparent`, and `tracestate` unless it is empty. To be called on a [child](Self::child), or on what
    /// [`serve`](Self::serve) gave, if the receiver is to be a child of this work.
    pub fn to_fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![(TRACEPARENT, self.parent())];
        if !self.state.is_empty() {
            fields.push((TRACESTATE, self.state.to_string()));
        }
        fields
    }

    fn parent(&self) -> String {
        let Self { trace, span, flags, .. } = self;
        format!("00-{trace}-{span}-{:02x}", flags.0)
    }

    /// As headers of a context or a message: the fields, one a line, `name: value`.
    pub fn to_headers(&self) -> Headers {
        Headers::new(self.to_lines().into_bytes())
    }

    fn to_lines(&self) -> String {
        let Self { trace, span, flags, state } = self;
        // A parent takes 68 bytes, and a state is seldom there.
        let mut lines = String::with_capacity(80);
        let written = write!(lines, "{TRACEPARENT}: 00-{trace}-{span}-{:02x}", flags.0);
        debug_assert!(written.is_ok(), "a string takes everything");
        if !state.is_empty() {
            lines += &format!("\n{TRACESTATE}: {state}");
        }
        lines
    }

    /// `headers` with this place instead of the one they name, if any; what else is in them stays.
    ///
    /// ```
    /// use towpath::Headers;
    /// use towpath_observe::trace::TraceContext;
    ///
    /// let here = TraceContext::root();
    /// let headers = here.put_into(&Headers::new(*b"tenant: blue"));
    /// assert_eq!(TraceContext::from_headers(&headers), Some(here.clone()));
    /// let below = here.child().put_into(&headers);
    /// assert!(below.as_bytes().starts_with(b"tenant: blue\ntraceparent: "));
    /// assert_eq!(below.as_bytes().len(), headers.as_bytes().len());
    /// ```
    #[must_use = "the headers are unchanged"]
    pub fn put_into(&self, headers: &Headers) -> Headers {
        let ours = self.to_lines();
        if headers.is_empty() {
            return Headers::new(ours.into_bytes());
        }
        let mut lines: Vec<&[u8]> = headers.as_bytes().split(|byte| *byte == b'\n').collect();
        lines.retain(|line| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            !name.eq_ignore_ascii_case(TRACEPARENT.as_bytes())
                && !name.eq_ignore_ascii_case(TRACESTATE.as_bytes())
        });
        lines.push(ours.as_bytes());
        Headers::new(lines.join(&b'\n'))
    }

    /// The place that headers name: those of [`to_headers`](Self::to_headers), or any bytes with such lines among others.
    /// `None` if they name none that is valid.
    pub fn from_headers(headers: &Headers) -> Option<Self> {
        let lines = headers.as_bytes().split(|byte| *byte == b'\n');
        let fields = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            Some((name, &line[colon + 1..]))
        });
        Self::extract(fields).ok().flatten()
    }

    /// The place that a context carries.
    pub fn of(ctx: &Ctx) -> Option<Self> {
        Self::from_headers(&ctx.headers())
    }
}
