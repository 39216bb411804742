//! Throughput: senders send numbered messages until done, receivers receive until the channel closes.

use crate::cells::Shape;
use crate::link::{
    BlockRx, BlockTx, Cap, Link, P8, Payload, TaskRx, TaskToThread, TaskTx, ThreadToTask,
};
use crate::workloads::{Outcome, Part, Spawner, Tally, Threads, runtime, verdict};

/// The numbers sender `nth` of `senders` sends.
fn share(nth: usize, senders: usize, ops: usize) -> std::ops::RangeInclusive<u64> {
    let each = ops / senders;
    (nth * each + 1) as u64..=((nth + 1) * each) as u64
}

fn send_all_blocking<T: Payload>(
    mut tx: impl BlockTx<T>,
    seqs: std::ops::RangeInclusive<u64>,
) -> Tally {
    for seq in seqs {
        if !tx.send_blocking(T::new(seq)) {
            break; // the missing messages show in the count
        }
    }
    Tally::default()
}

fn recv_all_blocking<T: Payload>(mut rx: impl BlockRx<T>) -> Tally {
    let mut tally = Tally::default();
    while let Some(msg) = rx.recv_blocking() {
        tally.add(&msg);
    }
    tally
}

async fn send_all_task<T: Payload>(
    mut tx: impl TaskTx<T>,
    seqs: std::ops::RangeInclusive<u64>,
) -> Tally {
    for seq in seqs {
        if !tx.send_task(T::new(seq)).await {
            break;
        }
    }
    Tally::default()
}

async fn recv_all_task<T: Payload>(mut rx: impl TaskRx<T>) -> Tally {
    let mut tally = Tally::default();
    while let Some(msg) = rx.recv_task().await {
        tally.add(&msg);
    }
    tally
}

/// Threads (or may's coroutines) on both sides.
pub(crate) fn block<T, L, S>(shape: Shape, cap: Cap, ops: usize) -> Outcome
where
    T: Payload,
    L: Link<T, Tx: BlockTx<T>, Rx: BlockRx<T>>,
    S: Spawner,
{
    let (senders, receivers) = shape.ends();
    let Some((txs, rxs)) = L::make(cap, senders, receivers) else { return Outcome::Unsupported };
    let gate = S::gate(senders + receivers);
    let mut handles = Vec::new();
    for rx in rxs {
        let gate = gate.clone();
        handles.push(S::spawn(move || {
            gate.pass();
            Part::of(|| recv_all_blocking(rx))
        }));
    }
    for (nth, tx) in txs.into_iter().enumerate() {
        let gate = gate.clone();
        handles.push(S::spawn(move || {
            gate.pass();
            Part::of(|| send_all_blocking(tx, share(nth, senders, ops)))
        }));
    }
    let parts: Vec<Part> = handles.into_iter().map(S::join).collect();
    verdict(&parts, ops)
}

/// Tasks on both sides.
pub(crate) fn task<T, L>(shape: Shape, cap: Cap, ops: usize) -> Outcome
where
    T: Payload,
    L: Link<T, Tx: TaskTx<T>, Rx: TaskRx<T>>,
{
    let (senders, receivers) = shape.ends();
    let Some((txs, rxs)) = L::make(cap, senders, receivers) else { return Outcome::Unsupported };
    runtime().block_on(async {
        let mut handles = Vec::new();
        for rx in rxs {
            handles.push(tokio::spawn(Part::of_task(recv_all_task(rx))));
        }
        for (nth, tx) in txs.into_iter().enumerate() {
            let seqs = share(nth, senders, ops);
            handles.push(tokio::spawn(Part::of_task(send_all_task(tx, seqs))));
        }
        let mut parts = Vec::new();
        for handle in handles {
            parts.push(handle.await.expect("a worker does not panic"));
        }
        verdict(&parts, ops)
    })
}

/// Threads send, tasks receive.
pub(crate) fn b2a<L: ThreadToTask>(shape: Shape, cap: Cap, ops: usize) -> Outcome {
    let (senders, receivers) = shape.ends();
    let Some((txs, rxs)) = <L as Link<P8>>::make(cap, senders, receivers) else {
        return Outcome::Unsupported;
    };
    let runtime = runtime();
    let tasks: Vec<_> =
        rxs.into_iter().map(|rx| runtime.spawn(Part::of_task(recv_all_task(rx)))).collect();
    let threads: Vec<_> = txs
        .into_iter()
        .enumerate()
        .map(|(nth, tx)| {
            Threads::spawn(move || Part::of(|| send_all_blocking(tx, share(nth, senders, ops))))
        })
        .collect();
    let mut parts: Vec<Part> = threads.into_iter().map(Threads::join).collect();
    for task in tasks {
        parts.push(runtime.block_on(task).expect("a worker does not panic"));
    }
    verdict(&parts, ops)
}

/// Tasks send, threads receive.
pub(crate) fn a2b<L: TaskToThread>(shape: Shape, cap: Cap, ops: usize) -> Outcome {
    let (senders, receivers) = shape.ends();
    let Some((txs, rxs)) = <L as Link<P8>>::make(cap, senders, receivers) else {
        return Outcome::Unsupported;
    };
    let runtime = runtime();
    let threads: Vec<_> = rxs
        .into_iter()
        .map(|rx| Threads::spawn(move || Part::of(|| recv_all_blocking(rx))))
        .collect();
    let tasks: Vec<_> = txs
        .into_iter()
        .enumerate()
        .map(|(nth, tx)| runtime.spawn(Part::of_task(send_all_task(tx, share(nth, senders, ops)))))
        .collect();
    let mut parts: Vec<Part> = threads.into_iter().map(Threads::join).collect();
    for task in tasks {
        parts.push(runtime.block_on(task).expect("a worker does not panic"));
    }
    verdict(&parts, ops)
}
