//! thingbuf: bounded mpsc, one flavour for threads and one for tasks.

use thingbuf::mpsc;

use crate::cells::{Cell, Mode};
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, Payload, TaskRx, TaskTx, many_to_one};
use crate::workloads::{Job, Outcome, block, task};

struct ThreadLink;
struct TaskLink;

impl<T: Payload> Link<T> for ThreadLink {
    type Tx = mpsc::blocking::Sender<T>;
    type Rx = mpsc::blocking::Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>> {
        match cap {
            Cap::Bounded(0) | Cap::Unbounded => None,
            Cap::Bounded(n) => many_to_one(mpsc::blocking::channel(n), txs, rxs),
        }
    }
}

impl<T: Payload> Link<T> for TaskLink {
    type Tx = mpsc::Sender<T>;
    type Rx = mpsc::Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Self::Tx, Self::Rx>> {
        match cap {
            Cap::Bounded(0) | Cap::Unbounded => None,
            Cap::Bounded(n) => many_to_one(mpsc::channel(n), txs, rxs),
        }
    }
}

impl<T: Payload> BlockTx<T> for mpsc::blocking::Sender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        self.send(msg).is_ok()
    }
}

impl<T: Payload> BlockRx<T> for mpsc::blocking::Receiver<T> {
    fn recv_blocking(&mut self) -> Option<T> {
        self.recv()
    }
}

impl<T: Payload> TaskTx<T> for mpsc::Sender<T> {
    async fn send_task(&mut self, msg: T) -> bool {
        self.send(msg).await.is_ok()
    }
}

impl<T: Payload> TaskRx<T> for mpsc::Receiver<T> {
    async fn recv_task(&mut self) -> Option<T> {
        self.recv().await
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Thr { mode: Mode::Block, .. } | Cell::Ping { mode: Mode::Block, .. } => {
            block::<ThreadLink>(job)
        }
        _ => task::<TaskLink>(job),
    }
}
