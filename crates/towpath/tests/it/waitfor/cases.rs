//! Single facts of the definition, each as a small world.

use std::time::Duration;

use towpath::waitfor::{
    Arm, Channel, Ends,
    Grade::{self, Likely, Proven, Suspect},
    Options, Snapshot, State,
};

use super::{check, check_with, world};

const MINUTE: Duration = Duration::from_secs(60);

/// Exactly these are stuck; suspicions begin after a minute.
fn stuck(text: &str, expected: &[(&str, Grade)]) {
    let snapshot = world::parse(text);
    let names: Vec<_> = snapshot.processes.iter().map(|p| (p.id, p.name.clone())).collect();
    let report = snapshot.analyse(&Options::new().suspect_after(MINUTE));
    let found = names.iter().filter_map(|(id, name)| Some((&**name, report.grade(*id)?)));
    assert_eq!(found.collect::<Vec<_>>(), expected, "\nof the world:\n{text}");
}

#[test]
fn two_who_wait_for_each_other() {
    check(
        "dispatcher: send paid for 3s
         journal: recv acks
         chan paid 0/0: dispatcher -> journal
         chan acks 0/8: dispatcher -> journal",
        "2 of 2 processes are stuck: 2 PROVEN
         PROVEN: dispatcher and journal wait for each other
           dispatcher waits to send on `paid` (capacity 0) at w.rs:1:5 for 3.0 s; only journal can receive
           journal waits to receive on `acks` (empty) at w.rs:2:5 for 1.0 s; only dispatcher can send",
    );
}

#[test]
fn a_select_has_a_line_for_each_arm() {
    check(
        "a: recv x | send y | done c for 90s
         b: send z
         chan x 0/4: b -> a
         chan y 2/2: a -> b
         chan z 1/1: b -> a
         ctx c: b",
        "2 of 2 processes are stuck: 2 PROVEN
         PROVEN: a and b wait for each other
           a waits at w.rs:1:5 for 1 min 30 s
             either to receive on `x` (empty); only b can send
             or to send on `y` (full, capacity 2); only b can receive
             or for the end of `c`; only b can end it
           b waits to send on `z` (full, capacity 1) at w.rs:2:5 for 1.0 s; only a can receive",
    );
}

#[test]
fn those_behind_a_set_are_named_after_it() {
    check(
        "a: lock m
         b: lock n
         c: recv x
         d: recv y
         e: runs
         lock m: b
         lock n: a
         chan x 0/1: a? -> c
         chan y 0/1: c -> d",
        "4 of 5 processes are stuck: 2 PROVEN and 2 LIKELY
         PROVEN: a and b wait for each other
           a waits for the lock `m` at w.rs:1:5 for 1.0 s; held by b
           b waits for the lock `n` at w.rs:2:5 for 1.0 s; held by a
           behind them: c (LIKELY) and d (LIKELY)",
    );
}

#[test]
fn long_lists_are_cut_short_unless_all_is_asked_for() {
    let mut ring = String::new();
    for (at, next) in (0..20).map(|at| (at, (at + 1) % 20)) {
        ring += &format!("p{at}: recv c{at}\n chan c{at} 0/1: p{next} -> p{at}\n");
    }
    let report = world::parse(&ring).analyse(&Options::new());
    assert_eq!(format!("{report:#}").lines().count(), 22);
    let short = report.to_string();
    assert_eq!(short.lines().count(), 15, "{short}");
    assert!(short.contains("PROVEN: p0, p1, p2 and 17 more wait for each other"), "{short}");
    assert!(short.ends_with("  and 8 more\n"), "{short}");
}

#[test]
fn a_ring_is_listed_along_the_ring() {
    let report = world::parse(
        "a: recv x
         b: recv y
         c: recv z
         chan x 0/1: c -> a
         chan y 0/1: a -> b
         chan z 0/1: b -> c",
    )
    .analyse(&Options::new());
    let set = report.stuck_sets().next().unwrap();
    let names: Vec<_> = set.members().map(|process| &*process.name).collect();
    assert_eq!(names, ["a", "c", "b"]);
}

#[test]
fn why_follows_the_chain_to_its_end() {
    let report = world::parse(
        "c: recv y
         a: recv x
         b: recv x
         d: recv z
         e: timer 3s | recv w
         f: over
         chan x 0/1: a b -> a b
         chan y 0/1: a -> c
         chan z 0/1: e -> d
         chan w 0/1: d -> e",
    )
    .analyse(&Options::new());
    let why = |name| report.why(world::process_id(name)).unwrap().to_string();
    let expected = "c is stuck, PROVEN
          c waits to receive on `y` (empty) at w.rs:1:5 for 1.0 s; only a can send
          a waits to receive on `x` (empty) at w.rs:2:5 for 1.0 s; only itself and b can send
          b waits to receive on `x` (empty) at w.rs:3:5 for 1.0 s; only a and itself can send
        d is not stuck
          d waits to receive on `z` (empty) at w.rs:4:5 for 1.0 s; only e can send
          e waits at w.rs:5:5 for 1.0 s
            either for a timer (3.0 s to go)
            or to receive on `w` (empty); only d can send
        f is over
          f is over";
    assert_eq!([why("c"), why("d"), why("f")].concat(), super::trim(expected));
    assert!(report.why(77).is_none());
}

#[test]
fn who_runs_or_waits_for_time_or_the_world_outside_is_alive() {
    stuck("a: runs", &[]);
    stuck("a: over", &[]);
    stuck("a: timer 0s", &[]);
    stuck("a: outside for 9h", &[]);
    stuck("a: recv x for 9h\n chan x 0/1: * -> a", &[]);
}

#[test]
fn who_waits_for_nothing_is_stuck() {
    stuck("a: nothing", &[("a", Proven)]);
    check(
        "a: nothing",
        "1 of 1 processes is stuck: 1 PROVEN
         PROVEN: a waits for what nobody can bring
           a waits for nothing, and so for ever, at w.rs:1:5 for 1.0 s",
    );
}

#[test]
fn a_resource_that_is_as_wanted_ends_the_wait() {
    stuck("a: recv x\n chan x 1/4: - -> a", &[]);
    stuck("a: recv x\n chan x 0/4: - -> a", &[]); // closed
    stuck("a: send x\n chan x 1/4: a -> a", &[]);
    stuck("a: send x\n chan x 9/inf: a -> a", &[]);
    stuck("a: send x\n chan x 4/4: a -> -", &[]); // closed
    stuck("a: reserve x\n chan x 3/4: a -> a", &[]);
    stuck("a: lock m\n lock m: -", &[]);
    stuck("a: permits s 2\n sem s 2: -", &[]);
    stuck("a: notified n\n notify n stored: -", &[]);
    stuck("a: all g\n group g: -", &[]);
    stuck("a: done c\n ctx c done: -", &[]);
    stuck("a: done c\n ctx c in 3s: -", &[]);
}

#[test]
fn a_resource_that_is_not_and_that_only_the_waiter_holds_does_not() {
    stuck("a: recv x\n chan x 0/4: a -> a", &[("a", Proven)]);
    stuck("a: send x\n chan x 4/4: a -> a", &[("a", Proven)]);
    stuck("a: reserve x\n chan x 3+1/4: a -> a", &[("a", Proven)]);
    stuck("a: send x | recv x\n chan x 0/0: a -> a", &[("a", Proven)]);
    stuck("a: lock m\n lock m: a", &[("a", Proven)]);
    stuck("a: permits s 2\n sem s 1: a", &[("a", Proven)]);
    stuck("a: permits s 2\n sem s 1: -", &[("a", Proven)]);
    stuck("a: notified n\n notify n: a", &[("a", Proven)]);
    stuck("a: notified n\n notify n: -", &[("a", Proven)]);
    stuck("a: all g\n group g: a", &[("a", Proven)]);
    stuck("a: done c\n ctx c: -", &[("a", Proven)]);
    check(
        "a: lock m | notified n | permits s 2\n lock m: a\n notify n: -\n sem s 1: a",
        "1 of 1 processes is stuck: 1 PROVEN
         PROVEN: a waits for itself
           a waits at w.rs:1:5 for 1.0 s
             either for the lock `m`; held by itself
             or to be notified by `n`; nobody can notify
             or for 2 permits of `s` (1 free); only itself can give permits back",
    );
}

#[test]
fn any_live_arm_is_enough() {
    stuck("a: recv x | recv y\n b: runs\n chan x 0/1: a -> a\n chan y 0/1: b -> a", &[]);
    stuck("a: recv x\n a: recv y\n b: runs\n chan x 0/1: a -> a\n chan y 0/1: b -> a", &[]);
}

#[test]
fn a_channel_lives_by_any_holder_and_a_lock_only_by_all() {
    let rest = "b: runs\n c: recv x\n chan x 0/1: c -> c\n";
    stuck(&format!("a: recv y\n {rest} chan y 0/1: b c -> a"), &[("c", Proven)]);
    stuck(&format!("a: lock m\n {rest} lock m: b"), &[("c", Proven)]);
    stuck(&format!("a: lock m\n {rest} lock m: b c"), &[("a", Proven), ("c", Proven)]);
    stuck(&format!("a: lock m\n {rest} lock m: ? c"), &[("a", Proven), ("c", Proven)]);
    stuck(&format!("a: all g\n {rest} group g: b c"), &[("a", Proven), ("c", Proven)]);
    stuck(&format!("a: permits s 1\n {rest} sem s 0: b c"), &[("c", Proven)]);
}

#[test]
fn a_place_that_is_kept_may_be_given_up_by_any_sender() {
    stuck("a: send x\n b: runs\n chan x 1+1/2: a b -> a", &[]);
    stuck("a: send x\n b: runs\n chan x 2/2: a b -> a", &[("a", Proven)]);
    // The receiver that a permit counts on is not there for others.
    stuck("a: send x\n b: recv x\n chan x 0+1/0: a -> b", &[("a", Proven), ("b", Proven)]);
}

#[test]
fn a_context_ends_with_its_parent() {
    stuck("a: done d\n b: runs\n ctx c: b\n ctx d < c: -", &[]);
    stuck("a: done d\n b: done d\n ctx c: b\n ctx d < c: -", &[("a", Proven), ("b", Proven)]);
    stuck("a: done d\n ctx c in 3s: -\n ctx d < c: -", &[]);
    check("a: done d\n b: recv x\n chan x 0/1: a -> b\n ctx c: b\n ctx d < c: b?", "2 of 2 processes are stuck: 2 LIKELY
         LIKELY: a and b wait for each other
           a waits for the end of `d` at w.rs:1:5 for 1.0 s; only b (as last seen) and whoever ends `c` can end it
           b waits to receive on `x` (empty) at w.rs:2:5 for 1.0 s; only a can send");
}

#[test]
fn grades_rest_on_what_is_known_of_the_holders() {
    stuck("a: recv x\n chan x 0/1: a -> a", &[("a", Proven)]);
    stuck("a: recv x\n chan x 0/1: a? -> a", &[("a", Likely)]);
    stuck("a: recv x for 2min\n chan x 0/1: a ? -> a", &[("a", Suspect)]);
    stuck("a: recv x for 59s\n chan x 0/1: a ? -> a", &[]);
    stuck("a: recv x for 2min\n b: over\n chan x 0/1: b -> a", &[("a", Suspect)]);
    stuck("a: recv x for 2min\n chan x 0/1: nobody -> a", &[("a", Suspect)]);
    stuck("a: foreign for 2min", &[("a", Suspect)]);
    stuck("a: recv gone for 2min", &[("a", Suspect)]);
    stuck("a: lock x for 2min\n chan x 0/1: a -> a", &[("a", Suspect)]);
    stuck("a: parked", &[]); // since when?
    // A verdict is as good as what it rests on.
    stuck(
        "a: recv x\n b: recv y\n chan x 0/1: b -> a\n chan y 0/1: b? -> b",
        &[("a", Likely), ("b", Likely)],
    );
    check_with(
        &Options::new().suspect_after(MINUTE),
        "a: recv x | foreign for 2min\n b: recv x for 3min\n chan x 0/1: a? ? ? -> a b",
        "2 of 2 processes are stuck: 2 SUSPECT
         SUSPECT: a waits for itself, unless somebody unknown helps
           a waits at w.rs:1:5 for 2 min 0 s
             either to receive on `x` (empty); only itself (as last seen) and 2 unknown holders can send
             or for a future of which nothing is known
           behind it: b",
    );
}

#[test]
fn who_did_something_lately_is_no_reason_for_suspicion() {
    // `b` hears from somebody unknown every now and then, and may pass it on to `a`.
    let world = |age| {
        format!("a: recv x for 1h\n b: recv y for {age}\n chan x 0/1: b -> a\n chan y 0/1: ? -> b")
    };
    stuck(&world("1s"), &[]);
    stuck(&world("2min"), &[("a", Suspect), ("b", Suspect)]);
    // A young wait that nobody can end is stuck all the same.
    stuck("a: recv x for 0s\n chan x 0/1: a -> a", &[("a", Proven)]);
}

#[test]
fn suspicions_are_kept_until_asked_for() {
    let report = world::parse("a: foreign for 9h").analyse(&Options::new());
    assert!(report.is_clear());
}

#[test]
fn in_a_closed_world_the_unknown_is_one_of_those_listed() {
    let closed = Options::closed_world();
    check_with(
        &closed,
        "a: recv x\n chan x 0/1: ? -> a",
        "1 of 1 processes is stuck: 1 PROVEN
         PROVEN: a waits for what nobody can bring
           a waits to receive on `x` (empty) at w.rs:1:5 for 1.0 s; only 1 unknown holder can send",
    );
    check_with(&closed, "a: recv x\n b: runs\n chan x 0/1: ? -> a", "none of 2 processes is stuck");
}

#[test]
fn two_who_could_meet_have_lost_a_wake_up_and_are_no_deadlock() {
    let later = Options::new().lost_after(MINUTE);
    let world = |age| format!("a: send x for 2min\n b: recv x for {age}\n chan x 0/0: a -> b");
    check_with(
        &later,
        &world("3min"),
        "none of 2 processes is stuck
         LOST WAKE-UP on `x`
           a waits to send on `x` (capacity 0) at w.rs:1:5 for 2 min 0 s; only b can receive
           b waits to receive on `x` (capacity 0) at w.rs:2:5 for 3 min 0 s; only a can send",
    );
    check_with(&later, &world("1s"), "none of 2 processes is stuck"); // the wake-up may be under way
    check(&world("3min"), "none of 2 processes is stuck"); // nobody asked
    // Nobody meets itself.
    check_with(
        &later,
        "a: send x | recv x for 2min\n chan x 0/0: a -> a",
        "1 of 1 processes is stuck: 1 PROVEN
         PROVEN: a waits for itself
           a waits at w.rs:1:5 for 2 min 0 s
             either to send on `x` (capacity 0); only itself can receive
             or to receive on `x` (capacity 0); only itself can send",
    );
}

#[test]
fn a_message_that_nobody_was_woken_for_is_a_lost_wake_up() {
    let later = Options::new().lost_after(MINUTE);
    let world = |age| format!("a: recv x for 1h\n b: runs\n chan x 1/4 still {age}: b -> a");
    check_with(&later, &world("2min"), "none of 2 processes is stuck
         LOST WAKE-UP on `x`
           a waits to receive on `x` (1 queued) at w.rs:1:5 for 1 h 0 min; there is nothing to wait for");
    check_with(&later, &world("1s"), "none of 2 processes is stuck"); // it may have come just now
}

#[test]
fn positions_of_ids_do_not_matter() {
    let mut world = Snapshot::new();
    world.process(u64::MAX, "last", State::Parked);
    world.process(0, "first", State::Parked);
    let far = 1 << 60;
    world.resource(far, "x", Channel::full(1, Ends::declared([0]), Ends::declared([u64::MAX])));
    world.resource(3, "y", Channel::empty(None, Ends::declared([0]), Ends::declared([u64::MAX])));
    world.wait(u64::MAX, MINUTE, None, [Arm::Recv(3.into())]);
    world.wait(0, MINUTE, None, [Arm::Send(far.into())]);
    let report = world.analyse(&Options::new());
    assert_eq!(report.grade(0), Some(Proven));
    assert_eq!(report.grade(u64::MAX), Some(Proven));
    assert_eq!(report.grade(1), None);
    assert_eq!(report.stuck_sets().len(), 1);
}

#[test]
fn a_hundred_thousand_in_one_chain_need_no_stack() {
    const LENGTH: u64 = 100_000;
    let mut world = Snapshot::new();
    for id in 0..LENGTH {
        world.process(id, format!("p{id}"), State::Parked);
        let giver = Ends::declared([(id + 1) % LENGTH]);
        world.resource(id, format!("c{id}"), Channel::empty(Some(1), giver, Ends::declared([id])));
        world.wait(id, MINUTE, None, [Arm::Recv(id.into())]);
    }
    let report = world.analyse(&Options::new());
    let set = report.stuck_sets().next().unwrap();
    assert_eq!((set.members().len(), set.followers().len()), (LENGTH as usize, 0));
    assert_eq!(report.why(7).unwrap().chain().len(), LENGTH as usize);
    // One of them runs: then nobody is stuck, and that is found along the whole chain.
    let mut world = report.into_snapshot();
    world.processes[0].state = State::Running;
    let report = world.analyse(&Options::new());
    assert!(report.is_clear());
    assert_eq!(report.why(1).unwrap().chain().len(), LENGTH as usize);
}

#[test]
fn an_empty_world_is_clear() {
    check("", "none of 0 processes is stuck");
}
