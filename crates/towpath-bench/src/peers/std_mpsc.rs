//! std's mpsc: threads only; its bounded and unbounded senders are different types.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::cells::{Cell, Mode};
use crate::link::{BlockRx, BlockTx, Cap, Ends, Link, Payload, many_to_one};
use crate::workloads::{Job, Outcome, block};

struct Bounded;
struct Unbounded;

impl<T: Payload> Link<T> for Bounded {
    type Tx = SyncSender<T>;
    type Rx = Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<SyncSender<T>, Receiver<T>>> {
        let Cap::Bounded(n) = cap else { return None };
        many_to_one(sync_channel(n), txs, rxs)
    }
}

impl<T: Payload> Link<T> for Unbounded {
    type Tx = Sender<T>;
    type Rx = Receiver<T>;
    fn make(cap: Cap, txs: usize, rxs: usize) -> Option<Ends<Sender<T>, Receiver<T>>> {
        (cap == Cap::Unbounded).then(|| many_to_one(channel(), txs, rxs))?
    }
}

impl<T: Payload> BlockTx<T> for SyncSender<T> {
    fn send_blocking(&mut self, msg: T) -> bool {
        self.send(msg).is_ok()
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

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Thr { mode: Mode::Block, cap, .. } | Cell::Ping { mode: Mode::Block, cap } => {
            match cap {
                Cap::Bounded(_) => block::<Bounded>(job),
                Cap::Unbounded => block::<Unbounded>(job),
            }
        }
        _ => Outcome::Unsupported,
    }
}
