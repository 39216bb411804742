//! The fixed point: who can still be brought on, and how much has to be believed for that.
//!
//! What always holds:
//! - A node lives as soon as the edges it needs have come from living nodes, and never before: the living are the *least*
//!   set closed under "enabled by the living", so the stuck are the greatest set in which each waits for the others.
//!   Two processes that could only bring each other on do not live.
//! - Each edge is walked once in each of at most two runs: linear time. It is unit propagation in Horn clauses (W. F.
//!   Dowling and J. H. Gallier, "Linear-time algorithms for testing the satisfiability of propositional Horn formulae",
//!   1984): "process lives if side lives", "lock lives if holder 1 and holder 2 live".
//!
//! Why the grades cost no further runs: believing less only adds life. First live those who are alive for certain,
//! then those whom only somebody unknown could bring on, then those whose verdict rests on an end being where it was
//! last seen. Who is left is proved to be stuck.

use std::time::Duration;

use super::{
    Options,
    graph::{Graph, NONE},
    snapshot::Snapshot,
};

/// How sure it is that a node is stuck. Greater is surer.
pub(super) const LIVE: u8 = 0;
pub(super) const SUSPECT: u8 = 1;
pub(super) const LIKELY: u8 = 2;
pub(super) const PROVEN: u8 = 3;

/// What the fixed point found for each node.
pub(super) struct Verdict {
    pub(super) grade: Vec<u8>,
    /// For the living, who brought it on last; `NONE` for seeds.
    pub(super) because: Vec<u32>,
}

/// Who lives. Uses up what the nodes need.
pub(super) fn verdict(graph: &mut Graph, snapshot: &Snapshot, options: &Options) -> Verdict {
    let out = Lists::of(graph.nodes, graph.edges.iter().copied());
    let mut run = Run {
        need: std::mem::take(&mut graph.need),
        grade: vec![PROVEN; graph.nodes],
        because: vec![NONE; graph.nodes],
        queue: Vec::with_capacity(graph.nodes),
        spread: 0,
    };
    let graph = &*graph;
    for (grade, &need) in run.grade.iter_mut().zip(&run.need[..graph.processes]) {
        if need == 0 {
            *grade = LIVE; // it has ended
        }
    }
    for &node in &graph.live {
        run.enliven(node, LIVE, NONE);
    }
    run.spread(&out, LIVE);
    // In a closed world an unknown holder is one of the processes listed, and here none of them can do anything.
    let nobody = options.closed && !run.queue.iter().any(|&node| (node as usize) < graph.processes);
    if nobody {
        return run.verdict();
    }
    let certain = options.suspect_after.map(|_| (run.need.clone(), run.grade.clone()));
    for &node in &graph.unknown {
        run.credit(node, SUSPECT, NONE);
    }
    run.spread(&out, SUSPECT);
    let needed_unknown = run.grade.contains(&SUSPECT);
    for &node in &graph.doubted {
        run.enliven(node, LIKELY, NONE);
    }
    run.spread(&out, LIKELY);
    match (certain, options.suspect_after) {
        (Some((need, grade)), Some(age)) if needed_unknown => {
            let old = old(graph, snapshot, age);
            let because = run.because.clone();
            let mut young = Run { need, grade, because, queue: Vec::new(), spread: 0 };
            let suspects = 0..graph.processes;
            for node in suspects.filter(|&at| run.grade[at] == SUSPECT && !old[at]) {
                young.enliven(node as u32, LIVE, NONE);
            }
            young.spread(&out, LIVE);
            for (grade, young) in run.grade.iter_mut().zip(&young.grade) {
                if *grade == SUSPECT && *young == LIVE {
                    *grade = LIVE;
                }
            }
        }
        // Nobody asked for suspicions.
        _ => run.grade.iter_mut().filter(|grade| **grade == SUSPECT).for_each(|g| *g = LIVE),
    }
    run.verdict()
}

/// Which processes have been waiting for at least `age`, in all their waits.
///
/// A shorter wait means that the process did something lately, and so is evidence that it will again.
fn old(graph: &Graph, snapshot: &Snapshot, age: Duration) -> Vec<bool> {
    let mut old = vec![None; graph.processes];
    for (wait, &process) in snapshot.waits.iter().zip(&graph.waits) {
        if let Some(so_far) = old.get_mut(process as usize) {
            *so_far = Some(so_far.unwrap_or(true) && wait.age >= age);
        }
    }
    // Parked, but nobody knows since when.
    old.into_iter().map(|old| old.unwrap_or(false)).collect()
}

struct Run {
    need: Vec<u32>,
    /// `PROVEN` until the node lives, then what had to be believed for that.
    grade: Vec<u8>,
    because: Vec<u32>,
    /// Everybody who lives, in the order in which that was found.
    queue: Vec<u32>,
    /// So many of them have passed life on.
    spread: usize,
}

impl Run {
    /// `node` lives by itself.
    fn enliven(&mut self, node: u32, grade: u8, because: u32) {
        if self.grade[node as usize] == PROVEN {
            self.grade[node as usize] = grade;
            self.because[node as usize] = because;
            self.need[node as usize] = 0;
            self.queue.push(node);
        }
    }

    /// `node` gets one of the edges it needs.
    #[inline]
    fn credit(&mut self, node: u32, grade: u8, because: u32) {
        let need = &mut self.need[node as usize];
        match *need {
            0 => {}
            1 => self.enliven(node, grade, because),
            _ => *need -= 1,
        }
    }

    /// Passes life on until nothing changes.
    fn spread(&mut self, out: &Lists, grade: u8) {
        while let Some(&node) = self.queue.get(self.spread) {
            self.spread += 1;
            for &to in out.of_node(node) {
                self.credit(to, grade, node);
            }
        }
    }

    fn verdict(self) -> Verdict {
        Verdict { grade: self.grade, because: self.because }
    }
}

/// For each node a list of nodes, all in one piece of memory.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    begins: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// Sorts pairs of a node and an item by nodes; the items of a node keep their order.
    pub(super) fn of(nodes: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        // One entry behind: while the items are put down, `begins[n + 1]` runs from the begin of `n` to its end.
        let mut begins = vec![0; nodes + 2];
        for (node, _) in pairs.clone() {
            begins[node as usize + 2] += 1;
        }
        let mut sum = 0;
        for begin in &mut begins {
            sum += *begin;
            *begin = sum;
        }
        let mut items = vec![0; sum as usize];
        for (node, item) in pairs {
            let at = &mut begins[node as usize + 1];
            items[*at as usize] = item;
            *at += 1;
        }
        begins.pop();
        Self { begins, items }
    }

    #[inline]
    pub(super) fn of_node(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.items[self.begins[node] as usize..self.begins[node + 1] as usize]
    }
}
