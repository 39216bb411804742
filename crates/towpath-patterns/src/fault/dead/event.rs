//! What can happen to dead letters, and the journal records that say so.
//!
//! A record of the journal is one event. Its kind says which, its key is the number of the letter (or, for the beginning and the
//! end of a replay, of the replay) as eight bytes, highest first. Its payload is the version of this format, 1, and then the
//! fields in the order in which they stand here; `bytes.rs` says how each is written. Bytes behind the last field are an error.
//!
//! | kind | event | fields |
//! |---|---|---|
//! | `0x0d01` | `Put` | key, headers, list of faults, payload |
//! | `0x0d02` | `Rejoined` | list of faults, payload |
//! | `0x0d03` | `Edited` | time, note, payload |
//! | `0x0d04` | `Discarded` | time, note |
//! | `0x0d05` | `Begun` | time, pick, highest letter |
//! | `0x0d06` | `Taken` | replay, time |
//! | `0x0d07` | `Replayed` | replay, time |
//! | `0x0d08` | `FailedAgain` | replay, fault |
//! | `0x0d09` | `Ended` | time |
//! | `0x0d0a` | `Carried` | payload |
//!
//! A fault: process, class (0 transient, 1 timeout, 2 schema, 3 panic, 4 fatal), cause, message, perhaps a place, time. A pick:
//! perhaps a letter, perhaps a class, perhaps a cause, perhaps a process.

use std::time::SystemTime;

use super::{
    bytes::{Pack, Read, Unpack, Unreadable, whole_millis},
    letter::{LetterId, Pick, ReplayId},
};
use crate::fault::Fault;

/// The version of the format that is written.
const VERSION: u64 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A letter that was not known.
    Put {
        id: LetterId,
        key: Vec<u8>,
        headers: Vec<u8>,
        faults: Vec<Fault>,
        payload: Vec<u8>,
    },
    /// A letter that is known by its key was put again.
    Rejoined {
        id: LetterId,
        faults: Vec<Fault>,
        payload: Vec<u8>,
    },
    Edited {
        id: LetterId,
        when: SystemTime,
        note: String,
        payload: Vec<u8>,
    },
    Discarded {
        id: LetterId,
        when: SystemTime,
        note: String,
    },
    /// A replay of those up to a letter.
    Begun {
        replay: ReplayId,
        when: SystemTime,
        pick: Pick,
        up_to: LetterId,
    },
    Taken {
        id: LetterId,
        replay: ReplayId,
        when: SystemTime,
    },
    Replayed {
        id: LetterId,
        replay: ReplayId,
        when: SystemTime,
    },
    FailedAgain {
        id: LetterId,
        replay: ReplayId,
        fault: Fault,
    },
    Ended {
        replay: ReplayId,
        when: SystemTime,
    },
    /// The content again, so that the old record can go.
    Carried {
        id: LetterId,
        payload: Vec<u8>,
    },
}

/// A record, as the journal takes it.
pub(super) struct Encoded {
    pub(super) kind: u16,
    pub(super) key: [u8; 8],
    pub(super) payload: Vec<u8>,
}

impl Event {
    pub(super) fn encode(&self) -> Encoded {
        let mut pack = Pack::default();
        pack.number(VERSION);
        let (kind, number) = match self {
            Self::Put { id, key, headers, faults, payload } => {
                pack.bytes(key);
                pack.bytes(headers);
                pack.list(faults, Pack::fault);
                pack.bytes(payload);
                (0x0d01, id.0)
            }
            Self::Rejoined { id, faults, payload } => {
                pack.list(faults, Pack::fault);
                pack.bytes(payload);
                (0x0d02, id.0)
            }
            Self::Edited { id, when, note, payload } => {
                pack.time(*when);
                pack.bytes(note.as_bytes());
                pack.bytes(payload);
                (0x0d03, id.0)
            }
            Self::Discarded { id, when, note } => {
                pack.time(*when);
                pack.bytes(note.as_bytes());
                (0x0d04, id.0)
            }
            Self::Begun { replay, when, pick, up_to } => {
                pack.time(*when);
                pack.pick(pick);
                pack.number(up_to.0);
                (0x0d05, replay.0)
            }
            Self::Taken { id, replay, when } => {
                pack.number(replay.0);
                pack.time(*when);
                (0x0d06, id.0)
            }
            Self::Replayed { id, replay, when } => {
                pack.number(replay.0);
                pack.time(*when);
                (0x0d07, id.0)
            }
            Self::FailedAgain { id, replay, fault } => {
                pack.number(replay.0);
                pack.fault(fault);
                (0x0d08, id.0)
            }
            Self::Ended { replay, when } => {
                pack.time(*when);
                (0x0d09, replay.0)
            }
            Self::Carried { id, payload } => {
                pack.bytes(payload);
                (0x0d0a, id.0)
            }
        };
        Encoded { kind, key: number.to_be_bytes(), payload: pack.0 }
    }

    pub(super) fn decode(kind: u16, key: &[u8], payload: &[u8]) -> Read<Self> {
        let key = key.try_into().map_err(|_| Unreadable { what: "a key that is a number" })?;
        let number = u64::from_be_bytes(key);
        let (id, replay) = (LetterId(number), ReplayId(number));
        let mut from = Unpack(payload);
        if from.number()? != VERSION {
            return Err(Unreadable { what: "a version that is known: a newer program wrote it" });
        }
        let event = match kind {
            0x0d01 => Self::Put {
                id,
                key: from.bytes()?.to_vec(),
                headers: from.bytes()?.to_vec(),
                faults: from.list(Unpack::fault)?,
                payload: from.bytes()?.to_vec(),
            },
            0x0d02 => Self::Rejoined {
                id,
                faults: from.list(Unpack::fault)?,
                payload: from.bytes()?.to_vec(),
            },
            0x0d03 => Self::Edited {
                id,
                when: from.time()?,
                note: from.text()?,
                payload: from.bytes()?.to_vec(),
            },
            0x0d04 => Self::Discarded { id, when: from.time()?, note: from.text()? },
            0x0d05 => Self::Begun {
                replay,
                when: from.time()?,
                pick: from.pick()?,
                up_to: LetterId(from.number()?),
            },
            0x0d06 => Self::Taken { id, replay: ReplayId(from.number()?), when: from.time()? },
            0x0d07 => Self::Replayed { id, replay: ReplayId(from.number()?), when: from.time()? },
            0x0d08 => {
                Self::FailedAgain { id, replay: ReplayId(from.number()?), fault: from.fault()? }
            }
            0x0d09 => Self::Ended { replay, when: from.time()? },
            0x0d0a => Self::Carried { id, payload: from.bytes()?.to_vec() },
            _ => return Err(Unreadable { what: "a kind of record that is known" }),
        };
        from.end()?;
        Ok(event)
    }

    /// The content of the letter, if this is where it stands.
    pub(super) fn into_payload(self) -> Option<Vec<u8>> {
        match self {
            Self::Put { payload, .. }
            | Self::Rejoined { payload, .. }
            | Self::Edited { payload, .. }
            | Self::Carried { payload, .. } => Some(payload),
            _ => None,
        }
    }

    /// The same as it will be when it has been written and read: times lose what is below a millisecond.
    pub(super) fn kept(mut self) -> Self {
        match &mut self {
            Self::Put { faults, .. } | Self::Rejoined { faults, .. } => {
                faults.iter_mut().for_each(|fault| fault.when = whole_millis(fault.when));
            }
            Self::FailedAgain { fault, .. } => fault.when = whole_millis(fault.when),
            Self::Edited { when, .. }
            | Self::Discarded { when, .. }
            | Self::Begun { when, .. }
            | Self::Taken { when, .. }
            | Self::Replayed { when, .. }
            | Self::Ended { when, .. } => *when = whole_millis(*when),
            Self::Carried { .. } => {}
        }
        self
    }
}

impl Pack {
    pub(super) fn pick(&mut self, pick: &Pick) {
        let Pick { id, class, cause, process } = pick;
        self.maybe(*id, |pack, id| pack.number(id.0));
        self.maybe(*class, Self::class);
        self.maybe(cause.as_ref(), |pack, cause| pack.bytes(cause.as_bytes()));
        self.maybe(process.as_ref(), |pack, process| pack.bytes(process.as_bytes()));
    }
}

impl Unpack<'_> {
    pub(super) fn pick(&mut self) -> Read<Pick> {
        Ok(Pick {
            id: self.maybe(|from| from.number().map(LetterId))?,
            class: self.maybe(Self::class)?,
            cause: self.maybe(Self::text)?,
            process: self.maybe(Self::text)?,
        })
    }
}
