//! The graph of a network, as a plain value: draw it, compare it in a test, look for cycles in it.
//!
//! What always holds: processes and channels stand in the order in which they were declared, and every export depends
//! on nothing else, so the same network gives the same text.
//!
//! Why one drawing for two languages: what becomes a box and what an arrow is decided once (`Drawing`); Mermaid and
//! DOT only spell it. A channel with one sender and one receiver is an arrow; shared by more it is a box of its own, so
//! that eight workers on one channel are nine arrows and not sixty-four.

use std::fmt::Write;

/// The processes of a network and the channels between them.
///
/// ```
/// use towpath::network::{Direction, Graph, ProcessKind};
///
/// let mut graph = Graph::new("kitchen");
/// let cook = graph.add_process("cook", ProcessKind::Task);
/// let waiter = graph.add_process("waiter", ProcessKind::Task);
/// let plates = graph.add_channel("plates", Some(4));
/// graph.connect(cook, Direction::Out, plates);
/// graph.connect(waiter, Direction::In, plates);
/// assert!(graph.to_mermaid().contains(r#"p0 -->|"plates (4)"| p1"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Graph {
    /// The network's name.
    pub name: String,
    /// In the order in which they were declared.
    pub processes: Vec<ProcessNode>,
    /// In the order in which they were declared.
    pub channels: Vec<ChannelEdge>,
}

/// One process of a [`Graph`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessNode {
    /// Its name, unique in a network that has been checked.
    pub name: String,
    /// What it runs on.
    pub kind: ProcessKind,
    /// Its ports, in the order of its declaration.
    pub ports: Vec<Port>,
}

/// What a process runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessKind {
    /// An async task.
    Task,
    /// A thread of its own.
    Thread,
    /// An async task that is started again when it fails.
    Supervised,
}

/// Where a process touches a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// Which way messages go, seen from the process.
    pub direction: Direction,
    /// The channel, as an index into [`Graph::channels`].
    pub channel: usize,
}

/// Which way messages go, seen from a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The process receives.
    In,
    /// The process sends.
    Out,
}

/// One channel of a [`Graph`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelEdge {
    /// Its name, unique in a network that has been checked.
    pub name: String,
    /// How many messages it holds; 0 is a rendezvous, `None` is unbounded.
    pub capacity: Option<usize>,
    /// The side that the world outside the network holds, if it holds one.
    pub outside: Option<Outside>,
}

/// Which side of a channel is outside the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// The channel is an input: the outside sends.
    Sends,
    /// The channel is an output: the outside receives.
    Receives,
}

impl Graph {
    /// A graph without processes.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), processes: Vec::new(), channels: Vec::new() }
    }

    /// Adds a process without ports and returns its index.
    pub fn add_process(&mut self, name: impl Into<String>, kind: ProcessKind) -> usize {
        self.processes.push(ProcessNode { name: name.into(), kind, ports: Vec::new() });
        self.processes.len() - 1
    }

    /// Adds a channel that nobody uses yet and returns its index. `None` is unbounded.
    pub fn add_channel(&mut self, name: impl Into<String>, capacity: Option<usize>) -> usize {
        self.channels.push(ChannelEdge { name: name.into(), capacity, outside: None });
        self.channels.len() - 1
    }

    /// Gives a process a port.
    ///
    /// # Panics
    /// When there is no such process or no such channel.
    pub fn connect(&mut self, process: usize, direction: Direction, channel: usize) {
        assert!(channel < self.channels.len(), "no channel has the index {channel}");
        self.processes[process].ports.push(Port { direction, channel });
    }

    /// The processes that hold a port of `channel` in this direction, by index, each once.
    pub fn holders(&self, channel: usize, direction: Direction) -> impl Iterator<Item = usize> {
        let port = Port { direction, channel };
        self.processes
            .iter()
            .enumerate()
            .filter(move |(_, process)| process.ports.contains(&port))
            .map(|(index, _)| index)
    }

    /// The holders of every channel, senders and receivers, in one pass over the ports.
    fn all_holders(&self) -> Vec<[Vec<usize>; 2]> {
        let mut all = vec![[const { Vec::new() }; 2]; self.channels.len()];
        for (index, process) in self.processes.iter().enumerate() {
            for port in &process.ports {
                let [senders, receivers] = &mut all[port.channel];
                let side = match port.direction {
                    Direction::Out => senders,
                    Direction::In => receivers,
                };
                if side.last() != Some(&index) {
                    side.push(index);
                }
            }
        }
        all
    }

    /// The graph as a [Mermaid](https://mermaid.js.org) flowchart, which many web pages of code hosts draw.
    pub fn to_mermaid(&self) -> String {
        let drawing = Drawing::of(self);
        let mut text = format!("---\ntitle: {}\n---\nflowchart LR\n", json_string(&self.name));
        for Point { id, shape, label } in &drawing.points {
            let (open, close) = match shape {
                Shape::Task => ("[", "]"),
                Shape::Thread => ("[[", "]]"),
                Shape::Supervised => ("[/", "/]"),
                Shape::Channel => ("{{", "}}"),
                Shape::Outside => ("([", "])"),
                Shape::Nobody => ("((", "))"),
            };
            put(&mut text, format_args!("    {id}{open}\"{}\"{close}\n", mermaid_label(label)));
        }
        for Line { from, to, label } in &drawing.lines {
            let label = label
                .as_ref()
                .map(|label| format!("|\"{}\"|", mermaid_label(label)))
                .unwrap_or_default();
            put(&mut text, format_args!("    {from} -->{label} {to}\n"));
        }
        text
    }

    /// The graph in the DOT language of [Graphviz](https://graphviz.org).
    pub fn to_dot(&self) -> String {
        let drawing = Drawing::of(self);
        let name = dot_string(&self.name);
        let mut text = format!("digraph {name} {{\n    rankdir=LR;\n    label={name};\n");
        for Point { id, shape, label } in &drawing.points {
            let shape = match shape {
                Shape::Task => "box",
                Shape::Thread => "box, peripheries=2",
                Shape::Supervised => "box, style=rounded",
                Shape::Channel => "hexagon",
                Shape::Outside => "plaintext",
                Shape::Nobody => "circle",
            };
            let label = dot_string(label);
            put(&mut text, format_args!("    {id} [label={label}, shape={shape}];\n"));
        }
        for Line { from, to, label } in &drawing.lines {
            let label = label
                .as_ref()
                .map(|label| format!(" [label={}]", dot_string(label)))
                .unwrap_or_default();
            put(&mut text, format_args!("    {from} -> {to}{label};\n"));
        }
        text.push_str("}\n");
        text
    }

    /// The graph as JSON, one line for each process and each channel.
    ///
    /// Ports and channels name each other. `capacity` is `null` for an unbounded channel, `outside` is `"sends"`,
    /// `"receives"` or `null`, `kind` is `"task"`, `"thread"` or `"supervised"`.
    pub fn to_json(&self) -> String {
        let processes = self.processes.iter().map(|process| {
            let kind = match process.kind {
                ProcessKind::Task => "task",
                ProcessKind::Thread => "thread",
                ProcessKind::Supervised => "supervised",
            };
            let ports = process.ports.iter().map(|port| {
                let direction = match port.direction {
                    Direction::In => "in",
                    Direction::Out => "out",
                };
                let channel = json_string(&self.channels[port.channel].name);
                format!("{{\"direction\": \"{direction}\", \"channel\": {channel}}}")
            });
            let (name, ports) = (json_string(&process.name), joined(ports, ", "));
            format!("    {{\"name\": {name}, \"kind\": \"{kind}\", \"ports\": [{ports}]}}")
        });
        let names = |holders: &[usize]| {
            joined(holders.iter().map(|it| json_string(&self.processes[*it].name)), ", ")
        };
        let channels = self.channels.iter().zip(self.all_holders()).map(|(channel, holders)| {
            let [from, to] = holders.each_ref().map(|holders| names(holders));
            let capacity = channel.capacity.map_or("null".to_owned(), |it| it.to_string());
            let outside = match channel.outside {
                None => "null",
                Some(Outside::Sends) => "\"sends\"",
                Some(Outside::Receives) => "\"receives\"",
            };
            format!(
                "    {{\"name\": {}, \"capacity\": {capacity}, \"from\": [{from}], \"to\": [{to}], \"outside\": {outside}}}",
                json_string(&channel.name),
            )
        });
        let list = |lines: String| if lines.is_empty() { lines } else { format!("\n{lines}\n  ") };
        format!(
            "{{\n  \"name\": {},\n  \"processes\": [{}],\n  \"channels\": [{}]\n}}\n",
            json_string(&self.name),
            list(joined(processes, ",\n")),
            list(joined(channels, ",\n")),
        )
    }
}

/// What is to be drawn, in no language yet.
struct Drawing {
    points: Vec<Point>,
    lines: Vec<Line>,
}

struct Point {
    id: String,
    shape: Shape,
    label: String,
}

#[derive(Clone, Copy)]
enum Shape {
    Task,
    Thread,
    Supervised,
    Channel,
    Outside,
    /// Stands where a port is missing.
    Nobody,
}

struct Line {
    from: String,
    to: String,
    label: Option<String>,
}

impl Drawing {
    fn of(graph: &Graph) -> Self {
        let point = |(index, process): (usize, &ProcessNode)| Point {
            id: format!("p{index}"),
            shape: match process.kind {
                ProcessKind::Task => Shape::Task,
                ProcessKind::Thread => Shape::Thread,
                ProcessKind::Supervised => Shape::Supervised,
            },
            label: process.name.clone(),
        };
        let mut this = Self {
            points: graph.processes.iter().enumerate().map(point).collect(),
            lines: Vec::new(),
        };
        for (index, (channel, holders)) in
            graph.channels.iter().zip(graph.all_holders()).enumerate()
        {
            this.add_channel(index, channel, &holders);
        }
        this
    }

    fn add_channel(&mut self, index: usize, channel: &ChannelEdge, holders: &[Vec<usize>; 2]) {
        let size = match channel.capacity {
            Some(0) => "rendezvous".to_owned(),
            Some(capacity) => capacity.to_string(),
            None => "unbounded".to_owned(),
        };
        let label = format!("{} ({size})", channel.name);
        let mut side = |holders: &[usize], outside, id| {
            let mut ids: Vec<_> = holders.iter().map(|process| format!("p{process}")).collect();
            let is_outside = channel.outside == Some(outside);
            if is_outside || ids.is_empty() {
                let id = format!("{id}{index}");
                let (shape, label) = if is_outside {
                    (Shape::Outside, "outside")
                } else {
                    (Shape::Nobody, "nobody")
                };
                self.points.push(Point { id: id.clone(), shape, label: label.to_owned() });
                ids.push(id);
            }
            ids
        };
        let senders = side(&holders[0], Outside::Sends, 's');
        let receivers = side(&holders[1], Outside::Receives, 'r');
        if let ([from], [to]) = (&senders[..], &receivers[..]) {
            let (from, to) = (from.clone(), to.clone());
            self.lines.push(Line { from, to, label: Some(label) });
            return;
        }
        let id = format!("c{index}");
        self.points.push(Point { id: id.clone(), shape: Shape::Channel, label });
        let line = |from: &str, to: &str| Line { from: from.into(), to: to.into(), label: None };
        self.lines.extend(senders.iter().map(|from| line(from, &id)));
        self.lines.extend(receivers.iter().map(|to| line(&id, to)));
    }
}

pub(super) fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = text.write_fmt(what);
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> String {
    parts.collect::<Vec<_>>().join(between)
}

/// Inside quotes: everything Mermaid, its Markdown or the page around it could take for its own goes as a number.
fn mermaid_label(label: &str) -> String {
    let mut text = String::with_capacity(label.len());
    for c in label.chars() {
        if c.is_alphanumeric() || " -_.,:/()".contains(c) {
            text.push(c);
        } else {
            put(&mut text, format_args!("#{};", u32::from(c)));
        }
    }
    text
}

/// A quoted string of DOT; as a label it reads escapes and entities, so both are taken away.
fn dot_string(label: &str) -> String {
    let mut text = String::from("\"");
    for c in label.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '&' => text.push_str("&amp;"),
            '\n' => text.push_str("\\n"),
            c if c.is_control() => put(&mut text, format_args!("&#{};", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// A string of JSON (RFC 8259), which is also a quoted one of YAML.
pub(super) fn json_string(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            // Beyond ASCII's controls JSON asks for none; YAML and JavaScript do for the two line separators.
            c if c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c) => {
                put(&mut text, format_args!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
