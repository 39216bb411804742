//! The work itself, the same for every library, and how it is timed and checked.
//!
//! What always holds:
//! - Time runs from the first worker's start to the last worker's end, read by the workers themselves: on two
//!   cores the main thread may be asleep at either moment.
//! - Every received message is counted and summed; a sample whose count or sum is off is an error, not a figure.

pub(crate) mod arms;
pub(crate) mod batch;
pub(crate) mod context;
pub(crate) mod idle;
pub(crate) mod lock;
pub(crate) mod ping;
pub(crate) mod select;
pub(crate) mod spawn;
pub(crate) mod stream;
pub(crate) mod waitfor;

use std::sync::{Arc, Barrier};
use std::time::Instant;

use crate::cells::{Cell, Mode};
use crate::link::{
    BlockLink, Link, P8, P256, Payload, TaskLink, TaskRx, TaskToThread, TaskTx, ThreadToTask,
};

/// One sample to take.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    /// What to measure.
    pub(crate) cell: Cell,
    /// How many operations.
    pub(crate) ops: usize,
}

/// How a sample went.
pub(crate) enum Outcome {
    /// In the cell's unit.
    Measured(f64),
    /// The library offers no such thing.
    Unsupported,
    /// The library lost, doubled or mangled messages.
    Wrong(String),
}

/// Workers of a tokio runtime and of Go, as many as the machine of `speed.md` has cores.
pub(crate) const WORKERS: usize = 2;

/// The runtime every async cell runs on.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .build()
        .expect("a runtime starts")
}

/// What one worker saw.
pub(crate) struct Part {
    start: Instant,
    end: Instant,
    tally: Tally,
}

impl Part {
    /// Runs `work` and notes when.
    pub(crate) fn of(work: impl FnOnce() -> Tally) -> Part {
        let start = Instant::now();
        let tally = work();
        Part { start, end: Instant::now(), tally }
    }

    /// The same in a task.
    pub(crate) async fn of_task(work: impl Future<Output = Tally>) -> Part {
        let start = Instant::now();
        let tally = work.await;
        Part { start, end: Instant::now(), tally }
    }
}

/// Messages received.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    count: u64,
    sum: u64,
}

impl Tally {
    /// Notes one message.
    #[inline]
    pub(crate) fn add<T: Payload>(&mut self, msg: &T) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(msg.seq());
    }
}

/// Time per operation, provided that exactly the messages `1..=ops` arrived.
pub(crate) fn verdict(parts: &[Part], ops: usize) -> Outcome {
    let mut got = Tally::default();
    for part in parts {
        got.count += part.tally.count;
        got.sum = got.sum.wrapping_add(part.tally.sum);
    }
    let n = ops as u64;
    let want = Tally { count: n, sum: n * (n + 1) / 2 };
    if got != want {
        return Outcome::Wrong(format!("received {got:?}, sent {want:?}"));
    }
    per_op(parts, ops)
}

/// Time per operation; for work that checks itself.
pub(crate) fn per_op(parts: &[Part], ops: usize) -> Outcome {
    let start = parts.iter().map(|part| part.start).min().expect("somebody worked");
    let end = parts.iter().map(|part| part.end).max().expect("somebody worked");
    Outcome::Measured((end - start).as_nanos() as f64 / ops as f64)
}

/// Lets all threads of a sample begin together.
#[derive(Clone)]
pub(crate) struct Gate(Option<Arc<Barrier>>);

impl Gate {
    /// A gate that opens when `n` threads stand before it.
    pub(crate) fn new(n: usize) -> Gate {
        Gate(Some(Arc::new(Barrier::new(n))))
    }

    /// A gate that is always open, for coroutines: they must not block their worker.
    pub(crate) fn open() -> Gate {
        Gate(None)
    }

    /// Waits for the others.
    pub(crate) fn pass(&self) {
        if let Some(barrier) = &self.0 {
            barrier.wait();
        }
    }
}

/// Starts blocking work: on threads, or on may's coroutines.
pub(crate) trait Spawner {
    /// What joins it.
    type Handle: Send;
    /// A gate for `n` of them.
    fn gate(n: usize) -> Gate;
    /// Starts `work`.
    fn spawn(work: impl FnOnce() -> Part + Send + 'static) -> Self::Handle;
    /// Waits for it.
    fn join(handle: Self::Handle) -> Part;
}

/// Plain OS threads.
pub(crate) struct Threads;

impl Spawner for Threads {
    type Handle = std::thread::JoinHandle<Part>;
    fn gate(n: usize) -> Gate {
        Gate::new(n)
    }
    fn spawn(work: impl FnOnce() -> Part + Send + 'static) -> Self::Handle {
        std::thread::spawn(work)
    }
    fn join(handle: Self::Handle) -> Part {
        handle.join().expect("a worker does not panic")
    }
}

/// Streams and ping-pong of a library for threads.
pub(crate) fn block<L: BlockLink>(job: Job) -> Outcome {
    blocking::<L, Threads>(job)
}

/// The same with a choice of who runs the workers.
pub(crate) fn blocking<L: BlockLink, S: Spawner>(Job { cell, ops }: Job) -> Outcome {
    match cell {
        Cell::Thr { shape, cap, bytes: 8, .. } => stream::block::<P8, L, S>(shape, cap, ops),
        Cell::Thr { shape, cap, .. } => stream::block::<P256, L, S>(shape, cap, ops),
        Cell::Ping { cap, .. } => ping::block::<L, S>(cap, ops),
        _ => Outcome::Unsupported,
    }
}

/// `tokio::select!` over a library's own futures.
///
/// Apart from `task` because its 64 arms take the compiler seconds for each link.
pub(crate) fn tokio_select<L: Link<P8, Tx: TaskTx<P8>, Rx: TaskRx<P8>>>(job: Job) -> Outcome {
    match job.cell {
        Cell::Sel { mode: Mode::Async, arms, width, cap } => {
            select::tokio_select::<L>(arms, width, cap, job.ops)
        }
        _ => Outcome::Unsupported,
    }
}

/// Streams, ping-pong and idle tasks of a library for tasks.
pub(crate) fn task<L: TaskLink>(Job { cell, ops }: Job) -> Outcome {
    match cell {
        Cell::Thr { mode: Mode::Async, shape, cap, bytes: 8 } => {
            stream::task::<P8, L>(shape, cap, ops)
        }
        Cell::Thr { mode: Mode::Async, shape, cap, .. } => stream::task::<P256, L>(shape, cap, ops),
        Cell::Ping { mode: Mode::Async, cap } => ping::task::<L>(cap, ops),
        Cell::Idle { wait, .. } => idle::task::<L>(wait, ops),
        _ => Outcome::Unsupported,
    }
}

/// Streams, ping-pong and idle tasks of a library whose ends serve threads and tasks alike.
pub(crate) fn both<L: BlockLink + TaskLink + ThreadToTask + TaskToThread>(job: Job) -> Outcome {
    match job.cell {
        Cell::Thr { mode: Mode::Block, .. } | Cell::Ping { mode: Mode::Block, .. } => {
            block::<L>(job)
        }
        Cell::Thr { mode: Mode::B2a, shape, cap, .. } => stream::b2a::<L>(shape, cap, job.ops),
        Cell::Thr { mode: Mode::A2b, shape, cap, .. } => stream::a2b::<L>(shape, cap, job.ops),
        Cell::Ping { mode: Mode::Mix, cap } => ping::mix::<L, L>(cap, job.ops),
        _ => task::<L>(job),
    }
}
