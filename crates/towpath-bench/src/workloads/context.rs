//! Contexts: what a look costs, and what it costs to end many at once.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::cells::{Cell, Place, Waiters};
use crate::link::{P8, Payload};
use crate::workloads::{Job, Outcome, Part, Tally, per_op, runtime, verdict};

/// A library's word for a tree of things that end.
pub(crate) trait Tree: Clone + Send + Sync + 'static {
    /// One that can be ended, and what ends it.
    fn root() -> (Self, impl FnOnce() + Send + 'static);
    /// One that ends with this one.
    fn child(&self) -> Self;
    /// One that ends by itself after `timeout`; `None` where there is no such thing.
    fn with_timeout(&self, timeout: Duration) -> Option<Self>;
    /// Whether it has ended.
    fn has_ended(&self) -> bool;
    /// Waits until it has ended.
    fn ended(&self) -> impl Future<Output = ()> + Send;
}

/// Longer than any sample.
const AN_HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn sample<T: Tree>(job: Job) -> Outcome {
    match job.cell {
        Cell::Check { place } => check::<T>(place, job.ops),
        Cell::Cancel { waiters: Waiters::None, .. } => cancel_idle::<T>(job.ops),
        Cell::Cancel { waiters: Waiters::Tasks, .. } => cancel_tasks::<T>(job.ops),
        _ => Outcome::Unsupported,
    }
}

/// Looks again and again, in a task, as a loop that computes would.
fn check<T: Tree>(place: Place, ops: usize) -> Outcome {
    let (root, _end) = T::root();
    let tree = match place {
        Place::Root => root,
        Place::Child => root.child(),
        Place::Deadline => match root.with_timeout(AN_HOUR) {
            Some(tree) => tree,
            None => return Outcome::Unsupported,
        },
    };
    let runtime = runtime();
    let work = runtime.spawn(Part::of_task(async move {
        for _ in 0..ops {
            assert!(!black_box(&tree).has_ended(), "nobody has ended it");
        }
        Tally::default()
    }));
    let part = runtime.block_on(work).expect("the worker does not panic");
    per_op(&[part], ops)
}

/// Ends a parent of `ops` children for which nobody waits.
fn cancel_idle<T: Tree>(ops: usize) -> Outcome {
    let (root, end) = T::root();
    let children: Vec<T> = (0..ops).map(|_| root.child()).collect();
    let part = Part::of(|| {
        end();
        Tally::default()
    });
    if !children.iter().all(T::has_ended) {
        return Outcome::Wrong("a child has not ended with its parent".to_owned());
    }
    per_op(&[part], ops)
}

/// Ends a parent of `ops` children for each of which a task waits, until the last task has ended.
fn cancel_tasks<T: Tree>(ops: usize) -> Outcome {
    let runtime = runtime();
    let (root, end) = T::root();
    let parked = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::with_capacity(ops);
    for seq in 1..=ops as u64 {
        let (child, parked) = (root.child(), Arc::clone(&parked));
        tasks.push(runtime.spawn(async move {
            parked.fetch_add(1, Ordering::Relaxed);
            child.ended().await;
            P8::new(seq)
        }));
    }
    while parked.load(Ordering::Relaxed) < ops {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20)); // the last of them is still on its way to wait
    let work = runtime.spawn(Part::of_task(async move {
        end();
        let mut tally = Tally::default();
        for task in tasks {
            tally.add(&task.await.expect("a task does not panic"));
        }
        tally
    }));
    let part = runtime.block_on(work).expect("the canceller does not panic");
    verdict(&[part], ops)
}
