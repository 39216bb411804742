//! Sizes and replays as values: against what is computed by hand, and against a slow and simple simulation.

use std::time::Duration;

use proptest::prelude::*;
use towpath_patterns::pool::{
    Policy, Sizing, Tally,
    replay::{Bill, KeepAlive, Keeper, Request, Sized, replay},
};

const SECOND: Duration = Duration::from_secs(1);

/// A tick in which so many arrived, found something or not, and were served for so long.
fn tally(arrivals: u64, misses: u64, lasted: Duration, peak: usize) -> Tally {
    let mut tally = Tally::default();
    for n in 0..arrivals {
        tally.arrived(n >= misses, peak);
        tally.served(lasted);
    }
    tally
}

#[test]
fn the_formula_is_littles_law() {
    let mut sizing = Sizing::new(Policy::formula());
    let mut plan = sizing.tick(&Tally::default());
    assert_eq!(plan.size, 0);
    // Ten a second for two seconds each: 20 in use in the mean, and half as much again. After twenty minutes it is known.
    for _ in 0..240 {
        plan = sizing.tick(&tally(50, 0, 2 * SECOND, 20));
    }
    // Service times are known to a sixteenth.
    assert!((30..=32).contains(&plan.needed), "{plan:?}");
    assert_eq!((plan.size, plan.expected, plan.margin), (plan.needed, 0, 1.5));
    // They stop coming: half after a minute.
    for _ in 0..12 {
        plan = sizing.tick(&Tally::default());
    }
    assert!((15..=17).contains(&plan.size), "{plan:?}");
}

#[test]
fn the_95th_percentile_counts_and_not_the_mean() {
    let mut sizing = Sizing::new(Policy::formula());
    let mut mixed = tally(90, 0, Duration::from_millis(10), 4);
    (0..10).for_each(|_| mixed.served(3 * SECOND));
    let plan = (0..600).fold(None, |_, _| Some(sizing.tick(&mixed))).unwrap();
    // 18 a second for 3 seconds each, and half as much again.
    assert!((80..=88).contains(&plan.needed), "{plan:?}");
}

#[test]
fn misses_lower_the_thrift_and_their_absence_raises_it() {
    let mut sizing = Sizing::new(Policy { pause_max: Duration::ZERO, ..Policy::default() });
    let first = sizing.tick(&tally(50, 50, SECOND, 10));
    assert!(first.margin > 1.5);
    let mut last = first;
    for _ in 0..2_000 {
        let next = sizing.tick(&tally(50, 0, SECOND, 10));
        assert!(next.margin <= last.margin);
        last = next;
    }
    assert!(last.margin < 0.1, "{last:?}");
    for _ in 0..2_000 {
        last = sizing.tick(&tally(1, 1, SECOND, 10));
    }
    assert!(last.margin > 10.0, "{last:?}");
}

#[test]
fn limits_hold_whatever_comes() {
    let mut sizing = Sizing::new(Policy { min: 3, max: 7, ..Policy::default() });
    assert_eq!(sizing.tick(&Tally::default()).size, 3);
    for _ in 0..100 {
        assert!((3..=7).contains(&sizing.tick(&tally(500, 500, 9 * SECOND, 900)).size));
    }
}

/// Every ten minutes eight are wanted for a tick: after some of these it knows, is ready before, and does not keep them all the
/// while.
#[test]
fn what_comes_back_is_expected() {
    let policy = Policy { misses: None, margin: 0.0, ..Policy::default() };
    let mut sizing = Sizing::new(policy);
    let (mut ready, mut warm) = (0, 0);
    for n in 0..4_800 {
        let bursts = n % 120 == 119;
        let before = sizing.clone().tick(&Tally::default()).expected;
        let plan =
            sizing.tick(&if bursts { tally(8, 0, SECOND, 8) } else { tally(1, 0, SECOND, 1) });
        if n >= 2_400 {
            ready += u32::from(bursts && before >= 8);
            warm += u32::from(plan.expected >= 8);
        }
    }
    assert_eq!(ready, 20, "before each of twenty bursts");
    assert!(warm <= 20 * 30, "{warm} of 2,400 ticks warm");
}

/// The same, by a list of instances and tenths of a second, one after the other.
fn slowly(requests: &[Request], making: u64, keeper: &mut impl Keeper) -> Bill {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Busy(u64),
        Coming(u64),
        Idle(u64),
    }
    let tenth = |time: Duration| time.as_millis() as u64 / 100;
    let (every, ttl) = (tenth(keeper.every()), tenth(keeper.ttl()));
    let mut all: Vec<State> = Vec::new();
    let mut tally = Tally::default();
    let mut queue = requests.iter().peekable();
    let (mut cold, mut held, mut used, mut made) = (0, 0, 0, 0);
    for now in 0.. {
        // Ends before ticks, ticks before arrivals.
        for state in &mut all {
            match *state {
                State::Busy(end) | State::Coming(end) if end <= now => *state = State::Idle(end),
                _ => {}
            }
        }
        if now > 0 && now % every == 0 {
            let busy = all.iter().filter(|it| matches!(it, State::Busy(_))).count();
            let size = keeper.size(&std::mem::take(&mut tally));
            // What was in use over the tick's edge belongs to the next.
            tally.in_use(busy);
            while all.len() > size {
                let oldest = all.iter().enumerate().filter_map(|(at, it)| match it {
                    State::Idle(since) => Some((*since, at)),
                    _ => None,
                });
                let Some((since, at)) = oldest.min() else { break };
                if now - since < ttl {
                    break;
                }
                all.remove(at);
            }
            while all.len() < size {
                all.push(State::Coming(now + making));
                made += 1;
            }
        }
        while queue.peek().is_some_and(|it| tenth(it.at) <= now) {
            let Some(request) = queue.next() else { break };
            let lasts = tenth(request.lasts);
            used += lasts;
            let busy = all.iter().filter(|it| matches!(it, State::Busy(_))).count();
            let youngest = all.iter().enumerate().filter_map(|(at, it)| match it {
                State::Idle(since) => Some((*since, at)),
                _ => None,
            });
            let hit = youngest.max().map(|(_, at)| at);
            tally.arrived(hit.is_some(), busy + 1);
            tally.served(request.lasts);
            match hit {
                Some(at) => all[at] = State::Busy(now + lasts),
                None => {
                    cold += 1;
                    made += 1;
                    all.push(State::Busy(now + making + lasts));
                }
            }
        }
        if queue.peek().is_none() && !all.iter().any(|it| matches!(it, State::Busy(_))) {
            break;
        }
        held += all.len() as u64;
    }
    let mut bill = Bill::default();
    (bill.requests, bill.cold, bill.made) = (requests.len() as u64, cold, made);
    (bill.held, bill.used) = (held as f64 / 10.0, used as f64 / 10.0);
    bill
}

/// Requests on whole tenths of a second.
fn requests() -> impl Strategy<Value = Vec<Request>> {
    prop::collection::vec((0_u64..40, 1_u64..300), 1..120).prop_map(|steps| {
        let tenths = |n| Duration::from_millis(100 * n);
        let mut at = 0;
        let each = steps.into_iter().map(|(pause, lasts)| {
            at += pause;
            Request { at: tenths(at), lasts: tenths(lasts) }
        });
        each.collect()
    })
}

fn same(fast: Bill, slow: Bill) -> Result<(), TestCaseError> {
    prop_assert_eq!((fast.requests, fast.cold, fast.made), (slow.requests, slow.cold, slow.made));
    prop_assert!((fast.used - slow.used).abs() < 1e-6, "used {} {}", fast.used, slow.used);
    prop_assert!((fast.held - slow.held).abs() < 1e-6, "held {} {}", fast.held, slow.held);
    Ok(())
}

proptest! {
    #[test]
    fn the_replay_is_the_simple_simulation(requests in requests(), making in 1_u64..20, ttl in 0_u64..400) {
        let ttl = Duration::from_millis(100 * ttl);
        let time = Duration::from_millis(100 * making);
        let fast = replay(requests.iter().copied(), time, &mut KeepAlive(ttl));
        same(fast, slowly(&requests, making, &mut KeepAlive(ttl)))?;
        for policy in [Policy::formula(), Policy::default(), Policy { misses: None, ..Policy::default() }] {
            let mut keeper = Sized::new(Sizing::new(policy), ttl);
            let slow = slowly(&requests, making, &mut keeper.clone());
            same(replay(requests.iter().copied(), time, &mut keeper), slow)?;
        }
    }
}

#[test]
fn a_replay_by_hand() {
    let at = |at: u64, lasts: u64| Request {
        at: Duration::from_secs(at),
        lasts: Duration::from_secs(lasts),
    };
    let bill =
        replay([at(1, 2), at(2, 3), at(10, 1), at(70, 4)], SECOND, &mut KeepAlive(30 * SECOND));
    // The first two and the last are cold.
    assert_eq!((bill.requests, bill.cold, bill.made, bill.peak), (4, 3, 3, 2));
    assert_eq!(bill.used, 10.0);
    // One from 1, in use until 4, then idle; it goes at the tick at 35. One from 2, in use until 6, and from 10 to 11; until 45.
    // One from 70 to 75.
    assert!((bill.held - (34.0 + 43.0 + 5.0)).abs() < 1e-9, "{bill:?}");
}
