//! From what is written to the table: names become numbers, `_` becomes what is left, and every pair gets its arms.
//!
//! What always holds: a pair takes its arms from one place, the nearest: a block that names the state and has a rule that names the
//! event; else the state's `_`; else the block of `_`. The loader of YAML goes by the same rule
//! (`towpath-patterns/src/machine/yaml/rules.rs`), and a test compares the two.

use proc_macro2::Span;
use syn::{Error, Ident, Path};

use super::parse::{Block, End, Names, Rule, Written};
use crate::names::nearest;

/// The table, with what errors need.
pub(super) struct Resolved {
    pub(super) states: Vec<State>,
    pub(super) events: Vec<Ident>,
    pub(super) initial: usize,
    /// By state, then by event.
    pub(super) cells: Vec<Vec<Arm>>,
}

pub(super) struct State {
    pub(super) name: Ident,
    pub(super) is_final: bool,
    /// Milliseconds, event, and where it says so.
    pub(super) timeout: Option<(u64, usize, Span)>,
}

#[derive(Clone)]
pub(super) struct Arm {
    pub(super) guards: Vec<(Path, bool)>,
    pub(super) to: To,
    pub(super) actions: Vec<Path>,
    pub(super) span: Span,
}

#[derive(Clone)]
pub(super) enum To {
    Go(usize),
    Stay,
    Refuse(String),
}

/// What is wrong, all of it.
#[derive(Default)]
pub(super) struct Errors(Option<Error>);

/// Whether every name is declared once. Enums that have a name twice are not worth writing.
pub(super) fn names_differ(written: &Written, errors: &mut Errors) -> bool {
    let states: Vec<_> = written.states.items.iter().map(|item| &item.name).collect();
    let events: Vec<_> = written.events.items.iter().map(|variant| &variant.ident).collect();
    for (what, names) in [("state", &states), ("event", &events)] {
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                errors.say(name.span(), format!("{what} `{name}` is declared twice"));
            }
        }
        if names.is_empty() {
            errors.say(written.name.span(), format!("a machine without a {what} does nothing"));
        }
    }
    errors.is_empty()
}

impl Errors {
    pub(super) fn say(&mut self, span: Span, message: impl std::fmt::Display) {
        let error = Error::new(span, message);
        match &mut self.0 {
            None => self.0 = Some(error),
            Some(errors) => errors.combine(error),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn tokens(self) -> proc_macro2::TokenStream {
        self.0.map(Error::into_compile_error).unwrap_or_default()
    }
}

/// The name of a function: the last part of its path.
pub(super) fn name_of(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

/// Where a path begins.
pub(super) fn span_of(path: &Path) -> Span {
    path.segments.first().map_or_else(Span::call_site, |segment| segment.ident.span())
}

/// How near a rule is to a pair.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nearness {
    Both,
    State,
    All,
}

/// Rules of one block about one event: arms in order. Events of one block that are named together or apart are apart here.
struct Row {
    nearness: Nearness,
    states: Vec<usize>,
    event: usize,
    arms: Vec<Arm>,
    /// Which `_` it comes from, to tell one that nobody needs.
    source: Option<usize>,
    span: Span,
}

pub(super) fn resolve(written: &Written, errors: &mut Errors) -> Resolved {
    let events: Vec<Ident> =
        written.events.items.iter().map(|variant| variant.ident.clone()).collect();
    let names: Vec<Ident> = written.states.items.iter().map(|item| item.name.clone()).collect();
    let mut states: Vec<State> = written
        .states
        .items
        .iter()
        .map(|item| State { name: item.name.clone(), is_final: item.is_final, timeout: None })
        .collect();
    let initials: Vec<usize> =
        (0..states.len()).filter(|index| written.states.items[*index].is_initial).collect();
    match *initials {
        [] => errors.say(
            written.states.name.span(),
            "no state is initial: write `initial` in front of the one where instances begin",
        ),
        [first, second, ..] => {
            let (first, second) = (&names[first], &names[second]);
            let message = format!("`{second}` is a second initial state, beside `{first}`");
            errors.say(second.span(), message);
        }
        [_] => {}
    }
    for block in &written.blocks {
        timeouts(block, &names, &events, &mut states, errors);
    }
    let mut rows = Vec::new();
    let mut rests = Vec::new();
    for block in &written.blocks {
        rows_of(block, &names, &events, &mut rows, &mut rests, errors);
    }
    let cells = fill(&rows, &rests, &names, &events, errors);
    Resolved { states, events, initial: initials.first().copied().unwrap_or(0), cells }
}

fn find(name: &Ident, names: &[Ident], what: &str, errors: &mut Errors) -> Option<usize> {
    let found = names.iter().position(|known| known == name);
    if found.is_none() {
        let known: Vec<String> = names.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = match nearest(&name.to_string(), &known) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => {
                let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                format!("; there are {}", known.join(", "))
            }
        };
        errors.say(name.span(), format!("there is no {what} `{name}`{hint}"));
    }
    found
}

/// The numbers of names; all for `_`.
fn several(names: &Names, known: &[Ident], what: &str, errors: &mut Errors) -> Vec<usize> {
    let Names::These(names) = names else { return (0..known.len()).collect() };
    let mut found = Vec::new();
    for name in names {
        let Some(index) = find(name, known, what, errors) else { continue };
        if found.contains(&index) {
            errors.say(name.span(), format!("`{name}` is named twice"));
        } else {
            found.push(index);
        }
    }
    found
}

fn timeouts(
    block: &Block,
    names: &[Ident],
    events: &[Ident],
    states: &mut [State],
    errors: &mut Errors,
) {
    /// Units with their milliseconds, as `towpath_patterns::machine` reads them from YAML.
    const UNITS: &[(&str, u64)] =
        &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    const MILLIS_MAX: u64 = 100 * 366 * 86_400_000;
    for timeout in &block.timeouts {
        let size = UNITS.iter().find(|(unit, _)| *unit == timeout.after.suffix());
        let number = timeout.after.base10_digits().parse::<u64>().ok();
        let millis = size.zip(number).and_then(|((_, size), number)| number.checked_mul(*size));
        let millis = millis.filter(|millis| (1..=MILLIS_MAX).contains(millis));
        if millis.is_none() {
            let message = "a span of time is a whole number and a unit: 250ms, 90s, 15min, 2h or 30d, and at most a century";
            errors.say(timeout.after.span(), message);
        }
        let event = find(&timeout.event, events, "event", errors);
        let (Some(millis), Some(event)) = (millis, event) else { continue };
        let Names::These(_) = &block.states else {
            errors.say(block.states.span(), "a timeout belongs to states: name them");
            continue;
        };
        for index in several(&block.states, names, "state", &mut Errors::default()) {
            let state = &mut states[index];
            if state.timeout.is_some() {
                let message = format!("state `{}` has a timeout already", state.name);
                errors.say(timeout.after.span(), message);
            }
            state.timeout = Some((millis, event, timeout.event.span()));
        }
    }
}

/// Sorts the rules of a block by event.
fn rows_of(
    block: &Block,
    names: &[Ident],
    events: &[Ident],
    rows: &mut Vec<Row>,
    rests: &mut Vec<Span>,
    errors: &mut Errors,
) {
    let all = matches!(block.states, Names::Rest(_));
    let states = several(&block.states, names, "state", errors);
    let mut of_event: Vec<Vec<Arm>> = vec![Vec::new(); events.len()];
    let mut rest: Vec<Arm> = Vec::new();
    let mut rest_span = None;
    for rule in &block.rules {
        let arm = arm(rule, names, errors);
        match &rule.events {
            Names::Rest(span) if all => {
                let message =
                    "rules for every event in every state decide nothing: name one of the two";
                errors.say(*span, message);
            }
            Names::Rest(span) => {
                rest_span.get_or_insert(*span);
                rest.extend(arm);
            }
            Names::These(_) => {
                for event in several(&rule.events, events, "event", errors) {
                    of_event[event].extend(arm.clone());
                }
            }
        }
    }
    let nearness = if all { Nearness::All } else { Nearness::Both };
    let source = all.then(|| {
        rests.push(block.states.span());
        rests.len() - 1
    });
    for (event, arms) in of_event.into_iter().enumerate().filter(|(_, arms)| !arms.is_empty()) {
        let span = arms[0].span;
        rows.push(Row { nearness, states: states.clone(), event, arms, source, span });
    }
    if let Some(span) = rest_span {
        rests.push(span);
        let source = Some(rests.len() - 1);
        for event in 0..events.len() {
            let arms = rest.clone();
            let states = states.clone();
            rows.push(Row { nearness: Nearness::State, states, event, arms, source, span });
        }
    }
}

fn arm(rule: &Rule, names: &[Ident], errors: &mut Errors) -> Option<Arm> {
    let to = match &rule.end {
        End::Stay => To::Stay,
        End::Refuse(reason) => To::Refuse(reason.value()),
        End::Go(name) if name == "refused" || name == "ignore" => {
            let message = "an event is handled in place by `stay`, and refused by `refuse \"why\"`";
            errors.say(name.span(), message);
            return None;
        }
        End::Go(name) => To::Go(find(name, names, "state", errors)?),
    };
    let mut guards = rule.guards.clone();
    // Guards change nothing, so their order means nothing; sorted, equal tables are equal.
    guards.sort_by_key(|(path, _)| name_of(path));
    Some(Arm { guards, to, actions: rule.actions.clone(), span: rule.events.span() })
}

fn fill(
    rows: &[Row],
    rests: &[Span],
    names: &[Ident],
    events: &[Ident],
    errors: &mut Errors,
) -> Vec<Vec<Arm>> {
    let width = events.len();
    // A name that nobody knows may have been what was left.
    let names_known = errors.is_empty();
    let mut from: Vec<Option<usize>> = vec![None; names.len() * width];
    for nearness in [Nearness::Both, Nearness::State, Nearness::All] {
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.nearness == nearness) {
            for state in &row.states {
                let cell = &mut from[state * width + row.event];
                match *cell {
                    None => *cell = Some(index),
                    Some(other) if rows[other].nearness == nearness => {
                        let message = format!(
                            "`{}` in state `{}` has its rules in another block already",
                            events[row.event], names[*state]
                        );
                        errors.say(row.span, message);
                    }
                    Some(_) => {}
                }
            }
        }
    }
    if names_known {
        for (source, span) in rests.iter().enumerate() {
            let used = from.iter().flatten().any(|row| rows[*row].source == Some(source));
            if !used {
                errors.say(
                    *span,
                    "no pair is left for this: each has rules that are nearer; remove it",
                );
            }
        }
    }
    from.into_iter().map(|row| row.map_or_else(Vec::new, |row| rows[row].arms.clone())).collect()
}
