//! Cycles of processes in which no channel holds a message.
//!
//! Around such a cycle nobody can send before the next one receives. When all of them send at the same moment, all wait
//! for ever; one place in one channel of the cycle is enough to break the knot for one message. A cycle is not always
//! wrong: a question and its answer are one, and are right as long as only one side asks.
//!
//! How: the graph's processes and its channels of capacity 0 are the vertices, ports the arcs, so a channel shared by
//! many costs no more than its ports. Its strongly connected components are found in one pass (R. Tarjan, "Depth-first
//! search and linear graph algorithms", 1972), with a stack of our own since a network may be deep. Each component
//! with a cycle gives one, the shortest through its first process. Not all of them (D. Johnson, 1975): there can be
//! exponentially many, and who has mended one asks again.

use std::{collections::VecDeque, fmt};

use super::graph::{Direction, Graph};

/// Processes that send to each other in a circle over rendezvous channels.
///
/// Displayed as `a -(first)-> b -(second)-> a`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cycle {
    /// Each process of the circle and the channel on which it sends to the next; the last sends to the first.
    pub steps: Vec<CycleStep>,
}

/// One process of a [`Cycle`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CycleStep {
    /// The process's name.
    pub process: String,
    /// The name of the channel on which it sends to the next process.
    pub channel: String,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for CycleStep { process, channel } in &self.steps {
            write!(f, "{process} -({channel})-> ")?;
        }
        self.steps.first().map_or(Ok(()), |first| f.write_str(&first.process))
    }
}

impl Graph {
    /// The cycles made of rendezvous channels only: one for each group of processes that are on such cycles with each
    /// other, the shortest through the group's first process. Empty means that there is none at all.
    ///
    /// A cycle is a warning: around it everybody may wait for the next one. Give one of its channels a place, or make
    /// sure that one of its processes receives before it sends. Time and memory are linear in the number of ports.
    pub fn buffer_free_cycles(&self) -> Vec<Cycle> {
        let arcs = self.arcs();
        let component = components(&arcs);
        let mut size = vec![0_usize; arcs.len()];
        component.iter().for_each(|&it| size[it] += 1);
        let mut came_from = vec![UNSEEN; arcs.len()];
        let mut cycles = Vec::new();
        for start in 0..self.processes.len() {
            // Alone it is on no cycle, for no vertex has an arc to itself. Each component is looked at once.
            if std::mem::take(&mut size[component[start]]) > 1 {
                cycles.extend(shortest(&arcs, &component, start, &mut came_from));
            }
        }
        let name = |steps: &[usize]| match *steps {
            [process, channel] => CycleStep {
                process: self.processes[process].name.clone(),
                channel: self.channels[channel - self.processes.len()].name.clone(),
            },
            _ => unreachable!("processes and channels take turns"),
        };
        cycles.iter().map(|cycle| Cycle { steps: cycle.chunks(2).map(name).collect() }).collect()
    }

    /// Where messages can go: from a process into its rendezvous channels, and from those to processes. Channels come
    /// after the processes.
    fn arcs(&self) -> Vec<Vec<usize>> {
        let mut arcs = vec![Vec::new(); self.processes.len() + self.channels.len()];
        for (process, node) in self.processes.iter().enumerate() {
            for port in &node.ports {
                let channel = self.processes.len() + port.channel;
                match (self.channels[port.channel].capacity, port.direction) {
                    (Some(0), Direction::Out) => arcs[process].push(channel),
                    (Some(0), Direction::In) => arcs[channel].push(process),
                    _ => {}
                }
            }
        }
        arcs
    }
}

const UNSEEN: usize = usize::MAX;

/// Tarjan's algorithm: the number of each vertex's component. They are numbered in no useful order.
fn components(arcs: &[Vec<usize>]) -> Vec<usize> {
    let mut component = vec![UNSEEN; arcs.len()];
    let mut order = vec![UNSEEN; arcs.len()];
    // The earliest vertex without a component that is known to be reachable.
    let mut low = vec![UNSEEN; arcs.len()];
    // Vertices without a component, in the order in which they were seen.
    let mut open = Vec::new();
    let (mut seen, mut closed) = (0, 0);
    for root in 0..arcs.len() {
        if order[root] != UNSEEN {
            continue;
        }
        // The way from the root, with how many arcs of each vertex have been followed.
        let mut path = vec![(root, 0)];
        while let Some(&mut (at, ref mut followed)) = path.last_mut() {
            if order[at] == UNSEEN {
                (order[at], low[at]) = (seen, seen);
                seen += 1;
                open.push(at);
            }
            if let Some(&to) = arcs[at].get(*followed) {
                *followed += 1;
                if order[to] == UNSEEN {
                    path.push((to, 0));
                } else if component[to] == UNSEEN {
                    low[at] = low[at].min(order[to]);
                }
                continue;
            }
            path.pop();
            if let Some(&(parent, _)) = path.last() {
                low[parent] = low[parent].min(low[at]);
            }
            if low[at] == order[at] {
                while component[at] == UNSEEN
                    && let Some(member) = open.pop()
                {
                    component[member] = closed;
                }
                closed += 1;
            }
        }
    }
    component
}

/// The shortest cycle through `start` inside its component, breadth first. `came_from` is scratch space in which
/// nobody has touched this component yet.
fn shortest(
    arcs: &[Vec<usize>],
    component: &[usize],
    start: usize,
    came_from: &mut [usize],
) -> Option<Vec<usize>> {
    let mut waiting = VecDeque::from([start]);
    while let Some(at) = waiting.pop_front() {
        for &to in arcs[at].iter().filter(|&&to| component[to] == component[start]) {
            if came_from[to] == UNSEEN {
                came_from[to] = at;
                waiting.push_back(to);
            }
        }
        if came_from[start] != UNSEEN {
            break;
        }
    }
    let mut cycle = vec![start];
    let mut at = came_from[start];
    while at != start && at != UNSEEN {
        cycle.push(at);
        at = came_from[at];
    }
    cycle[1..].reverse();
    (at == start).then_some(cycle)
}
