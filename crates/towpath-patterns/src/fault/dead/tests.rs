//! Bytes that are a promise, and what is known of letters against a plain model of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;
use towpath_journal::Lsn;

use super::{
    checkpoint,
    event::{Encoded, Event},
    letter::{LetterId, Pick, ReplayId, Status},
    state::State,
};
use crate::fault::{Class, Fault};

fn fault(cause: &str, class: Class) -> Fault {
    Fault {
        process: "parser".into(),
        class,
        cause: cause.to_owned(),
        message: format!("{cause}, of 7"),
        at: (class == Class::Panic).then(|| "src/price.rs:3:9".to_owned()),
        when: UNIX_EPOCH + Duration::from_millis(1_767_225_600_123),
    }
}

/// One of each kind.
fn every_event() -> Vec<Event> {
    let (id, replay) = (LetterId(300), ReplayId(2));
    let when = UNIX_EPOCH + Duration::from_millis(1_767_225_601_000);
    let faults = vec![fault("no price", Class::Schema), fault("divided by zero", Class::Panic)];
    let (note, payload) = ("asked".to_owned(), b"order 7".to_vec());
    let pick = Pick::all().class(Class::Schema).cause("no price").process("parser");
    vec![
        Event::Put {
            id,
            key: b"order-7".to_vec(),
            headers: b"traceparent: 00-4bf9".to_vec(),
            faults: faults.clone(),
            payload: payload.clone(),
        },
        Event::Rejoined { id, faults, payload: payload.clone() },
        Event::Edited { id, when, note: note.clone(), payload: payload.clone() },
        Event::Begun { replay, when, pick, up_to: id },
        Event::Taken { id, replay, when },
        Event::FailedAgain { id, replay, fault: fault("no stock", Class::Transient) },
        Event::Carried { id, payload },
        Event::Taken { id, replay, when },
        Event::Replayed { id, replay, when },
        Event::Ended { replay, when },
        Event::Discarded { id, when, note },
    ]
}

fn state_of(events: &[Event]) -> State {
    let mut state = State::new("orders");
    (1..).zip(events).for_each(|(at, event)| state.apply(Lsn(at), event.clone()));
    state
}

#[test]
fn the_bytes_are_as_they_were_promised() {
    let mut text = String::new();
    for event in every_event() {
        let Encoded { kind, key, payload } = event.encode();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        text.push_str(&format!("{kind:#06x} {} {}\n", hex(&key), hex(&payload)));
    }
    let checkpoint = checkpoint::encode(&state_of(&every_event()));
    text.push_str(&format!("checkpoint {}\n", checkpoint.escape_ascii()));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dead_letters_bytes.txt");
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&path).unwrap(), "a new format has a new version");
}

#[test]
fn what_was_written_is_read_and_nothing_less_or_more_is() {
    for event in every_event() {
        let Encoded { kind, key, mut payload } = event.encode();
        assert_eq!(Event::decode(kind, &key, &payload).as_ref(), Ok(&event));
        for len in 0..payload.len() {
            assert!(Event::decode(kind, &key, &payload[..len]).is_err(), "{event:?} cut at {len}");
        }
        payload.push(0);
        assert!(Event::decode(kind, &key, &payload).is_err(), "{event:?} and one more byte");
    }
    let bytes = checkpoint::encode(&state_of(&every_event()));
    for len in 0..bytes.len() {
        assert!(checkpoint::decode("orders", &bytes[..len]).is_err(), "cut at {len}");
    }
}

/// What can be done; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Act {
    Put {
        key: u8,
        cause: u8,
    },
    Edit(u8),
    Discard(u8),
    Begin {
        cause: Option<u8>,
    },
    Take(u8),
    Outcome {
        replay: u8,
        well: bool,
        cause: u8,
    },
    End(u8),
    Carry,
    /// Forgets everything, and learns it from a checkpoint.
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..6_u8, 0..3_u8).prop_map(|(key, cause)| Act::Put { key, cause }),
        1 => any::<u8>().prop_map(Act::Edit),
        1 => any::<u8>().prop_map(Act::Discard),
        2 => proptest::option::of(0..3_u8).prop_map(|cause| Act::Begin { cause }),
        6 => any::<u8>().prop_map(Act::Take),
        6 => (any::<u8>(), any::<bool>(), 0..3_u8)
            .prop_map(|(replay, well, cause)| Act::Outcome { replay, well, cause }),
        1 => any::<u8>().prop_map(Act::End),
        1 => Just(Act::Carry),
        1 => Just(Act::Restart),
    ]
}

/// A letter, told as plainly as possible.
#[derive(Clone, Debug)]
struct Plain {
    key: Option<u8>,
    cause: u8,
    waits: bool,
    failures: u32,
    /// Taken by replays since its last outcome.
    taken: u32,
    edits: u32,
}

/// A replay: what it may take, and what it has behind it.
#[derive(Clone, Debug)]
struct PlainReplay {
    cause: Option<u8>,
    up_to: u64,
    done: u64,
    in_hand: Option<u64>,
}

#[derive(Default)]
struct Model {
    letters: BTreeMap<u64, Plain>,
    replays: BTreeMap<u64, PlainReplay>,
    next_replay: u64,
}

fn cause(number: u8) -> String {
    format!("cause {}", ["a", "b", "c"][usize::from(number)])
}

/// The `index`-th of some, modulo how many there are.
fn nth<T: Copy>(all: impl Iterator<Item = T>, index: u8) -> Option<T> {
    let all: Vec<T> = all.collect();
    if all.is_empty() { None } else { Some(all[usize::from(index) % all.len()]) }
}

impl Model {
    /// Does the same to both; gives the events.
    fn act(&mut self, act: &Act, state: &State) -> Option<Event> {
        let when = UNIX_EPOCH + Duration::from_millis(5);
        let waiting = || self.letters.iter().filter(|(_, it)| it.waits).map(|(id, _)| *id);
        match *act {
            // Key 0 is none.
            Act::Put { key, cause: number } => {
                let own = if key == 0 { vec![] } else { vec![b'k', key] };
                let faults = vec![fault(&cause(number), Class::Schema)];
                let payload = vec![key];
                if let Some(id) = state.find(&own) {
                    let known = self.letters.iter().find(|(_, it)| it.key == Some(key));
                    assert_eq!(known.map(|(id, _)| *id), Some(id.0));
                    let letter = self.letters.get_mut(&id.0)?;
                    letter.cause = number;
                    (letter.waits, letter.taken) = (true, 0);
                    letter.failures += 1;
                    return Some(Event::Rejoined { id, faults, payload });
                }
                assert!(key == 0 || self.letters.values().all(|it| it.key != Some(key)));
                let id = self.letters.len() as u64 + 1;
                let letter = Plain {
                    key: (key > 0).then_some(key),
                    cause: number,
                    waits: true,
                    failures: 1,
                    taken: 0,
                    edits: 0,
                };
                self.letters.insert(id, letter);
                Some(Event::Put { id: LetterId(id), key: own, headers: vec![], faults, payload })
            }
            Act::Edit(index) => {
                let id = nth(waiting(), index)?;
                let letter = self.letters.get_mut(&id)?;
                (letter.taken, letter.edits) = (0, letter.edits + 1);
                let (id, note, payload) = (LetterId(id), String::new(), b"edited".to_vec());
                Some(Event::Edited { id, when, note, payload })
            }
            Act::Discard(index) => {
                let id = nth(waiting(), index)?;
                let letter = self.letters.get_mut(&id)?;
                (letter.waits, letter.taken) = (false, 0);
                Some(Event::Discarded { id: LetterId(id), when, note: String::new() })
            }
            Act::Begin { cause: number } => {
                self.next_replay += 1;
                let (up_to, replay) = (self.letters.len() as u64, self.next_replay);
                let plain = PlainReplay { cause: number, up_to, done: 0, in_hand: None };
                self.replays.insert(replay, plain);
                let (replay, up_to) = (ReplayId(replay), LetterId(up_to));
                Some(Event::Begun { replay, when, pick: pick(number), up_to })
            }
            Act::Take(index) => {
                let replay = nth(self.replays.keys().copied(), index)?;
                let plain = self.replays.get_mut(&replay)?;
                let fits = |(id, it): &(&u64, &Plain)| {
                    **id > plain.done
                        && **id <= plain.up_to
                        && it.waits
                        && it.taken < 3
                        && plain.cause.is_none_or(|number| number == it.cause)
                };
                let next = self.letters.iter().find(fits).map(|(id, _)| *id);
                let progress = &state.replays[&ReplayId(replay)];
                let found = state.fitting(&progress.pick, progress.done).next();
                assert_eq!(found.filter(|id| *id <= progress.up_to).map(|id| id.0), next);
                let id = next?;
                plain.in_hand = Some(id);
                self.letters.get_mut(&id)?.taken += 1;
                Some(Event::Taken { id: LetterId(id), replay: ReplayId(replay), when })
            }
            Act::Outcome { replay: index, well, cause: number } => {
                let with_one = self.replays.iter().filter(|(_, it)| it.in_hand.is_some());
                let replay = nth(with_one.map(|(replay, _)| *replay), index)?;
                let plain = self.replays.get_mut(&replay)?;
                let id = plain.in_hand.take()?;
                plain.done = plain.done.max(id);
                let letter = self.letters.get_mut(&id)?;
                let (id, replay) = (LetterId(id), ReplayId(replay));
                if well {
                    // Unless it has failed since it was taken.
                    if letter.taken > 0 {
                        (letter.waits, letter.taken) = (false, 0);
                    }
                    return Some(Event::Replayed { id, replay, when });
                }
                (letter.cause, letter.taken) = (number, 0);
                letter.failures += 1;
                let fault = fault(&cause(number), Class::Schema);
                Some(Event::FailedAgain { id, replay, fault })
            }
            Act::End(index) => {
                let replay = nth(self.replays.keys().copied(), index)?;
                self.replays.remove(&replay);
                Some(Event::Ended { replay: ReplayId(replay), when })
            }
            Act::Carry => {
                let (_, id) = state.oldest_content()?;
                Some(Event::Carried { id, payload: vec![] })
            }
            Act::Restart => None,
        }
    }

    fn compare(&self, state: &State) {
        let waiting: BTreeSet<u64> =
            self.letters.iter().filter(|(_, it)| it.waits).map(|(id, _)| *id).collect();
        assert_eq!(state.waiting(), waiting.len());
        let mut grouped = BTreeSet::new();
        for group in state.groups() {
            let pick = Pick { ..Pick::group(&group) };
            let members: Vec<u64> = waiting
                .iter()
                .copied()
                .filter(|id| cause(self.letters[id].cause) == group.cause)
                .collect();
            assert_eq!(group.letters, members.len() as u64);
            assert_eq!(Some(&group.oldest.0), members.first());
            assert_eq!(Some(&group.newest.0), members.last());
            let fitting: Vec<u64> = state.fitting(&pick, LetterId(0)).map(|id| id.0).collect();
            let free = members.iter().copied().filter(|id| self.letters[id].taken < 3);
            assert_eq!(fitting, free.collect::<Vec<_>>());
            grouped.extend(members);
        }
        assert_eq!(grouped, waiting);
        for (id, plain) in &self.letters {
            let summary = state.summary(LetterId(*id)).unwrap();
            assert_eq!(summary.failures, plain.failures, "{id}");
            assert_eq!(summary.cause, cause(plain.cause), "{id}");
            let waits = !matches!(summary.status, Status::Replayed | Status::Discarded);
            assert_eq!(waits, plain.waits, "{id}");
            assert_eq!(summary.status == Status::Quarantined, plain.taken >= 3, "{id}");
            let key = String::from_utf8(state.replay_key(LetterId(*id))).unwrap();
            let own = match plain.key {
                Some(key) => String::from_utf8(vec![b'k', key]).unwrap(),
                None => format!("orders/{id}"),
            };
            let edit = if plain.edits > 0 { format!("/e{}", plain.edits) } else { String::new() };
            assert_eq!(key, own + &edit);
            assert_eq!(state.find(key.as_bytes()), Some(LetterId(*id)));
        }
    }
}

fn pick(number: Option<u8>) -> Pick {
    match number {
        Some(number) => Pick::all().class(Class::Schema).cause(cause(number)),
        None => Pick::all(),
    }
}

proptest! {
    /// The state is what a plain model says, after every event; and the same again from the events, and from a checkpoint.
    #[test]
    fn what_is_known_is_what_happened(acts in proptest::collection::vec(act(), 1..80)) {
        let (mut state, mut model) = (State::new("orders"), Model::default());
        let mut events = Vec::new();
        for act in &acts {
            if matches!(act, Act::Restart) {
                state = checkpoint::decode("orders", &checkpoint::encode(&state)).unwrap();
            }
            if let Some(event) = model.act(act, &state) {
                let Encoded { kind, key, payload } = event.encode();
                prop_assert_eq!(&Event::decode(kind, &key, &payload).unwrap(), &event);
                events.push(event.clone());
                state.apply(Lsn(events.len() as u64), event);
            }
            model.compare(&state);
        }
        prop_assert_eq!(&state, &state_of(&events));
    }

    /// Whatever the bytes are, they are read or refused.
    #[test]
    fn any_bytes_are_read_or_refused(kind in 0x0d00..0x0d0c_u16, bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let bytes = [&[1][..], &bytes].concat();
        if let Ok(event) = Event::decode(kind, &[0, 0, 0, 0, 0, 0, 0, 9], &bytes) {
            // What was read may have been written in another way (a number with more bytes than it needs), and means the same.
            let Encoded { kind, key, payload } = event.encode();
            prop_assert_eq!(Event::decode(kind, &key, &payload).unwrap(), event);
        }
        let _ = checkpoint::decode("orders", &bytes);
    }
}

#[test]
fn a_history_keeps_its_beginning_and_its_end() {
    let (id, replay) = (LetterId(1), ReplayId(1));
    let mut state = state_of(&[Event::Put {
        id,
        key: vec![],
        headers: vec![],
        faults: vec![fault("first", Class::Schema)],
        payload: vec![],
    }]);
    for round in 2..200_u64 {
        let fault = fault(&format!("round {round}"), Class::Schema);
        state.apply(Lsn(round), Event::FailedAgain { id, replay, fault });
    }
    let kept = &state.letters[&id];
    assert_eq!((kept.history.len(), kept.omitted, kept.failures), (64, 135, 199));
    assert!(format!("{:?}", kept.history[0]).contains("first"));
    assert!(format!("{:?}", kept.history[63]).contains("round 199"));
}

#[test]
fn a_replay_that_went_well_does_not_close_what_has_failed_since() {
    let (id, replay, when) = (LetterId(1), ReplayId(1), UNIX_EPOCH);
    let faults = || vec![fault("no price", Class::Schema)];
    let put =
        Event::Put { id, key: b"k".to_vec(), headers: vec![], faults: faults(), payload: vec![] };
    let begun = Event::Begun { replay, when, pick: Pick::all(), up_to: id };
    let taken = Event::Taken { id, replay, when };
    let rejoined = Event::Rejoined { id, faults: faults(), payload: vec![] };
    let replayed = Event::Replayed { id, replay, when };

    // The handler only sent it on; it failed at the next place before the replay said that all is well.
    let state =
        state_of(&[put.clone(), begun.clone(), taken.clone(), rejoined.clone(), replayed.clone()]);
    assert_eq!(state.summary(id).unwrap().status, Status::Waiting);
    // And after it.
    let state = state_of(&[put, begun, taken, replayed, rejoined]);
    let summary = state.summary(id).unwrap();
    assert_eq!((summary.status, summary.failures, summary.replays), (Status::Waiting, 2, 1));
    assert_eq!(state.letters[&id].history.len(), 4);
}
