//! A table with functions for its guards and actions: a machine that was read at run time.
//!
//! What always holds of a [`Bound`] machine: each guard and action of its table has a function, and its events are those of the table;
//! so running it cannot fail for want of a name.
//!
//! It goes through the arms one by one, where the macro's machine is a `match`. The two must never differ, and a test walks both
//! with the same events.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::time::SystemTime;

use super::instance::{Event, Machine, State, Verdict};
use super::table::{Outcome, StateId, Table};
use crate::yaml::hint;

/// Looks at the data of an instance, at an event and at the time.
type GuardFn<D, E> = fn(&D, &E, SystemTime) -> bool;
/// Changes the data of an instance, and may say what is to be done.
type ActionFn<D, E, O> = fn(&mut D, &E, SystemTime) -> Option<O>;

/// Functions by the names that tables call them.
pub struct Bindings<S, E, D, O> {
    guards: BTreeMap<String, GuardFn<D, E>>,
    actions: BTreeMap<String, ActionFn<D, E, O>>,
    states: Option<&'static [&'static str]>,
    of: PhantomData<fn() -> S>,
}

impl<E: Event, D, O> Bindings<StateId, E, D, O> {
    /// None yet.
    pub fn new() -> Self {
        Self { guards: BTreeMap::new(), actions: BTreeMap::new(), states: None, of: PhantomData }
    }
}

impl<E: Event, D, O> Default for Bindings<StateId, E, D, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: State, E: Event, D, O> Bindings<S, E, D, O> {
    #[doc(hidden)]
    pub fn with_states(states: &'static [&'static str]) -> Self {
        Self {
            guards: BTreeMap::new(),
            actions: BTreeMap::new(),
            states: Some(states),
            of: PhantomData,
        }
    }

    /// Gives a guard its function; a second one of the same name takes the place of the first.
    #[must_use]
    pub fn guard(mut self, name: &str, function: fn(&D, &E, SystemTime) -> bool) -> Self {
        self.guards.insert(name.to_owned(), function);
        self
    }

    /// Gives an action its function; a second one of the same name takes the place of the first.
    #[must_use]
    pub fn action(mut self, name: &str, function: fn(&mut D, &E, SystemTime) -> Option<O>) -> Self {
        self.actions.insert(name.to_owned(), function);
        self
    }

    /// Makes a machine of a table. Functions that the table does not name are left aside.
    ///
    /// # Errors
    /// Every name of the table that has no function, and every event (and state, where they are a type) that one side lacks.
    pub fn bind(self, table: Table) -> Result<Bound<S, E, D, O>, BindError> {
        let mut missing = Vec::new();
        let mut compare = |what: &str, of_table: &[&str], of_type: &[&str]| {
            for name in of_table.iter().filter(|name| !of_type.contains(*name)) {
                let hint = hint(name, of_type.iter().copied());
                missing.push(format!("{what} `{name}` of the table is not one of the type{hint}"));
            }
            for name in of_type.iter().filter(|name| !of_table.contains(*name)) {
                missing.push(format!("{what} `{name}` of the type is not in the table"));
            }
            if of_table.len() == of_type.len() && of_table != of_type && missing.is_empty() {
                missing
                    .push(format!("the table declares its {what}s in another order than the type"));
            }
        };
        if let Some(names) = E::NAMES {
            let events: Vec<&str> = table.events().iter().map(|name| &**name).collect();
            compare("event", &events, names);
        }
        if let Some(names) = self.states {
            let states: Vec<&str> = table.states().iter().map(|state| &*state.name).collect();
            compare("state", &states, names);
        }
        for name in table.guards().iter().filter(|name| !self.guards.contains_key(&***name)) {
            let hint = hint(name, self.guards.keys().map(String::as_str));
            missing.push(format!("guard `{name}` has no function{hint}"));
        }
        for name in table.actions().iter().filter(|name| !self.actions.contains_key(&***name)) {
            let hint = hint(name, self.actions.keys().map(String::as_str));
            missing.push(format!("action `{name}` has no function{hint}"));
        }
        for state in table.states() {
            let Some(timeout) = state.timeout else { continue };
            if E::of_timeout(timeout.event).is_none() {
                let event = &table.events()[timeout.event.index()];
                let state = &state.name;
                missing.push(format!(
                    "the timeout of state `{state}` brings `{event}`, which carries something, so time alone cannot make it"
                ));
            }
        }
        if !missing.is_empty() {
            return Err(BindError { machine: table.name().to_owned(), missing });
        }
        let arms = table.cells().map(|(_, _, arms)| {
            let bind = |arm: &super::Arm| BoundArm {
                guards: arm.guards.iter().map(|g| (self.guards[&*g.name], g.negated)).collect(),
                actions: arm.actions.iter().map(|name| self.actions[&**name]).collect(),
                outcome: match arm.outcome {
                    Outcome::Go(to) => Some(Verdict::Go(to)),
                    Outcome::Stay => Some(Verdict::Stay),
                    Outcome::Refuse(_) => None,
                },
            };
            arms.iter().map(bind).collect()
        });
        Ok(Bound { cells: arms.collect(), table, of: PhantomData })
    }
}

impl<S, E, D, O> fmt::Debug for Bindings<S, E, D, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bindings")
            .field("guards", &self.guards.keys())
            .field("actions", &self.actions.keys())
            .finish()
    }
}

/// What a table and its bindings lack of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindError {
    machine: String,
    missing: Vec<String>,
}

impl BindError {
    /// Each lack, in words.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "machine `{}` cannot be bound: {}", self.machine, self.missing.join("; "))
    }
}

impl Error for BindError {}

struct BoundArm<D, E, O> {
    guards: Vec<(GuardFn<D, E>, bool)>,
    actions: Vec<ActionFn<D, E, O>>,
    /// None refuses.
    outcome: Option<Verdict>,
}

/// A table with its functions.
pub struct Bound<S, E, D, O> {
    table: Table,
    cells: Vec<Vec<BoundArm<D, E, O>>>,
    of: PhantomData<fn() -> S>,
}

impl<S, E, D, O> fmt::Debug for Bound<S, E, D, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<S, E, D, O> Machine for Bound<S, E, D, O>
where
    S: State,
    E: Event + 'static,
    D: 'static,
    O: 'static,
{
    type State = S;
    type Event = E;
    type Data = D;
    type Decision = O;

    fn table(&self) -> &Table {
        &self.table
    }

    fn decide(
        &self,
        state: StateId,
        data: &mut D,
        event: &E,
        now: SystemTime,
        out: &mut Vec<O>,
    ) -> Verdict {
        let (id, width) = (event.id().index(), self.table.events().len());
        assert!(id < width, "an event that the table does not have");
        let index = state.index() * width + id;
        let arms = &self.cells[index];
        let agree = |arm: &BoundArm<D, E, O>| {
            arm.guards.iter().all(|(guard, no)| guard(data, event, now) != *no)
        };
        // The last arm is what is left: a table has no holes.
        let last = arms.len() - 1;
        let taken = arms[..last].iter().position(agree).unwrap_or(last);
        let arm = &arms[taken];
        let Some(verdict) = arm.outcome else { return Verdict::Refuse(taken as u16) };
        for action in &arm.actions {
            out.extend(action(data, event, now));
        }
        verdict
    }
}
