//! may: stackful coroutines on its own scheduler, and its unbounded channels. Stands in the tables for tasks.
//!
//! Its 1,000,000 spawns and 200,000 idle coroutines are left out: each takes a mapped stack, and the kernel's limit of
//! 65,530 mappings ends them in a panic.

use may::sync::mpmc;

use crate::cells::{Cell, Mode};
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, Payload, many_to_many};
use crate::workloads::{Gate, Job, Outcome, Part, Spawner, WORKERS, blocking};

struct May;

impl<T: Payload> Link<T> for May {
    type Tx = mpmc::Sender<T>;
    type Rx = mpmc::Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>> {
        (cap == Cap::Unbounded).then(|| many_to_many(mpmc::channel(), txs, rxs))?
    }
}

impl<T: Payload> BlockTx<T> for mpmc::Sender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        self.send(msg).is_ok()
    }
}

impl<T: Payload> BlockRx<T> for mpmc::Receiver<T> {
    fn recv_blocking(&mut self) -> Option<T> {
        self.recv().ok()
    }
}

/// Coroutines instead of threads.
struct Coroutines;

impl Spawner for Coroutines {
    type Handle = may::coroutine::JoinHandle<Part>;
    fn gate(_: usize) -> Gate {
        Gate::open()
    }
    fn spawn(work: impl FnOnce() -> Part + Send + 'static) -> Self::Handle {
        may::go!(work)
    }
    fn join(handle: Self::Handle) -> Part {
        handle.join().expect("a worker does not panic")
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Thr { mode: Mode::Async, .. } | Cell::Ping { mode: Mode::Async, .. } => {
            may::config().set_workers(WORKERS);
            blocking::<May, Coroutines>(job)
        }
        _ => Outcome::Unsupported,
    }
}
