//! Channels of every capacity: order, conservation, how they close; tasks and threads on the same one.

use towpath::{
    Receiver, SendError, Sender, TryRecvError, TrySendError,
    rt::{spawn, spawn_blocking},
};
use towpath_sim::Ledger;

use crate::tools::{channel, some_bounded, some_channel};

/// Messages of each sender.
const EACH: u32 = 3;

type Message = (u32, u32);

async fn send_all_of(sender: u32, tx: Sender<Message>, books: Ledger<Message>) {
    for number in 0..EACH {
        books.enter((sender, number));
        tx.send((sender, number)).await.unwrap();
    }
}

/// Three senders, one receiver.
async fn many_to_one((tx, mut rx): (Sender<Message>, Receiver<Message>)) {
    let books = Ledger::new("messages");
    for sender in 0..3 {
        drop(spawn(send_all_of(sender, tx.clone(), books.clone())));
    }
    drop(tx);
    let mut next = [0; 3];
    while let Some((sender, number)) = rx.recv().await {
        books.leave((sender, number));
        let next = &mut next[sender as usize];
        assert_eq!(number, *next, "the messages of one sender arrive in order");
        *next += 1;
    }
    assert_eq!(next, [EACH; 3]);
}

#[towpath::test]
async fn a_rendezvous_keeps_order_and_loses_nothing() {
    many_to_one(channel(Some(0))).await;
}

#[towpath::test]
async fn one_place_keeps_order_and_loses_nothing() {
    many_to_one(channel(Some(1))).await;
}

#[towpath::test]
async fn three_places_keep_order_and_lose_nothing() {
    many_to_one(channel(Some(3))).await;
}

#[towpath::test]
async fn a_ring_keeps_order_and_loses_nothing() {
    many_to_one(channel(Some(4))).await;
}

#[towpath::test]
async fn an_unbounded_channel_keeps_order_and_loses_nothing() {
    many_to_one(channel(None)).await;
}

#[towpath::test]
async fn tasks_and_threads_share_a_channel() {
    let (tx, rx) = some_channel();
    let rx = rx.into_shared();
    let books = Ledger::new("messages");
    drop(spawn(send_all_of(0, tx.clone(), books.clone())));
    let entered = books.clone();
    drop(spawn_blocking(move || {
        for number in 0..EACH {
            entered.enter((1, number));
            tx.send_blocking((1, number)).unwrap();
        }
    }));
    let (mut on_thread, left) = (rx.clone(), books.clone());
    let thread = spawn_blocking(move || {
        while let Some(message) = on_thread.recv_blocking() {
            left.leave(message);
        }
    });
    let mut rx = rx;
    while let Some(message) = rx.recv().await {
        books.leave(message);
    }
    thread.await.unwrap();
    assert_eq!(books.under_way(), 0);
}

/// A queue never holds more than it may, whoever asks, and whenever.
#[towpath::test]
async fn a_queue_holds_no_more_than_its_capacity() {
    let (tx, mut rx) = some_bounded::<u8>();
    let capacity = tx.capacity().unwrap();
    let watch = tx.clone();
    towpath_sim::always("the queue is within its bound", move || watch.len() <= capacity);
    for _ in 0..2 {
        let tx = tx.clone();
        drop(spawn(async move {
            for n in 0..3 {
                tx.send(n).await.unwrap();
            }
        }));
    }
    for _ in 0..6 {
        assert!(rx.recv().await.is_some());
    }
}

#[towpath::test]
async fn what_is_queued_arrives_before_the_end() {
    let (tx, mut rx) = some_channel();
    let sender = spawn(async move {
        for n in 0..4 {
            tx.send(n).await.unwrap();
        }
    });
    for n in 0..4 {
        assert_eq!(rx.recv().await, Some(n));
    }
    assert_eq!(rx.recv().await, None);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    sender.await.unwrap();
}

/// What was sent before the receiver went may be in the queue and goes with it; everything else comes back.
#[towpath::test]
async fn a_receiver_that_goes_gives_the_values_back() {
    let (tx, mut rx) = some_channel();
    let senders = [0, 10].map(|base| {
        let tx = tx.clone();
        spawn(async move {
            for n in base..base + 3 {
                if let Err(SendError(back)) = tx.send(n).await {
                    assert_eq!(back, n, "the value comes back");
                    assert!(tx.is_closed());
                    assert_eq!(tx.try_send(n), Err(TrySendError::Closed(n)));
                    return;
                }
            }
        })
    });
    drop(tx);
    rx.recv().await.unwrap();
    drop(rx);
    for sender in senders {
        sender.await.unwrap();
    }
}

#[towpath::test]
async fn trying_says_what_is_so() {
    let (tx, mut rx) = some_channel::<u32>();
    let sender = spawn(async move {
        let mut sent = 0;
        while sent < 3 {
            match tx.try_send(sent) {
                Ok(()) => sent += 1,
                Err(TrySendError::Full(back)) => {
                    assert_eq!(back, sent);
                    towpath_sim::yield_point();
                }
                Err(TrySendError::Closed(_)) => unreachable!("the receiver waits for the end"),
            }
        }
    });
    for n in 0..3 {
        assert_eq!(rx.recv().await, Some(n));
    }
    sender.await.unwrap();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

/// The receiver's end is news to those who only want to know, task or thread.
#[towpath::test]
async fn those_who_wait_for_the_end_are_told() {
    let (tx, rx) = some_channel::<u8>();
    let (task, thread) = (tx.clone(), tx.clone());
    let task = spawn(async move { task.closed().await });
    let thread = spawn_blocking(move || thread.closed_blocking());
    let dropper = spawn(async move { drop(rx) });
    tx.closed().await;
    task.await.unwrap();
    thread.await.unwrap();
    dropper.await.unwrap();
}

/// Two hand-overs: when a send is over, the receive has begun, and it has the value.
#[towpath::test]
async fn a_rendezvous_leaves_nothing_behind() {
    let (tx, mut rx) = towpath::rendezvous::<u8>();
    let receiver = spawn(async move { (rx.recv().await, rx) });
    tx.send(1).await.unwrap();
    assert_eq!((tx.len(), tx.try_send(2)), (0, Err(TrySendError::Full(2))));
    let (got, rx) = receiver.await.unwrap();
    assert_eq!(got, Some(1));
    drop(rx);
    assert_eq!(tx.send(3).await, Err(SendError(3)));
}
