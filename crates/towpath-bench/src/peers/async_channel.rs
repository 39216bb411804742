//! async-channel: tasks, and threads through its blocking calls. No rendezvous.

use async_channel::{Receiver, Sender, bounded, unbounded};

use crate::cells::Cell;
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, Payload, TaskRx, TaskTx, many_to_many};
use crate::workloads::{Job, Outcome, both, tokio_select};

pub(crate) struct AsyncChannel;

impl<T: Payload> Link<T> for AsyncChannel {
    type Tx = Sender<T>;
    type Rx = Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Sender<T>, Receiver<T>>> {
        let ends = match cap {
            Cap::Bounded(0) => return None,
            Cap::Bounded(n) => bounded(n),
            Cap::Unbounded => unbounded(),
        };
        many_to_many(ends, txs, rxs)
    }
}

impl<T: Payload> BlockTx<T> for Sender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        Sender::send_blocking(self, msg).is_ok()
    }
}

impl<T: Payload> BlockRx<T> for Receiver<T> {
    fn recv_blocking(&mut self) -> Option<T> {
        Receiver::recv_blocking(self).ok()
    }
}

impl<T: Payload> TaskTx<T> for Sender<T> {
    async fn send_task(&mut self, msg: T) -> bool {
        self.send(msg).await.is_ok()
    }
}

impl<T: Payload> TaskRx<T> for Receiver<T> {
    async fn recv_task(&mut self) -> Option<T> {
        self.recv().await.ok()
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Sel { .. } => tokio_select::<AsyncChannel>(job),
        _ => both::<AsyncChannel>(job),
    }
}
