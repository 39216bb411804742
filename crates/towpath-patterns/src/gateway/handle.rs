//! The way to a gateway.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use towpath::{BoxError, Cause, Ctx, Scope, bounded, process::Name, select};

use super::{
    Options, Refused, Snapshot,
    call::{Answer, Call, One, Reply},
    desk::{Admitted, Desk},
    line::Place,
    slot::Slot,
    snapshot::Counts,
    worker,
};

/// The way to a gateway. Clones lead to the same one, which ends when the last is gone and what was asked is done.
pub struct Gateway<Req, Resp> {
    door: Arc<Door<Req, Resp>>,
}

impl<Req, Resp> Gateway<Req, Resp> {
    pub(super) fn desk(&self) -> &Arc<Desk<Req, Resp>> {
        &self.door.0
    }
}

/// Stops the gateway with the last handle.
struct Door<Req, Resp>(Arc<Desk<Req, Resp>>);

impl<Req, Resp> Drop for Door<Req, Resp> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl<Req, Resp> Gateway<Req, Resp>
where
    Req: Send + 'static,
    Resp: Send + 'static,
{
    /// Starts its workers in a scope: each takes a call, runs what the handler makes of it, and takes the next. A handler that panics
    /// costs its call, and the worker goes on.
    ///
    /// When the scope's context ends no more calls are taken, and those that are here have [`Options::drain`] to end.
    ///
    /// # Panics
    /// Without a worker.
    #[track_caller]
    pub fn start<H, Fut>(scope: &Scope, name: impl Into<Name>, options: Options, handler: H) -> Self
    where
        H: Fn(Call<Req, Resp>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        assert!(
            options.workers > 0,
            "a gateway without workers answers nobody: give it 1 at least"
        );
        let name = name.into();
        // A call in hand, and the word to go, for each worker.
        let (tx, rx) = bounded(2 * options.workers);
        let (tx, rx) = (tx.named(name.clone()), rx.into_shared());
        let (workers, drain) = (options.workers, options.drain);
        let desk = Arc::new(Desk::new(options, tx));
        worker::start(scope, &name, &desk, rx, workers, drain, handler);
        Self { door: Arc::new(Door(desk)) }
    }

    /// Asks, and waits for the answer.
    ///
    /// The call's context is a child of `ctx`. It ends when `ctx` does, at the deadline, and when this future is dropped.
    ///
    /// # Errors
    /// [`Refused`].
    ///
    /// # Cancel safety
    /// Dropped before completion, the caller has left: a call that waits is taken out of the queue, one in hand is told by its context.
    pub async fn call(&self, ctx: &Ctx, request: Req) -> Result<Resp, Refused> {
        let desk = &*self.door.0;
        if ctx.is_done() {
            Counts::one(&desk.counts.never_made);
            return Err(Refused::of(&ctx.cause()));
        }
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let slot = Arc::new(Slot::new(desk.call_ctx(ctx), waker));
        let call = Call::new(request, Reply::One(One::new(slot.clone())));
        let place = match desk.admit(call)? {
            Admitted::InHand => None,
            Admitted::Waits(place) => Some(place),
        };
        let mut waiting = Waiting { desk, place, slot: &slot, waits: true };
        let mut end = pin!(slot.waits().done());
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = slot.poll(cx.waker()) {
                return Poll::Ready(answer.unwrap_or_else(|| Err(desk.unanswered(slot.waits()))));
            }
            end.as_mut().poll(cx).map(|cause| Err(Refused::of(&cause)))
        })
        .await;
        waiting.ended(&answer);
        answer
    }

    /// Takes no more calls, and waits until those that are here have ended; when `ctx` ends before, they are cut off.
    ///
    /// # Cancel safety
    /// Dropped before completion, it takes no more calls; those that are here go on.
    pub async fn drain(&self, ctx: &Ctx) {
        let desk = &*self.door.0;
        desk.stop();
        select! { biased;
            _ = desk.over().done() => return,
            _ = ctx.done() => desk.cut_off(),
        }
        desk.over().done().await;
    }

    /// How it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.door.0.snapshot()
    }
}

impl<Req, Resp> Clone for Gateway<Req, Resp> {
    fn clone(&self) -> Self {
        Self { door: self.door.clone() }
    }
}

impl<Req, Resp> fmt::Debug for Gateway<Req, Resp> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("snapshot", &self.door.0.snapshot()).finish()
    }
}

/// A caller that waits. Dropped before it has ended, the caller has left.
struct Waiting<'a, Req, Resp> {
    desk: &'a Desk<Req, Resp>,
    place: Option<Place>,
    slot: &'a Slot<Resp>,
    waits: bool,
}

impl<Req, Resp> Waiting<'_, Req, Resp> {
    fn ended(&mut self, answer: &Answer<Resp>) {
        self.desk.counts.ended(answer);
        self.waits = false;
        if let Err(Refused::Late | Refused::Left) = answer {
            // The end may still be on its way from the caller's context to the call's.
            let cause = self.slot.waits().cause();
            if !cause.is_running() {
                self.slot.leave(cause);
            }
            self.leave();
        }
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take() {
            self.desk.leave(place);
        }
    }
}

impl<Req, Resp> Drop for Waiting<'_, Req, Resp> {
    fn drop(&mut self) {
        if self.waits {
            Counts::one(&self.desk.counts.left);
            self.slot.leave(Cause::Cancelled(BoxError::from("the caller has left").into()));
            self.leave();
        }
    }
}
