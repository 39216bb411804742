//! kanal: threads and tasks. Its two kinds of handle are views of one another, so one link serves all modes.

use kanal::{Receiver, Sender, bounded, unbounded};

use crate::cells::Cell;
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, Payload, TaskRx, TaskTx, many_to_many};
use crate::workloads::{Job, Outcome, both, tokio_select};

struct Kanal;

impl<T: Payload> Link<T> for Kanal {
    type Tx = Sender<T>;
    type Rx = Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Sender<T>, Receiver<T>>> {
        let ends = match cap {
            Cap::Bounded(n) => bounded(n),
            Cap::Unbounded => unbounded(),
        };
        many_to_many(ends, txs, rxs)
    }
}

impl<T: Payload> BlockTx<T> for Sender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        self.send(msg).is_ok()
    }
}

impl<T: Payload> BlockRx<T> for Receiver<T> {
    fn recv_blocking(&mut self) -> Option<T> {
        self.recv().ok()
    }
}

impl<T: Payload> TaskTx<T> for Sender<T> {
    async fn send_task(&mut self, msg: T) -> bool {
        self.as_async().send(msg).await.is_ok()
    }
}

impl<T: Payload> TaskRx<T> for Receiver<T> {
    async fn recv_task(&mut self) -> Option<T> {
        self.as_async().recv().await.ok()
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Sel { .. } => tokio_select::<Kanal>(job),
        _ => both::<Kanal>(job),
    }
}
