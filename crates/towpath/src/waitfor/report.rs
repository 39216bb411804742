//! What the analysis found, to be asked and printed.
//!
//! What always holds: it owns the snapshot it speaks of, so it can be kept, sent and printed later.
//!
//! Why positions inside and views outside: a report about 100,000 processes is a few flat lists; names, places and
//! sentences are looked up for those somebody asks about.

use std::collections::BTreeMap;

use super::{
    Grade, Options,
    graph::{Graph, NONE, Places, Ready},
    live::{LIVE, Lists, Verdict, verdict},
    sets::{Set, Sets, sets, waits_for},
    snapshot::{Process, ProcessId, Resource, Snapshot, State, Wait},
};

/// Who is stuck, how sure that is, and why.
///
/// `Display` says it in words, the surest findings first, at most a dozen lines for each; `{:#}` leaves nothing out.
/// [`to_dot`](Self::to_dot) and [`to_mermaid`](Self::to_mermaid) draw it.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) snapshot: Snapshot,
    pub(super) places: Places,
    /// Of each node.
    pub(super) grade: Vec<u8>,
    /// Of each living node, who brought it on.
    pub(super) because: Vec<u32>,
    /// Of each stuck node, in the order of arms and holders.
    pub(super) waits_for: Lists,
    /// Of each process.
    pub(super) waits: Lists,
    sets: Sets,
    lost: Vec<(u32, Vec<u32>)>,
}

/// Processes that wait for each other, and those that wait behind them.
///
/// `Display` prints a heading and a line for each member.
#[derive(Clone, Copy, Debug)]
pub struct StuckSet<'a> {
    pub(super) report: &'a Report,
    pub(super) set: &'a Set,
}

/// A resource on which somebody waits although there is nothing to wait for: a message is there, or room, or both sides
/// of a rendezvous wait for each other. Whoever should have woken the waiter has not.
///
/// That is no deadlock of the program but a fault in the waking, or in the snapshot. Those who wait so count as alive.
#[derive(Clone, Copy, Debug)]
pub struct LostWakeup<'a> {
    pub(super) report: &'a Report,
    pub(super) resource: u32,
    pub(super) waiting: &'a [u32],
}

/// Why a process is stuck, or why it is not: the chain from it to those it depends on.
///
/// `Display` prints the verdict and a line for each process of the chain.
#[derive(Clone, Debug)]
pub struct Why<'a> {
    pub(super) report: &'a Report,
    pub(super) chain: Vec<u32>,
}

impl Report {
    pub(super) fn of(snapshot: Snapshot, options: &Options) -> Self {
        let places = Places::of(&snapshot);
        let mut graph = Graph::of(&snapshot, &places);
        let verdict = verdict(&mut graph, &snapshot, options);
        let waits_for = waits_for(&graph, &verdict);
        let sets = sets(&graph, &verdict, &waits_for);
        let waits = graph.waits.iter().zip(0..).filter(|&(&process, _)| process != NONE);
        let waits = Lists::of(graph.processes, waits.map(|(&process, wait)| (process, wait)));
        let lost = lost(&graph.ready, &snapshot, options);
        let Verdict { grade, because } = verdict;
        Self { snapshot, places, grade, because, waits_for, waits, sets, lost }
    }

    /// Whether nobody is stuck and no wake-up lost.
    pub fn is_clear(&self) -> bool {
        self.sets.sets.is_empty() && self.lost.is_empty()
    }

    /// How many processes are stuck with this grade, followers included.
    pub fn count(&self, grade: Grade) -> usize {
        let processes = &self.grade[..self.snapshot.processes.len()];
        processes.iter().filter(|&&of| of == grade as u8).count()
    }

    /// How sure it is that a process is stuck; `None` when it is not, or not in the snapshot.
    pub fn grade(&self, process: impl Into<ProcessId>) -> Option<Grade> {
        self.grade_at(self.places.processes.get(process.into().0)?)
    }

    /// The processes that are stuck, each in one set, the surest first.
    pub fn stuck_sets(&self) -> impl ExactSizeIterator<Item = StuckSet<'_>> {
        self.sets.sets.iter().map(|set| StuckSet { report: self, set })
    }

    /// Waits that should be over.
    pub fn lost_wakeups(&self) -> impl ExactSizeIterator<Item = LostWakeup<'_>> {
        self.lost.iter().map(|&(resource, ref waiting)| LostWakeup {
            report: self,
            resource,
            waiting,
        })
    }

    /// Why a process is stuck: itself first, then everybody whom it waits for, near ones first. Why it is not: the
    /// chain from it to somebody who can act. `None` when it is not in the snapshot.
    pub fn why(&self, process: impl Into<ProcessId>) -> Option<Why<'_>> {
        let process = self.places.processes.get(process.into().0)?;
        let chain = if self.grade_at(process).is_some() {
            self.everybody_ahead(process)
        } else {
            let before = |&node: &u32| Some(self.because[node as usize]).filter(|&by| by != NONE);
            let nodes = std::iter::successors(Some(process), before);
            nodes.filter(|&node| self.is_process(node)).collect()
        };
        Some(Why { report: self, chain })
    }

    /// What the report speaks of.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Gives the snapshot back.
    pub fn into_snapshot(self) -> Snapshot {
        self.snapshot
    }

    fn everybody_ahead(&self, process: u32) -> Vec<u32> {
        let mut seen = vec![false; self.grade.len()];
        seen[process as usize] = true;
        let mut queue = vec![process];
        let mut next = 0;
        while let Some(&node) = queue.get(next) {
            next += 1;
            for &ahead in self.waits_for.of_node(node) {
                if !std::mem::replace(&mut seen[ahead as usize], true) {
                    queue.push(ahead);
                }
            }
        }
        queue.retain(|&node| self.is_process(node));
        queue
    }

    pub(super) fn is_process(&self, node: u32) -> bool {
        (node as usize) < self.snapshot.processes.len()
    }

    pub(super) fn grade_at(&self, node: u32) -> Option<Grade> {
        Grade::of(self.grade[node as usize])
    }

    pub(super) fn process_at(&self, node: u32) -> &Process {
        &self.snapshot.processes[node as usize]
    }

    pub(super) fn waits_at(&self, node: u32) -> impl Iterator<Item = &Wait> {
        self.waits.of_node(node).iter().map(|&wait| &self.snapshot.waits[wait as usize])
    }

    pub(super) fn resource_of(&self, arm: &super::Arm) -> Option<&Resource> {
        let at = self.places.resources.get(arm.resource()?.0)?;
        Some(&self.snapshot.resources[at as usize])
    }
}

impl<'a> StuckSet<'a> {
    /// How sure it is that the members are stuck. A follower may be less sure, see [`Report::grade`].
    pub fn grade(&self) -> Grade {
        Grade::of(self.set.grade).expect("only the stuck are in sets")
    }

    /// Whether the members wait for each other, or the only member for itself. If not, the only member waits for
    /// something that nobody can bring.
    pub fn is_cycle(&self) -> bool {
        self.set.cycle
    }

    /// Those who wait for each other; each for the next and the last for the first, if they form one ring.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &'a Process> {
        let report = self.report;
        self.member_nodes().iter().map(|&node| report.process_at(node))
    }

    /// Those who are stuck only since they wait for the members or for each other. Who waits behind several sets is
    /// listed with one of them.
    pub fn followers(&self) -> impl ExactSizeIterator<Item = &'a Process> {
        let report = self.report;
        self.follower_nodes().iter().map(|&node| report.process_at(node))
    }

    pub(super) fn member_nodes(&self) -> &'a [u32] {
        let (begin, end) = self.set.members;
        &self.report.sets.members[begin as usize..end as usize]
    }

    pub(super) fn follower_nodes(&self) -> &'a [u32] {
        let (begin, end) = self.set.followers;
        &self.report.sets.followers[begin as usize..end as usize]
    }
}

impl<'a> LostWakeup<'a> {
    /// Where it was lost.
    pub fn resource(&self) -> &'a Resource {
        &self.report.snapshot.resources[self.resource as usize]
    }

    /// Who could go on. Not all of them, perhaps: one message is enough for one of ten receivers.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &'a Process> {
        let report = self.report;
        self.waiting.iter().map(|&node| report.process_at(node))
    }
}

impl<'a> Why<'a> {
    /// How sure it is that the first process of the chain is stuck; `None` when it is not.
    pub fn grade(&self) -> Option<Grade> {
        self.report.grade_at(self.chain[0])
    }

    /// The process itself, then those it depends on.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &'a Process> {
        let report = self.report;
        self.chain.iter().map(move |&node| report.process_at(node))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.report.process_at(self.chain[0]).state == State::Ended
    }
}

impl Grade {
    pub(super) fn of(grade: u8) -> Option<Self> {
        [Self::Suspect, Self::Likely, Self::Proven].into_iter().find(|&of| of as u8 == grade)
    }
}

const _: () = assert!(LIVE == 0, "no grade is 0");

/// Ready waits that are old enough, by resource.
fn lost(ready: &[Ready], snapshot: &Snapshot, options: &Options) -> Vec<(u32, Vec<u32>)> {
    let Some(after) = options.lost_after else { return Vec::new() };
    let mut by_resource: BTreeMap<u32, Vec<&Ready>> = BTreeMap::new();
    for wait in ready.iter().filter(|wait| wait.age >= after) {
        // Two who wait for each other are news of their own; any other state may have come about this moment.
        if wait.by_meeting || snapshot.resources[wait.resource as usize].unchanged >= after {
            by_resource.entry(wait.resource).or_default().push(wait);
        }
    }
    by_resource.retain(|_, waits| {
        let some = |sends| waits.iter().any(|wait| wait.sends == sends);
        let several = waits.iter().any(|wait| wait.process != waits[0].process);
        !waits[0].by_meeting || (some(true) && some(false) && several)
    });
    let waiting = |waits: Vec<&Ready>| {
        let mut waiting: Vec<u32> = waits.iter().map(|wait| wait.process).collect();
        waiting.dedup();
        waiting
    };
    by_resource.into_iter().map(|(resource, waits)| (resource, waiting(waits))).collect()
}
