//! What every channel stands on: the lock, and waiters that are tasks or threads.

use std::{pin::pin, task::Poll};

use loom::thread;
use towpath::{TrySendError, bounded, select};

use super::{Alarm, KINDS, channel, model, poll};

/// Of two that find one place one wins, and each sees what the other did under the lock.
#[test]
fn lock_excludes() {
    model(|| {
        let (tx, mut rx) = bounded(1);
        let tx2 = tx.clone();
        let other = thread::spawn(move || tx2.try_send(2));
        let mine = tx.try_send(1);
        let winner = match (mine, other.join().unwrap()) {
            (Ok(()), Err(TrySendError::Full(2))) => 1,
            (Err(TrySendError::Full(1)), Ok(())) => 2,
            both => panic!("{both:?}"),
        };
        assert_eq!(rx.try_recv().ok(), Some(winner));
        assert!(rx.try_recv().is_err());
    });
}

/// A future that moves from one task to another while it is being woken wakes the second, or was ready when polled.
#[test]
fn waker_moves_between_tasks() {
    for kind in KINDS {
        model(move || {
            let (tx, mut rx) = channel(kind);
            thread::spawn(move || tx.send_blocking(7).unwrap());
            let mut recv = pin!(rx.recv());
            let (first, second) = (Alarm::new(), Alarm::new());
            for alarm in [first, second.clone()] {
                if let Poll::Ready(value) = poll(recv.as_mut(), &alarm) {
                    assert_eq!(value, Some(7));
                    return;
                }
            }
            second.wait();
            assert_eq!(poll(recv, &second), Poll::Ready(Some(7)));
        });
    }
}

/// The same for a select, which two channels wake.
#[test]
fn waker_of_a_select_moves_between_tasks() {
    for kind in KINDS {
        model(move || {
            let ((tx, mut rx), (tx2, mut rx2)) = (channel(kind), channel(kind));
            let _open = (tx.clone(), tx2.clone());
            // Either is refused when the select was faster with the other.
            thread::spawn(move || (tx.send_blocking(1).is_ok(), tx2.try_send(2).is_ok()));
            let mut selecting = pin!(async {
                select! { one = rx.recv() => one, two = rx2.recv() => two }
            });
            let (first, second) = (Alarm::new(), Alarm::new());
            for alarm in [first, second.clone()] {
                if let Poll::Ready(got) = poll(selecting.as_mut(), &alarm) {
                    assert!(got == Some(1) || got == Some(2));
                    return;
                }
            }
            loop {
                second.wait();
                if let Poll::Ready(got) = poll(selecting.as_mut(), &second) {
                    assert!(got == Some(1) || got == Some(2));
                    return;
                }
            }
        });
    }
}

/// A thread that parks in a channel operation is unparked when it is done.
#[test]
fn waker_of_a_thread() {
    for kind in KINDS {
        model(move || {
            let (tx, mut rx) = channel(kind);
            thread::spawn(move || tx.send_blocking(7).unwrap());
            assert_eq!(rx.recv_blocking(), Some(7));
        });
    }
}
