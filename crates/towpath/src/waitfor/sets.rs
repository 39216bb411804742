//! The stuck, sorted into sets: who waits for each other, and who only waits behind them.
//!
//! What always holds:
//! - Every stuck process is in exactly one set, as a member or as a follower.
//! - The members of a set wait for each other and have one grade; or the set is one process that waits for itself, or for
//!   something that nobody can bring.
//! - A follower waits for a set and is not waited for by it.
//! - Sets are in order of grade, the surest first.
//!
//! The members are the strongly connected components of "waits for", found with one depth-first walk (R. Tarjan,
//! "Depth-first search and linear graph algorithms", 1972), here without recursion: a chain may be as long as there
//! are processes.
//!
//! Why an edge counts only from a node to one at least as sure: a wait for a lock with two readers is proved by the one
//! that is proved to be stuck, and the other, perhaps alive, has no part in it.

use super::{
    graph::{Graph, NONE},
    live::{LIVE, Lists, Verdict},
};

/// Sets by their positions in two lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    pub(super) sets: Vec<Set>,
    /// Members of all sets; within a set in the order of the walk, so that each waits for the next where that can be.
    pub(super) members: Vec<u32>,
    /// Followers of all sets; within a set in the order of the snapshot.
    pub(super) followers: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Set {
    pub(super) grade: u8,
    /// The members wait for each other, or the one member for itself.
    pub(super) cycle: bool,
    pub(super) members: (u32, u32),
    pub(super) followers: (u32, u32),
}

/// For each stuck node the nodes it waits for.
pub(super) fn waits_for(graph: &Graph, verdict: &Verdict) -> Lists {
    let grade = |node: u32| verdict.grade[node as usize];
    let anybody = verdict.grade[..graph.processes].iter().any(|&grade| grade != LIVE);
    let edges = if anybody { &graph.edges[..] } else { &[] };
    let stuck = edges.iter().filter(|&&(from, to)| grade(to) != LIVE && grade(from) >= grade(to));
    Lists::of(graph.nodes, stuck.map(|&(from, to)| (to, from)))
}

pub(super) fn sets(graph: &Graph, verdict: &Verdict, waits_for: &Lists) -> Sets {
    let processes = graph.processes as u32;
    let mut sets: Vec<Set> = Vec::new();
    let mut members = Vec::new();
    // Of each node the set it belongs to or waits for.
    let mut set_of = vec![NONE; graph.nodes];
    let mut followers = Vec::new();
    let stuck = |node: &u32| verdict.grade[*node as usize] != LIVE;
    components((0..processes).filter(stuck), graph.nodes, waits_for, |component| {
        let ahead = |node: u32| {
            let next = waits_for.of_node(node).iter();
            next.map(|&next| set_of[next as usize]).find(|&set| set != NONE)
        };
        let cycle = component.len() > 1;
        let set = match component {
            // What it waits for came before it.
            &[node] if ahead(node).is_some() => {
                let set = ahead(node).expect("seen just now");
                if node < processes {
                    followers.push((set, node));
                }
                set
            }
            // Nobody holds it; or contexts that are each other's parents, which is nonsense.
            nodes if nodes.iter().all(|&node| node >= processes) => NONE,
            nodes => {
                let first = members.len() as u32;
                members.extend(nodes.iter().filter(|&&node| node < processes));
                let members = (first, members.len() as u32);
                let grade = verdict.grade[nodes[0] as usize];
                sets.push(Set { grade, cycle, members, followers: (0, 0) });
                sets.len() as u32 - 1
            }
        };
        for &node in component {
            set_of[node as usize] = set;
        }
    });
    followers.sort_unstable();
    let mut from = 0;
    for (at, set) in sets.iter_mut().enumerate() {
        let count = followers[from..].iter().take_while(|(set, _)| *set == at as u32).count();
        set.followers = (from as u32, (from + count) as u32);
        from += count;
    }
    let followers = followers.into_iter().map(|(_, node)| node).collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.grade));
    Sets { sets, members, followers }
}

/// Calls `found` with each strongly connected component that can be reached from `roots`; one that waits for another
/// comes after it.
fn components(
    roots: impl Iterator<Item = u32>,
    nodes: usize,
    next: &Lists,
    mut found: impl FnMut(&[u32]),
) {
    /// A node whose component is known is numbered higher than any other.
    const DONE: u32 = u32::MAX;
    // Order of discovery from 1; then the earliest node on the stack that is known to be reachable.
    let mut low = vec![0_u32; nodes];
    let mut discovered = 0;
    let mut stack: Vec<u32> = Vec::new();
    // A node, its number, how many of its edges have been walked.
    let mut path: Vec<(u32, u32, u32)> = Vec::new();
    for root in roots {
        if low[root as usize] != 0 {
            continue;
        }
        discovered += 1;
        low[root as usize] = discovered;
        stack.push(root);
        path.push((root, discovered, 0));
        while let Some((node, number, walked)) = path.last_mut() {
            let node = *node;
            if let Some(&to) = next.of_node(node).get(*walked as usize) {
                *walked += 1;
                if low[to as usize] == 0 {
                    discovered += 1;
                    low[to as usize] = discovered;
                    stack.push(to);
                    path.push((to, discovered, 0));
                } else {
                    low[node as usize] = low[node as usize].min(low[to as usize]);
                }
                continue;
            }
            let (number, lowest) = (*number, low[node as usize]);
            path.pop();
            if lowest == number {
                let first = stack.iter().rposition(|&other| other == node).expect("on the stack");
                found(&stack[first..]);
                for done in stack.drain(first..) {
                    low[done as usize] = DONE;
                }
            } else if let Some(&(parent, ..)) = path.last() {
                low[parent as usize] = low[parent as usize].min(lowest);
            }
        }
    }
}
