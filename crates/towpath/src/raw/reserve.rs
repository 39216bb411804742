//! A reservation as an operation that can wait; `op.rs` says what always holds. `Permit`s are made of it.

use std::{
    cell::Cell,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    chan::Chan,
    claim::{Me, PLAIN},
    ends::SendEnd,
    line::{Node, Phase},
    op::{ChanRef, POLLED_AFTER_DONE, ReserveOp, Stage, Step, Tells, Told, block, has_news, plain},
    ring::Push,
    wait::Core,
};
use crate::{
    probe::{Arm, Operation, Unpark},
    rt::Op,
    select::ArmContext,
};

/// A reservation that is under way; `Permit`s are made of it in `channel/permit.rs`.
pub(crate) struct Reservation<'a, T> {
    chan: ChanRef<'a, T>,
    core: Core,
    op: ReserveOp,
}

// SAFETY: as for `Receiving`.
unsafe impl<T: Send> Send for Reservation<'_, T> {}

impl<'a, T> Reservation<'a, T> {
    #[inline]
    fn stage(&self) -> &Cell<Stage> {
        &self.op.node.stage
    }

    #[track_caller]
    pub(crate) fn new(end: &'a SendEnd<T>) -> Self {
        Self::on(end.chan())
    }

    /// A reservation whose channel the caller keeps alive.
    #[track_caller]
    pub(super) fn on(chan: &Chan<T>) -> Self {
        Self {
            chan: ChanRef::new(chan),
            core: Core::new(PLAIN),
            op: ReserveOp { node: Node::new() },
        }
    }

    /// Waits on this thread. True: a place is kept; false: the receivers are gone.
    #[track_caller]
    pub(crate) fn wait(end: &'a SendEnd<T>) -> bool {
        end.chan().begin(Op::Reserve, Location::caller());
        let this = std::pin::pin!(Self::new(end));
        let this = this.as_ref().get_ref();
        block(&this.chan, &this.core, this, |me| this.advance(me))
    }

    /// For observers.
    pub(crate) fn arm(&self) -> Arm {
        self.told().arm
    }

    fn advance(&self, me: &Me<'_>) -> Option<bool> {
        // SAFETY: pinned by our callers, owned by this core, and `Drop` retracts.
        match unsafe { self.chan.reserve_step(&self.op, me) } {
            Step::Ready(done) => {
                self.stage().set(Stage::Done);
                Some(done == Push::Done)
            }
            Step::Waiting | Step::NotNow | Step::Interrupted => {
                self.stage().set(Stage::Waiting);
                None
            }
        }
    }

    pub(crate) fn poll(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<bool> {
        let this = self.as_ref().get_ref();
        match this.stage().get() {
            Stage::New => {
                this.begin();
                this.core.arm_alone(cx.waker());
                if let Some(kept) = this.advance(&plain(&this.core)) {
                    return Poll::Ready(kept);
                }
                this.park();
                return Poll::Pending;
            }
            Stage::Waiting => {
                if !has_news(&this.chan, &this.core, cx) {
                    this.pending();
                    return Poll::Pending;
                }
                this.core.arm_alone(cx.waker());
            }
            Stage::Won | Stage::WonEnd | Stage::Done => {
                panic!("a reservation was {POLLED_AFTER_DONE}")
            }
        }
        match this.advance(&plain(&this.core)) {
            Some(kept) => {
                this.unpark(Unpark::Done);
                Poll::Ready(kept)
            }
            None => {
                this.park();
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let this = self.as_ref().get_ref();
        if this.stage().get() == Stage::Waiting {
            // From here it waits as an arm.
            this.unpark(Unpark::TakenBack);
            if this.op.node.phase() == Phase::Queued {
                return Poll::Pending;
            }
        }
        let done = if cx.may_wait() {
            // SAFETY: pinned, owned by the select's core, and retracted by the select or by `Drop`.
            match unsafe { this.chan.reserve_step(&this.op, cx.me()) } {
                Step::Ready(done) => done,
                Step::Waiting => {
                    this.stage().set(Stage::Waiting);
                    cx.expose();
                    return Poll::Pending;
                }
                Step::NotNow | Step::Interrupted => return Poll::Pending,
            }
        } else {
            if this.chan.is_meet() {
                cx.meets();
            }
            this.chan.try_reserve()
        };
        if done == Push::Full {
            return Poll::Pending;
        }
        this.stage().set(if done == Push::Closed { Stage::WonEnd } else { Stage::Won });
        Poll::Ready(())
    }

    /// Whether a place may be had now; a guess.
    pub(crate) fn may_be_ready(&self) -> bool {
        match self.stage().get() {
            Stage::New => self.chan.may_reserve_now(),
            _ => self.op.node.phase() != Phase::Queued,
        }
    }

    /// After `poll_arm` was ready. True: a place is kept.
    pub(crate) fn complete(self: Pin<&mut Self>) -> bool {
        let this = self.as_ref().get_ref();
        this.stage().replace(Stage::Done) != Stage::WonEnd
    }

    /// Ready for the next place, after a reservation that has finished.
    #[cfg(feature = "futures")]
    pub(super) fn again(&self) {
        debug_assert_eq!(self.stage().get(), Stage::Done);
        self.stage().set(Stage::New);
    }

    pub(crate) fn take_back(&self) {
        match self.stage().get() {
            Stage::Waiting => {
                self.unpark(Unpark::TakenBack);
                self.stage().set(Stage::New);
                // SAFETY: it was stepped on this channel.
                unsafe { self.chan.retract_send(&self.op.node) };
            }
            Stage::Won => {
                self.stage().set(Stage::Done);
                self.chan.unreserve();
            }
            Stage::New | Stage::WonEnd | Stage::Done => {}
        }
    }
}

impl<T> Tells for Reservation<'_, T> {
    #[inline]
    fn node(&self) -> &Node {
        &self.op.node
    }

    fn told(&self) -> Told<'_> {
        let (node, core) = (&self.op.node, &self.core);
        Told { node, core, operation: Operation::Reserve, arm: Arm::Reserve(self.chan.id()) }
    }
}

impl<T> Drop for Reservation<'_, T> {
    fn drop(&mut self) {
        self.take_back();
    }
}
