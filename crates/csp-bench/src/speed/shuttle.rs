//! The same shapes for Shuttle, on its threads and on its futures.
//!
//! Shuttle's only primitive for futures is its semaphore: a lock is one with a single permit, a channel two of them
//! around a queue, one for places and one for messages.

use std::{
    cell::Cell,
    collections::VecDeque,
    rc::Rc,
    sync::{Mutex as Plain, PoisonError},
};

use shuttle::{
    Config, Runner,
    future::{
        self,
        batch_semaphore::{BatchSemaphore, Fairness},
    },
    scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use super::{
    By, Count, Watch,
    shapes::{GUESTS, MEALS, MESSAGES, PERMITS, PHILOSOPHERS, PLACES_CAP, RELAYS, VISITS},
};

/// The seed of both schedulers.
const SEED: u64 = 0;

/// As ours, which takes depths of two to four in turn.
const DEPTH: usize = 3;

/// A scheduler, and how often it was asked.
struct Counted<S> {
    scheduler: S,
    steps: Rc<Cell<u64>>,
}

impl<S: Scheduler> Scheduler for Counted<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.scheduler.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        self.steps.set(self.steps.get() + 1);
        self.scheduler.next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}

pub(super) fn run(program: fn(), by: By, schedules: u64) -> Count {
    let count = schedules as usize;
    match by {
        By::Random => run_by(RandomScheduler::new_from_seed(SEED, count), program),
        By::Pct => run_by(PctScheduler::new_from_seed(SEED, DEPTH, count), program),
    }
}

fn run_by(scheduler: impl Scheduler + 'static, program: fn()) -> Count {
    let steps = Rc::new(Cell::new(0));
    let mut config = Config::new();
    // It would write to the terminal while we measure.
    config.silence_warnings = true;
    let runner = Runner::new(Counted { scheduler, steps: steps.clone() }, config);
    let watch = Watch::start();
    let schedules = runner.run(program);
    Count { schedules: schedules as u64, steps: steps.get(), time: watch.elapsed() }
}

// ---- on threads -----------------------------------------------------------------------------------------------------

fn forks_of(philosopher: usize) -> (usize, usize) {
    let (left, right) = (philosopher, (philosopher + 1) % PHILOSOPHERS);
    (left.min(right), left.max(right))
}

pub(super) fn philosophers() {
    let forks: [_; PHILOSOPHERS] = std::array::from_fn(|_| Arc::new(Mutex::new(0_u32)));
    let dine = |philosopher| {
        let (first, second) = forks_of(philosopher);
        let (first, second) = (forks[first].clone(), forks[second].clone());
        thread::spawn(move || {
            for _ in 0..MEALS {
                let _first = first.lock().unwrap_or_else(PoisonError::into_inner);
                *second.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            }
        })
    };
    for dinner in std::array::from_fn::<_, PHILOSOPHERS, _>(dine) {
        assert!(dinner.join().is_ok());
    }
    let used: u32 = forks.iter().map(|fork| fork.try_lock().map_or(0, |count| *count)).sum();
    assert_eq!(used, PHILOSOPHERS as u32 * MEALS);
}

pub(super) fn pipeline() {
    let (tx, mut rx) = mpsc::sync_channel(PLACES_CAP);
    let source = thread::spawn(move || {
        for message in 0..MESSAGES {
            assert!(tx.send(message).is_ok());
        }
    });
    let relays = std::array::from_fn::<_, RELAYS, _>(|_| {
        let (tx, next) = mpsc::sync_channel(PLACES_CAP);
        let rx = std::mem::replace(&mut rx, next);
        thread::spawn(move || {
            while let Ok(message) = rx.recv() {
                assert!(tx.send(message).is_ok());
            }
        })
    });
    for message in 0..MESSAGES {
        assert_eq!(rx.recv().ok(), Some(message));
    }
    assert_eq!(rx.recv().ok(), None);
    assert!(source.join().is_ok());
    for relay in relays {
        assert!(relay.join().is_ok());
    }
}

pub(super) fn semaphore() {
    let semaphore = Arc::new(BatchSemaphore::new(PERMITS, Fairness::StrictlyFair));
    let visit = |_| {
        let semaphore = semaphore.clone();
        thread::spawn(move || {
            for _ in 0..VISITS {
                assert!(semaphore.acquire_blocking(1).is_ok());
                semaphore.release(1);
            }
        })
    };
    for guest in std::array::from_fn::<_, GUESTS, _>(visit) {
        assert!(guest.join().is_ok());
    }
    assert_eq!(semaphore.available_permits(), PERMITS);
}

// ---- on futures -----------------------------------------------------------------------------------------------------

pub(super) fn philosophers_async() {
    future::block_on(async {
        let fork = |_| Arc::new((BatchSemaphore::new(1, Fairness::StrictlyFair), Plain::new(0)));
        let forks: [_; PHILOSOPHERS] = std::array::from_fn(fork);
        let dine = |philosopher| {
            let (first, second) = forks_of(philosopher);
            let (first, second) = (forks[first].clone(), forks[second].clone());
            future::spawn(async move {
                for _ in 0..MEALS {
                    assert!(first.0.acquire(1).await.is_ok());
                    assert!(second.0.acquire(1).await.is_ok());
                    *second.1.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                    second.0.release(1);
                    first.0.release(1);
                }
            })
        };
        for dinner in std::array::from_fn::<_, PHILOSOPHERS, _>(dine) {
            assert!(dinner.await.is_ok());
        }
        let used: u32 = forks.iter().map(|fork| fork.1.lock().map_or(0, |count| *count)).sum();
        assert_eq!(used, PHILOSOPHERS as u32 * MEALS);
    });
}

/// A bounded channel, as one would make it of semaphores. Closed by its sender's drop.
struct Channel {
    places: BatchSemaphore,
    messages: BatchSemaphore,
    queue: Plain<VecDeque<u32>>,
}

struct Tx(Arc<Channel>);

struct Rx(Arc<Channel>);

fn channel(places: usize) -> (Tx, Rx) {
    let channel = Arc::new(Channel {
        places: BatchSemaphore::new(places, Fairness::StrictlyFair),
        messages: BatchSemaphore::new(0, Fairness::StrictlyFair),
        queue: Plain::default(),
    });
    (Tx(channel.clone()), Rx(channel))
}

impl Channel {
    fn with<R>(&self, f: impl FnOnce(&mut VecDeque<u32>) -> R) -> R {
        f(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tx {
    async fn send(&self, message: u32) -> bool {
        if self.0.places.acquire(1).await.is_err() {
            return false;
        }
        self.0.with(|queue| queue.push_back(message));
        self.0.messages.release(1);
        true
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        // One more permit than messages stands for the end.
        self.0.messages.release(1);
    }
}

impl Rx {
    async fn recv(&mut self) -> Option<u32> {
        self.0.messages.acquire(1).await.ok()?;
        let message = self.0.with(VecDeque::pop_front)?;
        self.0.places.release(1);
        Some(message)
    }
}

pub(super) fn pipeline_async() {
    future::block_on(async {
        let (tx, mut rx) = channel(PLACES_CAP);
        let source = future::spawn(async move {
            for message in 0..MESSAGES {
                assert!(tx.send(message).await);
            }
        });
        let relays = std::array::from_fn::<_, RELAYS, _>(|_| {
            let (tx, next) = channel(PLACES_CAP);
            let mut rx = std::mem::replace(&mut rx, next);
            future::spawn(async move {
                while let Some(message) = rx.recv().await {
                    assert!(tx.send(message).await);
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
    });
}

pub(super) fn semaphore_async() {
    future::block_on(async {
        let semaphore = Arc::new(BatchSemaphore::new(PERMITS, Fairness::StrictlyFair));
        let visit = |_| {
            let semaphore = semaphore.clone();
            future::spawn(async move {
                for _ in 0..VISITS {
                    assert!(semaphore.acquire(1).await.is_ok());
                    semaphore.release(1);
                }
            })
        };
        for guest in std::array::from_fn::<_, GUESTS, _>(visit) {
            assert!(guest.await.is_ok());
        }
        assert_eq!(semaphore.available_permits(), PERMITS);
    });
}
