//! How a node is: a snapshot of everything that waits, beside what seats and lines have counted.

use std::{collections::BTreeMap, fmt::Write as _, sync::atomic::Ordering, time::Duration};

use towpath::{
    network::Direction,
    observe,
    waitfor::{
        Arm, Channel, Ends, Grade, Kind, Options, Process, ProcessId, Report, ResourceId, Snapshot,
        State as Seen, Wait,
    },
};

use super::{Generation, Node, millis};
use crate::{
    seat::{At, Order, Seat},
    state::{
        Certainty, ChannelState, Doing, LastError, ProcessState, State, Stuck, WaitState, Why,
    },
};

pub(super) fn state(node: &Node) -> State {
    let now = node.now();
    let report = observe::snapshot().analyse(&Options::new());
    let seen = Glance::of(&report, &now);
    let file = &now.file;
    let troubles = node.inner.shared.last_troubles();
    let processes =
        (0..file.processes.len()).map(|index| seen.process(node, &troubles, index)).collect();
    let channels = (0..file.channels.len()).map(|index| seen.channel(index)).collect();
    State {
        network: file.name.text.clone(),
        file: file.path.clone(),
        generation: now.number,
        status: node.status(),
        uptime_ms: node.uptime_ms(),
        read_only: false,
        processes,
        channels,
        stuck: stuck(&report),
    }
}

fn stuck(report: &Report) -> Vec<Stuck> {
    let sets = report.stuck_sets();
    sets.map(|set| Stuck {
        grade: certainty(set.grade()),
        cycle: set.is_cycle(),
        members: set.members().map(|process| process.name.to_string()).collect(),
        words: set.to_string(),
    })
    .collect()
}

fn certainty(grade: Grade) -> Certainty {
    match grade {
        Grade::Proven => Certainty::Proven,
        Grade::Likely => Certainty::Likely,
        _ => Certainty::Suspect,
    }
}

/// A report, with ways to what belongs to one network.
struct Glance<'a> {
    now: &'a Generation,
    report: &'a Report,
    /// Channels of the network, by their place in the file.
    channels: Vec<Option<(ResourceId, &'a Channel, u64)>>,
    /// Processes of the network, by name: those that hold ends of its channels.
    processes: BTreeMap<&'a str, &'a Process>,
    waits: BTreeMap<ProcessId, Vec<&'a Wait>>,
    names: BTreeMap<ResourceId, &'a str>,
    /// Who waits to send and to receive.
    lines: BTreeMap<ResourceId, (usize, usize)>,
}

impl<'a> Glance<'a> {
    fn of(report: &'a Report, now: &'a Generation) -> Self {
        let snapshot: &Snapshot = report.snapshot();
        let prefix = format!("{}/", now.file.name.text);
        let by_name: BTreeMap<&str, _> = now
            .places
            .lines
            .iter()
            .zip(0..)
            .map(|(line, index)| (line.name.as_str(), index))
            .collect();
        let mut channels = vec![None; by_name.len()];
        let mut names = BTreeMap::new();
        let mut holders = Vec::new();
        for resource in &snapshot.resources {
            let inner = resource.name.strip_prefix(&prefix);
            names.insert(resource.id, inner.unwrap_or(&resource.name));
            let index = inner.and_then(|name| by_name.get(name));
            if let (Some(index), Kind::Channel(channel)) = (index, &resource.kind) {
                let index: usize = *index;
                // Two networks of one name may follow each other; what was named later comes later.
                channels[index] = Some((resource.id, channel, millis(resource.unchanged)));
                let ends =
                    |ends: &Ends| ends.holders.iter().map(|it| it.process).collect::<Vec<_>>();
                holders.extend(ends(&channel.senders));
                holders.extend(ends(&channel.receivers));
            }
        }
        holders.sort_unstable();
        let seats: BTreeMap<&str, ()> =
            now.places.seats.iter().map(|seat| (seat.name.as_str(), ())).collect();
        let mut processes = BTreeMap::new();
        for process in &snapshot.processes {
            if seats.contains_key(&*process.name) {
                let holds = holders.binary_search(&process.id).is_ok();
                if holds || !processes.contains_key(&*process.name) {
                    processes.insert(&*process.name, process);
                }
            }
        }
        let mut waits: BTreeMap<_, Vec<&Wait>> = BTreeMap::new();
        let mut lines: BTreeMap<_, (usize, usize)> = BTreeMap::new();
        for wait in &snapshot.waits {
            waits.entry(wait.process).or_default().push(wait);
            for arm in &wait.arms {
                match *arm {
                    Arm::Send(id) | Arm::Reserve(id) => lines.entry(id).or_default().0 += 1,
                    Arm::Recv(id) => lines.entry(id).or_default().1 += 1,
                    _ => {}
                }
            }
        }
        Self { now, report, channels, processes, waits, names, lines }
    }

    fn channel(&self, index: usize) -> ChannelState {
        let declared = &self.now.file.channels[index];
        let line = &self.now.places.lines[index];
        let seen = self.channels[index];
        let (waiting_send, waiting_recv) =
            seen.and_then(|(id, ..)| self.lines.get(&id)).copied().unwrap_or_default();
        let received = line.received.load(Ordering::Relaxed);
        ChannelState {
            name: declared.name.text.clone(),
            kind: declared.kind.as_ref().map(|kind| kind.text.clone()),
            capacity: declared.capacity,
            length: seen.map_or(0, |(_, channel, _)| channel.queued),
            senders: seen.map_or(0, |(_, channel, _)| channel.senders.total),
            receivers: seen.map_or(0, |(_, channel, _)| channel.receivers.total),
            waiting_send,
            waiting_recv,
            // A sender counts when the message may have been received already.
            sent: line.sent().max(received),
            received,
            dropped: line.dropped.load(Ordering::Relaxed),
            unchanged_ms: seen.map_or(0, |(.., unchanged)| unchanged),
        }
    }

    fn process(
        &self,
        node: &Node,
        troubles: &BTreeMap<String, (String, Duration)>,
        index: usize,
    ) -> ProcessState {
        let declared = &self.now.file.processes[index];
        let seat = &self.now.places.seats[index];
        let seen = self.processes.get(seat.name.as_str());
        let waits = seen.and_then(|process| self.waits.get(&process.id));
        let waits: Vec<_> = waits.into_iter().flatten().flat_map(|wait| self.wait(wait)).collect();
        let inputs = self.now.plan.wires[index].iter().filter(|it| it.direction == Direction::In);
        let received = inputs
            .map(|wire| self.now.places.lines[wire.channel].received.load(Ordering::Relaxed))
            .sum();
        let grade = seen.and_then(|process| self.report.grade(process.id));
        let shared = &node.inner.shared;
        let place = declared.name.place;
        ProcessState {
            name: seat.name.clone(),
            component: declared.uses.text.clone(),
            declared: format!("{}:{}:{}", self.now.file.path, place.line, place.column),
            state: doing(seat, seen.copied(), &waits),
            stuck: grade.map(certainty),
            waits,
            starts: seat.starts.load(Ordering::Relaxed),
            received,
            sent: seat.sent.load(Ordering::Relaxed),
            refused: seat.refused.load(Ordering::Relaxed),
            last_error: troubles
                .get(&seat.name)
                .map(|(text, ago)| LastError { text: text.clone(), ago_ms: millis(*ago) }),
            facet: shared.board.get(&seat.name).map(|facet| facet.kind().to_owned()),
        }
    }

    fn wait(&self, wait: &Wait) -> Vec<WaitState> {
        let at = wait.at.as_ref().map(ToString::to_string);
        let state = |what: &str, on: Option<ResourceId>| WaitState {
            what: what.to_owned(),
            on: on.and_then(|id| self.names.get(&id)).map(|&name| name.to_owned()),
            at: at.clone(),
            for_ms: millis(wait.age),
        };
        let arms = wait.arms.iter().map(|arm| {
            let what = match arm {
                Arm::Send(_) => "send",
                Arm::Reserve(_) => "reserve",
                Arm::Recv(_) => "recv",
                Arm::Lock(_) | Arm::Acquire { .. } => "lock",
                Arm::Timer { .. } => "timer",
                Arm::Outside => "outside",
                _ => "other",
            };
            state(what, arm.resource())
        });
        arms.collect()
    }
}

fn doing(seat: &Seat, seen: Option<&Process>, waits: &[WaitState]) -> Doing {
    if seat.version().order() == Order::Pause {
        return Doing::Paused;
    }
    match (seat.at(), seen) {
        (At::Gone, _) => Doing::Ended,
        (At::Left, _) => Doing::Ended,
        (At::Door, _) if seat.starts.load(Ordering::Relaxed) > 0 => Doing::Restarting,
        (_, Some(process)) if process.state == Seen::Parked => {
            let stands = |wait: &WaitState| matches!(&*wait.what, "send" | "reserve" | "lock");
            let waits_only_so = !waits.is_empty() && waits.iter().all(stands);
            if waits_only_so { Doing::Blocked } else { Doing::Waiting }
        }
        _ => Doing::Running,
    }
}

pub(super) fn why(node: &Node, process: &str) -> Why {
    let now = node.now();
    let report = observe::snapshot().analyse(&Options::new());
    let seen = Glance::of(&report, &now);
    let found = seen.processes.get(process);
    let why = found.and_then(|process| report.why(process.id));
    let Some(why) = why else {
        let words = vec![format!("`{process}` is not there now: it has ended, or begins again")];
        return Why { process: process.to_owned(), grade: None, words, chain: Vec::new() };
    };
    Why {
        process: process.to_owned(),
        grade: why.grade().map(certainty),
        words: why.to_string().lines().map(str::to_owned).collect(),
        chain: why.chain().map(|process| process.name.to_string()).collect(),
    }
}

pub(super) fn dump(node: &Node) -> String {
    let state = state(node);
    let mut text = format!(
        "network {} from {}, generation {}, {:?}, up {} ms\n",
        state.network, state.file, state.generation, state.status, state.uptime_ms
    );
    // A string takes everything.
    for process in &state.processes {
        let doing = format!("{:?}", process.state).to_lowercase();
        let _ = write!(text, "  {:<20} {doing:<10} {}", process.name, process.declared);
        if let Some(grade) = process.stuck {
            let _ = write!(text, "  STUCK ({grade:?})");
        }
        let _ = writeln!(text);
        for wait in &process.waits {
            let on = wait.on.as_deref().unwrap_or("-");
            let at = wait.at.as_deref().unwrap_or("?");
            let _ = writeln!(text, "    {} {on} for {} ms at {at}", wait.what, wait.for_ms);
        }
        if let Some(error) = &process.last_error {
            let _ = writeln!(text, "    last error {} ms ago: {}", error.ago_ms, error.text);
        }
    }
    for channel in &state.channels {
        let _ = writeln!(
            text,
            "  channel {:<20} {}/{} sent {} received {} dropped {}",
            channel.name,
            channel.length,
            channel.capacity,
            channel.sent,
            channel.received,
            channel.dropped
        );
    }
    for stuck in &state.stuck {
        let _ = writeln!(text, "{}", stuck.words);
    }
    text
}
