//! A machine of a table that was read from a file: what happens to its instances, and what they remember.
//!
//! What always holds: an instance's number of moves grows by one with each event that is handled; what it remembers of a message is
//! remembered only in states that tell again.
//!
//! Why messages are kept as they came, behind a pointer: an event goes through the mailbox, into the journal, and out again, and is
//! copied only where it is written.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple};
use serde_json::Value;
use towpath::{Headers, Traced};
use towpath_patterns::machine::{Event, EventId, Machine, Outcome, StateId, Table, Verdict};

use crate::ports::Message;

/// Something that happens to an instance: which event, and the message that says so.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) event: EventId,
    /// Nobody sent it, time has brought it.
    pub(super) by_time: bool,
    pub(super) message: Arc<Message>,
}

impl Event for Fact {
    const NAMES: Option<&'static [&'static str]> = None;

    fn id(&self) -> EventId {
        self.event
    }

    fn of_timeout(event: EventId) -> Option<Self> {
        let nothing = Traced::from(Value::Object(serde_json::Map::new()));
        Some(Self { event, by_time: true, message: Arc::new(nothing) })
    }
}

/// As in a journal: event, by time, headers, the message as JSON.
impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let body = serde_json::to_vec(&**self.message).map_err(serde::ser::Error::custom)?;
        let mut row = to.serialize_tuple(4)?;
        row.serialize_element(&self.event.0)?;
        row.serialize_element(&self.by_time)?;
        row.serialize_element(&Bytes(self.message.headers().as_bytes()))?;
        row.serialize_element(&Bytes(&body))?;
        row.end()
    }
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (event, by_time, headers, body): (u16, bool, &[u8], &[u8]) = Deserialize::deserialize(from)?;
        let body: Value = serde_json::from_slice(body).map_err(de::Error::custom)?;
        let message = Arc::new(Traced::new(Headers::new(headers), body));
        Ok(Self { event: EventId(event), by_time, message })
    }
}

/// What an instance remembers beside its state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Life {
    /// Events that it has handled.
    pub(super) moves: u32,
    /// What brought it into its state, if that is one that tells again.
    pub(super) last: Option<Fact>,
}

/// What is to be told of a handled event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) fact: Fact,
    pub(super) moves: u32,
    /// Which arm of its cell was taken: its actions are told too.
    pub(super) arm: u16,
}

/// The table as a machine.
#[derive(Clone, Debug)]
pub(super) struct Tabled {
    pub(super) table: Arc<Table>,
    /// For each state whether it tells again.
    pub(super) again: Arc<[bool]>,
}

impl Machine for Tabled {
    type State = StateId;
    type Event = Fact;
    type Data = Life;
    type Decision = Moved;

    fn table(&self) -> &Table {
        &self.table
    }

    fn decide(
        &self,
        state: StateId,
        data: &mut Life,
        event: &Fact,
        _: SystemTime,
        out: &mut Vec<Moved>,
    ) -> Verdict {
        // Without guards, which the check refuses, the first arm is the only one.
        let Some(arm) = self.table.cell(state, event.event).first() else {
            return Verdict::Refuse(0);
        };
        let (to, verdict) = match arm.outcome {
            Outcome::Go(to) => (to, Verdict::Go(to)),
            Outcome::Stay => (state, Verdict::Stay),
            Outcome::Refuse(_) => return Verdict::Refuse(0),
        };
        data.moves = data.moves.saturating_add(1);
        match (self.again[to.index()], &arm.outcome) {
            (false, _) => data.last = None,
            (true, Outcome::Go(_)) => data.last = Some(event.clone()),
            // What happens in a state does not change what led there.
            (true, _) => {}
        }
        out.push(Moved { fact: event.clone(), moves: data.moves, arm: 0 });
        verdict
    }
}
