//! The ordering contract of the channel documentation, line by line.
//!
//! What one side wrote relaxed, the other must see when the contract says "happens before": loom would also try the
//! old value otherwise.

use std::sync::Arc;

use loom::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
};

use super::{KINDS, block_on, channel, model};

/// Written and read without any ordering of its own.
fn note() -> [Arc<AtomicU32>; 2] {
    let note = Arc::new(AtomicU32::new(0));
    [note.clone(), note]
}

/// The k-th send happens before the k-th receive completes.
#[test]
fn order_1_send_before_recv() {
    for kind in KINDS {
        model(move || {
            let (tx, mut rx) = channel(kind);
            let [written, read] = note();
            thread::spawn(move || {
                for k in 1..=2 {
                    written.store(k, Relaxed);
                    tx.send_blocking(k).unwrap();
                }
            });
            for k in 1..=2 {
                assert_eq!(rx.recv_blocking(), Some(k));
                assert!(read.load(Relaxed) >= k);
            }
        });
    }
}

/// The k-th receive happens before the (k+C)-th send completes.
#[test]
fn order_2_kth_recv_before_k_plus_c_send() {
    for capacity in [0, 1, 2] {
        model(move || {
            let (tx, mut rx) = channel(Some(capacity as usize));
            let [written, read] = note();
            thread::spawn(move || {
                for k in 1..=2 {
                    written.store(k, Relaxed);
                    rx.recv_blocking();
                }
                // What follows is received without a note, so that no send fails.
                while rx.recv_blocking().is_some() {}
            });
            for nth in 1..=capacity.max(1) + 1 {
                tx.send_blocking(nth).unwrap();
                assert!(read.load(Relaxed) + capacity >= nth);
            }
        });
    }
}

/// Rendezvous: the receive happens before the send completes, and the other way round.
#[test]
fn order_3_rendezvous_both_ways() {
    for tasks in [false, true] {
        model(move || {
            let (tx, mut rx) = channel(Some(0));
            let ([sent, see_sent], [received, see_received]) = (note(), note());
            thread::spawn(move || {
                sent.store(1, Relaxed);
                if tasks { block_on(tx.send(())) } else { tx.send_blocking(()) }.unwrap();
                assert_eq!(see_received.load(Relaxed), 1);
            });
            received.store(1, Relaxed);
            if tasks { block_on(rx.recv()) } else { rx.recv_blocking() }.unwrap();
            assert_eq!(see_sent.load(Relaxed), 1);
        });
    }
}

/// Dropping the last sender happens before a receive returns `None`; dropping the receiver before a send fails.
#[test]
fn order_4_close() {
    for kind in KINDS {
        model(move || {
            let (tx, mut rx) = channel::<u32>(kind);
            let [written, read] = note();
            let written2 = written.clone();
            let tx2 = tx.clone();
            for (n, tx, written) in [(1, tx, written), (2, tx2, written2)] {
                thread::spawn(move || {
                    written.fetch_add(n, Relaxed);
                    drop(tx);
                });
            }
            assert_eq!(rx.recv_blocking(), None);
            assert_eq!(read.load(Relaxed), 3);
        });
        model(move || {
            let (tx, rx) = channel(kind);
            let [written, read] = note();
            thread::spawn(move || {
                written.store(1, Relaxed);
                drop(rx);
            });
            for _ in 0..3 {
                if tx.send_blocking(()).is_err() {
                    assert_eq!(read.load(Relaxed), 1);
                }
            }
        });
    }
}

/// The messages of one sender arrive in the order in which it sent them.
#[test]
fn order_6_fifo_one_sender() {
    for kind in KINDS {
        model(move || {
            let (tx, mut rx) = channel(kind);
            thread::spawn(move || (1..=3).for_each(|n| tx.send_blocking(n).unwrap()));
            let got = [(); 4].map(|()| rx.recv_blocking());
            assert_eq!(got, [Some(1), Some(2), Some(3), None]);
        });
    }
}
