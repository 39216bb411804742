//! The field `traceparent`, byte by byte.
//!
//! ```text
//! 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
//! │  │ trace, 32 digits               │ span, 16      │ flags, 2
//! └── version: 00 ends there; a later one may have more, behind a dash; ff is none
//! ```

use std::{error, fmt};

use super::{Flags, SpanId, TraceId};

/// Bytes of a parent of version 00.
const LENGTH: usize = 55;

/// Why a `traceparent` is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ParentError {
    /// There are two of them.
    Twice,
    /// It is shorter than any version may be.
    Short,
    /// It goes on where its version ends.
    Long,
    /// A dash is missing where one field ends.
    Dash {
        /// Where it should be, in bytes.
        at: usize,
    },
    /// A byte that is no digit of lower case.
    Digit {
        /// Where it is, in bytes.
        at: usize,
    },
    /// The version is `ff`, which there never will be.
    Version,
    /// The trace id is all zero.
    NoTrace,
    /// The parent id is all zero.
    NoSpan,
}

impl fmt::Display for ParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice => f.write_str("there are two `traceparent`: send one"),
            Self::Short => {
                write!(
                    f,
                    "`traceparent` has fewer than {LENGTH} characters: version-trace-parent-flags"
                )
            }
            Self::Long => {
                write!(f, "`traceparent` of version 00 has more than {LENGTH} characters")
            }
            Self::Dash { at } => write!(f, "`traceparent` has no dash at {at}"),
            Self::Digit { at } => write!(f, "`traceparent` has no digit 0-9, a-f at {at}"),
            Self::Version => f.write_str("`traceparent` has version ff, which is forbidden"),
            Self::NoTrace => f.write_str("`traceparent` has a trace id that is all zero"),
            Self::NoSpan => f.write_str("`traceparent` has a parent id that is all zero"),
        }
    }
}

impl error::Error for ParentError {}

pub(super) fn parse(field: &[u8]) -> Result<(TraceId, SpanId, Flags), ParentError> {
    // Whitespace around a field is not part of it (RFC 9110, 5.5).
    let field = super::state::trim(field);
    let Some((known, more)) = field.split_at_checked(LENGTH) else {
        return Err(ParentError::Short);
    };
    for at in [2, 35, 52] {
        if known[at] != b'-' {
            return Err(ParentError::Dash { at });
        }
    }
    let [version] = bytes(known, 0)?;
    let trace = TraceId::new(bytes(known, 3)?).ok_or(ParentError::NoTrace)?;
    let span = SpanId::new(bytes(known, 36)?).ok_or(ParentError::NoSpan)?;
    let [flags] = bytes(known, 53)?;
    match (version, more) {
        (0xff, _) => Err(ParentError::Version),
        (_, []) => Ok((trace, span, Flags::from_byte(flags))),
        (0, _) => Err(ParentError::Long),
        // Of a later version only what this one knows is used, and of the flags only the first.
        (_, [b'-', ..]) => Ok((trace, span, Flags::none().sampled(flags & 1 == 1))),
        (_, _) => Err(ParentError::Dash { at: LENGTH }),
    }
}

/// Bytes of two digits each, from there on.
fn bytes<const N: usize>(field: &[u8], from: usize) -> Result<[u8; N], ParentError> {
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let at = from + 2 * place;
        *byte = digit(field, at)? << 4 | digit(field, at + 1)?;
    }
    Ok(bytes)
}

fn digit(field: &[u8], at: usize) -> Result<u8, ParentError> {
    match field[at] {
        digit @ b'0'..=b'9' => Ok(digit - b'0'),
        digit @ b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParentError::Digit { at }),
    }
}
