//! Send, receive and reserve as operations that can wait: futures, arms of a select, or a thread's call.
//!
//! What always holds:
//! - An operation that stands in a line leaves it before its memory goes away: `Drop` sees to tasks, and a thread's
//!   call returns only when it is done.
//! - Fields change through `Cell`s behind a shared reference, never through `&mut`, since others hold pointers to
//!   the node while it waits. `Node` is `!Unpin`, so the operation stays where it is.

use std::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::{self, NonNull},
    task::Context,
};

use super::{
    backoff::Patience,
    chan::{Chan, Mode},
    claim::Me,
    line::Node,
    wait::Core,
};
use crate::{
    probe::{self, Arm, Operation, Unpark},
    rt::{Op, sim},
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
    #[inline]
    #[track_caller]
    fn new() -> Self {
        Self { node: Node::new(), slot: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// A receive on an end of this mode.
    #[inline]
    #[track_caller]
    pub(super) fn of(mode: Mode) -> Self {
        let op = Self::new();
        op.node.set_shared(mode == Mode::Shared);
        op
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
    #[inline]
    #[track_caller]
    pub(super) fn new(value: Option<T>) -> Self {
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
    pub(super) fn new(chan: &Chan<T>) -> Self {
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
#[repr(u8)]
pub(super) enum Stage {
    /// Not tried yet, or taken back.
    New,
    /// It stands in line, or has been told to try again, or was done by the other side.
    Waiting,
    /// Done as an arm, the result waits to be collected.
    Won,
    /// As `Won`, and the result is that there is nothing to be had: the channel is closed.
    WonEnd,
    Done,
}

pub(super) const POLLED_AFTER_DONE: &str = "polled again after it had finished";

/// Waits on one operation of its own; for the futures below.
pub(super) fn plain(core: &Core) -> Me<'_> {
    Me { core, arm: 0, arms: 1, exposed: false, takeable: false, may_wait: true }
}

/// Whether a waiting future has news; its waker is in place if not.
pub(super) fn has_news<T>(chan: &Chan<T>, core: &Core, cx: &Context<'_>) -> bool {
    core.notified() || core.arm_in_line(chan, cx.waker())
}

/// What the probe is told of an operation that waits by itself, not as an arm of a select.
///
/// What always holds: who was told of is `Waiting`; leaving that stage ends it. So every `park` has one `unpark`.
pub(super) struct Told<'a> {
    pub(super) node: &'a Node,
    pub(super) core: &'a Core,
    pub(super) operation: Operation,
    /// What it waits for.
    pub(super) arm: Arm,
}

/// An operation that the probe is told of. What is done without one is small enough for every path that waits; the rest
/// is out of the way of those that do not.
pub(super) trait Tells {
    fn node(&self) -> &Node;

    fn told(&self) -> Told<'_>;

    /// It is about to wait, perhaps once more.
    #[inline]
    fn park(&self) {
        if probe::wants_wait() {
            tell_park(self);
        }
        self.pending();
    }

    /// Tells the simulator that its turn may end in this wait.
    #[inline]
    fn pending(&self) {
        if sim::is_active() {
            let told = self.told();
            let (op, object) = told.simulated();
            sim::pending(op, object, Some(told.node.at()));
        }
    }

    /// It is about to be tried for the first time: in a simulation others may go first.
    #[inline]
    fn begin(&self) {
        if sim::is_active() {
            let told = self.told();
            let (op, object) = told.simulated();
            sim::point(op, object, Some(told.node.at()));
        }
    }

    /// It waits no more.
    #[inline]
    fn unpark(&self, how: Unpark) {
        if self.node().is_told() {
            tell_unpark(self, how);
        }
    }
}

#[cold]
#[inline(never)]
fn tell_park(op: &(impl Tells + ?Sized)) {
    if !op.node().is_told() {
        let told = op.told();
        op.node().set_told(probe::park(told.waiting(), &|each| each(told.arm)));
    }
}

#[cold]
#[inline(never)]
fn tell_unpark(op: &(impl Tells + ?Sized), how: Unpark) {
    op.node().set_told(false);
    probe::unpark(op.told().waiting(), how);
}

impl Told<'_> {
    /// For the simulator: what it does, to what.
    fn simulated(&self) -> (Op, usize) {
        Op::of(self.arm).unwrap_or((Op::Foreign, 0))
    }

    fn waiting(&self) -> probe::Waiting {
        let address = ptr::from_ref(self.core).addr();
        probe::Waiting { address, operation: self.operation, at: self.node.at() }
    }
}

/// How the first wait of a future has begun.
pub(super) enum FirstWait<R> {
    Ready(R),
    /// There is something to try on a queue without a lock.
    Retry,
    /// It was told to look again before it parked.
    News,
    Parked,
}

/// Begins to wait: parks, or looks a little longer first if that has paid before. `ready` is for queues that can be
/// looked at without standing in line; at the others one stands in line without a waker meanwhile, as a thread does.
pub(super) fn first_wait<T, R>(
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
    core.reset();
    if let Some(result) = advance(&plain(core)) {
        return FirstWait::Ready(result);
    }
    if patience.look(|| core.notified()) || core.arm_in_line(chan, cx.waker()) {
        return FirstWait::News;
    }
    FirstWait::Parked
}

/// Runs `step` on this thread until it is ready.
pub(super) fn block<T, R>(
    chan: &Chan<T>,
    core: &Core,
    op: &impl Tells,
    mut step: impl FnMut(&Me<'_>) -> Option<R>,
) -> R {
    let me = Me { core, arm: 0, arms: 1, exposed: false, takeable: true, may_wait: true };
    core.reset();
    if let Some(result) = step(&me) {
        return result;
    }
    loop {
        core.wait_thread_in_line(chan, || op.park());
        core.reset();
        if let Some(result) = step(&me) {
            op.unpark(Unpark::Done);
            return result;
        }
    }
}
