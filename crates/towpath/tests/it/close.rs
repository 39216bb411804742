//! Closing: a side closes by being dropped, what is queued is still delivered, and whoever waits is released.

use std::{task::Poll, thread};

use towpath::{
    ReserveError, SendError, TryRecvError, TryReserveError, TrySendError, select, select_blocking,
};

use crate::harness::{CAPACITIES, Polled, bounded_capacities, channel, full, ready, watchdog};

#[test]
fn what_is_queued_is_delivered_after_the_senders_are_gone() {
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let sent: Vec<_> = (0..100).take_while(|&i| tx.try_send(i).is_ok()).collect();
        let clone = tx.clone();
        drop(tx);
        assert!(!rx.is_closed(), "one sender is left");
        drop(clone);
        assert!(rx.is_closed());
        for i in sent {
            assert_eq!(rx.try_recv(), Ok(i), "capacity {capacity:?}");
        }
        // It stays so, whichever way one asks.
        for _ in 0..2 {
            assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
            assert_eq!(ready(rx.recv()), None);
            assert_eq!(rx.recv_blocking(), None);
            assert_eq!(ready(rx.recv_many(&mut Vec::new(), 9)), 0);
            assert_eq!(rx.recv_many_blocking(&mut Vec::new(), 9), 0);
            assert_eq!(select_blocking! { got = rx.recv() => got }, None);
            assert_eq!(
                ready(async {
                    select! { got = rx.recv() => got, default => Some(0) }
                }),
                None
            );
        }
    }
}

#[test]
fn every_way_to_send_gives_the_value_back_after_the_receiver_is_gone() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel(capacity);
        assert!(!tx.is_closed());
        drop(rx);
        assert!(tx.is_closed());
        for _ in 0..2 {
            assert_eq!(tx.try_send(1), Err(TrySendError::Closed(1)), "capacity {capacity:?}");
            assert_eq!(ready(tx.send(2)), Err(SendError(2)));
            assert_eq!(tx.send_blocking(3), Err(SendError(3)));
            assert_eq!(tx.try_reserve().map(drop), Err(TryReserveError::Closed));
            assert_eq!(ready(tx.reserve()).map(drop), Err(ReserveError));
            assert_eq!(tx.reserve_blocking().map(drop), Err(ReserveError));
            assert_eq!(select_blocking! { sent = tx.send(4) => sent }, Err(SendError(4)));
            let mut values = 5..9;
            assert_eq!(ready(tx.send_all(&mut values)), Err(SendError(5)));
            assert_eq!(tx.send_all_blocking(&mut values), Err(SendError(6)));
            assert_eq!(values, 7..9, "the rest stays in the iterator");
            let mut slot = Some(8);
            assert_eq!(ready(tx.send_from(&mut slot)), Err(SendError(8)));
            assert_eq!(slot, None, "the value is in the error");
        }
        assert_eq!(tx.len(), 0);
    }
}

#[test]
fn a_waiting_receiver_is_released_by_the_last_sender() {
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel::<u64>(capacity);
        let clone = tx.clone();
        let receive = Polled::parked(rx.recv());
        drop(tx);
        assert!(!receive.woken(), "one sender is left");
        drop(clone);
        assert_eq!(receive.finish(), None, "capacity {capacity:?}");
    }
}

#[test]
fn all_waiting_receivers_are_released() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<u64>(capacity);
        let rx = rx.into_shared();
        let mut shared = vec![rx; 5];
        let receives: Vec<_> = shared.iter_mut().map(|rx| Polled::parked(rx.recv())).collect();
        drop(tx);
        for receive in receives {
            assert_eq!(receive.finish(), None, "capacity {capacity:?}");
        }
    }
}

#[test]
fn all_waiting_senders_are_released_with_their_values() {
    for capacity in bounded_capacities() {
        let (tx, rx) = full(capacity);
        let sends: Vec<_> = (0..5).map(|i| Polled::parked(tx.send(1_000 + i))).collect();
        let reserve = Polled::parked(tx.reserve());
        let mut values = 2_000..2_003;
        let send_all = Polled::parked(tx.send_all(&mut values));
        let select = Polled::parked(async {
            select! { sent = tx.send(3_000) => sent }
        });
        drop(rx);
        for (send, i) in sends.into_iter().zip(0..) {
            assert_eq!(send.finish(), Err(SendError(1_000 + i)), "capacity {capacity}");
        }
        assert_eq!(reserve.finish().map(drop), Err(ReserveError));
        assert_eq!(send_all.finish(), Err(SendError(2_000)));
        assert_eq!(select.finish(), Err(SendError(3_000)));
    }
}

#[test]
fn a_sender_that_was_told_of_room_finds_the_receiver_gone() {
    for capacity in bounded_capacities().filter(|&capacity| capacity > 0) {
        let (tx, mut rx) = full(capacity);
        let send = Polled::parked(tx.send(1_000));
        let second = Polled::parked(tx.send(1_001));
        rx.try_recv().unwrap();
        assert!(send.woken());
        drop(rx);
        assert_eq!(send.finish(), Err(SendError(1_000)), "capacity {capacity}");
        assert_eq!(second.finish(), Err(SendError(1_001)));
    }
}

#[test]
fn a_permit_gives_its_value_back_after_close() {
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let receive = (capacity == Some(0)).then(|| Polled::parked(rx.recv()));
        let permit = tx.try_reserve().unwrap();
        drop(receive);
        drop(rx);
        assert_eq!(permit.try_send(7), Err(SendError(7)), "capacity {capacity:?}");
        assert_eq!(tx.try_reserve().map(drop), Err(TryReserveError::Closed));
    }
}

#[test]
fn a_channel_closes_with_its_last_shared_receiver() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<u64>(capacity);
        let rx = rx.into_shared();
        let clone = rx.clone();
        drop(rx);
        assert!(!tx.is_closed(), "one receiver is left");
        drop(clone);
        assert_eq!(tx.try_send(1), Err(TrySendError::Closed(1)), "capacity {capacity:?}");
    }
}

#[test]
fn blocked_threads_are_released() {
    watchdog(60, || {
        for capacity in CAPACITIES {
            let (tx, rx) = channel::<u64>(capacity);
            let rx = rx.into_shared();
            let receivers: Vec<_> = (0..3)
                .map(|i| {
                    let mut rx = rx.clone();
                    thread::spawn(move || match i {
                        0 => rx.recv_blocking(),
                        1 => select_blocking! { got = rx.recv() => got },
                        _ => Some(rx.recv_many_blocking(&mut Vec::new(), 4) as u64)
                            .filter(|&n| n > 0),
                    })
                })
                .collect();
            thread::yield_now();
            drop(tx);
            for receiver in receivers {
                assert_eq!(receiver.join().unwrap(), None, "capacity {capacity:?}");
            }
        }
        for capacity in bounded_capacities() {
            let (tx, rx) = full(capacity);
            let senders: Vec<_> = (0..3)
                .map(|i| {
                    let tx = tx.clone();
                    thread::spawn(move || match i {
                        0 => tx.send_blocking(7),
                        1 => select_blocking! { sent = tx.send(7) => sent },
                        _ => tx.reserve_blocking().map(drop).map_err(|_| SendError(7)),
                    })
                })
                .collect();
            thread::yield_now();
            drop(rx);
            for sender in senders {
                assert_eq!(sender.join().unwrap(), Err(SendError(7)), "capacity {capacity}");
            }
        }
    });
}

#[test]
fn a_close_between_two_polls_of_a_select_is_seen() {
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel::<u64>(capacity);
        let (_other_tx, mut other) = channel::<u64>(capacity);
        let mut select = Polled::parked(async {
            select! { got = other.recv() => (1, got), got = rx.recv() => (2, got) }
        });
        assert!(select.poll().is_pending());
        drop(tx);
        assert!(select.woken());
        assert_eq!(select.poll(), Poll::Ready((2, None)), "capacity {capacity:?}");
    }
}

#[test]
fn errors_speak() {
    assert_eq!(SendError(1).to_string(), "the channel is closed");
    assert_eq!(TrySendError::Full(1).to_string(), "the channel is full");
    assert_eq!(
        format!("{:?} {:?}", SendError(()), TrySendError::Closed(())),
        "SendError(..) Closed(..)"
    );
    assert_eq!(TryRecvError::Empty.to_string(), "the channel is empty");
    assert_eq!(TrySendError::Full(3).into_inner() + SendError(4).into_inner(), 7);
    assert!(TrySendError::Full(0).is_full() && TrySendError::from(SendError(0)).is_closed());
}

#[test]
fn closed_waits_for_the_last_receiver() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<u32>(capacity);
        let rx = rx.into_shared();
        let other = rx.clone();
        drop(Polled::parked(tx.closed()));
        let (mut first, clone) = (Polled::parked(tx.closed()), tx.clone());
        let second = Polled::parked(clone.closed());
        drop(rx);
        assert!(!first.woken() && first.poll().is_pending());
        drop(other);
        first.finish();
        second.finish();
        ready(tx.closed());
        tx.closed_blocking();
    }
}

#[test]
fn closed_is_told_while_what_is_queued_is_dropped_in_pieces() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(thread::panicking(), "boom");
        }
    }
    for capacity in CAPACITIES.into_iter().filter(|capacity| *capacity != Some(0)) {
        let (tx, rx) = channel::<Bomb>(capacity);
        drop(tx.try_send(Bomb));
        let closed = Polled::parked(tx.closed());
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(rx))).is_err());
        closed.finish();
    }
}

#[test]
fn closed_is_an_arm_that_loses_without_a_trace() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<u32>(capacity);
        let (other, mut calls) = channel::<u32>(Some(1));
        other.try_send(7).unwrap();
        let got = select_blocking! { biased;
            () = tx.closed() => None,
            call = calls.recv() => call,
        };
        assert_eq!(got, Some(7), "capacity {capacity:?}");
        let goes = thread::spawn(move || drop(rx));
        let closed = select_blocking! { () = tx.closed() => true, _ = calls.recv() => false };
        assert!(closed);
        goes.join().unwrap();
    }
}
