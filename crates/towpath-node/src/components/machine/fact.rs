//! A machine of a table that was read from a file: what happens to its instances, and what they remember.
//!
//! What always holds: an instance's number of moves grows by one with each event that is handled; of messages it remembers the fields
//! that the file names, as they were last, and nothing else.
//!
//! Why messages are kept as they came, behind a pointer: an event goes through the mailbox, into the journal, and out again, and is
//! copied only where it is written.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple};
use serde_json::{Map, Value};
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
        let nothing = Traced::from(Value::Object(Map::new()));
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
        let (event, by_time, headers, body): (u16, bool, &[u8], &[u8]) =
            Deserialize::deserialize(from)?;
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
    /// The last of them.
    pub(super) event: u16,
    /// Fields that it carries, as JSON: few bytes, for as long as it lives.
    pub(super) carried: Option<Box<[u8]>>,
}

/// What is to be told of a handled event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) fact: Fact,
    pub(super) life: Life,
}

/// The table as a machine.
#[derive(Clone, Debug)]
pub(super) struct Tabled {
    pub(super) table: Arc<Table>,
    /// Fields that instances carry.
    pub(super) carries: Arc<[String]>,
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
        let verdict = match arm.outcome {
            Outcome::Go(to) => Verdict::Go(to),
            Outcome::Stay => Verdict::Stay,
            Outcome::Refuse(_) => return Verdict::Refuse(0),
        };
        data.moves = data.moves.saturating_add(1);
        data.event = event.event.0;
        self.carry(data, &event.message);
        out.push(Moved { fact: event.clone(), life: data.clone() });
        verdict
    }
}

impl Tabled {
    /// What a message says of fields that instances carry, they carry from here on.
    fn carry(&self, life: &mut Life, message: &Value) {
        if !self.carries.iter().any(|field| message.get(field).is_some()) {
            return;
        }
        let mut carried = life.carried();
        for field in &*self.carries {
            if let Some(value) = message.get(field) {
                carried.insert(field.clone(), value.clone());
            }
        }
        // A map of JSON with words as keys can always be written.
        life.carried = serde_json::to_vec(&carried).ok().map(Vec::into_boxed_slice);
    }
}

impl Life {
    /// The fields that it carries.
    pub(super) fn carried(&self) -> Map<String, Value> {
        // It was written here.
        self.carried
            .as_ref()
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fact_is_the_same_after_the_journal() {
        let message =
            Traced::new(Headers::new(*b"trace"), json!({"ride": 7, "at": [1.5, -2], "what": null}));
        let fact = Fact { event: EventId(3), by_time: false, message: Arc::new(message) };
        let bytes = postcard::to_allocvec(&(7_u64, &fact, true)).unwrap();
        let (_, back, last): (u64, Fact, bool) = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(
            (back.event, back.by_time, &*back.message, last),
            (fact.event, false, &*fact.message, true)
        );
    }

    #[test]
    fn what_an_instance_carries_is_what_was_said_last() {
        let table = Table::from_yaml(
            "t",
            "machine: m\nversion: 1\nstates: {A: {initial: true}, B: {final: true}}\nevents: [Go]\nrules: {A: {Go: {to: B}}, B: {_: {refuse: over}}}\n",
        );
        let carries = ["fare".to_owned(), "driver".to_owned()].into();
        let tabled = Tabled { table: Arc::new(table.unwrap()), carries };
        let mut life = Life::default();
        for message in
            [json!({"fare": 5, "other": 1}), json!({"event": "x"}), json!({"driver": 7, "fare": 6})]
        {
            tabled.carry(&mut life, &message);
        }
        assert_eq!(Value::Object(life.carried()), json!({"driver": 7, "fare": 6}));
    }
}
