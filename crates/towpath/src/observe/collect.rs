//! Taking a snapshot: two readings of everything, and what they agree on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    looks,
    registry::{self, Living, Named, Shown, Wakers, resource_id},
};
use crate::{
    process,
    raw::{gate::Side, seen::Parked},
    waitfor::{
        Arm, Channel, Ends, Holder, Kind, Known, ProcessId, Resource, ResourceId, Snapshot, State,
        Wait,
    },
};

/// An operation that waits on a channel.
type WaitsOn = (ResourceId, Parked);

/// What can be seen now; the [module](crate::observe) says what that is, what it costs, and why it can be believed.
///
/// Takes each named channel's lock for a moment, twice. Time and memory grow with the named channels, the processes of
/// scopes and their waits.
pub fn snapshot() -> Snapshot {
    looks::take();
    let channels = registry::channels();
    let before = living();
    let first = read(&channels);
    let second = read(&channels);
    let after = living();

    let mut stayed = Vec::new();
    for ((channel, _), (mut first, second)) in channels.iter().zip(first.into_iter().zip(second)) {
        first.sort_unstable_by_key(|parked| parked.place);
        let both = second.into_iter().filter(|parked| {
            first.binary_search_by_key(&parked.place, |other| other.place).is_ok()
        });
        stayed.extend(both.map(|parked| (resource_id(channel), parked)));
    }
    // The waits of one process beside each other, and in them the arms of one select.
    stayed.sort_by_key(|(_, parked)| (parked.process, parked.waiter));

    let mut snapshot = Snapshot::new();
    for living in after.values() {
        let waits = of_process(&stayed, living.id);
        // Whoever has a turn, or has just begun, does not wait.
        let rests = !living.running && before.get(&living.id).is_some_and(|before| !before.running);
        let parked = rests && !waits.is_empty();
        let state = if parked { State::Parked } else { State::Running };
        snapshot.process(living.id, living.name.as_str(), state);
        if parked {
            snapshot.waits.push(wait(living, waits));
        }
    }
    let observed = observed(&stayed, &after);
    let resources =
        channels.iter().map(|(channel, named)| resource(channel, named, &observed, &after));
    snapshot.resources.extend(resources);
    snapshot
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
fn read(channels: &[(Shown, Named)]) -> Vec<Vec<Parked>> {
    let look = |(channel, _): &(Shown, Named)| {
        let mut seen = Vec::new();
        channel.look(&mut seen);
        seen
    };
    channels.iter().map(look).collect()
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
    let arm = |(channel, parked): &WaitsOn| match parked.side {
        Side::Recv => Arm::Recv(*channel),
        Side::Send => Arm::Send(*channel),
    };
    let mut arms: Vec<_> = waits.iter().map(arm).collect();
    let selects = waits.chunk_by(|(_, a), (_, b)| a.waiter == b.waiter);
    let (mut places, mut hidden) = (0, false);
    for select in selects {
        places += 1;
        hidden |= select.iter().any(|(_, parked)| parked.arms as usize != select.len());
    }
    // More who can wake it than waits that were seen: a timer of the runtime, a foreign future, a channel without a
    // name. Fewer: it is being woken.
    let known = match living.wakers {
        Wakers::OneThread => true,
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

/// Whoever waits on a channel holds an end of it.
fn observed(stayed: &[WaitsOn], living: &BTreeMap<u64, Living>) -> Observed {
    let ids: BTreeMap<_, _> = living.keys().map(|id| (process::short(*id), *id)).collect();
    let mut observed = Observed::new();
    for (channel, parked) in stayed {
        if let Some(id) = ids.get(&parked.process) {
            observed.entry((*channel, parked.side)).or_default().insert(*id);
        }
    }
    observed
}

fn resource(
    channel: &Shown,
    named: &Named,
    observed: &Observed,
    living: &BTreeMap<u64, Living>,
) -> Resource {
    let filling = channel.filling();
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
            senders: ends(Side::Send, filling.senders),
            receivers: ends(Side::Recv, filling.receivers),
        }),
    }
}
