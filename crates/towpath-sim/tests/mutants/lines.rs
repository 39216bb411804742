//! First come, first served; who leaves a line with what it was given passes it on.

use towpath::rt;

use crate::{BOUNDED, KINDS, channel, check, now, park};

#[test]
fn receivers_are_served_in_turn() {
    for kind in KINDS {
        check(move || async move {
            let (tx, rx) = channel(kind);
            let rx = rx.into_shared();
            let (mut one, mut two, mut three) = (rx.clone(), rx.clone(), rx);
            let mut line =
                [park(one.recv()).await, park(two.recv()).await, park(three.recv()).await];
            for number in 0..3 {
                tx.try_send(number).unwrap();
                for behind in &mut line[number + 1..] {
                    assert_eq!(now(behind).await, None, "it came later");
                }
                assert_eq!(now(&mut line[number]).await, Some(Some(number)));
            }
        });
    }
}

#[test]
fn senders_are_served_in_turn() {
    for capacity in BOUNDED {
        check(move || async move {
            let (tx, mut rx) = towpath::bounded(capacity);
            (0..capacity).for_each(|number| tx.try_send(number).unwrap());
            let (two, three) = (tx.clone(), tx.clone());
            let mut line = [
                park(tx.send(capacity)).await,
                park(two.send(capacity + 1)).await,
                park(three.send(capacity + 2)).await,
            ];
            for first in 0..3 {
                // A rendezvous needs somebody in line before the sender goes on.
                let mut receiving = Box::pin(rx.recv());
                let mut got = now(&mut receiving).await;
                for behind in &mut line[first + 1..] {
                    assert_eq!(now(behind).await, None, "it came later");
                }
                assert_eq!(now(&mut line[first]).await, Some(Ok(())));
                if got.is_none() {
                    got = now(&mut receiving).await;
                }
                assert_eq!(got, Some(Some(first)));
            }
        });
    }
}

/// A place that is free once a message has been looked at is for the next in line, though nobody receives any more.
#[test]
fn who_looks_lets_the_next_in() {
    check(|| async {
        let (tx, mut rx) = towpath::bounded(1);
        tx.try_send(0).unwrap();
        let two = tx.clone();
        let (mut first, mut second) = (park(tx.send(1)).await, park(two.send(2)).await);
        assert_eq!(rx.recv().await, Some(0));
        let mut receiving = park(rx.recv()).await;
        assert_eq!(now(&mut first).await, Some(Ok(())));
        assert_eq!(now(&mut receiving).await, Some(Some(1)));
        assert_eq!(now(&mut second).await, Some(Ok(())));
        drop(receiving);
        assert_eq!(rx.recv().await, Some(2));
    });
}

/// Who was told of room that a newcomer took has the next place to itself.
#[test]
fn a_late_sender_is_overtaken_once() {
    for capacity in [1, 3] {
        check(move || async move {
            let (tx, mut rx) = towpath::bounded(capacity);
            (0..capacity).for_each(|number| tx.try_send(number).unwrap());
            let mut first = park(tx.send(10)).await;
            rx.try_recv().unwrap();
            tx.try_send(11).unwrap();
            assert_eq!(now(&mut first).await, None);
            rx.try_recv().unwrap();
            assert!(tx.try_send(12).is_err(), "it is kept");
            assert_eq!(now(&mut first).await, Some(Ok(())));
        });
    }
}

/// Who was told of a message that a newcomer took stands where it stood.
#[test]
fn a_loser_keeps_its_place() {
    for kind in [Some(4), Some(5), None] {
        check(move || async move {
            let (tx, rx) = channel(kind);
            let rx = rx.into_shared();
            let (mut one, mut two, mut newcomer) = (rx.clone(), rx.clone(), rx);
            let mut first = park(one.recv()).await;
            let mut second = park(two.recv()).await;
            tx.try_send(1).unwrap();
            assert_eq!(newcomer.try_recv(), Ok(1));
            assert_eq!(now(&mut first).await, None);
            tx.try_send(2).unwrap();
            assert_eq!(now(&mut second).await, None, "it came later");
            assert_eq!(now(&mut first).await, Some(Some(2)));
        });
    }
}

/// A receive that is dropped, after it was told or has its message in its hands, leaves it to the next.
#[test]
fn a_dropped_receive_passes_its_message_on() {
    for kind in KINDS {
        check(move || async move {
            let (tx, rx) = channel(kind);
            let rx = rx.into_shared();
            let (mut one, mut two) = (rx.clone(), rx);
            let first = park(one.recv()).await;
            let second = rt::spawn(async move { two.recv().await });
            tx.send(7).await.unwrap();
            drop(first);
            assert_eq!(second.await.unwrap(), Some(7));
        });
    }
}

/// With nobody behind it, the message is there for the next who comes.
#[test]
fn a_dropped_receive_loses_nothing() {
    for kind in KINDS {
        check(move || async move {
            let (tx, mut rx) = channel(kind);
            let receiving = park(rx.recv()).await;
            tx.try_send(7).unwrap();
            drop(receiving);
            assert_eq!(rx.recv().await, Some(7));
        });
    }
}

/// Messages that several dropped receives give back come out in the order in which they were sent.
#[test]
fn what_is_given_back_keeps_its_order() {
    for kind in KINDS {
        check(move || async move {
            let (tx, rx) = channel(kind);
            let mut rx = rx.into_shared();
            let (mut one, mut two) = (rx.clone(), rx.clone());
            let first = park(one.recv()).await;
            let second = park(two.recv()).await;
            tx.try_send(1).unwrap();
            tx.try_send(2).unwrap();
            drop(first);
            drop(second);
            assert_eq!(rx.recv().await, Some(1));
            assert_eq!(rx.recv().await, Some(2));
        });
    }
}

/// A send that is dropped when it was its turn passes the turn on.
#[test]
fn a_dropped_send_passes_its_turn_on() {
    for capacity in BOUNDED {
        check(move || async move {
            let (tx, mut rx) = towpath::bounded(capacity);
            (0..capacity).for_each(|number| tx.try_send(number).unwrap());
            let first = park(tx.send(100)).await;
            let theirs = tx.clone();
            let second = rt::spawn(async move { theirs.send(capacity).await.unwrap() });
            towpath_sim::yield_point();
            // A rendezvous has nothing for it before a sender has run.
            let mut receiving = Box::pin(rx.recv());
            let got = now(&mut receiving).await;
            drop(first);
            second.await.unwrap();
            let got = match got {
                Some(got) => got,
                None => receiving.await,
            };
            assert_eq!(got, Some(0));
        });
    }
}
