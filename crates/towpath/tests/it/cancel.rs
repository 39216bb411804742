//! Cancellation: an operation that was dropped did nothing, and nobody else suffers.
//!
//! Each test is a failure of a channel library in use today.

use std::{future::Future, pin::Pin, task::Poll, thread, time::Duration};

use towpath::{Receiver, Sender, SharedReceiver, TryRecvError, select};

use crate::harness::{
    CAPACITIES, Polled, Task, bounded_capacities, channel, full, ready, run, watchdog,
};

/// Lets one waiting sender go on: makes room, or on a rendezvous brings a receiver.
fn make_room<'a>(
    rx: &'a mut Receiver<u64>,
) -> Option<Polled<impl Future<Output = Option<u64>> + 'a>> {
    if rx.capacity() == Some(0) {
        Some(Polled::parked(rx.recv()))
    } else {
        rx.try_recv().map(|_| None).unwrap()
    }
}

/// All messages that are left, the channel's senders being gone.
fn rest(mut rx: Receiver<u64>) -> Vec<u64> {
    std::iter::from_fn(|| ready(rx.recv())).collect()
}

#[test]
fn a_message_handed_to_a_cancelled_receive_is_received_next() {
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let receive = Polled::parked(rx.recv());
        tx.try_send(1).unwrap();
        let more = tx.try_send(2).is_ok();
        assert!(receive.woken());
        drop(receive);
        assert_eq!(rx.try_recv(), Ok(1), "capacity {capacity:?}");
        assert_eq!(rx.try_recv().is_ok(), more);
    }
}

#[test]
fn messages_of_several_cancelled_receives_stay_in_order() {
    // Dropped in both orders.
    for capacity in CAPACITIES {
        for newest_first in [false, true] {
            let (tx, rx) = channel(capacity);
            let rx = rx.into_shared();
            let mut shared: Vec<_> = (0..4).map(|_| rx.clone()).collect();
            let mut receives: Vec<_> =
                shared.iter_mut().map(|rx| Polled::parked(rx.recv())).collect();
            (0..4).for_each(|i| tx.try_send(i).unwrap());
            if newest_first {
                receives.reverse();
            }
            receives.into_iter().for_each(drop);
            drop((tx, shared));
            let mut rx = rx;
            let got: Vec<_> = std::iter::from_fn(|| ready(rx.recv())).collect();
            assert_eq!(got, [0, 1, 2, 3], "capacity {capacity:?}, newest first: {newest_first}");
        }
    }
}

#[test]
fn a_cancelled_send_is_never_delivered() {
    for capacity in bounded_capacities() {
        for woken in [false, true] {
            let (tx, mut rx) = full(capacity);
            let send = Polled::parked(tx.send(999));
            let mut got = Vec::new();
            if woken {
                let receive = make_room(&mut rx);
                assert!(send.woken(), "capacity {capacity}");
                drop(send);
                got.extend(receive.and_then(|mut receive| match receive.poll() {
                    Poll::Ready(value) => value,
                    Poll::Pending => None,
                }));
            } else {
                drop(send);
            }
            drop(tx);
            got.extend(rest(rx));
            assert!(!got.contains(&999), "capacity {capacity}, woken {woken}");
        }
    }
}

#[test]
fn a_cancelled_send_leaves_no_place_taken() {
    for capacity in bounded_capacities().filter(|&capacity| capacity > 0) {
        let (tx, mut rx) = full(capacity);
        let send = Polled::parked(tx.send(999));
        rx.try_recv().unwrap();
        drop(send);
        assert_eq!(tx.try_send(7), Ok(()), "capacity {capacity}");
        assert!(tx.try_send(8).is_err());
    }
}

/// A future that is only asked whether it is ready.
type Step<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

const WAYS_TO_SEND: [&str; 6] =
    ["send", "reserve", "send_all", "select send", "select reserve", "send_from"];
const WAYS_TO_RECEIVE: [&str; 3] = ["recv", "select recv", "recv_many"];

fn sending<'a>(tx: &'a Sender<u64>, way: &str) -> Step<'a> {
    match way {
        "send" => Box::pin(async { tx.send(50).await.unwrap() }),
        "reserve" => Box::pin(async { drop(tx.reserve().await.unwrap()) }),
        "send_all" => Box::pin(async { tx.send_all([50]).await.unwrap() }),
        "select send" => Box::pin(async {
            select! { sent = tx.send(50) => sent.unwrap() }
        }),
        "select reserve" => Box::pin(async {
            select! { place = tx.reserve() => drop(place.unwrap()) }
        }),
        "send_from" => Box::pin(async { tx.send_from(&mut Some(50)).await.unwrap() }),
        other => unreachable!("{other}"),
    }
}

fn receiving<'a>(rx: &'a mut SharedReceiver<u64>, way: &str) -> Step<'a> {
    match way {
        "recv" => Box::pin(async { assert_eq!(rx.recv().await, Some(1)) }),
        "select recv" => Box::pin(async {
            select! { value = rx.recv() => assert_eq!(value, Some(1)) }
        }),
        "recv_many" => Box::pin(async { assert_eq!(rx.recv_many(&mut Vec::new(), 1).await, 1) }),
        other => unreachable!("{other}"),
    }
}

#[test]
fn a_woken_sender_that_is_dropped_passes_its_turn_on() {
    for capacity in bounded_capacities() {
        for first in WAYS_TO_SEND {
            for second in WAYS_TO_SEND {
                let (tx, mut rx) = full(capacity);
                let first_waiter = Polled::parked(sending(&tx, first));
                let second_waiter = Polled::parked(sending(&tx, second));
                let _receive = make_room(&mut rx);
                assert!(
                    first_waiter.woken(),
                    "capacity {capacity}, {first}: first come, first served"
                );
                assert!(!second_waiter.woken(), "capacity {capacity}: one place, one wake-up");
                drop(first_waiter);
                assert!(second_waiter.woken(), "capacity {capacity}, {second} after {first}");
                second_waiter.finish();
            }
        }
    }
}

#[test]
fn a_woken_receiver_that_is_dropped_passes_its_turn_on() {
    for capacity in CAPACITIES {
        for first in WAYS_TO_RECEIVE {
            for second in WAYS_TO_RECEIVE {
                let (tx, rx) = channel(capacity);
                let (mut rx1, mut rx2) = (rx.into_shared().clone(), None);
                let rx2 = rx2.get_or_insert(rx1.clone());
                let first_waiter = Polled::parked(receiving(&mut rx1, first));
                let second_waiter = Polled::parked(receiving(rx2, second));
                tx.try_send(1).unwrap();
                assert!(first_waiter.woken() && !second_waiter.woken(), "capacity {capacity:?}");
                drop(first_waiter);
                assert!(second_waiter.woken(), "capacity {capacity:?}, {second} after {first}");
                second_waiter.finish();
            }
        }
    }
}

#[test]
fn a_permit_that_is_dropped_passes_its_place_on() {
    for capacity in bounded_capacities() {
        for way in WAYS_TO_SEND {
            let (tx, mut rx) = full(capacity);
            let _receive = make_room(&mut rx);
            let permit = ready(tx.reserve()).unwrap();
            let waiter = Polled::parked(sending(&tx, way));
            drop(permit);
            waiter.finish();
        }
    }
}

#[test]
fn a_select_that_goes_another_way_passes_its_turn_on() {
    for capacity in bounded_capacities() {
        let (tx, mut rx) = full(capacity);
        let (other_tx, mut other) = channel::<u64>(Some(1));
        let select = async {
            select! { biased; got = other.recv() => got, sent = tx.send(50) => { sent.unwrap(); None } }
        };
        let select = Polled::parked(select);
        let waiter = Polled::parked(tx.send(51));
        let _receive = make_room(&mut rx);
        other_tx.try_send(7).unwrap();
        assert!(!waiter.woken());
        assert_eq!(select.finish(), Some(7), "capacity {capacity}");
        waiter.finish().unwrap();
    }
}

#[test]
fn a_future_that_has_moved_wakes_its_new_task_only() {
    for capacity in bounded_capacities() {
        for way in WAYS_TO_SEND {
            let (tx, mut rx) = full(capacity);
            let (old, new, mut future) = (Task::new(), Task::new(), sending(&tx, way));
            assert!(old.poll(future.as_mut()).is_pending());
            assert!(new.poll(future.as_mut()).is_pending());
            let _receive = make_room(&mut rx);
            assert_eq!((old.wakes(), new.wakes()), (0, 1), "capacity {capacity}, {way}");
            assert!(new.poll(future.as_mut()).is_ready());
        }
    }
    for capacity in CAPACITIES {
        for way in WAYS_TO_RECEIVE {
            let (tx, rx) = channel(capacity);
            let mut rx = rx.into_shared();
            let (old, new, mut future) = (Task::new(), Task::new(), receiving(&mut rx, way));
            assert!(old.poll(future.as_mut()).is_pending());
            assert!(new.poll(future.as_mut()).is_pending());
            tx.try_send(1).unwrap();
            assert_eq!((old.wakes(), new.wakes()), (0, 1), "capacity {capacity:?}, {way}");
            assert!(new.poll(future.as_mut()).is_ready());
        }
    }
}

#[test]
fn future_moves_between_threads() {
    // Polled here, finished there, while a third thread completes it.
    watchdog(60, || {
        for capacity in CAPACITIES {
            for round in 0..200 {
                let (tx, mut rx) = channel(capacity);
                let sender = thread::spawn(move || tx.send_blocking(round).unwrap());
                thread::scope(|s| {
                    let mut receive = Box::pin(rx.recv());
                    if let Poll::Ready(value) = Task::new().poll(receive.as_mut()) {
                        assert_eq!(value, Some(round));
                    } else {
                        s.spawn(move || assert_eq!(towpath::block_on(receive), Some(round)));
                    }
                });
                sender.join().unwrap();
            }
        }
    });
}

#[test]
fn select_is_not_unpin() {
    /// Ambiguous, hence an error, for a type that is `Unpin`.
    trait Ambiguous<A> {
        fn check(&self) {}
    }
    impl<T> Ambiguous<()> for T {}
    impl<T: Unpin> Ambiguous<u8> for T {}

    let (tx, mut rx) = channel::<u64>(Some(1));
    Ambiguous::check(&rx.recv());
    Ambiguous::check(&tx.send(1));
    Ambiguous::check(&tx.reserve());
    Ambiguous::check(&tx.send_all([1]));
    let mut batch = Vec::new();
    Ambiguous::check(&rx.recv_many(&mut batch, 1));
    Ambiguous::check(&tx.send_from(&mut None));
    Ambiguous::check(&select::run(select::pair(rx.recv(), ())));
    Ambiguous::check(&async {
        select! { _ = tx.send(1) => {} }
    });
}

#[test]
fn a_handed_over_message_is_not_lost_behind_the_end() {
    // One consumer has the last message in its hands and is cancelled; the other one must not be told that all is over.
    for capacity in CAPACITIES {
        let (tx, rx) = channel(capacity);
        let (mut rx1, mut rx2) = {
            let rx = rx.into_shared();
            (rx.clone(), rx)
        };
        let first = Polled::parked(rx1.recv());
        let mut second = Polled::parked(rx2.recv());
        tx.try_send(1).unwrap();
        drop(tx);
        let early = second.poll();
        drop(first);
        match early {
            Poll::Ready(value) => assert_eq!(
                value,
                Some(1),
                "capacity {capacity:?}: told the end, and then a message came"
            ),
            Poll::Pending => assert_eq!(second.finish(), Some(1)),
        }
    }
}

#[test]
fn an_unused_place_of_a_cancelled_receive_changes_no_order() {
    // Two places are kept, one in the queue and one in the hands of a receive that is then cancelled.
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let receive = Polled::parked(rx.recv());
        let permits: Vec<_> = (0..2).map_while(|_| tx.try_reserve().ok()).collect();
        drop(receive);
        let sent = permits.len() as u64;
        permits.into_iter().zip(0..).for_each(|(permit, i)| permit.send(i));
        let got: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
        assert_eq!(got, (0..sent).collect::<Vec<_>>(), "capacity {capacity:?}");
    }
}

#[test]
fn an_unanswered_try_recv_changes_no_order() {
    // `try_recv` has asked a waiting task for its message, and the task is gone.
    for capacity in bounded_capacities() {
        let (tx, mut rx) = channel(Some(capacity));
        let permits: Vec<_> = (0..capacity).map(|_| tx.try_reserve().unwrap()).collect();
        let send = Polled::parked(tx.send(999));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        drop(send);
        let mut sent: Vec<_> = permits
            .into_iter()
            .zip(0..)
            .map(|(permit, i)| {
                permit.send(i);
                i
            })
            .collect();
        sent.extend((50..53).filter(|&i| tx.try_send(i).is_ok()));
        let got: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
        assert_eq!(got, sent, "capacity {capacity}");
        assert!(capacity == 0 || got.len() == capacity, "capacity {capacity}: held {}", got.len());
    }
}

#[test]
fn more_reservations_than_a_ring_can_count_wait() {
    watchdog(20, || {
        let (tx, mut rx) = towpath::bounded::<u64>(40_000);
        let mut permits: Vec<_> =
            std::iter::from_fn(|| tx.try_reserve().ok()).take(40_000).collect();
        let mut reserve = Polled::new(tx.reserve());
        let counted_out = permits.len() < 40_000;
        assert!(reserve.poll().is_pending());
        if counted_out {
            // A place that is used makes one that can be counted.
            permits.pop().unwrap().send(1);
        } else {
            drop(permits.pop());
        }
        drop(reserve.finish().unwrap());
        let _ = rx.try_recv();
    });
}

#[test]
fn a_timeout_around_a_receive_loses_nothing() {
    run(60, async {
        for capacity in CAPACITIES {
            let (tx, mut rx) = channel(capacity);
            let sender = tokio::spawn(async move {
                for i in 0..2_000_u64 {
                    tx.send(i).await.unwrap();
                }
            });
            let mut next = 0;
            loop {
                let patience = Duration::from_micros(towpath::rt::random() % 60);
                match tokio::time::timeout(patience, rx.recv()).await {
                    Ok(Some(i)) => {
                        assert_eq!(i, next, "capacity {capacity:?}");
                        next += 1;
                    }
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
            assert_eq!(next, 2_000);
            sender.await.unwrap();
        }
    });
}

#[test]
fn a_message_given_back_counts_against_the_capacity() {
    for capacity in bounded_capacities().filter(|&capacity| capacity > 0) {
        let (tx, mut rx) = channel(Some(capacity));
        let receive = Polled::parked(rx.recv());
        tx.try_send(0).unwrap();
        drop(receive);
        let sent = 1 + (1..200).take_while(|&i| tx.try_send(i).is_ok()).count();
        assert_eq!(sent, capacity, "nobody waits to receive, so no more than the capacity fits");
        assert_eq!(std::iter::from_fn(|| rx.try_recv().ok()).count(), sent);
    }
}

#[test]
fn a_message_that_goes_from_hand_to_hand_keeps_its_place() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel(capacity);
        let mut rx = rx.into_shared();
        let mut shared = vec![rx.clone(); 3];
        let mut receives: Vec<_> = shared.iter_mut().map(|rx| Polled::parked(rx.recv())).collect();
        let sent: Vec<_> = (0..2).filter(|&i| tx.try_send(i).is_ok()).collect();
        // The first message goes on to the third receiver, which leaves last.
        (0..3).for_each(|_| drop(receives.remove(0)));
        let got: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
        assert_eq!(got, sent, "capacity {capacity:?}");
    }
}
