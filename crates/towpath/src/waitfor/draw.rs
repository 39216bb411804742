//! The stuck as a drawing, for Graphviz and for Mermaid.
//!
//! Boxes are processes, round nodes are sides of resources; arrows point at what is waited for. Only the stuck are
//! drawn, each with the edges that its verdict rests on, so a closed loop of arrows is a deadlock.

use std::fmt::Write as _;

use super::{Grade, report::Report, snapshot::Kind};

impl Report {
    /// The stuck processes and what they wait for, in the language of Graphviz.
    pub fn to_dot(&self) -> String {
        let mut dot =
            "digraph waits {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n".to_owned();
        let drawn = self.drawn();
        for node in nodes(&drawn) {
            let (key, label) = (self.key(node), quoted(&self.label(node), "\\\"", "\\\\"));
            let shape = match self.grade_at(node).filter(|_| self.is_process(node)) {
                Some(Grade::Proven) => "box, style=bold",
                Some(Grade::Likely) => "box",
                Some(Grade::Suspect) => "box, style=dashed",
                None => "ellipse",
            };
            line(&mut dot, format_args!("  {key} [label=\"{label}\", shape={shape}];"));
        }
        for (from, to) in self.edges(&drawn) {
            line(&mut dot, format_args!("  {} -> {};", self.key(from), self.key(to)));
        }
        dot + "}\n"
    }

    /// The stuck processes and what they wait for, in the language of Mermaid.
    pub fn to_mermaid(&self) -> String {
        let mut mermaid = "flowchart LR\n".to_owned();
        let drawn = self.drawn();
        for node in nodes(&drawn) {
            let (key, label) = (self.key(node), quoted(&self.label(node), "#quot;", "#92;"));
            let (open, close) = if self.is_process(node) { ("[", "]") } else { ("([", "])") };
            line(&mut mermaid, format_args!("  {key}{open}\"{label}\"{close}"));
        }
        for (from, to) in self.edges(&drawn) {
            line(&mut mermaid, format_args!("  {} --> {}", self.key(from), self.key(to)));
        }
        mermaid
    }

    /// Of each node, whether it is a stuck process or waited for by one.
    fn drawn(&self) -> Vec<bool> {
        let mut drawn = vec![false; self.grade.len()];
        let processes = 0..self.snapshot.processes.len() as u32;
        let mut found: Vec<u32> = processes.filter(|&node| self.grade_at(node).is_some()).collect();
        while let Some(node) = found.pop() {
            if !std::mem::replace(&mut drawn[node as usize], true) {
                found.extend(self.waits_for.of_node(node));
            }
        }
        drawn
    }

    fn edges(&self, drawn: &[bool]) -> impl Iterator<Item = (u32, u32)> {
        nodes(drawn)
            .flat_map(|node| self.waits_for.of_node(node).iter().map(move |&ahead| (node, ahead)))
    }

    /// `p0`, `r3` and, for a channel's receivers, `r3t`: positions, so that names need not be unique.
    fn key(&self, node: u32) -> String {
        let (resource, takers) = match node.checked_sub(self.snapshot.processes.len() as u32) {
            None => return format!("p{node}"),
            Some(side) => (side / 2, side % 2 == 1),
        };
        format!("r{resource}{}", if takers { "t" } else { "" })
    }

    fn label(&self, node: u32) -> String {
        let Some(side) = node.checked_sub(self.snapshot.processes.len() as u32) else {
            return self.process_at(node).name.to_string();
        };
        let resource = &self.snapshot.resources[side as usize / 2];
        let side = match (&resource.kind, side % 2) {
            (Kind::Channel(_), 0) => "senders of ",
            (Kind::Channel(_), _) => "receivers of ",
            (Kind::Lock { .. }, _) => "lock ",
            (Kind::Semaphore { .. }, _) => "permits of ",
            (Kind::Notify { .. }, _) => "notifiers of ",
            (Kind::Group { .. }, _) => "missing of ",
            (Kind::Context { .. }, _) => "context ",
        };
        format!("{side}{}", resource.name)
    }
}

fn nodes(drawn: &[bool]) -> impl Iterator<Item = u32> {
    drawn.iter().zip(0..).filter(|&(&drawn, _)| drawn).map(|(_, node)| node)
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{line}"); // a string takes everything
}

/// A name that cannot end the string it stands in, nor the line.
fn quoted(name: &str, quote: &str, backslash: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            '"' => quoted.push_str(quote),
            '\\' => quoted.push_str(backslash),
            char if char.is_control() => quoted.push(' '),
            char => quoted.push(char),
        }
    }
    quoted
}
