//! Locks: parties that take turns at one lock, and two that tell each other to go on.
//!
//! Each step under a lock adds one to a number that is checked at the end. `mutex` is locked and released at once;
//! `held` stays locked while the task lets others run, so that nearly every lock is a hand-over to one who waits.

use std::future::Future;
use std::sync::Arc;

use crate::cells::{Cell, Lock, Mode};
use crate::workloads::{Gate, Job, Outcome, Part, Spawner, Tally, Threads, per_op, runtime};

/// A lock for tasks, with a number behind it.
pub(crate) trait TaskLock: Send + Sync + 'static {
    /// Unlocked, at zero, for so many parties.
    fn make(parties: usize) -> Self;
    /// Locks, adds one, unlocks.
    fn step(&self) -> impl Future<Output = ()> + Send;
    /// The number.
    fn count(&self) -> u64;
}

/// The same for threads.
pub(crate) trait BlockLock: Send + Sync + 'static {
    /// Unlocked, at zero, for so many parties.
    fn make(parties: usize) -> Self;
    /// Locks, adds one, unlocks.
    fn step(&self);
    /// The number.
    fn count(&self) -> u64;
}

/// A notice between two tasks.
pub(crate) trait TaskNotice: Send + Sync + 'static {
    /// None was given.
    fn make() -> Self;
    /// Waits for it.
    fn wait(&self) -> impl Future<Output = ()> + Send;
    /// Gives it.
    fn tell(&self);
}

/// Lets other tasks run.
pub(crate) async fn give_way() {
    tokio::task::yield_now().await;
}

fn checked(parts: &[Part], count: u64, ops: usize) -> Outcome {
    if count != ops as u64 {
        return Outcome::Wrong(format!("counted {count} steps of {ops}"));
    }
    per_op(parts, ops)
}

/// `ops` steps, shared among tasks.
pub(crate) fn tasks<L: TaskLock>(parties: usize, ops: usize) -> Outcome {
    let lock = Arc::new(L::make(parties));
    let parts = runtime().block_on(async {
        let mut handles = Vec::new();
        for _ in 0..parties {
            let lock = lock.clone();
            handles.push(tokio::spawn(Part::of_task(async move {
                for _ in 0..ops / parties {
                    lock.step().await;
                }
                Tally::default()
            })));
        }
        let mut parts = Vec::new();
        for handle in handles {
            parts.push(handle.await.expect("a worker does not panic"));
        }
        parts
    });
    checked(&parts, lock.count(), ops)
}

/// `ops` steps, shared among threads.
fn threads<L: BlockLock>(parties: usize, ops: usize) -> Outcome {
    let lock = Arc::new(L::make(parties));
    let gate = Gate::new(parties);
    let handles: Vec<_> = (0..parties)
        .map(|_| {
            let (lock, gate) = (lock.clone(), gate.clone());
            Threads::spawn(move || {
                gate.pass();
                Part::of(|| {
                    (0..ops / parties).for_each(|_| lock.step());
                    Tally::default()
                })
            })
        })
        .collect();
    let parts: Vec<_> = handles.into_iter().map(Threads::join).collect();
    checked(&parts, lock.count(), ops)
}

/// `ops` round trips between two tasks.
pub(crate) fn notices<N: TaskNotice>(ops: usize) -> Outcome {
    let (there, back) = (Arc::new(N::make()), Arc::new(N::make()));
    let (there2, back2) = (there.clone(), back.clone());
    runtime().block_on(async {
        let answering = tokio::spawn(Part::of_task(async move {
            for _ in 0..ops {
                there2.wait().await;
                back2.tell();
            }
            Tally::default()
        }));
        let asking = tokio::spawn(Part::of_task(async move {
            for _ in 0..ops {
                there.tell();
                back.wait().await;
            }
            Tally::default()
        }));
        let asked = asking.await.expect("a worker does not panic");
        per_op(&[asked, answering.await.expect("a worker does not panic")], ops)
    })
}

/// What a library has for tasks.
pub(crate) fn sample<Mutex, Held, Readers, Permits, Notice>(Job { cell, ops }: Job) -> Outcome
where
    Mutex: TaskLock,
    Held: TaskLock,
    Readers: TaskLock,
    Permits: TaskLock,
    Notice: TaskNotice,
{
    let Cell::Lock { mode: Mode::Async, lock, parties } = cell else { return Outcome::Unsupported };
    match lock {
        Lock::Mutex => tasks::<Mutex>(parties, ops),
        Lock::Held => tasks::<Held>(parties, ops),
        Lock::Read => tasks::<Readers>(parties, ops),
        Lock::Permits => tasks::<Permits>(parties, ops),
        Lock::Notice => notices::<Notice>(ops),
    }
}

/// What a library has for threads.
pub(crate) fn sample_threads<Mutex: BlockLock, Readers: BlockLock>(job: Job) -> Outcome {
    match job.cell {
        Cell::Lock { mode: Mode::Block, lock: Lock::Mutex, parties } => {
            threads::<Mutex>(parties, job.ops)
        }
        Cell::Lock { mode: Mode::Block, lock: Lock::Read, parties } => {
            threads::<Readers>(parties, job.ops)
        }
        _ => Outcome::Unsupported,
    }
}
