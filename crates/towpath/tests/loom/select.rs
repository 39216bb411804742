//! Select: exactly one arm commits, whoever meets whom.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use loom::thread;
use towpath::{SelectSet, bounded, rendezvous, select, select_blocking, unbounded};

use super::{Alarm, KINDS, Tally, block_on, channel, model, model_at_least, poll};

/// A select over two channels against two senders consumes one message; the other is still there.
#[test]
fn select_one_commit() {
    for kind in KINDS {
        model(move || {
            let ((tx, mut rx), (tx2, mut rx2)) = (channel(kind), channel(kind));
            let _open = (tx.clone(), tx2.clone());
            thread::spawn(move || tx.send_blocking(1).unwrap());
            thread::spawn(move || tx2.send_blocking(2).unwrap());
            select_blocking! {
                one = rx.recv() => {
                    assert_eq!((one, rx2.recv_blocking()), (Some(1), Some(2)));
                }
                two = rx2.recv() => {
                    assert_eq!((two, rx.recv_blocking()), (Some(2), Some(1)));
                }
            }
            assert!(rx.try_recv().is_err() && rx2.try_recv().is_err());
        });
    }
}

/// The same in a task, against a task and a thread.
#[test]
fn select_one_commit_tasks() {
    for kind in KINDS {
        model(move || {
            let ((tx, mut rx), (tx2, mut rx2)) = (channel(kind), channel(kind));
            let _open = (tx.clone(), tx2.clone());
            thread::spawn(move || block_on(tx.send(1)).unwrap());
            thread::spawn(move || tx2.send_blocking(2).unwrap());
            block_on(async {
                select! {
                    one = rx.recv() => {
                        assert_eq!((one, rx2.recv().await), (Some(1), Some(2)));
                    }
                    two = rx2.recv() => {
                        assert_eq!((two, rx.recv().await), (Some(2), Some(1)));
                    }
                }
            });
        });
    }
}

/// A select that sends on two channels of which each has a receiver sends one message; the other receiver waits on.
#[test]
fn select_sends_once() {
    model(|| {
        let ((tx, mut rx), (tx2, mut rx2)) = (rendezvous(), rendezvous());
        let one = thread::spawn(move || rx.recv_blocking());
        let two = thread::spawn(move || block_on(rx2.recv()));
        let sender = thread::spawn(move || {
            select_blocking! {
                sent = tx.send(1) => { sent.unwrap(); 1 }
                sent = tx2.send(2) => { sent.unwrap(); 2 }
            }
        });
        let got = (one.join().unwrap(), two.join().unwrap());
        match sender.join().unwrap() {
            1 => assert_eq!(got, (Some(1), None)),
            _ => assert_eq!(got, (None, Some(2))),
        }
    });
}

/// What the two sides of a meeting did, noted for the comparison at the end.
fn agree<A: PartialEq + std::fmt::Debug + Send + 'static>(
    a: impl FnOnce() -> A + Send + 'static,
    b: impl FnOnce() -> A + Send + 'static,
) {
    // Who comes first also decides who steps back when two selects try each other, so `a` is both threads in turn.
    let seen: Arc<Mutex<Option<A>>> = Arc::default();
    let theirs = seen.clone();
    let compare = |seen: &Mutex<Option<A>>, mine: A| {
        let mut seen = seen.lock().unwrap();
        match seen.take() {
            Some(theirs) => assert_eq!(theirs, mine),
            None => *seen = Some(mine),
        }
    };
    thread::spawn(move || compare(&theirs, b()));
    compare(&seen, a());
}

/// Two selects that have not found each other at first, stand in one line each and then try each other at once, so
/// that one must step back: less than three interruptions do not show it.
const STEPS_BACK: usize = 3;

/// Two selects over the same two rendezvous channels, one sending on both and one receiving on both, pair once.
#[test]
fn select_two_selects_pair_once() {
    for swapped in [false, true] {
        model_at_least(STEPS_BACK, move || {
            let ((tx, mut rx), (tx2, mut rx2)) = (rendezvous(), rendezvous());
            let sends = move || {
                select_blocking! {
                    sent = tx.send(1) => { sent.unwrap(); 1 }
                    sent = tx2.send(2) => { sent.unwrap(); 2 }
                }
            };
            // The other way round, so that they meet crosswise.
            let receives = move || {
                select_blocking! {
                    two = rx2.recv() => { assert_eq!(two, Some(2)); 2 }
                    one = rx.recv() => { assert_eq!(one, Some(1)); 1 }
                }
            };
            if swapped { agree(sends, receives) } else { agree(receives, sends) }
        });
    }
}

/// The same with tasks.
#[test]
fn select_two_selects_pair_once_tasks() {
    for swapped in [false, true] {
        model_at_least(STEPS_BACK, move || {
            let ((tx, mut rx), (tx2, mut rx2)) = (rendezvous(), rendezvous());
            let sends = move || {
                block_on(async {
                    select! {
                        sent = tx.send(1) => { sent.unwrap(); 1 }
                        sent = tx2.send(2) => { sent.unwrap(); 2 }
                    }
                })
            };
            let receives = move || {
                block_on(async {
                    select! {
                        two = rx2.recv() => { assert_eq!(two, Some(2)); 2 }
                        one = rx.recv() => { assert_eq!(one, Some(1)); 1 }
                    }
                })
            };
            if swapped { agree(sends, receives) } else { agree(receives, sends) }
        });
    }
}

/// One sends x or receives y, the other receives x or sends y: one of the two meetings takes place, for both.
#[test]
fn select_mixed_cross() {
    for swapped in [false, true] {
        model_at_least(STEPS_BACK, move || {
            let ((x, mut on_x), (y, mut on_y)) = (rendezvous(), rendezvous());
            let one = move || {
                select_blocking! {
                    sent = x.send('x') => { sent.unwrap(); 'x' }
                    got = on_y.recv() => got.unwrap(),
                }
            };
            let other = move || {
                select_blocking! {
                    sent = y.send('y') => { sent.unwrap(); 'y' }
                    got = on_x.recv() => got.unwrap(),
                }
            };
            if swapped { agree(one, other) } else { agree(other, one) }
        });
    }
}

/// The same between a task and a thread.
#[test]
fn select_mixed_cross_task_and_thread() {
    for swapped in [false, true] {
        model_at_least(STEPS_BACK, move || {
            let ((x, mut on_x), (y, mut on_y)) = (rendezvous(), rendezvous());
            let one = move || {
                block_on(async {
                    select! {
                        sent = x.send('x') => { sent.unwrap(); 'x' }
                        got = on_y.recv() => got.unwrap(),
                    }
                })
            };
            let other = move || {
                select_blocking! {
                    sent = y.send('y') => { sent.unwrap(); 'y' }
                    got = on_x.recv() => got.unwrap(),
                }
            };
            if swapped { agree(one, other) } else { agree(other, one) }
        });
    }
}

/// A select over both sides of one channel pairs with another party that receives, never with itself.
#[test]
fn select_not_with_itself() {
    model(|| {
        let (tx, rx) = rendezvous();
        let mut mine = rx.into_shared();
        let mut other = mine.clone();
        thread::spawn(move || assert_eq!(other.recv_blocking(), Some(1)));
        select_blocking! {
            got = mine.recv() => panic!("received {got:?} from itself"),
            sent = tx.send(1) => sent.unwrap(),
        }
    });
    model(|| {
        let (tx, rx) = rendezvous();
        let mut mine = rx.into_shared();
        let mut other = mine.clone();
        thread::spawn(move || assert_eq!(block_on(other.recv()), Some(1)));
        block_on(async {
            select! {
                got = mine.recv() => panic!("received {got:?} from itself"),
                sent = tx.send(1) => sent.unwrap(),
            }
        });
    });
}

/// ... and with another party that sends.
#[test]
fn select_not_with_itself_but_with_a_sender() {
    model(|| {
        let (tx, mut rx) = rendezvous();
        let other = tx.clone();
        thread::spawn(move || other.send_blocking(2).unwrap());
        select_blocking! {
            sent = tx.send(1) => panic!("{sent:?} to itself"),
            got = rx.recv() => assert_eq!(got, Some(2)),
        }
    });
    model(|| {
        let (tx, mut rx) = rendezvous();
        let other = tx.clone();
        thread::spawn(move || block_on(other.send(2)).unwrap());
        block_on(async {
            select! {
                sent = tx.send(1) => panic!("{sent:?} to itself"),
                got = rx.recv() => assert_eq!(got, Some(2)),
            }
        });
    });
}

/// A select that is dropped while a sender claims it gives the message back: it had no effect.
#[test]
fn select_cancelled_has_no_effect() {
    for kind in KINDS {
        model(move || {
            let ((tx, mut rx), (_tx2, mut rx2)) = (channel(kind), channel::<u32>(kind));
            let tally = Tally::new();
            thread::spawn(move || assert!(tx.send_blocking(tally.parcel(1)).is_ok()));
            let selected = {
                let selecting = pin!(async {
                    select! {
                        got = rx.recv() => got.map(|it| it.number),
                        got = rx2.recv() => got,
                    }
                });
                poll(selecting, &Alarm::new())
            };
            match selected {
                Poll::Ready(number) => assert_eq!(number, Some(1)),
                Poll::Pending => assert_eq!(rx.recv_blocking().map(|it| it.number), Some(1)),
            }
            assert!(rx.recv_blocking().is_none());
        });
    }
}

/// A losing arm keeps no place in line: the notice that it had passes to the receiver that waits.
#[test]
fn select_loser_passes_notice_on() {
    for kind in KINDS {
        model(move || {
            let ((tx, rx), (tx2, mut rx2)) = (channel(kind), unbounded());
            let (mut rx, mut waits) = {
                let rx = rx.into_shared();
                (rx.clone(), rx)
            };
            let back = tx.clone();
            let selects = thread::spawn(move || {
                let again = select_blocking! {
                    got = rx2.recv() => { assert_eq!(got, Some(2)); None }
                    got = rx.recv() => got,
                };
                drop(rx);
                // Both were ready and it took ours: the one that waits gets it all the same.
                if let Some(number) = again {
                    back.send_blocking(number).unwrap();
                }
            });
            let receives = thread::spawn(move || assert_eq!(waits.recv_blocking(), Some(1)));
            tx2.try_send(2).unwrap();
            tx.send_blocking(1).unwrap();
            selects.join().unwrap();
            receives.join().unwrap();
        });
    }
}

/// A select with `default` that finds nothing leaves nothing behind.
#[test]
fn select_default_leaves_no_trace() {
    model(|| {
        let (tx, mut rx) = bounded(1);
        thread::spawn(move || tx.send_blocking(1).unwrap());
        let early = select_blocking! {
            got = rx.recv() => got,
            default => None,
        };
        if early.is_none() {
            assert_eq!(rx.recv_blocking(), Some(1));
        }
        assert_eq!(rx.recv_blocking(), None);
    });
}

/// A set, whose members stay registered, is told of each message and of each end, once; on a thread.
#[test]
fn select_set_is_told() {
    for kind in KINDS {
        model(move || {
            let ((tx, rx), (tx2, rx2)) = (channel(kind), channel(kind));
            let mut set = SelectSet::new();
            let (key, key2) = (set.recv(rx), set.recv(rx2));
            thread::spawn(move || {
                tx.send_blocking(1).unwrap();
                block_on(tx2.send(2)).unwrap();
            });
            let mut got = [(); 4].map(|()| set.next_blocking());
            got.sort_unstable();
            assert_eq!(got, [(key, None), (key, Some(1)), (key2, None), (key2, Some(2))]);
        });
    }
}

/// The same in a task, which then hands the set to a thread.
#[test]
fn select_set_moves_from_task_to_thread() {
    for kind in KINDS {
        model(move || {
            let ((tx, rx), (tx2, rx2)) = (channel(kind), channel(kind));
            let mut set = SelectSet::new();
            let (key, key2) = (set.recv(rx), set.recv(rx2));
            let _open = (tx.clone(), tx2.clone());
            thread::spawn(move || {
                tx.send_blocking(1).unwrap();
                tx2.send_blocking(2).unwrap();
            });
            let polled = poll(pin!(set.next()), &Alarm::new());
            let mut got = vec![match polled {
                Poll::Ready(first) => first,
                Poll::Pending => set.next_blocking(),
            }];
            got.push(set.next_blocking());
            got.sort_unstable();
            assert_eq!(got, [(key, Some(1)), (key2, Some(2))]);
        });
    }
}
