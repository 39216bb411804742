//! tachyonix: bounded mpsc for tasks only.

use tachyonix::{Receiver, Sender, channel};

use crate::cells::Cell;
use crate::link::{Cap, Ends, Link, Payload, TaskRx, TaskTx, many_to_one};
use crate::workloads::{Job, Outcome, task, tokio_select};

struct Tachyonix;

impl<T: Payload> Link<T> for Tachyonix {
    type Tx = Sender<T>;
    type Rx = Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Sender<T>, Receiver<T>>> {
        match cap {
            Cap::Bounded(0) | Cap::Unbounded => None,
            Cap::Bounded(n) => many_to_one(channel(n), txs, rxs),
        }
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
        Cell::Sel { .. } => tokio_select::<Tachyonix>(job),
        _ => task::<Tachyonix>(job),
    }
}
