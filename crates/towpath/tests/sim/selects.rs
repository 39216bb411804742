//! `select!`: one arm commits, a losing arm has no effect, and nobody is passed over, whoever meets whom.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use towpath::{
    Receiver, Sender, after, rendezvous,
    rt::{spawn, spawn_blocking},
    select, select_blocking,
};
use towpath_sim::Ledger;

use crate::tools::some_channel;

const MILLI_5: Duration = Duration::from_millis(5);

/// Relays between two channels with one select that receives or sends, whichever goes.
async fn relay(mut from: Receiver<u32>, to: Sender<u32>) {
    let mut held = None;
    let mut open = true;
    while open || held.is_some() {
        select! {
            got = from.recv(), if open && held.is_none() => match got {
                Some(message) => held = Some(message),
                None => open = false,
            },
            sent = to.send_from(&mut held) => sent.unwrap(),
        }
    }
}

#[towpath::test]
async fn receiving_and_sending_arms_lose_nothing() {
    let (tx, rx) = some_channel();
    let (to, mut out) = some_channel();
    let books = Ledger::new("messages");
    let entered = books.clone();
    let source = spawn(async move {
        for n in 0..4 {
            entered.enter(n);
            tx.send(n).await.unwrap();
        }
    });
    let relay = spawn(relay(rx, to));
    let mut next = 0;
    while let Some(n) = out.recv().await {
        books.leave(n);
        assert_eq!(n, next, "in order through the relay");
        next += 1;
    }
    source.await.unwrap();
    relay.await.unwrap();
}

/// A task that waits for either of two, and a thread that does the same: every message comes to one of them.
#[towpath::test]
async fn a_task_and_a_thread_select_over_the_same_two() {
    let (tx1, rx1) = some_channel();
    let (tx2, rx2) = some_channel();
    let (mut rx1, mut rx2) = (rx1.into_shared(), rx2.into_shared());
    let (mut theirs1, mut theirs2) = (rx1.clone(), rx2.clone());
    let books = Ledger::new("messages");
    let left = books.clone();
    let thread = spawn_blocking(move || {
        loop {
            let got = select_blocking! {
                got = theirs1.recv() => got,
                got = theirs2.recv() => got,
            };
            let Some(n) = got else { return };
            left.leave(n);
        }
    });
    for (base, tx) in [(0, tx1.clone()), (10, tx2.clone())] {
        let books = books.clone();
        drop(spawn(async move {
            for n in base..base + 2 {
                books.enter(n);
                tx.send(n).await.unwrap();
            }
        }));
    }
    drop((tx1, tx2));
    loop {
        let got = select! { got = rx1.recv() => got, got = rx2.recv() => got };
        let Some(n) = got else { break };
        books.leave(n);
    }
    thread.await.unwrap();
    // Each stops at the first end that it sees; the rest is still there.
    for rx in [&mut rx1, &mut rx2] {
        while let Some(n) = rx.recv().await {
            books.leave(n);
        }
    }
}

#[towpath::test]
async fn biased_looks_at_the_top_arm_first() {
    let (tx, mut rx) = some_channel();
    let (stop, mut stops) = some_channel::<()>();
    let stopped = Arc::new(AtomicU32::new(0));
    let told = stopped.clone();
    let stopper = spawn(async move {
        // A rendezvous is handed over by whoever receives: then it is seen at once in any case.
        let queued = stop.capacity() != Some(0);
        stop.send(()).await.unwrap();
        told.store(u32::from(queued), Relaxed);
        stop.closed().await;
    });
    let worker = spawn(async move {
        loop {
            let stop_is_there = stopped.load(Relaxed) == 1;
            select! { biased;
                _ = stops.recv() => return,
                job = rx.recv() => {
                    assert!(!stop_is_there, "a job was taken before the stop that was there");
                    assert_eq!(job, Some(7));
                }
            }
        }
    });
    for _ in 0..4 {
        if tx.send(7).await.is_err() {
            break;
        }
    }
    stopper.await.unwrap();
    worker.await.unwrap();
}

#[towpath::test]
async fn default_is_for_when_nothing_is_ready() {
    let (tx, mut rx) = some_channel();
    let (done, mut dones) = towpath::unbounded();
    let sender = spawn(async move {
        tx.send(1_u32).await.unwrap();
        done.send(()).await.unwrap();
    });
    let mut idle = 0;
    let got = loop {
        let over = dones.try_recv().is_ok();
        select! {
            got = rx.recv() => break got,
            default => {
                assert!(!over, "a message was there, and default was taken");
                idle += 1;
                towpath_sim::yield_point();
            }
        }
    };
    assert_eq!(got, Some(1), "after {idle} rounds");
    sender.await.unwrap();
}

#[towpath::test]
async fn guards_and_missing_receivers_disable_arms() {
    let (tx, mut rx) = some_channel();
    let mut missing: Option<Receiver<u32>> = None;
    let sender = spawn(async move { tx.send_all([1, 2]).await });
    for (wants, expected) in [(true, 1), (false, 2)] {
        let got = select! {
            _ = missing.recv() => unreachable!("nobody is there"),
            got = rx.recv(), if wants => got,
            () = after(Duration::from_millis(1)), if !wants => rx.recv().await,
        };
        assert_eq!(got, Some(expected));
    }
    sender.await.unwrap().unwrap();
}

/// The message and the timer race; either may win, and what loses is untouched.
#[towpath::test]
async fn a_timer_that_wins_takes_no_message() {
    let (tx, mut rx) = some_channel();
    let books = Ledger::new("messages");
    let entered = books.clone();
    let sender = spawn(async move {
        for n in 0..3 {
            towpath::rt::sleep(MILLI_5).await;
            entered.enter(n);
            tx.send(n).await.unwrap();
        }
    });
    let mut timeouts = 0;
    loop {
        select! {
            got = rx.recv() => match got {
                Some(n) => books.leave(n),
                None => break,
            },
            () = after(MILLI_5) => timeouts += 1,
        }
    }
    sender.await.unwrap();
    assert!(towpath_sim::elapsed() >= Some(timeouts * MILLI_5), "{timeouts} timeouts of 5 ms");
}

/// Both ends in selects: every message that was sent was received, and by exactly one.
#[towpath::test]
async fn both_ends_meet_in_selects() {
    let (tx, rx) = rendezvous::<u32>();
    let (never_tx, never) = rendezvous::<u32>();
    let never = never.into_shared();
    let books = Ledger::new("pairings");
    let mut receivers = Vec::new();
    let rx = rx.into_shared();
    for _ in 0..2 {
        let (mut rx, mut never, books) = (rx.clone(), never.clone(), books.clone());
        receivers.push(spawn(async move {
            loop {
                select! {
                    got = rx.recv() => match got {
                        Some(n) => books.leave(n),
                        None => return,
                    },
                    _ = never.recv() => unreachable!("nobody sends there"),
                }
            }
        }));
    }
    drop(rx);
    let mut senders = Vec::new();
    for base in [0, 10] {
        let (tx, books) = (tx.clone(), books.clone());
        senders.push(spawn(async move {
            let (_no_tx, mut nothing) = rendezvous::<u32>();
            for n in base..base + 2 {
                books.enter(n);
                select! {
                    sent = tx.send(n) => sent.unwrap(),
                    _ = nothing.recv() => unreachable!("nobody sends there"),
                }
            }
        }));
    }
    drop(tx);
    for task in senders.into_iter().chain(receivers) {
        task.await.unwrap();
    }
    drop(never_tx);
}

/// A select over its own two ends never pairs with itself.
#[towpath::test]
async fn nobody_pairs_with_itself() {
    let (tx, rx) = rendezvous::<u32>();
    let rx = rx.into_shared();
    let tasks = [1, 2].map(|me| {
        let (tx, mut rx) = (tx.clone(), rx.clone());
        spawn(async move {
            select! {
                sent = tx.send(me) => { sent.unwrap(); None }
                got = rx.recv() => { assert_ne!(got, Some(me), "paired with itself"); got }
            }
        })
    });
    let mut got = Vec::new();
    for task in tasks {
        got.push(task.await.unwrap());
    }
    got.sort();
    assert!(matches!(got[..], [None, Some(1 | 2)]), "{got:?}");
}

/// Six tasks in a ring, each ready to hand on or to take: whoever waits in a circle of selects, somebody can always go on.
#[towpath::test]
async fn a_ring_of_mixed_selects_makes_progress() {
    const TASKS: usize = 6;
    const ROUNDS: u32 = 3;
    let (mut txs, mut rxs): (Vec<_>, Vec<_>) = (0..TASKS).map(|_| rendezvous::<usize>()).unzip();
    rxs.rotate_right(1);
    let tasks: Vec<_> = (0..TASKS)
        .map(|me| {
            let (tx, mut rx) = (txs.remove(0), rxs.remove(0));
            spawn(async move {
                let (mut sent, mut received) = (0, 0);
                let before = (me + TASKS - 1) % TASKS;
                while sent < ROUNDS || received < ROUNDS {
                    select! {
                        it = tx.send(me), if sent < ROUNDS => { it.unwrap(); sent += 1; }
                        got = rx.recv(), if received < ROUNDS => {
                            assert_eq!(got, Some(before));
                            received += 1;
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// An arm that is a future of somebody else's, and one that waits for a task. That one is kept by a pinned reference, with
/// its value, should it have finished in the very moment in which it lost.
#[towpath::test]
async fn futures_and_tasks_are_arms() {
    let (tx, mut rx) = some_channel::<u32>();
    let mut task = pin!(spawn(async move { tx.send(1).await }));
    let mut got = None;
    let mut over = false;
    while got.is_none() || !over {
        select! {
            message = rx.recv(), if got.is_none() => got = message,
            it = task.as_mut(), if !over => { it.unwrap().unwrap(); over = true; }
            () = select::future(std::future::pending()) => unreachable!("it never comes"),
        }
    }
    assert_eq!(got, Some(1));
}
