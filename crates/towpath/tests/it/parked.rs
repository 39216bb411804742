//! What waiting costs: no memory is kept, nothing is allocated for a wait, and who waits is left in peace.

use std::{
    future::{Future, poll_fn},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use towpath::{select, select::SelectSet};

use crate::{
    harness::{CAPACITIES, Task, bounded_capacities, channel, full},
    memory::{allocations, bytes_kept},
};

/// A wait that is given up: one poll, then gone.
fn give_up(task: &Task, future: impl Future) {
    let mut future = std::pin::pin!(future);
    assert!(task.poll(future.as_mut()).is_pending());
}

#[test]
fn cancelled_waits_keep_no_memory_and_allocate_none() {
    let task = Task::new();
    for capacity in bounded_capacities() {
        let (tx, mut rx) = full(capacity);
        let (_empty_tx, mut empty) = channel::<u64>(Some(capacity));
        let mut round = || {
            give_up(&task, empty.recv());
            give_up(&task, tx.send(1));
            give_up(&task, tx.reserve());
            give_up(&task, async {
                select! { _ = empty.recv() => {} _ = tx.send(1) => {} _ = tx.reserve() => {} }
            });
        };
        round();
        assert_eq!(allocations(&mut round), 0, "capacity {capacity}");
        assert_eq!(bytes_kept(|| (0..100_000).for_each(|_| round())), 0, "capacity {capacity}");
        assert_eq!(rx.len(), capacity);
        let _ = rx.try_recv();
    }
    let (_tx, mut rx) = channel::<u64>(None);
    assert_eq!(allocations(|| (0..1_000).for_each(|_| give_up(&task, rx.recv()))), 0);
}

#[test]
fn a_message_that_is_waited_for_allocates_nothing() {
    let task = Task::new();
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let mut round = || {
            for i in 0..100 {
                let mut receive = std::pin::pin!(rx.recv());
                assert!(task.poll(receive.as_mut()).is_pending());
                tx.try_send(i).unwrap();
                assert_eq!(task.poll(receive.as_mut()), Poll::Ready(Some(i)));
            }
        };
        round();
        round();
        let count = allocations(&mut round);
        assert_eq!(count, 0, "capacity {capacity:?}");
    }
    for capacity in bounded_capacities() {
        let (tx, mut rx) = full(capacity);
        let mut round = || {
            for i in 0..100 {
                let mut send = std::pin::pin!(tx.send(i));
                assert!(task.poll(send.as_mut()).is_pending());
                let mut receive = std::pin::pin!(rx.recv());
                let early = task.poll(receive.as_mut());
                assert_eq!(task.poll(send.as_mut()), Poll::Ready(Ok(())));
                assert_eq!(early.is_pending(), capacity == 0);
                assert!(capacity > 0 || task.poll(receive.as_mut()).is_ready());
            }
        };
        round();
        assert_eq!(allocations(&mut round), 0, "capacity {capacity}");
    }
}

#[test]
fn a_drained_burst_leaves_no_memory() {
    let (tx, mut rx) = towpath::unbounded::<u64>();
    let kept = bytes_kept(|| {
        (0..1_000_000).for_each(|i| tx.try_send(i).unwrap());
        (0..1_000_000).for_each(|i| assert_eq!(rx.try_recv(), Ok(i)));
    });
    // Two blocks of 31 slots of 16 bytes.
    assert!((0..2_000).contains(&kept), "{kept} bytes are kept");
    assert!(bytes_kept(|| drop((tx, rx))) < 0);
}

#[test]
fn a_bounded_channel_needs_no_more_after_a_million_messages() {
    for capacity in bounded_capacities().filter(|&capacity| capacity > 0) {
        let (tx, mut rx) = full(capacity);
        let kept = bytes_kept(|| {
            for i in 0..100_000 {
                rx.try_recv().unwrap();
                tx.try_send(i).unwrap();
            }
        });
        assert_eq!(kept, 0, "capacity {capacity}");
    }
}

#[test]
fn a_dropped_channel_gives_everything_back() {
    for capacity in CAPACITIES {
        let round = || {
            let (tx, mut rx) = channel(capacity);
            let sent = (0..200).take_while(|&i| tx.try_send(Box::new(i)).is_ok()).count();
            (0..sent / 2).for_each(|_| drop(rx.try_recv().unwrap()));
            let task = Task::new();
            give_up(&task, async {
                select! { _ = towpath::never() => {} }
            });
            let mut set = SelectSet::new();
            set.recv(rx);
            drop(set.try_next());
        };
        round();
        assert_eq!(bytes_kept(round), 0, "capacity {capacity:?}");
    }
}

/// Counts how often a future is polled.
async fn counting<F: Future>(polls: Arc<AtomicUsize>, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        polls.fetch_add(1, Ordering::SeqCst);
        future.as_mut().poll(cx)
    })
    .await
}

#[tokio::test]
async fn a_parked_task_is_left_in_peace() {
    for capacity in CAPACITIES {
        let (tx, rx) = channel::<u64>(capacity);
        let (other_tx, mut other) = channel::<u64>(capacity);
        let rx = rx.into_shared();
        let polls = Arc::new(AtomicUsize::new(0));
        let (mut rx1, mut rx2) = (rx.clone(), rx);
        let (first, second) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let receive = tokio::spawn(counting(first.clone(), async move { rx1.recv().await }));
        let select = tokio::spawn(counting(second.clone(), async move {
            select! { got = rx2.recv() => got, got = other.recv() => got }
        }));
        let peace = async |expected: (usize, usize)| {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let polled = (first.load(Ordering::SeqCst), second.load(Ordering::SeqCst));
            assert_eq!(
                polled, expected,
                "capacity {capacity:?}: polls of a receive and of a select"
            );
        };
        peace((1, 1)).await;
        tx.try_send(1).unwrap();
        peace((2, 1)).await;
        assert_eq!(receive.await.unwrap(), Some(1));
        peace((2, 1)).await;
        other_tx.try_send(2).unwrap();
        peace((2, 2)).await;
        assert_eq!(select.await.unwrap(), Some(2));
        drop(polls);
    }
}

#[tokio::test]
async fn a_parked_sender_is_left_in_peace() {
    for capacity in bounded_capacities() {
        let (tx, mut rx) = full(capacity);
        let polls = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let [a, b, c] = [tx.clone(), tx.clone(), tx];
        let sends = [
            tokio::spawn(counting(polls[0].clone(), async move { a.send(50).await.is_ok() })),
            tokio::spawn(counting(polls[1].clone(), async move {
                b.reserve().await.map(|permit| permit.send(51)).is_ok()
            })),
            tokio::spawn(counting(polls[2].clone(), async move {
                select! { sent = c.send(52) => sent.is_ok() }
            })),
        ];
        for step in 0..=3 {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let polled = polls.each_ref().map(|polls| polls.load(Ordering::SeqCst));
            let expected = [0, 1, 2].map(|i| if i < step { 2 } else { 1 });
            assert_eq!(
                polled, expected,
                "capacity {capacity} after {step} receives: each was polled once, and when its turn came"
            );
            if step < 3 {
                rx.recv().await.unwrap();
            }
        }
        for send in sends {
            assert!(send.await.unwrap());
        }
    }
}
