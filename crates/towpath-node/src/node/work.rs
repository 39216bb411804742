//! The task that drives a network: it owns it, and does what handles ask.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use towpath::{BoxError, Ctx, Receiver, Sender, after, network, select};

use super::{Node, Reloaded};
use crate::{assemble::Plan, file::NetworkFile, line::Line, seat::Order, state::Status};

/// How long nothing moves, in a network that drains, before processes that only wait for each other are told that no more comes.
///
/// Longer than a dispatcher's riders wait, and than a service that is well takes to answer.
const QUIET: Duration = Duration::from_secs(2);

/// Between two looks whether anything moves.
const LOOK: Duration = Duration::from_millis(250);

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
            () = select::future(until_quiet(&now.places.lines)) => {}
            _ = late => {}
        }
        // Nothing is under way any more, or their contexts have ended by now. Who looks only at its inputs sees the end of those.
        now.places.seats.iter().for_each(|seat| seat.order(Order::HandOver));
        Ok(drained.await?)
    }
}

/// Waits until nothing waits in a channel and nothing has moved for [`QUIET`]. Processes that send to each other in a circle do not see
/// the end of their inputs by themselves: each is kept open by the others.
async fn until_quiet(lines: &[Arc<Line>]) {
    let count = || {
        let counts = lines.iter().map(|line| (line.sent(), line.received.load(Relaxed)));
        counts.fold((0, true), |(moved, is_empty), (sent, received)| {
            (moved + sent + received, is_empty && sent == received)
        })
    };
    let (mut before, mut quiet) = (count(), Duration::ZERO);
    while quiet < QUIET {
        after(LOOK).await;
        let now = count();
        quiet = if now.1 && now == before { quiet + LOOK } else { Duration::ZERO };
        before = now;
    }
}
