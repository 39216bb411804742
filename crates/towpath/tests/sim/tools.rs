//! What several subjects need: channels of every kind, and futures that are dropped at any moment.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use towpath::{Receiver, Sender, bounded, unbounded};
use towpath_sim::choose;

/// A hand-over, the queues of one place, of a few, and of enough; and one without bound.
const CAPACITIES: [Option<usize>; 5] = [Some(0), Some(1), Some(3), Some(4), None];

/// A channel of this capacity.
pub(crate) fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

/// A channel of some capacity; which is part of the schedule.
pub(crate) fn some_channel<T>() -> (Sender<T>, Receiver<T>) {
    channel(CAPACITIES[choose(CAPACITIES.len() as u64) as usize])
}

/// A channel of some capacity that is not without bound.
pub(crate) fn some_bounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(CAPACITIES[choose(4) as usize])
}

/// Polls `future` and drops it, at a moment that is part of the schedule: never, before its first poll, where it waits, or
/// when others have gone on, and have perhaps given it what it waits for. Its value, if it came to one.
pub(crate) async fn maybe_dropped<F: Future>(future: F) -> Option<F::Output> {
    if choose(4) == 3 {
        return None;
    }
    let mut future = pin!(future);
    let mut drop_it = false;
    poll_fn(move |cx| {
        if drop_it {
            return Poll::Ready(None);
        }
        let Poll::Ready(value) = future.as_mut().poll(cx) else {
            match choose(3) {
                0 => {}
                1 => return Poll::Ready(None),
                _ => {
                    drop_it = true;
                    cx.waker().wake_by_ref();
                }
            }
            return Poll::Pending;
        };
        Poll::Ready(Some(value))
    })
    .await
}

/// Everything until the end.
pub(crate) async fn all<T>(rx: &mut Receiver<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(message) = rx.recv().await {
        all.push(message);
    }
    all
}
