//! Of a select exactly one arm commits; the others leave no trace, also while the select is still there.

use std::pin::pin;

use towpath::{
    SelectSet, rt, select,
    select::{Either, list, pair, run},
    select_blocking,
};

use crate::{KINDS, channel, check, poll};

#[test]
fn a_select_takes_from_both() {
    for kind in KINDS {
        check(move || async move {
            let ((tx, mut rx), (tx2, mut rx2)) = (channel(kind), channel(kind));
            let senders = [(tx, 1), (tx2, 10)].map(|(tx, number)| {
                rt::spawn(async move {
                    tx.send(number).await.unwrap();
                    tx.send(number).await.unwrap();
                })
            });
            let (mut sum, mut open) = (0, [true; 2]);
            while open != [false; 2] {
                select! {
                    got = rx.recv(), if open[0] => match got {
                        Some(number) => sum += number,
                        None => open[0] = false,
                    },
                    got = rx2.recv(), if open[1] => match got {
                        Some(number) => sum += number,
                        None => open[1] = false,
                    },
                }
            }
            assert_eq!(sum, 22);
            for sender in senders {
                sender.await.unwrap();
            }
        });
    }
}

/// A thread that would send in two places sends in one.
#[test]
fn a_select_sends_once() {
    for kind in [Some(0), Some(1), Some(4)] {
        check(move || async move {
            let ((tx, rx), (tx2, rx2)) = (channel(kind), channel(kind));
            let receivers =
                [rx, rx2].map(|mut rx| rt::spawn(async move { rx.recv().await.unwrap_or(0) }));
            let sender = rt::spawn_blocking(move || {
                select_blocking! {
                    sent = tx.send(1) => { sent.unwrap(); 1 },
                    sent = tx2.send(2) => { sent.unwrap(); 2 },
                }
            });
            let mut received = 0;
            for receiver in receivers {
                received += receiver.await.unwrap();
            }
            assert_eq!(sender.await.unwrap(), received);
        });
    }
}

/// Two selects that could pair in two ways pair in one.
#[test]
fn two_selects_pair_once() {
    check(|| async {
        let ((tx, mut rx), (tx2, mut rx2)) = (towpath::rendezvous(), towpath::rendezvous());
        let sender = rt::spawn(async move {
            select! {
                sent = tx.send(1) => { sent.unwrap(); 1 },
                sent = tx2.send(2) => { sent.unwrap(); 2 },
            }
        });
        let receiver = rt::spawn_blocking(move || {
            select_blocking! { got = rx.recv() => got, got = rx2.recv() => got }
        });
        let sent = sender.await.unwrap();
        assert_eq!(receiver.await.unwrap(), Some(sent));
    });
}

/// A select that has nothing may be won from outside afterwards, again and again.
#[test]
fn selects_cross() {
    for kind in [Some(0), Some(1)] {
        check(move || async move {
            let ((there, mut here), (back, mut home)) = (channel(kind), channel(kind));
            let other = rt::spawn(async move {
                let mut got = 0;
                let mut sent = false;
                while !sent || got == 0 {
                    select! {
                        it = here.recv(), if got == 0 => got = it.unwrap(),
                        it = back.send(2), if !sent => { it.unwrap(); sent = true },
                    }
                }
                got
            });
            let mut got = 0;
            let mut sent = false;
            while !sent || got == 0 {
                select! {
                    it = home.recv(), if got == 0 => got = it.unwrap(),
                    it = there.send(1), if !sent => { it.unwrap(); sent = true },
                }
            }
            assert_eq!((got, other.await.unwrap()), (2, 1));
        });
    }
}

/// An arm that has lost stands in no line, although its select has not gone yet.
#[test]
fn a_loser_is_told_nothing() {
    for kind in KINDS {
        check(move || async move {
            let ((tx, mut rx), (tx2, rx2)) = (channel(Some(4)), channel(kind));
            let rx2 = rx2.into_shared();
            let (mut ours, mut theirs) = (rx2.clone(), rx2);
            let mut selecting = pin!(run(pair(list(rx.recv()), pair(list(ours.recv()), ()))));
            assert!(poll(selecting.as_mut()).await.is_pending());
            let next = rt::spawn(async move { theirs.recv().await });
            tx.try_send(1).unwrap();
            assert!(matches!(selecting.as_mut().await, Either::Left(Some(1))));
            tx2.send(2).await.unwrap();
            assert_eq!(next.await.unwrap(), Some(2));
        });
    }
}

/// A set is told of whatever comes to one of its members.
#[test]
fn a_set_is_told() {
    for kind in KINDS {
        check(move || async move {
            let ((tx, rx), (tx2, rx2)) = (channel(kind), channel(kind));
            let mut set = SelectSet::new();
            set.recv(rx);
            set.recv(rx2);
            let senders = [(tx, 1), (tx2, 10)].map(|(tx, number)| {
                rt::spawn(async move {
                    tx.send(number).await.unwrap();
                    tx.send(number).await.unwrap();
                })
            });
            let mut sum = 0;
            while !set.is_empty() {
                sum += set.next().await.1.unwrap_or(0);
            }
            assert_eq!(sum, 22);
            for sender in senders {
                sender.await.unwrap();
            }
        });
    }
}
