//! The table of a machine: its states, its events, and for every pair of them what happens.
//!
//! What always holds of a [`Table`]:
//! - Every pair of a state and an event has a cell with at least one arm, and whatever its guards say, one arm is taken.
//! - Every state can be reached, every event is handled somewhere, and nothing leads out of a final state.
//! - Guards and actions are listed once each, in the order of their names; so two tables are equal when they mean the same.
//!
//! Why names and not functions: a table is data. It is compared, drawn, printed and kept in a file; what its guards and actions do
//! is bound to it later ([`Bound`](super::Bound)), or generated beside it by the macro.

use std::sync::Arc;
use std::time::Duration;

use super::check::{self, Finding};

/// Which state of a table, counted from 0 in the order of declaration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub u16);

/// Which event of a table, counted from 0 in the order of declaration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u16);

impl StateId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl EventId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A state as a table describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its name.
    pub name: Arc<str>,
    /// Whether nothing leads out of it.
    pub is_final: bool,
    /// What happens to an instance that has been in it for so long.
    pub timeout: Option<Timeout>,
}

/// An event that time brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// How long after the state was entered.
    pub after: Duration,
    /// What happens then; an event like any other.
    pub event: EventId,
}

/// A guard of an arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The function's name.
    pub name: Arc<str>,
    /// Whether the arm wants it to say no.
    pub negated: bool,
}

/// One possibility of a cell. Arms are tried in order; the first whose guards all agree is taken, the last one in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arm {
    /// What must hold.
    pub guards: Vec<Guard>,
    /// Where it leads.
    pub outcome: Outcome,
    /// What is done on the way, in order; nothing when it refuses.
    pub actions: Vec<Arc<str>>,
}

/// Where an arm leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Into a state, possibly the same again, whose timeout then starts anew.
    Go(StateId),
    /// Nowhere: the event is handled, the state stays, and so does its timeout.
    Stay,
    /// The event is not for this state; why.
    Refuse(Arc<str>),
}

/// A machine as data; complete and checked. [`machine!`](crate::machine!) makes one at compile time, [`Table::from_yaml`] at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    name: Arc<str>,
    version: u32,
    states: Vec<State>,
    events: Vec<Arc<str>>,
    initial: StateId,
    guards: Vec<Arc<str>>,
    actions: Vec<Arc<str>>,
    /// By state, then by event.
    cells: Vec<Vec<Arm>>,
}

impl Table {
    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that the author gave it; a journal remembers which one wrote it.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The states in the order of declaration.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The events' names in the order of declaration.
    pub fn events(&self) -> &[Arc<str>] {
        &self.events
    }

    /// Where an instance begins.
    pub fn initial(&self) -> StateId {
        self.initial
    }

    /// The guards that some arm asks, by name.
    pub fn guards(&self) -> &[Arc<str>] {
        &self.guards
    }

    /// The actions that some arm does, by name.
    pub fn actions(&self) -> &[Arc<str>] {
        &self.actions
    }

    /// The state of this name.
    pub fn state(&self, name: &str) -> Option<StateId> {
        let index = self.states.iter().position(|state| &*state.name == name)?;
        Some(StateId(index as u16))
    }

    /// The event of this name.
    pub fn event(&self, name: &str) -> Option<EventId> {
        let index = self.events.iter().position(|event| &**event == name)?;
        Some(EventId(index as u16))
    }

    /// What happens to an event in a state: the arms in the order in which they are tried.
    ///
    /// # Panics
    /// When an id is not of this table.
    pub fn cell(&self, state: StateId, event: EventId) -> &[Arm] {
        assert!(event.index() < self.events.len(), "an event of another table");
        &self.cells[state.index() * self.events.len() + event.index()]
    }

    /// All pairs with their arms, by state and then by event.
    pub fn cells(&self) -> impl Iterator<Item = (StateId, EventId, &[Arm])> {
        let width = self.events.len();
        self.cells.iter().enumerate().map(move |(index, arms)| {
            (StateId((index / width) as u16), EventId((index % width) as u16), arms.as_slice())
        })
    }

    /// A number that differs when the tables differ, in any word or arrow. It is the same on every machine and in every build, and
    /// a journal remembers it: a table that was changed without a new version is noticed.
    pub fn fingerprint(&self) -> u64 {
        // FNV-1a over the text that shows everything. Not against malice; against forgetting.
        self.to_text().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Puts a table together, and says what is wrong with it.
    pub(crate) fn build(mut draft: Draft) -> (Self, Vec<Finding>) {
        // Guards do not change anything, so their order in an arm means nothing.
        for arm in draft.cells.iter_mut().flatten() {
            arm.guards.sort_by(|one, other| one.name.cmp(&other.name));
        }
        let arms = || draft.cells.iter().flatten();
        let mut guards: Vec<Arc<str>> =
            arms().flat_map(|arm| &arm.guards).map(|guard| guard.name.clone()).collect();
        let mut actions: Vec<Arc<str>> = arms().flat_map(|arm| arm.actions.clone()).collect();
        for names in [&mut guards, &mut actions] {
            names.sort_unstable();
            names.dedup();
        }
        let Draft { name, version, states, events, initial, cells } = draft;
        let table = Self { name, version, states, events, initial, guards, actions, cells };
        let findings = check::findings(&table);
        (table, findings)
    }
}

/// A table that nobody has checked yet.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) name: Arc<str>,
    pub(crate) version: u32,
    pub(crate) states: Vec<State>,
    pub(crate) events: Vec<Arc<str>>,
    pub(crate) initial: StateId,
    /// By state, then by event; an empty one was forgotten.
    pub(crate) cells: Vec<Vec<Arm>>,
}
