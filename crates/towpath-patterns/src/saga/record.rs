//! What a coordinator writes into the journal, and its bytes.
//!
//! What always holds:
//! - [`Record::decode`] of what [`Record::encode`] wrote gives the same record; anything else gives an error and never panics
//!   (golden bytes: `tests/it/saga/records.rs`).
//! - A kind, once used, never means anything else; a field is only ever added behind the others, under a new [`FORMAT`].
//!
//! A journal record is: kind [`KINDS`] plus the number below, the saga's id as key, and as payload one byte of format, then
//! the fields in the order written here. Numbers are LEB128 (7 bits a byte, the lowest first), texts and bytes have their
//! length in front, options a byte 0 or 1. Records of one move (an answer and what follows from it) are one group of the
//! journal, so a crash keeps all of them or none.

use std::sync::Arc;
use std::{error, fmt};

use super::plan::Millis;
use crate::leb128;

/// The first of the 256 journal kinds that sagas use; effects may have any other.
pub const KINDS: u16 = 0x7300;

/// The byte in front of each payload.
pub const FORMAT: u8 = 1;

/// How a call ended that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It was answered: nothing was done, and trying again is of no use.
    Refused = 0,
    /// It was answered: nothing was done, and another try may succeed.
    Failed = 1,
    /// Who carried it does not know what became of it.
    Lost = 2,
    /// No answer came in time.
    TimedOut = 3,
    /// Nobody is there to receive it.
    Unreachable = 4,
    /// Whoever had it in hand died.
    Died = 5,
    /// The coordinator's own process died meanwhile.
    Crashed = 6,
    /// The coordinator was stopped meanwhile, in good order.
    Stopped = 7,
}

impl How {
    /// Whether the effect may have happened.
    pub fn in_doubt(self) -> bool {
        !matches!(self, Self::Refused | Self::Failed | Self::Unreachable)
    }

    /// Whether a process died with the call.
    pub fn is_death(self) -> bool {
        matches!(self, Self::Died | Self::Crashed)
    }

    /// Whether it counts as one of the tries that a [`Backoff`](super::Backoff) allows.
    pub fn is_try(self) -> bool {
        !matches!(self, Self::Died | Self::Crashed | Self::Stopped)
    }

    fn of(number: u8) -> Option<Self> {
        const ALL: [How; 8] = [
            How::Refused,
            How::Failed,
            How::Lost,
            How::TimedOut,
            How::Unreachable,
            How::Died,
            How::Crashed,
            How::Stopped,
        ];
        ALL.get(usize::from(number)).copied()
    }
}

/// What follows from a failure. Decided once and written down, so that whoever reads the journal decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Called again, not before this time.
    Retry(Millis),
    /// Not called again.
    GiveUp,
}

/// Why a saga is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Somebody asked for it.
    Asked = 0,
    /// Processes died with its call in hand, too often.
    Quarantine = 1,
}

/// A record of one saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// 1: it exists.
    Started {
        /// The name of its plan.
        plan: Arc<str>,
        /// The version of its plan.
        version: u32,
        /// [`Plan::shape`](super::Plan::shape).
        shape: u64,
        /// When.
        at: Millis,
        /// When it turns back unless it is completed.
        deadline: Option<Millis>,
        /// The trace and whatever else rides along.
        headers: Arc<[u8]>,
        /// What it is about.
        input: Arc<[u8]>,
    },
    /// 2: a step is about to be called.
    StepIntent {
        /// The step's place in the plan.
        step: u16,
        /// 1 for the first call.
        attempt: u32,
    },
    /// 3: a step has succeeded.
    StepDone {
        /// The step's place in the plan.
        step: u16,
        /// What it answered.
        output: Arc<[u8]>,
    },
    /// 4: a step has not succeeded.
    StepFailed {
        /// The step's place in the plan.
        step: u16,
        /// Which call.
        attempt: u32,
        /// How it ended.
        how: How,
        /// What follows.
        then: Then,
        /// In words.
        reason: String,
    },
    /// 5: a compensation is about to be called.
    CompIntent {
        /// The place of the step that it takes back.
        step: u16,
        /// 1 for the first call.
        attempt: u32,
    },
    /// 6: a compensation has succeeded.
    CompDone {
        /// The place of the step that it has taken back.
        step: u16,
    },
    /// 7: a compensation has not succeeded.
    CompFailed {
        /// The place of the step that it takes back.
        step: u16,
        /// Which call.
        attempt: u32,
        /// How it ended.
        how: How,
        /// What follows.
        then: Then,
        /// In words.
        reason: String,
    },
    /// 8: a step waits: for this time, or for a signal until then.
    TimerSet {
        /// The step's place in the plan.
        step: u16,
        /// Until when; [`Millis::MAX`] for ever.
        due: Millis,
        /// The signal waited for.
        signal: Option<Arc<str>>,
    },
    /// 9: the time has come.
    TimerFired {
        /// The step's place in the plan.
        step: u16,
    },
    /// 10: somebody has told the saga something. Kept until a step waits for it.
    Signal {
        /// Which signal.
        name: Arc<str>,
        /// Two with the same key are one.
        dedup: Arc<str>,
        /// What was told.
        payload: Arc<[u8]>,
    },
    /// 11: nothing is called until it is resumed.
    Paused {
        /// Of which kind.
        why: Why,
        /// In words.
        reason: String,
    },
    /// 12: it goes on, with all its tries again.
    Resumed,
    /// 13: somebody wants it taken back, or its deadline has passed.
    Cancelled {
        /// In words.
        reason: String,
    },
    /// 14: it cannot go on without a person.
    DeadLettered {
        /// The step that could not be called, or taken back.
        step: u16,
        /// In words.
        reason: String,
    },
    /// 15: all steps are done.
    Completed,
    /// 16: all that was done, or may have been, is taken back.
    Compensated,
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Written by a version that this one does not know: a kind, or the format byte.
    Unknown {
        /// The journal kind.
        kind: u16,
        /// The format byte, 0 if there is none.
        format: u8,
    },
    /// Too short, too long, or not what it should be.
    Damaged {
        /// The journal kind.
        kind: u16,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { kind, format } => write!(
                f,
                "kind {kind:#06x} in format {format} was written by another version: read it with that one"
            ),
            Self::Damaged { kind } => write!(
                f,
                "the record of kind {kind:#06x} is not well formed although the journal vouches for its bytes: \
                 somebody else wrote it, so give sagas a journal of their own"
            ),
        }
    }
}

impl error::Error for Malformed {}

impl Record {
    /// Its journal kind.
    pub fn kind(&self) -> u16 {
        KINDS
            + match self {
                Self::Started { .. } => 1,
                Self::StepIntent { .. } => 2,
                Self::StepDone { .. } => 3,
                Self::StepFailed { .. } => 4,
                Self::CompIntent { .. } => 5,
                Self::CompDone { .. } => 6,
                Self::CompFailed { .. } => 7,
                Self::TimerSet { .. } => 8,
                Self::TimerFired { .. } => 9,
                Self::Signal { .. } => 10,
                Self::Paused { .. } => 11,
                Self::Resumed => 12,
                Self::Cancelled { .. } => 13,
                Self::DeadLettered { .. } => 14,
                Self::Completed => 15,
                Self::Compensated => 16,
            }
    }

    /// Whether a journal kind is a saga's.
    pub fn is_ours(kind: u16) -> bool {
        kind & 0xff00 == KINDS
    }

    /// Appends its payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        match self {
            Self::Started { plan, version, shape, at, deadline, headers, input } => {
                bytes(out, plan.as_bytes());
                leb128::put(out, u64::from(*version));
                out.extend_from_slice(&shape.to_le_bytes());
                leb128::put(out, *at);
                option(out, deadline.is_some());
                deadline.iter().for_each(|it| leb128::put(out, *it));
                bytes(out, headers);
                bytes(out, input);
            }
            Self::StepIntent { step, attempt } | Self::CompIntent { step, attempt } => {
                leb128::put(out, u64::from(*step));
                leb128::put(out, u64::from(*attempt));
            }
            Self::StepDone { step, output } => {
                leb128::put(out, u64::from(*step));
                bytes(out, output);
            }
            Self::StepFailed { step, attempt, how, then, reason }
            | Self::CompFailed { step, attempt, how, then, reason } => {
                leb128::put(out, u64::from(*step));
                leb128::put(out, u64::from(*attempt));
                out.push(*how as u8);
                match then {
                    Then::GiveUp => option(out, false),
                    Then::Retry(at) => {
                        option(out, true);
                        leb128::put(out, *at);
                    }
                }
                bytes(out, reason.as_bytes());
            }
            Self::CompDone { step } | Self::TimerFired { step } => {
                leb128::put(out, u64::from(*step))
            }
            Self::TimerSet { step, due, signal } => {
                leb128::put(out, u64::from(*step));
                leb128::put(out, *due);
                option(out, signal.is_some());
                signal.iter().for_each(|it| bytes(out, it.as_bytes()));
            }
            Self::Signal { name, dedup, payload } => {
                bytes(out, name.as_bytes());
                bytes(out, dedup.as_bytes());
                bytes(out, payload);
            }
            Self::Paused { why, reason } => {
                out.push(*why as u8);
                bytes(out, reason.as_bytes());
            }
            Self::Cancelled { reason } => bytes(out, reason.as_bytes()),
            Self::DeadLettered { step, reason } => {
                leb128::put(out, u64::from(*step));
                bytes(out, reason.as_bytes());
            }
            Self::Resumed | Self::Completed | Self::Compensated => {}
        }
    }

    /// Reads a journal record of a saga.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(kind: u16, payload: &[u8]) -> Result<Self, Malformed> {
        let format = payload.first().copied().unwrap_or(0);
        if !Self::is_ours(kind) || format != FORMAT {
            return Err(Malformed::Unknown { kind, format });
        }
        let mut rest = Rest(&payload[1..]);
        let known = (1..=16).contains(&(kind - KINDS));
        match Self::fields(kind - KINDS, &mut rest) {
            Some(record) if rest.0.is_empty() => Ok(record),
            _ if !known => Err(Malformed::Unknown { kind, format }),
            _ => Err(Malformed::Damaged { kind }),
        }
    }

    fn fields(kind: u16, rest: &mut Rest<'_>) -> Option<Self> {
        Some(match kind {
            1 => Self::Started {
                plan: rest.text()?,
                version: rest.small()?,
                shape: rest.fixed()?,
                at: rest.number()?,
                deadline: if rest.option()? { Some(rest.number()?) } else { None },
                headers: rest.bytes()?.into(),
                input: rest.bytes()?.into(),
            },
            2 => Self::StepIntent { step: rest.small()?, attempt: rest.small()? },
            3 => Self::StepDone { step: rest.small()?, output: rest.bytes()?.into() },
            4 => Self::StepFailed {
                step: rest.small()?,
                attempt: rest.small()?,
                how: How::of(rest.byte()?)?,
                then: rest.then()?,
                reason: rest.string()?,
            },
            5 => Self::CompIntent { step: rest.small()?, attempt: rest.small()? },
            6 => Self::CompDone { step: rest.small()? },
            7 => Self::CompFailed {
                step: rest.small()?,
                attempt: rest.small()?,
                how: How::of(rest.byte()?)?,
                then: rest.then()?,
                reason: rest.string()?,
            },
            8 => Self::TimerSet {
                step: rest.small()?,
                due: rest.number()?,
                signal: if rest.option()? { Some(rest.text()?) } else { None },
            },
            9 => Self::TimerFired { step: rest.small()? },
            10 => Self::Signal {
                name: rest.text()?,
                dedup: rest.text()?,
                payload: rest.bytes()?.into(),
            },
            11 => Self::Paused {
                why: match rest.byte()? {
                    0 => Why::Asked,
                    1 => Why::Quarantine,
                    _ => return None,
                },
                reason: rest.string()?,
            },
            12 => Self::Resumed,
            13 => Self::Cancelled { reason: rest.string()? },
            14 => Self::DeadLettered { step: rest.small()?, reason: rest.string()? },
            15 => Self::Completed,
            16 => Self::Compensated,
            _ => return None,
        })
    }
}

/// Appends bytes behind their length.
pub(super) fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    leb128::put(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn option(out: &mut Vec<u8>, there: bool) {
    out.push(u8::from(there));
}

/// What is not read yet.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn option(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let number = leb128::take(&mut self.0).ok()?;
        // One way to write each number, so that equal records have equal bytes.
        number.is_shortest.then_some(number.value)
    }

    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    fn fixed(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*first))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.small()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn str(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn text(&mut self) -> Option<Arc<str>> {
        Some(self.str()?.into())
    }

    fn string(&mut self) -> Option<String> {
        Some(self.str()?.to_owned())
    }

    fn then(&mut self) -> Option<Then> {
        Some(if self.option()? { Then::Retry(self.number()?) } else { Then::GiveUp })
    }
}
