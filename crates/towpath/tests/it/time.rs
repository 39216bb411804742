//! Timers: `after`, `tick`, `never`, on tokio's clock and on plain threads.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use towpath::{MissedTick, after, at, never, rt, select, select_blocking, tick};

use crate::harness::{Polled, Task, watchdog};

const SECOND: Duration = Duration::from_secs(1);

/// How many seconds of the paused clock have gone by since `start`.
fn seconds(start: Instant) -> f64 {
    rt::now().duration_since(start).as_secs_f64()
}

#[tokio::test(start_paused = true)]
async fn after_rings_at_its_time_counted_from_its_making() {
    let start = rt::now();
    let timer = after(3 * SECOND);
    assert_eq!(timer.deadline(), start + 3 * SECOND);
    tokio::time::advance(SECOND).await;
    timer.await;
    assert_eq!(seconds(start), 3.0);
    at(start + 5 * SECOND).await;
    assert_eq!(seconds(start), 5.0);
    at(start).await;
    assert_eq!(seconds(start), 5.0, "what is past rings at once");
}

#[tokio::test(start_paused = true)]
async fn the_earliest_timer_of_a_select_rings() {
    let start = rt::now();
    for _ in 0..10 {
        select! {
            _ = after(5 * SECOND) => panic!("too late"),
            _ = after(2 * SECOND) => {}
            _ = never() => unreachable!(),
        }
    }
    assert_eq!(seconds(start), 20.0);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_lost_rings_in_a_later_select() {
    let start = rt::now();
    let mut timeout = std::pin::pin!(after(5 * SECOND));
    let mut rounds = 0;
    loop {
        select! {
            _ = timeout.as_mut() => break,
            _ = after(2 * SECOND) => rounds += 1,
        }
    }
    assert_eq!((rounds, seconds(start)), (2, 5.0));
}

#[tokio::test(start_paused = true)]
async fn ticks_come_every_period() {
    let start = rt::now();
    let mut ticks = tick(2 * SECOND);
    for i in 1..=5 {
        assert_eq!(ticks.recv().await, start + 2 * i * SECOND, "when it was due");
        assert_eq!(seconds(start), f64::from(2 * i));
    }
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_treated_as_asked() {
    // A period of 2 s, and nobody looks until 7 s have gone by: when is each tick due, and when does it come?
    let cases: [(MissedTick, [(f64, f64); 4]); 3] = [
        (MissedTick::Skip, [(2.0, 7.0), (8.0, 8.0), (10.0, 10.0), (12.0, 12.0)]),
        (MissedTick::Burst, [(2.0, 7.0), (4.0, 7.0), (6.0, 7.0), (8.0, 8.0)]),
        (MissedTick::Delay, [(2.0, 7.0), (9.0, 9.0), (11.0, 11.0), (13.0, 13.0)]),
    ];
    for (missed, expected) in cases {
        for by_select in [false, true] {
            let start = rt::now();
            let mut ticks = tick(2 * SECOND).missed(missed);
            tokio::time::advance(7 * SECOND).await;
            let mut got = Vec::new();
            for _ in 0..4 {
                let due = if by_select {
                    select! { due = ticks.recv() => due }
                } else {
                    ticks.recv().await
                };
                got.push((due.duration_since(start).as_secs_f64(), seconds(start)));
            }
            assert_eq!(got, expected, "{missed:?}, by select: {by_select}: (due, came)");
        }
    }
    assert_eq!(MissedTick::default(), MissedTick::Skip);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_is_just_due_is_not_missed() {
    for missed in [MissedTick::Skip, MissedTick::Burst, MissedTick::Delay] {
        let start = rt::now();
        let mut ticks = tick(2 * SECOND).missed(missed);
        tokio::time::advance(2 * SECOND).await;
        for i in 1..4 {
            assert_eq!(ticks.recv().await, start + 2 * i * SECOND, "{missed:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_tick_is_not_lost() {
    let start = rt::now();
    let mut ticks = tick(2 * SECOND);
    for i in 1..4 {
        for _ in 0..3 {
            let patience = Duration::from_millis(300);
            assert!(tokio::time::timeout(patience, ticks.recv()).await.is_err());
        }
        assert_eq!(select! { due = ticks.recv() => due }, start + 2 * i * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_cannot_be_told_never_comes() {
    let forever = after(Duration::MAX);
    let mut ticks = tick(Duration::MAX);
    select! {
        _ = forever => panic!("for ever is over"),
        _ = ticks.recv() => panic!("for ever is over"),
        _ = after(SECOND) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn default_does_not_wait_for_a_timer() {
    let start = rt::now();
    let rang = select! { _ = after(SECOND) => true, default => false };
    assert_eq!((rang, seconds(start)), (false, 0.0));
    let due = after(SECOND);
    tokio::time::advance(SECOND).await;
    assert!(select! { _ = due => true, default => false });
}

#[test]
#[should_panic(expected = "period")]
fn a_period_is_longer_than_nothing() {
    drop(tick(Duration::ZERO));
}

#[test]
fn timers_work_on_plain_threads() {
    watchdog(60, || {
        let moment = Duration::from_millis(3);
        let start = Instant::now();
        towpath::block_on(after(moment));
        assert!(start.elapsed() >= moment, "not too early");
        let due = start + 3 * moment;
        select_blocking! { _ = at(due) => assert!(Instant::now() >= due) }
        towpath::block_on(async {
            select! { _ = after(moment) => {} _ = never() => {} }
        });
        let mut ticks = tick(moment);
        let first = ticks.recv_blocking();
        assert!(ticks.recv_blocking() >= first + moment);
        towpath::block_on(ticks.recv());
        towpath::block_on(rt::sleep(moment));
        // Many at once, set in the wrong order.
        towpath::block_on(async {
            let sleeps: Vec<_> =
                (0..200).rev().map(|i| rt::sleep(Duration::from_micros(20 * i))).collect();
            for sleep in sleeps {
                let deadline = sleep.deadline();
                sleep.await;
                assert!(Instant::now() >= deadline);
            }
        });
    });
}

#[test]
fn a_sleep_on_threads_that_moved_wakes_its_new_task_only() {
    watchdog(60, || {
        let mut sleep = Box::pin(rt::sleep(Duration::from_millis(5)));
        let (old, new) = (Task::new(), Task::new());
        if old.poll(sleep.as_mut()).is_pending() && new.poll(sleep.as_mut()).is_pending() {
            while new.wakes() == 0 {
                std::thread::yield_now();
            }
            assert_eq!(old.wakes(), 0);
        }
        let mut left = Polled::new(sleep);
        while left.poll() == Poll::Pending {
            std::thread::yield_now();
        }
    });
}
