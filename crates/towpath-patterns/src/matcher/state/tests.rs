//! What becomes of parts, in words: `check` says what is fed and what is told.

use super::*;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Paper {
    Order,
    Invoice,
    Payment,
    Other,
}
use Paper::{Invoice, Order, Other, Payment};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rules() -> Rules<Paper> {
    Rules::within(s(100)).needs(Order, 1..=1).needs(Invoice, 1..=2)
}

const ROOM: Limits = Limits { open_max: 9, when_full: WhenFull::Refuse, parts_max: 9, remember: 9 };

struct Bench {
    state: State<char, Paper, ()>,
    now: Duration,
}

impl Bench {
    fn new(rules: Rules<Paper>, limits: Limits) -> Self {
        Self { state: State::new(vec![rules], |_| 0, limits), now: Duration::ZERO }
    }

    /// What this part makes the matcher tell, and what was due before it.
    fn take(&mut self, key: char, id: u64, kind: Paper) -> String {
        self.put(Part::new(key, id, kind))
    }

    fn undo(&mut self, key: char, id: u64, undone: u64) -> String {
        self.put(Part::undo(key, id, undone))
    }

    fn undo_last(&mut self, key: char, id: u64, kind: Paper) -> String {
        let part = Part::new(key, id, kind);
        self.put(Part { what: What::UndoLast { kind }, ..part })
    }

    fn put(&mut self, part: Part<char, Paper>) -> String {
        while self.state.expire(self.now) {}
        self.state.take(self.now, part);
        self.told()
    }

    fn at(&mut self, seconds: u64) -> String {
        self.now = s(seconds);
        while self.state.expire(self.now) {}
        self.told()
    }

    fn end(&mut self) -> String {
        while self.state.end() {}
        self.told()
    }

    fn told(&mut self) -> String {
        let told = self.state.told.drain(..).map(|output| match output {
            Output::Matched(set) => {
                format!("{}{} matched@{}", set.key, set.parts.len(), set.closed.as_secs())
            }
            Output::Void(set) => format!("{}{} void", set.key, set.parts.len()),
            Output::Unmatched { set, differences, why } => {
                let what: Vec<_> = differences.iter().map(ToString::to_string).collect();
                let (key, parts, at) = (set.key, set.parts.len(), set.closed.as_secs());
                format!("{key}{parts} {why:?}@{at}: {}", what.join(", "))
            }
            Output::Stray { part, why } => format!("{}#{} {why:?}", part.key, part.id),
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

#[test]
fn a_set_matches_once_and_what_comes_later_is_late() {
    let mut bench = Bench::new(rules(), ROOM);
    assert_eq!(bench.take('a', 1, Invoice), "");
    assert_eq!(bench.take('a', 1, Invoice), "a#1 Duplicate");
    assert_eq!(bench.take('b', 1, Order), "", "ids are those of a key");
    assert_eq!(bench.at(7), "");
    assert_eq!(bench.take('a', 2, Order), "a2 matched@7");
    assert_eq!(bench.take('a', 2, Order), "a#2 Duplicate");
    assert_eq!(bench.take('a', 3, Invoice), "a#3 Late { matched: true }");
    assert_eq!(bench.take('a', 3, Invoice), "a#3 Duplicate", "also of what came late");
    assert_eq!(bench.end(), "b1 Ended@7: 0 of Invoice, needs 1");
    assert_eq!(bench.state.counters().open, 0);
}

#[test]
fn a_deadline_is_told_once_and_what_comes_then_is_late() {
    let mut bench = Bench::new(rules(), ROOM);
    bench.take('a', 1, Order);
    bench.at(50);
    bench.take('b', 1, Order);
    assert_eq!(bench.at(99), "");
    assert_eq!(bench.at(100), "a1 Deadline@100: 0 of Invoice, needs 1");
    assert_eq!(bench.take('a', 2, Invoice), "a#2 Late { matched: false }");
    // Nobody looked at the clock: the set is told of its deadline all the same.
    assert_eq!(bench.state.next_due(), Some(s(150)));
    bench.now = s(999);
    bench.state.take(s(999), Part::new('b', 2, Invoice));
    assert_eq!(bench.told(), "b1 Deadline@150: 0 of Invoice, needs 1; b#2 Late { matched: false }");
    assert_eq!(bench.state.next_due(), None);
}

#[test]
fn a_set_that_is_to_settle_stays_open_for_more() {
    let mut bench = Bench::new(rules().settle(s(10)), ROOM);
    bench.take('a', 1, Order);
    assert_eq!(bench.take('a', 2, Invoice), "");
    assert_eq!(bench.at(9), "");
    assert_eq!(bench.take('a', 3, Invoice), "");
    assert_eq!(bench.at(18), "");
    assert_eq!(bench.undo('a', 4, 3), "", "it matches without it, and is quiet from here");
    assert_eq!(bench.at(27), "");
    assert_eq!(bench.at(40), "a4 matched@28");
    // The deadline ends it, settled or not.
    bench.at(50);
    bench.take('b', 1, Order);
    bench.at(145);
    bench.take('b', 2, Invoice);
    assert_eq!(bench.at(200), "b2 matched@150");
    // What is undone while it settles makes it wait again, for its deadline.
    bench.take('c', 1, Order);
    bench.take('c', 2, Invoice);
    bench.undo_last('c', 3, Invoice);
    assert_eq!(bench.at(299), "");
    assert_eq!(bench.at(300), "c3 Deadline@300: 0 of Invoice, needs 1");
}

#[test]
fn cancellations_undo() {
    let mut bench = Bench::new(rules(), ROOM);
    bench.take('a', 1, Invoice);
    bench.undo('a', 2, 1);
    assert_eq!(bench.take('a', 3, Order), "");
    assert_eq!(bench.take('a', 4, Invoice), "a4 matched@0");
    // Before what it undoes.
    bench.undo('b', 9, 1);
    bench.take('b', 1, Invoice);
    bench.take('b', 2, Order);
    assert_eq!(bench.take('b', 3, Invoice), "b4 matched@0");
    // Nothing to undo: of a kind at once, of an id in the end.
    bench.undo_last('c', 1, Invoice);
    bench.undo('d', 1, 7);
    bench.take('e', 1, Order);
    bench.undo_last('e', 2, Order);
    assert_eq!(
        bench.at(100),
        "c1 Deadline@100: 0 of Order, needs 1, 0 of Invoice, needs 1, part 1 undoes a Invoice that is not there; \
         d1 Deadline@100: 0 of Order, needs 1, 0 of Invoice, needs 1, part 1 undoes one that is not there; e2 void"
    );
    assert_eq!(bench.undo('a', 5, 4), "a#5 Late { matched: true }");
}

#[test]
fn each_needs_its_own_and_takes_it_back() {
    let paid = rules().needs(Payment, 0..=u32::MAX).each(Invoice, Payment);
    let mut bench = Bench::new(paid, ROOM);
    bench.take('a', 1, Order);
    bench.take('a', 2, Invoice);
    bench.take('a', 3, Invoice);
    bench.take('a', 4, Payment);
    assert_eq!(bench.undo('a', 5, 2), "a5 matched@0", "one is paid, and one is left");
    bench.take('b', 2, Invoice);
    bench.take('b', 4, Payment);
    bench.undo('b', 5, 2);
    bench.take('b', 6, Invoice);
    assert_eq!(bench.take('b', 7, Order), "", "the payment went with its invoice");
    assert_eq!(bench.take('b', 8, Payment), "b6 matched@0");
}

#[test]
fn whoever_comes_to_a_full_house_is_refused_or_the_first_goes() {
    let full = Limits { open_max: 2, ..ROOM };
    let mut bench = Bench::new(rules(), full);
    for key in ['a', 'b'] {
        bench.take(key, 1, Order);
    }
    assert_eq!(bench.take('c', 1, Order), "c#1 Full");
    bench.take('b', 2, Invoice);
    assert_eq!(bench.take('c', 1, Order), "", "there is room, and it is no duplicate");
    let mut bench = Bench::new(rules(), Limits { when_full: WhenFull::CloseFirst, ..full });
    for (at, key) in ['a', 'b', 'c'].into_iter().enumerate() {
        bench.at(at as u64);
        let told = bench.take(key, 1, Order);
        assert_eq!(told, if key == 'c' { "a1 Evicted@2: 0 of Invoice, needs 1" } else { "" });
    }
    assert_eq!(bench.take('a', 2, Invoice), "a#2 Late { matched: false }");
    assert_eq!(bench.state.counters().evicted, 1);
}

#[test]
fn too_many_parts_and_unknown_ones_come_back() {
    let mut bench = Bench::new(rules(), Limits { parts_max: 3, ..ROOM });
    assert_eq!(bench.take('a', 1, Other), "a#1 Unknown");
    assert_eq!(bench.state.counters().open, 0, "it opened nothing");
    for id in 1..=3 {
        bench.take('a', id, Invoice);
    }
    assert_eq!(bench.take('a', 4, Order), "a#4 SetFull");
    assert_eq!(bench.take('a', 4, Other), "a#4 SetFull");
    assert_eq!(bench.end(), "a3 Ended@0: 0 of Order, needs 1, 3 of Invoice, 2 at most");
}

#[test]
fn what_is_forgotten_begins_anew() {
    let mut bench = Bench::new(rules(), Limits { remember: 1, ..ROOM });
    for key in ['a', 'b'] {
        bench.take(key, 1, Order);
        bench.take(key, 2, Invoice);
    }
    assert_eq!(bench.take('b', 3, Invoice), "b#3 Late { matched: true }");
    assert_eq!(bench.take('a', 3, Invoice), "", "a set of its own");
    assert_eq!(bench.end(), "a1 Ended@0: 0 of Order, needs 1");
    let mut bench = Bench::new(rules(), Limits { remember: 0, ..ROOM });
    bench.take('a', 1, Order);
    assert_eq!(bench.take('a', 2, Invoice), "a2 matched@0");
    assert_eq!(bench.take('a', 2, Invoice), "");
}

/// Sets that match go long before their deadlines: their places in the queue must not stay.
#[test]
fn the_queue_is_as_long_as_there_are_open_sets() {
    let mut bench = Bench::new(rules(), Limits { remember: 0, ..ROOM });
    for id in 0..100_000 {
        bench.take('a', 2 * id, Order);
        bench.take('a', 2 * id + 1, Invoice);
        assert!(bench.state.queue.len() <= 2 + QUEUE_SLACK);
    }
    assert_eq!(bench.state.counters().matched, 100_000);
    assert_eq!(bench.state.open.len(), 1, "its place was used again");
}
