//! tokio's mpsc: tasks, and threads through its blocking calls; batches both ways. No rendezvous.
//!
//! Its bounded and unbounded ends are different types, and the unbounded sender never waits.

use std::ops::Range;

use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};

use crate::cells::{BATCH, Cell, Mode};
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, P8, Payload, TaskRx, TaskTx, many_to_one};
use crate::workloads::batch::{self, BatchRx, BatchTx, messages};
use crate::workloads::{Job, Outcome, both, tokio_select};

pub(crate) struct Bounded;
struct Unbounded;

impl<T: Payload> Link<T> for Bounded {
    type Tx = Sender<T>;
    type Rx = Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Sender<T>, Receiver<T>>> {
        match cap {
            Cap::Bounded(0) | Cap::Unbounded => None,
            Cap::Bounded(n) => many_to_one(channel(n), txs, rxs),
        }
    }
}

impl<T: Payload> Link<T> for Unbounded {
    type Tx = UnboundedSender<T>;
    type Rx = UnboundedReceiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>> {
        (cap == Cap::Unbounded).then(|| many_to_one(unbounded_channel(), txs, rxs))?
    }
}

impl<T: Payload> BlockTx<T> for Sender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        self.blocking_send(msg).is_ok()
    }
}

impl<T: Payload> BlockRx<T> for Receiver<T> {
    fn recv_blocking(&mut self) -> Option<T> {
        self.blocking_recv()
    }
}

impl<T: Payload> TaskTx<T> for Sender<T> {
    async fn send_task(&mut self, msg: T) -> bool {
        self.send(msg).await.is_ok()
    }
}

impl<T: Payload> TaskRx<T> for Receiver<T> {
    async fn recv_task(&mut self) -> Option<T> {
        self.recv().await
    }
}

impl<T: Payload> BlockTx<T> for UnboundedSender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        self.send(msg).is_ok()
    }
}

impl<T: Payload> BlockRx<T> for UnboundedReceiver<T> {
    fn recv_blocking(&mut self) -> Option<T> {
        self.blocking_recv()
    }
}

impl<T: Payload> TaskTx<T> for UnboundedSender<T> {
    async fn send_task(&mut self, msg: T) -> bool {
        self.send(msg).is_ok()
    }
}

impl<T: Payload> TaskRx<T> for UnboundedReceiver<T> {
    async fn recv_task(&mut self) -> Option<T> {
        self.recv().await
    }
}

impl BatchTx for Sender<P8> {
    async fn send_batch(&mut self, seqs: Range<u64>) -> bool {
        let n = (seqs.end - seqs.start) as usize;
        let Ok(permits) = self.reserve_many(n).await else { return false };
        permits.zip(messages(seqs)).for_each(|(permit, msg)| permit.send(msg));
        true
    }
}

impl BatchRx for Receiver<P8> {
    async fn recv_batch(&mut self, batch: &mut Vec<P8>) -> usize {
        self.recv_many(batch, BATCH).await
    }
}

impl BatchTx for UnboundedSender<P8> {
    async fn send_batch(&mut self, seqs: Range<u64>) -> bool {
        messages(seqs).all(|msg| self.send(msg).is_ok())
    }
}

impl BatchRx for UnboundedReceiver<P8> {
    async fn recv_batch(&mut self, batch: &mut Vec<P8>) -> usize {
        self.recv_many(batch, BATCH).await
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Batch { mode: Mode::Async, shape, cap: cap @ Cap::Bounded(_) } => {
            batch::task::<Bounded>(shape, cap, job.ops)
        }
        Cell::Batch { mode: Mode::Async, shape, cap } => {
            batch::task::<Unbounded>(shape, cap, job.ops)
        }
        Cell::Thr { cap: Cap::Unbounded, .. } | Cell::Ping { cap: Cap::Unbounded, .. } => {
            both::<Unbounded>(job)
        }
        Cell::Sel { .. } => tokio_select::<Bounded>(job),
        _ => both::<Bounded>(job),
    }
}
