//! A machine with everything the macro takes, beside its table run arm by arm: the two never differ.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use towpath_patterns::machine;
use towpath_patterns::machine::{Event as _, Instance, Machine, Outcome, State as _, StateId};

/// What the machine remembers: every answer that was asked for and every action that was done.
#[derive(Clone, Debug, Default, PartialEq)]
struct Memory {
    flags: u8,
    done: Vec<&'static str>,
}

machine! {
    machine Odd(Memory) -> (&'static str, u8), version 7;

    enum State { First, initial Second, Third, final Fourth }

    #[derive(Clone, Debug, PartialEq)]
    enum Event { Set(u8), Ask { twice: bool }, Move, Wait }

    First | Second {
        Set => stay / set,
        Ask if a && !b => Third / left / right,
        Ask if b => Third / right,
        Ask if !a && !b && !c => refuse "none",
        Ask => stay,
    }
    First {
        after 250ms => Wait,
        Move if !c => First,
        Move if c => Fourth / left,
        Wait => Second,
    }
    Second {
        Move if functions::d => First / functions::far,
        Move => refuse "not now",
        _ => refuse "not from here",
    }
    Third {
        after 2h => Wait,
        Move => Second,
        Set if a => Second / set / left,
        Set => refuse "not set",
        Ask if c => Fourth,
        Ask if !c => stay / right,
    }
    _ {
        Wait => stay,
        Move => refuse "over",
        Set | Ask => refuse "over, too",
    }
}

mod functions {
    use super::{Event, Memory, SystemTime};

    pub(super) fn d(memory: &Memory, _: &Event, now: SystemTime) -> bool {
        memory.flags & 8 != 0 || now > SystemTime::UNIX_EPOCH
    }

    pub(super) fn far(memory: &mut Memory, _: &Event, _: SystemTime) -> Option<(&'static str, u8)> {
        memory.done.push("far");
        None
    }
}

fn a(memory: &Memory, _: &Event, _: SystemTime) -> bool {
    memory.flags & 1 != 0
}

fn b(memory: &Memory, event: &Event, _: SystemTime) -> bool {
    memory.flags & 2 != 0 || matches!(event, Event::Ask { twice: true })
}

fn c(memory: &Memory, _: &Event, _: SystemTime) -> bool {
    memory.flags & 4 != 0
}

fn set(memory: &mut Memory, event: &Event, _: SystemTime) -> Option<(&'static str, u8)> {
    let Event::Set(flags) = event else { return None };
    memory.flags = *flags;
    memory.done.push("set");
    None
}

fn left(memory: &mut Memory, _: &Event, _: SystemTime) -> Option<(&'static str, u8)> {
    memory.done.push("left");
    Some(("left", memory.flags))
}

fn right(memory: &mut Memory, _: &Event, _: SystemTime) -> Option<(&'static str, u8)> {
    memory.done.push("right");
    Some(("right", memory.flags))
}

#[test]
fn the_table_says_what_was_written() {
    let table = Odd::table();
    assert_eq!((table.name(), table.version()), ("Odd", 7));
    assert_eq!(table.initial(), State::Second.id());
    assert_eq!(table.guards().join(" "), "a b c d");
    assert_eq!(table.actions().join(" "), "far left right set");
    let timeout = table.states()[State::First.id().index()].timeout.unwrap();
    assert_eq!(timeout.after, Duration::from_millis(250));
    assert_eq!(Event::of_timeout(timeout.event), Some(Event::Wait));
    assert_eq!(Event::of_timeout(Event::Move.id()), None, "time does not bring it");
    let refused = &table.cell(State::Second.id(), Event::Wait.id())[0];
    assert_eq!(
        refused.outcome,
        Outcome::Refuse("not from here".into()),
        "nearer than the rules of all"
    );
    assert_eq!(State::Third.to_string(), "Third");
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_u8..16).prop_map(Event::Set),
        any::<bool>().prop_map(|twice| Event::Ask { twice }),
        Just(Event::Move),
        Just(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn the_match_and_the_table_do_the_same(
        events in proptest::collection::vec((any_event(), 0_u64..2), 0..60),
    ) {
        let bound = Odd::bindings().bind(Odd::table().clone()).unwrap();
        let mut one = Odd::start(Memory::default());
        let mut other = Instance::new(bound, Memory::default());
        for (event, later) in &events {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(*later);
            prop_assert_eq!(one.on(event, now), other.on(event, now));
            prop_assert_eq!((one.state(), one.data()), (other.state(), other.data()));
        }
    }

    /// From every state with all flags, not only from those that a walk comes to.
    #[test]
    fn every_pair_does_the_same(state in 0_u16..4, flags in 0_u8..16, event in any_event(), later in 0_u64..2) {
        let bound = Odd::bindings().bind(Odd::table().clone()).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(later);
        let memory = Memory { flags, done: Vec::new() };
        let (mut one, mut other) = (memory.clone(), memory);
        let (mut said, mut told) = (Vec::new(), Vec::new());
        let state = StateId(state);
        let verdict = Odd.decide(state, &mut one, &event, now, &mut said);
        prop_assert_eq!(verdict, bound.decide(state, &mut other, &event, now, &mut told));
        prop_assert_eq!((one, said), (other, told));
    }
}
