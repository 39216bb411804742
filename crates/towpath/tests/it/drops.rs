//! Values that count their drops: nothing leaked, nothing dropped twice, whoever dies and when.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use towpath::{select, select::SelectSet};

use crate::harness::{
    CAPACITIES, Census, Counted, Polled, bounded_capacities, channel, ready, watchdog,
};

/// Runs `check` for each capacity with a census, and looks afterwards whether everything was dropped once.
fn each_capacity(
    capacities: impl IntoIterator<Item = Option<usize>>,
    check: impl Fn(Option<usize>, &Census),
) {
    for capacity in capacities {
        let census = Census::default();
        check(capacity, &census);
        println!("capacity {capacity:?}");
        census.all_dropped_once();
    }
}

fn bounded() -> impl Iterator<Item = Option<usize>> {
    bounded_capacities().map(Some)
}

/// Sends values until no more fit, 150 at most; how many those were.
fn fill(tx: &towpath::Sender<Counted>, census: &Census) -> usize {
    (0..150).take_while(|&i| tx.try_send(census.value(i)).is_ok()).count()
}

#[test]
fn what_is_queued_goes_with_the_receiver() {
    each_capacity(CAPACITIES, |capacity, census| {
        let (tx, rx) = channel(capacity);
        fill(&tx, census);
        drop(rx);
        assert_eq!(census.alive(), 0, "at once, not with the last sender");
    });
}

#[test]
fn what_is_queued_goes_with_the_channel_whatever_the_order() {
    each_capacity(CAPACITIES, |capacity, census| {
        let (tx, mut rx) = channel(capacity);
        let sent = fill(&tx, census);
        // Not from the start of the queue, and across the end of the ring.
        for i in 0..(sent / 2) as u64 {
            assert_eq!(rx.try_recv().unwrap().id, i);
            assert!(capacity.is_none() || tx.try_send(census.value(1_000 + i)).is_ok());
        }
        drop(tx);
        drop(rx);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn a_cancelled_send_drops_its_value() {
    each_capacity(bounded(), |capacity, census| {
        let (tx, rx) = channel(capacity);
        let sent = fill(&tx, census);
        drop(tx.send(census.value(200))); // never polled
        drop(Polled::parked(tx.send(census.value(201))));
        drop(Polled::parked(async {
            select! { _ = tx.send(census.value(202)) => {} }
        }));
        drop(Polled::parked(tx.send_all([census.value(203), census.value(204)])));
        let mut slot = Some(census.value(205));
        drop(Polled::parked(tx.send_from(&mut slot)));
        assert!(census.alive() >= 1 && slot.take().is_some_and(|value| value.id == 205));
        assert_eq!(census.alive(), sent);
        drop(rx);
    });
}

#[test]
fn a_value_in_the_hands_of_a_cancelled_receive_lives_on() {
    each_capacity(CAPACITIES, |capacity, census| {
        let (tx, mut rx) = channel(capacity);
        let receive = Polled::parked(rx.recv());
        tx.try_send(census.value(1)).unwrap();
        drop(receive);
        assert_eq!(census.alive(), 1, "capacity {capacity:?}");
        assert_eq!(rx.try_recv().unwrap().id, 1);
        // And again, but nobody receives it before all ends.
        let receive = Polled::parked(rx.recv());
        tx.try_send(census.value(2)).unwrap();
        drop(receive);
        assert_eq!(census.alive(), 1);
        drop(rx);
        assert_eq!(census.alive(), 0, "what was given back goes with the receiver");
    });
}

#[test]
fn a_value_in_the_hands_of_a_half_done_stream_goes_with_the_receiver() {
    each_capacity(CAPACITIES, |capacity, census| {
        let (tx, mut rx) = channel(capacity);
        let task = crate::harness::Task::new();
        assert!(rx.poll_recv(&mut task.context()).is_pending());
        tx.try_send(census.value(1)).unwrap();
        drop(rx);
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn a_select_that_was_won_and_then_dropped_keeps_the_value_in_the_channel() {
    each_capacity(CAPACITIES, |capacity, census| {
        let (tx, mut rx) = channel(capacity);
        let (_tx2, mut rx2) = channel::<Counted>(capacity);
        let select = Polled::parked(async {
            select! { got = rx.recv() => got, got = rx2.recv() => got }
        });
        tx.try_send(census.value(1)).unwrap();
        assert!(select.woken());
        drop(select);
        assert_eq!(rx.try_recv().unwrap().id, 1, "capacity {capacity:?}");
    });
}

#[test]
fn a_sender_released_by_the_end_gets_its_own_value() {
    each_capacity(bounded(), |capacity, census| {
        let (tx, rx) = channel(capacity);
        fill(&tx, census);
        let waiting: Vec<_> =
            (200..205).map(|i| Polled::parked(tx.send(census.value(i)))).collect();
        drop(rx);
        assert_eq!(census.alive(), 5);
        for (send, i) in waiting.into_iter().zip(200..) {
            assert_eq!(send.finish().unwrap_err().into_inner().id, i);
        }
    });
}

#[test]
fn permits_do_not_own_values() {
    each_capacity(CAPACITIES, |capacity, census| {
        let (tx, mut rx) = channel(capacity);
        let receive = (capacity == Some(0)).then(|| Polled::parked(rx.recv()));
        let permit = tx.try_reserve().unwrap();
        drop(receive);
        drop(rx);
        permit.send(census.value(1));
        assert_eq!(census.alive(), 0);
    });
}

#[test]
fn batches_own_what_they_have() {
    each_capacity(CAPACITIES, |capacity, census| {
        let (tx, mut rx) = channel(capacity);
        let sent = fill(&tx, census);
        let mut batch = Vec::new();
        if sent > 0 {
            assert_eq!(ready(rx.recv_many(&mut batch, 2)), sent.min(2));
        }
        drop(Polled::new(rx.recv_many(&mut batch, 2)));
        assert_eq!((batch.len(), census.alive()), (sent.min(2), sent));
    });
}

#[test]
fn a_set_drops_its_receivers() {
    each_capacity(CAPACITIES, |capacity, census| {
        let mut set = SelectSet::new();
        let (tx, rx) = channel(capacity);
        fill(&tx, census);
        let key = set.recv(rx);
        let (tx2, rx2) = channel(capacity);
        set.recv(rx2);
        drop(ready_or_none(&mut set));
        drop(set.remove(key));
        assert_eq!(census.alive(), 0, "capacity {capacity:?}");
        let send = tx2.try_send(census.value(1_000));
        drop(set);
        assert!(tx2.is_closed());
        drop(send);
    });
}

fn ready_or_none(set: &mut SelectSet<Counted>) -> Option<Counted> {
    set.try_next().and_then(|(_, value)| value)
}

#[test]
fn a_value_whose_drop_panics_costs_no_other() {
    // In each place of the queue, and while the receiver, or the last of both sides, goes.
    for capacity in CAPACITIES.into_iter().filter(|&capacity| capacity != Some(0)) {
        for bad in 0..capacity.unwrap_or(70).min(70) as u64 {
            let census = Census::default();
            let (tx, rx) = channel(capacity);
            for i in 0..capacity.unwrap_or(70) as u64 {
                let value = if i == bad { census.explosive(i) } else { census.value(i) };
                tx.try_send(value).unwrap();
            }
            let waiting = capacity.map(|_| Polled::parked(tx.send(census.value(1_000))));
            let panicked = catch_unwind(AssertUnwindSafe(|| drop(rx)));
            assert!(panicked.is_err(), "the panic is not swallowed");
            assert!(tx.is_closed(), "capacity {capacity:?}");
            if let Some(waiting) = waiting {
                assert_eq!(waiting.finish().unwrap_err().into_inner().id, 1_000);
            }
            println!("capacity {capacity:?}, bad {bad}");
            census.all_dropped_once();
        }
    }
}

#[test]
fn values_given_back_survive_a_panic_too() {
    let census = Census::default();
    let (tx, rx) = towpath::rendezvous();
    let rx = rx.into_shared();
    let mut shared = vec![rx; 4];
    let receives: Vec<_> = shared.iter_mut().map(|rx| Polled::parked(rx.recv())).collect();
    tx.try_send(census.explosive(0)).unwrap();
    (1..4).for_each(|i| tx.try_send(census.value(i)).unwrap());
    drop(receives);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(shared))).is_err());
    census.all_dropped_once();
}

#[test]
fn a_panic_in_a_value_whose_send_is_cancelled_leaves_the_channel_sound() {
    for capacity in bounded_capacities() {
        let census = Census::default();
        let (tx, mut rx) = channel(Some(capacity));
        let sent = fill(&tx, &census);
        let send = Polled::parked(tx.send(census.explosive(1_000)));
        let behind = Polled::parked(tx.send(census.value(1_001)));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(send))).is_err());
        if capacity == 0 {
            let receive = Polled::parked(rx.recv());
            behind.finish().unwrap();
            assert_eq!(receive.finish().unwrap().id, 1_001);
        } else {
            (0..sent as u64).for_each(|i| assert_eq!(rx.try_recv().unwrap().id, i));
            behind.finish().unwrap();
            assert_eq!(rx.try_recv().unwrap().id, 1_001);
        }
        census.all_dropped_once();
    }
}

#[test]
fn a_thread_dies_with_its_ends() {
    watchdog(60, || {
        each_capacity(CAPACITIES, |capacity, census| {
            let (tx, mut rx) = channel(capacity);
            let theirs = census.clone();
            let died = thread::spawn(move || {
                tx.send_blocking(theirs.value(1)).unwrap();
                let _held = theirs.value(2);
                panic!("a planned panic");
            });
            assert_eq!(rx.recv_blocking().unwrap().id, 1, "what was sent is delivered");
            assert!(rx.recv_blocking().is_none(), "and then the end comes");
            assert!(died.join().is_err());
        });
    });
}

#[test]
fn large_small_and_empty_values_arrive_whole() {
    fn check<T: Clone + PartialEq + std::fmt::Debug>(value: T) {
        for capacity in CAPACITIES {
            let (tx, mut rx) = channel(capacity);
            let receive = Polled::parked(rx.recv());
            tx.try_send(value.clone()).unwrap();
            assert_eq!(receive.finish(), Some(value.clone()));
            let count = (0..70).take_while(|_| tx.try_send(value.clone()).is_ok()).count();
            for _ in 0..count {
                assert_eq!(rx.try_recv(), Ok(value.clone()));
            }
        }
    }
    check(());
    check(0xA5_u8);
    check([7_u64; 100]);
    check(String::from("a value with a home on the heap"));
    check(Some(Box::new(1)));
}
