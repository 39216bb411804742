//! Sealing: a network that drains shuts the senders of its inputs out, while the receiver goes on.

use std::{
    pin::pin,
    sync::{Arc, atomic::AtomicUsize},
};

use loom::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};
use towpath::SendError;

use super::{Alarm, KINDS, Tally, block_on, channel, model, poll};

/// A send that races with the seal is received or comes back, never both and never neither; then comes the end.
#[test]
fn seal_vs_send() {
    for kind in KINDS {
        model(move || {
            let (tx, mut rx) = channel(kind);
            let tally = Tally::new();
            thread::spawn(rx.sealer());
            let receiver = thread::spawn(move || {
                let mut got = 0;
                while rx.recv_blocking().is_some() {
                    got += 1;
                }
                assert!(rx.is_closed());
                (got, rx)
            });
            let sent = u32::from(tx.try_send(tally.parcel(1)).is_ok());
            let (got, _rx) = receiver.join().unwrap();
            assert_eq!(got, sent);
        });
    }
}

/// The same for a thread that waits for its turn.
#[test]
fn seal_vs_waiting_thread() {
    seal_vs_waiting(false);
}

/// The same for a task, which may have been granted its turn when the seal comes.
#[test]
fn seal_vs_waiting_task() {
    seal_vs_waiting(true);
}

fn seal_vs_waiting(task: bool) {
    /// One message, received or given back.
    struct Ledger(AtomicUsize);
    impl Drop for Ledger {
        fn drop(&mut self) {
            assert_eq!(*self.0.get_mut(), 1);
        }
    }
    // On other channels a send waits when they are full: `seal_wakes_*`.
    model(move || {
        let (tx, mut rx) = channel(Some(0));
        thread::spawn(rx.sealer());
        let ledger = Arc::new(Ledger(AtomicUsize::new(0)));
        let given_back = ledger.clone();
        thread::spawn(move || {
            let sent = if task { block_on(tx.send(7)) } else { tx.send_blocking(7) };
            if let Err(SendError(value)) = sent {
                given_back.0.fetch_add(1, Relaxed);
                assert_eq!(value, 7);
            }
        });
        while rx.recv_blocking().is_some() {
            ledger.0.fetch_add(1, Relaxed);
        }
    });
}

/// A thread that waits to send into a full channel has its value back, and what was queued is received.
#[test]
fn seal_wakes_thread() {
    seal_wakes(false);
}

/// The same with a task.
#[test]
fn seal_wakes_task() {
    seal_wakes(true);
}

fn seal_wakes(task: bool) {
    for capacity in [0, 1, 2] {
        model(move || {
            let (tx, mut rx) = channel(Some(capacity as usize));
            for number in 0..capacity {
                tx.try_send(number).unwrap();
            }
            // Kept here, so that only the seal can have woken the sender. (Not in the thread's handle: that hands it over
            // without loom seeing it.)
            let kept = loom::sync::Arc::new(Mutex::new(None));
            let keep = kept.clone();
            thread::spawn(move || {
                rx.sealer()();
                for number in 0..capacity {
                    assert_eq!(rx.recv_blocking(), Some(number));
                }
                assert_eq!(rx.recv_blocking(), None);
                *keep.lock().unwrap() = Some(rx);
            });
            let sent = if task { block_on(tx.send(9)) } else { tx.send_blocking(9) };
            assert_eq!(sent, Err(SendError(9)));
        });
    }
}

/// A receiver that waits hears of the end, though a sender is still there.
#[test]
fn seal_wakes_receiver() {
    for kind in KINDS {
        for task in [false, true] {
            model(move || {
                let (tx, mut rx) = channel::<()>(kind);
                let seal = rx.sealer();
                thread::spawn(seal);
                assert_eq!(if task { block_on(rx.recv()) } else { rx.recv_blocking() }, None);
                assert_eq!(tx.try_send(()).map_err(|error| error.is_closed()), Err(true));
            });
        }
    }
}

/// A permit that was taken before the seal is received or gives its value back, and the receiver agrees.
#[test]
fn seal_vs_permit() {
    for kind in [Some(1), Some(2), None] {
        model(move || {
            let (tx, mut rx) = channel(kind);
            let seal = rx.sealer();
            let sender = thread::spawn(move || {
                let Ok(permit) = tx.try_reserve() else { return false };
                match permit.try_send(7) {
                    Ok(()) => true,
                    Err(SendError(value)) => {
                        assert_eq!(value, 7);
                        false
                    }
                }
            });
            seal();
            let got = rx.recv_blocking();
            assert_eq!(got.is_some(), sender.join().unwrap());
            assert!(got.is_none() || rx.recv_blocking().is_none());
        });
    }
}

/// That the last sender goes at the same time, or the receiver, closes twice and does no harm.
#[test]
fn seal_vs_drop() {
    for kind in KINDS {
        model(move || {
            let (tx, mut rx) = channel(kind);
            let tally = Tally::new();
            let seal = rx.sealer();
            let sent = u32::from(tx.try_send(tally.parcel(1)).is_ok());
            thread::spawn(move || drop(tx));
            thread::spawn(seal);
            let mut got = 0;
            while rx.recv_blocking().is_some() {
                got += 1;
            }
            assert_eq!(got, sent);
        });
        model(move || {
            let (tx, rx) = channel(kind);
            let tally = Tally::new();
            let seal = rx.sealer();
            thread::spawn(move || drop(rx));
            thread::spawn(seal);
            drop(tx.try_send(tally.parcel(1)));
        });
    }
}

/// What happened before the seal happens before a send fails.
#[test]
fn seal_before_error() {
    for kind in KINDS {
        model(move || {
            let (tx, rx) = channel(kind);
            let note = Arc::new(AtomicU32::new(0));
            let (written, seal) = (note.clone(), rx.sealer());
            thread::spawn(move || {
                written.store(1, Relaxed);
                seal();
            });
            for _ in 0..2 {
                if tx.try_send(()).is_err_and(|error| error.is_closed()) {
                    assert_eq!(note.load(Relaxed), 1);
                }
            }
            drop(rx);
        });
    }
}

/// Who waits for the receivers' end is told of it, whether they go or the senders are shut out.
#[test]
fn closed_is_told() {
    for kind in KINDS {
        for seals in [false, true] {
            model(move || {
                let (tx, rx) = channel::<u32>(kind);
                let goes = thread::spawn(move || {
                    if seals {
                        rx.sealer()();
                        return Some(rx);
                    }
                    drop(rx);
                    None
                });
                block_on(tx.closed());
                assert!(tx.is_closed());
                drop(goes.join().unwrap());
            });
        }
    }
}

/// A wait for the end that is dropped leaves nothing behind, and the next one is told.
#[test]
fn closed_is_cancelled() {
    model(|| {
        let (tx, rx) = channel::<u32>(Some(1));
        thread::spawn(move || drop(rx));
        {
            let closed = pin!(tx.closed());
            let _ = poll(closed, &Alarm::new());
        }
        tx.closed_blocking();
    });
}
