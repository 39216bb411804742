//! Taking a snapshot: two readings of everything, and what they agree on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    looks,
    plate::{Plate, Seen},
    registry::{self, Living, Named, Shown, Wakers, resource_id},
};
use crate::{
    probe::Thing,
    process,
    raw::{
        gate::Side,
        seen::{Filling, Parked},
    },
    waitfor::{
        Arm, Channel, Ends, Holder, Kind, Known, ProcessId, Resource, ResourceId, Snapshot, State,
        Wait,
    },
};

/// What an operation waits for, and who waits.
type WaitsOn = (Arm, Parked);

/// What can be seen now; the [module](crate::observe) says what that is, what it costs, and why it can be believed.
///
/// Takes each named channel's lock for a moment, twice. Time and memory grow with the named channels, the processes of
/// scopes and their waits.
pub fn snapshot() -> Snapshot {
    let look = looks::take();
    let channels = registry::channels();
    let locks = registry::locks();
    let before = living();
    let (first, locks_first) = (read(&channels), read_locks(&locks));
    let (second, locks_second) = (read(&channels), read_locks(&locks));
    let after = living();

    let mut stayed = Vec::new();
    for ((channel, _), (first, second)) in channels.iter().zip(first.into_iter().zip(second)) {
        let id = resource_id(channel);
        let second = second.into_iter().map(|(side, parked)| match side {
            Side::Recv => (Arm::Recv(id), parked),
            Side::Send => (Arm::Send(id), parked),
        });
        stay(&mut stayed, first.iter().map(|(_, parked)| parked), second);
    }
    for (lock, (first, second)) in locks.iter().zip(locks_first.iter().zip(&locks_second)) {
        let line = second.line.iter().map(|it| (it.arm(lock.id(), second.thing), it.parked));
        stay(&mut stayed, first.line.iter().map(|it| &it.parked), line);
    }
    // The waits of one process beside each other, and in them the arms of one select.
    stayed.sort_by_key(|(_, parked)| (parked.process, parked.waiter));

    let mut snapshot = Snapshot::new();
    let mut patient = BTreeSet::new();
    for living in after.values() {
        let waits = of_process(&stayed, living.id);
        // Whoever has a turn, or has just begun, does not wait.
        let rests = !living.running && before.get(&living.id).is_some_and(|before| !before.running);
        let parked = rests && !waits.is_empty();
        let state = if parked { State::Parked } else { State::Running };
        snapshot.process(living.id, living.name.as_str(), state);
        if parked {
            let wait = wait(living, waits);
            if let [Arm::Lock(_) | Arm::Acquire { .. }] = wait.arms[..] {
                patient.insert(process::short(living.id));
            }
            snapshot.waits.push(wait);
        }
    }
    let overtaking = locks_second.iter().flat_map(|lock| may_overtake(lock, &patient)).collect();
    add_overtaking(&mut snapshot, &overtaking);
    let ids = after.keys().map(|id| (process::short(*id), *id)).collect();
    let observed = observed(&stayed, &ids);
    let fillings: Vec<_> = channels.iter().map(|(channel, _)| channel.filling()).collect();
    let filled = channels.iter().map(|(channel, _)| resource_id(channel));
    let changes = locks.iter().zip(&locks_second).map(|(lock, seen)| (lock.id(), seen.changes));
    let since = registry::since(look, filled.zip(fillings.iter().copied()), changes);
    let resources = channels.iter().zip(fillings);
    let resources =
        resources.map(|(channel, filling)| resource(channel, filling, &observed, &after));
    snapshot.resources.extend(resources);
    let locks = locks.iter().zip(locks_second);
    snapshot.resources.extend(locks.map(|(lock, seen)| lock_resource(lock, seen, &ids)));
    for resource in &mut snapshot.resources {
        let since = since.get(&resource.id);
        resource.unchanged = since.map_or(Duration::ZERO, |since| looks::age(*since));
    }
    snapshot
}

/// Adds those of the second reading whom the first has found in the same place.
fn stay<'a>(
    stayed: &mut Vec<WaitsOn>,
    first: impl Iterator<Item = &'a Parked>,
    second: impl Iterator<Item = WaitsOn>,
) {
    let mut first: Vec<_> = first.map(|parked| parked.place).collect();
    first.sort_unstable();
    stayed.extend(second.filter(|(_, parked)| first.binary_search(&parked.place).is_ok()));
}

/// The processes of all scopes, by number.
fn living() -> BTreeMap<u64, Living> {
    let mut all = BTreeMap::new();
    for scope in registry::scopes() {
        scope.visit(&mut |living| drop(all.insert(living.id, living)));
    }
    all
}

/// Who stands in the lines of each channel.
fn read(channels: &[(Shown, Named)]) -> Vec<Vec<(Side, Parked)>> {
    let look = |(channel, _): &(Shown, Named)| {
        let mut seen = Vec::new();
        channel.look(&mut seen);
        seen
    };
    channels.iter().map(look).collect()
}

fn read_locks(locks: &[Arc<Plate>]) -> Vec<Seen> {
    locks.iter().map(|lock| lock.look()).collect()
}

/// The waits of process `id`, of `stayed`, which is sorted by process.
fn of_process(stayed: &[WaitsOn], id: u64) -> &[WaitsOn] {
    let short = process::short(id);
    let start = stayed.partition_point(|(_, parked)| parked.process < short);
    let len = stayed[start..].partition_point(|(_, parked)| parked.process == short);
    &stayed[start..start + len]
}

/// What a process waits for: any of its waits would bring it on, and whatever else might.
fn wait(living: &Living, waits: &[WaitsOn]) -> Wait {
    let mut arms: Vec<_> = waits.iter().map(|(arm, _)| *arm).collect();
    let selects = waits.chunk_by(|(_, a), (_, b)| a.waiter == b.waiter);
    let (mut places, mut hidden) = (0, false);
    for select in selects {
        places += 1;
        hidden |= select.iter().any(|(_, parked)| parked.arms as usize != select.len());
    }
    // More who can wake it than waits that were seen: a timer of the runtime, a foreign future, a channel without a
    // name. Fewer: it is being woken.
    let known = match living.wakers {
        // It may also wait for a future, of which nobody knows who wakes it.
        Wakers::OneThread => waits.iter().all(|(_, parked)| parked.thread),
        Wakers::Counted(wakers) => wakers == places,
        Wakers::Unknown => false,
    };
    if hidden || !known {
        arms.push(Arm::Foreign);
    }
    let age = waits.iter().map(|(_, parked)| looks::age(parked.since)).min();
    Wait {
        process: ProcessId(living.id),
        age: age.unwrap_or(Duration::ZERO),
        at: waits.first().map(|(_, parked)| parked.at.into()),
        arms,
    }
}

/// Who was seen at which side of which channel.
type Observed = BTreeMap<(ResourceId, Side), BTreeSet<u64>>;

/// Numbers of living processes, by what waiters note of them.
type Numbers = BTreeMap<u32, u64>;

/// Whoever waits on a channel holds an end of it.
fn observed(stayed: &[WaitsOn], ids: &Numbers) -> Observed {
    let mut observed = Observed::new();
    for (arm, parked) in stayed {
        let end = match *arm {
            Arm::Recv(channel) => (channel, Side::Recv),
            Arm::Send(channel) => (channel, Side::Send),
            _ => continue,
        };
        if let Some(id) = ids.get(&parked.process) {
            observed.entry(end).or_default().insert(*id);
        }
    }
    observed
}

/// Those, as waiters note it, who would have their turn if somebody before them left the line of this lock, which somebody
/// might: one who waits for nothing else (`patient`) leaves only with what it has waited for.
fn may_overtake(lock: &Seen, patient: &BTreeSet<u32>) -> Vec<u32> {
    let wants_of_others = match lock.thing {
        // While somebody writes, nobody's leaving makes room.
        Thing::RwLock => lock.free > 0,
        Thing::Semaphore => true,
        _ => false,
    };
    if !wants_of_others {
        return Vec::new();
    }
    let leaves = |parked: &Parked| !patient.contains(&parked.process);
    let first = lock.line.iter().position(|standing| leaves(&standing.parked));
    let behind = lock.line.iter().skip(first.map_or(usize::MAX, |first| first + 1));
    // A writer needs everybody to be gone who holds the lock; for it no place in line is better than another.
    behind
        .filter(|standing| lock.thing == Thing::Semaphore || standing.reads(lock.made))
        .map(|standing| standing.parked.process)
        .collect()
}

fn add_overtaking(snapshot: &mut Snapshot, overtaking: &BTreeSet<u32>) {
    for wait in &mut snapshot.waits {
        if overtaking.contains(&process::short(wait.process.0))
            && !wait.arms.contains(&Arm::Foreign)
        {
            wait.arms.push(Arm::Foreign);
        }
    }
}

fn resource(
    (channel, named): &(Shown, Named),
    filling: Filling,
    observed: &Observed,
    living: &BTreeMap<u64, Living>,
) -> Resource {
    let id = resource_id(channel);
    let ends = |side: Side, total: usize| {
        let hold = |process: u64, known| Holder { process: ProcessId(process), ends: 1, known };
        let lent = named.lent.iter().filter(|lent| lent.side == side).map(|lent| lent.process);
        let lent: BTreeSet<_> = lent.filter(|process| living.contains_key(process)).collect();
        let seen = observed.get(&(id, side)).into_iter().flatten();
        let seen = seen.filter(|process| !lent.contains(process));
        let declared = lent.iter().map(|process| hold(*process, Known::Declared));
        let holders: Vec<_> =
            declared.chain(seen.map(|process| hold(*process, Known::Observed))).collect();
        Ends { total: total.max(holders.len()), holders, outside: 0 }
    };
    Resource {
        id,
        name: named.name.as_str().into(),
        unchanged: Duration::ZERO,
        kind: Kind::Channel(Channel {
            capacity: filling.capacity,
            queued: filling.queued,
            kept: 0,
            sent: Some(filling.totals.0),
            received: Some(filling.totals.1),
            senders: ends(Side::Send, filling.senders),
            receivers: ends(Side::Recv, filling.receivers),
        }),
    }
}

fn lock_resource(lock: &Plate, seen: Seen, ids: &Numbers) -> Resource {
    let known = seen.holders.iter().filter(|_| !seen.loose).filter_map(|it| ids.get(it));
    let holders: Vec<_> = known
        .map(|process| Holder { process: ProcessId(*process), ends: 1, known: Known::Observed })
        .collect();
    let ends = Ends { total: seen.holders.len(), holders, outside: 0 };
    let nobody_known = |total| Ends::gone().and_unknown(total);
    let kind = match seen.thing {
        Thing::Mutex | Thing::RwLock => Kind::Lock { holders: ends },
        Thing::Semaphore => {
            // Whoever adds permits is no holder, and not known.
            let others = usize::from(seen.loose || seen.made == 0);
            // Those that are there are kept for the first in line.
            let free = if seen.line.is_empty() { seen.free } else { 0 };
            Kind::Semaphore { free, holders: ends.and_unknown(others) }
        }
        Thing::Notify => Kind::Notify { stored: seen.free > 0, notifiers: nobody_known(1) },
        // Those who are still missing; of a wait group at least one, if somebody waits.
        Thing::Barrier => {
            Kind::Group { members: nobody_known(seen.made.saturating_sub(seen.line.len())) }
        }
        Thing::WaitGroup | Thing::Channel => {
            Kind::Group { members: nobody_known(usize::from(!seen.line.is_empty())) }
        }
    };
    Resource { id: lock.id(), name: seen.name.as_str().into(), unchanged: Duration::ZERO, kind }
}
