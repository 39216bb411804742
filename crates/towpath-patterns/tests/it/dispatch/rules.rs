//! The rules, as scripts: who asks, who drives, what is told.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use towpath_patterns::dispatch::{
    BadPolicy, Decider, Ended, Event, Geofence, Input, Passed, Point, Policy, Report, Says, Stage,
};

type Name = &'static str;

/// A street from west to east; places are metres along it.
struct Street {
    decider: Decider<Name, Name>,
    begun: Instant,
    now: Instant,
}

impl Street {
    fn new(policy: Policy) -> Self {
        let begun = Instant::now();
        Self { decider: Decider::new(policy, 1).unwrap(), begun, now: begun }
    }

    fn at(metres: f64) -> Point {
        Point::new(40.0, 10.0).unwrap().moved(0.0, metres)
    }

    /// Lets time pass, timer by timer.
    fn until(&mut self, ms: u64) {
        let then = self.begun + Duration::from_millis(ms);
        while let Some(due) = self.decider.next_due().filter(|due| *due <= then) {
            self.now = self.now.max(due);
            self.decider.advance(self.now);
        }
        self.now = then;
    }

    /// One line of a script: `@300` lets time pass; `Bob asks 200`, `Bob cancels`; `Ada 1 0 500 free` is a report with its number, the
    /// lease that was seen and the place.
    fn step(&mut self, line: &'static str) {
        let words: Vec<&'static str> = line.split_whitespace().collect();
        let input = match words[..] {
            [time] => return self.until(time.trim_start_matches('@').parse().unwrap()),
            [rider, "asks", metres] => Input::Request {
                rider,
                pickup: Self::at(metres.parse().unwrap()),
                arrived: self.now,
            },
            [rider, "cancels"] => Input::Cancel(rider),
            [driver, number, seen, metres, says] => Input::Report(Report {
                driver,
                number: number.parse().unwrap(),
                seen: seen.parse().unwrap(),
                at: Self::at(metres.parse().unwrap()),
                says: match says {
                    "free" => Says::Free,
                    "busy" => Says::Busy,
                    "gone" => Says::Gone,
                    "accepts" => Says::Accept,
                    "refuses" => Says::Refuse,
                    _ => panic!("{line}"),
                },
            }),
            _ => panic!("{line}"),
        };
        self.decider.on(self.now, input);
    }

    /// What is told, in words.
    fn told(&mut self) -> String {
        let mut told = Vec::new();
        while let Some(event) = self.decider.next_event() {
            told.push(match event {
                Event::Offered(it) => {
                    format!(
                        "{}>{} {} {} {:.0}m",
                        it.rider, it.driver, it.lease, it.stage, it.distance_m
                    )
                }
                Event::Matched(it) => {
                    let ms = it.waited.as_millis();
                    format!("{}={} {} {} {ms}ms", it.rider, it.driver, it.lease, it.stage)
                }
                Event::Passed { rider, driver, lease, why } => {
                    format!("{rider}/{driver} {lease} {why:?}")
                }
                Event::Withdrawn { driver, lease } => format!("{driver} {lease} withdrawn"),
                Event::TooLate { driver, lease } => format!("{driver} {lease} too late"),
                Event::Backup { rider, waited } => {
                    format!("{rider} backup {}ms", waited.as_millis())
                }
                Event::Ended { rider, waited, why } => {
                    format!("{rider} {why:?} {}ms", waited.as_millis())
                }
                Event::Lost { rider, driver, why, .. } => format!("{rider} lost {driver} {why:?}"),
                Event::RideCancelled { rider, driver, .. } => format!("{driver} without {rider}"),
                Event::PolicyInForce(number) => format!("policy {number}"),
                other => format!("{other:?}"),
            });
        }
        told.join(", ")
    }
}

/// Runs a script of `line -> what is told`, by the default policy.
fn check(script: &'static str) {
    check_with(Policy::default(), script);
}

fn check_with(policy: Policy, script: &'static str) {
    let mut street = Street::new(policy);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (step, told) = line.split_once("->").unwrap_or((line, ""));
        street.step(step);
        assert_eq!(street.told(), told.trim(), "after `{step}` of {script}");
    }
    assert_eq!(street.decider.counters().missed, 0);
}

#[test]
fn the_nearest_who_is_near_is_asked_at_once() {
    check(
        "Ada 1 0 500 free
         Eve 1 0 900 free
         Ulf 1 0 -300 free
         Bob asks 0              -> Bob>Ulf 1 near 300m
         Joe asks 0              -> Joe>Ada 2 near 500m
         @10
         Ulf 2 1 -250 accepts    -> Bob=Ulf 1 near 10ms
         Ada 2 2 500 refuses     -> Joe/Ada 2 Refused, Joe>Eve 3 near 900m
         Eve 2 3 900 accepts     -> Joe=Eve 3 near 10ms",
    );
}

#[test]
fn within_the_window_only_who_is_near_will_do() {
    check(
        "Ada 1 0 2000 free
         Bob asks 0
         Eve 1 0 1500 free
         @200
         Eve 2 0 800 free        -> Bob>Eve 1 near 800m",
    );
}

#[test]
fn after_the_window_the_circle_is_wider() {
    check(
        "Ada 1 0 2000 free
         Eve 1 0 5500 free
         Bob asks 0
         @299
         @300                    -> Bob>Ada 1 wide 2000m
         Ada 2 1 2000 refuses    -> Bob/Ada 1 Refused, Bob backup 300ms
         Eve 2 0 4900 free       -> Bob>Eve 2 backup 4900m
         Eve 3 2 4900 accepts    -> Bob=Eve 2 backup 300ms",
    );
}

#[test]
fn who_finds_nobody_is_told_before_the_deadline() {
    check(
        "Bob asks 0
         @1174                   -> Bob backup 300ms
         @1175                   -> Bob Late 1175ms
         Ada 1 0 0 free
         @5000",
    );
}

#[test]
fn the_backup_queue_is_served_in_order_but_a_near_rider_first() {
    check(
        "Bob asks 0
         @1
         Joe asks 3000
         @301                    -> Bob backup 300ms, Joe backup 300ms
         Ada 1 0 1500 free       -> Bob>Ada 1 backup 1500m
         Eve 1 0 1500 free       -> Joe>Eve 2 backup 1500m
         Zoe asks 9000
         Ada 2 1 1500 refuses    -> Bob/Ada 1 Refused
         Eve 2 2 1500 refuses    -> Joe/Eve 2 Refused, Joe>Ada 3 backup 1500m, Bob>Eve 4 backup 1500m
         Uli 1 0 9100 free       -> Zoe>Uli 5 near 100m",
    );
}

#[test]
fn who_does_not_answer_is_not_asked_until_he_says_something() {
    check(
        "Ada 1 0 100 free
         Bob asks 0              -> Bob>Ada 1 near 100m
         @250                    -> Bob/Ada 1 Silent
         Joe asks 0
         Ada 2 0 100 free        -> Joe>Ada 2 near 100m
         Ada 3 1 100 accepts     -> Ada 1 too late
         Ada 4 2 100 accepts     -> Joe=Ada 2 near 0ms
         @1500                   -> Bob backup 300ms, Bob Late 1175ms",
    );
}

#[test]
fn a_lease_ends_at_its_time_though_nobody_looks() {
    let mut street = Street::new(Policy::default());
    street.step("Ada 1 0 100 free");
    street.step("Bob asks 0");
    assert_eq!(street.told(), "Bob>Ada 1 near 100m");
    street.now += Duration::from_millis(250);
    street.step("Ada 2 1 100 accepts");
    assert_eq!(street.told(), "Bob/Ada 1 Silent, Ada 1 too late");
}

#[test]
fn a_late_free_does_not_give_a_driver_away_twice() {
    check(
        "Ada 1 0 100 free
         Bob asks 0              -> Bob>Ada 1 near 100m
         Ada 2 1 100 accepts     -> Bob=Ada 1 near 0ms
         Ada 1 0 100 free
         Ada 3 0 100 free
         Joe asks 0
         Ada 4 1 200 free        -> Joe>Ada 2 near 200m
         Ada 2 1 100 accepts
         Ada 4 1 200 free",
    );
}

#[test]
fn an_answer_counts_by_its_lease_though_it_was_overtaken() {
    check(
        "Ada 1 0 100 free
         Bob asks 0              -> Bob>Ada 1 near 100m
         Ada 3 1 110 busy
         Ada 2 1 100 accepts     -> Bob=Ada 1 near 0ms
         Ada 2 1 100 accepts
         Ada 4 1 900 free
         Joe asks 0              -> Joe>Ada 2 near 900m
         Ada 5 2 900 refuses     -> Joe/Ada 2 Refused
         Ada 5 2 900 refuses
         Zoe asks 0              -> Zoe>Ada 3 near 900m",
    );
}

#[test]
fn who_is_busy_or_gone_is_not_waited_for() {
    check(
        "Ada 1 0 100 free
         Eve 1 0 200 free
         Bob asks 0              -> Bob>Ada 1 near 100m
         Ada 2 0 100 busy        -> Bob/Ada 1 Busy, Bob>Eve 2 near 200m
         Eve 2 0 200 gone        -> Bob/Eve 2 Gone
         Eve 1 0 200 free
         Ada 3 1 100 free
         Joe asks 100            -> Joe>Ada 3 near 0m
         Ada 4 3 100 accepts     -> Joe=Ada 3 near 0ms
         Ada 5 3 100 gone        -> Joe lost Ada Gone
         Joe asks 100",
    );
}

#[test]
fn a_driver_may_give_a_match_up() {
    check(
        "Ada 1 0 100 free
         Bob asks 0              -> Bob>Ada 1 near 100m
         Ada 2 1 100 accepts     -> Bob=Ada 1 near 0ms
         Ada 3 1 100 refuses     -> Bob lost Ada Refused
         Bob asks 0
         Ada 4 1 100 free        -> Bob>Ada 2 near 100m
         Ada 5 2 100 accepts     -> Bob=Ada 2 near 0ms
         Ada 7 2 100 free
         Ada 6 2 100 refuses     -> Bob lost Ada Refused
         Ada 6 2 100 refuses",
    );
}

#[test]
fn a_rider_may_cancel_at_any_time() {
    check(
        "Bob cancels
         Bob asks 0
         Bob cancels             -> Bob Cancelled 0ms
         Ada 1 0 100 free
         Bob asks 0              -> Bob>Ada 1 near 100m
         Joe asks 0
         Bob cancels             -> Ada 1 withdrawn, Bob Cancelled 0ms, Joe>Ada 2 near 100m
         Ada 2 1 100 accepts     -> Ada 1 too late
         Ada 3 2 100 accepts     -> Joe=Ada 2 near 0ms
         Joe cancels             -> Ada without Joe
         Joe cancels
         Zoe asks 0
         Ada 4 2 100 free        -> Zoe>Ada 3 near 100m
         @1175                   -> Zoe/Ada 3 Silent, Zoe backup 300ms, Zoe Late 1175ms",
    );
}

#[test]
fn an_offer_ends_with_the_time_of_its_rider() {
    check(
        "Bob asks 0
         @1100                   -> Bob backup 300ms
         Ada 1 0 100 free        -> Bob>Ada 1 backup 100m
         @1175                   -> Ada 1 withdrawn, Bob Late 1175ms
         Ada 2 1 100 accepts     -> Ada 1 too late
         Joe asks 0              -> Joe>Ada 2 near 100m",
    );
}

#[test]
fn who_is_matched_or_waits_does_not_ask_again() {
    check(
        "Bob asks 0
         Bob asks 5              -> Bob Duplicate 0ms
         Ada 1 0 100 free        -> Bob>Ada 1 near 100m
         Ada 2 1 100 accepts     -> Bob=Ada 1 near 0ms
         Bob asks 5              -> Bob Duplicate 0ms
         Ada 3 1 100 free
         Bob asks 5              -> Bob>Ada 2 near 95m",
    );
}

#[test]
fn no_more_wait_than_may() {
    let policy = Policy { waiting_max: 2, ..Policy::default() };
    check_with(
        policy,
        "Bob asks 0
         Joe asks 0
         Zoe asks 0              -> Zoe Full 0ms
         Joe cancels             -> Joe Cancelled 0ms
         Zoe asks 0",
    );
    let policy = Policy { drivers_max: 1, ..Policy::default() };
    check_with(
        policy,
        "Ada 1 0 100 busy
         Eve 1 0 100 free
         Bob asks 0",
    );
}

#[test]
fn who_has_said_nothing_for_long_is_not_asked() {
    check(
        "Ada 1 0 100 free
         Eve 1 0 200 free
         @29999
         Eve 2 0 200 free
         @30000
         Bob asks 0              -> Bob>Eve 1 near 200m
         Eve 3 1 200 accepts     -> Bob=Eve 1 near 0ms
         @500000
         Joe asks 0
         Eve 4 0 200 free
         Ada 2 0 100 free        -> Joe>Ada 2 near 100m",
    );
}

#[test]
fn who_is_silent_or_gone_is_forgotten_in_time() {
    let mut street = Street::new(Policy::default());
    street.step("Ada 1 0 100 free");
    street.step("Eve 1 0 100 gone");
    assert_eq!(street.decider.counters().drivers, 2);
    street.until(89_999);
    assert_eq!((street.decider.counters().drivers, street.decider.counters().drivers_free), (2, 0));
    street.until(90_000);
    assert_eq!(street.decider.counters().drivers, 0);
    assert_eq!(street.decider.next_due(), None);
    street.step("Ada 1 0 100 free");
    assert_eq!(street.decider.counters().drivers_free, 1);
}

#[test]
fn without_a_lease_drivers_are_not_asked() {
    check_with(
        Policy { lease: None, ..Policy::default() },
        "Ada 1 0 100 free
         Bob asks 0              -> Bob=Ada 1 near 0ms
         Ada 2 0 100 free
         Joe asks 0
         Ada 3 1 100 busy
         Ada 4 1 300 free        -> Joe=Ada 2 near 0ms
         Ada 5 1 300 busy
         Ada 6 2 300 refuses     -> Joe lost Ada Refused",
    );
}

fn square(half_m: f64) -> Geofence {
    let center = Street::at(0.0);
    let corners = [(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)];
    Geofence::polygon(corners.map(|(north, east)| center.moved(north * half_m, east * half_m)))
        .unwrap()
}

#[test]
fn outside_of_the_geofence_nobody_is_picked_up_or_taken() {
    check_with(
        Policy { geofence: square(1000.0), ..Policy::default() },
        "Bob asks 1100           -> Bob OutsideGeofence 0ms
         Ada 1 0 1010 free
         Eve 1 0 100 free
         Bob asks 950            -> Bob>Eve 1 near 850m
         Eve 2 1 100 refuses     -> Bob/Eve 1 Refused
         @300                    -> Bob backup 300ms
         Ada 2 0 1020 free
         Ada 3 0 990 free        -> Bob>Ada 2 backup 40m",
    );
}

#[test]
fn a_policy_changes_for_those_who_wait() {
    let mut street = Street::new(Policy::default());
    let expect = |street: &mut Street, step: Option<&'static str>, told: &str| {
        if let Some(step) = step {
            street.step(step);
        }
        assert_eq!(street.told(), told, "after {step:?}");
    };
    expect(&mut street, Some("Ada 1 0 2000 free"), "");
    expect(&mut street, Some("Bob asks 0"), "");
    expect(&mut street, Some("Joe asks 8000"), "");
    // A larger near circle.
    let wider = Policy { near_m: 2500.0, ..Policy::default() };
    street.decider.on(street.now, Input::Policy(wider));
    expect(&mut street, Some("@0"), "policy 1, Bob>Ada 1 near 2000m");
    // Somebody who waits is outside now.
    let fenced = Policy { geofence: square(3000.0), ..Policy::default() };
    street.decider.on(street.now, Input::Policy(fenced));
    expect(&mut street, Some("@0"), "policy 2, Joe OutsideGeofence 0ms");
    expect(&mut street, Some("Ada 2 1 2000 refuses"), "Bob/Ada 1 Refused");
    // A shorter window begins at once; the deadline is the one that was promised.
    let short = Policy {
        window: Duration::from_millis(50),
        deadline: Duration::from_millis(500),
        ..Policy::default()
    };
    street.decider.on(street.now, Input::Policy(short));
    expect(&mut street, Some("@49"), "policy 3");
    expect(&mut street, Some("@50"), "Bob backup 50ms");
    expect(&mut street, Some("Zoe asks 0"), "");
    expect(&mut street, Some("@100"), "Zoe>Ada 2 wide 2000m");
    expect(&mut street, Some("@525"), "Zoe/Ada 2 Silent, Zoe backup 300ms, Zoe Late 475ms");
    expect(&mut street, Some("@1175"), "Bob Late 1175ms");
    // One that cannot be followed changes nothing.
    let wrong = Policy { waiting_max: 0, ..Policy::default() };
    street.decider.on(street.now, Input::Policy(wrong));
    assert_eq!(street.decider.next_event(), Some(Event::PolicyRefused(BadPolicy::Capacity)));
    assert_eq!(street.decider.policy().window, Duration::from_millis(50));
}

#[test]
fn those_who_are_gathered_share_the_drivers_best() {
    let policy = || Policy { gather: Duration::from_millis(100), ..Policy::default() };
    // One after the other Bob would take Ada, who is nearer, and Joe would have nobody near.
    check_with(
        policy(),
        "Ada 1 0 -300 free
         Eve 1 0 500 free
         Bob asks 0
         @40
         Joe asks -1200
         @99
         @100                    -> Bob>Eve 1 near 500m, Joe>Ada 2 near 900m
         Eve 2 1 0 accepts       -> Bob=Eve 1 near 100ms
         Ada 2 2 0 refuses       -> Joe/Ada 2 Refused
         Zoe asks 0
         @120
         Zoe cancels             -> Zoe Cancelled 20ms
         @150
         Zoe asks -300
         @249
         @250                    -> Zoe>Ada 3 near 300m",
    );
    check(
        "Ada 1 0 -300 free
           Eve 1 0 500 free
           Bob asks 0            -> Bob>Ada 1 near 300m
           Joe asks -1200",
    );
}

#[test]
fn a_request_that_comes_too_late_is_late() {
    let mut street = Street::new(Policy::default());
    street.step("Ada 1 0 0 free");
    let (arrived, pickup) = (street.now, Street::at(0.0));
    street.until(1176);
    street.decider.on(street.now, Input::Request { rider: "Bob", pickup, arrived });
    assert_eq!(street.told(), "Bob Late 1176ms");
    street.until(1201);
    street.decider.on(street.now, Input::Request { rider: "Bob", pickup, arrived });
    assert_eq!(street.told(), "Bob Late 1201ms");
    let counters = street.decider.counters();
    assert_eq!((counters.late, counters.missed, counters.missed_us_max), (2, 1, 1000));
}

#[test]
fn who_stops_tells_everybody() {
    let mut street = Street::new(Policy::default());
    for step in
        ["Ada 1 0 100 free", "Bob asks 0", "Joe asks 0", "Ada 2 1 100 accepts", "Zoe asks 0"]
    {
        street.step(step);
    }
    street.step("Eve 1 0 100 free");
    street.told();
    street.decider.stop(street.now);
    assert_eq!(street.told(), "Eve 2 withdrawn, Joe Stopped 0ms, Zoe Stopped 0ms");
    assert_eq!(street.decider.counters().waiting, 0);
}

#[test]
fn every_reason_says_what_to_do() {
    let reasons =
        [Ended::Late, Ended::OutsideGeofence, Ended::Full, Ended::Duplicate, Ended::Stopped];
    for reason in reasons {
        assert!(reason.to_string().contains(';'), "{reason}: and what now?");
    }
    let counters: BTreeMap<_, _> =
        Street::new(Policy::default()).decider.counters().iter().collect();
    assert!(counters.contains_key("missed") && counters.contains_key("matched_near"));
    assert_eq!(
        (Passed::Gone.to_string(), Stage::Wide.to_string()),
        ("the driver has gone home".into(), "wide".into())
    );
}
