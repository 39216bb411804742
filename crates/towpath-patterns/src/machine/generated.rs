//! What the code that `machine!` writes calls. Not for people: it changes without notice.

use std::time::Duration;

use super::table::{Arm, Draft, EventId, Guard, Outcome, State, StateId, Table, Timeout};

/// A state: its name, whether it is final, and its timeout as milliseconds and event.
pub type StateRow = (&'static str, bool, Option<(u64, u16)>);

/// An arm: guards with whether they are negated, where it leads, actions.
pub type ArmRow = (&'static [(&'static str, bool)], To, &'static [&'static str]);

/// Where an arm leads.
#[derive(Clone, Copy, Debug)]
pub enum To {
    /// Into a state.
    Go(u16),
    /// Nowhere.
    Stay,
    /// Refused, and why.
    Refuse(&'static str),
}

/// The table of a machine that the macro has checked.
///
/// # Panics
/// When the macro overlooked what the checks at load find; a bug of ours.
pub fn table(
    name: &str,
    version: u32,
    initial: u16,
    states: &[StateRow],
    events: &[&str],
    cells: &[&[ArmRow]],
) -> Table {
    let state = |(name, is_final, timeout): &StateRow| State {
        name: (*name).into(),
        is_final: *is_final,
        timeout: timeout.map(|(millis, event)| Timeout {
            after: Duration::from_millis(millis),
            event: EventId(event),
        }),
    };
    let arm = |(guards, to, actions): &ArmRow| Arm {
        guards: guards
            .iter()
            .map(|(name, negated)| Guard { name: (*name).into(), negated: *negated })
            .collect(),
        outcome: match to {
            To::Go(state) => Outcome::Go(StateId(*state)),
            To::Stay => Outcome::Stay,
            To::Refuse(reason) => Outcome::Refuse((*reason).into()),
        },
        actions: actions.iter().map(|name| (*name).into()).collect(),
    };
    let draft = Draft {
        name: name.into(),
        version,
        states: states.iter().map(state).collect(),
        events: events.iter().map(|name| (*name).into()).collect(),
        initial: StateId(initial),
        cells: cells.iter().map(|cell| cell.iter().map(arm).collect()).collect(),
    };
    let (table, findings) = Table::build(draft);
    let words: Vec<_> = findings.iter().map(|finding| finding.words(&table)).collect();
    assert!(words.is_empty(), "machine! let through what loading refuses: {}", words.join("; "));
    table
}
