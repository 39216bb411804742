//! Spawn and join: as many tasks as there are operations, each returning its number.
//!
//! The spawning runs in a task itself, so that it uses the workers' own queues as a program would.

use crate::link::{P8, Payload};
use crate::workloads::{Outcome, Part, Tally, runtime, verdict};

/// `tokio::spawn` and a `Vec` of handles.
pub(crate) fn tokio_handles(ops: usize) -> Outcome {
    let spawner = Part::of_task(async move {
        let mut handles = Vec::with_capacity(ops);
        for seq in 1..=ops as u64 {
            handles.push(tokio::spawn(async move { P8::new(seq) }));
        }
        let mut tally = Tally::default();
        for handle in handles {
            tally.add(&handle.await.expect("a task does not panic"));
        }
        tally
    });
    run(spawner, ops)
}

/// `tokio::task::JoinSet`.
pub(crate) fn tokio_joinset(ops: usize) -> Outcome {
    let spawner = Part::of_task(async move {
        let mut set = tokio::task::JoinSet::new();
        for seq in 1..=ops as u64 {
            set.spawn(async move { P8::new(seq) });
        }
        let mut tally = Tally::default();
        while let Some(msg) = set.join_next().await {
            tally.add(&msg.expect("a task does not panic"));
        }
        tally
    });
    run(spawner, ops)
}

/// `tokio_util::task::TaskTracker`, which waits for all, beside the handles that hold the values.
pub(crate) fn tokio_tracker(ops: usize) -> Outcome {
    let spawner = Part::of_task(async move {
        let tracker = tokio_util::task::TaskTracker::new();
        let mut handles = Vec::with_capacity(ops);
        for seq in 1..=ops as u64 {
            handles.push(tracker.spawn(async move { P8::new(seq) }));
        }
        tracker.close();
        tracker.wait().await;
        let mut tally = Tally::default();
        for handle in handles {
            tally.add(&handle.await.expect("a task does not panic"));
        }
        tally
    });
    run(spawner, ops)
}

/// `towpath::scope` and a `Vec` of its joins.
pub(crate) fn towpath_scope(ops: usize) -> Outcome {
    let spawner = Part::of_task(async move {
        let tally = towpath::scope(&towpath::Ctx::root(), |s| async move {
            let mut joins = Vec::with_capacity(ops);
            for seq in 1..=ops as u64 {
                joins.push(s.spawn("one of many", move |_| async move {
                    Ok::<_, towpath::Cause>(P8::new(seq))
                }));
            }
            let mut tally = Tally::default();
            for join in joins {
                tally.add(&join.await?);
            }
            Ok(tally)
        });
        tally.await.expect("nobody fails")
    });
    run(spawner, ops)
}

/// `towpath::rt::spawn`, which catches panics as values, and a `Vec` of its tasks.
pub(crate) fn towpath_tasks(ops: usize) -> Outcome {
    let spawner = Part::of_task(async move {
        let mut tasks = Vec::with_capacity(ops);
        for seq in 1..=ops as u64 {
            tasks.push(towpath::rt::spawn(async move { P8::new(seq) }));
        }
        let mut tally = Tally::default();
        for task in tasks {
            tally.add(&task.await.expect("a task does not panic"));
        }
        tally
    });
    run(spawner, ops)
}

fn run(spawner: impl Future<Output = Part> + Send + 'static, ops: usize) -> Outcome {
    let runtime = runtime();
    let part = runtime.block_on(runtime.spawn(spawner)).expect("the spawner does not panic");
    verdict(&[part], ops)
}
