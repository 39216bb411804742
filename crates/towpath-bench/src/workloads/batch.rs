//! Throughput in batches: senders hand over `BATCH` messages at a time, receivers take up to as many.

use std::future::Future;

use crate::cells::{BATCH, Shape};
use crate::link::{Cap, Link, P8, Payload};
use crate::workloads::{Outcome, Part, Spawner, Tally, Threads, runtime, verdict};

/// The numbers of one batch, as messages.
pub(crate) fn messages(seqs: std::ops::Range<u64>) -> impl Iterator<Item = P8> + Send {
    seqs.map(P8::new)
}

/// A sending end that takes many messages at once, in a task.
pub(crate) trait BatchTx: Send + 'static {
    /// Sends all of them.
    fn send_batch(&mut self, seqs: std::ops::Range<u64>) -> impl Future<Output = bool> + Send;
}

/// A receiving end that gives many messages at once, in a task.
pub(crate) trait BatchRx: Send + 'static {
    /// Appends between one and `BATCH` messages; 0 when closed.
    fn recv_batch(&mut self, batch: &mut Vec<P8>) -> impl Future<Output = usize> + Send;
}

/// The same on a thread.
pub(crate) trait BlockBatchTx: Send + 'static {
    /// Sends all of them.
    fn send_batch_blocking(&mut self, seqs: std::ops::Range<u64>) -> bool;
}

/// The same on a thread.
pub(crate) trait BlockBatchRx: Send + 'static {
    /// Appends between one and `BATCH` messages; 0 when closed.
    fn recv_batch_blocking(&mut self, batch: &mut Vec<P8>) -> usize;
}

/// The batches sender `nth` sends; the last may be shorter.
fn batches(nth: usize, senders: usize, ops: usize) -> impl Iterator<Item = std::ops::Range<u64>> {
    let each = ops / senders;
    let (first, end) = (nth * each + 1, (nth + 1) * each + 1);
    (first..end).step_by(BATCH).map(move |at| at as u64..end.min(at + BATCH) as u64)
}

/// Tasks on both sides.
pub(crate) fn task<L>(shape: Shape, cap: Cap, ops: usize) -> Outcome
where
    L: Link<P8, Tx: BatchTx, Rx: BatchRx>,
{
    let (senders, receivers) = shape.ends();
    let Some((txs, rxs)) = L::make(cap, senders, receivers) else { return Outcome::Unsupported };
    runtime().block_on(async {
        let mut handles = Vec::new();
        for mut rx in rxs {
            handles.push(tokio::spawn(Part::of_task(async move {
                let mut tally = Tally::default();
                let mut batch = Vec::with_capacity(BATCH);
                while rx.recv_batch(&mut batch).await > 0 {
                    batch.drain(..).for_each(|msg| tally.add(&msg));
                }
                tally
            })));
        }
        for (nth, mut tx) in txs.into_iter().enumerate() {
            handles.push(tokio::spawn(Part::of_task(async move {
                for seqs in batches(nth, senders, ops) {
                    if !tx.send_batch(seqs).await {
                        break;
                    }
                }
                Tally::default()
            })));
        }
        let mut parts = Vec::new();
        for handle in handles {
            parts.push(handle.await.expect("a worker does not panic"));
        }
        verdict(&parts, ops)
    })
}

/// Threads on both sides.
pub(crate) fn block<L>(shape: Shape, cap: Cap, ops: usize) -> Outcome
where
    L: Link<P8, Tx: BlockBatchTx, Rx: BlockBatchRx>,
{
    let (senders, receivers) = shape.ends();
    let Some((txs, rxs)) = L::make(cap, senders, receivers) else { return Outcome::Unsupported };
    let gate = Threads::gate(senders + receivers);
    let mut handles = Vec::new();
    for mut rx in rxs {
        let gate = gate.clone();
        handles.push(Threads::spawn(move || {
            gate.pass();
            Part::of(|| {
                let mut tally = Tally::default();
                let mut batch = Vec::with_capacity(BATCH);
                while rx.recv_batch_blocking(&mut batch) > 0 {
                    batch.drain(..).for_each(|msg| tally.add(&msg));
                }
                tally
            })
        }));
    }
    for (nth, mut tx) in txs.into_iter().enumerate() {
        let gate = gate.clone();
        handles.push(Threads::spawn(move || {
            gate.pass();
            Part::of(|| {
                for seqs in batches(nth, senders, ops) {
                    if !tx.send_batch_blocking(seqs) {
                        break;
                    }
                }
                Tally::default()
            })
        }));
    }
    let parts: Vec<Part> = handles.into_iter().map(Threads::join).collect();
    verdict(&parts, ops)
}
