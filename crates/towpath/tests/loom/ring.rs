//! The bounded queue: a ring of two slots.

use std::{pin::pin, task::Poll};

use loom::thread;
use towpath::{SendError, TrySendError, bounded};

use super::{Alarm, Tally, block_on, model, poll};

/// What was sent arrives whole, in order, each message once; then the end.
#[test]
fn ring_hand_over() {
    model(|| {
        let (tx, mut rx) = bounded(2);
        let tally = Tally::new();
        thread::spawn(move || {
            for number in 1..=2 {
                assert!(tx.try_send(tally.parcel(number)).is_ok());
            }
        });
        assert_eq!(rx.recv_blocking().map(|it| it.number), Some(1));
        assert_eq!(rx.recv_blocking().map(|it| it.number), Some(2));
        assert!(rx.recv_blocking().is_none());
    });
}

/// Two senders that find one free slot: one writes it, the other finds the ring full.
#[test]
fn ring_two_senders_one_slot() {
    model(|| {
        let (tx, mut rx) = bounded(2);
        tx.try_send(0).unwrap();
        let tx2 = tx.clone();
        let other = thread::spawn(move || tx2.try_send(2));
        let mine = tx.try_send(1);
        let winner = match (mine, other.join().unwrap()) {
            (Ok(()), Err(TrySendError::Full(2))) => 1,
            (Err(TrySendError::Full(1)), Ok(())) => 2,
            both => panic!("{both:?}"),
        };
        assert_eq!(rx.try_recv().ok(), Some(0));
        assert_eq!(rx.try_recv().ok(), Some(winner));
        assert!(rx.try_recv().is_err());
    });
}

/// Of several receivers each message goes to one, and each that waits is woken.
#[test]
fn ring_two_receivers() {
    model(|| {
        let (tx, rx) = bounded(2);
        let rx = rx.into_shared();
        let receivers = [rx.clone(), rx].map(|mut rx| thread::spawn(move || rx.recv_blocking()));
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        let got = receivers.map(|it| it.join().unwrap());
        assert!(matches!(got, [Some(1), Some(2)] | [Some(2), Some(1)]), "{got:?}");
    });
}

/// A sender that found the ring full gets the place that a receive makes; slots serve a second lap.
#[test]
fn ring_full_sender_waits() {
    model(|| {
        let (tx, mut rx) = bounded(2);
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        thread::spawn(move || tx.send_blocking(3).unwrap());
        let got = [(); 4].map(|()| rx.recv_blocking());
        assert_eq!(got, [Some(1), Some(2), Some(3), None]);
    });
}

/// The same with tasks.
#[test]
fn ring_full_task_waits() {
    model(|| {
        let (tx, mut rx) = bounded(2);
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        thread::spawn(move || block_on(tx.send(3)).unwrap());
        block_on(async {
            for number in 1..=3 {
                assert_eq!(rx.recv().await, Some(number));
            }
        });
    });
}

/// A batch makes several places at once, and as many waiting senders hear of it.
#[test]
fn ring_batch_wakes_both_senders() {
    model(|| {
        let (tx, mut rx) = bounded(2);
        tx.try_send(0).unwrap();
        tx.try_send(0).unwrap();
        let senders =
            [tx.clone(), tx].map(|tx| thread::spawn(move || tx.send_blocking(1).unwrap()));
        let mut batch = Vec::new();
        assert_eq!(rx.recv_many_blocking(&mut batch, 2), 2);
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!((rx.try_recv().ok(), rx.try_recv().ok()), (Some(1), Some(1)));
    });
}

/// A send that races with the receiver's end enters, and is dropped with the queue, or comes back; never both.
#[test]
fn ring_close_vs_send() {
    model(|| {
        let (tx, rx) = bounded(2);
        let tally = Tally::new();
        thread::spawn(move || drop(rx));
        for number in 1..=2 {
            if let Err(TrySendError::Full(_)) = tx.try_send(tally.parcel(number)) {
                panic!("two messages fill no more than two slots");
            }
        }
    });
}

/// A sender that waits hears that the receiver has gone, and has its value back.
#[test]
fn ring_close_wakes_sender() {
    model(|| {
        let (tx, rx) = bounded(2);
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        thread::spawn(move || drop(rx));
        assert_eq!(tx.send_blocking(3), Err(SendError(3)));
    });
}

/// The last place goes to a permit or to a send, and the permit's message always enters.
#[test]
fn ring_reserve_vs_send() {
    model(|| {
        let (tx, mut rx) = bounded(2);
        tx.try_send(0).unwrap();
        let tx2 = tx.clone();
        let other = thread::spawn(move || tx2.try_send(2).is_ok());
        let permit = tx.try_reserve().ok().map(|permit| permit.send(1)).is_some();
        assert_ne!(permit, other.join().unwrap());
        assert_eq!(rx.try_recv().ok(), Some(0));
        assert_eq!(rx.try_recv().ok(), Some(if permit { 1 } else { 2 }));
        assert!(rx.try_recv().is_err());
    });
}

/// A permit that is dropped gives its place to the sender that waits.
#[test]
fn ring_dropped_permit_passes_place() {
    model(|| {
        let (tx, _rx) = bounded(2);
        tx.try_send(0).unwrap();
        let tx2 = tx.clone();
        let permit = tx.try_reserve().unwrap();
        let other = thread::spawn(move || tx2.send_blocking(1).unwrap());
        drop(permit);
        other.join().unwrap();
    });
}

/// A receiver that was told of a message and is dropped instead of trying tells the next.
#[test]
fn ring_notify_passed_on_drop() {
    model(|| super::list::notify_passed_on_drop(Some(2)));
}

/// A sender that was told of a place and is dropped instead of trying tells the next.
#[test]
fn ring_place_passed_on_drop() {
    model(|| {
        let (tx, mut rx) = bounded(2);
        tx.try_send(0).unwrap();
        tx.try_send(0).unwrap();
        let (tx2, tx3) = (tx.clone(), tx);
        let dropped = thread::spawn(move || {
            let mut reserve = pin!(tx2.reserve());
            if let Poll::Ready(permit) = poll(reserve.as_mut(), &Alarm::new()) {
                drop(permit.unwrap());
            }
        });
        let waits = thread::spawn(move || tx3.send_blocking(1).unwrap());
        assert_eq!(rx.try_recv().ok(), Some(0));
        dropped.join().unwrap();
        waits.join().unwrap();
    });
}
