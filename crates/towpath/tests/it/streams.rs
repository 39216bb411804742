//! `Stream` for receivers and `Sink` for senders (feature `futures`), and `poll_recv` below them.

use std::{pin::Pin, task::Poll};

use futures_util::{SinkExt, StreamExt};
use towpath::{SendError, TryRecvError, bounded, select};

use crate::harness::{CAPACITIES, Polled, Task, bounded_capacities, channel, full, ready, run};

#[test]
fn a_stream_yields_everything_and_ends() {
    run(60, async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let sender = tokio::spawn(async move {
                for i in 0..500_u64 {
                    tx.send(i).await.unwrap();
                }
            });
            let got: Vec<_> = rx.collect().await;
            assert_eq!(got, (0..500).collect::<Vec<_>>(), "capacity {capacity:?}");
            sender.await.unwrap();
        }
    });
}

#[test]
fn streams_and_sinks_forward() {
    run(60, async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel::<u64>(capacity);
            let (tx2, rx2) = channel(capacity);
            tokio::spawn(async move { tx.send_all(0..500).await.unwrap() });
            tokio::spawn(async move { rx.map(|i| Ok(2 * i)).forward(tx2).await.unwrap() });
            let got: Vec<_> = rx2.collect().await;
            assert_eq!(got, (0..500).map(|i| 2 * i).collect::<Vec<_>>(), "capacity {capacity:?}");
        }
    });
}

#[test]
fn every_other_way_to_receive_works_after_a_half_done_poll() {
    for capacity in CAPACITIES {
        for handed_over in [false, true] {
            for way in [
                "recv",
                "try_recv",
                "recv_many",
                "select",
                "into_shared",
                "poll_next",
                "recv_blocking",
            ] {
                let (tx, mut rx) = channel(capacity);
                let task = Task::new();
                for round in 0..2 {
                    assert_eq!(rx.poll_recv(&mut task.context()), Poll::Pending);
                    if handed_over {
                        tx.try_send(round).unwrap();
                    } else if capacity == Some(0) {
                        continue;
                    } else {
                        drop(rx.recv());
                        tx.try_send(round).unwrap();
                    }
                    let got = match way {
                        "recv" => ready(rx.recv()),
                        "try_recv" => rx.try_recv().ok(),
                        "recv_many" => {
                            let mut batch = Vec::new();
                            assert_eq!(ready(rx.recv_many(&mut batch, 4)), 1);
                            batch.pop()
                        }
                        "select" => ready(async {
                            select! { got = rx.recv() => got }
                        }),
                        "recv_blocking" => rx.recv_blocking(),
                        "poll_next" => ready(rx.next()),
                        _ => break,
                    };
                    assert_eq!(
                        got,
                        Some(round),
                        "capacity {capacity:?}, {way}, handed over: {handed_over}"
                    );
                }
                if way == "into_shared" && (handed_over || capacity != Some(0)) {
                    assert_eq!(rx.into_shared().try_recv(), Ok(0), "capacity {capacity:?}");
                }
            }
        }
    }
}

#[test]
fn a_stream_is_polled_many_times_over_without_harm() {
    // Pending, woken, ready, and so on, with the one operation that the receiver keeps.
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let task = Task::new();
        for i in 0..100 {
            for _ in 0..3 {
                assert_eq!(rx.poll_recv(&mut task.context()), Poll::Pending);
            }
            let wakes = task.wakes();
            tx.try_send(i).unwrap();
            assert_eq!(task.wakes(), wakes + 1, "capacity {capacity:?}, message {i}");
            assert_eq!(rx.poll_recv(&mut task.context()), Poll::Ready(Some(i)));
        }
        drop(tx);
        for _ in 0..3 {
            assert_eq!(rx.poll_recv(&mut task.context()), Poll::Ready(None), "it stays so");
        }
    }
}

#[test]
fn a_stream_that_moved_wakes_its_new_task_only() {
    for capacity in CAPACITIES {
        let (tx, mut rx) = channel(capacity);
        let (old, new) = (Task::new(), Task::new());
        assert!(rx.poll_recv(&mut old.context()).is_pending());
        assert!(rx.poll_recv(&mut new.context()).is_pending());
        tx.try_send(1).unwrap();
        assert_eq!((old.wakes(), new.wakes()), (0, 1), "capacity {capacity:?}");
    }
}

#[test]
fn a_ready_sink_keeps_its_place_until_it_sends() {
    for capacity in bounded_capacities().filter(|&capacity| capacity > 0) {
        let (tx, mut rx) = full(capacity);
        rx.try_recv().unwrap();
        let mut sink = tx.clone();
        let task = Task::new();
        for _ in 0..2 {
            assert!(Pin::new(&mut sink).poll_ready_unpin(&mut task.context()).is_ready());
        }
        assert!(tx.try_send(1).is_err(), "capacity {capacity}: the place is the sink's");
        sink.start_send_unpin(2).unwrap();
        assert_eq!(std::iter::from_fn(|| rx.try_recv().ok()).last(), Some(2));
    }
}

#[test]
fn a_sink_that_is_dropped_gives_its_place_back() {
    for capacity in bounded_capacities().filter(|&capacity| capacity > 0) {
        let (tx, mut rx) = full(capacity);
        let task = Task::new();
        // One has a place, one waits for one, and then somebody else waits.
        let (mut has, mut waits) = (tx.clone(), tx.clone());
        rx.try_recv().unwrap();
        assert!(has.poll_ready_unpin(&mut task.context()).is_ready());
        assert!(waits.poll_ready_unpin(&mut task.context()).is_pending());
        let send = Polled::parked(tx.send(1_000));
        drop(has);
        assert!(!send.woken());
        drop(waits);
        send.finish().unwrap();
        assert_eq!(tx.len(), capacity);
    }
}

#[test]
fn a_clone_of_a_ready_sink_has_no_place() {
    let (mut tx, _rx) = bounded::<u64>(4);
    let task = Task::new();
    assert!(tx.poll_ready_unpin(&mut task.context()).is_ready());
    let clones: Vec<_> = (0..3).map(|_| tx.clone()).collect();
    drop(clones);
    assert_eq!((0..9).take_while(|&i| tx.try_send(i).is_ok()).count(), 3);
}

#[test]
#[should_panic(expected = "poll_ready")]
fn start_send_needs_a_place() {
    let (mut tx, _rx) = bounded(4);
    let _ = tx.start_send_unpin(1);
}

#[test]
fn a_sink_learns_that_the_receiver_is_gone() {
    for capacity in CAPACITIES {
        let (mut tx, rx) = channel(capacity);
        drop(rx);
        assert_eq!(ready(tx.feed(1)), Err(SendError(())), "capacity {capacity:?}");
        // With a place already kept.
        let (mut tx, mut rx) = channel(capacity);
        let task = Task::new();
        let receive = (capacity == Some(0)).then(|| Polled::parked(rx.recv()));
        assert!(tx.poll_ready_unpin(&mut task.context()).is_ready());
        drop(receive);
        drop(rx);
        assert_eq!(tx.start_send_unpin(1), Err(SendError(())));
    }
}

#[test]
fn a_stream_knows_what_is_queued() {
    use futures_util::stream::Stream;
    let (tx, mut rx) = bounded(4);
    (0..3).for_each(|i| tx.try_send(i).unwrap());
    assert_eq!(rx.size_hint(), (3, None));
    assert_eq!(
        (rx.len(), rx.is_empty(), rx.capacity(), tx.capacity()),
        (3, false, Some(4), Some(4))
    );
    while rx.try_recv().is_ok() {}
    assert_eq!(
        (rx.try_recv(), rx.is_empty(), rx.size_hint().0),
        (Err(TryRecvError::Empty), true, 0)
    );
}
