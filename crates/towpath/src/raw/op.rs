//! Send, receive and reserve as operations that can wait: futures, arms of a select, or a thread's call.
//!
//! What always holds:
//! - An operation that stands in a line leaves it before its memory goes away: `Drop` sees to tasks, and a thread's
//!   call returns only when it is done.
//! - Fields change through `Cell`s behind a shared reference, never through `&mut`, since others hold pointers to
//!   the node while it waits. `Node` is `!Unpin`, so the operation stays where it is.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    marker::PhantomData,
    mem::MaybeUninit,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll},
};

use super::{
    chan::{Chan, Mode, RecvEnd, SendEnd},
    claim::{Me, PLAIN},
    ring::Push,
    wait::{Core, Node, Patience, Phase},
};
use crate::{
    error::SendError,
    select::{ArmContext, SelectArm},
    sync::UnsafeCell,
};

/// What one try has come to.
pub(crate) enum Step<R> {
    Ready(R),
    /// It stands in line now.
    Waiting,
    /// It could not be done, and may not wait yet.
    NotNow,
    /// Another arm of the same select has been won meanwhile.
    Interrupted,
}

/// A receive: its place in line and the hands into which a sender may put the value.
#[repr(C)]
pub(crate) struct RecvOp<T> {
    pub(super) node: Node,
    slot: UnsafeCell<MaybeUninit<T>>,
}

impl<T> RecvOp<T> {
    fn new() -> Self {
        Self { node: Node::new(), slot: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// # Safety
    /// The slot is empty, and the caller alone may write it (it has claimed the receiver, or owns it).
    pub(super) unsafe fn put(&self, value: T) {
        // SAFETY: the caller's promise.
        self.slot.with_mut(|slot| unsafe { (*slot).write(value) });
    }

    /// # Safety
    /// The slot is full, and the caller alone may read it; it is empty afterwards.
    pub(super) unsafe fn get(&self) -> T {
        // SAFETY: the caller's promise.
        self.slot.with(|slot| unsafe { (*slot).assume_init_read() })
    }
}

/// A send: its place in line and its value.
#[repr(C)]
pub(crate) struct SendOp<T> {
    pub(super) node: Node,
    pub(super) value: UnsafeCell<Option<T>>,
}

impl<T> SendOp<T> {
    fn new(value: Option<T>) -> Self {
        Self { node: Node::new(), value: UnsafeCell::new(value) }
    }

    /// # Safety
    /// The caller alone may touch the value (it has claimed the sender, or owns it while in no line).
    pub(super) unsafe fn take(&self) -> Option<T> {
        // SAFETY: the caller's promise.
        self.value.with_mut(|value| unsafe { (*value).take() })
    }
}

/// A reservation: a place in line.
#[repr(C)]
pub(crate) struct ReserveOp {
    pub(super) node: Node,
}

/// The channel an operation works on. A pointer rather than a reference, so that an operation can also live beside
/// the `Arc` that keeps its channel alive (`compose.rs`).
pub(super) struct ChanRef<'a, T> {
    chan: NonNull<Chan<T>>,
    borrowed: PhantomData<&'a ()>,
}

impl<T> ChanRef<'_, T> {
    /// The caller sees to it that the channel lives for the lifetime it chooses.
    #[inline]
    fn new(chan: &Chan<T>) -> Self {
        Self { chan: NonNull::from(chan), borrowed: PhantomData }
    }
}

impl<T> std::ops::Deref for ChanRef<'_, T> {
    type Target = Chan<T>;

    #[inline]
    fn deref(&self) -> &Chan<T> {
        // SAFETY: the end that was borrowed, or the `Arc` beside the operation, keeps it alive.
        unsafe { self.chan.as_ref() }
    }
}

/// How far an operation has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Not tried yet, or taken back.
    New,
    /// It stands in line, or has been told to try again, or was done by the other side.
    Waiting,
    /// Done as an arm, the result waits to be collected.
    Won,
    Done,
}

const POLLED_AFTER_DONE: &str = "polled again after it had finished";

/// Waits on one operation of its own; for the futures below.
fn plain(core: &Core) -> Me<'_> {
    Me { core, arm: 0, exposed: false, takeable: false, may_wait: true }
}

/// Whether a waiting future has news; its waker is in place if not.
fn has_news<T>(chan: &Chan<T>, core: &Core, cx: &Context<'_>) -> bool {
    core.notified() || core.arm_in_line(chan, cx.waker())
}

/// How the first wait of a future has begun.
enum FirstWait<R> {
    Ready(R),
    /// There is something to try on a queue without a lock.
    Retry,
    /// It was told to look again before it parked.
    News,
    Parked,
}

/// Begins to wait: parks, or looks a little longer first if that has paid before. `ready` is for queues that can be
/// looked at without standing in line; at the others one stands in line without a waker meanwhile, as a thread does.
fn first_wait<T, R>(
    chan: &Chan<T>,
    patience: &Patience,
    core: &Core,
    cx: &Context<'_>,
    ready: Option<impl Fn() -> bool>,
    advance: impl FnOnce(&Me<'_>) -> Option<R>,
) -> FirstWait<R> {
    let stand = |advance: Option<R>| match advance {
        Some(result) => FirstWait::Ready(result),
        None => FirstWait::Parked,
    };
    if !patience.pays() {
        core.arm_alone(cx.waker());
        return stand(advance(&plain(core)));
    }
    if let Some(ready) = ready {
        if patience.look(ready) {
            return FirstWait::Retry;
        }
        core.arm_alone(cx.waker());
        return stand(advance(&plain(core)));
    }
    if let Some(result) = advance(&plain(core)) {
        return FirstWait::Ready(result);
    }
    if patience.look(|| core.notified()) || core.arm_in_line(chan, cx.waker()) {
        return FirstWait::News;
    }
    FirstWait::Parked
}

/// Runs `step` on this thread until it is ready.
fn block<T, R>(
    chan: &Chan<T>,
    core: &Core,
    mut step: impl FnMut(&Me<'_>) -> Option<R>,
) -> R {
    loop {
        let me = Me { core, arm: 0, exposed: false, takeable: true, may_wait: true };
        if let Some(result) = step(&me) {
            return result;
        }
        core.wait_thread_in_line(chan);
    }
}

// ---- receiving -------------------------------------------------------------------------------------------------------

/// A receive that is under way: a future, and an arm for [`select!`](crate::select!).
///
/// Made by [`Receiver::recv`](crate::Receiver::recv) and [`SharedReceiver::recv`](crate::SharedReceiver::recv).
#[must_use = "a receive does nothing until it is awaited or selected on"]
pub struct Receiving<'a, T> {
    chan: ChanRef<'a, T>,
    mode: Mode,
    stage: Cell<Stage>,
    /// As an arm: the result is the end of the channel, not a value.
    ended: Cell<bool>,
    core: Core,
    op: RecvOp<T>,
}

// SAFETY: the operation moves with its task between polls; everything that others reach of it is guarded by the line's
// lock. Attacked by `it::cancel::future_moves_between_threads` under ThreadSanitizer.
unsafe impl<T: Send> Send for Receiving<'_, T> {}

impl<'a, T> Receiving<'a, T> {
    /// A receive on `end`, which stays borrowed exclusively: so it is the only one on an exclusive end.
    #[inline]
    pub(crate) fn new(end: &'a mut RecvEnd<T>) -> Self {
        // SAFETY: `end` stays borrowed exclusively.
        unsafe { Self::on(end.chan(), end.mode()) }
    }

    /// A receive whose channel `chan` the caller keeps alive, and whose exclusiveness it sees to.
    pub(super) unsafe fn on(chan: &Chan<T>, mode: Mode) -> Self {
        Self {
            chan: ChanRef::new(chan),
            mode,
            stage: Cell::new(Stage::New),
            ended: Cell::new(false),
            core: Core::new(PLAIN),
            op: RecvOp::new(),
        }
    }

    /// More of what is there now, after a receive that has finished.
    pub(super) fn take_more(&self, limit: usize, out: &mut Vec<T>) -> usize {
        // SAFETY: the mode is that of the end that is borrowed.
        unsafe { self.chan.take_many(self.mode, limit, out) }
    }

    /// Ready for the next message, after a receive that has finished.
    pub(super) fn again(&self) {
        debug_assert_eq!(self.stage.get(), Stage::Done);
        self.stage.set(Stage::New);
    }

    /// Receives on this thread.
    pub(crate) fn wait(end: &'a mut RecvEnd<T>) -> Option<T> {
        // A message that is already there, or will be in a moment.
        if !end.chan().is_meet() {
            let mut backoff = super::wait::Backoff::new();
            loop {
                if let Ok(end_or_value) = end.try_recv() {
                    return end_or_value;
                }
                if !backoff.spin_or_yield() {
                    break;
                }
            }
        }
        let this = std::pin::pin!(Self::new(end));
        let this = this.as_ref().get_ref();
        block(&this.chan, &this.core, |me| this.advance(me))
    }

    /// Collects what a notice has brought, or tries (again). `None`: it stands in line.
    fn advance(&self, me: &Me<'_>) -> Option<Option<T>> {
        if self.stage.get() == Stage::Waiting && self.op.node.phase() == Phase::Done {
            self.stage.set(Stage::Done);
            // SAFETY: `Done` says that a value was put there for us and that its sender has let go.
            return Some(Some(unsafe { self.op.get() }));
        }
        self.core.reset_if_thread(me);
        // SAFETY: pinned by our callers, owned by this core, and `Drop` retracts; the mode is that of the end that
        // `new` borrowed.
        match unsafe { self.chan.recv_step(&self.op, me, self.mode) } {
            Step::Ready(end_or_value) => {
                self.stage.set(Stage::Done);
                Some(end_or_value)
            }
            Step::Waiting | Step::NotNow | Step::Interrupted => {
                self.stage.set(Stage::Waiting);
                None
            }
        }
    }
}

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.as_ref().get_ref();
        match this.stage.get() {
            Stage::New => loop {
                // Most messages are there already; then no waker need be cloned.
                if this.chan.may_recv()
                    // SAFETY: the mode is that of the end that `new` borrowed.
                    && let Ok(end_or_value) = unsafe { this.chan.try_recv(this.mode, false) }
                {
                    this.stage.set(Stage::Done);
                    return Poll::Ready(end_or_value);
                }
                let ready = (!this.chan.is_meet()).then_some(|| this.chan.recv_ready());
                let patience = this.chan.recv_patience();
                match first_wait(&this.chan, patience, &this.core, cx, ready, |me| this.advance(me)) {
                    FirstWait::Ready(end_or_value) => return Poll::Ready(end_or_value),
                    FirstWait::Parked => return Poll::Pending,
                    FirstWait::Retry => {}
                    FirstWait::News => break,
                }
            },
            Stage::Waiting => {
                if !has_news(&this.chan, &this.core, cx) {
                    return Poll::Pending;
                }
            }
            Stage::Won | Stage::Done => panic!("a receive was {POLLED_AFTER_DONE}"),
        }
        if this.op.node.phase() != Phase::Done {
            this.core.arm_alone(cx.waker());
        }
        match this.advance(&plain(&this.core)) {
            Some(end_or_value) => Poll::Ready(end_or_value),
            None => Poll::Pending,
        }
    }
}

impl<T> SelectArm for Receiving<'_, T> {
    type Output = Option<T>;

    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let this = self.as_ref().get_ref();
        if this.stage.get() == Stage::Waiting
            && matches!(this.op.node.phase(), Phase::Queued | Phase::Done)
        {
            return Poll::Pending;
        }
        if !cx.may_wait() {
            if this.chan.is_meet() {
                cx.meets();
            }
            // SAFETY: the mode is that of the end that `new` borrowed.
            return match unsafe { this.chan.try_recv(this.mode, cx.insists()) } {
                Ok(end_or_value) => this.won(end_or_value),
                Err(()) => Poll::Pending,
            };
        }
        // SAFETY: pinned, owned by the select's core, and retracted by the select or by `Drop`.
        match unsafe { this.chan.recv_step(&this.op, cx.me(), this.mode) } {
            Step::Ready(end_or_value) => this.won(end_or_value),
            Step::Waiting => {
                this.stage.set(Stage::Waiting);
                cx.expose();
                Poll::Pending
            }
            Step::NotNow | Step::Interrupted => Poll::Pending,
        }
    }

    fn complete(self: Pin<&mut Self>) -> Option<T> {
        let this = self.as_ref().get_ref();
        if this.stage.get() == Stage::Waiting {
            // Won for us by a sender, who may not have let go yet.
            this.chan.synchronize();
            debug_assert_eq!(this.op.node.phase(), Phase::Done);
        }
        let full = !this.ended.get();
        this.stage.set(Stage::Done);
        // SAFETY: not ended, so the slot is full: `won` or a sender has filled it.
        full.then(|| unsafe { this.op.get() })
    }

    fn retract(self: Pin<&mut Self>) {
        self.as_ref().get_ref().take_back();
    }
}

impl<T> Receiving<'_, T> {
    fn won(&self, end_or_value: Option<T>) -> Poll<()> {
        self.stage.set(Stage::Won);
        match end_or_value {
            // SAFETY: in no line, so the slot is ours, and empty.
            Some(value) => unsafe { self.op.put(value) },
            None => self.ended.set(true),
        }
        Poll::Ready(())
    }

    fn take_back(&self) {
        match self.stage.get() {
            Stage::Waiting => {
                self.stage.set(Stage::New);
                // SAFETY: it was stepped on this channel.
                unsafe { self.chan.retract_recv(&self.op) };
            }
            Stage::Won => {
                // Only a select that is dropped between winning and collecting gets here.
                self.stage.set(Stage::Done);
                if !self.ended.get() {
                    // SAFETY: `won` has filled the slot.
                    drop(unsafe { self.op.get() });
                }
            }
            Stage::New | Stage::Done => {}
        }
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        self.take_back();
    }
}

// ---- sending ---------------------------------------------------------------------------------------------------------

/// A send that is under way: a future, and an arm for [`select!`](crate::select!).
///
/// Made by [`Sender::send`](crate::Sender::send).
#[must_use = "a send does nothing until it is awaited or selected on"]
pub struct Sending<'a, T> {
    chan: ChanRef<'a, T>,
    stage: Cell<Stage>,
    core: Core,
    op: SendOp<T>,
}

// SAFETY: as for `Receiving`.
unsafe impl<T: Send> Send for Sending<'_, T> {}

impl<'a, T> Sending<'a, T> {
    #[inline]
    pub(crate) fn new(end: &'a SendEnd<T>, value: Option<T>) -> Self {
        Self {
            chan: ChanRef::new(end.chan()),
            stage: Cell::new(Stage::New),
            core: Core::new(PLAIN),
            op: SendOp::new(value),
        }
    }

    /// Sends on this thread.
    pub(crate) fn wait(end: &'a SendEnd<T>, value: T) -> Result<(), SendError<T>> {
        let mut value = Some(value);
        let mut backoff = super::wait::Backoff::new();
        while !end.chan().is_meet() {
            match (end.try_send(&mut value), value.take()) {
                (Push::Closed, Some(value)) => return Err(SendError(value)),
                (Push::Full, Some(back)) => value = Some(back),
                _ => return Ok(()),
            }
            if !backoff.spin_or_yield() {
                break;
            }
        }
        let this = std::pin::pin!(Self::new(end, value));
        let this = this.as_ref().get_ref();
        block(&this.chan, &this.core, |me| this.advance(me))
    }

    /// A send that has nothing to send yet.
    pub(super) fn idle(end: &'a SendEnd<T>) -> Self {
        let this = Self::new(end, None);
        this.stage.set(Stage::Done);
        this
    }

    /// Ready to send `value`, after a send that has finished.
    pub(super) fn again(&self, value: T) {
        debug_assert_eq!(self.stage.get(), Stage::Done);
        // SAFETY: in no line, so the value is ours.
        self.op.value.with_mut(|slot| unsafe { *slot = Some(value) });
        self.stage.set(Stage::New);
    }

    /// The value, if it has not been sent: what a lost select arm still holds.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        let this = self.as_ref().get_ref();
        this.take_back();
        // SAFETY: in no line now, so the value is ours.
        unsafe { this.op.take() }
    }

    fn result(&self, done: &Push) -> Result<(), SendError<T>> {
        self.stage.set(Stage::Done);
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
        if self.stage.get() == Stage::Waiting && self.op.node.phase() == Phase::Done {
            return Some(self.result(&Push::Done));
        }
        self.core.reset_if_thread(me);
        // SAFETY: pinned by our callers, owned by this core, and `Drop` retracts.
        match unsafe { self.chan.send_step(&self.op, me) } {
            Step::Ready(done) => Some(self.result(&done)),
            Step::Waiting | Step::NotNow | Step::Interrupted => {
                self.stage.set(Stage::Waiting);
                None
            }
        }
    }

    fn take_back(&self) {
        if self.stage.get() == Stage::Waiting {
            self.stage.set(Stage::New);
            // SAFETY: it was stepped on this channel.
            unsafe { self.chan.retract_send(&self.op.node) };
        }
    }
}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_ref().get_ref();
        match this.stage.get() {
            Stage::New => loop {
                if this.chan.may_send() {
                    // SAFETY: in no line, so the value is ours.
                    let done =
                        this.op.value.with_mut(|value| this.chan.try_send(unsafe { &mut *value }));
                    if done != Push::Full {
                        return Poll::Ready(this.result(&done));
                    }
                }
                let ready = (!this.chan.is_meet()).then_some(|| this.chan.send_ready());
                let patience = this.chan.send_patience();
                match first_wait(&this.chan, patience, &this.core, cx, ready, |me| this.advance(me)) {
                    FirstWait::Ready(sent) => return Poll::Ready(sent),
                    FirstWait::Parked => return Poll::Pending,
                    FirstWait::Retry => {}
                    FirstWait::News => break,
                }
            },
            Stage::Waiting => {
                if !has_news(&this.chan, &this.core, cx) {
                    return Poll::Pending;
                }
            }
            Stage::Won | Stage::Done => panic!("a send was {POLLED_AFTER_DONE}"),
        }
        // Whoever has been granted its turn nearly always succeeds: try before cloning the waker again.
        if this.op.node.phase() == Phase::Granted {
            let me = Me { may_wait: false, ..plain(&this.core) };
            if let Some(sent) = this.advance(&me) {
                return Poll::Ready(sent);
            }
        }
        this.core.arm_alone(cx.waker());
        match this.advance(&plain(&this.core)) {
            Some(sent) => Poll::Ready(sent),
            None => Poll::Pending,
        }
    }
}

impl<T> SelectArm for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let this = self.as_ref().get_ref();
        if this.stage.get() == Stage::Waiting
            && matches!(this.op.node.phase(), Phase::Queued | Phase::Done)
        {
            return Poll::Pending;
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
            this.stage.set(Stage::Won);
            return Poll::Ready(());
        }
        // SAFETY: pinned, owned by the select's core, and retracted by the select or by `Drop`.
        match unsafe { this.chan.send_step(&this.op, cx.me()) } {
            Step::Ready(_) => {
                this.stage.set(Stage::Won);
                Poll::Ready(())
            }
            Step::Waiting => {
                this.stage.set(Stage::Waiting);
                cx.expose();
                Poll::Pending
            }
            Step::NotNow | Step::Interrupted => Poll::Pending,
        }
    }

    fn complete(self: Pin<&mut Self>) -> Result<(), SendError<T>> {
        let this = self.as_ref().get_ref();
        if this.stage.get() == Stage::Waiting {
            this.chan.synchronize();
        }
        // A value that is still here could not be sent.
        this.result(&Push::Closed)
    }

    fn retract(self: Pin<&mut Self>) {
        self.as_ref().get_ref().take_back();
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        self.take_back();
    }
}

// ---- reserving -------------------------------------------------------------------------------------------------------

/// A reservation that is under way; `Permit`s are made of it in `channel/permit.rs`.
pub(crate) struct Reservation<'a, T> {
    chan: ChanRef<'a, T>,
    stage: Cell<Stage>,
    closed: Cell<bool>,
    core: Core,
    op: ReserveOp,
}

// SAFETY: as for `Receiving`.
unsafe impl<T: Send> Send for Reservation<'_, T> {}

impl<'a, T> Reservation<'a, T> {
    pub(crate) fn new(end: &'a SendEnd<T>) -> Self {
        Self::on(end.chan())
    }

    /// A reservation whose channel the caller keeps alive.
    pub(super) fn on(chan: &Chan<T>) -> Self {
        Self {
            chan: ChanRef::new(chan),
            stage: Cell::new(Stage::New),
            closed: Cell::new(false),
            core: Core::new(PLAIN),
            op: ReserveOp { node: Node::new() },
        }
    }

    /// Waits on this thread. True: a place is kept; false: the receivers are gone.
    pub(crate) fn wait(end: &'a SendEnd<T>) -> bool {
        let this = std::pin::pin!(Self::new(end));
        let this = this.as_ref().get_ref();
        block(&this.chan, &this.core, |me| this.advance(me))
    }

    fn advance(&self, me: &Me<'_>) -> Option<bool> {
        self.core.reset_if_thread(me);
        // SAFETY: pinned by our callers, owned by this core, and `Drop` retracts.
        match unsafe { self.chan.reserve_step(&self.op, me) } {
            Step::Ready(done) => {
                self.stage.set(Stage::Done);
                Some(done == Push::Done)
            }
            Step::Waiting | Step::NotNow | Step::Interrupted => {
                self.stage.set(Stage::Waiting);
                None
            }
        }
    }

    pub(crate) fn poll(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<bool> {
        let this = self.as_ref().get_ref();
        match this.stage.get() {
            Stage::New => {
                this.core.arm_alone(cx.waker());
            }
            Stage::Waiting => {
                if !has_news(&this.chan, &this.core, cx) {
                    return Poll::Pending;
                }
                this.core.arm_alone(cx.waker());
            }
            Stage::Won | Stage::Done => panic!("a reservation was {POLLED_AFTER_DONE}"),
        }
        match this.advance(&plain(&this.core)) {
            Some(kept) => Poll::Ready(kept),
            None => Poll::Pending,
        }
    }

    pub(crate) fn poll_arm(self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let this = self.as_ref().get_ref();
        if this.stage.get() == Stage::Waiting && this.op.node.phase() == Phase::Queued {
            return Poll::Pending;
        }
        let done = if cx.may_wait() {
            // SAFETY: pinned, owned by the select's core, and retracted by the select or by `Drop`.
            match unsafe { this.chan.reserve_step(&this.op, cx.me()) } {
                Step::Ready(done) => done,
                Step::Waiting => {
                    this.stage.set(Stage::Waiting);
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
        this.closed.set(done == Push::Closed);
        this.stage.set(Stage::Won);
        Poll::Ready(())
    }

    /// After `poll_arm` was ready. True: a place is kept.
    pub(crate) fn complete(self: Pin<&mut Self>) -> bool {
        let this = self.as_ref().get_ref();
        this.stage.set(Stage::Done);
        !this.closed.get()
    }

    /// Ready for the next place, after a reservation that has finished.
    #[cfg(feature = "futures")]
    pub(super) fn again(&self) {
        debug_assert_eq!(self.stage.get(), Stage::Done);
        self.stage.set(Stage::New);
    }

    pub(crate) fn take_back(&self) {
        match self.stage.get() {
            Stage::Waiting => {
                self.stage.set(Stage::New);
                // SAFETY: it was stepped on this channel.
                unsafe { self.chan.retract_send(&self.op.node) };
            }
            Stage::Won => {
                self.stage.set(Stage::Done);
                if !self.closed.get() {
                    self.chan.unreserve();
                }
            }
            Stage::New | Stage::Done => {}
        }
    }
}

impl<T> Drop for Reservation<'_, T> {
    fn drop(&mut self) {
        self.take_back();
    }
}

impl<T> fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("channel", &*self.chan).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("channel", &*self.chan).finish_non_exhaustive()
    }
}
