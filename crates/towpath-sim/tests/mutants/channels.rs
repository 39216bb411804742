//! Messages arrive, once each and in order; capacity is what it says; a place that is not used is there again.

use towpath::{TryReserveError, TrySendError, rt};

use crate::{BOUNDED, KINDS, channel, check, now, park};

#[test]
fn messages_arrive_in_order() {
    for kind in KINDS {
        check(move || async move {
            let (tx, mut rx) = channel(kind);
            let senders = [0, 10].map(|first| {
                let tx = tx.clone();
                rt::spawn(async move {
                    for number in first..first + 3 {
                        tx.send(number).await.unwrap();
                    }
                })
            });
            drop(tx);
            let mut next = [0, 10];
            while let Some(number) = rx.recv().await {
                let sender = usize::from(number >= 10);
                assert_eq!(number, next[sender]);
                next[sender] += 1;
            }
            assert_eq!(next, [3, 13]);
            for sender in senders {
                sender.await.unwrap();
            }
        });
    }
}

#[test]
fn threads_and_tasks_meet() {
    for kind in KINDS {
        check(move || async move {
            let (tx, mut rx) = channel(kind);
            let receiver = rt::spawn_blocking(move || {
                let got: Vec<u32> = std::iter::from_fn(|| rx.recv_blocking()).collect();
                assert_eq!(got, [0, 1, 2]);
            });
            for number in 0..3 {
                tx.send(number).await.unwrap();
            }
            drop(tx);
            receiver.await.unwrap();
        });
    }
}

/// Each of several receivers that wait is told of a message of its own.
#[test]
fn each_message_wakes_one() {
    for kind in KINDS {
        check(move || async move {
            let (tx, rx) = channel(kind);
            let rx = rx.into_shared();
            let receivers = [rx.clone(), rx.clone(), rx].map(|mut rx| {
                rt::spawn(async move {
                    assert!(rx.recv().await.is_some());
                })
            });
            for number in 0..3 {
                tx.send(number).await.unwrap();
            }
            for receiver in receivers {
                receiver.await.unwrap();
            }
            drop(tx);
        });
    }
}

/// A batch that is taken lets as many senders go on.
#[test]
fn a_batch_makes_room_for_all() {
    check(|| async {
        let (tx, mut rx) = towpath::bounded(4);
        (0..4).for_each(|number| tx.try_send(number).unwrap());
        let senders = [4, 5, 6].map(|number| {
            let tx = tx.clone();
            rt::spawn(async move { tx.send(number).await.unwrap() })
        });
        let mut batch = Vec::new();
        while batch.len() < 4 {
            rx.recv_many(&mut batch, 4).await;
        }
        for sender in senders {
            sender.await.unwrap();
        }
        drop(tx);
        while rx.recv_many(&mut batch, 8).await > 0 {}
        batch.sort_unstable();
        assert_eq!(batch, [0, 1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn capacity_is_exact() {
    for capacity in BOUNDED {
        check(move || async move {
            let (tx, mut rx) = towpath::bounded(capacity);
            // Twice: the second time everything has been used before.
            for _ in 0..2 {
                let sent = (0..20).take_while(|number| tx.try_send(*number).is_ok()).count();
                assert_eq!(sent, capacity);
                for number in 0..capacity {
                    assert_eq!(rx.try_recv(), Ok(number));
                }
            }
        });
    }
}

/// Permits count as messages do, and a permit that is dropped counts no more.
#[test]
fn a_dropped_permit_gives_its_place_back() {
    for capacity in BOUNDED.into_iter().filter(|capacity| *capacity > 0) {
        check(move || async move {
            let (tx, mut rx) = towpath::bounded(capacity);
            for _ in 0..2 {
                let mut permits: Vec<_> =
                    (0..capacity).map(|_| tx.try_reserve().expect("a place")).collect();
                assert_eq!(tx.try_reserve().map(drop), Err(TryReserveError::Full));
                assert_eq!(tx.try_send(0), Err(TrySendError::Full(0)));
                drop(permits.pop());
                assert_eq!(tx.try_send(1), Ok(()));
                drop(permits);
                assert_eq!(rx.try_recv(), Ok(1));
            }
        });
    }
}

/// Whoever waits for a place gets the one of a permit that is dropped.
#[test]
fn a_dropped_permit_wakes_a_sender() {
    for capacity in BOUNDED.into_iter().filter(|capacity| *capacity > 0) {
        check(move || async move {
            let (tx, mut rx) = towpath::bounded(capacity);
            let mut permits: Vec<_> =
                (0..capacity).map(|_| tx.try_reserve().expect("a place")).collect();
            let theirs = tx.clone();
            let sender = rt::spawn(async move { theirs.send(7).await.unwrap() });
            towpath_sim::yield_point();
            drop(permits.pop());
            sender.await.unwrap();
            drop(permits);
            assert_eq!(rx.recv().await, Some(7));
        });
    }
}

/// A message that `try_recv` has asked for is one, whoever gets it.
#[test]
fn a_wish_is_met_once() {
    check(|| async {
        let (tx, mut rx) = towpath::rendezvous();
        let mut sending = park(tx.send(1)).await;
        assert!(rx.try_recv().is_err(), "the sender has to run first");
        let mut receiving = park(rx.recv()).await;
        assert_eq!(now(&mut sending).await, Some(Ok(())));
        assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
        assert_eq!(now(&mut receiving).await, Some(Some(1)));
    });
}
