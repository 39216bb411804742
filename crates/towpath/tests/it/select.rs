//! `select!`, clause by clause: exactly one arm commits, a losing arm has no effect.

use std::{cell::Cell, future::ready as immediately, panic, pin::pin, task::Poll, time::Duration};

use towpath::{
    Receiver, SendError, Sender, TryRecvError, after, bounded, never, rendezvous, select,
    select::future, select_blocking, unbounded,
};

use crate::harness::{Polled, bounded_capacities, full, ready, watchdog};

/// A receiver with these messages, and its sender.
fn holding(messages: &[u32]) -> (Sender<u32>, Receiver<u32>) {
    let (tx, rx) = unbounded();
    messages.iter().for_each(|&message| tx.try_send(message).unwrap());
    (tx, rx)
}

#[test]
fn a_guard_that_is_false_disables_its_arm_and_is_not_followed() {
    let (_tx, mut rx) = holding(&[1]);
    let evaluated = Cell::new(false);
    let touch = || evaluated.set(true);
    let got = select_blocking! {
        got = { touch(); rx.recv() }, if false => got,
        default => None,
    };
    assert_eq!((got, evaluated.get()), (None, false));
    let got = select_blocking! {
        got = { touch(); rx.recv() }, if 1 + 1 == 2 => got,
        default => None,
    };
    assert_eq!((got, evaluated.get()), (Some(1), true));
}

#[test]
fn guards_and_arms_are_evaluated_once_and_in_order() {
    let log = Cell::new(0);
    let note = |n: u32| log.set(log.get() * 10 + n);
    let (_tx, mut rx) = holding(&[]);
    let (tx2, _rx2) = bounded::<u32>(1);
    select_blocking! {
        _ = { note(2); rx.recv() }, if { note(1); true } => unreachable!(),
        _ = { note(4); tx2.send(0) }, if { note(3); true } => {}
        _ = { note(5); never() } => unreachable!(),
    }
    assert_eq!(log.get(), 12_345);
}

#[test]
fn an_arm_on_nothing_is_disabled() {
    let (tx, rx) = holding(&[1]);
    let (mut none, mut some): (Option<Receiver<u32>>, _) = (None, Some(rx));
    assert_eq!(select_blocking! { got = none.recv() => got, got = some.recv() => got }, Some(1));
    let mut shared = None::<towpath::SharedReceiver<u32>>;
    let mut borrowed = None::<&mut Receiver<u32>>;
    let (no_tx, no_ref) = (None::<Sender<u32>>, None::<&Sender<u32>>);
    let mut slot = Some(9);
    let went = select_blocking! {
        _ = shared.recv() => "shared",
        _ = borrowed.recv() => "borrowed",
        _ = no_tx.send(1) => "send",
        _ = no_ref.reserve() => "reserve",
        _ = no_tx.send_from(&mut slot) => "send_from",
        _ = None::<towpath::After> => "timer",
        default => "none",
    };
    assert_eq!((went, slot), ("none", Some(9)));
    let tx = Some(tx);
    select_blocking! { sent = tx.send(2) => sent.unwrap() }
    assert_eq!(some.unwrap().try_recv(), Ok(2));
}

/// Also in a select that waits, which comes by every arm to stand in its line.
#[test]
fn a_send_from_an_empty_slot_is_disabled() {
    for capacity in bounded_capacities() {
        let (tx, mut rx) = bounded::<u64>(capacity);
        let (news_tx, mut news) = holding(&[]);
        let mut slot = None;
        let select = Polled::parked(async {
            select! { _ = tx.send_from(&mut slot) => None, got = news.recv() => got }
        });
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        news_tx.try_send(1).unwrap();
        assert_eq!(select.finish(), Some(1));
        assert_eq!((slot, rx.try_recv()), (None, Err(TryRecvError::Empty)));
    }
}

#[test]
fn a_select_whose_arms_are_all_disabled_panics() {
    let panics = |f: fn()| panic::catch_unwind(f).is_err();
    assert!(panics(|| select_blocking! { _ = None::<towpath::Never> => {} }));
    assert!(panics(|| select_blocking! { _ = never(), if false => {} }));
    assert!(panics(|| select_blocking! { biased; _ = never(), if false => {} }));
    assert!(panics(|| towpath::block_on(async {
        select! { _ = never(), if false => {} }
    })));
    assert!(panics(|| {
        let (tx, _rx) = bounded::<u32>(1);
        select_blocking! { _ = tx.send_from(&mut None) => {} }
    }));
    assert!(panics(|| {
        let _ = select::recv_any_blocking::<u32>(&mut []);
    }));
}

#[test]
fn default_runs_only_when_nothing_is_ready() {
    let (tx, mut rx) = holding(&[7]);
    let step =
        |rx: &mut Receiver<u32>| select_blocking! { got = rx.recv() => got, default => Some(0) };
    assert_eq!(step(&mut rx), Some(7));
    assert_eq!(step(&mut rx), Some(0));
    drop(tx);
    assert_eq!(step(&mut rx), None, "an end is news, too");
    assert_eq!(select_blocking! { default => 5 }, 5);
}

#[test]
fn biased_takes_the_top_arm() {
    let (_tx, mut rx) = holding(&[1; 100]);
    let (_tx2, mut rx2) = holding(&[2; 100]);
    for _ in 0..50 {
        assert_eq!(
            select_blocking! { biased; got = rx.recv() => got, got = rx2.recv() => got },
            Some(1)
        );
        assert_eq!(
            ready(async {
                select! { biased; got = rx2.recv() => got, got = rx.recv() => got }
            }),
            Some(2)
        );
    }
    assert_eq!(
        select_blocking! { biased; _ = never() => None, got = rx2.recv() => got, default => None },
        Some(2)
    );
}

#[test]
fn ready_arms_are_chosen_evenly_whatever_lies_between_them() {
    const ROUNDS: usize = 6_000;
    let (_tx, mut a) = holding(&vec![0; ROUNDS]);
    let (_tx, mut b) = holding(&vec![1; ROUNDS]);
    let (_tx, mut c) = holding(&vec![2; ROUNDS]);
    let (_tx, mut empty) = holding(&[]);
    let mut counts = [0; 3];
    for round in 0..ROUNDS {
        // Arms that are not ready stand beside the first and the last; a walk from a random start would favour `b`.
        let got = if round % 2 == 0 {
            select_blocking! {
                got = a.recv() => got, _ = never() => None, got = empty.recv() => got, _ = never() => None,
                got = b.recv() => got, got = c.recv() => got,
            }
        } else {
            ready(async {
                select! {
                    got = a.recv() => got, _ = never() => None, got = empty.recv() => got, _ = never() => None,
                    got = b.recv() => got, got = c.recv() => got,
                }
            })
        };
        counts[got.unwrap() as usize] += 1;
    }
    // 2,000 each on average, with a standard deviation of 37.
    assert!(counts.iter().all(|&n| (1_700..2_300).contains(&n)), "{counts:?}");
}

#[test]
fn any_number_of_arms_is_chosen_from_evenly() {
    const ROUNDS: usize = 3_000;
    for arms in [3, 16, 17, 40] {
        // Three neighbours are ready, all others are not.
        let (_txs, mut rxs): (Vec<_>, Vec<_>) =
            (0..arms).map(|i| holding(if i < 3 { &[0; ROUNDS] } else { &[] })).unzip();
        let mut counts = [0; 3];
        for _ in 0..ROUNDS {
            let (arm, got) = select::recv_any_blocking(&mut rxs);
            assert_eq!(got, Some(0));
            counts[arm] += 1;
        }
        assert!(counts.iter().all(|&n| (800..1_200).contains(&n)), "{arms} arms: {counts:?}");
    }
}

#[test]
fn a_losing_arm_takes_nothing_and_gives_nothing() {
    let (_tx, mut a) = holding(&[1; 64]);
    let (_tx, mut b) = holding(&[2; 64]);
    let (out, sink) = bounded::<u32>(64);
    for round in 0..64 {
        let before = (a.len(), b.len(), sink.len());
        let which = select_blocking! {
            got = a.recv() => { assert_eq!(got, Some(1)); 0 }
            got = b.recv() => { assert_eq!(got, Some(2)); 1 }
            sent = out.send(3) => { sent.unwrap(); 2 }
            place = out.reserve() => { drop(place.unwrap()); 3 }
        };
        let after = (a.len(), b.len(), sink.len());
        let expected = match which {
            0 => (before.0 - 1, before.1, before.2),
            1 => (before.0, before.1 - 1, before.2),
            2 => (before.0, before.1, before.2 + 1),
            _ => before,
        };
        assert_eq!(after, expected, "round {round}");
    }
    // No place was kept by a losing reservation, either.
    let free = 64 - sink.len();
    assert_eq!(
        std::iter::from_fn(|| out.try_reserve().ok())
            .take(100)
            .map(std::mem::ManuallyDrop::new)
            .count(),
        free
    );
}

#[test]
fn a_losing_send_leaves_its_value_in_the_slot() {
    for capacity in bounded_capacities() {
        let (tx, mut rx) = full(capacity);
        let (_tx, mut news) = holding(&[1]);
        let mut slot = Some(50);
        let got =
            select_blocking! { _ = tx.send_from(&mut slot) => None, got = news.recv() => got };
        assert_eq!((got, slot), (Some(1), Some(50)));
        // Also when the select had waited, and when it is dropped.
        let (news_tx, mut news) = holding(&[]);
        let select = Polled::parked(async {
            select! { _ = tx.send_from(&mut slot) => None, got = news.recv() => got }
        });
        news_tx.try_send(2).unwrap();
        assert_eq!(select.finish(), Some(2));
        assert_eq!(slot, Some(50));
        drop(Polled::parked(async {
            select! { _ = tx.send_from(&mut slot) => {} }
        }));
        assert_eq!(slot, Some(50));
        let rest: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
        assert_eq!(rest, (0..capacity as u64).collect::<Vec<_>>());
        // And when it wins, the slot is empty.
        if capacity > 0 {
            select_blocking! { sent = tx.send_from(&mut slot) => assert_eq!(sent, Ok(())) }
            assert_eq!((slot, rx.try_recv()), (None, Ok(50)));
        }
        drop(rx);
        slot = Some(51);
        select_blocking! { sent = tx.send_from(&mut slot) => assert_eq!(sent, Err(SendError(51))) }
    }
}

#[test]
fn a_permit_won_by_a_select_keeps_its_place() {
    for capacity in bounded_capacities().filter(|&capacity| capacity > 0) {
        let (tx, mut rx) = full(capacity);
        rx.try_recv().unwrap();
        let permit = select_blocking! { permit = tx.reserve() => permit.unwrap() };
        assert!(tx.try_send(1).is_err(), "capacity {capacity}");
        permit.send(2);
        assert_eq!(std::iter::from_fn(|| rx.try_recv().ok()).last(), Some(2));
    }
}

#[test]
fn timers_are_arms() {
    let (_tx, mut rx) = holding(&[]);
    let moment = Duration::from_millis(2);
    let hour = Duration::from_secs(3_600);
    watchdog(60, || {
        let late = |rx: &mut Receiver<u32>| select_blocking! { _ = rx.recv() => 0, _ = after(hour) => 1, _ = after(moment) => 2 };
        assert_eq!(late(&mut rx), 2);
        let late = towpath::block_on(async {
            select! { _ = rx.recv() => 0, _ = after(hour) => 1, _ = after(moment) => 2 }
        });
        assert_eq!(late, 2);
        assert_eq!(select_blocking! { _ = after(Duration::ZERO) => 1, default => 2 }, 1);
        assert_eq!(select_blocking! { _ = after(hour) => 1, default => 2 }, 2);
        let mut ticks = towpath::tick(moment);
        for _ in 0..3 {
            select_blocking! { _ = ticks.recv() => {}, _ = after(hour) => panic!("an hour went by") }
        }
    });
}

#[test]
fn a_foreign_future_is_an_arm() {
    let (_tx, mut rx) = holding(&[]);
    let got = ready(async {
        select! { got = rx.recv() => got, got = future(immediately(5)) => Some(got) }
    });
    assert_eq!(got, Some(5));
    // It is woken by itself.
    let (tx, mut other) = tokio::sync::mpsc::channel::<u32>(1);
    let select = Polled::parked(async {
        select! { got = rx.recv() => got, got = future(other.recv()) => got }
    });
    tx.try_send(6).unwrap();
    assert_eq!(select.finish(), Some(6));
    // On a thread, too.
    watchdog(60, || {
        std::thread::scope(|s| {
            s.spawn(|| tx.blocking_send(7).unwrap());
            assert_eq!(
                select_blocking! { got = rx.recv() => got, got = future(other.recv()) => got },
                Some(7)
            );
        });
    });
}

#[test]
fn a_pinned_arm_is_used_again_in_the_next_select() {
    for capacity in bounded_capacities() {
        let (tx, mut rx) = full(capacity);
        let (news_tx, mut news) = holding(&[]);
        {
            // It loses, keeps its value, and wins later.
            let mut send = pin!(tx.send(1_000));
            let select = Polled::parked(async {
                select! { sent = send.as_mut() => sent.is_ok(), _ = news.recv() => false }
            });
            news_tx.try_send(1).unwrap();
            assert!(!select.finish());
            let select = Polled::parked(async {
                select! { sent = send.as_mut() => sent.is_ok(), _ = news.recv() => false }
            });
            if capacity == 0 {
                let receive = Polled::parked(rx.recv());
                assert!(select.finish(), "capacity {capacity}");
                assert_eq!(receive.finish(), Some(1_000));
            } else {
                rx.try_recv().unwrap();
                assert!(select.finish(), "capacity {capacity}");
            }
        }
        // A timer that goes on running over several selects.
        let mut timeout = pin!(after(Duration::from_millis(1)));
        let (_tx, mut many) = holding(&[0; 10_000]);
        let mut taken = 0;
        watchdog(60, || {
            while select_blocking! { biased; _ = timeout.as_mut() => false, _ = many.recv(), if taken < 10_000 => { taken += 1; true } }
            {
            }
        });
    }
}

#[test]
fn bodies_may_leave_and_use_the_ends_again() {
    fn leaves(rx: &mut Receiver<u32>) -> Result<u32, SendError<u32>> {
        let (tx, gone) = bounded(1);
        drop(gone);
        for _ in 0..9 {
            let got = select_blocking! {
                got = rx.recv() => match got {
                    Some(1) => continue,
                    Some(2) => break,
                    Some(3) => { tx.send_blocking(3)?; 0 }
                    Some(4) => return Ok(4),
                    other => other.into_iter().chain(rx.try_recv()).sum::<u32>(),
                },
            };
            return Ok(got);
        }
        Ok(2)
    }
    let (_tx, mut rx) = holding(&[1, 2, 3, 1, 4, 50, 60]);
    assert_eq!(leaves(&mut rx), Ok(2));
    assert_eq!(leaves(&mut rx), Err(SendError(3)));
    assert_eq!(leaves(&mut rx), Ok(4));
    assert_eq!(leaves(&mut rx), Ok(110), "a body uses the receiver of its arm");
}

#[test]
fn selects_nest() {
    let (_tx, mut outer) = holding(&[1]);
    let (_tx, mut inner) = holding(&[2]);
    let sum = ready(async {
        select! {
            got = outer.recv() => got.unwrap() + select! {
                got = inner.recv() => got.unwrap() + select_blocking! { default => 4 },
                default => 0,
            },
        }
    });
    assert_eq!(sum, 7);
    // A select as an arm of another, which is dropped when it loses.
    let (tx, mut rx) = rendezvous::<u32>();
    let got = ready(async {
        select! { biased; got = future(async { select! { got = rx.recv() => got } }) => got, _ = after(Duration::ZERO) => None }
    });
    assert_eq!((got, tx.try_send(1).is_err()), (None, true), "no place in line is kept");
}

#[test]
fn one_shot_selects_over_slices() {
    let (txs, mut rxs): (Vec<_>, Vec<_>) = (0..30).map(|_| bounded::<usize>(1)).unzip();
    let mut select = Polled::parked(select::recv_any(&mut rxs));
    txs[17].try_send(5).unwrap();
    assert!(select.task.wakes() == 1);
    assert_eq!(select.poll(), Poll::Ready((17, Some(5))));
    drop(select);
    // Sends, of which exactly one happens.
    let (winner, sent) = ready(select::any(txs.iter().map(|tx| tx.send(6))));
    assert_eq!(sent, Ok(()));
    let queued: Vec<_> = (0..30).filter(|&i| rxs[i].len() == 1).collect();
    assert_eq!(queued, [winner]);
}

#[test]
fn a_parked_select_wakes_once_and_holds_no_place_afterwards() {
    for capacity in bounded_capacities() {
        let (a_tx, mut a) = bounded::<u64>(capacity);
        let (b_tx, mut b) = bounded::<u64>(capacity);
        let (c_tx, mut c_rx) = full(capacity);
        let select = Polled::parked(async {
            select! { got = a.recv() => got, got = b.recv() => got, _ = c_tx.send(99) => None }
        });
        b_tx.try_send(1).unwrap();
        assert_eq!(select.task.wakes(), 1);
        assert_eq!(select.finish(), Some(1));
        if capacity == 0 {
            assert!(
                a_tx.try_send(1).is_err() && b_tx.try_send(1).is_err(),
                "nobody waits there any more"
            );
            drop(Polled::parked(c_rx.recv()));
        }
    }
}
