//! Layers: which process stands in which column, and what passes through the columns between.
//!
//! What always holds: of a link's two ends the left one is in an earlier layer, and in each layer between them the link has a node of
//! its own, so that every segment goes from one layer to the next.

use super::Net;

/// A network cut into layers.
pub(super) struct Layered {
    /// First the processes, then the places where links pass through layers.
    pub(super) layer: Vec<usize>,
    /// How many layers there are.
    pub(super) layers: usize,
    /// For each link, its nodes from left to right. A process that sends to itself has no chain.
    pub(super) chains: Vec<Chain>,
}

/// A link, from left to right.
pub(super) struct Chain {
    pub(super) nodes: Vec<usize>,
    /// Whether messages go from right to left.
    pub(super) back: bool,
}

impl Layered {
    pub(super) fn of(net: &Net) -> Self {
        let count = net.widths.len();
        let back = backward(count, net);
        let forward: Vec<(usize, usize)> = net
            .edges
            .iter()
            .zip(&back)
            .filter(|(edge, _)| edge.from != edge.to)
            .map(|(edge, back)| if *back { (edge.to, edge.from) } else { (edge.from, edge.to) })
            .collect();
        let mut layer = longest(count, &forward);
        tighten(&mut layer, &forward);
        let layers = layer.iter().max().map_or(0, |last| last + 1);
        let mut chains = Vec::new();
        for (edge, back) in net.edges.iter().zip(back) {
            let (left, right) = if back { (edge.to, edge.from) } else { (edge.from, edge.to) };
            let mut nodes = Vec::new();
            if left != right {
                nodes.push(left);
                for between in layer[left] + 1..layer[right] {
                    nodes.push(layer.len());
                    layer.push(between);
                }
                nodes.push(right);
            }
            chains.push(Chain { nodes, back });
        }
        Self { layer, layers, chains }
    }

    /// The neighbours of every node: those to the left, those to the right.
    pub(super) fn neighbours(&self) -> Vec<[Vec<usize>; 2]> {
        let mut all = vec![[const { Vec::new() }; 2]; self.layer.len()];
        for chain in &self.chains {
            for pair in chain.nodes.windows(2) {
                all[pair[0]][1].push(pair[1]);
                all[pair[1]][0].push(pair[0]);
            }
        }
        all
    }
}

/// Links that go back to somebody a walk is just coming from; without them there is no circle. The walk begins at sources, in the
/// file's order, so what was written first is left of what follows.
fn backward(count: usize, net: &Net) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        Above,
        Done,
    }
    let mut out = vec![Vec::new(); count];
    let mut fed = vec![false; count];
    for (index, edge) in net.edges.iter().enumerate().filter(|(_, edge)| edge.from != edge.to) {
        out[edge.from].push(index);
        fed[edge.to] = true;
    }
    let (mut seen, mut back) = (vec![Seen::No; count], vec![false; net.edges.len()]);
    let sources = (0..count).filter(|it| !fed[*it]);
    for start in sources.chain(0..count) {
        if seen[start] != Seen::No {
            continue;
        }
        seen[start] = Seen::Above;
        // Whom the walk came through, and how many of its links were looked at. A list: a network may be longer than a stack.
        let mut walk = vec![(start, 0)];
        while let Some((at, next)) = walk.last_mut() {
            let Some(&edge) = out[*at].get(*next) else {
                seen[*at] = Seen::Done;
                walk.pop();
                continue;
            };
            *next += 1;
            let to = net.edges[edge].to;
            match seen[to] {
                Seen::Above => back[edge] = true,
                Seen::Done => {}
                Seen::No => {
                    seen[to] = Seen::Above;
                    walk.push((to, 0));
                }
            }
        }
    }
    back
}

/// Every node as far left as those before it allow.
fn longest(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let (mut out, mut waits) = (vec![Vec::new(); count], vec![0_usize; count]);
    for &(from, to) in edges {
        out[from].push(to);
        waits[to] += 1;
    }
    let mut layer = vec![0; count];
    let mut ready: Vec<usize> = (0..count).filter(|it| waits[*it] == 0).collect();
    while let Some(from) = ready.pop() {
        for &to in &out[from] {
            layer[to] = layer[to].max(layer[from] + 1);
            waits[to] -= 1;
            if waits[to] == 0 {
                ready.push(to);
            }
        }
    }
    layer
}

/// How often all nodes are moved; a source finds its place in the first round, chains behind it in later ones.
const ROUNDS: usize = 12;

/// Moves nodes to where their links are shortest: a timer stands beside whom it wakes and not at the far left.
fn tighten(layer: &mut [usize], edges: &[(usize, usize)]) {
    let mut ends = vec![[const { Vec::new() }; 2]; layer.len()];
    for &(from, to) in edges {
        ends[from][1].push(to);
        ends[to][0].push(from);
    }
    for _ in 0..ROUNDS {
        let mut moved = false;
        for node in (0..layer.len()).rev() {
            let [left, right] = &ends[node];
            let first = left.iter().map(|it| layer[*it] + 1).max().unwrap_or(0);
            let last = right.iter().map(|it| layer[*it] - 1).min();
            // With more on the right than on the left every step to the right is a gain, and the other way round.
            let better = match last {
                Some(last) if right.len() > left.len() => last,
                Some(_) if right.len() == left.len() => layer[node],
                _ => first,
            };
            moved |= better != layer[node];
            layer[node] = better;
        }
        if !moved {
            break;
        }
    }
    // What was at the very left may all have moved.
    let first = layer.iter().min().copied().unwrap_or(0);
    layer.iter_mut().for_each(|it| *it -= first);
}
