//! Timers in virtual time: never early, in order, and what becomes of missed ticks.

use std::time::{Duration, UNIX_EPOCH};

use towpath::{
    MissedTick, after, at,
    rt::{now, sleep, spawn, spawn_blocking, wall},
    select, select_blocking, tick,
};

const SECOND: Duration = Duration::from_secs(1);

#[towpath::test]
async fn timers_are_never_early() {
    let start = now();
    let task = spawn(async move {
        after(2 * SECOND).await;
        now() - start
    });
    let thread = spawn_blocking(move || {
        select_blocking! { () = at(start + 3 * SECOND) => now() - start }
    });
    sleep(SECOND).await;
    let passed = [now() - start, task.await.unwrap(), thread.await.unwrap()];
    for (passed, least) in passed.into_iter().zip([SECOND, 2 * SECOND, 3 * SECOND]) {
        assert!(passed >= least, "{passed:?}");
    }
}

/// The time of day goes on with the clock, and begins on the same day in every schedule.
#[towpath::test]
async fn the_time_of_day_goes_on_with_the_clock() {
    let (start, day) = (now(), wall());
    sleep(3600 * SECOND).await;
    assert_eq!(wall().duration_since(day).unwrap(), now() - start);
    assert!(wall().duration_since(UNIX_EPOCH).unwrap() >= 1_767_225_600 * SECOND);
}

/// Whoever waits less is not woken after one who waits more.
#[towpath::test]
async fn timers_ring_in_order() {
    let (tx, mut rx) = towpath::unbounded();
    for seconds in [30, 10, 20] {
        let tx = tx.clone();
        drop(spawn(async move {
            let due = now() + seconds * SECOND;
            at(due).await;
            tx.send((due, now())).await.unwrap();
        }));
    }
    drop(tx);
    let mut last = now();
    while let Some((due, rung)) = rx.recv().await {
        assert!(rung >= due && rung >= last);
        last = rung;
    }
}

#[towpath::test]
async fn ticks_that_are_missed_are_skipped() {
    let start = now();
    let mut ticks = tick(SECOND);
    sleep(3 * SECOND + SECOND / 2).await;
    let first = ticks.recv().await;
    assert_eq!(first, start + SECOND, "the one that was due, though late");
    let next = ticks.recv().await;
    assert!(next >= start + 4 * SECOND, "those between are dropped");
    assert_eq!((next - start).as_nanos() % SECOND.as_nanos(), 0);
}

#[towpath::test]
async fn ticks_that_are_missed_come_in_a_burst() {
    let start = now();
    let mut ticks = tick(SECOND).missed(MissedTick::Burst);
    sleep(3 * SECOND + SECOND / 2).await;
    for number in 1..=4 {
        assert_eq!(ticks.recv().await, start + number * SECOND);
    }
    assert!(now() >= start + 4 * SECOND);
}

#[towpath::test]
async fn a_missed_tick_delays_the_next() {
    let mut ticks = tick(SECOND).missed(MissedTick::Delay);
    sleep(3 * SECOND + SECOND / 2).await;
    ticks.recv().await;
    let received = now();
    let next = ticks.recv().await;
    // Virtual time may pass between the tick and our look at the clock, never the other way.
    assert!(next <= received + SECOND && now() >= next);
}

#[towpath::test]
async fn a_thread_ticks_too() {
    let start = now();
    let thread = spawn_blocking(move || {
        let mut ticks = tick(SECOND);
        (ticks.recv_blocking(), ticks.recv_blocking())
    });
    let (first, second) = thread.await.unwrap();
    assert!(first >= start + SECOND);
    assert!(second > first);
}

/// A timeout and what it guards may both be late; one of them is the end, and never neither.
#[towpath::test]
async fn a_timeout_ends_what_takes_too_long() {
    let work = spawn(async {
        sleep(10 * SECOND).await;
        7
    });
    let ended = select! {
        value = work => Some(value.unwrap()),
        () = after(20 * SECOND) => None,
    };
    assert_eq!(ended, Some(7), "a slow machine is slower by a second, not by ten");
}
