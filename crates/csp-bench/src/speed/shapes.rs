//! What is measured, as Towpath programs.
//!
//! None has a bug, so that each schedule goes to its end. The numbers are small: a schedule of a test has tens of steps.

use std::sync::Arc;

use towpath::{
    Ctx, bounded, rendezvous, rt, scope,
    sync::{Mutex, Semaphore},
};

#[cfg(feature = "shuttle")]
use super::shuttle;
use super::{By, Pair};
use crate::{Program, program};

/// Philosophers, and forks.
pub(super) const PHILOSOPHERS: usize = 3;
/// How often each of them eats.
pub(super) const MEALS: u32 = 2;

/// Stages that hand on, between the source and the sink.
pub(super) const RELAYS: usize = 2;
/// Messages that go through all of them.
pub(super) const MESSAGES: u32 = 5;
/// The places of each channel between them.
pub(super) const PLACES_CAP: usize = 2;

/// Who wants permits.
pub(super) const GUESTS: usize = 4;
/// How often each of them does.
pub(super) const VISITS: u32 = 2;
/// How many there are.
pub(super) const PERMITS: usize = 2;

/// A long schedule, for steps a second.
const STREAM: u32 = 1_000;

macro_rules! theirs {
    ($main:path) => {{
        #[cfg(feature = "shuttle")]
        let main = $main;
        #[cfg(not(feature = "shuttle"))]
        let main = || {};
        main
    }};
}

pub(super) fn pairs() -> Vec<Pair> {
    let shapes: [(_, _, _, fn()); 6] = [
        ("philosophers", "tasks", program!(philosophers), theirs!(shuttle::philosophers_async)),
        (
            "philosophers",
            "threads",
            program!(philosophers_blocking),
            theirs!(shuttle::philosophers),
        ),
        ("pipeline", "tasks", program!(pipeline), theirs!(shuttle::pipeline_async)),
        ("pipeline", "threads", program!(pipeline_blocking), theirs!(shuttle::pipeline)),
        ("semaphore", "tasks", program!(semaphore), theirs!(shuttle::semaphore_async)),
        ("semaphore", "threads", program!(semaphore_blocking), theirs!(shuttle::semaphore)),
    ];
    let both = |(shape, flavour, ours, theirs)| {
        [By::Random, By::Pct].map(|by| Pair { shape, flavour, by, ours, theirs })
    };
    shapes.into_iter().flat_map(both).collect()
}

/// Kernels of our own, for what a schedule costs at least.
pub(super) fn alone() -> [(&'static str, Program); 4] {
    [
        ("nothing", program!(nothing)),
        ("a rendezvous", program!(a_rendezvous)),
        ("a scope with a child", program!(a_child)),
        ("a stream of 1,000 messages", program!(stream)),
    ]
}

// ---- philosophers: everybody takes the fork with the lower number first ---------------------------------------------

fn forks_of(philosopher: usize) -> (usize, usize) {
    let (left, right) = (philosopher, (philosopher + 1) % PHILOSOPHERS);
    (left.min(right), left.max(right))
}

/// How often the philosopher's two forks are laid down by all, together.
const LAID_DOWN: u32 = PHILOSOPHERS as u32 * MEALS;

async fn philosophers() {
    let forks: [_; PHILOSOPHERS] = std::array::from_fn(|_| Arc::new(Mutex::new(0_u32)));
    let dine = |philosopher| {
        let (first, second) = forks_of(philosopher);
        let (first, second) = (forks[first].clone(), forks[second].clone());
        rt::spawn(async move {
            for _ in 0..MEALS {
                let _first = first.lock().await;
                *second.lock().await += 1;
            }
        })
    };
    for dinner in std::array::from_fn::<_, PHILOSOPHERS, _>(dine) {
        assert!(dinner.await.is_ok());
    }
    let used: u32 = forks.iter().map(|fork| fork.try_lock().map_or(0, |count| *count)).sum();
    assert_eq!(used, LAID_DOWN);
}

async fn philosophers_blocking() {
    let forks: [_; PHILOSOPHERS] = std::array::from_fn(|_| Arc::new(Mutex::new(0_u32)));
    let dine = |philosopher| {
        let (first, second) = forks_of(philosopher);
        let (first, second) = (forks[first].clone(), forks[second].clone());
        rt::spawn_blocking(move || {
            for _ in 0..MEALS {
                let _first = first.lock_blocking();
                *second.lock_blocking() += 1;
            }
        })
    };
    for dinner in std::array::from_fn::<_, PHILOSOPHERS, _>(dine) {
        assert!(dinner.await.is_ok());
    }
    let used: u32 = forks.iter().map(|fork| fork.try_lock().map_or(0, |count| *count)).sum();
    assert_eq!(used, LAID_DOWN);
}

// ---- pipeline: a source, relays, and the main process as the sink -------------------------------------------------

async fn pipeline() {
    let (tx, mut rx) = bounded(PLACES_CAP);
    let source = rt::spawn(async move {
        for message in 0..MESSAGES {
            assert!(tx.send(message).await.is_ok());
        }
    });
    let relays = std::array::from_fn::<_, RELAYS, _>(|_| {
        let (tx, next) = bounded(PLACES_CAP);
        let mut rx = std::mem::replace(&mut rx, next);
        rt::spawn(async move {
            while let Some(message) = rx.recv().await {
                assert!(tx.send(message).await.is_ok());
            }
        })
    });
    for message in 0..MESSAGES {
        assert_eq!(rx.recv().await, Some(message));
    }
    assert_eq!(rx.recv().await, None);
    assert!(source.await.is_ok());
    for relay in relays {
        assert!(relay.await.is_ok());
    }
}

async fn pipeline_blocking() {
    let (tx, mut rx) = bounded(PLACES_CAP);
    let source = rt::spawn_blocking(move || {
        for message in 0..MESSAGES {
            assert!(tx.send_blocking(message).is_ok());
        }
    });
    let relays = std::array::from_fn::<_, RELAYS, _>(|_| {
        let (tx, next) = bounded(PLACES_CAP);
        let mut rx = std::mem::replace(&mut rx, next);
        rt::spawn_blocking(move || {
            while let Some(message) = rx.recv_blocking() {
                assert!(tx.send_blocking(message).is_ok());
            }
        })
    });
    for message in 0..MESSAGES {
        assert_eq!(rx.recv_blocking(), Some(message));
    }
    assert_eq!(rx.recv_blocking(), None);
    assert!(source.await.is_ok());
    for relay in relays {
        assert!(relay.await.is_ok());
    }
}

// ---- semaphore: more guests than permits ----------------------------------------------------------------------------

async fn semaphore() {
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let visit = |_| {
        let semaphore = semaphore.clone();
        rt::spawn(async move {
            for _ in 0..VISITS {
                let permit = semaphore.acquire(1).await;
                assert!(permit.is_ok());
            }
        })
    };
    for guest in std::array::from_fn::<_, GUESTS, _>(visit) {
        assert!(guest.await.is_ok());
    }
    assert_eq!(semaphore.available_permits(), PERMITS);
}

async fn semaphore_blocking() {
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let visit = |_| {
        let semaphore = semaphore.clone();
        rt::spawn_blocking(move || {
            for _ in 0..VISITS {
                let permit = semaphore.acquire_blocking(1);
                assert!(permit.is_ok());
            }
        })
    };
    for guest in std::array::from_fn::<_, GUESTS, _>(visit) {
        assert!(guest.await.is_ok());
    }
    assert_eq!(semaphore.available_permits(), PERMITS);
}

// ---- alone ------------------------------------------------------------------------------------------------------------

async fn nothing() {}

async fn a_rendezvous() {
    let (tx, mut rx) = rendezvous();
    let sender = rt::spawn(async move { tx.send(7).await.is_ok() });
    assert_eq!(rx.recv().await, Some(7));
    assert!(matches!(sender.await, Ok(true)));
}

async fn a_child() {
    let ended = scope(&Ctx::root(), |s| async move {
        s.spawn("child", |_| async { Ok::<_, std::io::Error>(7) });
        Ok(())
    });
    assert!(ended.await.is_ok());
}

async fn stream() {
    let (tx, mut rx) = bounded(PLACES_CAP);
    let sender = rt::spawn(async move {
        for message in 0..STREAM {
            assert!(tx.send(message).await.is_ok());
        }
    });
    for message in 0..STREAM {
        assert_eq!(rx.recv().await, Some(message));
    }
    assert!(sender.await.is_ok());
}
