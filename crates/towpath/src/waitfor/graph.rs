//! The snapshot as a graph over dense numbers: who would bring whom on.
//!
//! What always holds:
//! - Nodes are the processes in the order of the snapshot, then two for each resource, one for each of its [`Side`]s.
//! - An edge leads from a process to each side it holds an end of, and from a side to each process that waits for it; from a
//!   context also to its children. So N holders and M waiters make N + M edges and not N x M.
//! - A node lives once `need` of its edges have come from the living: one for a process, one for most sides, all for
//!   the holders of a lock and the members of a group.
//! - What lives without any edge stands in one of three lists of seeds, by how much is believed.

use std::time::Duration;

use super::{
    ids::Ids,
    snapshot::{Arm, Ends, Kind, Known, Resource, Snapshot, State},
};

/// No node, no position.
pub(super) const NONE: u32 = u32::MAX;

/// The two nodes of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// A channel's senders: receivers wait for them. Of every other resource those who can end a wait.
    Givers,
    /// A channel's receivers: senders wait for them.
    Takers,
}

/// Looks up positions in a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) processes: Ids,
    pub(super) resources: Ids,
}

impl Places {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        Self {
            processes: Ids::of(snapshot.processes.iter().map(|process| process.id.0)),
            resources: Ids::of(snapshot.resources.iter().map(|resource| resource.id.0)),
        }
    }
}

/// An arm that could end its wait this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ready {
    /// Position of the resource.
    pub(super) resource: u32,
    /// Position of the process.
    pub(super) process: u32,
    /// It waits to send or reserve.
    pub(super) sends: bool,
    /// Nothing but another wait makes it ready: a sender and a receiver of a rendezvous wait for each other.
    pub(super) by_meeting: bool,
    /// For how long it has been waiting.
    pub(super) age: Duration,
}

pub(super) struct Graph {
    /// Nodes below this are processes.
    pub(super) processes: usize,
    pub(super) nodes: usize,
    /// Of each wait the process, if that is parked and listed; else `NONE`.
    pub(super) waits: Vec<u32>,
    /// From, to; in the order of the snapshot.
    pub(super) edges: Vec<(u32, u32)>,
    /// Edges from the living that are missing until the node lives.
    pub(super) need: Vec<u32>,
    /// They live, whatever one believes.
    pub(super) live: Vec<u32>,
    /// Somebody unknown may give them one of the edges they need.
    pub(super) unknown: Vec<u32>,
    /// They live if ends that were seen in somebody's hands have been passed on.
    pub(super) doubted: Vec<u32>,
    /// Arms on resources that could end their wait at once.
    pub(super) ready: Vec<Ready>,
}

impl Graph {
    /// # Panics
    /// With 2^31 nodes or more.
    pub(super) fn of(snapshot: &Snapshot, places: &Places) -> Self {
        let processes = snapshot.processes.len();
        let nodes = processes + 2 * snapshot.resources.len();
        assert!(nodes < 1 << 31, "a snapshot of more than 2^31 processes and resources");
        let states: Vec<State> = snapshot.processes.iter().map(|process| process.state).collect();
        let waits = Waits::of(snapshot, places, &states);
        let holders: usize =
            snapshot.resources.iter().map(|resource| resource.kind.holders()).sum();
        let mut graph = Self {
            processes,
            nodes,
            waits: Vec::new(),
            edges: Vec::with_capacity(waits.resource.len() + holders),
            need: vec![1; nodes],
            live: Vec::new(),
            unknown: Vec::new(),
            doubted: Vec::new(),
            ready: Vec::new(),
        };
        graph.add_processes(&states, &waits);
        graph.add_waits(snapshot, &waits);
        graph.add_resources(snapshot, places, &states);
        graph.waits = waits.process;
        graph
    }

    /// The node of a resource's side.
    #[inline]
    pub(super) fn side(&self, resource: u32, side: Side) -> u32 {
        self.processes as u32 + 2 * resource + side as u32
    }

    fn add_processes(&mut self, states: &[State], waits: &Waits) {
        let mut waiting = vec![false; self.processes];
        for &process in &waits.process {
            if process != NONE {
                waiting[process as usize] = true;
            }
        }
        for (at, state) in states.iter().enumerate() {
            match state {
                State::Running => self.live.push(at as u32),
                // Neither stuck nor of any help.
                State::Ended => self.need[at] = 0,
                State::Parked if !waiting[at] => self.unknown.push(at as u32),
                State::Parked => {}
            }
        }
    }

    fn add_waits(&mut self, snapshot: &Snapshot, waits: &Waits) {
        let mut resources = waits.resource.iter();
        for (wait, &process) in snapshot.waits.iter().zip(&waits.process) {
            let resources = resources.by_ref().take(wait.arms.len());
            if process == NONE {
                resources.for_each(drop);
                continue;
            }
            for (arm, &at) in wait.arms.iter().zip(resources) {
                let fact = waits.facts.get(at as usize);
                match enabled_by(arm, fact, || waits.meets(at, process, arm)) {
                    Enabled::Now => self.live.push(process),
                    Enabled::Ready { by_meeting } => {
                        self.live.push(process);
                        let sends = matches!(arm, Arm::Send(_) | Arm::Reserve(_));
                        let age = wait.age;
                        self.ready.push(Ready { resource: at, process, sends, by_meeting, age });
                    }
                    Enabled::Unknown => self.unknown.push(process),
                    Enabled::By(side) => self.edges.push((self.side(at, side), process)),
                    Enabled::ByEither => {
                        self.edges.push((self.side(at, Side::Takers), process));
                        self.edges.push((self.side(at, Side::Givers), process));
                    }
                }
            }
        }
    }

    fn add_resources(&mut self, snapshot: &Snapshot, places: &Places, states: &[State]) {
        for (at, resource) in snapshot.resources.iter().enumerate() {
            let givers = self.side(at as u32, Side::Givers);
            match &resource.kind {
                Kind::Channel(channel) => {
                    let takers = self.side(at as u32, Side::Takers);
                    self.add_ends(places, states, givers, &channel.senders, false);
                    self.add_ends(places, states, takers, &channel.receivers, false);
                }
                Kind::Lock { holders: ends } | Kind::Group { members: ends } => {
                    self.add_ends(places, states, givers, ends, true);
                }
                Kind::Semaphore { holders: ends, .. } | Kind::Notify { notifiers: ends, .. } => {
                    self.add_ends(places, states, givers, ends, false);
                }
                Kind::Context { done, deadline, parent, cancellers } => {
                    self.add_ends(places, states, givers, cancellers, false);
                    if *done || deadline.is_some() {
                        self.live.push(givers);
                    }
                    match parent.map(|parent| places.resources.get(parent.0)) {
                        Some(Some(parent)) => {
                            self.edges.push((self.side(parent, Side::Givers), givers));
                        }
                        Some(None) => self.unknown.push(givers),
                        None => {}
                    }
                }
            }
        }
    }

    /// The holders of one side; `all` of them have to live, or any.
    fn add_ends(&mut self, places: &Places, states: &[State], side: u32, ends: &Ends, all: bool) {
        let mut unknown = ends.unknown() > 0;
        let mut doubted = false;
        let mut holders = 0;
        for holder in &ends.holders {
            match places.processes.get(holder.process.0) {
                Some(process) if states[process as usize] != State::Ended => {
                    self.edges.push((process, side));
                    holders += 1;
                    doubted |= holder.known == Known::Observed;
                }
                // The end exists, so it is not there any more.
                _ => unknown |= ends.total > 0,
            }
        }
        if unknown {
            self.unknown.push(side);
        }
        if doubted {
            self.doubted.push(side);
        }
        if all {
            self.need[side as usize] = holders + u32::from(unknown);
            if self.need[side as usize] == 0 {
                self.live.push(side);
            }
        } else if ends.outside > 0 {
            self.live.push(side);
        }
    }
}

/// Positions that the waits speak of, and who could meet on a rendezvous.
struct Waits {
    /// Of each wait; `NONE` when the process is not parked or not listed.
    process: Vec<u32>,
    /// Of each arm of each wait; `NONE` when it names no resource, or one that is not listed.
    resource: Vec<u32>,
    /// Of each resource.
    facts: Vec<Fact>,
    /// Of each resource the first two processes that wait to receive, and the first two that wait to send; for
    /// rendezvous only, and empty if there is none.
    meetings: Vec<[[u32; 2]; 2]>,
}

impl Waits {
    fn of(snapshot: &Snapshot, places: &Places, states: &[State]) -> Self {
        let mut process = Vec::with_capacity(snapshot.waits.len());
        let mut resource = Vec::with_capacity(snapshot.waits.len());
        let facts: Vec<Fact> = snapshot.resources.iter().map(Fact::of).collect();
        let mut meetings = Vec::new();
        for wait in &snapshot.waits {
            let at = places.processes.get(wait.process.0);
            let at = at.filter(|&at| states[at as usize] == State::Parked);
            process.push(at.unwrap_or(NONE));
            for arm in &wait.arms {
                let id = arm.resource();
                let place = id.and_then(|id| places.resources.get(id.0)).unwrap_or(NONE);
                resource.push(place);
                let (Some(process), Some(side)) = (at, meeting_side(arm)) else { continue };
                if let Some(Fact::Channel { rendezvous: true, .. }) = facts.get(place as usize) {
                    if meetings.is_empty() {
                        meetings = vec![[[NONE; 2]; 2]; snapshot.resources.len()];
                    }
                    let [first, second] = &mut meetings[place as usize][side];
                    if *first == NONE {
                        *first = process;
                    } else if *second == NONE && *first != process {
                        *second = process;
                    }
                }
            }
        }
        Self { process, resource, facts, meetings }
    }

    /// Whether somebody else waits at the other side of this rendezvous.
    fn meets(&self, resource: u32, process: u32, arm: &Arm) -> bool {
        let (Some(sides), Some(side)) = (self.meetings.get(resource as usize), meeting_side(arm))
        else {
            return false;
        };
        sides[1 - side].iter().any(|&other| other != NONE && other != process)
    }
}

fn meeting_side(arm: &Arm) -> Option<usize> {
    match arm {
        Arm::Recv(_) => Some(0),
        Arm::Send(_) | Arm::Reserve(_) => Some(1),
        _ => None,
    }
}

/// What arms have to know about a resource, in a few bytes: arms look at resources in any order, and a whole
/// `Resource` would be fetched from memory for each.
#[derive(Clone, Copy)]
enum Fact {
    Channel {
        /// A message fits, or would be refused at once.
        send_ready: bool,
        /// A message is there, or none will ever be.
        recv_ready: bool,
        /// Places are kept by permits.
        kept: bool,
        /// Sender and receiver can meet. A permit that is kept has a receiver waiting for it, and that one is not
        /// free to meet anybody else.
        rendezvous: bool,
    },
    Semaphore {
        free: usize,
    },
    Lock {
        free: bool,
    },
    Notify {
        stored: bool,
    },
    Group {
        complete: bool,
    },
    Context {
        done: bool,
    },
}

impl Fact {
    fn of(resource: &Resource) -> Self {
        match &resource.kind {
            Kind::Channel(channel) => Self::Channel {
                send_ready: channel.has_room() || channel.receivers.total == 0,
                recv_ready: channel.queued > 0 || (channel.senders.total == 0 && channel.kept == 0),
                kept: channel.kept > 0,
                rendezvous: channel.capacity == Some(0) && channel.kept == 0,
            },
            Kind::Lock { holders } => Self::Lock { free: holders.total == 0 },
            Kind::Semaphore { free, .. } => Self::Semaphore { free: *free },
            Kind::Notify { stored, .. } => Self::Notify { stored: *stored },
            Kind::Group { members } => Self::Group { complete: members.total == 0 },
            Kind::Context { done, .. } => Self::Context { done: *done },
        }
    }
}

/// What makes an arm go on.
enum Enabled {
    /// Time, or the world outside.
    Now,
    /// The resource itself, as it is.
    Ready { by_meeting: bool },
    /// Somebody unknown.
    Unknown,
    /// This side of the resource.
    By(Side),
    /// Either side of the channel.
    ByEither,
}

/// Whether the resource, as it is, ends this wait.
pub(super) fn is_ready(arm: &Arm, resource: &Resource) -> bool {
    matches!(enabled_by(arm, Some(&Fact::of(resource)), || false), Enabled::Ready { .. })
}

fn enabled_by(arm: &Arm, fact: Option<&Fact>, meets: impl Fn() -> bool) -> Enabled {
    let (ready, otherwise) = match (arm, fact) {
        (Arm::Timer { .. } | Arm::Outside, _) => return Enabled::Now,
        (Arm::Send(_) | Arm::Reserve(_), Some(&Fact::Channel { send_ready, kept, .. })) => {
            // Whoever keeps a place may give it up.
            (send_ready, if kept { Enabled::ByEither } else { Enabled::By(Side::Takers) })
        }
        (Arm::Recv(_), Some(&Fact::Channel { recv_ready, .. })) => {
            (recv_ready, Enabled::By(Side::Givers))
        }
        (Arm::Acquire { permits, .. }, Some(Fact::Semaphore { free })) => {
            (free >= permits, Enabled::By(Side::Givers))
        }
        (Arm::Lock(_), Some(&Fact::Lock { free: ready }))
        | (Arm::Notified(_), Some(&Fact::Notify { stored: ready }))
        | (Arm::All(_), Some(&Fact::Group { complete: ready }))
        | (Arm::Done(_), Some(&Fact::Context { done: ready })) => {
            (ready, Enabled::By(Side::Givers))
        }
        // A foreign future, a resource that is not listed, or one of another kind.
        _ => return Enabled::Unknown,
    };
    if ready {
        Enabled::Ready { by_meeting: false }
    } else if meets() {
        Enabled::Ready { by_meeting: true }
    } else {
        otherwise
    }
}
