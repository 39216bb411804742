//! The task that drives a network: it owns it, and does what handles ask.

use std::{pin::pin, sync::atomic::Ordering::Relaxed, time::Duration};

use towpath::{BoxError, Ctx, Receiver, Sender, at, network, rt, select};

use super::{
    Node, Reloaded,
    reload::{let_go, sources_first},
};
use crate::{
    assemble::Plan,
    file::NetworkFile,
    seat::{At, Order},
    state::{Doing, ProcessState, Status},
};

/// Between two looks at whether a network that is to end has anything left to do.
const LOOK: Duration = Duration::from_millis(50);

/// The most between two of them: what takes long is not looked at all the time.
const LOOK_MOST: Duration = Duration::from_secs(2);

/// What a handle asks.
pub(super) enum Call {
    /// To finish and end.
    Drain { within: Duration },
    /// To change to another file.
    Reload { file: Box<NetworkFile>, plan: Box<Plan>, within: Duration, reply: Sender<Reloaded> },
}

/// Drives a network; made by [`Node::start`]. Dropped, it stops the network where it stands.
#[must_use = "the network stops when this is dropped"]
#[derive(Debug)]
pub struct Work {
    pub(super) node: Node,
    pub(super) running: network::Running,
    calls: Receiver<Call>,
    pub(super) ctx: Ctx,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Drain { within } => f.debug_struct("Drain").field("within", within).finish(),
            Self::Reload { within, .. } => {
                f.debug_struct("Reload").field("within", within).finish_non_exhaustive()
            }
        }
    }
}

impl Work {
    pub(super) fn new(
        node: Node,
        running: network::Running,
        calls: Receiver<Call>,
        ctx: &Ctx,
    ) -> Self {
        Self { node, running, calls, ctx: ctx.clone() }
    }

    /// Until the network has ended, by itself or because it was told to.
    ///
    /// # Errors
    /// A process failed too often, or did not finish in the time it had to drain.
    ///
    /// # Cancel safety
    /// Dropped before completion, the network stops where it stands.
    pub async fn run(self) -> Result<(), BoxError> {
        let node = self.node.clone();
        let ended = self.until_ended().await;
        node.set_status(Status::Ended);
        // Ports that were left for nobody hold on to their seat, which holds them.
        let now = node.now();
        now.places.seats.iter().for_each(|seat| drop(seat.take_handed()));
        ended
    }

    async fn until_ended(mut self) -> Result<(), BoxError> {
        loop {
            let call = select! { biased;
                ended = select::future(self.running.join()) => return Ok(ended?),
                call = self.calls.recv() => call,
            };
            match call {
                None => return Ok(self.running.join().await?),
                Some(Call::Drain { within }) => return self.drain(within).await,
                Some(Call::Reload { file, plan, within, reply }) => {
                    let done = self.reload(*file, *plan, within).await?;
                    // Who asked may have gone.
                    let _ = reply.try_send(done);
                }
            }
        }
    }

    async fn drain(self, within: Duration) -> Result<(), BoxError> {
        self.node.set_status(Status::Draining);
        // Relaxed: orders come after it, and carry it along.
        self.node.inner.shared.draining.store(true, Relaxed);
        let now = self.node.now();
        for (seat, is_source) in now.places.seats.iter().zip(&now.plan.sources) {
            if *is_source {
                seat.stop();
            }
            // Who was told to wait has to finish too.
            seat.order(Order::Go);
        }
        let node = self.node.clone();
        let mut drained = pin!(self.running.drain(within));
        let deadline = rt::now() + within;
        // Who feeds each other in a circle waits for each other to end, when nothing is under way any more. One of them is told to, then, and
        // what that brings about flows on, until all have ended. Who sends to one that has ended still finds its channel.
        let mut behind = Vec::new();
        for process in sources_first(&now) {
            select! { biased;
                drained = select::future(drained.as_mut()) => return Ok(drained?),
                () = select::future(idle(&node)) => {}
                _ = at(deadline) => break,
            }
            let seat = &now.places.seats[process];
            let ended = async {
                let left = deadline.saturating_duration_since(rt::now());
                // Who does not let go in time is ended below, as the others are.
                let _ = let_go(&node, seat, now.plan.sources[process], left).await;
                seat.order(Order::HandOver);
                while seat.at() != At::Gone && rt::now() < deadline {
                    rt::sleep(LOOK / 10).await;
                }
            };
            select! { biased;
                drained = select::future(drained.as_mut()) => return Ok(drained?),
                () = select::future(ended) => {}
            }
            behind.extend(seat.take_handed().map(|ports| ports.inputs));
        }
        now.places.seats.iter().for_each(|seat| seat.order(Order::HandOver));
        Ok(drained.await?)
    }
}

/// Waits until nothing is under way: no message in a channel, and all who have not ended wait for one.
async fn idle(node: &Node) {
    let mut pause = LOOK;
    loop {
        let state = node.state();
        let empty = state.channels.iter().all(|channel| channel.length == 0);
        let waits = |process: &ProcessState| match process.state {
            Doing::Ended => true,
            Doing::Waiting => process.waits.iter().any(|wait| wait.what == "recv"),
            _ => false,
        };
        if empty && state.processes.iter().all(waits) {
            return;
        }
        rt::sleep(pause).await;
        pause = (pause * 2).min(LOOK_MOST);
    }
}
