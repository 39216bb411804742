//! A table as a picture and as text: Mermaid, DOT, and a listing that reviewers read.
//!
//! What always holds: the order of lines is the order of declaration, so a change of one row is a change of one line. Names come from
//! users and may hold anything; they are quoted the way each format wants it. Refusals are not drawn, they are the arrows that are
//! absent; the listing has them all.

use std::fmt::Write as _;
use std::time::Duration;

use super::table::{Arm, EventId, Outcome, StateId, Table};

impl Table {
    /// A state diagram for [Mermaid](https://mermaid.js.org), which many forges draw in place.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("stateDiagram-v2\n");
        // Ids of Mermaid cannot be any text, so each state gets a number and shows its name.
        for (index, state) in self.states().iter().enumerate() {
            let _ = writeln!(text, "    s{index} : {}", mermaid(&state.name));
        }
        let _ = writeln!(text, "    [*] --> s{}", self.initial().index());
        for (from, to, label) in self.arrows() {
            let to = to.unwrap_or(from);
            let _ = writeln!(text, "    s{} --> s{} : {}", from.0, to.0, mermaid(&label));
        }
        for (index, _) in self.states().iter().enumerate().filter(|(_, state)| state.is_final) {
            let _ = writeln!(text, "    s{index} --> [*]");
        }
        text
    }

    /// A graph for [Graphviz](https://graphviz.org).
    pub fn to_dot(&self) -> String {
        let mut text = format!("digraph {} {{\n    rankdir=LR;\n", quoted(self.name()));
        text.push_str("    start [shape=point];\n");
        for (index, state) in self.states().iter().enumerate() {
            let shape = if state.is_final { "doublecircle" } else { "box" };
            let _ = writeln!(text, "    s{index} [label={}, shape={shape}];", quoted(&state.name));
        }
        let _ = writeln!(text, "    start -> s{};", self.initial().index());
        for (from, to, label) in self.arrows() {
            let style = if to.is_none() { ", style=dashed" } else { "" };
            let to = to.unwrap_or(from);
            let _ =
                writeln!(text, "    s{} -> s{} [label={}{style}];", from.0, to.0, quoted(&label));
        }
        text.push_str("}\n");
        text
    }

    /// Everything, a line for each arm: the form to keep as a golden file.
    pub fn to_text(&self) -> String {
        let mut text = format!("machine {} version {}\n", self.name(), self.version());
        for (index, state) in self.states().iter().enumerate() {
            let id = StateId(index as u16);
            let initial = if id == self.initial() { " (initial)" } else { "" };
            let last = if state.is_final { " (final)" } else { "" };
            let _ = writeln!(text, "\n{}{initial}{last}", state.name);
            if let Some(timeout) = state.timeout {
                let event = &self.events()[timeout.event.index()];
                let _ = writeln!(text, "  after {} => {event}", span(timeout.after));
            }
            for (event, name) in self.events().iter().enumerate() {
                for arm in self.cell(id, EventId(event as u16)) {
                    let _ = writeln!(text, "  {name}{} => {}", conditions(arm), self.end(arm));
                }
            }
        }
        text
    }

    fn end(&self, arm: &Arm) -> String {
        match &arm.outcome {
            Outcome::Go(to) => format!("{}{}", self.states()[to.index()].name, actions(arm)),
            Outcome::Stay => format!("stay{}", actions(arm)),
            Outcome::Refuse(reason) => format!("refuse {reason:?}"),
        }
    }

    /// Each handled arm as an arrow with its label; no target for those that stay.
    fn arrows(&self) -> Vec<(StateId, Option<StateId>, String)> {
        let mut arrows = Vec::new();
        for (state, event, arms) in self.cells() {
            for arm in arms {
                let to = match arm.outcome {
                    Outcome::Go(to) => Some(to),
                    Outcome::Stay => None,
                    Outcome::Refuse(_) => continue,
                };
                let mut label = self.events()[event.index()].to_string();
                if let Some(timeout) = self.states()[state.index()].timeout
                    && timeout.event == event
                {
                    let _ = write!(label, " (after {})", span(timeout.after));
                }
                arrows.push((state, to, format!("{label}{}{}", conditions(arm), actions(arm))));
            }
        }
        arrows
    }
}

fn conditions(arm: &Arm) -> String {
    let guards = arm.guards.iter().map(|guard| {
        let not = if guard.negated { "not " } else { "" };
        format!("{not}{}", guard.name)
    });
    let guards: Vec<_> = guards.collect();
    if guards.is_empty() { String::new() } else { format!(" if {}", guards.join(" and ")) }
}

fn actions(arm: &Arm) -> String {
    if arm.actions.is_empty() { String::new() } else { format!(" / {}", arm.actions.join(" / ")) }
}

/// A span of time in its largest unit: `30d`, `90s`, `250ms`.
pub(crate) fn span(span: Duration) -> String {
    let millis = span.as_millis();
    let unit = crate::yaml::span::UNITS
        .iter()
        .rev()
        .find(|(_, size)| millis.is_multiple_of(u128::from(*size)));
    match unit {
        Some((unit, size)) if millis > 0 => format!("{}{unit}", millis / u128::from(*size)),
        _ => format!("{millis}ms"),
    }
}

/// As a string of DOT.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// As the label of a Mermaid state or arrow, which ends with its line and where `;`, `#` and `:` mean something.
fn mermaid(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ';' | '#' | ':' | '"' | '<' | '>' | '{' | '}' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}
