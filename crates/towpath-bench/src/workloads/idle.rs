//! Resident bytes per parked task, read from `/proc/self/statm` of this process, which exists for this sample only.
//!
//! Why resident memory and not an allocator's count: Go and the runtimes take memory from the system in their
//! own ways, and what a node runs out of is memory, not bytes asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::cells::Wait;
use crate::link::{Cap, Link, P8, TaskLink, TaskRx};
use crate::machine::resident_bytes;
use crate::workloads::{Outcome, runtime};

/// Capacity of an idle channel: the smallest that every peer offers.
const IDLE_CAP: Cap = Cap::Bounded(1);

/// Parks `tasks` tasks on channels.
pub(crate) fn task<L: TaskLink>(wait: Wait, tasks: usize) -> Outcome {
    match wait {
        Wait::Pending => Outcome::Unsupported,
        Wait::Own => own::<L>(tasks),
        Wait::Shared => shared::<L>(tasks),
    }
}

fn own<L: TaskLink>(tasks: usize) -> Outcome {
    if <L as Link<P8>>::make(IDLE_CAP, 1, 1).is_none() {
        return Outcome::Unsupported;
    }
    let mut kept = Vec::with_capacity(tasks);
    measure(tasks, |parked| {
        for _ in 0..tasks {
            let (txs, rxs) = <L as Link<P8>>::make(IDLE_CAP, 1, 1).expect("made one just now");
            // Only the sender itself: the `Vec` it came in is not the channel's.
            kept.extend(txs);
            for rx in rxs {
                tokio::spawn(park(rx, Arc::clone(parked)));
            }
        }
    })
}

fn shared<L: TaskLink>(tasks: usize) -> Outcome {
    let Some((txs, rxs)) = <L as Link<P8>>::make(IDLE_CAP, 1, tasks) else {
        return Outcome::Unsupported;
    };
    // The receivers' own handles are made before the first reading; they are a few bytes each.
    let mut rxs = Some(rxs);
    let outcome = measure(tasks, |parked| {
        for rx in rxs.take().into_iter().flatten() {
            tokio::spawn(park(rx, Arc::clone(parked)));
        }
    });
    drop(txs);
    outcome
}

/// Parks `tasks` tasks on nothing: what a task itself costs.
pub(crate) fn tokio_pending(tasks: usize) -> Outcome {
    measure(tasks, |parked| {
        for _ in 0..tasks {
            let parked = Arc::clone(parked);
            tokio::spawn(async move {
                parked.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            });
        }
    })
}

/// Parks `tasks` processes of a scope on nothing.
pub(crate) fn towpath_scope(tasks: usize) -> Outcome {
    let (hand_out, handle) = std::sync::mpsc::channel();
    let runtime = runtime();
    let held = runtime.spawn(towpath::scope(&towpath::Ctx::root(), |s| async move {
        hand_out.send(s).expect("the measuring side waits for it");
        std::future::pending().await
    }));
    let s: towpath::Scope = handle.recv().expect("the scope hands itself out");
    let _held: tokio::task::JoinHandle<Result<(), towpath::Error>> = held;
    measure(tasks, |parked| {
        for _ in 0..tasks {
            let parked = Arc::clone(parked);
            s.spawn("parked", |_| async move {
                parked.fetch_add(1, Ordering::Relaxed);
                std::future::pending::<()>().await;
            });
        }
    })
}

async fn park(mut rx: impl TaskRx<P8>, parked: Arc<AtomicUsize>) {
    parked.fetch_add(1, Ordering::Relaxed);
    rx.recv_task().await;
}

/// Reads the resident size before and after `spawn_all` has parked `tasks` tasks.
fn measure(tasks: usize, spawn_all: impl FnOnce(&Arc<AtomicUsize>)) -> Outcome {
    let runtime = runtime();
    runtime.block_on(async {
        // The first task pays for what the runtime sets up lazily.
        tokio::spawn(async {}).await.expect("an empty task does not panic");
        let parked = Arc::new(AtomicUsize::new(0));
        let before = resident_bytes();
        spawn_all(&parked);
        while parked.load(Ordering::Relaxed) < tasks {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(20)); // the last of them is still on its way to `recv`
        let bytes = resident_bytes().saturating_sub(before);
        Outcome::Measured(bytes as f64 / tasks as f64)
    })
}
