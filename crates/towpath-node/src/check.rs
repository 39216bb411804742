//! Whether the parts of a network fit together.
//!
//! | told as | what |
//! |---|---|
//! | problem | a component, channel or port that is not there; a port without its channel, or with too many |
//! | problem | two types on one channel; a type that nobody declares |
//! | problem | a channel that nobody sends to, that nobody receives from, or that two processes receive from |
//! | problem | a process that nothing can reach |
//! | warning | a circle of processes without a place for one message between them: they may all wait for each other |
//! | warning | a process that may refuse messages, and does not say where they go |
//!
//! All of it is told at once, each at its place in the file.

use std::collections::BTreeMap;

use towpath::network::{Direction, Graph, ProcessKind};
use towpath_patterns::yaml::{LoadError, Place, Problem, Word, hint};

use crate::{
    component::{Component, Need, Port, Registry},
    file::{NetworkFile, Process, Wires},
};

/// A network that fits together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// Its graph. Processes and channels have the order of the file.
    pub graph: Graph,
    /// For each process its wires: direction, port, and the channel by index.
    pub wires: Vec<Vec<Wire>>,
    /// For each process whether it makes messages by itself.
    pub sources: Vec<bool>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
}

/// A port of a process with a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wire {
    /// Which way messages go, seen from the process.
    pub direction: Direction,
    /// The port's name.
    pub port: String,
    /// The channel, as an index into the file's channels.
    pub channel: usize,
}

/// Checks a network against the components that there are.
///
/// # Errors
/// Everything that does not fit.
pub fn check(file: &NetworkFile, registry: &Registry) -> Result<Checked, LoadError> {
    let mut checker = Checker {
        file,
        graph: Graph::new(file.name.text.clone()),
        wires: vec![Vec::new(); file.processes.len()],
        sources: vec![false; file.processes.len()],
        kinds: BTreeMap::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    checker.parts(registry);
    // What follows from a word that is unknown is not guessed.
    if checker.problems.is_empty() {
        checker.ends();
        checker.reach();
        checker.circles();
    }
    let Checker { graph, wires, sources, problems, mut warnings, .. } = checker;
    if problems.is_empty() {
        warnings.sort_by_key(|warning| warning.place);
        Ok(Checked { graph, wires, sources, warnings })
    } else {
        Err(LoadError::new(&file.path, &file.text, problems))
    }
}

/// The port of what a process refuses.
pub(crate) const ON_ERROR: &str = "on_error";

struct Checker<'a> {
    file: &'a NetworkFile,
    graph: Graph,
    wires: Vec<Vec<Wire>>,
    sources: Vec<bool>,
    /// For each channel the type of its messages, and who said so.
    kinds: BTreeMap<usize, (String, String)>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place, message));
    }

    /// Channels, processes and what stands between them.
    fn parts(&mut self, registry: &Registry) {
        let file = self.file;
        for (index, channel) in file.channels.iter().enumerate() {
            self.graph.add_channel(channel.name.text.clone(), Some(channel.capacity));
            if let Some(kind) = &channel.kind {
                self.kind(kind, registry);
                self.kinds.insert(index, (kind.text.clone(), "its declaration".to_owned()));
            }
        }
        for (index, process) in file.processes.iter().enumerate() {
            self.graph.add_process(process.name.text.clone(), ProcessKind::Supervised);
            let Some(component) = registry.get(&process.uses.text) else {
                let name = &process.uses.text;
                let hint = hint(name, registry.names());
                self.problem(process.uses.place, format!("there is no component `{name}`{hint}"));
                continue;
            };
            self.sources[index] = component.is_source();
            self.wire(index, process, component);
        }
        for (channel, _) in file.tests.iter().flat_map(|test| test.send.iter().chain(&test.expect))
        {
            self.channel(channel);
        }
    }

    /// A type is declared in the file, or comes with a component.
    fn kind(&mut self, kind: &Word, registry: &Registry) {
        let declared = self.file.types.iter().map(|(name, _)| name.text.as_str());
        let known: Vec<&str> = declared.chain(registry.kinds()).collect();
        if !known.contains(&kind.text.as_str()) {
            let hint = hint(&kind.text, known.iter().copied());
            self.problem(kind.place, format!("there is no type `{}`{hint}", kind.text));
        }
    }

    fn wire(&mut self, index: usize, process: &Process, component: &Component) {
        let outputs = component.outputs_of(&process.options);
        for (direction, wires, ports) in [
            (Direction::In, &process.inputs, component.inputs()),
            (Direction::Out, &process.outputs, &outputs[..]),
        ] {
            let mut used = vec![0_usize; ports.len()];
            let known = self.problems.len();
            for (port, channel) in self.pairs(process, direction, wires, ports) {
                used[port] += 1;
                self.connect(index, direction, &ports[port], channel);
            }
            // Which port a word was meant for that is unknown is not guessed.
            let all_known = self.problems.len() == known;
            for (port, used) in ports.iter().zip(used) {
                let name = (&process.name.text, port.name());
                match (port.needs(), used) {
                    (Need::One | Need::Some, 0) if all_known => {
                        let key = if direction == Direction::In { "in" } else { "out" };
                        let message = format!(
                            "port `{}` of `{}` has no channel: add it to `{key}`",
                            name.1, name.0
                        );
                        self.problem(process.name.place, message);
                    }
                    (Need::One | Need::Maybe, 2..) => {
                        let message = format!(
                            "port `{}` of `{}` takes one channel, and has {used}",
                            name.1, name.0
                        );
                        self.problem(process.name.place, message);
                    }
                    _ => {}
                }
            }
        }
        if let Some(channel) = &process.on_error {
            let port = Port::new(ON_ERROR);
            if let Some(channel) = self.channel(channel) {
                self.connect(index, Direction::Out, &port, channel);
            }
        } else if component.can_refuse() {
            let message = format!(
                "`{}` does not say where messages go that it cannot handle: add `on_error: <channel>`",
                process.name.text
            );
            self.warnings.push(Problem::new(process.name.place, message));
        }
    }

    /// Ports by index with channels by index, as a process names them.
    fn pairs(
        &mut self,
        process: &Process,
        direction: Direction,
        wires: &Wires,
        ports: &[Port],
    ) -> Vec<(usize, usize)> {
        let side = if direction == Direction::In { "input" } else { "output" };
        let uses = &process.uses.text;
        let mut pairs = Vec::new();
        match wires {
            Wires::Listed(channels) => {
                let many = ports.iter().position(|port| port.needs() == Need::Some);
                for (place, word) in channels.iter().enumerate() {
                    let Some(channel) = self.channel(word) else { continue };
                    // One after the other; a port that takes several has all that follow it.
                    let port = many.map_or(place, |many| place.min(many));
                    if port < ports.len() {
                        pairs.push((port, channel));
                    } else {
                        let many = match ports.len() {
                            0 => format!("no {side}"),
                            1 => format!("one {side}"),
                            many => format!("{many} {side}s"),
                        };
                        self.problem(
                            word.place,
                            format!(
                                "component `{uses}` has {many}, so `{}` is too much",
                                word.text
                            ),
                        );
                    }
                }
            }
            Wires::Named(wires) => {
                for (port, channel) in wires {
                    let found = ports.iter().position(|it| it.name() == port.text);
                    if found.is_none() {
                        let hint = hint(&port.text, ports.iter().map(Port::name));
                        let message =
                            format!("component `{uses}` has no {side} `{}`{hint}", port.text);
                        self.problem(port.place, message);
                    }
                    let channel = self.channel(channel);
                    pairs.extend(found.zip(channel));
                }
            }
        }
        pairs
    }

    /// The index of a channel that should be there.
    fn channel(&mut self, word: &Word) -> Option<usize> {
        let names = self.file.channels.iter().map(|channel| channel.name.text.as_str());
        let found = names.clone().position(|name| name == word.text);
        if found.is_none() {
            let hint = hint(&word.text, names);
            self.problem(word.place, format!("there is no channel `{}`{hint}", word.text));
        }
        found
    }

    fn connect(&mut self, process: usize, direction: Direction, port: &Port, channel: usize) {
        self.graph.connect(process, direction, channel);
        self.wires[process].push(Wire { direction, port: port.name().to_owned(), channel });
        let Some(kind) = port.kind() else { return };
        let who = format!("port `{}` of `{}`", port.name(), self.file.processes[process].name.text);
        match self.kinds.get(&channel) {
            None => {
                self.kinds.insert(channel, (kind.to_owned(), who));
            }
            Some((known, _)) if known == kind => {}
            Some((known, said)) => {
                let name = &self.file.channels[channel].name;
                let message = format!(
                    "channel `{}` has messages of type `{known}` by {said}, and `{kind}` by {who}",
                    name.text
                );
                self.problem(self.file.channels[channel].name.place, message);
            }
        }
    }

    /// Every channel has somebody on both sides, and one on the receiving.
    fn ends(&mut self) {
        for (index, channel) in self.file.channels.iter().enumerate() {
            let name = &channel.name;
            let count = |direction| self.graph.holders(index, direction).count();
            let (senders, receivers) = (count(Direction::Out), count(Direction::In));
            let mut told = |message| self.problems.push(Problem::new(name.place, message));
            match (senders, receivers) {
                (0, 0) => told(format!("nobody uses channel `{}`", name.text)),
                (0, _) => told(format!("nobody sends to channel `{}`", name.text)),
                (_, 0) => told(format!(
                    "nobody receives from channel `{}`: it fills up, and whoever sends to it waits for ever",
                    name.text
                )),
                (_, 1) => {}
                (_, more) => told(format!(
                    "{more} processes receive from channel `{}`, and each message would go to one of them: give each a channel of its own",
                    name.text
                )),
            }
        }
    }

    /// Every process is a source, or messages reach it from one.
    fn reach(&mut self) {
        let processes = &self.graph.processes;
        let receives = |process: usize| {
            let ports = processes[process].ports.iter();
            ports.filter(|port| port.direction == Direction::In).map(|port| port.channel)
        };
        let begins = |process: usize| self.sources[process] || receives(process).next().is_none();
        let mut reached: Vec<bool> = (0..processes.len()).map(begins).collect();
        let mut more = true;
        while more {
            more = false;
            for process in 0..processes.len() {
                let fed =
                    |channel| self.graph.holders(channel, Direction::Out).any(|it| reached[it]);
                if !reached[process] && receives(process).any(fed) {
                    reached[process] = true;
                    more = true;
                }
            }
        }
        for (process, reached) in self.file.processes.iter().zip(reached) {
            if !reached {
                let message = format!(
                    "no message can reach `{}`: behind it there is no source, only processes that wait for each other",
                    process.name.text
                );
                self.problems.push(Problem::new(process.name.place, message));
            }
        }
    }

    fn circles(&mut self) {
        for cycle in self.graph.buffer_free_cycles() {
            let first = cycle.steps.first().map(|step| &step.process);
            let process = self.file.processes.iter().find(|it| Some(&it.name.text) == first);
            let place = process.map_or(self.file.name.place, |process| process.name.place);
            let message = format!(
                "without a place for one message, all of these may wait for each other: {cycle}; give one channel a `capacity`"
            );
            self.warnings.push(Problem::new(place, message));
        }
    }
}
