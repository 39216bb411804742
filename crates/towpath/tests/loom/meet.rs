//! Rendezvous and the channel of one place: sender and receiver meet under one lock.

use std::{pin::pin, task::Poll};

use loom::thread;
use towpath::{SendError, Sender, TryRecvError, bounded, rendezvous};

use super::{Alarm, Tally, block_on, model, poll};

/// Between two threads, whoever comes first, the message passes and both go on.
#[test]
fn meet_rendezvous_threads() {
    model(|| {
        let (tx, mut rx) = rendezvous();
        let tally = Tally::new();
        thread::spawn(move || assert!(tx.send_blocking(tally.parcel(7)).is_ok()));
        assert_eq!(rx.recv_blocking().map(|it| it.number), Some(7));
        assert!(rx.recv_blocking().is_none());
    });
}

/// Between two tasks, where the sender that waits is granted its turn rather than robbed.
#[test]
fn meet_rendezvous_tasks() {
    model(|| {
        let (tx, mut rx) = rendezvous();
        let tally = Tally::new();
        thread::spawn(move || assert!(block_on(tx.send(tally.parcel(7))).is_ok()));
        block_on(async {
            assert_eq!(rx.recv().await.map(|it| it.number), Some(7));
            assert!(rx.recv().await.is_none());
        });
    });
}

/// Between a task that sends and a thread that receives.
#[test]
fn meet_rendezvous_task_to_thread() {
    model(|| {
        let (tx, mut rx) = rendezvous();
        thread::spawn(move || block_on(tx.send(7)).unwrap());
        assert_eq!((rx.recv_blocking(), rx.recv_blocking()), (Some(7), None));
    });
}

/// Between a thread that sends and a task that receives.
#[test]
fn meet_rendezvous_thread_to_task() {
    model(|| {
        let (tx, mut rx) = rendezvous();
        thread::spawn(move || tx.send_blocking(7).unwrap());
        block_on(async { assert_eq!((rx.recv().await, rx.recv().await), (Some(7), None)) });
    });
}

/// A task's send is never taken by `try_recv` behind its back, and still `try_recv` has the message in the end.
#[test]
fn meet_try_recv_insists() {
    model(|| {
        let (tx, mut rx) = rendezvous();
        thread::spawn(move || block_on(tx.send(7)).unwrap());
        loop {
            match rx.try_recv() {
                Err(TryRecvError::Empty) => thread::yield_now(),
                other => break assert_eq!(other, Ok(7)),
            }
        }
    });
}

/// A receive that is dropped did nothing: what it had in its hands already is received next, in order.
#[test]
fn meet_cancelled_receive_gives_back() {
    for capacity in [0, 1] {
        model(move || {
            let (tx, mut rx) = bounded(capacity);
            let tally = Tally::new();
            thread::spawn(move || {
                for number in 1..=2 {
                    assert!(tx.send_blocking(tally.parcel(number)).is_ok());
                }
            });
            let mut next = 1;
            if let Poll::Ready(got) = poll(pin!(rx.recv()), &Alarm::new()) {
                assert_eq!(got.map(|it| it.number), Some(1));
                next = 2;
            }
            for number in next..=2 {
                assert_eq!(rx.recv_blocking().map(|it| it.number), Some(number));
            }
            assert!(rx.recv_blocking().is_none());
        });
    }
}

/// Of two receivers one has the message in its hands and is dropped: the one that waits gets it.
#[test]
fn meet_cancelled_receive_passes_message() {
    model(|| super::list::notify_passed_on_drop(Some(1)));
}

/// A task's send that was granted its turn and is dropped was never sent, and the next in line has the turn.
#[test]
fn meet_cancelled_send_passes_turn() {
    model(|| {
        let (tx, mut rx) = rendezvous();
        let (_open, tx2) = (tx.clone(), tx.clone());
        let dropped = thread::spawn(move || {
            matches!(poll(pin!(tx.send(1)), &Alarm::new()), Poll::Ready(Ok(())))
        });
        let waits = thread::spawn(move || block_on(tx2.send(2)).unwrap());
        let receives = thread::spawn(move || {
            let first = rx.recv_blocking();
            if first == Some(1) {
                assert_eq!(rx.recv_blocking(), Some(2));
            }
            first == Some(1)
        });
        waits.join().unwrap();
        assert_eq!(dropped.join().unwrap(), receives.join().unwrap());
    });
}

/// One place: the second send waits until the first message is taken, and order is kept.
#[test]
fn meet_cap1() {
    model(|| {
        let (tx, mut rx) = bounded(1);
        thread::spawn(move || {
            for number in 1..=3 {
                tx.send_blocking(number).unwrap();
            }
        });
        let got = [(); 4].map(|()| rx.recv_blocking());
        assert_eq!(got, [Some(1), Some(2), Some(3), None]);
    });
}

/// One place, with tasks.
#[test]
fn meet_cap1_tasks() {
    model(|| {
        let (tx, mut rx) = bounded(1);
        thread::spawn(move || block_on(tx.send_all(1..=3)).unwrap());
        block_on(async {
            for number in 1..=3 {
                assert_eq!(rx.recv().await, Some(number));
            }
            assert_eq!(rx.recv().await, None);
        });
    });
}

/// One place, two senders that wait, and a receiver that receives twice: then there is room for the third message, also
/// when the second came into its hands and nobody receives any more.
#[test]
fn meet_look_lets_in() {
    fn check(tx: &Sender<u32>, mut recv: impl FnMut() -> Option<u32>) {
        tx.try_send(1).unwrap();
        let senders = [2, 3].map(|number| {
            let tx = tx.clone();
            thread::spawn(move || block_on(tx.send(number)).unwrap())
        });
        let got = recv().unwrap() + recv().unwrap();
        senders.map(|it| it.join().unwrap());
        assert_eq!(got + recv().unwrap(), 6);
    }
    model(|| {
        let (tx, mut rx) = bounded(1);
        check(&tx, || block_on(rx.recv()));
    });
    model(|| {
        let (tx, rx) = bounded(1);
        let mut rx = rx.into_shared();
        check(&tx, || block_on(rx.recv()));
    });
}

/// Who is told of room and comes too late, since somebody who runs was faster, has the next place.
#[test]
fn meet_late_comer_is_next() {
    for capacity in [0, 1] {
        model(move || {
            let (tx, mut rx) = bounded(capacity);
            let senders = [1, 2].map(|number| {
                let tx = tx.clone();
                thread::spawn(move || block_on(tx.send(number)).unwrap())
            });
            drop(tx);
            block_on(async {
                let (a, b) = (rx.recv().await, rx.recv().await);
                assert_eq!(a.unwrap() + b.unwrap(), 3);
                assert_eq!(rx.recv().await, None);
            });
            senders.map(|it| it.join().unwrap());
        });
    }
}

/// A permit for one place, or for a receiver that waits, always delivers; dropped unused it passes its place on.
#[test]
fn meet_permit() {
    for capacity in [0, 1] {
        model(move || {
            let (tx, mut rx) = bounded(capacity);
            let tx2 = tx.clone();
            thread::spawn(move || drop(block_on(tx2.reserve()).unwrap()));
            thread::spawn(move || tx.reserve_blocking().unwrap().send(1));
            assert_eq!((rx.recv_blocking(), rx.recv_blocking()), (Some(1), None));
        });
    }
}

/// A side that goes is noticed by the other, waiting or not; the message is delivered, dropped or given back once.
#[test]
fn meet_close() {
    for capacity in [0, 1] {
        // The receiver goes.
        model(move || {
            let (tx, rx) = bounded(capacity);
            let tally = Tally::new();
            thread::spawn(move || drop(rx));
            let (mut ok, mut refused) = (0, 0);
            for number in 1..=2 {
                match tx.send_blocking(tally.parcel(number)) {
                    Ok(()) => ok += 1,
                    Err(SendError(parcel)) => {
                        assert_eq!(parcel.number, number);
                        refused += 1;
                    }
                }
            }
            assert!(ok <= capacity && ok + refused == 2);
        });
        // The same for a task.
        model(move || {
            let (tx, rx) = bounded(capacity);
            thread::spawn(move || drop(rx));
            let sent = [block_on(tx.send(1)), block_on(tx.send(2))];
            assert_eq!(sent[1], Err(SendError(2)));
        });
        // The sender goes.
        model(move || {
            let (tx, mut rx) = bounded::<u32>(capacity);
            thread::spawn(move || drop(tx));
            assert_eq!(block_on(rx.recv()), None);
            assert_eq!(rx.recv_blocking(), None);
        });
    }
}
