//! Operations of channels dropped at any moment: each did nothing, and a wake-up that it had received went on.

use towpath::{SelectSet, rt::spawn, select};
use towpath_sim::Ledger;

use crate::tools::{all, maybe_dropped, some_bounded, some_channel};

/// Exactly those values arrive whose send has come to its end.
#[towpath::test]
async fn a_dropped_send_sent_nothing() {
    let (tx, mut rx) = some_channel();
    let senders = [0, 10].map(|base| {
        let tx = tx.clone();
        spawn(async move {
            let mut sent = Vec::new();
            for n in base..base + 3 {
                if maybe_dropped(tx.send(n)).await.is_some() {
                    sent.push(n);
                }
            }
            sent
        })
    });
    drop(tx);
    let mut got = all(&mut rx).await;
    got.sort_unstable();
    let mut sent = Vec::new();
    for sender in senders {
        sent.extend(sender.await.unwrap());
    }
    assert_eq!(got, sent);
}

#[towpath::test]
async fn a_dropped_send_from_a_slot_leaves_the_value_there() {
    let (tx, mut rx) = some_bounded();
    let books = Ledger::new("messages");
    let senders = [0, 10].map(|base| {
        let (tx, books) = (tx.clone(), books.clone());
        spawn(async move {
            for n in base..base + 2 {
                books.enter(n);
                let mut slot = Some(n);
                while slot.is_some() {
                    if let Some(sent) = maybe_dropped(tx.send_from(&mut slot)).await {
                        assert!(sent.is_ok() && slot.is_none());
                    }
                }
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

/// What is dropped while it is received goes to the next who receives, in its place.
#[towpath::test]
async fn a_dropped_receive_took_nothing() {
    let (tx, mut rx) = some_channel();
    let sender = spawn(async move { tx.send_all(0..3).await });
    let mut got = Vec::new();
    while got.len() < 3 {
        got.extend(maybe_dropped(rx.recv()).await.flatten());
    }
    assert_eq!(got, [0, 1, 2]);
    sender.await.unwrap().unwrap();
}

/// A wake-up that a dropped receiver was given goes to another one; else that one would sleep for ever.
#[towpath::test]
async fn a_dropped_shared_receive_passes_its_wake_up_on() {
    let (tx, rx) = some_channel();
    let rx = rx.into_shared();
    let books = Ledger::new("messages");
    let (mut fickle, left) = (rx.clone(), books.clone());
    let fickle = spawn(async move {
        if let Some(Some(n)) = maybe_dropped(fickle.recv()).await {
            left.leave(n);
        }
    });
    let (mut steady, left) = (rx, books.clone());
    let steady = spawn(async move {
        while let Some(n) = steady.recv().await {
            left.leave(n);
        }
    });
    for n in 0..2 {
        books.enter(n);
        tx.send(n).await.unwrap();
    }
    drop(tx);
    fickle.await.unwrap();
    steady.await.unwrap();
}

#[towpath::test]
async fn a_dropped_reserve_keeps_no_place() {
    let (tx, mut rx) = some_bounded();
    let fickle = tx.clone();
    let fickle = spawn(async move {
        for n in [7, 8] {
            if let Some(permit) = maybe_dropped(fickle.reserve()).await {
                permit.unwrap().send(n);
            }
        }
    });
    let steady = spawn(async move {
        for n in 0..4 {
            tx.reserve().await.unwrap().send(n);
        }
    });
    let got = all(&mut rx).await;
    let steady_got: Vec<_> = got.iter().copied().filter(|n| *n < 7).collect();
    assert_eq!(steady_got, [0, 1, 2, 3]);
    fickle.await.unwrap();
    steady.await.unwrap();
}

#[towpath::test]
async fn a_dropped_batch_keeps_what_it_has() {
    let (tx, mut rx) = some_channel();
    let sender = spawn(async move {
        let mut rest = 0..6_u32;
        let mut lost = Vec::new();
        while !rest.is_empty() {
            let before = rest.start;
            if maybe_dropped(tx.send_all(&mut rest)).await.is_none() && rest.start > before {
                // At most this one went with the future.
                lost.push(rest.start - 1);
            }
        }
        lost
    });
    let mut got = Vec::new();
    loop {
        let before = got.len();
        match maybe_dropped(rx.recv_many(&mut got, 2)).await {
            Some(0) => break,
            Some(count) => assert_eq!(got.len(), before + count),
            None => assert_eq!(got.len(), before, "dropped, it took nothing"),
        }
    }
    let lost = sender.await.unwrap();
    let missing: Vec<_> = (0..6).filter(|n| !got.contains(n)).collect();
    assert!(got.is_sorted() && missing.iter().all(|n| lost.contains(n)), "{got:?}, {lost:?}");
}

#[towpath::test]
async fn a_dropped_select_touched_none_of_its_arms() {
    let (tx, mut rx) = some_channel();
    let (to, mut out) = some_bounded();
    let books = Ledger::new("messages");
    let entered = books.clone();
    let source = spawn(async move {
        for n in 0..2 {
            entered.enter(n);
            tx.send(n).await.unwrap();
        }
    });
    let relayed = books.clone();
    let relay = spawn(async move {
        let mut slot = Some(100);
        relayed.enter(100);
        let mut open = true;
        while open || slot.is_some() {
            let step = async {
                select! {
                    got = rx.recv(), if open => Some(got),
                    sent = to.send_from(&mut slot) => { sent.unwrap(); None }
                }
            };
            match maybe_dropped(step).await {
                Some(Some(Some(n))) => relayed.leave(n),
                Some(Some(None)) => open = false,
                Some(None) | None => {}
            }
        }
    });
    while let Some(n) = out.recv().await {
        books.leave(n);
    }
    source.await.unwrap();
    relay.await.unwrap();
}

#[towpath::test]
async fn a_dropped_next_of_a_set_took_nothing() {
    let mut set = SelectSet::new();
    let senders = [0, 10].map(|base| {
        let (tx, rx) = some_channel();
        set.recv(rx);
        spawn(async move { tx.send_all(base..base + 2).await })
    });
    let mut got = Vec::new();
    while !set.is_empty() {
        got.extend(maybe_dropped(set.next()).await.and_then(|(_, message)| message));
    }
    got.sort_unstable();
    assert_eq!(got, [0, 1, 10, 11]);
    for sender in senders {
        sender.await.unwrap().unwrap();
    }
}
