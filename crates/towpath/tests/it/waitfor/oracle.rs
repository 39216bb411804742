//! The fast analysis against an oracle that tries every set of processes.
//!
//! The oracle reads the definition as it stands: a set of parked processes is stuck if none of their arms can be
//! enabled by anybody outside the set. It knows no graph, no order and no fixed point; the greatest such set is the
//! union of all.

use std::time::Duration;

use proptest::prelude::*;
use towpath::waitfor::{
    Arm, Channel, Ends, Grade, Holder, Kind, Known, Location, Options, ProcessId, ResourceId,
    Snapshot, State, Wait,
};

const PROCESSES: u64 = 6;
const RESOURCES: u64 = 5;
const SUSPECT_AFTER: Duration = Duration::from_secs(60);

/// What is believed: more for each next one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Belief {
    /// Only declarations.
    Declared,
    /// Also that ends are where they were last seen.
    Observed,
    /// Also that nobody unknown does anything.
    All,
}

fn is_in(set: u32, process: ProcessId) -> bool {
    process.0 < PROCESSES && set & 1 << process.0 != 0
}

fn state(world: &Snapshot, id: ProcessId) -> Option<State> {
    world.processes.iter().find(|process| process.id == id).map(|process| process.state)
}

/// Whether those who hold `ends` include somebody (or, with `all`, only such) who can do something when `stuck` cannot.
fn can_act(world: &Snapshot, ends: &Ends, all: bool, stuck: u32, belief: Belief) -> bool {
    let mut unknown = ends.unknown() > 0;
    let (mut acting, mut stopped) = (ends.outside > 0, false);
    for holder in &ends.holders {
        match state(world, holder.process) {
            None | Some(State::Ended) => unknown |= ends.total > 0,
            Some(_) => {
                if belief == Belief::Declared && holder.known == Known::Observed {
                    return true;
                }
                let is_stuck = is_in(stuck, holder.process);
                acting |= !is_stuck;
                stopped |= is_stuck;
            }
        }
    }
    let unknown_acts = unknown && belief < Belief::All;
    if all { !stopped && (!unknown || unknown_acts) } else { acting || unknown_acts }
}

fn context_can_end(world: &Snapshot, id: ResourceId, stuck: u32, belief: Belief) -> bool {
    // Contexts have parents with smaller ids here, so this ends.
    let Some(resource) = world.resources.iter().find(|resource| resource.id == id) else {
        return belief < Belief::All;
    };
    match &resource.kind {
        Kind::Context { done, deadline, parent, cancellers } => {
            *done
                || deadline.is_some()
                || can_act(world, cancellers, false, stuck, belief)
                || parent.is_some_and(|parent| context_can_end(world, parent, stuck, belief))
        }
        _ => unreachable!("parents are contexts"),
    }
}

fn enabled(world: &Snapshot, me: ProcessId, arm: &Arm, stuck: u32, belief: Belief) -> bool {
    let unknown = belief < Belief::All;
    let resource = match arm {
        Arm::Timer { .. } | Arm::Outside => return true,
        arm => arm.resource().and_then(|id| world.resources.iter().find(|r| r.id == id)),
    };
    let Some(resource) = resource else { return unknown };
    let meets = |wanted: fn(&Arm) -> bool| {
        let others = world.waits.iter().filter(|wait| wait.process != me);
        let parked = others.filter(|wait| state(world, wait.process) == Some(State::Parked));
        parked.flat_map(|wait| &wait.arms).any(|a| wanted(a) && a.resource() == arm.resource())
    };
    let act = |ends, all| can_act(world, ends, all, stuck, belief);
    match (arm, &resource.kind) {
        (Arm::Send(_) | Arm::Reserve(_), Kind::Channel(c)) => {
            let meeting = c.capacity == Some(0) && c.kept == 0;
            c.has_room()
                || c.receivers.total == 0
                || meeting && meets(|arm| matches!(arm, Arm::Recv(_)))
                || act(&c.receivers, false)
                || c.kept > 0 && act(&c.senders, false)
        }
        (Arm::Recv(_), Kind::Channel(c)) => {
            let meeting = c.capacity == Some(0) && c.kept == 0;
            c.queued > 0
                || c.senders.total == 0 && c.kept == 0
                || meeting && meets(|arm| matches!(arm, Arm::Send(_) | Arm::Reserve(_)))
                || act(&c.senders, false)
        }
        (Arm::Lock(_), Kind::Lock { holders: ends })
        | (Arm::All(_), Kind::Group { members: ends }) => ends.total == 0 || act(ends, true),
        (Arm::Acquire { permits, .. }, Kind::Semaphore { free, holders }) => {
            free >= permits || act(holders, false)
        }
        (Arm::Notified(_), Kind::Notify { stored, notifiers }) => *stored || act(notifiers, false),
        (Arm::Done(id), Kind::Context { .. }) => context_can_end(world, *id, stuck, belief),
        _ => unknown,
    }
}

/// The union of all sets of `candidates` in which nobody is enabled by the rest of the world.
fn greatest_stuck(world: &Snapshot, belief: Belief, candidates: u32) -> u32 {
    let is_stuck = |set: u32, id: ProcessId| {
        let mut waits = world.waits.iter().filter(|wait| wait.process == id).peekable();
        let seen = waits.peek().is_some() || belief == Belief::All;
        let arms = waits.flat_map(|wait| &wait.arms);
        state(world, id) == Some(State::Parked)
            && seen
            && !arms.into_iter().any(|arm| enabled(world, id, arm, set, belief))
    };
    let sets = (0..1_u32 << PROCESSES).filter(|set| set & !candidates == 0);
    let stuck = sets.filter(|&set| {
        (0..PROCESSES).map(ProcessId).all(|id| !is_in(set, id) || is_stuck(set, id))
    });
    stuck.fold(0, |all, set| all | set)
}

/// The grade of each process, by definition.
fn oracle(world: &Snapshot) -> Vec<Option<Grade>> {
    let all = (1 << PROCESSES) - 1;
    let proven = greatest_stuck(world, Belief::Declared, all);
    let likely = greatest_stuck(world, Belief::Observed, all);
    let old = (0..PROCESSES).filter(|&id| {
        let mut waits = world.waits.iter().filter(|wait| wait.process.0 == id).peekable();
        waits.peek().is_some() && waits.all(|wait| wait.age >= SUSPECT_AFTER)
    });
    let old = old.fold(0, |old, id| old | 1 << id);
    let suspect = greatest_stuck(world, Belief::All, likely | old);
    let grade = |id| match ProcessId(id) {
        id if is_in(proven, id) => Some(Grade::Proven),
        id if is_in(likely, id) => Some(Grade::Likely),
        id if is_in(suspect, id) => Some(Grade::Suspect),
        _ => None,
    };
    (0..PROCESSES).map(grade).collect()
}

fn ends() -> impl Strategy<Value = Ends> {
    // One id more than there are processes: somebody who is not listed.
    let holder = (0..=PROCESSES, prop::bool::weighted(0.7)).prop_map(|(id, declared)| Holder {
        process: ProcessId(id),
        ends: 1,
        known: if declared { Known::Declared } else { Known::Observed },
    });
    let unknown = prop_oneof![8 => Just(0_usize), 1 => Just(1)];
    let outside = prop_oneof![12 => Just(0_usize), 1 => Just(1)];
    (prop::collection::vec(holder, 0..3), unknown, outside).prop_map(
        |(holders, unknown, outside)| Ends {
            total: holders.len() + unknown + outside,
            holders,
            outside,
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    let few = || prop_oneof![6 => Just(0_usize), 1 => Just(1)];
    let channel = (prop::option::weighted(0.9, 0..2_usize), few(), few(), ends(), ends());
    let channel = channel.prop_map(|(capacity, queued, kept, senders, receivers)| {
        let queued = match capacity {
            Some(capacity) => capacity.saturating_sub(queued), // mostly full
            None => queued,
        };
        Kind::Channel(Channel {
            capacity,
            queued,
            kept,
            senders,
            receivers,
            sent: None,
            received: None,
        })
    });
    prop_oneof![
        8 => channel,
        2 => ends().prop_map(|holders| Kind::Lock { holders }),
        1 => (0..2_usize, ends()).prop_map(|(free, holders)| Kind::Semaphore { free, holders }),
        1 => (prop::bool::weighted(0.1), ends())
            .prop_map(|(stored, notifiers)| Kind::Notify { stored, notifiers }),
        2 => ends().prop_map(|members| Kind::Group { members }),
        2 => (prop::bool::weighted(0.1), prop::bool::weighted(0.1), ends()).prop_map(
            |(done, deadline, cancellers)| Kind::Context {
                done,
                deadline: deadline.then_some(Duration::ZERO),
                parent: None,
                cancellers,
            }
        ),
    ]
}

/// What an arm for this kind of resource looks like; the second for channels, which have two.
fn arm_for(world: &Snapshot, resource: u64, other_side: bool) -> Arm {
    let id = ResourceId(resource);
    match world.resources.get(resource as usize).map(|resource| &resource.kind) {
        Some(Kind::Channel(_)) if other_side => Arm::Recv(id),
        Some(Kind::Channel(_)) => Arm::Send(id),
        Some(Kind::Lock { .. }) => Arm::Lock(id),
        Some(Kind::Semaphore { .. }) => Arm::Acquire { semaphore: id, permits: 1 },
        Some(Kind::Notify { .. }) => Arm::Notified(id),
        Some(Kind::Group { .. }) => Arm::All(id),
        _ => Arm::Done(id),
    }
}

fn worlds() -> impl Strategy<Value = Snapshot> {
    let state = prop_oneof![
        12 => Just(State::Parked),
        1 => Just(State::Running),
        1 => Just(State::Ended)
    ];
    let arm = (0..100_u8, 0..RESOURCES, any::<bool>());
    let wait = (0..PROCESSES, prop::bool::weighted(0.7), prop::collection::vec(arm, 0..4));
    (
        prop::collection::vec(state, PROCESSES as usize),
        prop::collection::vec(
            (kind(), prop::option::weighted(0.5, 0..RESOURCES)),
            RESOURCES as usize,
        ),
        prop::collection::vec(wait, 4..9),
    )
        .prop_map(|(states, kinds, waits)| {
            let mut world = Snapshot::new();
            for (id, state) in states.into_iter().enumerate() {
                world.process(id as u64, format!("p{id}"), state);
            }
            for (id, (mut kind, above)) in kinds.into_iter().enumerate() {
                if let (Kind::Context { parent, .. }, Some(above)) = (&mut kind, above) {
                    let earlier = world.resources.get(above as usize);
                    let context = earlier.filter(|r| matches!(r.kind, Kind::Context { .. }));
                    *parent = context.map(|context| context.id);
                }
                world.resource(id as u64, format!("r{id}"), kind);
            }
            for (process, old, arms) in waits {
                let age = if old { SUSPECT_AFTER } else { Duration::from_secs(1) };
                let arms = arms.into_iter().map(|(chance, resource, side)| match chance {
                    0 => Arm::Timer { remaining: Duration::ZERO },
                    1 => Arm::Outside,
                    2..5 => Arm::Foreign,
                    5 => Arm::Recv(ResourceId(RESOURCES)), // not listed
                    6 => Arm::Lock(ResourceId(resource)),  // perhaps something else
                    _ => arm_for(&world, resource, side),
                });
                let arms: Vec<_> = arms.collect();
                world.waits.push(Wait {
                    process: ProcessId(process),
                    age,
                    at: Some(Location::new("w.rs", process as u32, 1)),
                    arms,
                });
            }
            world
        })
}

fn grades(world: Snapshot) -> Vec<Option<Grade>> {
    let report = world.analyse(&Options::new().suspect_after(SUSPECT_AFTER));
    (0..PROCESSES).map(|id| report.grade(id)).collect()
}

/// Nobody is more surely stuck after than before.
fn no_surer(before: &[Option<Grade>], after: &[Option<Grade>]) {
    assert!(
        before.iter().zip(after).all(|(before, after)| after <= before),
        "{before:?} {after:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_fixed_point_is_the_greatest_stuck_set(world in worlds()) {
        prop_assert_eq!(grades(world.clone()), oracle(&world));
    }

    #[test]
    fn an_unknown_holder_makes_nobody_surer_stuck(world in worlds(), at in 0..RESOURCES as usize) {
        let before = grades(world.clone());
        let mut more = world;
        let ends = match &mut more.resources[at].kind {
            Kind::Channel(channel) => {
                // A side that is gone tells the others so; then a new end is no help but a loss.
                if channel.senders.total == 0 || channel.receivers.total == 0 {
                    return Ok(());
                }
                channel.senders.total += 1;
                &mut channel.receivers
            }
            Kind::Lock { .. } | Kind::Group { .. } => return Ok(()), // one more to wait for
            Kind::Semaphore { holders: ends, .. }
            | Kind::Notify { notifiers: ends, .. }
            | Kind::Context { cancellers: ends, .. } => ends,
            _ => unreachable!("no other kinds are made here"),
        };
        ends.total += 1;
        no_surer(&before, &grades(more));
    }

    #[test]
    fn a_message_makes_no_receiver_surer_stuck(world in worlds(), at in 0..RESOURCES as usize) {
        let before = grades(world.clone());
        let mut more = world;
        let Kind::Channel(channel) = &mut more.resources[at].kind else { return Ok(()) };
        if channel.capacity == Some(0) {
            return Ok(()); // it holds none
        }
        // The message finds a place that is new, so no sender loses one.
        channel.queued += 1;
        channel.capacity = channel.capacity.map(|capacity| capacity + 1);
        no_surer(&before, &grades(more));
    }

    #[test]
    fn waking_somebody_makes_nobody_surer_stuck(world in worlds(), at in 0..PROCESSES as usize) {
        let mut world = world;
        for resource in &mut world.resources {
            // Of two who meet, the other would lose its partner's wait, and these worlds do not see to it that who
            // waits on a channel also holds an end of it.
            if let Kind::Channel(channel) = &mut resource.kind {
                channel.capacity = channel.capacity.map(|capacity| capacity.max(1));
                channel.queued = channel.queued.max(1);
            }
        }
        let before = grades(world.clone());
        let mut more = world;
        if more.processes[at].state == State::Parked {
            more.processes[at].state = State::Running;
        }
        no_surer(&before, &grades(more));
    }

    #[test]
    fn one_more_arm_makes_nobody_surer_stuck(world in worlds(), at in any::<prop::sample::Index>()) {
        let before = grades(world.clone());
        let mut more = world;
        let wait = at.index(more.waits.len());
        more.waits[wait].arms.push(Arm::Foreign);
        no_surer(&before, &grades(more));
    }

    #[test]
    fn in_a_closed_world_at_rest_everybody_is_stuck(world in worlds()) {
        let mut world = world;
        for process in &mut world.processes {
            if process.state == State::Running {
                process.state = State::Parked;
            }
        }
        let anybody_lives = (0..PROCESSES).map(ProcessId).any(|id| {
            let waits = world.waits.iter().filter(|wait| wait.process == id);
            let mut arms = waits.flat_map(|wait| &wait.arms);
            let all = u32::MAX >> 1;
            state(&world, id) == Some(State::Parked)
                && arms.any(|arm| enabled(&world, id, arm, all, Belief::All))
        });
        let parked = world.processes.iter().filter(|process| process.state == State::Parked).count();
        let report = world.analyse(&Options::closed_world());
        if !anybody_lives {
            prop_assert_eq!(report.count(Grade::Proven), parked);
        }
    }

    #[test]
    fn every_stuck_process_is_in_one_set(world in worlds()) {
        let report = world.analyse(&Options::new().suspect_after(SUSPECT_AFTER));
        let mut listed: Vec<_> = Vec::new();
        let mut last = Grade::Proven;
        for set in report.stuck_sets() {
            prop_assert!(set.grade() <= last, "the surest come first");
            last = set.grade();
            for member in set.members() {
                prop_assert_eq!(report.grade(member.id), Some(set.grade()));
            }
            prop_assert!(set.is_cycle() || set.members().len() == 1);
            listed.extend(set.members().chain(set.followers()).map(|process| process.id.0));
        }
        listed.sort_unstable();
        let stuck: Vec<u64> = (0..PROCESSES).filter(|&id| report.grade(id).is_some()).collect();
        prop_assert_eq!(listed, stuck);
        // Whatever was found can be said and drawn.
        let said = format!("{report:#}\n{}\n{}", report.to_dot(), report.to_mermaid());
        prop_assert!(said.lines().count() > 3, "{}", said);
        for id in 0..PROCESSES {
            let why = report.why(id).expect("it is listed");
            prop_assert_eq!(why.grade(), report.grade(id));
            let said = format!("{why:#}");
            prop_assert!(said.starts_with(&format!("p{id} is ")), "{}", said);
        }
    }
}
