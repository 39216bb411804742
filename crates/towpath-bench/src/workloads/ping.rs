//! Round trips: one side sends a number over one channel and waits for it to come back over another.

use crate::link::{
    BlockLink, BlockRx, BlockTx, Cap, Link, P8, Payload, TaskLink, TaskRx, TaskToThread, TaskTx,
    ThreadToTask,
};
use crate::workloads::{Outcome, Part, Spawner, Tally, Threads, runtime, verdict};

/// One channel with one end on each side.
fn pair<L: Link<P8>>(cap: Cap) -> Option<(L::Tx, L::Rx)> {
    let (mut txs, mut rxs) = L::make(cap, 1, 1)?;
    Some((txs.pop()?, rxs.pop()?))
}

fn ask_blocking(mut tx: impl BlockTx<P8>, mut rx: impl BlockRx<P8>, ops: usize) -> Tally {
    let mut tally = Tally::default();
    for seq in 1..=ops as u64 {
        tx.send_blocking(P8::new(seq));
        let Some(msg) = rx.recv_blocking() else { break };
        tally.add(&msg);
    }
    tally
}

fn answer_blocking(mut tx: impl BlockTx<P8>, mut rx: impl BlockRx<P8>) -> Tally {
    while let Some(msg) = rx.recv_blocking() {
        tx.send_blocking(msg);
    }
    Tally::default()
}

async fn ask_task(mut tx: impl TaskTx<P8>, mut rx: impl TaskRx<P8>, ops: usize) -> Tally {
    let mut tally = Tally::default();
    for seq in 1..=ops as u64 {
        tx.send_task(P8::new(seq)).await;
        let Some(msg) = rx.recv_task().await else { break };
        tally.add(&msg);
    }
    tally
}

async fn answer_task(mut tx: impl TaskTx<P8>, mut rx: impl TaskRx<P8>) -> Tally {
    while let Some(msg) = rx.recv_task().await {
        tx.send_task(msg).await;
    }
    Tally::default()
}

/// Two threads (or two of may's coroutines).
pub(crate) fn block<L: BlockLink, S: Spawner>(cap: Cap, ops: usize) -> Outcome {
    let (Some((there, questions)), Some((back, answers))) = (pair::<L>(cap), pair::<L>(cap)) else {
        return Outcome::Unsupported;
    };
    let gate = S::gate(2);
    let other = gate.clone();
    let answering = S::spawn(move || {
        other.pass();
        Part::of(|| answer_blocking(back, questions))
    });
    let asking = S::spawn(move || {
        gate.pass();
        Part::of(|| ask_blocking(there, answers, ops))
    });
    verdict(&[S::join(asking), S::join(answering)], ops)
}

/// Two tasks.
pub(crate) fn task<L: TaskLink>(cap: Cap, ops: usize) -> Outcome {
    let (Some((there, questions)), Some((back, answers))) = (pair::<L>(cap), pair::<L>(cap)) else {
        return Outcome::Unsupported;
    };
    runtime().block_on(async {
        let answering = tokio::spawn(Part::of_task(answer_task(back, questions)));
        let asking = tokio::spawn(Part::of_task(ask_task(there, answers, ops)));
        let asked = asking.await.expect("a worker does not panic");
        verdict(&[asked, answering.await.expect("a worker does not panic")], ops)
    })
}

/// A thread asks, a task answers.
pub(crate) fn mix<There: ThreadToTask, Back: TaskToThread>(cap: Cap, ops: usize) -> Outcome {
    let (Some((there, questions)), Some((back, answers))) = (pair::<There>(cap), pair::<Back>(cap))
    else {
        return Outcome::Unsupported;
    };
    let runtime = runtime();
    let answering = runtime.spawn(Part::of_task(answer_task(back, questions)));
    let asking = Threads::spawn(move || Part::of(|| ask_blocking(there, answers, ops)));
    let asked = Threads::join(asking);
    verdict(&[asked, runtime.block_on(answering).expect("a worker does not panic")], ops)
}
