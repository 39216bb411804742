//! Barrier: nobody before all, one leads, and again.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use towpath::sync::Barrier;

use crate::harness::{Polled, ready, watchdog};

#[test]
fn the_last_one_leads_and_all_go_on() {
    let barrier = Barrier::new(3);
    for _round in 0..3 {
        let waits = [Polled::parked(barrier.wait()), Polled::parked(barrier.wait())];
        assert!(waits.iter().all(|wait| !wait.woken()));
        assert!(ready(barrier.wait()).is_leader());
        waits.into_iter().for_each(|wait| assert!(!wait.finish().is_leader()));
    }
}

#[test]
fn one_that_is_dropped_before_is_not_here_any_more() {
    let barrier = Barrier::new(2);
    drop(Polled::parked(barrier.wait()));
    drop(barrier.wait()); // never polled, never here
    let wait = Polled::parked(barrier.wait());
    assert!(ready(barrier.wait()).is_leader());
    assert!(!wait.finish().is_leader());
}

#[test]
fn one_that_is_dropped_after_it_opened_does_no_harm() {
    let barrier = Barrier::new(2);
    let wait = Polled::parked(barrier.wait());
    assert!(ready(barrier.wait()).is_leader());
    drop(wait);
    let wait = Polled::parked(barrier.wait());
    assert!(ready(barrier.wait()).is_leader());
    assert!(!wait.finish().is_leader());
}

/// A wait made in one round and polled in the next belongs to the next.
#[test]
fn a_wait_is_here_from_when_it_is_polled() {
    let barrier = Barrier::new(2);
    let early = barrier.wait();
    let wait = Polled::parked(barrier.wait());
    assert!(ready(barrier.wait()).is_leader());
    assert!(!wait.finish().is_leader());
    let early = Polled::parked(early);
    assert!(ready(barrier.wait()).is_leader());
    assert!(!early.finish().is_leader());
}

#[test]
fn alone_everybody_leads() {
    for parties in [0, 1] {
        let barrier = Barrier::new(parties);
        assert!(ready(barrier.wait()).is_leader() && barrier.wait_blocking().is_leader());
    }
}

#[test]
fn it_joins_a_select_as_a_future() {
    let barrier = Barrier::new(2);
    towpath::block_on(async {
        let leads = towpath::select! {
            result = towpath::select::future(barrier.wait()) => Some(result.is_leader()),
            default => None,
        };
        assert_eq!(leads, None);
        let wait = Polled::parked(barrier.wait()); // the one above is not here any more
        let leads = towpath::select! {
            result = towpath::select::future(barrier.wait()) => result.is_leader(),
        };
        assert!(leads && !wait.finish().is_leader());
    });
}

/// In no round is anybody ahead of another by more than the barrier between them.
#[test]
fn tasks_and_threads_keep_step() {
    const ROUNDS: usize = 300;
    watchdog(60, || {
        let barrier = Barrier::new(4);
        let arrived = AtomicUsize::new(0);
        let leaders = AtomicUsize::new(0);
        let step = |round: usize| {
            assert!(arrived.load(Ordering::SeqCst) >= (round + 1) * 4, "somebody is missing");
        };
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    for round in 0..ROUNDS {
                        arrived.fetch_add(1, Ordering::SeqCst);
                        leaders.fetch_add(
                            barrier.wait_blocking().is_leader().into(),
                            Ordering::SeqCst,
                        );
                        step(round);
                    }
                });
                s.spawn(|| {
                    towpath::block_on(async {
                        for round in 0..ROUNDS {
                            arrived.fetch_add(1, Ordering::SeqCst);
                            let leads = barrier.wait().await.is_leader();
                            leaders.fetch_add(leads.into(), Ordering::SeqCst);
                            step(round);
                        }
                    });
                });
            }
        });
        assert_eq!(leaders.into_inner(), ROUNDS);
    });
}
