//! What is wrong with a table as a whole, said at its place.
//!
//! The same checks as `towpath-patterns/src/machine/check.rs` makes of tables from YAML, in the same words; a macro's crate cannot
//! share code with the crate that hands it on. The cases in `towpath-patterns/tests/ui/machine` and `tests/it/machine/yaml.rs` are
//! the same on purpose.

use std::collections::VecDeque;

use super::resolve::{Arm, Errors, Resolved, To, name_of};

/// Guards that one cell may ask: 2 to the power of this many combinations are gone through.
const GUARDS_MAX: usize = 8;

/// Looks at cells and ways.
pub(super) fn check(table: &Resolved, errors: &mut Errors) {
    let width = table.events.len();
    for (index, arms) in table.cells.iter().enumerate() {
        let (state, event) = (&table.states[index / width].name, &table.events[index % width]);
        if arms.is_empty() {
            let message = format!(
                "nothing says what `{event}` does in state `{state}`: handle it, or refuse it with a reason"
            );
            errors.say(state.span(), message);
            continue;
        }
        cell(arms, &format!("`{event}` in state `{state}`"), errors);
    }
    ways(table, errors);
    for (index, state) in table.states.iter().enumerate() {
        let Some((_, event, span)) = state.timeout.filter(|_| !state.is_final) else { continue };
        let arms = &table.cells[index * width + event];
        if !arms.is_empty() && arms.iter().all(|arm| matches!(arm.to, To::Refuse(_))) {
            let message = format!(
                "state `{}` refuses the event that its own timeout brings: handle it, or remove the timeout",
                state.name
            );
            errors.say(span, message);
        }
    }
    for (event, name) in table.events.iter().enumerate() {
        let mut arms = table.cells.iter().skip(event).step_by(width).flatten();
        if !arms.any(|arm| !matches!(arm.to, To::Refuse(_))) {
            let message =
                format!("event `{name}` is refused in every state: handle it in one, or remove it");
            errors.say(name.span(), message);
        }
    }
}

/// The guards of a cell by name, once each.
fn guards(arms: &[Arm]) -> Vec<String> {
    let mut names: Vec<_> =
        arms.iter().flat_map(|arm| &arm.guards).map(|(path, _)| name_of(path)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Which arm is taken when the guards answer so, a bit for each.
fn taken(arms: &[Arm], names: &[String], answers: u32) -> Option<usize> {
    let says = |path: &syn::Path| {
        let name = name_of(path);
        names.iter().position(|known| *known == name).is_some_and(|bit| answers >> bit & 1 == 1)
    };
    arms.iter().position(|arm| arm.guards.iter().all(|(path, negated)| says(path) != *negated))
}

/// Whether some arm is taken whatever the guards answer. Then the last one needs no question.
pub(super) fn is_whole(arms: &[Arm]) -> bool {
    let names = guards(arms);
    names.len() <= GUARDS_MAX
        && (0..1_u32 << names.len()).all(|answers| taken(arms, &names, answers).is_some())
}

fn cell(arms: &[Arm], of: &str, errors: &mut Errors) {
    let names = guards(arms);
    let last = arms[arms.len() - 1].span;
    if names.len() > GUARDS_MAX {
        errors.say(last, format!("{of} asks more than {GUARDS_MAX} guards: make it two states"));
        return;
    }
    let mut used = vec![false; arms.len()];
    let mut hole = None;
    for answers in 0..1_u32 << names.len() {
        match taken(arms, &names, answers) {
            Some(arm) => used[arm] = true,
            None => {
                hole.get_or_insert(answers);
            }
        }
    }
    if let Some(answers) = hole {
        let says = |(bit, name): (usize, &String)| {
            let says = if answers >> bit & 1 == 1 { "holds" } else { "does not hold" };
            format!("`{name}` {says}")
        };
        let answers: Vec<_> = names.iter().enumerate().map(says).collect();
        let message = format!(
            "the guards of {of} leave a hole: nothing says what happens when {}; end with an arm without a guard",
            answers.join(" and ")
        );
        errors.say(last, message);
    }
    for (arm, _) in arms.iter().zip(&used).filter(|(_, used)| !**used) {
        let message = format!(
            "this arm of {of} is never taken: those above it cover everything; remove it or move it up"
        );
        errors.say(arm.span, message);
    }
}

/// Walks the arrows, breadth first.
fn ways(table: &Resolved, errors: &mut Errors) {
    let (count, width) = (table.states.len(), table.events.len());
    let mut out = vec![Vec::new(); count];
    let mut back = vec![Vec::new(); count];
    for (index, arm) in table
        .cells
        .iter()
        .enumerate()
        .flat_map(|(index, arms)| arms.iter().map(move |arm| (index, arm)))
    {
        let To::Go(to) = arm.to else { continue };
        let from = &table.states[index / width];
        out[index / width].push(to);
        back[to].push(index / width);
        if from.is_final {
            let message = format!(
                "state `{}` is final, but `{}` leads out of it: refuse it there, or do not call the state final",
                from.name,
                table.events[index % width]
            );
            errors.say(arm.span, message);
        }
    }
    let finals: Vec<_> = (0..count).filter(|state| table.states[*state].is_final).collect();
    let reached = walk(&out, &[table.initial]);
    let saved = walk(&back, &finals);
    for (index, state) in table.states.iter().enumerate() {
        let name = &state.name;
        let message = if !reached[index] {
            let initial = &table.states[table.initial].name;
            format!(
                "state `{name}` cannot be reached from `{initial}`: lead a transition there, or remove it"
            )
        } else if state.is_final {
            let Some((_, _, span)) = state.timeout else { continue };
            errors
                .say(span, format!("state `{name}` is final and cannot have a timeout: remove it"));
            continue;
        } else if out[index].iter().all(|to| *to == index) {
            format!(
                "state `{name}` is a dead end: no event leads out of it; mark it final, or lead a transition out"
            )
        } else if !finals.is_empty() && !saved[index] {
            format!(
                "from state `{name}` no final state can be reached: lead a transition towards one"
            )
        } else {
            continue;
        };
        errors.say(name.span(), message);
    }
}

/// Which nodes can be reached from some.
fn walk(arrows: &[Vec<usize>], from: &[usize]) -> Vec<bool> {
    let mut seen = vec![false; arrows.len()];
    let mut queue: VecDeque<_> = from.iter().copied().collect();
    while let Some(node) = queue.pop_front() {
        if let Some(seen) = seen.get_mut(node)
            && !std::mem::replace(seen, true)
        {
            queue.extend(arrows[node].iter().copied());
        }
    }
    seen
}
