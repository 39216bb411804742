//! crossbeam-channel: threads only; a select that may be built once and used again.
//!
//! It has no batches: it sends one by one and takes what is there after one wait, as a program with it would.

use crossbeam_channel::{Receiver, Select, Sender, bounded, unbounded};

use crate::cells::{Arms, BATCH, Cell, Mode};
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, P8, Payload, many_to_many};
use crate::workloads::batch::{self, BlockBatchRx, BlockBatchTx, messages};
use crate::workloads::select::{block_mixed, block_recv, many};
use crate::workloads::{Job, Outcome, block};

struct Crossbeam;

impl<T: Payload> Link<T> for Crossbeam {
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

impl BlockBatchTx for Sender<P8> {
    fn send_batch_blocking(&mut self, seqs: std::ops::Range<u64>) -> bool {
        messages(seqs).all(|msg| self.send(msg).is_ok())
    }
}

impl BlockBatchRx for Receiver<P8> {
    fn recv_batch_blocking(&mut self, batch: &mut Vec<P8>) -> usize {
        let Ok(first) = self.recv() else { return 0 };
        batch.push(first);
        batch.extend(self.try_iter().take(BATCH - 1));
        batch.len()
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    let ops = job.ops;
    match job.cell {
        Cell::Thr { mode: Mode::Block, .. } | Cell::Ping { mode: Mode::Block, .. } => {
            block::<Crossbeam>(job)
        }
        Cell::Batch { mode: Mode::Block, shape, cap } => batch::block::<Crossbeam>(shape, cap, ops),
        Cell::Sel { mode: Mode::Block, arms: Arms::Recv, width, cap } => {
            block_recv(width, ops, many::<Crossbeam>(width, cap), |rxs, ledger| {
                let mut select = Select::new();
                for rx in &rxs {
                    select.recv(rx);
                }
                loop {
                    let arm = select.select();
                    let at = arm.index();
                    if !ledger.got(at, arm.recv(&rxs[at]).ok()) {
                        break;
                    }
                }
            })
        }
        Cell::Sel { mode: Mode::Block, arms: Arms::Mixed, width, cap } => {
            block_mixed::<Crossbeam>(width, cap, ops, |rxs, txs, ledger| {
                let mut select = Select::new();
                for rx in rxs.iter() {
                    select.recv(rx);
                }
                for tx in txs.iter() {
                    select.send(tx);
                }
                loop {
                    let arm = select.select();
                    let at = arm.index();
                    let more = if at < rxs.len() {
                        ledger.got(at, arm.recv(&rxs[at]).ok())
                    } else {
                        let at = at - rxs.len();
                        let msg = ledger.offer(at);
                        ledger.sent(at, arm.send(&txs[at], msg).is_ok())
                    };
                    if !more {
                        break;
                    }
                }
            })
        }
        _ => Outcome::Unsupported,
    }
}
