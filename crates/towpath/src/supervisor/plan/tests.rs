//! The plan on its own: a table of what happens and what it orders, and random lives against what always holds.

use std::time::Duration;

use proptest::{prelude::any, prop_assert, prop_assert_eq, proptest, test_runner::TestCaseError};

use super::{
    super::policy::{OnExit, Strategy},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

/// Plans with no chance in them: 1 s, 2 s, 4 s between restarts, and three of them within a minute.
fn plan(strategy: Strategy, children: &[OnExit], start: Instant) -> Plan {
    let backoff = Backoff::new(SECOND, 8 * SECOND).with_jitter(0.0);
    let mut plan = Plan::new(strategy, Intensity::new(3, 60 * SECOND), backoff);
    children.iter().for_each(|on_exit| plan.add(*on_exit, start));
    plan
}

/// Runs a script of `<second> <what>` lines and checks the orders after each arrow. `what` is `look`, `end`, `fail N` or
/// `done N`; in the orders `+1` starts, `-1` asks to stop, `x1` forgets, `.` finishes and `?5` looks again at second 5.
#[track_caller]
fn check(strategy: Strategy, children: &[OnExit], script: &str) {
    let start = Instant::now();
    let mut plan = plan(strategy, children, start);
    let mut told = String::new();
    for line in script.trim().lines() {
        let event = line.split("->").next().unwrap_or_default().trim();
        let words: Vec<_> = event.split_whitespace().collect();
        let now = start + words[0].parse::<u32>().unwrap() * SECOND;
        let child = || words[2].parse().unwrap();
        let orders = match words[1] {
            "look" => plan.look(now),
            "end" => plan.end(now),
            "fail" => plan.ended(child(), true, now, 0),
            "done" => plan.ended(child(), false, now, 0),
            other => panic!("no such event: {other}"),
        };
        let mut words: Vec<_> = orders
            .iter()
            .map(|order| match order {
                Order::Start(child) => format!("+{child}"),
                Order::Stop(child) => format!("-{child}"),
                Order::Forget(child) => format!("x{child}"),
                Order::Finish => ".".to_owned(),
            })
            .collect();
        words.extend(plan.look_at().map(|at| format!("?{}", (at - start).as_secs())));
        told += format!("{event} -> {}", words.join(" ")).trim_end();
        told.push('\n');
    }
    let expected: String = script.trim().lines().map(|line| format!("{}\n", line.trim())).collect();
    assert_eq!(told, expected);
}

use OnExit::{Leave, Restart, RestartOnFailure, Stop};
use Strategy::{OneForAll, OneForOne, RestForOne};

#[test]
fn one_for_one_restarts_that_one() {
    check(
        OneForOne,
        &[Restart, Restart],
        "0 look -> +0 +1
         5 fail 1 -> ?6
         6 look -> +1
         6 done 0 -> ?7
         7 look -> +0",
    );
}

#[test]
fn one_for_all_stops_the_others_first_and_starts_all_in_order() {
    check(
        OneForAll,
        &[Restart, Restart, Restart],
        "0 look -> +0 +1 +2
         5 fail 1 -> -0 -2
         7 done 2 ->
         8 fail 0 -> +0 +1 +2",
    );
}

#[test]
fn rest_for_one_takes_those_along_that_come_after() {
    check(
        RestForOne,
        &[Restart, Restart, Restart],
        "0 look -> +0 +1 +2
         5 fail 1 -> -2
         5 done 2 -> ?6
         6 look -> +1 +2
         7 fail 2 -> ?8
         8 look -> +2",
    );
}

#[test]
fn who_is_down_already_waits_for_the_rest() {
    check(
        RestForOne,
        &[Restart, Restart],
        "0 look -> +0 +1
         5 fail 1 -> ?6
         6 look -> +1
         6 fail 1 -> ?8
         6 fail 0 -> ?7
         7 look -> +0 ?8
         8 look -> +1",
    );
}

#[test]
fn each_child_decides_what_its_own_end_means() {
    check(
        OneForOne,
        &[RestartOnFailure, Leave, Leave, Restart],
        "0 look -> +0 +1 +2 +3
         1 done 0 -> x0
         1 done 1 -> x1
         1 fail 2 -> x2
         1 done 3 -> ?2
         2 look -> +3",
    );
    check(
        OneForOne,
        &[RestartOnFailure, RestartOnFailure],
        "0 look -> +0 +1
         1 done 1 -> x1
         1 fail 0 -> ?2
         2 look -> +0
         3 done 0 -> x0 .",
    );
}

#[test]
fn who_is_left_does_not_come_back_with_its_siblings() {
    check(
        OneForAll,
        &[Leave, Restart, RestartOnFailure],
        "0 look -> +0 +1 +2
         1 done 2 -> x2
         2 fail 1 -> -0
         2 done 0 -> x0 ?3
         3 look -> +1",
    );
}

#[test]
fn all_end_with_one_that_stops() {
    check(
        OneForOne,
        &[Restart, Stop, Restart],
        "0 look -> +0 +1 +2
         1 fail 2 -> ?2
         1 done 1 -> x1 -0 x2
         4 fail 0 -> x0 .",
    );
}

#[test]
fn one_restart_too_many_ends_it() {
    check(
        OneForOne,
        &[Restart, Restart],
        "0 look -> +0 +1
         0 fail 0 -> ?1
         1 look -> +0
         1 fail 1 -> ?2
         2 look -> +1
         2 fail 0 -> ?4
         4 look -> +0
         5 fail 0 -> x0 -1
         6 done 1 -> x1 .",
    );
}

#[test]
fn restarts_that_are_a_window_old_are_forgiven() {
    check(
        OneForOne,
        &[Restart],
        "0 look -> +0
         0 fail 0 -> ?1
         1 look -> +0
         1 fail 0 -> ?3
         3 look -> +0
         3 fail 0 -> ?7
         7 look -> +0
         60 fail 0 -> ?68
         68 look -> +0
         128 fail 0 -> ?129",
    );
}

#[test]
fn asked_to_end_it_stops_all_and_starts_nobody() {
    check(
        OneForAll,
        &[Restart, Restart, Restart],
        "0 look -> +0 +1 +2
         1 fail 0 -> -1 -2
         1 done 1 ->
         1 end -> x0 x1
         9 look ->
         9 done 2 -> x2 .",
    );
    check(OneForOne, &[], "0 look -> .");
}

#[test]
fn backoff_doubles_up_to_its_bound_and_jitter_only_takes_off() {
    let backoff = Backoff::new(SECOND, 5 * SECOND);
    assert_eq!(backoff.delay(1, 0), 2 * SECOND);
    assert_eq!(backoff.delay(40, 0), 5 * SECOND, "the factor does not wrap around");
    assert_eq!(Backoff::NONE.delay(9, u64::MAX), Duration::ZERO);
    let most = Backoff::new(Duration::MAX, Duration::MAX).with_jitter(9.0);
    assert!(most.delay(9, u64::MAX) < SECOND * 4096, "nearly all of it, and no overflow");
    assert_eq!(backoff.with_jitter(f64::NAN).delay(0, u64::MAX), SECOND);
}

proptest! {
    #[test]
    fn a_delay_lies_between_its_bounds(failures: u32, chance: u64, part in 0.0..=1.0_f64) {
        let backoff = Backoff::new(SECOND, 60 * SECOND).with_jitter(part);
        let most = 60 * SECOND;
        let whole = if failures < 6 { SECOND * (1 << failures) } else { most };
        let delay = backoff.delay(failures, chance);
        prop_assert!(delay <= whole);
        prop_assert!(delay.as_secs_f64() >= whole.as_secs_f64() * (1.0 - part) - 1e-6);
        prop_assert_eq!(delay, backoff.delay(failures, chance));
    }

    /// Whatever children do: nobody is started twice, or while somebody is being stopped, or after an ending; there are
    /// not more restarts within a window than allowed; and once all have ended the plan finishes.
    #[test]
    fn whatever_children_do_the_promises_hold(
        strategy in proptest::sample::select(vec![OneForOne, OneForAll, RestForOne]),
        children in proptest::collection::vec(
            proptest::sample::select(vec![Restart, RestartOnFailure, Leave, Stop]), 0..5),
        events in proptest::collection::vec((0..12_u8, any::<bool>(), 0..20_000_u64, any::<u64>()), 0..60),
    ) {
        let mut now = Instant::now();
        let mut plan = plan(strategy, &children, now);
        let mut world = World::new(&children);
        world.obey(plan.look(now), &plan, now)?;
        for (pick, failed, millis, chance) in events {
            now += Duration::from_millis(millis);
            let alive: Vec<_> = world.alive();
            let orders = match usize::from(pick) {
                11 => plan.end(now),
                9 | 10 => {
                    now = plan.look_at().unwrap_or(now).max(now);
                    plan.look(now)
                }
                pick if alive.is_empty() => plan.look(now + Duration::from_millis(pick as u64)),
                pick => {
                    let child = alive[pick % alive.len()];
                    world.ends(child, failed, now);
                    plan.ended(child, failed, now, chance)
                }
            };
            world.obey(orders, &plan, now)?;
        }
        world.obey(plan.end(now), &plan, now)?;
        for child in world.alive() {
            prop_assert!(!world.finished);
            world.ends(child, false, now);
            world.obey(plan.ended(child, false, now, 0), &plan, now)?;
        }
        prop_assert!(world.finished && world.forgotten.iter().all(|it| *it));
    }
}

/// Children as somebody sees them who carries the orders out.
struct World {
    on_exit: Vec<OnExit>,
    up: Vec<bool>,
    asked: Vec<bool>,
    forgotten: Vec<bool>,
    /// When children came down by themselves and were not forgotten: each of these ends caused a restart.
    restarts: Vec<Instant>,
    /// The child that has just come down by itself.
    down: Option<(usize, Instant)>,
    finished: bool,
}

impl World {
    fn new(children: &[OnExit]) -> Self {
        let no = vec![false; children.len()];
        Self {
            on_exit: children.to_vec(),
            up: no.clone(),
            asked: no.clone(),
            forgotten: no,
            restarts: Vec::new(),
            down: None,
            finished: false,
        }
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.up.len()).filter(|&it| self.up[it]).collect()
    }

    fn ends(&mut self, child: usize, failed: bool, now: Instant) {
        assert!(std::mem::replace(&mut self.up[child], false));
        let by_itself = !std::mem::replace(&mut self.asked[child], false);
        let restarts =
            matches!((self.on_exit[child], failed), (Restart, _) | (RestartOnFailure, true));
        self.down = (by_itself && restarts).then_some((child, now));
    }

    fn obey(&mut self, orders: Vec<Order>, plan: &Plan, now: Instant) -> Result<(), TestCaseError> {
        let mut last_start = None;
        for order in orders {
            match order {
                Order::Start(child) => {
                    prop_assert!(!self.up[child] && !self.forgotten[child]);
                    prop_assert!(!self.asked.contains(&true), "somebody is still being stopped");
                    prop_assert!(plan.ending().is_none());
                    prop_assert!(last_start < Some(child), "in the order of declaration");
                    last_start = Some(child);
                    self.up[child] = true;
                }
                Order::Stop(child) => {
                    prop_assert!(self.up[child] && !self.asked[child]);
                    self.asked[child] = true;
                }
                Order::Forget(child) => {
                    prop_assert!(!self.up[child] && !self.forgotten[child]);
                    self.forgotten[child] = true;
                }
                Order::Finish => self.finished = true,
            }
        }
        if let Some((child, at)) = self.down.take()
            && !self.forgotten[child]
        {
            self.restarts.push(at);
            let within = |it: &&Instant| now - **it < 60 * SECOND;
            prop_assert!(self.restarts.iter().filter(within).count() <= 3);
        }
        prop_assert_eq!(self.finished, self.forgotten.iter().all(|it| *it));
        prop_assert!(self.finished || !self.alive().is_empty() || plan.look_at().is_some());
        Ok(())
    }
}
