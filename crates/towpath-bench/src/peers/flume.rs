//! flume: threads and tasks; `Selector` on threads, rebuilt for each wait since `wait` consumes it.

use flume::{Receiver, Selector, Sender, bounded, unbounded};

use crate::cells::{Arms, Cell, Mode};
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, P8, Payload, TaskRx, TaskTx, many_to_many};
use crate::workloads::select::{Ledger, block_mixed, block_recv, many};
use crate::workloads::{Job, Outcome, both, tokio_select};

pub(crate) struct Flume;

impl<T: Payload> Link<T> for Flume {
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
        self.send_async(msg).await.is_ok()
    }
}

impl<T: Payload> TaskRx<T> for Receiver<T> {
    async fn recv_task(&mut self) -> Option<T> {
        self.recv_async().await.ok()
    }
}

/// What a selector's arm answers with.
enum Event {
    Got(usize, Option<P8>),
    Sent(usize, bool),
}

fn select(rxs: &[Receiver<P8>], txs: &[Sender<P8>], ledger: &mut Ledger) {
    loop {
        let mut selector = Selector::new();
        for (at, rx) in rxs.iter().enumerate() {
            selector = selector.recv(rx, move |msg| Event::Got(at, msg.ok()));
        }
        for (at, tx) in txs.iter().enumerate() {
            selector = selector.send(tx, ledger.offer(at), move |r| Event::Sent(at, r.is_ok()));
        }
        let more = match selector.wait() {
            Event::Got(at, msg) => ledger.got(at, msg),
            Event::Sent(at, taken) => ledger.sent(at, taken),
        };
        if !more {
            break;
        }
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    let ops = job.ops;
    match job.cell {
        Cell::Sel { mode: Mode::Block, arms: Arms::Recv, width, cap } => {
            block_recv(width, ops, many::<Flume>(width, cap), |rxs, ledger| {
                select(&rxs, &[], ledger);
            })
        }
        Cell::Sel { mode: Mode::Block, arms: Arms::Mixed, width, cap } => {
            block_mixed::<Flume>(width, cap, ops, |rxs, txs, ledger| select(rxs, txs, ledger))
        }
        Cell::Sel { .. } => tokio_select::<Flume>(job),
        _ => both::<Flume>(job),
    }
}
