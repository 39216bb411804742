//! Order, as far as a single test can show it: each sender's messages, and those who wait. The happens-before half of
//! the contract is in `tests/loom.rs`.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use towpath::rendezvous;

use crate::harness::{CAPACITIES, Polled, bounded_capacities, channel, full, ready, watchdog};

#[test]
fn messages_of_one_sender_arrive_in_order_at_every_receiver() {
    const EACH: u64 = 2_000;
    watchdog(120, || {
        for capacity in CAPACITIES {
            for receivers in [1, 3] {
                let (tx, rx) = channel::<(usize, u64)>(capacity);
                let rx = rx.into_shared();
                thread::scope(|s| {
                    for sender in 0..4 {
                        let tx = tx.clone();
                        s.spawn(move || {
                            (0..EACH).for_each(|i| tx.send_blocking((sender, i)).unwrap())
                        });
                    }
                    for _ in 0..receivers {
                        let mut rx = rx.clone();
                        s.spawn(move || {
                            let mut next = [0; 4];
                            let mut count = 0;
                            while let Some((sender, i)) = rx.recv_blocking() {
                                assert!(
                                    i >= next[sender],
                                    "capacity {capacity:?}: {i} of sender {sender} came late"
                                );
                                (next[sender], count) = (i + 1, count + 1);
                            }
                            assert!(receivers > 1 || count == 4 * EACH);
                        });
                    }
                    drop((tx, rx));
                });
            }
        }
    });
}

#[test]
fn waiting_receivers_are_served_first_come_first_served() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel(capacity);
        let mut shared = vec![rx.into_shared(); 6];
        let receives: Vec<_> = shared.iter_mut().map(|rx| Polled::parked(rx.recv())).collect();
        for i in 0..6 {
            // Room for as many as there are waiters, however small the channel is.
            if tx.try_send(i).is_err() {
                break;
            }
            let woken = receives.iter().filter(|receive| receive.woken()).count();
            assert_eq!(woken as u64, i + 1, "capacity {capacity:?}: one message, one wake-up");
            assert!(receives[i as usize].woken(), "and it is the first in line");
        }
        for (receive, i) in
            receives.into_iter().zip(0..).take(tx.capacity().map_or(6, |n| n.max(1)).min(6))
        {
            assert_eq!(receive.finish(), Some(i));
        }
    }
}

#[test]
fn waiting_senders_are_served_first_come_first_served() {
    for capacity in bounded_capacities() {
        let (tx, mut rx) = full(capacity);
        let sends: Vec<_> = (0..6).map(|i| Polled::parked(tx.send(1_000 + i))).collect();
        let mut got = Vec::new();
        for (i, send) in sends.into_iter().enumerate() {
            let mut receive = Polled::new(rx.recv());
            let early = receive.poll();
            assert!(send.woken(), "capacity {capacity}: sender {i} is next");
            send.finish().unwrap();
            got.push(match early {
                std::task::Poll::Ready(value) => value.unwrap(),
                std::task::Poll::Pending => receive.finish().unwrap(),
            });
        }
        got.extend(std::iter::from_fn(|| rx.try_recv().ok()));
        let expected: Vec<_> = (0..capacity as u64).chain(1_000..1_006).collect();
        assert_eq!(got, expected, "capacity {capacity}");
    }
}

#[test]
fn senders_who_lost_their_turn_to_newcomers_keep_their_order() {
    for capacity in bounded_capacities().filter(|&capacity| capacity >= 2) {
        let (tx, mut rx) = full(capacity);
        let mut sends: Vec<_> = (0..3).map(|i| Polled::parked(tx.send(1_000 + i))).collect();
        // Two are told of room, and two newcomers are faster, if they can be.
        (0..2).for_each(|_| assert!(rx.try_recv().is_ok()));
        for i in 0..2 {
            let _ = tx.try_send(500 + i);
        }
        let mut done = [false; 3];
        let mut got = Vec::new();
        while done != [true; 3] {
            for i in 0..3 {
                done[i] = done[i] || sends[i].poll().is_ready();
            }
            got.extend(rx.try_recv());
        }
        got.extend(std::iter::from_fn(|| rx.try_recv().ok()));
        got.retain(|&message| message >= 1_000);
        assert_eq!(got, [1_000, 1_001, 1_002], "capacity {capacity}");
    }
}

#[test]
fn a_sender_who_was_told_of_room_is_overtaken_once() {
    for capacity in 1..4 {
        let (tx, mut rx) = full(capacity);
        let (mut first, second) = (Polled::parked(tx.send(1_000)), Polled::parked(tx.send(1_001)));
        assert!(rx.try_recv().is_ok());
        assert!(first.woken() && !second.woken(), "one place, one wake-up");
        assert!(tx.try_send(500).is_ok(), "who runs does not wait for one who does not yet");
        assert!(first.poll().is_pending());
        assert!(rx.try_recv().is_ok());
        assert_eq!(first.task.wakes(), 2, "it stands in front again");
        assert!(!second.woken());
        assert!(tx.try_send(501).is_err(), "this time the place is its own");
        assert!(first.poll().is_ready());
        // Who is told of room and goes passes it on, overtaken or not.
        let third = Polled::parked(tx.send(1_002));
        assert!(rx.try_recv().is_ok() && second.woken());
        drop(second);
        assert!(third.woken());
        third.finish().unwrap();
    }
}

#[test]
fn who_looks_at_a_message_lets_the_next_sender_in() {
    macro_rules! check {
        ($tx:ident, $rx:ident) => {{
            let first = Polled::parked($tx.send(1_000));
            let second = Polled::parked($tx.send(1_001));
            assert_eq!(ready($rx.recv()), Some(0));
            let receive = Polled::parked($rx.recv());
            assert!(first.woken() && !second.woken(), "one place, though somebody waits");
            first.finish().unwrap();
            assert_eq!(receive.finish(), Some(1_000));
            // Nobody receives any more: the place alone is enough.
            second.finish().unwrap();
            assert_eq!(ready($rx.recv()), Some(1_001));
        }};
    }
    let (tx, mut rx) = full(1);
    check!(tx, rx);
    let (tx, rx) = full(1);
    let mut rx = rx.into_shared();
    check!(tx, rx);
}

#[test]
fn receivers_who_lost_their_message_to_newcomers_keep_their_order() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel(capacity);
        let mut newcomer = rx.into_shared();
        let mut shared = vec![newcomer.clone(); 3];
        let mut receives: Vec<_> = shared.iter_mut().map(|rx| Polled::parked(rx.recv())).collect();
        let sent = (0..2).filter(|&i| tx.try_send(i).is_ok()).count();
        let stolen = (0..2).filter(|_| newcomer.try_recv().is_ok()).count();
        // In line again, the losers come before the third.
        let got: Vec<_> = receives
            .iter_mut()
            .map(|receive| receive.woken() && receive.poll().is_ready())
            .collect();
        assert_eq!(got.iter().filter(|&&got| got).count(), sent - stolen);
        let before: Vec<_> = receives.iter().map(|receive| receive.task.wakes()).collect();
        let first = got.iter().position(|&got| !got).unwrap();
        tx.try_send(9).unwrap();
        let woken: Vec<_> = (0..3).filter(|&i| receives[i].task.wakes() > before[i]).collect();
        assert_eq!(woken, [first], "capacity {capacity:?}");
    }
}

#[test]
fn turns_given_for_receivers_who_left_come_again_in_order() {
    let (tx, rx) = rendezvous();
    let mut rx = rx.into_shared();
    let mut sends: Vec<_> = (0..3).map(|i| Polled::parked(tx.send(i))).collect();
    let mut shared = vec![rx.clone(); 2];
    let receives: Vec<_> = shared.iter_mut().map(|rx| Polled::parked(rx.recv())).collect();
    drop(receives);
    sends.iter_mut().for_each(|send| assert!(send.poll().is_pending()));
    for i in 0..3 {
        let before: Vec<_> = sends.iter().map(|send| send.task.wakes()).collect();
        let receive = Polled::parked(rx.recv());
        let woken: Vec<_> =
            (0..sends.len()).filter(|&n| sends[n].task.wakes() > before[n]).collect();
        assert_eq!(woken, [0], "sender {i} is the first of those who are left");
        sends.remove(0).finish().unwrap();
        assert_eq!(receive.finish(), Some(i));
    }
}

#[test]
fn a_rendezvous_ends_for_both_or_for_none() {
    watchdog(60, || {
        let (tx, mut rx) = rendezvous();
        let taken = AtomicU64::new(0);
        thread::scope(|s| {
            s.spawn(|| {
                for i in 1..=5_000 {
                    tx.send_blocking(i).unwrap();
                    // The receive of this message has begun before the send ends, so at most one is not counted yet.
                    assert!(taken.load(Ordering::SeqCst) >= i - 1);
                }
            });
            for i in 1..=5_000 {
                assert_eq!(rx.recv_blocking(), Some(i));
                taken.store(i, Ordering::SeqCst);
            }
        });
    });
}

#[test]
fn a_batch_is_in_order_and_no_longer_than_asked_for() {
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let sent = (0..20).take_while(|&i| tx.try_send(i).is_ok()).count() as u64;
        let mut batch = vec![99];
        let mut expected = 0;
        assert_eq!(ready(rx.recv_many(&mut batch, 0)), 0, "asked for nothing");
        while expected < sent {
            batch.truncate(1);
            let count = ready(rx.recv_many(&mut batch, 3)) as u64;
            assert_eq!(
                count,
                (sent - expected).min(3),
                "capacity {capacity:?}: as many as there are"
            );
            assert_eq!(batch[1..], (expected..expected + count).collect::<Vec<_>>(), "appended");
            expected += count;
        }
        // A batch that has to wait takes what is there when it is woken.
        let mut batch = Vec::new();
        let receive = Polled::parked(rx.recv_many(&mut batch, 10));
        let sent: Vec<_> = (0..5).take_while(|&i| tx.try_send(i).is_ok()).collect();
        assert_eq!(receive.finish(), sent.len());
        assert_eq!(batch, sent, "capacity {capacity:?}");
    }
}
