//! What can be wrong with a network before it runs, in words that say what to do.

use std::{collections::BTreeSet, error, fmt};

use super::graph::{Direction, Graph, Outside};
use crate::process::Name;

/// Why a network cannot run: everything that is wrong with it, in the order of its declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WiringError {
    /// The network's name.
    pub network: Name,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// There is no process.
    Empty,
    /// Several processes have this name.
    DoubledProcess {
        /// The name.
        name: Name,
    },
    /// Several channels have this name.
    DoubledChannel {
        /// The name.
        name: Name,
    },
    /// Nobody sends into this channel.
    NoSender {
        /// Its name.
        channel: Name,
    },
    /// Nobody receives from this channel.
    NoReceiver {
        /// Its name.
        channel: Name,
    },
    /// A process was given a port of another network.
    Foreign {
        /// Its name.
        process: Name,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no process: declare one with `process`"),
            Self::DoubledProcess { name } => {
                write!(f, "two processes are called `{name}`: rename one")
            }
            Self::DoubledChannel { name } => {
                write!(f, "two channels are called `{name}`: rename one")
            }
            Self::NoSender { channel } => write!(
                f,
                "nobody sends into channel `{channel}`: give its `Out` to a process, or declare it with `input`"
            ),
            Self::NoReceiver { channel } => write!(
                f,
                "nobody receives from channel `{channel}`: give its `In` to a process, or declare it with `output`"
            ),
            Self::Foreign { process } => write!(
                f,
                "process `{process}` has a port of another network: join the two by an `output` and an `input`"
            ),
        }
    }
}

impl fmt::Display for WiringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network `{}` cannot run", self.network)?;
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{} {problem}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl error::Error for WiringError {}

/// What can be seen from the graph alone.
pub(super) fn problems(graph: &Graph) -> Vec<Problem> {
    let mut problems = Vec::new();
    if graph.processes.is_empty() {
        problems.push(Problem::Empty);
    }
    let processes = graph.processes.iter().map(|process| process.name.as_str());
    problems.extend(doubled(processes).map(|name| Problem::DoubledProcess { name }));
    let channels = graph.channels.iter().map(|channel| channel.name.as_str());
    problems.extend(doubled(channels).map(|name| Problem::DoubledChannel { name }));
    // By channel: whether somebody sends and somebody receives.
    let mut held: Vec<_> = graph
        .channels
        .iter()
        .map(|channel| {
            (channel.outside == Some(Outside::Sends), channel.outside == Some(Outside::Receives))
        })
        .collect();
    for port in graph.processes.iter().flat_map(|process| &process.ports) {
        match port.direction {
            Direction::Out => held[port.channel].0 = true,
            Direction::In => held[port.channel].1 = true,
        }
    }
    for (channel, (sends, receives)) in graph.channels.iter().zip(held) {
        let channel = || Name::from(channel.name.clone());
        if !sends {
            problems.push(Problem::NoSender { channel: channel() });
        }
        if !receives {
            problems.push(Problem::NoReceiver { channel: channel() });
        }
    }
    problems
}

/// Names that occur again, once each, in the order in which that shows.
fn doubled<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = Name> {
    let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
    names
        .filter(move |name| !seen.insert(*name) && told.insert(*name))
        .map(|name| Name::from(name.to_owned()))
}
