//! The wait for a context's end, pinned: a place in the context's line, and a timer if there is a deadline.
//!
//! What always holds: as `op.rs` says. An end is told to everybody, so a notice that is not used need not be passed on.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    claim::PLAIN,
    line::Node,
    op::{POLLED_AFTER_DONE, Stage, plain},
    pin,
    tree::CtxRef,
    wait::Core,
};
use crate::{
    ctx::Cause,
    rt::{Op, Timer, sim},
    select::{ArmContext, SelectArm},
};

/// The wait for the end of a context: a future, and an arm for [`select!`](crate::select!). Made by
/// [`Ctx::done`](crate::Ctx::done).
#[must_use = "waiting does nothing until it is awaited or selected on"]
pub struct Done<'a> {
    pub(super) wait: EndWait<'a>,
    pub(super) timer: Timer,
}

/// The part of a `Done` to which others may hold pointers.
pub(super) struct EndWait<'a> {
    ctx: &'a CtxRef,
    core: Core,
    node: Node,
}

// SAFETY: the wait moves with its task between polls; what others reach of it is guarded by the line's lock.
// Attacked by `it::ctx::done_moves_between_threads` under ThreadSanitizer.
unsafe impl Send for EndWait<'_> {}

impl<'a> Done<'a> {
    #[track_caller]
    pub(crate) fn new(ctx: &'a CtxRef) -> Self {
        Self {
            wait: EndWait { ctx, core: Core::new(PLAIN), node: Node::new() },
            timer: Timer::default(),
        }
    }
}

impl EndWait<'_> {
    /// After a poll that has found the end, by itself: as `leave`. Whoever has been told is alone already; the lock is for
    /// one who has seen the end before it was told.
    fn leave_ended(&self) {
        if !self.core.notified() {
            self.leave();
        }
    }

    /// Leaves the line, if it stands in one. Afterwards nobody else touches it.
    fn leave(&self) {
        if self.node.stage.get() == Stage::Waiting {
            self.node.stage.set(Stage::New);
            // SAFETY: `Waiting`: it has entered this line.
            unsafe { self.ctx.leave(&self.node) };
        }
    }

    /// Whether the deadline has passed, by its timer; the end is noted then.
    fn rings(&self, timer: Pin<&mut Timer>, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.ctx.deadline() else { return false };
        if timer.poll(deadline, cx).is_pending() {
            return false;
        }
        self.ctx.end(Cause::DeadlineExceeded);
        true
    }

    /// Looks, and stands in line if there is nothing to see yet. True: it has ended.
    fn advance(&self, cx: &Context<'_>) -> bool {
        match self.node.stage.get() {
            Stage::New => {
                sim::point(Op::Done, self.ctx.address(), Some(self.node.at()));
                if self.ctx.look() {
                    return true;
                }
                self.core.arm_alone(cx.waker());
                self.node.belongs_to(&plain(&self.core));
                // SAFETY: pinned by our callers, owned by this core, and `Drop` leaves.
                let waits = unsafe { self.ctx.enter(&self.node) };
                if waits {
                    self.node.stage.set(Stage::Waiting);
                }
                !waits
            }
            Stage::Waiting => {
                self.ctx.has_ended() || self.ctx.arm_in_line(&self.core, cx.waker().clone())
            }
            Stage::Won | Stage::WonEnd | Stage::Done => {
                panic!("a wait for a context's end was {POLLED_AFTER_DONE}")
            }
        }
    }
}

impl Future for Done<'_> {
    type Output = Cause;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Cause> {
        let (wait, timer) = pin::done(self);
        if wait.advance(cx) || wait.rings(timer, cx) {
            wait.leave_ended();
            wait.node.stage.set(Stage::Done);
            return Poll::Ready(wait.ctx.cause());
        }
        sim::pending(Op::Done, wait.ctx.address(), Some(wait.node.at()));
        Poll::Pending
    }
}

impl SelectArm for Done<'_> {
    type Output = Cause;

    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let (wait, timer) = pin::done(self);
        let mut ended = wait.ctx.look();
        if !ended && cx.may_wait() {
            if wait.node.stage.get() == Stage::New {
                wait.node.belongs_to(cx.me());
                // SAFETY: pinned, owned by the select's core, and the select or `Drop` takes it out.
                ended = !unsafe { wait.ctx.enter(&wait.node) };
                if !ended {
                    wait.node.stage.set(Stage::Waiting);
                    cx.expose();
                }
            }
            ended = ended
                || wait.ctx.deadline().is_some_and(|deadline| {
                    !cx.look_again_at(deadline)
                        && wait.rings(timer, &mut Context::from_waker(cx.waker()))
                });
        }
        if !ended || !cx.commit() {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn complete(self: Pin<&mut Self>) -> Cause {
        let (wait, _) = pin::done(self);
        wait.leave();
        wait.node.stage.set(Stage::Done);
        wait.ctx.cause()
    }

    fn retract(self: Pin<&mut Self>) {
        let (wait, mut timer) = pin::done(self);
        wait.leave();
        timer.set(Timer::default());
    }

    /// With a deadline always: whoever looks compares with the clock, and the timer must know the task that waits now.
    fn may_be_ready(&self) -> bool {
        self.wait.ctx.has_ended() || self.wait.ctx.deadline().is_some()
    }
}

impl Drop for EndWait<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("cause", &self.wait.ctx.cause()).finish_non_exhaustive()
    }
}
