//! The rules of a file: which arms each pair of a state and an event has.
//!
//! What always holds: a pair takes its arms from one place, the nearest: where both are named, else from the state's `_`, else from
//! the rules of `_`. Two places that are equally near are a problem, and so is a place from which no pair takes anything.

use crate::machine::table::{Arm, Guard, Outcome, StateId};

use super::{Declared, Loader, Place};
use crate::yaml::{Kind, Node, Word, hint};

/// An arm and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) arm: Arm,
    pub(super) place: Place,
}

/// Whom a row is about: how near it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Both,
    State,
    All,
}

/// One key below a state of the rules.
struct Row {
    place: Place,
    nearness: Nearness,
    states: Vec<usize>,
    events: Vec<usize>,
    arms: Vec<Placed>,
}

/// The name for all that are not named.
const REST: &str = "_";

impl Loader<'_> {
    /// Cells by state, then by event. Empty ones were forgotten.
    pub(super) fn cells(
        &mut self,
        node: &Node,
        states: &Declared,
        events: &Declared,
    ) -> Vec<Vec<Placed>> {
        let mut rows = Vec::new();
        for (key, node) in self.mapping(node, "`rules`").unwrap_or_default() {
            let all = key.text == REST;
            let of = self.several(key, states, "state");
            for (key, node) in self.mapping(node, "the rules of a state").unwrap_or_default() {
                let rest = key.text == REST;
                let nearness = match (all, rest) {
                    (true, true) => {
                        let message = "rules for every event in every state decide nothing: name one of the two";
                        let _: Option<()> = self.say(key.place, message);
                        continue;
                    }
                    (true, false) => Nearness::All,
                    (false, true) => Nearness::State,
                    (false, false) => Nearness::Both,
                };
                let to = self.several(key, events, "event");
                let arms = self.arms(node, states);
                let (states, events) = (of.clone(), to);
                rows.push(Row { place: key.place, nearness, states, events, arms });
            }
        }
        self.fill(&rows, states, events)
    }

    fn fill(&mut self, rows: &[Row], states: &Declared, events: &Declared) -> Vec<Vec<Placed>> {
        let width = events.words.len();
        let mut from: Vec<Option<usize>> = vec![None; states.words.len() * width];
        for nearness in [Nearness::Both, Nearness::State, Nearness::All] {
            for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.nearness == nearness)
            {
                let mut twice = None;
                let mut used = false;
                for (state, event) in pairs(row) {
                    let cell = &mut from[state * width + event];
                    match *cell {
                        None => {
                            *cell = Some(index);
                            used = true;
                        }
                        Some(other) if rows[other].nearness == nearness && other != index => {
                            twice = Some((state, event, rows[other].place));
                        }
                        Some(_) => {}
                    }
                }
                if let Some((state, event, first)) = twice {
                    let message = format!(
                        "`{}` in state `{}` has its rules in line {} already",
                        events.words[event].text, states.words[state].text, first.line
                    );
                    let _: Option<()> = self.say(row.place, message);
                } else if !used && !row.states.is_empty() && !row.events.is_empty() {
                    let message =
                        "no pair is left for this: each has rules that are nearer; remove it";
                    let _: Option<()> = self.say(row.place, message);
                }
            }
        }
        from.into_iter()
            .map(|row| row.map_or_else(Vec::new, |row| rows[row].arms.clone()))
            .collect()
    }

    /// The names in `A | B`, or all for `_`.
    fn several(&mut self, key: &Word, declared: &Declared, what: &str) -> Vec<usize> {
        if key.text == REST {
            return (0..declared.words.len()).collect();
        }
        let mut found = Vec::new();
        let mut column = key.place.column;
        for part in key.text.split('|') {
            let lead = part.len() - part.trim_start().len();
            let place = Place { line: key.place.line, column: column + lead };
            column += part.chars().count() + 1;
            let word = Word { place, text: part.trim().to_owned() };
            let Some(index) = self.known(&word, declared, what) else { continue };
            if found.contains(&index) {
                let message = format!("`{}` is named twice", word.text);
                let _: Option<()> = self.say(word.place, message);
            } else {
                found.push(index);
            }
        }
        found
    }

    /// The arms of a cell: a list of them, or one alone.
    fn arms(&mut self, node: &Node, states: &Declared) -> Vec<Placed> {
        match &node.kind {
            Kind::Sequence(items) if items.is_empty() => self
                .say(node.place, "an empty list handles nothing: write an arm")
                .unwrap_or_default(),
            Kind::Sequence(items) => {
                items.iter().filter_map(|item| self.arm(item, states)).collect()
            }
            _ => self.arm(node, states).into_iter().collect(),
        }
    }

    fn arm(&mut self, node: &Node, states: &Declared) -> Option<Placed> {
        const KEYS: [&str; 6] = ["if", "unless", "to", "stay", "refuse", "do"];
        const FORM: &str = "an arm is `{to: State}`, `stay` or `{refuse: reason}`";
        let place = node.place;
        let placed = |arm| Some(Placed { arm, place });
        if let Kind::Scalar(text, _) = &node.kind
            && text == "stay"
        {
            return placed(Arm { guards: Vec::new(), outcome: Outcome::Stay, actions: Vec::new() });
        }
        let Kind::Mapping(entries) = &node.kind else {
            return self.say(place, format!("{FORM}, and this is {}", node.is()));
        };
        let (mut guards, mut actions, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        let problems = self.problems.len();
        for (key, node) in entries {
            match &*key.text {
                "if" | "unless" => {
                    let negated = key.text == "unless";
                    for word in self.words(node, "the name of a guard").unwrap_or_default() {
                        guards.push(Guard { name: word.text.as_str().into(), negated });
                    }
                }
                "do" => {
                    for word in self.words(node, "the name of an action").unwrap_or_default() {
                        actions.push(word.text.as_str().into());
                    }
                }
                "to" => {
                    let to = self.word(node, "the name of a state");
                    let to = to.and_then(|word| self.known(&word, states, "state"));
                    outcomes.extend(to.map(|to| Outcome::Go(StateId(to as u16))));
                }
                "stay" => {
                    if self.yes(node) {
                        outcomes.push(Outcome::Stay);
                    }
                }
                "refuse" => {
                    let reason = self.word(node, "a reason");
                    outcomes
                        .extend(reason.map(|reason| Outcome::Refuse(reason.text.as_str().into())));
                }
                _ => {
                    let hint = hint(&key.text, KEYS);
                    let _: Option<()> =
                        self.say(key.place, format!("an arm has no `{}`{hint}", key.text));
                }
            }
        }
        if self.problems.len() > problems {
            return None;
        }
        match (outcomes.pop(), outcomes.is_empty()) {
            (None, _) => self.say(place, format!("nothing says where this leads: {FORM}")),
            (Some(_), false) => self.say(place, format!("this leads to two places: {FORM}")),
            (Some(Outcome::Refuse(_)), true) if !actions.is_empty() => {
                self.say(place, "what is refused does nothing: remove `do`, or handle the event")
            }
            (Some(outcome), true) => placed(Arm { guards, outcome, actions }),
        }
    }
}

fn pairs(row: &Row) -> impl Iterator<Item = (usize, usize)> {
    row.states.iter().flat_map(|state| row.events.iter().map(|event| (*state, *event)))
}
