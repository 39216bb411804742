//! Drivers over a bad line: their reports come late, twice and out of order, and no driver has two riders.
//!
//! A driver here is honest: he does what his own log of messages tells him, and checks at each of them that it does not
//! contradict what he has been told before. That is the only judge of "given twice"; it knows nothing of the decider.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use proptest::prelude::*;
use towpath_patterns::dispatch::{Decider, Event, Input, Lease, Point, Policy, Report, Says};

/// A driver as he sees it.
pub(super) struct Honest {
    name: u32,
    number: u64,
    seen: Lease,
    pub(super) at: Point,
    accepted: Option<Lease>,
    riding: Option<Lease>,
    /// At home, or with a rider from the street of whom the dispatcher does not know.
    hailed: bool,
}

impl Honest {
    pub(super) fn new(name: u32, at: Point) -> Self {
        Self { name, number: 0, seen: 0, at, accepted: None, riding: None, hailed: false }
    }

    fn report(&mut self, says: Says) -> Report<u32> {
        self.number += 1;
        Report { driver: self.name, number: self.number, seen: self.seen, at: self.at, says }
    }

    fn is_idle(&self) -> bool {
        self.accepted.is_none() && self.riding.is_none() && !self.hailed
    }

    /// Says how he is.
    pub(super) fn beat(&mut self) -> Report<u32> {
        let says = if self.is_idle() { Says::Free } else { Says::Busy };
        self.report(says)
    }

    /// Picks somebody up from the street, or lets him out.
    pub(super) fn hail(&mut self) -> Option<Report<u32>> {
        if self.is_idle() || self.hailed {
            self.hailed = !self.hailed;
            return Some(self.beat());
        }
        None
    }

    /// Ends his ride.
    pub(super) fn finish(&mut self) -> Option<Report<u32>> {
        self.riding.take()?;
        Some(self.beat())
    }

    pub(super) fn go_home(&mut self) -> Option<Report<u32>> {
        if !self.is_idle() {
            return None;
        }
        // Whoever asks him now is refused, until he is back.
        self.hailed = true;
        Some(self.report(Says::Gone))
    }

    /// Hears something, and answers it or, with `answers` false, only remembers.
    pub(super) fn hear(&mut self, event: &Event<u32, u32>, answers: bool) -> Option<Report<u32>> {
        match event {
            Event::Offered(offer) => {
                assert!(offer.lease > self.seen, "leases grow: {offer:?} after {}", self.seen);
                self.seen = offer.lease;
                assert!(self.riding.is_none(), "{offer:?} to one who rides {:?}", self.riding);
                assert!(
                    self.accepted.is_none(),
                    "{offer:?} to one who waits for {:?}",
                    self.accepted
                );
                if !answers {
                    return None;
                }
                if self.hailed {
                    return Some(self.report(Says::Refuse));
                }
                let accept = self.report(Says::Accept);
                self.accepted = Some(offer.lease);
                Some(accept)
            }
            Event::Matched(offer) => {
                assert!(self.riding.is_none(), "{offer:?} to one who rides {:?}", self.riding);
                self.seen = self.seen.max(offer.lease);
                // He was asked before, or is not asked at all.
                let asked = self.accepted.take();
                assert!(
                    asked.is_none_or(|lease| lease == offer.lease),
                    "{offer:?} after {asked:?}"
                );
                if self.hailed {
                    return Some(self.report(Says::Refuse));
                }
                self.riding = Some(offer.lease);
                None
            }
            Event::Passed { lease, .. }
            | Event::Withdrawn { lease, .. }
            | Event::TooLate { lease, .. } => {
                if self.accepted == Some(*lease) {
                    self.accepted = None;
                    return answers.then(|| self.beat());
                }
                None
            }
            Event::RideCancelled { lease, .. } | Event::Lost { lease, .. } => {
                if self.riding == Some(*lease) {
                    self.riding = None;
                }
                answers.then(|| self.beat())
            }
            _ => None,
        }
    }
}

/// Whom an event tells something as a driver.
pub(super) fn driver_of(event: &Event<u32, u32>) -> Option<u32> {
    match event {
        Event::Offered(offer) | Event::Matched(offer) => Some(offer.driver),
        Event::Passed { driver, .. }
        | Event::Withdrawn { driver, .. }
        | Event::TooLate { driver, .. }
        | Event::Lost { driver, .. }
        | Event::RideCancelled { driver, .. } => Some(*driver),
        _ => None,
    }
}

/// What must hold of the events alone, in the order in which they are told.
#[derive(Default)]
pub(super) struct Books {
    asked: BTreeMap<u32, Instant>,
    answered: BTreeSet<u32>,
    /// Each driver's offer or match that has not ended.
    holds: BTreeMap<u32, (Lease, u32)>,
    lost: BTreeSet<Lease>,
    pub(super) matches: u64,
}

impl Books {
    pub(super) fn ask(&mut self, rider: u32, at: Instant) {
        assert!(self.asked.insert(rider, at).is_none(), "a rider asks once in these tests");
    }

    pub(super) fn unanswered(&self) -> usize {
        self.asked.len() - self.answered.len()
    }

    /// The request ends; how long after its arrival.
    fn answer(&mut self, rider: u32, now: Instant) -> Duration {
        assert!(self.answered.insert(rider), "{rider} was answered twice");
        now.duration_since(self.asked[&rider])
    }

    /// An event is told. Gives how long a request took that it ends.
    pub(super) fn enter(&mut self, event: &Event<u32, u32>, now: Instant) -> Option<Duration> {
        match event {
            Event::Offered(offer) => {
                let before = self.holds.insert(offer.driver, (offer.lease, offer.rider));
                assert_eq!(before, None, "{offer:?}: given away already");
                None
            }
            Event::Matched(offer) => {
                let hold = self.holds.insert(offer.driver, (offer.lease, offer.rider));
                let is_his = hold.is_none_or(|hold| hold == (offer.lease, offer.rider));
                assert!(is_his, "{offer:?} after {hold:?}");
                self.matches += 1;
                Some(self.answer(offer.rider, now))
            }
            Event::Passed { driver, lease, .. } | Event::Withdrawn { driver, lease } => {
                // He may have refused already.
                let hold = self.holds.remove(driver);
                assert!(hold.is_none_or(|hold| hold.0 == *lease), "{event:?} after {hold:?}");
                None
            }
            Event::Lost { driver, lease, rider, .. } => {
                assert!(self.lost.insert(*lease), "{rider} was told twice: {event:?}");
                // He may have ended the ride, and be given to another, while what he said of this one was under way.
                if self.holds.get(driver) == Some(&(*lease, *rider)) {
                    self.holds.remove(driver);
                }
                None
            }
            // He has no rider from here on, though he may not be free yet.
            Event::RideCancelled { driver, .. } => {
                self.holds.remove(driver);
                None
            }
            Event::Ended { rider, .. } => Some(self.answer(*rider, now)),
            _ => None,
        }
    }

    /// A driver ends his ride, or refuses it; only he knows.
    pub(super) fn finish(&mut self, driver: u32) {
        self.holds.remove(&driver);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask {
        metres: i32,
    },
    Cancel(usize),
    Beat(usize),
    Move(usize, i32),
    Hail(usize),
    Finish(usize),
    GoHome(usize),
    /// A report arrives, any of those under way; it may stay under way.
    Arrive {
        which: usize,
        again: bool,
    },
    /// A driver hears what he was told, in order.
    Hear {
        driver: usize,
        answers: bool,
    },
    Wait(u64),
    Policy(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    let metres = -3000_i32..3000;
    let driver = || 0_usize..DRIVERS;
    prop_oneof![
        4 => metres.clone().prop_map(|metres| Step::Ask { metres }),
        1 => (0_usize..8).prop_map(Step::Cancel),
        4 => driver().prop_map(Step::Beat),
        1 => (driver(), metres).prop_map(|(driver, metres)| Step::Move(driver, metres)),
        1 => driver().prop_map(Step::Hail),
        3 => driver().prop_map(Step::Finish),
        1 => driver().prop_map(Step::GoHome),
        12 => (0_usize..6, prop::bool::weighted(0.3))
            .prop_map(|(which, again)| Step::Arrive { which, again }),
        10 => (driver(), prop::bool::weighted(0.9))
            .prop_map(|(driver, answers)| Step::Hear { driver, answers }),
        3 => (0_u64..400).prop_map(Step::Wait),
        1 => (0_usize..4).prop_map(Step::Policy),
    ]
}

const DRIVERS: usize = 3;

/// The rules that are changed between.
pub(super) fn policy(number: usize) -> Policy {
    let default = Policy::default();
    match number {
        0 => default,
        1 => Policy { lease: None, ..default },
        2 => Policy { gather: Duration::from_millis(50), near_m: 2000.0, ..default },
        _ => Policy {
            window: Duration::from_millis(20),
            lease: Some(Duration::from_millis(30)),
            ..default
        },
    }
}

pub(super) fn place(metres: i32) -> Point {
    Point::new(40.0, 10.0).unwrap().moved(0.0, f64::from(metres))
}

struct World {
    decider: Decider<u32, u32>,
    now: Instant,
    drivers: Vec<Honest>,
    /// On their way to the dispatcher.
    line: Vec<Report<u32>>,
    /// On their way to each driver.
    told: Vec<Vec<Event<u32, u32>>>,
    books: Books,
    riders: u32,
}

impl World {
    fn new(first: usize) -> Self {
        let driver = |name: usize| Honest::new(name as u32, place(name as i32 * 700 - 700));
        Self {
            decider: Decider::new(policy(first), 1).unwrap(),
            now: Instant::now(),
            drivers: (0..DRIVERS).map(driver).collect(),
            line: Vec::new(),
            told: vec![Vec::new(); DRIVERS],
            books: Books::default(),
            riders: 0,
        }
    }

    fn on(&mut self, input: Input<u32, u32>) {
        self.decider.on(self.now, input);
        self.tell();
    }

    fn tell(&mut self) {
        while let Some(event) = self.decider.next_event() {
            if let Some(took) = self.books.enter(&event, self.now) {
                assert!(took <= Duration::from_millis(1200), "{event:?} after {took:?}");
            }
            if let Some(driver) = driver_of(&event) {
                self.told[driver as usize].push(event);
            }
        }
    }

    fn wait(&mut self, ms: u64) {
        let then = self.now + Duration::from_millis(ms);
        while let Some(due) = self.decider.next_due().filter(|due| *due <= then) {
            self.now = self.now.max(due);
            self.decider.advance(self.now);
            self.tell();
        }
        self.now = then;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask { metres } => {
                self.books.ask(self.riders, self.now);
                let (rider, pickup, arrived) = (self.riders, place(metres), self.now);
                self.riders += 1;
                self.on(Input::Request { rider, pickup, arrived });
            }
            Step::Cancel(back) => {
                let rider = self.riders.saturating_sub(1 + back as u32);
                self.on(Input::Cancel(rider));
            }
            Step::Beat(driver) => {
                let report = self.drivers[driver].beat();
                self.line.push(report);
            }
            Step::Move(driver, metres) => self.drivers[driver].at = place(metres),
            Step::Hail(driver) => self.line.extend(self.drivers[driver].hail()),
            Step::Finish(driver) => {
                if let Some(report) = self.drivers[driver].finish() {
                    self.books.finish(driver as u32);
                    self.line.push(report);
                }
            }
            Step::GoHome(driver) => self.line.extend(self.drivers[driver].go_home()),
            Step::Arrive { which, again } => {
                if self.line.is_empty() {
                    return;
                }
                let which = which % self.line.len();
                let report = if again { self.line[which] } else { self.line.remove(which) };
                self.on(Input::Report(report));
            }
            Step::Hear { driver, answers } => {
                if self.told[driver].is_empty() {
                    return;
                }
                let event = self.told[driver].remove(0);
                let answer = self.drivers[driver].hear(&event, answers);
                if answer.is_some_and(|it| it.says == Says::Refuse) {
                    self.books.finish(driver as u32);
                }
                self.line.extend(answer);
            }
            Step::Wait(ms) => self.wait(ms),
            Step::Policy(number) => self.on(Input::Policy(policy(number))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn nobody_is_given_twice_and_everybody_is_answered(
        first in 0_usize..4,
        steps in prop::collection::vec(steps(), 1..150),
    ) {
        let mut world = World::new(first);
        for step in steps {
            world.step(step);
        }
        world.wait(1200);
        prop_assert_eq!(world.books.unanswered(), 0);
        let counters = world.decider.counters();
        prop_assert_eq!((counters.missed, counters.waiting), (0, 0));
        prop_assert_eq!(
            counters.matched_near + counters.matched_wide + counters.matched_backup,
            world.books.matches
        );
    }
}

/// The judge finds it when drivers do not say what they have seen: then a report that was late frees them.
#[test]
fn a_driver_who_claims_to_have_seen_everything_is_given_twice() {
    let mut world = World::new(0);
    let lie = |mut report: Report<u32>| {
        report.seen = Lease::MAX;
        report
    };
    world.step(Step::Beat(0));
    world.step(Step::Arrive { which: 0, again: false });
    world.step(Step::Ask { metres: -700 });
    // Says that he is free, and only then hears of the offer.
    let late = lie(world.drivers[0].beat());
    let later = lie(world.drivers[0].beat());
    world.step(Step::Hear { driver: 0, answers: true });
    world.step(Step::Arrive { which: 0, again: false });
    world.step(Step::Hear { driver: 0, answers: true });
    world.decider.on(world.now, Input::Report(late));
    assert_eq!(world.decider.next_event(), None, "its number is too small");
    let number = later.number + 5;
    world.decider.on(world.now, Input::Report(Report { number, ..later }));
    world.books.finish(0);
    world.step(Step::Ask { metres: -700 });
    let told = world.told[0].last().cloned().unwrap();
    assert!(matches!(told, Event::Offered(_)));
    let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.drivers[0].hear(&told, true);
    }));
    assert!(judged.is_err(), "he rides already");
}
