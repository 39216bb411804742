//! What can be wrong with a table, found by looking at all of it.
//!
//! What is looked for: pairs that nobody thought of; guards that together leave a hole; arms that can never be taken; states that
//! cannot be reached; states with no way on, and such from which no final state can be reached any more; ways out of a final
//! state; events that are refused everywhere.
//!
//! Why guards are tried out instead of compared: an arm wants some functions to say yes and others to say no. With the few that a
//! cell has, going through every combination of answers is exact and short, and it finds a doubled row and a row behind a
//! catch-all by the same look.
//!
//! The macro makes the same checks with its own, at compile time, where it has spans (`towpath-macros`); the tests hold both to the
//! same cases.

use std::collections::VecDeque;
use std::fmt;

use super::table::{Arm, EventId, Outcome, StateId, Table};

/// Guards that one cell may ask.
///
/// 2 to the power of 8 combinations are gone through; a cell with more should be two states.
pub(crate) const GUARDS_MAX: usize = 8;

/// Something that is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// No arm at all.
    Missing { state: StateId, event: EventId },
    /// For these answers of the guards there is no arm.
    Hole { state: StateId, event: EventId, answers: String },
    /// Whatever the guards say, an arm above is taken.
    NeverTaken { state: StateId, event: EventId, arm: usize },
    /// More guards than are gone through.
    TooManyGuards { state: StateId, event: EventId },
    /// No way leads there from the initial state.
    Unreachable { state: StateId },
    /// Not final, and no event leads out of it.
    DeadEnd { state: StateId },
    /// There are final states, but none can be reached from here.
    Trap { state: StateId },
    /// Final, and yet an event leads on.
    FinalLeft { state: StateId, event: EventId },
    /// Final, and yet it has a timeout.
    FinalTimed { state: StateId },
    /// What time brings is refused where it is brought.
    TimeoutRefused { state: StateId },
    /// Refused in every state.
    Unhandled { event: EventId },
}

impl Finding {
    /// In words, with the names of the table.
    pub(crate) fn words(&self, table: &Table) -> String {
        let state = |id: StateId| &table.states()[id.index()].name;
        let event = |id: EventId| &table.events()[id.index()];
        match self {
            Self::Missing { state: s, event: e } => format!(
                "nothing says what `{}` does in state `{}`: handle it, or refuse it with a reason",
                event(*e),
                state(*s)
            ),
            Self::Hole { state: s, event: e, answers } => format!(
                "the guards of `{}` in state `{}` leave a hole: nothing says what happens when {answers}; end with an arm \
                 without a guard",
                event(*e),
                state(*s)
            ),
            Self::NeverTaken { state: s, event: e, .. } => format!(
                "this arm of `{}` in state `{}` is never taken: those above it cover everything; remove it or move it up",
                event(*e),
                state(*s)
            ),
            Self::TooManyGuards { state: s, event: e } => format!(
                "`{}` in state `{}` asks more than {GUARDS_MAX} guards: make it two states",
                event(*e),
                state(*s)
            ),
            Self::Unreachable { state: s } => format!(
                "state `{}` cannot be reached from `{}`: lead a transition there, or remove it",
                state(*s),
                state(table.initial())
            ),
            Self::DeadEnd { state: s } => format!(
                "state `{}` is a dead end: no event leads out of it; mark it final, or lead a transition out",
                state(*s)
            ),
            Self::Trap { state: s } => format!(
                "from state `{}` no final state can be reached: lead a transition towards one",
                state(*s)
            ),
            Self::FinalLeft { state: s, event: e } => format!(
                "state `{}` is final, but `{}` leads out of it: refuse it there, or do not call the state final",
                state(*s),
                event(*e)
            ),
            Self::FinalTimed { state: s } => {
                format!("state `{}` is final and cannot have a timeout: remove it", state(*s))
            }
            Self::TimeoutRefused { state: s } => format!(
                "state `{}` refuses the event that its own timeout brings: handle it, or remove the timeout",
                state(*s)
            ),
            Self::Unhandled { event: e } => format!(
                "event `{}` is refused in every state: handle it in one, or remove it",
                event(*e)
            ),
        }
    }
}

/// All that is wrong with a table, cells first.
pub(crate) fn findings(table: &Table) -> Vec<Finding> {
    let mut found: Vec<_> =
        table.cells().flat_map(|(state, event, arms)| cell(state, event, arms)).collect();
    found.extend(ways(table));
    let refuses = |arm: &Arm| matches!(arm.outcome, Outcome::Refuse(_));
    for (index, state) in table.states().iter().enumerate() {
        let Some(timeout) = state.timeout else { continue };
        let id = StateId(index as u16);
        let arms = table.cell(id, timeout.event);
        if !arms.is_empty() && arms.iter().all(refuses) && !state.is_final {
            found.push(Finding::TimeoutRefused { state: id });
        }
    }
    let handled = |event: EventId| {
        table.cells().any(|(_, of, arms)| {
            of == event && arms.iter().any(|arm| !matches!(arm.outcome, Outcome::Refuse(_)))
        })
    };
    let events = (0..table.events().len()).map(|index| EventId(index as u16));
    found.extend(events.filter(|event| !handled(*event)).map(|event| Finding::Unhandled { event }));
    found
}

/// What is wrong with one cell.
fn cell(state: StateId, event: EventId, arms: &[Arm]) -> Vec<Finding> {
    if arms.is_empty() {
        return vec![Finding::Missing { state, event }];
    }
    let mut names: Vec<&str> =
        arms.iter().flat_map(|arm| &arm.guards).map(|guard| &*guard.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > GUARDS_MAX {
        return vec![Finding::TooManyGuards { state, event }];
    }
    let mut taken = vec![false; arms.len()];
    let mut hole = None;
    // The combination in which all say no comes first: it is the one that people forget.
    for answers in 0..1_u32 << names.len() {
        let says = |name: &str| {
            names.iter().position(|known| *known == name).is_some_and(|bit| answers >> bit & 1 == 1)
        };
        let first = arms
            .iter()
            .position(|arm| arm.guards.iter().all(|guard| says(&guard.name) != guard.negated));
        match first {
            Some(first) => taken[first] = true,
            None if hole.is_none() => hole = Some(Answers { names: &names, answers }.to_string()),
            None => {}
        }
    }
    let hole = hole.map(|answers| Finding::Hole { state, event, answers });
    let idle = taken.iter().enumerate().filter(|(_, taken)| !**taken);
    hole.into_iter().chain(idle.map(|(arm, _)| Finding::NeverTaken { state, event, arm })).collect()
}

/// What the guards said.
struct Answers<'a> {
    names: &'a [&'a str],
    answers: u32,
}

impl fmt::Display for Answers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, name) in self.names.iter().enumerate() {
            let and = if bit == 0 { "" } else { " and " };
            let says = if self.answers >> bit & 1 == 1 { "holds" } else { "does not hold" };
            write!(f, "{and}`{name}` {says}")?;
        }
        Ok(())
    }
}

/// What a walk over the arrows finds, breadth first.
fn ways(table: &Table) -> Vec<Finding> {
    let count = table.states().len();
    let mut out = vec![Vec::new(); count];
    let mut back = vec![Vec::new(); count];
    let mut found = Vec::new();
    for (state, event, arms) in table.cells() {
        for arm in arms {
            let Outcome::Go(to) = arm.outcome else { continue };
            out[state.index()].push(to.index());
            back[to.index()].push(state.index());
            if table.states()[state.index()].is_final {
                found.push(Finding::FinalLeft { state, event });
            }
        }
    }
    let finals: Vec<_> = (0..count).filter(|index| table.states()[*index].is_final).collect();
    let reached = walk(&out, &[table.initial().index()]);
    let saved = walk(&back, &finals);
    for (index, state) in table.states().iter().enumerate() {
        let id = StateId(index as u16);
        if !reached[index] {
            found.push(Finding::Unreachable { state: id });
        } else if state.is_final {
            if state.timeout.is_some() {
                found.push(Finding::FinalTimed { state: id });
            }
        } else if out[index].iter().all(|to| *to == index) {
            found.push(Finding::DeadEnd { state: id });
        } else if !finals.is_empty() && !saved[index] {
            found.push(Finding::Trap { state: id });
        }
    }
    found
}

/// Which nodes can be reached from some.
fn walk(arrows: &[Vec<usize>], from: &[usize]) -> Vec<bool> {
    let mut seen = vec![false; arrows.len()];
    let mut queue: VecDeque<_> = from.iter().copied().collect();
    while let Some(node) = queue.pop_front() {
        if !std::mem::replace(&mut seen[node], true) {
            queue.extend(arrows[node].iter().copied());
        }
    }
    seen
}
