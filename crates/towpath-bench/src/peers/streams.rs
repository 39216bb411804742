//! Receiving from many channels the way the ecosystem does it: futures' `SelectAll` over the peers' streams, and one
//! `poll_fn` over tokio's `poll_recv`. The only forms without a limit on the number of channels.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::StreamExt;
use futures_util::stream::{self, SelectAll, Stream};

use crate::cells::{Arms, Cell, Mode};
use crate::link::{Cap, P8};
use crate::peers::{async_channel, flume, tokio_mpsc};
use crate::workloads::select::{Ledger, many, task_recv};
use crate::workloads::{Job, Outcome};

async fn select_all<S: Stream<Item = P8> + Unpin>(streams: Vec<S>, mut ledger: Ledger) -> Ledger {
    let mut all: SelectAll<S> = streams.into_iter().collect();
    while ledger.got_any(all.next().await) {}
    ledger
}

/// The cells these forms serve: width and capacity.
fn receives(job: Job) -> Option<(usize, Cap)> {
    match job.cell {
        Cell::Sel { mode: Mode::Async, arms: Arms::Recv, width, cap } => Some((width, cap)),
        _ => None,
    }
}

pub(crate) fn flume(job: Job) -> Outcome {
    let Some((width, cap)) = receives(job) else { return Outcome::Unsupported };
    task_recv(width, job.ops, many::<flume::Flume>(width, cap), |rxs, ledger| {
        select_all(rxs.into_iter().map(|rx| rx.into_stream()).collect(), ledger)
    })
}

pub(crate) fn async_channel(job: Job) -> Outcome {
    let Some((width, cap)) = receives(job) else { return Outcome::Unsupported };
    task_recv(width, job.ops, many::<async_channel::AsyncChannel>(width, cap), |rxs, ledger| {
        select_all(rxs.into_iter().map(Box::pin).collect(), ledger)
    })
}

pub(crate) fn tokio(job: Job) -> Outcome {
    let Some((width, cap)) = receives(job) else { return Outcome::Unsupported };
    task_recv(width, job.ops, many::<tokio_mpsc::Bounded>(width, cap), |rxs, ledger| {
        let streams = rxs.into_iter().map(|mut rx| stream::poll_fn(move |cx| rx.poll_recv(cx)));
        select_all(streams.collect(), ledger)
    })
}

pub(crate) fn tokio_poll_fn(job: Job) -> Outcome {
    let Some((width, cap)) = receives(job) else { return Outcome::Unsupported };
    let ends = many::<tokio_mpsc::Bounded>(width, cap);
    task_recv(width, job.ops, ends, |mut rxs, mut ledger| async move {
        // Starts behind the last winner, so that no channel starves.
        let mut first = 0;
        loop {
            let (at, msg) = poll_fn(|cx| {
                for at in (first..width).chain(0..first) {
                    if let Poll::Ready(msg) = rxs[at].poll_recv(cx) {
                        return Poll::Ready((at, msg));
                    }
                }
                Poll::Pending
            })
            .await;
            first = (at + 1) % width;
            if !ledger.got(at, msg) {
                return ledger;
            }
        }
    })
}
