//! When one side has gone, everybody who waits on the other is told; a network that drains takes nothing more.

use std::{sync::Arc, time::Duration};

use towpath::{
    Ctx, Network, SendError, SharedReceiver, TrySendError,
    rt::{self, Task},
};

use crate::{BOUNDED, KINDS, channel, check, now, park};

const LONG: Duration = Duration::from_secs(3600);
/// More than the networks here let out.
const ROOM: usize = 8;

#[test]
fn the_end_is_told_to_all_receivers() {
    for kind in KINDS {
        check(move || async move {
            let (tx, rx) = channel::<u32>(kind);
            let rx = rx.into_shared();
            let receive = |mut rx: SharedReceiver<u32>| rt::spawn(async move { rx.recv().await });
            let receivers: Vec<Task<_>> =
                [rx.clone(), rx.clone(), rx].into_iter().map(receive).collect();
            towpath_sim::yield_point();
            drop(tx);
            for receiver in receivers {
                assert_eq!(receiver.await.unwrap(), None);
            }
        });
    }
}

#[test]
fn the_end_is_told_to_all_senders() {
    for capacity in BOUNDED {
        check(move || async move {
            let (tx, rx) = towpath::bounded(capacity);
            (0..capacity).for_each(|number| tx.try_send(number).unwrap());
            let senders = [100, 101, 102].map(|number| {
                let tx = tx.clone();
                rt::spawn(async move { tx.send(number).await })
            });
            towpath_sim::yield_point();
            drop(rx);
            for (sender, number) in senders.into_iter().zip(100..) {
                assert_eq!(sender.await.unwrap(), Err(SendError(number)));
            }
        });
    }
}

#[test]
fn closed_is_told() {
    for kind in KINDS {
        check(move || async move {
            let (tx, rx) = channel::<u32>(kind);
            let waiting = rt::spawn(async move { tx.closed().await });
            towpath_sim::yield_point();
            drop(rx);
            waiting.await.unwrap();
        });
    }
}

/// Messages are dropped, or received, once each, also when a side goes while they are under way.
#[test]
fn no_message_is_left() {
    for kind in KINDS {
        check(move || async move {
            let census = Arc::new(());
            let (tx, mut rx) = channel(kind);
            let messages = [census.clone(), census.clone(), census.clone()];
            let sender = rt::spawn(async move {
                for message in messages {
                    if tx.send(message).await.is_err() {
                        break;
                    }
                }
            });
            drop(rx.recv().await);
            drop(rx);
            sender.await.unwrap();
            assert_eq!(Arc::strong_count(&census), 1);
        });
    }
}

#[test]
fn a_draining_network_takes_nothing_more() {
    for capacity in BOUNDED {
        check(move || async move {
            let mut net = Network::new("gated");
            let (tx, input) = net.input::<usize>("input", capacity);
            let (out, mut rx) = net.output("output", ROOM);
            let (go, mut gate) = towpath::rendezvous::<()>();
            net.process("gate", (input, out), async move |_, (input, out)| {
                gate.recv().await;
                while let Some(number) = input.recv().await {
                    out.send(number).await?;
                }
                Ok::<(), SendError<usize>>(())
            });
            let running = net.start(&Ctx::root()).unwrap();
            (0..capacity).for_each(|number| tx.try_send(number).unwrap());
            let mut waiting = park(tx.send(100)).await;
            let mut draining = park(running.drain(LONG)).await;
            assert_eq!(tx.try_send(101), Err(TrySendError::Closed(101)));
            assert_eq!(now(&mut waiting).await, Some(Err(SendError(100))));
            drop(go);
            draining.as_mut().await.unwrap();
            let mut got = Vec::new();
            while let Some(number) = rx.recv().await {
                got.push(number);
            }
            assert_eq!(got, (0..capacity).collect::<Vec<_>>());
        });
    }
}
