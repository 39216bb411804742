//! A send as an operation that can wait; `op.rs` says what always holds.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use super::{
    backoff::Backoff,
    claim::{Me, PLAIN},
    ends::SendEnd,
    line::{Node, Phase},
    op::{
        ChanRef, FirstWait, POLLED_AFTER_DONE, SendOp, Stage, Step, Tells, Told, block, first_wait,
        has_news, plain,
    },
    ring::Push,
    wait::Core,
};
use crate::{
    error::SendError,
    probe::{Arm, Operation, Unpark},
    rt::Op,
    select::{ArmContext, SelectArm},
};

/// A send that is under way: a future, and an arm for [`select!`](crate::select!).
///
/// Made by [`Sender::send`](crate::Sender::send).
#[must_use = "a send does nothing until it is awaited or selected on"]
pub struct Sending<'a, T> {
    chan: ChanRef<'a, T>,
    core: Core,
    op: SendOp<T>,
}

// SAFETY: as for `Receiving`.
unsafe impl<T: Send> Send for Sending<'_, T> {}

impl<'a, T> Sending<'a, T> {
    #[inline]
    fn stage(&self) -> &Cell<Stage> {
        &self.op.node.stage
    }

    #[inline]
    #[track_caller]
    pub(crate) fn new(end: &'a SendEnd<T>, value: Option<T>) -> Self {
        Self { chan: ChanRef::new(end.chan()), core: Core::new(PLAIN), op: SendOp::new(value) }
    }

    /// Sends on this thread.
    #[track_caller]
    pub(crate) fn wait(end: &'a SendEnd<T>, value: T) -> Result<(), SendError<T>> {
        end.chan().begin(Op::Send, Location::caller());
        let mut value = Some(value);
        let mut backoff = Backoff::new();
        while !end.chan().is_meet() {
            match (end.try_send(&mut value), value.take()) {
                (Push::Closed, Some(value)) => return Err(SendError(value)),
                (Push::Full, Some(back)) => value = Some(back),
                _ => return Ok(()),
            }
            let gathered = backoff.is_new() && end.chan().gather_room();
            if !gathered && !backoff.spin_or_yield() {
                break;
            }
        }
        let this = std::pin::pin!(Self::new(end, value));
        let this = this.as_ref().get_ref();
        block(&this.chan, &this.core, this, |me| this.advance(me))
    }

    /// A send that has nothing to send yet.
    #[track_caller]
    pub(super) fn idle(end: &'a SendEnd<T>) -> Self {
        let this = Self::new(end, None);
        this.stage().set(Stage::Done);
        this
    }

    /// Ready to send `value`, after a send that has finished.
    pub(super) fn again(&self, value: T) {
        debug_assert_eq!(self.stage().get(), Stage::Done);
        // SAFETY: in no line, so the value is ours.
        self.op.value.with_mut(|slot| unsafe { *slot = Some(value) });
        self.stage().set(Stage::New);
    }

    /// The value, if it has not been sent: what a lost select arm still holds.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        let this = self.as_ref().get_ref();
        this.take_back();
        // SAFETY: in no line now, so the value is ours.
        unsafe { this.op.take() }
    }

    fn result(&self, done: &Push) -> Result<(), SendError<T>> {
        self.stage().set(Stage::Done);
        match done {
            Push::Done => Ok(()),
            // SAFETY: in no line, so the value is ours.
            Push::Closed | Push::Full => match unsafe { self.op.take() } {
                Some(value) => Err(SendError(value)),
                None => Ok(()),
            },
        }
    }

    fn advance(&self, me: &Me<'_>) -> Option<Result<(), SendError<T>>> {
        if self.stage().get() == Stage::Waiting && self.op.node.phase() == Phase::Done {
            return Some(self.result(&Push::Done));
        }
        // SAFETY: pinned by our callers, owned by this core, and `Drop` retracts.
        match unsafe { self.chan.send_step(&self.op, me) } {
            Step::Ready(done) => Some(self.result(&done)),
            Step::Waiting | Step::NotNow | Step::Interrupted => {
                self.stage().set(Stage::Waiting);
                None
            }
        }
    }

    #[inline]
    fn take_back(&self) {
        if self.stage().get() == Stage::Waiting {
            self.take_back_waiting();
        }
    }

    #[inline(never)]
    fn take_back_waiting(&self) {
        self.unpark(Unpark::TakenBack);
        self.stage().set(Stage::New);
        // SAFETY: it was stepped on this channel.
        unsafe { self.chan.retract_send(&self.op.node) };
    }
}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_ref().get_ref();
        if this.stage().get() == Stage::New {
            this.begin();
        }
        if this.stage().get() == Stage::New && !this.chan.is_meet() {
            this.poll_queue(cx)
        } else {
            this.poll_waiting(cx)
        }
    }
}

impl<T> Sending<'_, T> {
    /// The first poll on a ring or list.
    #[inline(never)]
    fn poll_queue(&self, cx: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        match self.try_at_once() {
            Some(sent) => Poll::Ready(sent),
            None => self.poll_waiting(cx),
        }
    }

    /// A try before anything is done about waiting.
    #[inline(always)]
    fn try_at_once(&self) -> Option<Result<(), SendError<T>>> {
        // SAFETY: in no line, so the value is ours.
        let done = self.op.value.with_mut(|value| self.chan.try_send(unsafe { &mut *value }));
        (done != Push::Full).then(|| self.result(&done))
    }

    /// As `poll`; if nothing has begun yet, a ring had no room a moment ago.
    #[inline(never)]
    fn poll_waiting(&self, cx: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        match self.stage().get() {
            Stage::New => loop {
                if self.chan.is_meet()
                    && self.chan.may_send()
                    && let Some(sent) = self.try_at_once()
                {
                    return Poll::Ready(sent);
                }
                // Outside of the line: standing in it, one would have to be let in.
                let ready = Some(|| self.chan.may_send_now());
                let patience = self.chan.send_patience();
                match first_wait(&self.chan, patience, &self.core, cx, ready, |me| self.advance(me))
                {
                    FirstWait::Ready(sent) => return Poll::Ready(sent),
                    FirstWait::Parked => {
                        self.park();
                        return Poll::Pending;
                    }
                    FirstWait::Retry => {
                        if let Some(sent) = self.try_at_once() {
                            return Poll::Ready(sent);
                        }
                    }
                    FirstWait::News => break,
                }
            },
            Stage::Waiting => {
                if !has_news(&self.chan, &self.core, cx) {
                    self.pending();
                    return Poll::Pending;
                }
            }
            Stage::Won | Stage::WonEnd | Stage::Done => panic!("a send was {POLLED_AFTER_DONE}"),
        }
        // Whoever has been granted its turn nearly always succeeds: try before cloning the waker again.
        if matches!(self.op.node.phase(), Phase::Granted | Phase::Invited) {
            let me = Me { may_wait: false, ..plain(&self.core) };
            if let Some(sent) = self.advance(&me) {
                self.unpark(Unpark::Done);
                return Poll::Ready(sent);
            }
        }
        self.core.arm_alone(cx.waker());
        match self.advance(&plain(&self.core)) {
            Some(sent) => {
                self.unpark(Unpark::Done);
                Poll::Ready(sent)
            }
            None => {
                self.park();
                Poll::Pending
            }
        }
    }
}

impl<T> SelectArm for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let this = self.as_ref().get_ref();
        if this.stage().get() == Stage::Waiting {
            // From here it waits as an arm.
            this.unpark(Unpark::TakenBack);
            if matches!(this.op.node.phase(), Phase::Queued | Phase::Done) {
                return Poll::Pending;
            }
        }
        if !cx.may_wait() {
            if this.chan.is_meet() {
                cx.meets();
            }
            // SAFETY: in no line, so the value is ours.
            let done = this.op.value.with_mut(|value| this.chan.try_send(unsafe { &mut *value }));
            if done == Push::Full {
                return Poll::Pending;
            }
            this.stage().set(Stage::Won);
            return Poll::Ready(());
        }
        // SAFETY: pinned, owned by the select's core, and retracted by the select or by `Drop`.
        match unsafe { this.chan.send_step(&this.op, cx.me()) } {
            Step::Ready(_) => {
                this.stage().set(Stage::Won);
                Poll::Ready(())
            }
            Step::Waiting => {
                this.stage().set(Stage::Waiting);
                cx.expose();
                Poll::Pending
            }
            Step::NotNow | Step::Interrupted => Poll::Pending,
        }
    }

    fn complete(self: Pin<&mut Self>) -> Result<(), SendError<T>> {
        let this = self.as_ref().get_ref();
        if this.stage().get() == Stage::Waiting {
            this.chan.synchronize();
        }
        // A value that is still here could not be sent.
        this.result(&Push::Closed)
    }

    fn retract(self: Pin<&mut Self>) {
        self.as_ref().get_ref().take_back();
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        each(self.told().arm);
    }

    fn may_be_ready(&self) -> bool {
        match self.stage().get() {
            Stage::New => self.chan.may_send_now(),
            _ => self.op.node.phase() != Phase::Queued,
        }
    }
}

impl<T> Tells for Sending<'_, T> {
    #[inline]
    fn node(&self) -> &Node {
        &self.op.node
    }

    fn told(&self) -> Told<'_> {
        let (node, core) = (&self.op.node, &self.core);
        Told { node, core, operation: Operation::Send, arm: Arm::Send(self.chan.id()) }
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("channel", &*self.chan).finish_non_exhaustive()
    }
}
