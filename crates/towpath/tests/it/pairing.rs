//! Selects that meet selects: exactly one pairing commits, never with oneself, and nobody is left waiting.

use std::{thread, time::Duration};

use towpath::{
    Receiver, Sender, SharedReceiver, after, bounded, rendezvous, select, select_blocking,
};

use crate::harness::{Polled, bounded_capacities, channel, run, watchdog};

/// What a select over both ends of a channel has done.
#[derive(Debug, PartialEq)]
enum Did {
    Sent,
    Got(Option<u32>),
    Stopped,
}

async fn both_ends(
    tx: &Sender<u32>,
    rx: &mut SharedReceiver<u32>,
    message: u32,
    receive_first: bool,
) -> Did {
    if receive_first {
        select! { biased; got = rx.recv() => Did::Got(got), sent = tx.send(message) => { sent.unwrap(); Did::Sent } }
    } else {
        select! { biased; sent = tx.send(message) => { sent.unwrap(); Did::Sent } got = rx.recv() => Did::Got(got) }
    }
}

#[test]
fn a_task_does_not_pair_with_itself() {
    for receive_first in [false, true] {
        let (tx, rx) = rendezvous();
        let mut rx = rx.into_shared();
        let mut select = Polled::parked(both_ends(&tx, &mut rx, 1, receive_first));
        for _ in 0..3 {
            assert!(select.poll().is_pending());
        }
        assert_eq!(select.task.wakes(), 0, "nor does it wake itself for nothing");
        drop(select);
        // A reservation is a send as well.
        let select = Polled::parked(async {
            select! { _ = tx.reserve() => Did::Sent, got = rx.recv() => Did::Got(got) }
        });
        assert_eq!(select.task.wakes(), 0);
    }
}

#[test]
fn a_thread_does_not_pair_with_itself() {
    watchdog(60, || {
        let (tx, rx) = rendezvous();
        let mut rx = rx.into_shared();
        for _ in 0..20 {
            let did = select_blocking! {
                sent = tx.send(1) => { sent.unwrap(); Did::Sent }
                got = rx.recv() => Did::Got(got),
                _ = after(Duration::from_millis(1)) => Did::Stopped,
            };
            assert_eq!(did, Did::Stopped);
        }
        assert!(tx.try_send(1).is_err() && rx.try_recv().is_err(), "nothing is left behind");
    });
}

#[test]
fn two_tasks_over_both_ends_pair_with_each_other() {
    for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
        let (tx, rx) = rendezvous();
        let (mut rx1, mut rx2) = {
            let rx = rx.into_shared();
            (rx.clone(), rx)
        };
        let mut a = Polled::parked(both_ends(&tx, &mut rx1, 1, first));
        let mut b = Polled::new(both_ends(&tx, &mut rx2, 2, second));
        // Each is polled when it is woken; two rounds are plenty.
        let (mut did_a, mut did_b) = (None, None);
        for _ in 0..2 {
            if did_b.is_none()
                && let std::task::Poll::Ready(did) = b.poll()
            {
                did_b = Some(did);
            }
            if did_a.is_none()
                && a.woken()
                && let std::task::Poll::Ready(did) = a.poll()
            {
                did_a = Some(did);
            }
        }
        match (did_a.unwrap(), did_b.unwrap()) {
            (Did::Sent, Did::Got(Some(1))) | (Did::Got(Some(2)), Did::Sent) => {}
            other => panic!("not a pair: {other:?}"),
        }
    }
}

#[test]
fn two_parties_over_both_ends_pair_at_every_step() {
    // Each step of one is a step of the other, so both come to their end, and what one gave the other took.
    const STEPS: u32 = 2_000;
    async fn task(tx: Sender<u32>, mut rx: SharedReceiver<u32>) -> Vec<Did> {
        let mut log = Vec::new();
        for step in 0..STEPS {
            log.push(select! { sent = tx.send(step) => { sent.unwrap(); Did::Sent } got = rx.recv() => Did::Got(got) });
        }
        log
    }
    fn thread(tx: &Sender<u32>, mut rx: SharedReceiver<u32>) -> Vec<Did> {
        let step = |step| select_blocking! { sent = tx.send(step) => { sent.unwrap(); Did::Sent } got = rx.recv() => Did::Got(got) };
        (0..STEPS).map(step).collect()
    }
    watchdog(120, || {
        for (a_is_task, b_is_task) in [(false, false), (false, true), (true, true)] {
            let (tx, rx) = rendezvous();
            let rx = rx.into_shared();
            let party = |is_task: bool| {
                let (tx, rx) = (tx.clone(), rx.clone());
                thread::spawn(move || {
                    if is_task { towpath::block_on(task(tx, rx)) } else { thread(&tx, rx) }
                })
            };
            let (a, b) = (party(a_is_task), party(b_is_task));
            for (step, pair) in (0..).zip(a.join().unwrap().into_iter().zip(b.join().unwrap())) {
                let paired = matches!(pair, (Did::Sent, Did::Got(Some(got))) | (Did::Got(Some(got)), Did::Sent) if got == step);
                assert!(paired, "tasks {a_is_task} {b_is_task}, step {step}: {pair:?}");
            }
        }
    });
}

/// The channels over which two parties meet: to the right, to the left, to the right again.
struct Left(Sender<u32>, Receiver<u32>, Sender<u32>);
struct Right(Receiver<u32>, Sender<u32>, Receiver<u32>);

fn three_ways() -> (Left, Right) {
    let ((a_tx, a_rx), (b_tx, b_rx), (c_tx, c_rx)) = (rendezvous(), rendezvous(), rendezvous());
    (Left(a_tx, b_rx, c_tx), Right(a_rx, b_tx, c_rx))
}

// Each side logs which way every step went: the logs are equal if, and only if, each step was one pairing.

macro_rules! left {
    ($select:ident, $left:ident, $step:ident) => {
        $select! {
            sent = $left.0.send($step) => { sent.unwrap(); 'a' }
            got = $left.1.recv() => { assert_eq!(got, Some($step)); 'b' }
            sent = $left.2.send($step) => { sent.unwrap(); 'c' }
        }
    };
}

macro_rules! right {
    ($select:ident, $right:ident, $step:ident) => {
        $select! {
            got = $right.0.recv() => { assert_eq!(got, Some($step)); 'a' }
            sent = $right.1.send($step) => { sent.unwrap(); 'b' }
            got = $right.2.recv() => { assert_eq!(got, Some($step)); 'c' }
        }
    };
}

const STEPS: u32 = 3_000;

fn left_thread(mut left: Left) -> Vec<char> {
    (0..STEPS).map(|step| left!(select_blocking, left, step)).collect()
}

fn right_thread(mut right: Right) -> Vec<char> {
    (0..STEPS).map(|step| right!(select_blocking, right, step)).collect()
}

async fn left_task(mut left: Left) -> Vec<char> {
    let mut log = Vec::new();
    for step in 0..STEPS {
        log.push(left!(select, left, step));
    }
    log
}

async fn right_task(mut right: Right) -> Vec<char> {
    let mut log = Vec::new();
    for step in 0..STEPS {
        log.push(right!(select, right, step));
    }
    log
}

#[test]
fn two_selects_that_could_pair_in_three_ways_commit_one() {
    watchdog(120, || {
        for (left_is_task, right_is_task) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let (left, right) = three_ways();
            let left = thread::spawn(move || {
                if left_is_task { towpath::block_on(left_task(left)) } else { left_thread(left) }
            });
            let right = thread::spawn(move || {
                if right_is_task {
                    towpath::block_on(right_task(right))
                } else {
                    right_thread(right)
                }
            });
            let (left, right) = (left.join().unwrap(), right.join().unwrap());
            assert!(left == right, "tasks: {left_is_task}, {right_is_task}");
            for way in ['a', 'b', 'c'] {
                assert!(left.contains(&way), "way {way} is never taken");
            }
        }
    });
}

#[test]
fn two_selects_in_one_thread_pair_too() {
    run(60, async {
        let (left, right) = three_ways();
        let (left, right) = tokio::join!(left_task(left), right_task(right));
        assert!(left == right);
    });
}

#[test]
fn sixty_four_tasks_round_a_ring_of_mixed_selects_make_progress() {
    const TASKS: usize = 64;
    const STEPS: u64 = 200;
    for capacity in [0, 1, 4] {
        run(120, async move {
            let (mut txs, rxs): (Vec<_>, Vec<_>) = (0..TASKS).map(|_| bounded(capacity)).unzip();
            txs.rotate_left(1);
            let tasks: Vec<_> = txs
                .into_iter()
                .zip(rxs)
                .map(|(tx, mut rx)| {
                    tokio::spawn(async move {
                        let (mut gave, mut took) = (0, 0);
                        while gave < STEPS || took < STEPS {
                            select! {
                                sent = tx.send(gave), if gave < STEPS => { sent.unwrap(); gave += 1 }
                                got = rx.recv(), if took < STEPS => { assert_eq!(got, Some(took)); took += 1 }
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
}

/// Runs 20,000 selects of which many a one loses its send, by `step`; what was reported sent is what arrived.
fn exact<F, S>(name: &str, step: F)
where
    F: Fn(Sender<u64>, Receiver<()>, u64) -> S,
    S: Future<Output = u64> + Send + 'static,
{
    for capacity in bounded_capacities().filter(|&capacity| capacity <= 4) {
        let (tx, mut rx) = bounded(capacity);
        let (noise_tx, noise) = channel(Some(capacity));
        let sender = step(tx, noise, 20_000);
        let (sent, received) = run(120, async move {
            let noise = tokio::spawn(async move { while noise_tx.send(()).await.is_ok() {} });
            let receiver = tokio::spawn(async move {
                let (mut count, mut last) = (0_u64, None);
                while let Some(i) = rx.recv().await {
                    assert!(last.is_none_or(|last| last < i), "in order, and none twice");
                    (count, last) = (count + 1, Some(i));
                }
                count
            });
            let sent = tokio::spawn(sender).await.unwrap();
            noise.await.unwrap();
            (sent, receiver.await.unwrap())
        });
        assert_eq!(sent, received, "{name}, capacity {capacity}: reported sent, and received");
        assert!(
            sent > 0 && sent < 20_000,
            "{name}, capacity {capacity}: {sent} of 20,000 were sent, so nothing was shown"
        );
    }
}

#[test]
fn select_reports_exactly_what_was_sent() {
    exact("select", |tx, mut noise, rounds| async move {
        let mut sent = 0;
        for i in 0..rounds {
            select! {
                done = tx.send(i) => { done.unwrap(); sent += 1 }
                _ = noise.recv() => {}
                _ = after(Duration::from_micros(i % 50)), if i % 16 == 0 => {}
            }
        }
        sent
    });
}

#[test]
fn a_foreign_select_over_our_futures_is_exact() {
    exact("tokio::select!", |tx, mut noise, rounds| async move {
        let mut sent = 0;
        for i in 0..rounds {
            tokio::select! {
                done = tx.send(i) => { done.unwrap(); sent += 1 }
                _ = noise.recv() => {}
            }
        }
        sent
    });
}

#[test]
fn a_foreign_timeout_around_our_select_is_exact() {
    exact("tokio::time::timeout", |tx, mut noise, rounds| async move {
        let mut sent = 0;
        for i in 0..rounds {
            let select = async {
                select! { done = tx.send(i) => { done.unwrap(); true } _ = noise.recv() => false }
            };
            let patience = Duration::from_micros(if i % 8 == 0 { i % 40 } else { 1_000_000 });
            sent += u64::from(tokio::time::timeout(patience, select).await == Ok(true));
        }
        sent
    });
}

#[test]
fn a_thread_reports_exactly_what_was_sent() {
    exact("select_blocking", |tx, mut noise, rounds| async move {
        let blocking = tokio::task::spawn_blocking(move || {
            let mut sent = 0;
            for i in 0..rounds {
                select_blocking! {
                    done = tx.send(i) => { done.unwrap(); sent += 1 }
                    _ = noise.recv() => {}
                }
            }
            sent
        });
        blocking.await.unwrap()
    });
}
