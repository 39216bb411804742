//! One machine at work: what a machine is to those who run it, and an instance of it.
//!
//! What always holds: an instance's state is one of its machine's; whatever is refused has changed neither state nor data.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::table::{EventId, Outcome, StateId, Table};

/// The states of a machine as a type. [`machine!`](crate::machine!) makes an enum of them; [`StateId`] serves tables that are read at
/// run time.
pub trait State: Copy + Eq + fmt::Debug + Send + Sync + 'static {
    /// Its place in the table.
    fn id(self) -> StateId;
    /// The state at a place of the table.
    ///
    /// # Panics
    /// May panic when the table has no such place.
    fn of(id: StateId) -> Self;
}

impl State for StateId {
    fn id(self) -> StateId {
        self
    }
    fn of(id: StateId) -> Self {
        id
    }
}

/// What can happen to an instance.
pub trait Event: Sized {
    /// The events' names in the order of the table, where the type knows them. Binding a table compares them.
    const NAMES: Option<&'static [&'static str]>;
    /// Which event of the table this is.
    fn id(&self) -> EventId;
    /// The event that a timeout brings. None when it carries something, so that time alone cannot make it.
    fn of_timeout(id: EventId) -> Option<Self>;
}

/// A machine: its table, and how to decide by it. Made by [`machine!`](crate::machine!), or by [`Bindings::bind`](super::Bindings::bind).
pub trait Machine: Send + Sync + 'static {
    /// Its states.
    type State: State;
    /// What can happen.
    type Event: Event;
    /// What each instance remembers beside its state.
    type Data;
    /// What its actions say is to be done; somebody else does it.
    type Decision;

    /// The table it goes by.
    fn table(&self) -> &Table;

    /// Decides what an event does: asks the guards, does the actions on `data` and puts their decisions into `out`. The state is the
    /// caller's to change. A verdict of refusal left `data` and `out` as they were.
    fn decide(
        &self,
        state: StateId,
        data: &mut Self::Data,
        event: &Self::Event,
        now: SystemTime,
        out: &mut Vec<Self::Decision>,
    ) -> Verdict;
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Into this state; its timeout begins.
    Go(StateId),
    /// Handled, the state stays.
    Stay,
    /// Refused by this arm of the cell, which has the reason.
    Refuse(u16),
}

/// A handled event: from where to where, and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition<S, D> {
    /// Before.
    pub from: S,
    /// After; the same when the event was handled in place.
    pub to: S,
    /// What the actions said, in order.
    pub decisions: Vec<D>,
}

/// A refused event. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The name of the state.
    pub state: Arc<str>,
    /// The name of the event.
    pub event: Arc<str>,
    /// Why, as the table says it.
    pub reason: Arc<str>,
}

impl Refused {
    /// The refusal behind [`Verdict::Refuse`].
    ///
    /// # Panics
    /// When state, event and arm are not those of a refusing arm of the table.
    pub fn of(table: &Table, state: StateId, event: EventId, arm: u16) -> Self {
        let Outcome::Refuse(reason) = &table.cell(state, event)[usize::from(arm)].outcome else {
            panic!(
                "a machine refuses by an arm that does not: its `decide` does not follow its table"
            )
        };
        Self {
            state: table.states()[state.index()].name.clone(),
            event: table.events()[event.index()].clone(),
            reason: reason.clone(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is refused in state {}: {}", self.event, self.state, self.reason)
    }
}

impl Error for Refused {}

/// One instance of a machine: where it is, and what it remembers.
pub struct Instance<M: Machine> {
    machine: M,
    state: StateId,
    data: M::Data,
}

impl<M: Machine> Instance<M> {
    /// A new instance in the initial state.
    pub fn new(machine: M, data: M::Data) -> Self {
        let state = machine.table().initial();
        Self { machine, state, data }
    }

    /// What an event does, at the time `now`.
    ///
    /// # Errors
    /// [`Refused`] says why; the event is still the caller's, and nothing has changed.
    pub fn on(
        &mut self,
        event: &M::Event,
        now: SystemTime,
    ) -> Result<Transition<M::State, M::Decision>, Refused> {
        let from = self.state;
        let mut decisions = Vec::new();
        match self.machine.decide(from, &mut self.data, event, now, &mut decisions) {
            Verdict::Go(to) => self.state = to,
            Verdict::Stay => {}
            Verdict::Refuse(arm) => {
                return Err(Refused::of(self.machine.table(), from, event.id(), arm));
            }
        }
        Ok(Transition { from: M::State::of(from), to: M::State::of(self.state), decisions })
    }

    /// Where it is.
    pub fn state(&self) -> M::State {
        M::State::of(self.state)
    }

    /// What it remembers.
    pub fn data(&self) -> &M::Data {
        &self.data
    }

    /// Whether nothing leads out of where it is.
    pub fn is_final(&self) -> bool {
        self.machine.table().states()[self.state.index()].is_final
    }

    /// Its machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }
}

impl<M: Machine + Clone> Clone for Instance<M>
where
    M::Data: Clone,
{
    fn clone(&self) -> Self {
        Self { machine: self.machine.clone(), state: self.state, data: self.data.clone() }
    }
}

impl<M: Machine> fmt::Debug for Instance<M>
where
    M::Data: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("state", &self.state()).field("data", &self.data).finish()
    }
}
