//! Permits, many at once, sets, and receivers that are shared.

use towpath::{
    SelectSet, TryReserveError,
    rt::{spawn, spawn_blocking},
};
use towpath_sim::{Ledger, choose};

use crate::tools::{all, some_bounded, some_channel};

#[towpath::test]
async fn a_permit_is_a_place_that_is_kept() {
    let (tx, mut rx) = some_bounded();
    let books = Ledger::new("messages");
    let senders = [0, 10].map(|base| {
        let (tx, books) = (tx.clone(), books.clone());
        spawn(async move {
            for n in base..base + 2 {
                let permit = tx.reserve().await.unwrap();
                if choose(3) == 1 {
                    drop(permit); // the place goes to the next
                    continue;
                }
                books.enter(n);
                permit.try_send(n).unwrap();
            }
        })
    });
    drop(tx);
    while let Some(n) = rx.recv().await {
        books.leave(n);
    }
    for sender in senders {
        sender.await.unwrap();
    }
}

#[towpath::test]
async fn permits_are_no_more_than_places() {
    let (tx, mut rx) = towpath::bounded::<u32>(2);
    let held = [tx.try_reserve(), tx.try_reserve()];
    assert!(matches!(tx.try_reserve(), Err(TryReserveError::Full)));
    let other = tx.clone();
    let waits = spawn(async move { other.reserve().await.map(|permit| permit.send(9)) });
    for (n, permit) in held.into_iter().enumerate() {
        match permit {
            Ok(permit) if n == 0 => drop(permit),
            permit => permit.unwrap().send(1),
        }
    }
    waits.await.unwrap().unwrap();
    drop(tx);
    let mut got = all(&mut rx).await;
    got.sort_unstable();
    assert_eq!(got, [1, 9]);
}

#[towpath::test]
async fn batches_keep_order_and_lose_nothing() {
    let (tx, mut rx) = some_channel();
    let second = tx.clone();
    let task = spawn(async move { tx.send_all(0..4).await });
    let thread = spawn_blocking(move || second.send_all_blocking(10..14));
    let mut got = Vec::new();
    while rx.recv_many(&mut got, 3).await > 0 {}
    task.await.unwrap().unwrap();
    thread.await.unwrap().unwrap();
    let (tens, ones): (Vec<u32>, Vec<u32>) = got.into_iter().partition(|n| *n >= 10);
    assert_eq!((ones, tens), ((0..4).collect(), (10..14).collect()));
}

#[towpath::test]
async fn a_batch_that_cannot_be_sent_is_kept() {
    let (tx, mut rx) = some_channel();
    let receiver = spawn(async move {
        let mut got = Vec::new();
        got.extend(rx.recv().await);
        (got, rx.is_closed())
    });
    let mut rest = 0..6;
    let sent = tx.send_all(&mut rest).await;
    let (got, _) = receiver.await.unwrap();
    assert_eq!(got, [0]);
    if let Err(error) = sent {
        let back = error.into_inner();
        assert_eq!(rest, back + 1..6, "the value comes back, and the rest is where it was");
    }
}

#[towpath::test]
async fn a_set_sees_every_message_and_every_end() {
    let mut set = SelectSet::new();
    let books = Ledger::new("messages");
    let mut keys = Vec::new();
    for base in [0, 10, 20] {
        let (tx, rx) = some_channel();
        keys.push((set.recv(rx), base));
        let books = books.clone();
        drop(spawn(async move {
            for n in base..base + 2 {
                books.enter(n);
                tx.send(n).await.unwrap();
            }
        }));
    }
    let mut next: Vec<_> = keys.iter().map(|(_, base)| *base).collect();
    while !set.is_empty() {
        let (key, message) = set.next().await;
        let at = keys.iter().position(|(known, _)| *known == key).expect("one of ours");
        match message {
            Some(n) => {
                books.leave(n);
                assert_eq!(n, next[at], "in order");
                next[at] += 1;
            }
            None => assert_eq!(next[at], keys[at].1 + 2, "the end comes last"),
        }
    }
}

/// What is taken out of a set is a receiver like any other, and loses nothing on the way.
#[towpath::test]
async fn a_receiver_leaves_a_set_with_its_messages() {
    let (tx, rx) = some_channel();
    let (other, rx2) = some_channel::<u32>();
    let sender = spawn(async move { tx.send_all(0..3).await });
    let mut set = SelectSet::new();
    let key = set.recv(rx);
    set.recv(rx2);
    let mut got = vec![set.next().await.1];
    let mut rx = set.remove(key).expect("it has not ended");
    got.extend(all(&mut rx).await.into_iter().map(Some));
    assert_eq!(got, [Some(0), Some(1), Some(2)]);
    sender.await.unwrap().unwrap();
    drop(other);
    assert_eq!(set.next().await.1, None);
}

#[towpath::test]
async fn sharing_gives_each_message_to_one() {
    let (tx, rx) = some_channel();
    let books = Ledger::new("jobs");
    let rx = rx.into_shared();
    let workers = [0, 1, 2].map(|_| {
        let (mut rx, books) = (rx.clone(), books.clone());
        spawn(async move {
            while let Some(job) = rx.recv().await {
                books.leave(job);
            }
        })
    });
    drop(rx);
    for job in 0..5 {
        books.enter(job);
        tx.send(job).await.unwrap();
    }
    drop(tx);
    for worker in workers {
        worker.await.unwrap();
    }
}
