//! Ours: one channel for threads and tasks, select on both, batches on both.
//!
//! `towpath` selects with its macros, whose arms are written out; `towpath+SelectSet` with the set for many receivers,
//! `towpath+recv_any` with the one-shot select over a slice.

use std::ops::Range;

use towpath::select::{SelectSet, recv_any, recv_any_blocking};
use towpath::{Receiver, Sender, SharedReceiver, bounded, select, select_blocking, unbounded};

use crate::cells::{Arms, BATCH, Cell, Mode, Shape, Wait};
use crate::link::{
    BlockRx, BlockTx, Cap, Ends, Link, P8, Payload, TaskRx, TaskTx, copies, many_to_one,
};
use crate::workloads::arms::{numbered, numbered_pairs};
use crate::workloads::batch::{self, BatchRx, BatchTx, BlockBatchRx, BlockBatchTx, messages};
use crate::workloads::select::{Ledger, block_mixed, block_recv, many, task_mixed, task_recv};
use crate::workloads::{Job, Outcome, both, context, spawn, waitfor};

fn channel<T>(cap: Cap) -> (Sender<T>, Receiver<T>) {
    match cap {
        Cap::Bounded(n) => bounded(n),
        Cap::Unbounded => unbounded(),
    }
}

/// One receiver, the owner.
struct Owned;

/// Receivers that share the work.
struct Shared;

impl<T: Payload> Link<T> for Owned {
    type Tx = Sender<T>;
    type Rx = Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>> {
        many_to_one(channel(cap), txs, rxs)
    }
}

impl<T: Payload> Link<T> for Shared {
    type Tx = Sender<T>;
    type Rx = SharedReceiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>> {
        let (tx, rx) = channel(cap);
        Some((copies(tx, txs), copies(rx.into_shared(), rxs)))
    }
}

impl<T: Payload> BlockTx<T> for Sender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        Sender::send_blocking(self, msg).is_ok()
    }
}

impl<T: Payload> TaskTx<T> for Sender<T> {
    async fn send_task(&mut self, msg: T) -> bool {
        self.send(msg).await.is_ok()
    }
}

impl BatchTx for Sender<P8> {
    async fn send_batch(&mut self, seqs: Range<u64>) -> bool {
        self.send_all(messages(seqs)).await.is_ok()
    }
}

impl BlockBatchTx for Sender<P8> {
    fn send_batch_blocking(&mut self, seqs: Range<u64>) -> bool {
        self.send_all_blocking(messages(seqs)).is_ok()
    }
}

macro_rules! receiving {
    ($($end:ident),*) => {
        $(impl<T: Payload> BlockRx<T> for $end<T> {
            fn recv_blocking(&mut self) -> Option<T> {
                $end::recv_blocking(self)
            }
        }

        impl<T: Payload> TaskRx<T> for $end<T> {
            async fn recv_task(&mut self) -> Option<T> {
                self.recv().await
            }
        })*
    };
}

receiving!(Receiver, SharedReceiver);

impl BatchRx for Receiver<P8> {
    async fn recv_batch(&mut self, batch: &mut Vec<P8>) -> usize {
        self.recv_many(batch, BATCH).await
    }
}

impl BlockBatchRx for Receiver<P8> {
    fn recv_batch_blocking(&mut self, batch: &mut Vec<P8>) -> usize {
        self.recv_many_blocking(batch, BATCH)
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Thr { shape: Shape::Mpmc, .. } | Cell::Idle { wait: Wait::Shared, .. } => {
            both::<Shared>(job)
        }
        Cell::Batch { mode: Mode::Block, shape, cap } => batch::block::<Owned>(shape, cap, job.ops),
        Cell::Batch { shape, cap, .. } => batch::task::<Owned>(shape, cap, job.ops),
        Cell::Sel { mode, arms, width, cap } => selects(mode, arms, width, cap, job.ops),
        Cell::Spawn { .. } => spawn::towpath_tasks(job.ops),
        Cell::Waitfor { shape, .. } => waitfor::scan(shape, job.ops),
        Cell::Check { .. } | Cell::Cancel { .. } => context::sample::<::towpath::Ctx>(job),
        Cell::Lock { .. } => super::towpath_sync::locks(job),
        _ => both::<Owned>(job),
    }
}

type Rxs = Vec<Receiver<P8>>;
type Txs = Vec<Sender<P8>>;

fn selects(mode: Mode, arms: Arms, width: usize, cap: Cap, ops: usize) -> Outcome {
    let ends = |width| many::<Owned>(width, cap);
    match (mode, arms, width) {
        (Mode::Block, Arms::Recv, 2) => block_recv(2, ops, ends(2), block_recv_2),
        (Mode::Block, Arms::Recv, 8) => block_recv(8, ops, ends(8), block_recv_8),
        (Mode::Block, Arms::Recv, 64) => block_recv(64, ops, ends(64), block_recv_64),
        (Mode::Block, Arms::Mixed, 2) => block_mixed::<Owned>(2, cap, ops, block_mixed_2),
        (Mode::Block, Arms::Mixed, 8) => block_mixed::<Owned>(8, cap, ops, block_mixed_8),
        (Mode::Block, Arms::Mixed, 64) => block_mixed::<Owned>(64, cap, ops, block_mixed_64),
        (Mode::Async, Arms::Recv, 2) => task_recv(2, ops, ends(2), task_recv_2),
        (Mode::Async, Arms::Recv, 8) => task_recv(8, ops, ends(8), task_recv_8),
        (Mode::Async, Arms::Recv, 64) => task_recv(64, ops, ends(64), task_recv_64),
        (Mode::Async, Arms::Mixed, 2) => task_mixed::<Owned, _>(2, cap, ops, task_mixed_2),
        (Mode::Async, Arms::Mixed, 8) => task_mixed::<Owned, _>(8, cap, ops, task_mixed_8),
        (Mode::Async, Arms::Mixed, 64) => task_mixed::<Owned, _>(64, cap, ops, task_mixed_64),
        _ => Outcome::Unsupported,
    }
}

macro_rules! on_threads {
    ($name:ident; $($at:literal $rx:ident),*) => {
        fn $name(mut rxs: Rxs, ledger: &mut Ledger) {
            let [$($rx),*] = &mut rxs[..] else { unreachable!("made with this width") };
            loop {
                let more = select_blocking! {
                    $(msg = $rx.recv() => ledger.got($at, msg),)*
                };
                if !more {
                    return;
                }
            }
        }
    };
}

numbered!(2, on_threads, block_recv_2);
numbered!(8, on_threads, block_recv_8);
numbered!(64, on_threads, block_recv_64);

macro_rules! mixed_on_threads {
    ($name:ident; $($at:literal $rx:ident $tx:ident),*) => {
        fn $name(rxs: &mut [Receiver<P8>], txs: &mut [Sender<P8>], ledger: &mut Ledger) {
            let [$($rx),*] = rxs else { unreachable!("made with this width") };
            let [$($tx),*] = txs else { unreachable!("made with this width") };
            loop {
                let more = select_blocking! {
                    $(msg = $rx.recv() => ledger.got($at, msg),)*
                    $(taken = $tx.send(ledger.offer($at)) => ledger.sent($at, taken.is_ok()),)*
                };
                if !more {
                    return;
                }
            }
        }
    };
}

numbered_pairs!(1, mixed_on_threads, block_mixed_2);
numbered_pairs!(4, mixed_on_threads, block_mixed_8);
numbered_pairs!(32, mixed_on_threads, block_mixed_64);

macro_rules! in_tasks {
    ($name:ident; $($at:literal $rx:ident),*) => {
        async fn $name(mut rxs: Rxs, mut ledger: Ledger) -> Ledger {
            let [$($rx),*] = &mut rxs[..] else { unreachable!("made with this width") };
            loop {
                let more = select! {
                    $(msg = $rx.recv() => ledger.got($at, msg),)*
                };
                if !more {
                    break;
                }
            }
            ledger
        }
    };
}

numbered!(2, in_tasks, task_recv_2);
numbered!(8, in_tasks, task_recv_8);
numbered!(64, in_tasks, task_recv_64);

macro_rules! mixed_in_tasks {
    ($name:ident; $($at:literal $rx:ident $tx:ident),*) => {
        async fn $name(mut rxs: Rxs, mut txs: Txs, mut ledger: Ledger) -> (Ledger, Rxs, Txs) {
            {
                let [$($rx),*] = &mut rxs[..] else { unreachable!("made with this width") };
                let [$($tx),*] = &mut txs[..] else { unreachable!("made with this width") };
                loop {
                    let more = select! {
                        $(msg = $rx.recv() => ledger.got($at, msg),)*
                        $(taken = $tx.send(ledger.offer($at)) => ledger.sent($at, taken.is_ok()),)*
                    };
                    if !more {
                        break;
                    }
                }
            }
            (ledger, rxs, txs)
        }
    };
}

numbered_pairs!(1, mixed_in_tasks, task_mixed_2);
numbered_pairs!(4, mixed_in_tasks, task_mixed_8);
numbered_pairs!(32, mixed_in_tasks, task_mixed_64);

/// Receives through a `SelectSet`, the documented way for many channels over a long time.
///
/// The message says which channel it came from; a program would keep the keys beside its own state.
pub(crate) fn select_set(job: Job) -> Outcome {
    let set_of = |width, cap| {
        let (txs, rxs) = many::<Owned>(width, cap)?;
        let mut set = SelectSet::new();
        for rx in rxs {
            set.recv(rx);
        }
        Some((txs, set))
    };
    match job.cell {
        Cell::Sel { mode: Mode::Block, arms: Arms::Recv, width, cap } => {
            block_recv(width, job.ops, set_of(width, cap), |mut set, ledger| {
                while ledger.got_any(set.next_blocking().1) {}
            })
        }
        Cell::Sel { mode: Mode::Async, arms: Arms::Recv, width, cap } => {
            task_recv(width, job.ops, set_of(width, cap), |mut set, mut ledger| async move {
                while ledger.got_any(set.next().await.1) {}
                ledger
            })
        }
        _ => Outcome::Unsupported,
    }
}

/// Receives through the one-shot select over a slice, the form for now and then: every call registers every arm.
pub(crate) fn one_shot(job: Job) -> Outcome {
    match job.cell {
        Cell::Sel { mode: Mode::Block, arms: Arms::Recv, width, cap } => {
            let ends = many::<Owned>(width, cap);
            block_recv(width, job.ops, ends, |mut rxs: Rxs, ledger| {
                loop {
                    let (at, msg) = recv_any_blocking(&mut rxs);
                    if !ledger.got(at, msg) {
                        return;
                    }
                }
            })
        }
        Cell::Sel { mode: Mode::Async, arms: Arms::Recv, width, cap } => {
            let ends = many::<Owned>(width, cap);
            task_recv(width, job.ops, ends, |mut rxs: Rxs, mut ledger| async move {
                loop {
                    let (at, msg) = recv_any(&mut rxs).await;
                    if !ledger.got(at, msg) {
                        return ledger;
                    }
                }
            })
        }
        _ => Outcome::Unsupported,
    }
}
