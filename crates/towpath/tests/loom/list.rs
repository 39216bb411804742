//! The unbounded queue: blocks of two slots.

use std::{pin::pin, task::Poll};

use loom::thread;
use towpath::unbounded;

use super::{Alarm, Tally, channel, model, poll};

/// What was sent arrives whole, each message once; then the end.
#[test]
fn list_hand_over() {
    model(|| {
        let (tx, mut rx) = unbounded();
        let tally = Tally::new();
        thread::spawn(move || assert!(tx.try_send(tally.parcel(1)).is_ok()));
        assert_eq!(rx.recv_blocking().map(|it| it.number), Some(1));
        assert!(rx.recv_blocking().is_none());
    });
}

/// Two senders that fill a block between them: one links the next, the receiver follows and frees the first, which
/// serves again.
#[test]
fn list_block_change() {
    model(|| {
        let (tx, mut rx) = unbounded();
        let tx2 = tx.clone();
        tx.try_send(1).unwrap();
        let first = thread::spawn(move || {
            tx.try_send(2).unwrap();
            tx.try_send(3).unwrap();
        });
        let second = thread::spawn(move || tx2.try_send(10).unwrap());
        let got = [(); 2].map(|()| rx.recv_blocking().unwrap());
        first.join().unwrap();
        second.join().unwrap();
        let rest = [(); 2].map(|()| rx.try_recv().unwrap());
        let all = [got, rest].concat();
        assert!(matches!(all[..], [1, 10, 2, 3] | [1, 2, 10, 3] | [1, 2, 3, 10]), "{all:?}");
        assert!(rx.try_recv().is_err());
    });
}

/// A block that the receiver has emptied is used again by a sender, and nothing of its first life is seen.
#[test]
fn list_block_serves_again() {
    model(|| {
        let (tx, mut rx) = unbounded();
        thread::spawn(move || (1..=5).for_each(|number| tx.try_send(number).unwrap()));
        for number in 1..=5 {
            assert_eq!(rx.recv_blocking(), Some(number));
        }
    });
}

/// Of several receivers each message goes to one, and each that waits is woken.
#[test]
fn list_two_receivers() {
    model(|| {
        let (tx, rx) = unbounded();
        let rx = rx.into_shared();
        let receivers = [rx.clone(), rx].map(|mut rx| thread::spawn(move || rx.recv_blocking()));
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        let got = receivers.map(|it| it.join().unwrap());
        assert!(matches!(got, [Some(1), Some(2)] | [Some(2), Some(1)]), "{got:?}");
    });
}

/// A send that races with the receiver's end enters, and is dropped with the queue, or comes back; never both.
#[test]
fn list_close() {
    model(|| {
        let (tx, rx) = unbounded();
        let tally = Tally::new();
        thread::spawn(move || drop(rx));
        for number in 1..=2 {
            drop(tx.try_send(tally.parcel(number)));
        }
    });
}

/// A receiver that was told of a message and is dropped instead of trying tells the next.
#[test]
fn list_notify_passed_on_drop() {
    model(|| notify_passed_on_drop(None));
}

pub(super) fn notify_passed_on_drop(capacity: Option<usize>) {
    let (tx, rx) = channel(capacity);
    let mut rx = rx.into_shared();
    let (tx2, mut rx2) = (tx.clone(), rx.clone());
    let dropped = thread::spawn(move || {
        if let Poll::Ready(value) = poll(pin!(rx2.recv()), &Alarm::new()) {
            tx2.try_send(value.unwrap()).unwrap();
        }
    });
    let waits = thread::spawn(move || assert_eq!(rx.recv_blocking(), Some(7)));
    tx.try_send(7).unwrap();
    dropped.join().unwrap();
    waits.join().unwrap();
}
