//! The task that drives a network: it owns it, and does what handles ask.

use std::{pin::pin, time::Duration};

use towpath::{BoxError, Ctx, Receiver, Sender, after, network, select};

use super::{Node, Reloaded};
use crate::{assemble::Plan, file::NetworkFile, seat::Order, state::Status};

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
        let now = self.node.now();
        for (seat, is_source) in now.places.seats.iter().zip(&now.plan.sources) {
            if *is_source {
                seat.stop();
            }
            // Who was told to wait has to finish too.
            seat.order(Order::Go);
        }
        let mut drained = pin!(self.running.drain(within));
        let late = after(within);
        select! { biased;
            drained = select::future(drained.as_mut()) => return Ok(drained?),
            _ = late => {}
        }
        // Their contexts have ended by now. Who looks only at its inputs sees the end of those.
        now.places.seats.iter().for_each(|seat| seat.order(Order::HandOver));
        Ok(drained.await?)
    }
}
