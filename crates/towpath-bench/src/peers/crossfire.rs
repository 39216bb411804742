//! crossfire: a channel type per topology, per capacity kind and per side's mode; all offered ones are here.
//!
//! `crossfire` takes the flavour made for the topology, `crossfire-mpmc` always the mpmc one. Select on threads goes
//! through `Multiplex`, which its documentation ranks faster than `Select`; it has receive arms only.

use crossfire::select::{Multiplex, Mux};
use crossfire::{
    AsyncRx, AsyncRxTrait, AsyncTx, AsyncTxTrait, BlockingRxTrait, BlockingTxTrait, MAsyncRx,
    MAsyncTx, MRx, MTx, Rx, Tx, mpmc, mpsc, spsc,
};

use crate::cells::{Arms, Cell, Mode, Shape};
use crate::link::{
    BlockRx, BlockTx, Cap, Ends, Link, P8, Payload, TaskRx, TaskTx, many_to_many, many_to_one,
};
use crate::workloads::select::block_recv;
use crate::workloads::{Job, Outcome, block, ping, stream, task, tokio_select};

/// An end used on a thread.
#[derive(Clone)]
struct OnThread<E>(E);

/// An end used in a task.
#[derive(Clone)]
struct InTask<E>(E);

/// The sender of an unbounded channel in a task: it never waits, so crossfire has only the one for threads.
#[derive(Clone)]
struct NeverWaits<E>(E);

impl<T: Payload, E: BlockingTxTrait<T> + Send + 'static> BlockTx<T> for OnThread<E> {
    fn send_blocking(&mut self, msg: T) -> bool {
        self.0.send(msg).is_ok()
    }
}

impl<T: Payload, E: BlockingRxTrait<T> + Send + 'static> BlockRx<T> for OnThread<E> {
    fn recv_blocking(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T: Payload, E: AsyncTxTrait<T> + Send + 'static> TaskTx<T> for InTask<E> {
    fn send_task(&mut self, msg: T) -> impl Future<Output = bool> + Send {
        let sending = self.0.send(msg);
        async move { sending.await.is_ok() }
    }
}

impl<T: Payload, E: AsyncRxTrait<T> + Send + 'static> TaskRx<T> for InTask<E> {
    fn recv_task(&mut self) -> impl Future<Output = Option<T>> + Send {
        let receiving = self.0.recv();
        async move { receiving.await.ok() }
    }
}

impl<T: Payload, E: BlockingTxTrait<T> + Send + 'static> TaskTx<T> for NeverWaits<E> {
    async fn send_task(&mut self, msg: T) -> bool {
        self.0.send(msg).is_ok()
    }
}

fn one_to_one<X, R>((tx, rx): (X, R), txs: usize, rxs: usize) -> Option<Ends<X, R>> {
    (txs == 1 && rxs == 1).then(|| (vec![tx], vec![rx]))
}

/// Links: each its name, flavour, ends, how they multiply and what makes them.
macro_rules! links {
    ($($name:ident: $module:ident::$flavour:ident, $tx:ident($tx_of:ident), $rx:ident($rx_of:ident),
       $multiply:ident, $make:path, $kind:ident;)*) => {
        $(struct $name;

        impl<T: Payload> Link<T> for $name {
            type Tx = $tx<$tx_of<$module::$flavour<T>>>;
            type Rx = $rx<$rx_of<$module::$flavour<T>>>;
            fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>> {
                let (tx, rx) = links!(@$kind cap, $make);
                $multiply(($tx(tx), $rx(rx)), txs, rxs)
            }
        })*
    };
    (@bounded $cap:ident, $make:path) => {{
        let Cap::Bounded(n @ 1..) = $cap else { return None };
        $make(n)
    }};
    (@unbounded $cap:ident, $make:path) => {{
        if $cap != Cap::Unbounded {
            return None;
        }
        $make()
    }};
}

links! {
    SpscBlock: spsc::Array, OnThread(Tx), OnThread(Rx), one_to_one, spsc::bounded_blocking, bounded;
    SpscBlockUnb: spsc::List, OnThread(Tx), OnThread(Rx), one_to_one, spsc::unbounded_blocking, unbounded;
    SpscTask: spsc::Array, InTask(AsyncTx), InTask(AsyncRx), one_to_one, spsc::bounded_async, bounded;
    SpscTaskUnb: spsc::List, NeverWaits(Tx), InTask(AsyncRx), one_to_one, spsc::unbounded_async, unbounded;
    SpscB2a: spsc::Array, OnThread(Tx), InTask(AsyncRx), one_to_one, spsc::bounded_blocking_async, bounded;
    SpscB2aUnb: spsc::List, OnThread(Tx), InTask(AsyncRx), one_to_one, spsc::unbounded_async, unbounded;
    SpscA2b: spsc::Array, InTask(AsyncTx), OnThread(Rx), one_to_one, spsc::bounded_async_blocking, bounded;
    SpscA2bUnb: spsc::List, NeverWaits(Tx), OnThread(Rx), one_to_one, spsc::unbounded_blocking, unbounded;
    MpscBlock: mpsc::Array, OnThread(MTx), OnThread(Rx), many_to_one, mpsc::bounded_blocking, bounded;
    MpscBlockUnb: mpsc::List, OnThread(MTx), OnThread(Rx), many_to_one, mpsc::unbounded_blocking, unbounded;
    MpscTask: mpsc::Array, InTask(MAsyncTx), InTask(AsyncRx), many_to_one, mpsc::bounded_async, bounded;
    MpscTaskUnb: mpsc::List, NeverWaits(MTx), InTask(AsyncRx), many_to_one, mpsc::unbounded_async, unbounded;
    MpmcBlock: mpmc::Array, OnThread(MTx), OnThread(MRx), many_to_many, mpmc::bounded_blocking, bounded;
    MpmcBlockUnb: mpmc::List, OnThread(MTx), OnThread(MRx), many_to_many, mpmc::unbounded_blocking, unbounded;
    MpmcTask: mpmc::Array, InTask(MAsyncTx), InTask(MAsyncRx), many_to_many, mpmc::bounded_async, bounded;
    MpmcTaskUnb: mpmc::List, NeverWaits(MTx), InTask(MAsyncRx), many_to_many, mpmc::unbounded_async, unbounded;
    MpmcB2a: mpmc::Array, OnThread(MTx), InTask(MAsyncRx), many_to_many, mpmc::bounded_blocking_async, bounded;
    MpmcB2aUnb: mpmc::List, OnThread(MTx), InTask(MAsyncRx), many_to_many, mpmc::unbounded_async, unbounded;
    MpmcA2b: mpmc::Array, InTask(MAsyncTx), OnThread(MRx), many_to_many, mpmc::bounded_async_blocking, bounded;
    MpmcA2bUnb: mpmc::List, NeverWaits(MTx), OnThread(MRx), many_to_many, mpmc::unbounded_blocking, unbounded;
}

/// Picks the bounded or the unbounded link.
macro_rules! by_cap {
    ($cap:expr, $run:ident, $bounded:ident, $unbounded:ident, $($args:tt)*) => {
        match $cap {
            Cap::Bounded(_) => $run!($bounded, $($args)*),
            Cap::Unbounded => $run!($unbounded, $($args)*),
        }
    };
}

macro_rules! block_run {
    ($link:ident, $job:expr) => {
        block::<$link>($job)
    };
}

macro_rules! task_run {
    ($link:ident, $job:expr) => {
        task::<$link>($job)
    };
}

macro_rules! b2a_run {
    ($link:ident, $shape:expr, $cap:expr, $ops:expr) => {
        stream::b2a::<$link>($shape, $cap, $ops)
    };
}

macro_rules! a2b_run {
    ($link:ident, $shape:expr, $cap:expr, $ops:expr) => {
        stream::a2b::<$link>($shape, $cap, $ops)
    };
}

pub(crate) fn by_topology(job: Job) -> Outcome {
    let ops = job.ops;
    match job.cell {
        Cell::Thr { mode: Mode::Block, shape, cap, .. } => match shape {
            Shape::Spsc => by_cap!(cap, block_run, SpscBlock, SpscBlockUnb, job),
            Shape::Mpsc => by_cap!(cap, block_run, MpscBlock, MpscBlockUnb, job),
            Shape::Mpmc => by_cap!(cap, block_run, MpmcBlock, MpmcBlockUnb, job),
        },
        Cell::Thr { mode: Mode::Async, shape, cap, .. } => match shape {
            Shape::Spsc => by_cap!(cap, task_run, SpscTask, SpscTaskUnb, job),
            Shape::Mpsc => by_cap!(cap, task_run, MpscTask, MpscTaskUnb, job),
            Shape::Mpmc => by_cap!(cap, task_run, MpmcTask, MpmcTaskUnb, job),
        },
        Cell::Thr { mode: Mode::B2a, shape, cap, .. } => {
            by_cap!(cap, b2a_run, SpscB2a, SpscB2aUnb, shape, cap, ops)
        }
        Cell::Thr { mode: Mode::A2b, shape, cap, .. } => {
            by_cap!(cap, a2b_run, SpscA2b, SpscA2bUnb, shape, cap, ops)
        }
        Cell::Ping { mode: Mode::Block, cap } => {
            by_cap!(cap, block_run, SpscBlock, SpscBlockUnb, job)
        }
        Cell::Ping { mode: Mode::Async, cap } => by_cap!(cap, task_run, SpscTask, SpscTaskUnb, job),
        Cell::Ping { mode: Mode::Mix, cap: cap @ Cap::Bounded(_) } => {
            ping::mix::<SpscB2a, SpscA2b>(cap, ops)
        }
        Cell::Ping { mode: Mode::Mix, cap } => ping::mix::<SpscB2aUnb, SpscA2bUnb>(cap, ops),
        Cell::Sel { mode: Mode::Block, arms: Arms::Recv, width, cap: Cap::Bounded(n @ 1..) } => {
            let mut all = Multiplex::<mpsc::Array<P8>>::new();
            let txs: Vec<_> = (0..width)
                .map(|_| OnThread(all.bounded_tx::<MTx<Mux<mpsc::Array<P8>>>>(n)))
                .collect();
            block_recv(
                width,
                ops,
                Some((txs, all)),
                |all, ledger| {
                    while ledger.got_any(all.recv().ok()) {}
                },
            )
        }
        Cell::Sel { .. } => tokio_select::<SpscTask>(job),
        Cell::Idle { wait: crate::cells::Wait::Shared, .. } => task::<MpmcTask>(job),
        _ => task::<SpscTask>(job),
    }
}

pub(crate) fn always_mpmc(job: Job) -> Outcome {
    let ops = job.ops;
    match job.cell {
        Cell::Thr { mode: Mode::Block, cap, .. } | Cell::Ping { mode: Mode::Block, cap } => {
            by_cap!(cap, block_run, MpmcBlock, MpmcBlockUnb, job)
        }
        Cell::Thr { mode: Mode::Async, cap, .. } | Cell::Ping { mode: Mode::Async, cap } => {
            by_cap!(cap, task_run, MpmcTask, MpmcTaskUnb, job)
        }
        Cell::Thr { mode: Mode::B2a, shape, cap, .. } => {
            by_cap!(cap, b2a_run, MpmcB2a, MpmcB2aUnb, shape, cap, ops)
        }
        Cell::Thr { mode: Mode::A2b, shape, cap, .. } => {
            by_cap!(cap, a2b_run, MpmcA2b, MpmcA2bUnb, shape, cap, ops)
        }
        Cell::Ping { mode: Mode::Mix, cap: cap @ Cap::Bounded(_) } => {
            ping::mix::<MpmcB2a, MpmcA2b>(cap, ops)
        }
        Cell::Ping { mode: Mode::Mix, cap } => ping::mix::<MpmcB2aUnb, MpmcA2bUnb>(cap, ops),
        Cell::Sel { .. } => Outcome::Unsupported, // the flavour made for one receiver stands above
        _ => task::<MpmcTask>(job),
    }
}
