//! Drawing: where the processes and channels of a network stand in its picture.
//!
//! What always holds:
//! - The same network gives the same picture, to the pixel; it depends on the file and on nothing else.
//! - Messages go from left to right. What goes back to the left closes a circle, and there are as few of those as a walk in the
//!   file's order leaves.
//! - Boxes do not overlap. A line does not run through a box that it does not touch.
//! - A process has one port for each channel on a side, so a channel with many senders comes in at one place.
//!
//! The way there is the usual one, a file for each step, all values without I/O: `draw/layers.rs` cuts circles and gives every process
//! a layer, `draw/order.rs` says who stands above whom, `draw/place.rs` where exactly. `draw/svg.rs` writes the picture down; the
//! dashboard draws the same [`Drawing`], which it gets as JSON.
//!
//! Why our own and no crate: docs/adr/0016 tells what was tried.

mod layers;
mod order;
mod place;
mod svg;

#[cfg(test)]
mod tests;

use serde::Serialize;
use towpath::network::{Direction, Graph};

use crate::{
    component::Registry,
    file::{Full, NetworkFile},
};
use layers::Layered;
use place::Placed;

/// A picture of a network, in pixels from its upper left corner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Drawing {
    /// The network's name.
    pub network: String,
    /// How wide it is.
    pub width: i32,
    /// How high it is.
    pub height: i32,
    /// Its processes, in the order of the file.
    pub processes: Vec<ProcessBox>,
    /// Its channels, in the order of the file.
    pub channels: Vec<ChannelLine>,
}

/// A process in the picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProcessBox {
    /// Its name.
    pub name: String,
    /// Its component.
    pub component: String,
    /// What the component does; empty for one that is not known.
    pub about: String,
    /// Whether it begins without messages.
    pub source: bool,
    /// Its left edge.
    pub x: i32,
    /// Its upper edge.
    pub y: i32,
    /// How wide it is.
    pub w: i32,
    /// How high it is.
    pub h: i32,
}

/// A channel in the picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChannelLine {
    /// Its name.
    pub name: String,
    /// What its messages are.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// How many wait in it; 0 is a rendezvous.
    pub capacity: usize,
    /// What becomes of a message for which there is no room: `block` or `drop`.
    pub full: &'static str,
    /// Who sends.
    pub from: Vec<String>,
    /// Who receives.
    pub to: Option<String>,
    /// Where its name stands.
    pub label: Label,
    /// A line from each sender.
    pub edges: Vec<Edge>,
}

/// Where a name stands beside its line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Label {
    /// Where it begins, ends or has its middle: see `anchor`.
    pub x: i32,
    /// Its base line.
    pub y: i32,
    /// `start`, `middle` or `end`, in SVG's words.
    pub anchor: &'static str,
}

/// One sender's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Through which points. Between two of them it goes straight if they have one height, and else in a curve that begins and ends
    /// horizontally.
    pub points: Vec<[i32; 2]>,
}

impl Drawing {
    /// Draws a network that has been [checked](crate::check::check). Of a process or channel that the graph has and the file
    /// has not, the picture knows the name alone.
    pub fn of(file: &NetworkFile, graph: &Graph, registry: &Registry) -> Self {
        let net = Net::of(file, graph);
        let layered = Layered::of(&net);
        let order = order::arrange(&layered);
        let Placed { width, height, boxes, ends } = place::place(&net, &layered, &order);
        let name = |process: usize| graph.processes[process].name.clone();
        let mut processes = Vec::new();
        for ((index, node), [x, y, w, h]) in graph.processes.iter().enumerate().zip(boxes) {
            let declared = file.processes.iter().find(|it| it.name.text == node.name);
            let component = declared.map(|it| it.uses.text.clone()).unwrap_or_default();
            let about = registry.get(&component).map(|it| it.about().to_owned());
            let source = !net.edges.iter().any(|edge| edge.to == index);
            let (name, about) = (node.name.clone(), about.unwrap_or_default());
            processes.push(ProcessBox { name, component, about, source, x, y, w, h });
        }
        let mut channels = Vec::new();
        for ((index, channel), (label, routes)) in graph.channels.iter().enumerate().zip(ends) {
            let declared = file.channel(&channel.name);
            let to = graph.holders(index, Direction::In).next();
            let of_channel = net.edges.iter().filter(|edge| edge.channel == index);
            channels.push(ChannelLine {
                name: channel.name.clone(),
                kind: declared.and_then(|it| it.kind.as_ref()).map(|kind| kind.text.clone()),
                capacity: channel.capacity.unwrap_or(usize::MAX),
                full: match declared.map(|it| it.full) {
                    Some(Full::Drop) => "drop",
                    Some(Full::Block) | None => "block",
                },
                from: graph.holders(index, Direction::Out).map(name).collect(),
                to: to.map(name),
                label,
                edges: of_channel
                    .zip(routes)
                    .map(|(edge, points)| Edge { from: name(edge.from), to: name(edge.to), points })
                    .collect(),
            });
        }
        Self { network: graph.name.clone(), width, height, processes, channels }
    }

    /// The picture as SVG: light, or dark where the reader's system is.
    pub fn to_svg(&self) -> String {
        svg::write(self)
    }
}

/// What the steps need to know of a network.
struct Net {
    /// How wide the box of each process has to be.
    widths: Vec<i32>,
    /// Ordered by channel.
    edges: Vec<Link>,
    /// How much room the name of each channel takes.
    labels: Vec<i32>,
    /// Whether the name of a channel stands where it begins, as it has one sender.
    at_start: Vec<bool>,
}

/// A channel, seen from one of its senders.
struct Link {
    from: usize,
    to: usize,
    channel: usize,
}

impl Net {
    fn of(file: &NetworkFile, graph: &Graph) -> Self {
        let mut edges = Vec::new();
        let (mut labels, mut at_start) = (Vec::new(), Vec::new());
        // By channel, in one pass over the ports: large networks have thousands of both.
        let mut holders = vec![[const { Vec::new() }; 2]; graph.channels.len()];
        for (process, node) in graph.processes.iter().enumerate() {
            for port in &node.ports {
                let [senders, receivers] = &mut holders[port.channel];
                let side = if port.direction == Direction::Out { senders } else { receivers };
                if side.last() != Some(&process) {
                    side.push(process);
                }
            }
        }
        for (channel, [senders, receivers]) in holders.iter().enumerate() {
            for (from, to) in
                senders.iter().flat_map(|&it| receivers.iter().map(move |&to| (it, to)))
            {
                edges.push(Link { from, to, channel });
            }
            let node = &graph.channels[channel];
            // What stands behind a name: `12/256`, or in words what has no number.
            let beside = match node.capacity {
                Some(0) => "(rendezvous)".len(),
                None => "(unbounded)".len(),
                Some(capacity) => 2 * capacity.to_string().len() + 1,
            };
            labels.push(label_width(&node.name, beside));
            at_start.push(senders.len() < 2);
        }
        let component = |name: &str| {
            let declared = file.processes.iter().find(|it| it.name.text == name);
            declared.map_or(0, |it| it.uses.text.chars().count())
        };
        let widths = graph.processes.iter().map(|it| box_width(&it.name, component(&it.name)));
        Self { widths: widths.collect(), edges, labels, at_start }
    }
}

/// Letters of a name that the picture shows; a longer one is cut, and whole where a pointer rests on it.
const LETTERS_MAX: usize = 26;

/// A name as the picture shows it.
fn shown(name: &str) -> String {
    if name.chars().count() <= LETTERS_MAX {
        return name.to_owned();
    }
    let cut: String = name.chars().take(LETTERS_MAX - 1).collect();
    format!("{cut}…")
}

/// Points along a line, as it is drawn: for tests, which look where it goes.
#[cfg(test)]
fn path_points(points: &[[i32; 2]]) -> Vec<[i32; 2]> {
    let mut all = Vec::new();
    for pair in points.windows(2) {
        let ([x, y], [to, below]) = (pair[0], pair[1]);
        for step in 0..=16 {
            let t = f64::from(step) / 16.0;
            let curve = |a: i32, b: i32, c: i32, d: i32| {
                let (s, [a, b, c, d]) = (1.0 - t, [a, b, c, d].map(f64::from));
                (s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d) as i32
            };
            let middle = (x + to) / 2;
            if x == to || y == below {
                all.push([x + (to - x) * step / 16, y + (below - y) * step / 16]);
            } else {
                all.push([curve(x, middle, middle, to), curve(y, y, below, below)]);
            }
        }
    }
    all
}

/// Room for a channel's name and for what stands beside it. A letter of 11 pixels takes less than 6.5 on average in every
/// system's font; nobody here can measure.
fn label_width(name: &str, beside: usize) -> i32 {
    let letters = name.chars().count().min(LETTERS_MAX) + beside + 2;
    pixels(letters * 13 / 2)
}

/// Room for a process's name, in larger letters, its component, and its state beside it.
fn box_width(name: &str, component: usize) -> i32 {
    let letters = name.chars().count().min(LETTERS_MAX);
    let (name, below) = (letters * 15 / 2 + 44, (component.min(LETTERS_MAX) + 12) * 13 / 2 + 28);
    pixels(name.max(below).max(136).next_multiple_of(4))
}

fn pixels(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
