//! Retries: the arithmetic, and under the simulator's time.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use towpath::{Cause, Ctx, rt};
use towpath_patterns::fault::{Budget, Class, Classify, Failure, GaveUp, Retry, Times, Why};

const SECOND: Duration = Duration::from_secs(1);

proptest! {
    /// The next attempt is never at or after the end, never later than the ceiling (or the wish), and there is one if there can be.
    #[test]
    fn the_next_attempt_is_in_time(
        failures in 1..12_u32,
        passed in 0..40_000_u64,
        end in proptest::option::of(0..40_000_u64),
        total in proptest::option::of(0..40_000_u64),
        wish in proptest::option::of(0..5_000_u64),
        chance in any::<u64>(),
    ) {
        let milliseconds = Duration::from_millis;
        let began = Instant::now();
        let now = began + milliseconds(passed);
        let mut retry = Retry::new(10).with_delays(milliseconds(100), SECOND * 5);
        if let Some(total) = total {
            retry = retry.with_total_limit(milliseconds(total));
        }
        let end = end.map(|end| began + milliseconds(end));
        let times = Times { failures, began, now, end };
        let wish = wish.map(milliseconds);
        let ends = [end, total.map(|total| began + milliseconds(total))];
        let end = ends.into_iter().flatten().min();
        let exact = Duration::from_millis(100 << (failures - 1).min(10)).min(SECOND * 5);
        // The ceiling is computed in floats of 32 bits.
        let ceiling = exact + exact / 1_000;
        prop_assert!(retry.ceiling(failures) <= ceiling && retry.ceiling(failures) + exact / 1_000 >= exact);
        match retry.next_attempt(times, wish, chance) {
            Ok(at) => {
                prop_assert!(failures < 10);
                prop_assert!(at >= now + wish.unwrap_or_default());
                prop_assert!(at <= now + ceiling.max(wish.unwrap_or_default()));
                prop_assert!(end.is_none_or(|end| at < end));
            }
            Err(Why::Attempts) => prop_assert!(failures >= 10),
            Err(Why::OutOfTime) => {
                let latest = now + ceiling.max(wish.unwrap_or_default());
                prop_assert!(end.is_some_and(|end| latest >= end));
            }
            Err(why) => prop_assert!(false, "{why}"),
        }
    }
}

#[test]
fn jitter_takes_all_of_the_room_below_the_ceiling() {
    let now = Instant::now();
    let retry = Retry::new(9).with_delays(SECOND, SECOND * 60);
    let times = Times { failures: 3, began: now, now, end: None };
    let delay = |chance| retry.next_attempt(times, None, chance).unwrap() - now;
    assert_eq!(delay(0), Duration::ZERO);
    assert_eq!(delay(u64::MAX / 2 + 1), SECOND * 2);
    assert!(delay(u64::MAX) > SECOND * 399 / 100);
    assert!(delay(u64::MAX) <= SECOND * 4);
}

#[test]
fn growth_ends_where_numbers_do() {
    let retry = Retry::new(u32::MAX).with_delays(Duration::from_nanos(1), Duration::MAX);
    assert!(retry.ceiling(u32::MAX) > Duration::from_secs(3_600));
    let retry = Retry::new(2).with_delays(Duration::MAX, Duration::MAX).with_factor(f32::NAN);
    let now = Instant::now();
    let times = Times { failures: 1, began: now, now, end: None };
    assert!(matches!(retry.next_attempt(times, None, u64::MAX), Err(Why::OutOfTime)));
}

#[test]
fn what_is_not_worth_it_is_not_tried_again() {
    towpath::block_on(async {
        let (calls, ctx) = (Cell::new(0), Ctx::root());
        let failed: GaveUp<Failure> = Retry::default()
            .run(&ctx, |_| {
                calls.set(calls.get() + 1);
                async { Err::<(), _>(Failure::schema("no price")) }
            })
            .await
            .unwrap_err();
        assert_eq!((calls.get(), failed.attempts, failed.class()), (1, 1, Class::Schema));
        assert_eq!(
            failed.to_string(),
            "gave up after 1 attempt: a schema failure is not tried again"
        );
    });
}

/// Fails always, and counts.
async fn always_busy(retry: &Retry, ctx: &Ctx, calls: &Cell<u32>) -> GaveUp<Failure> {
    let busy = retry.run(ctx, |_| {
        calls.set(calls.get() + 1);
        async { Err::<(), _>(Failure::transient("busy")) }
    });
    busy.await.unwrap_err()
}

#[test]
fn callers_share_a_budget() {
    towpath::block_on(async {
        let (ctx, calls) = (Ctx::root(), Cell::new(0));
        let retry = Retry::new(100)
            .with_delays(Duration::ZERO, Duration::ZERO)
            .with_budget(Budget::new(0.5, 4));
        for _ in 0..20 {
            assert!(matches!(always_busy(&retry, &ctx, &calls).await.why, Why::Budget));
        }
        // 20 calls, and 4 + 20 / 2 retries; but what was paid in while it was full is not kept.
        assert!((20..=34).contains(&calls.get()), "{}", calls.get());
        assert!(calls.get() >= 20 + 4 + 9);
    });
}

/// An hour of trying, under every schedule: the wait never begins that could not end in time.
#[towpath::test(schedules = 300)]
async fn no_wait_goes_past_the_deadline() {
    let ctx = Ctx::root().with_timeout(SECOND * 3_600);
    let deadline = ctx.deadline().unwrap();
    let retry = Retry::new(200).with_delays(SECOND, SECOND * 600);
    let calls = Cell::new(0);
    let failed = always_busy(&retry, &ctx, &calls).await;
    // Out of time before the deadline, or, if a timer was late, with it.
    match failed.why {
        Why::OutOfTime => assert!(failed.last.is_some()),
        // The random numbers were all small.
        Why::Attempts => assert_eq!(calls.get(), 200),
        Why::Cancelled(Cause::DeadlineExceeded) => assert!(rt::now() >= deadline),
        why => panic!("{why}"),
    }
    assert!(calls.get() > 3, "{}", calls.get());
    assert!(rt::now() < deadline + SECOND * 60);
}

#[towpath::test(schedules = 300)]
async fn an_attempt_that_takes_too_long_is_dropped_and_tried_again() {
    struct Gone<'a>(&'a Cell<u32>);
    impl Drop for Gone<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let (ctx, begun, gone) = (Ctx::root(), Cell::new(0), Cell::new(0));
    let retry = Retry::new(5).with_attempt_limit(SECOND).with_total_limit(SECOND * 600);
    let answer = retry.run(&ctx, |one| {
        begun.set(begun.get() + 1);
        // No attempt meets another.
        assert_eq!(begun.get(), gone.get() + 1);
        let (guard, slow) = (Gone(&gone), begun.get() < 4);
        async move {
            let _guard = guard;
            assert!(one.deadline().is_some());
            if slow {
                towpath::never().await;
            }
            Ok::<_, Failure>(7)
        }
    });
    assert_eq!(answer.await.unwrap(), 7);
    assert_eq!((begun.get(), gone.get()), (4, 4));
}

#[towpath::test(schedules = 300)]
async fn a_cancelled_wait_ends_at_once() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let calls = Cell::new(0);
    let retry = Retry::new(u32::MAX).with_delays(SECOND, SECOND * 60);
    let cancel = rt::spawn(async move {
        rt::sleep(SECOND * 90).await;
        canceller.cancel("closing time")
    });
    let failed = always_busy(&retry, &ctx, &calls).await;
    assert!(matches!(failed.why, Why::Cancelled(Cause::Cancelled(_))), "{failed}");
    assert!(cancel.await.unwrap());
}
