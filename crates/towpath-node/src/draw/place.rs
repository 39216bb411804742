//! Places: where a box stands to the pixel, and through which points a line goes.
//!
//! What always holds: nodes of a layer keep their order and their distance; ports of a side are [`PITCH`] apart.
//!
//! Heights are found layer by layer: every node has a wish, where its lines would be straight, and the layer takes the positions that
//! keep the distances and are nearest to all wishes (least squares under an order, solved by merging neighbours into blocks). Lines that
//! pass through several layers pull hardest, so they become straight.

use std::collections::BTreeMap;

use super::{Label, Net, layers::Layered};

/// Between two ports of a side: room for a name above each line.
const PITCH: i32 = 20;
/// The lowest box: two lines of text.
const BOX_HEIGHT: i32 = 48;
/// Between two boxes.
const APART: i32 = 26;
/// Between a line that passes and what is beside it.
const LINE_APART: i32 = 16;
/// What a process that sends to itself has above it.
const LOOP: i32 = 22;
/// Around everything.
const MARGIN: i32 = 28;
/// Between two columns, beside the names: room for curves.
const CURVE: i32 = 48;
/// Between a box and the name of a line.
const BESIDE: i32 = 10;
/// Between a line and its name.
const ABOVE: i32 = 7;

/// The picture, without words.
pub(super) struct Placed {
    pub(super) width: i32,
    pub(super) height: i32,
    /// Left, upper, width, height of each process.
    pub(super) boxes: Vec<[i32; 4]>,
    /// For each channel the place of its name, and the points of its links.
    pub(super) ends: Vec<(Label, Vec<Vec<[i32; 2]>>)>,
}

pub(super) fn place(net: &Net, layered: &Layered, order: &[Vec<usize>]) -> Placed {
    let ports = Ports::of(net, layered, order);
    let heights = heights(net, layered, order, &ports);
    let columns = columns(net, layered, order);
    let boxes: Vec<[i32; 4]> = (0..net.widths.len())
        .map(|node| {
            let ([x, width], high) = (columns[layered.layer[node]], ports.high[node]);
            [x, heights[node] - high / 2, width, high]
        })
        .collect();
    let mut ends = vec![(Label::default(), Vec::new()); net.labels.len()];
    for (index, (edge, chain)) in net.edges.iter().zip(&layered.chains).enumerate() {
        let (label, routes) = &mut ends[edge.channel];
        let named = !label.anchor.is_empty();
        let [x, y, w, _] = boxes[edge.from];
        if chain.nodes.is_empty() {
            let (left, right, top) = (x + 24, x + w - 24, y - LOOP + ABOVE);
            routes.push(vec![[right, y], [right, top], [left, top], [left, y]]);
            if !named {
                *label = Label { x: x + w / 2, y: top - ABOVE, anchor: "middle" };
            }
            continue;
        }
        let mut points = Vec::new();
        let last = chain.nodes.len() - 1;
        for (step, &node) in chain.nodes.iter().enumerate() {
            let [x, width] = columns[layered.layer[node]];
            match step {
                0 => points.push([x + width, heights[node] + ports.at_left[index]]),
                _ if step == last => points.push([x, heights[node] + ports.at_right[index]]),
                _ => points.extend([[x, heights[node]], [x + width, heights[node]]]),
            }
        }
        // Beside its name a line is straight: to the right of its sender, or to the left of its receiver.
        let at_start = net.at_start[edge.channel];
        let name = net.labels[edge.channel] + BESIDE;
        if at_start == chain.back {
            let [x, y] = points[points.len() - 1];
            points.insert(points.len() - 1, [x - name, y]);
        } else {
            let [x, y] = points[0];
            points.insert(1, [x + name, y]);
        }
        // A point between two of the same height says nothing.
        let mut kept: Vec<[i32; 2]> = Vec::new();
        for point in points {
            if let [.., a, b] = kept[..]
                && a[1] == b[1]
                && b[1] == point[1]
            {
                kept.pop();
            }
            kept.push(point);
        }
        if chain.back {
            kept.reverse();
        }
        // With one sender the name stands where the line begins, and else where all of them arrive; there a line from the left is
        // preferred, as its name is read on the way.
        if !named || (!at_start && !chain.back && label.anchor == "start") {
            let [x, y] = if at_start { kept[0] } else { kept[kept.len() - 1] };
            let y = y - ABOVE;
            *label = if at_start == chain.back {
                Label { x: x - BESIDE, y, anchor: "end" }
            } else {
                Label { x: x + BESIDE, y, anchor: "start" }
            };
        }
        routes.push(kept);
    }
    let right = columns.last().map_or(MARGIN, |[x, width]| x + width);
    let low = |ends: &(Label, Vec<Vec<[i32; 2]>>)| {
        ends.1.iter().flatten().map(|point| point[1]).max().unwrap_or(0)
    };
    let lowest = boxes.iter().map(|[_, y, _, h]| y + h).chain(ends.iter().map(low)).max();
    Placed { width: right + MARGIN, height: lowest.unwrap_or(MARGIN) + MARGIN, boxes, ends }
}

/// Where lines touch boxes.
struct Ports {
    /// How high each process has to be.
    high: Vec<i32>,
    /// For each link, how far below the middle of its left process it begins.
    at_left: Vec<i32>,
    /// The same for its right process.
    at_right: Vec<i32>,
    /// Processes that send to themselves.
    loops: Vec<bool>,
}

impl Ports {
    /// On each side in the order of what is next on the way, so that lines do not cross before they have begun.
    fn of(net: &Net, layered: &Layered, order: &[Vec<usize>]) -> Self {
        let count = net.widths.len();
        let mut place = vec![0; layered.layer.len()];
        for layer in order {
            layer.iter().enumerate().for_each(|(index, node)| place[*node] = index);
        }
        // For each process and side: channel, places of what is next, links.
        type Side = BTreeMap<usize, (usize, Vec<usize>)>;
        let mut sides = vec![[const { Side::new() }; 2]; count];
        let mut loops = vec![false; count];
        for (index, (edge, chain)) in net.edges.iter().zip(&layered.chains).enumerate() {
            let [left, .., right] = chain.nodes[..] else {
                loops[edge.from] = true;
                continue;
            };
            let (next, before) = (chain.nodes[1], chain.nodes[chain.nodes.len() - 2]);
            for (process, side, near) in [(left, 1, next), (right, 0, before)] {
                let (sum, links) = sides[process][side].entry(edge.channel).or_default();
                *sum += place[near];
                links.push(index);
            }
        }
        let links = net.edges.len();
        let mut this =
            Self { high: Vec::new(), at_left: vec![0; links], at_right: vec![0; links], loops };
        for both in sides {
            let mut most = 0;
            for (side, ports) in both.into_iter().enumerate() {
                let mut ports: Vec<(usize, (usize, Vec<usize>))> = ports.into_iter().collect();
                ports.sort_by_key(|(channel, (sum, links))| ((sum << 12) / links.len(), *channel));
                let count = super::pixels(ports.len());
                most = most.max(count);
                for (at, (_, (_, links))) in (0..).zip(ports) {
                    let offset = at * PITCH - (count - 1) * PITCH / 2;
                    let of_side = if side == 1 { &mut this.at_left } else { &mut this.at_right };
                    links.into_iter().for_each(|link| of_side[link] = offset);
                }
            }
            this.high.push(BOX_HEIGHT.max(most * PITCH + 12));
        }
        this
    }
}

/// A wish: beside whom, how far below, how much.
struct Pull {
    to: usize,
    below: f64,
    weight: f64,
}

/// Sweeps to one side, then to the other, then for both sides at once.
const SWEEPS: usize = 8;

/// The middle of every node.
fn heights(net: &Net, layered: &Layered, order: &[Vec<usize>], ports: &Ports) -> Vec<i32> {
    let (processes, nodes) = (net.widths.len(), layered.layer.len());
    let mut pulls: Vec<[Vec<Pull>; 2]> = (0..nodes).map(|_| [Vec::new(), Vec::new()]).collect();
    for (index, chain) in layered.chains.iter().enumerate() {
        let last = chain.nodes.len().saturating_sub(1);
        for (step, pair) in chain.nodes.windows(2).enumerate() {
            let [left, right] = [pair[0], pair[1]];
            let begins = if step == 0 { f64::from(ports.at_left[index]) } else { 0.0 };
            let ends = if step + 1 == last { f64::from(ports.at_right[index]) } else { 0.0 };
            let passing = usize::from(left >= processes) + usize::from(right >= processes);
            let weight = [1.0, 2.0, 8.0][passing];
            pulls[left][1].push(Pull { to: right, below: ends - begins, weight });
            pulls[right][0].push(Pull { to: left, below: begins - ends, weight });
        }
    }
    let apart = |above: usize, below: usize| -> f64 {
        let half =
            |node: usize| if node < processes { f64::from(ports.high[node]) / 2.0 } else { 0.0 };
        let both = above < processes && below < processes;
        let above_loop = below < processes && ports.loops[below];
        half(above)
            + half(below)
            + f64::from(if both { APART } else { LINE_APART })
            + if above_loop { f64::from(LOOP) } else { 0.0 }
    };
    let mut middle = vec![0.0; nodes];
    for layer in order {
        let mut y = 0.0;
        for (index, &node) in layer.iter().enumerate() {
            y += if index == 0 { 0.0 } else { apart(layer[index - 1], node) };
            middle[node] = y;
        }
        // Around one line, or the first sweeps would have to bring everything there.
        layer.iter().for_each(|node| middle[*node] -= y / 2.0);
    }
    let both: &[usize] = &[0, 1];
    for sweep in 0..3 * SWEEPS {
        let to_right = sweep % 2 == 0;
        let sides = match (sweep < 2 * SWEEPS, to_right) {
            (true, true) => &both[..1],
            (true, false) => &both[1..],
            (false, _) => both,
        };
        for step in 0..order.len() {
            let layer = &order[if to_right { step } else { order.len() - 1 - step }];
            settle(layer, sides, &pulls, &apart, &mut middle);
        }
    }
    straighten(layered, order, ports, &apart, &mut middle);
    let top = |node: usize| {
        let above = if ports.loops[node] { LOOP + PITCH } else { 0 };
        middle[node] - f64::from(ports.high[node] / 2 + above)
    };
    let passing = middle.iter().skip(processes).copied();
    let highest = (0..processes).map(top).chain(passing).fold(f64::INFINITY, f64::min);
    // `as` cuts what does not fit; a picture of two thousand million pixels is none.
    middle.iter().map(|y| (y - highest).round() as i32 + MARGIN).collect()
}

/// Gives the nodes of a layer the positions that are nearest to their wishes and keep their distances.
fn settle(
    layer: &[usize],
    sides: &[usize],
    pulls: &[[Vec<Pull>; 2]],
    apart: &impl Fn(usize, usize) -> f64,
    middle: &mut [f64],
) {
    // Blocks of nodes that touch: where the first is, the weight, how many.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    let (mut below, mut offsets) = (0.0, Vec::with_capacity(layer.len()));
    for (index, &node) in layer.iter().enumerate() {
        below += if index == 0 { 0.0 } else { apart(layer[index - 1], node) };
        offsets.push(below);
        // Nobody is without a wish: to stay, a little.
        let (mut weight, mut sum) = (0.01, 0.01 * middle[node]);
        for pull in sides.iter().flat_map(|side| &pulls[node][*side]) {
            weight += pull.weight;
            sum += pull.weight * (middle[pull.to] + pull.below);
        }
        let mut block = (sum / weight - below, weight, 1);
        while let Some(&(at, above, count)) = blocks.last()
            && at > block.0
        {
            blocks.pop();
            let weight = above + block.1;
            block = ((at * above + block.0 * block.1) / weight, weight, count + block.2);
        }
        blocks.push(block);
    }
    let firsts = blocks.iter().flat_map(|(at, _, count)| std::iter::repeat_n(*at, *count));
    for ((node, first), offset) in layer.iter().zip(firsts).zip(offsets) {
        middle[*node] = first + offset;
    }
}

/// Brings what passes through several layers to one height where there is room: that of an end, if it can be.
fn straighten(
    layered: &Layered,
    order: &[Vec<usize>],
    ports: &Ports,
    apart: &impl Fn(usize, usize) -> f64,
    middle: &mut [f64],
) {
    let mut place = vec![0; layered.layer.len()];
    for layer in order {
        layer.iter().enumerate().for_each(|(index, node)| place[*node] = index);
    }
    for (index, chain) in layered.chains.iter().enumerate() {
        let [left, between @ .., right] = &chain.nodes[..] else { continue };
        if between.is_empty() {
            continue;
        }
        let (mut lowest, mut highest) = (f64::NEG_INFINITY, f64::INFINITY);
        for &node in between {
            let layer = &order[layered.layer[node]];
            if let Some(&above) = place[node].checked_sub(1).and_then(|it| layer.get(it)) {
                lowest = lowest.max(middle[above] + apart(above, node));
            }
            if let Some(&below) = layer.get(place[node] + 1) {
                highest = highest.min(middle[below] - apart(node, below));
            }
        }
        if lowest > highest {
            continue;
        }
        let wishes = [
            middle[*left] + f64::from(ports.at_left[index]),
            middle[*right] + f64::from(ports.at_right[index]),
        ];
        let fits = wishes.into_iter().find(|it| (lowest..=highest).contains(it));
        let mean = between.iter().map(|it| middle[*it]).sum::<f64>() / between.len() as f64;
        let height = fits.unwrap_or(mean.clamp(lowest, highest));
        between.iter().for_each(|it| middle[*it] = height);
    }
}

/// Left edge and width of each layer.
fn columns(net: &Net, layered: &Layered, order: &[Vec<usize>]) -> Vec<[i32; 2]> {
    let mut widths = vec![0; order.len()];
    for (node, width) in net.widths.iter().enumerate() {
        let widest = &mut widths[layered.layer[node]];
        *widest = (*widest).max(*width);
    }
    // Beside each layer the widest name to its left and to its right.
    let mut names = vec![[0; 2]; order.len()];
    for (edge, chain) in net.edges.iter().zip(&layered.chains) {
        let node = if net.at_start[edge.channel] { edge.from } else { edge.to };
        if !chain.nodes.is_empty() {
            let right = net.at_start[edge.channel] != chain.back;
            let widest = &mut names[layered.layer[node]][usize::from(right)];
            *widest = (*widest).max(net.labels[edge.channel]);
        }
    }
    let mut columns = Vec::new();
    let mut x = MARGIN + names.first().map_or(0, |[left, _]| *left);
    for (layer, width) in widths.into_iter().enumerate() {
        columns.push([x, width]);
        let next = names.get(layer + 1).map_or(0, |[left, _]| *left);
        x += width + names[layer][1] + next + CURVE;
    }
    columns
}
