//! A receive as an operation that can wait; `op.rs` says what always holds.

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
    chan::{Chan, Mode},
    claim::{Me, PLAIN},
    ends::RecvEnd,
    line::{Node, Phase},
    op::{
        ChanRef, FirstWait, POLLED_AFTER_DONE, RecvOp, Stage, Step, Tells, Told, block, first_wait,
        has_news, plain,
    },
    wait::Core,
};
use crate::{
    probe::{Arm, Operation, Unpark},
    rt::Op,
    select::{ArmContext, SelectArm},
};

/// A receive that is under way: a future, and an arm for [`select!`](crate::select!).
///
/// Made by [`Receiver::recv`](crate::Receiver::recv) and [`SharedReceiver::recv`](crate::SharedReceiver::recv).
#[must_use = "a receive does nothing until it is awaited or selected on"]
pub struct Receiving<'a, T> {
    chan: ChanRef<'a, T>,
    core: Core,
    op: RecvOp<T>,
}

// SAFETY: the operation moves with its task between polls; everything that others reach of it is guarded by the line's
// lock. Attacked by `it::cancel::future_moves_between_threads` under ThreadSanitizer.
unsafe impl<T: Send> Send for Receiving<'_, T> {}

impl<'a, T> Receiving<'a, T> {
    /// A receive on `end`, which stays borrowed exclusively: so it is the only one on an exclusive end.
    #[inline]
    #[track_caller]
    pub(crate) fn new<const SHARED: bool>(end: &'a mut RecvEnd<T, SHARED>) -> Self {
        // SAFETY: `end` stays borrowed exclusively.
        unsafe { Self::on(end.chan(), end.mode()) }
    }

    /// A receive on a channel that outlives it by other means than a borrow.
    ///
    /// # Safety
    /// The caller keeps `chan` alive for `'a`; and with `Mode::Exclusive` nothing else receives while this is used.
    #[inline]
    #[track_caller]
    pub(super) unsafe fn on(chan: &Chan<T>, mode: Mode) -> Self {
        Self { chan: ChanRef::new(chan), core: Core::new(PLAIN), op: RecvOp::of(mode) }
    }

    #[inline]
    fn mode(&self) -> Mode {
        if self.op.node.is_shared() { Mode::Shared } else { Mode::Exclusive }
    }

    #[inline]
    fn stage(&self) -> &Cell<Stage> {
        &self.op.node.stage
    }

    /// More of what is there now, after a receive that has finished.
    pub(super) fn take_more(&self, limit: usize, out: &mut Vec<T>) -> usize {
        // SAFETY: the mode is that of the end that is borrowed.
        unsafe { self.chan.take_many(self.mode(), limit, out) }
    }

    /// Ready for the next message, after a receive that has finished.
    pub(super) fn again(&self) {
        debug_assert_eq!(self.stage().get(), Stage::Done);
        self.stage().set(Stage::New);
    }

    /// Receives on this thread.
    #[track_caller]
    pub(crate) fn wait<const SHARED: bool>(end: &'a mut RecvEnd<T, SHARED>) -> Option<T> {
        end.chan().begin(Op::Recv, Location::caller());
        // A message that is already there, or will be in a moment.
        if !end.chan().is_meet() {
            let mut backoff = Backoff::new();
            loop {
                if let Ok(end_or_value) = end.try_recv() {
                    return end_or_value;
                }
                let gathered = backoff.is_new() && end.chan().gather_messages();
                if !gathered && !backoff.spin_or_yield() {
                    break;
                }
            }
        }
        let this = std::pin::pin!(Self::new(end));
        let this = this.as_ref().get_ref();
        block(&this.chan, &this.core, this, |me| this.advance(me))
    }

    /// Collects what a notice has brought, or tries (again). `None`: it stands in line.
    fn advance(&self, me: &Me<'_>) -> Option<Option<T>> {
        if self.stage().get() == Stage::Waiting && self.op.node.phase() == Phase::Done {
            self.stage().set(Stage::Done);
            self.chan.confirm(self.mode(), &self.op.node);
            // SAFETY: `Done` says that a value was put there for us and that its sender has let go.
            return Some(Some(unsafe { self.op.get() }));
        }
        // SAFETY: pinned by our callers, owned by this core, and `Drop` retracts; the mode is that of the end that
        // `new` borrowed.
        match unsafe { self.chan.recv_step(&self.op, me, self.mode()) } {
            Step::Ready(end_or_value) => {
                self.stage().set(Stage::Done);
                Some(end_or_value)
            }
            Step::Waiting | Step::NotNow | Step::Interrupted => {
                self.stage().set(Stage::Waiting);
                None
            }
        }
    }
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.as_ref().get_ref();
        if this.stage().get() == Stage::New {
            this.begin();
        }
        match this.stage().get() {
            Stage::New => loop {
                // Most messages are there already; then no waker need be cloned.
                if this.chan.may_recv()
                    // SAFETY: the mode is that of the end that `new` borrowed.
                    && let Ok(end_or_value) = unsafe { this.chan.try_recv(this.mode(), false) }
                {
                    this.stage().set(Stage::Done);
                    return Poll::Ready(end_or_value);
                }
                let ready = (!this.chan.is_meet()).then_some(|| this.chan.recv_ready());
                let patience = this.chan.recv_patience();
                match first_wait(&this.chan, patience, &this.core, cx, ready, |me| this.advance(me))
                {
                    FirstWait::Ready(end_or_value) => return Poll::Ready(end_or_value),
                    FirstWait::Parked => {
                        this.park();
                        return Poll::Pending;
                    }
                    FirstWait::Retry => {}
                    FirstWait::News => break,
                }
            },
            Stage::Waiting => {
                if !has_news(&this.chan, &this.core, cx) {
                    this.pending();
                    return Poll::Pending;
                }
            }
            Stage::Won | Stage::WonEnd | Stage::Done => panic!("a receive was {POLLED_AFTER_DONE}"),
        }
        if this.op.node.phase() != Phase::Done {
            this.core.arm_alone(cx.waker());
        }
        match this.advance(&plain(&this.core)) {
            Some(end_or_value) => {
                this.unpark(Unpark::Done);
                Poll::Ready(end_or_value)
            }
            None => {
                this.park();
                Poll::Pending
            }
        }
    }
}

impl<T> SelectArm for Receiving<'_, T> {
    type Output = Option<T>;

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
            // SAFETY: the mode is that of the end that `new` borrowed.
            return match unsafe { this.chan.try_recv(this.mode(), cx.insists()) } {
                Ok(end_or_value) => this.won(end_or_value),
                Err(()) => Poll::Pending,
            };
        }
        // SAFETY: pinned, owned by the select's core, and retracted by the select or by `Drop`.
        match unsafe { this.chan.recv_step(&this.op, cx.me(), this.mode()) } {
            Step::Ready(end_or_value) => this.won(end_or_value),
            Step::Waiting => {
                this.stage().set(Stage::Waiting);
                cx.expose();
                Poll::Pending
            }
            Step::NotNow | Step::Interrupted => Poll::Pending,
        }
    }

    fn complete(self: Pin<&mut Self>) -> Option<T> {
        let this = self.as_ref().get_ref();
        if this.stage().get() == Stage::Waiting {
            // Won for us by a sender, who may not have let go yet.
            this.chan.synchronize();
            debug_assert_eq!(this.op.node.phase(), Phase::Done);
            this.chan.confirm(this.mode(), &this.op.node);
        }
        let full = this.stage().replace(Stage::Done) != Stage::WonEnd;
        // SAFETY: not the end, so the slot is full: `won` or a sender has filled it.
        full.then(|| unsafe { this.op.get() })
    }

    fn retract(self: Pin<&mut Self>) {
        self.as_ref().get_ref().take_back();
    }

    fn is_promised(&self) -> bool {
        self.stage().get() == Stage::New && self.chan.is_promised()
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        each(self.told().arm);
    }

    fn may_be_ready(&self) -> bool {
        match self.stage().get() {
            Stage::New => self.chan.may_recv_now(),
            _ => self.op.node.phase() != Phase::Queued,
        }
    }
}

impl<T> Receiving<'_, T> {
    fn won(&self, end_or_value: Option<T>) -> Poll<()> {
        match end_or_value {
            Some(value) => {
                self.stage().set(Stage::Won);
                // SAFETY: in no line, so the slot is ours, and empty.
                unsafe { self.op.put(value) };
            }
            None => self.stage().set(Stage::WonEnd),
        }
        Poll::Ready(())
    }

    /// Leaves nothing behind; most operations have nothing to leave, and a select takes all its arms back.
    #[inline]
    fn take_back(&self) {
        if matches!(self.stage().get(), Stage::Waiting | Stage::Won) {
            self.take_back_begun();
        }
    }

    #[inline(never)]
    fn take_back_begun(&self) {
        match self.stage().get() {
            Stage::Waiting => {
                self.unpark(Unpark::TakenBack);
                self.stage().set(Stage::New);
                // SAFETY: it was stepped on this channel.
                unsafe { self.chan.retract_recv(&self.op) };
            }
            Stage::Won => {
                // Only a select that is dropped between winning and collecting gets here.
                self.stage().set(Stage::Done);
                // SAFETY: `won` has filled the slot.
                drop(unsafe { self.op.get() });
            }
            Stage::New | Stage::WonEnd | Stage::Done => {}
        }
    }
}

impl<T> Tells for Receiving<'_, T> {
    #[inline]
    fn node(&self) -> &Node {
        &self.op.node
    }

    fn told(&self) -> Told<'_> {
        let (node, core) = (&self.op.node, &self.core);
        Told { node, core, operation: Operation::Recv, arm: Arm::Recv(self.chan.id()) }
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl<T> fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("channel", &*self.chan).finish_non_exhaustive()
    }
}
