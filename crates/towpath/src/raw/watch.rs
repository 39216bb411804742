//! Lasting places in a line, for a `SelectSet`: whoever notifies one also notes which one it was, so that the set
//! finds a ready receiver among thousands in constant time.
//!
//! What always holds: a member is noted only when it leaves its line, and enters the line again only after the set has
//! looked at it, so each is noted at most once at a time. A note may outlive its member; then the look finds another
//! or none, which does no harm.

use std::{collections::VecDeque, pin::Pin};

use super::{
    claim::SET_MEMBER,
    ends::RecvEnd,
    line::{Node, Phase},
    lock::Lock,
    wait::Core,
};
use crate::{
    Receiver,
    sync::{Arc, AtomicBool, Ordering},
    waitfor::Arm,
};

/// The set as a waiter: its core, and the members to look at.
#[repr(C)]
pub(crate) struct SetCore {
    pub(crate) core: Core,
    noted: Lock<VecDeque<u32>>,
    /// Whether `noted` holds any: so that a look without news takes no lock. Changes under the lock.
    any: AtomicBool,
}

// SAFETY: the core's parts are atomics and a waker guarded by them; the rest is behind a lock. Attacked by `it::set`
// under ThreadSanitizer.
unsafe impl Send for SetCore {}
// SAFETY: as above; `Core::arm` is called by the set's owner only.
unsafe impl Sync for SetCore {}

impl SetCore {
    pub(crate) fn new() -> Self {
        Self {
            core: Core::new(SET_MEMBER),
            noted: Lock::new(VecDeque::new()),
            any: AtomicBool::new(false),
        }
    }

    /// The members noted since the last call, oldest first.
    pub(crate) fn take_noted(&self, mut each: impl FnMut(u32)) {
        // Who was told of a note by the core's signal sees it: the flag goes up before the signal.
        if self.any.load(Ordering::Acquire) {
            let mut noted = self.noted.lock();
            self.any.store(false, Ordering::Relaxed);
            noted.drain(..).for_each(&mut each);
        }
    }

    pub(crate) fn has_noted(&self) -> bool {
        !self.noted.lock().is_empty()
    }
}

/// # Safety
/// `node` belongs to a `Member`, it has just left its line, and the caller holds the lock of that line.
pub(super) unsafe fn note(node: &Node, phase: Phase) {
    node.set_phase(phase);
    // SAFETY: a member's core is the first field of a `SetCore` that the member keeps alive.
    unsafe {
        let set = &*node.core_ptr().cast::<SetCore>();
        let mut noted = set.noted.lock();
        noted.push_back(node.arm());
        set.any.store(true, Ordering::Release);
    }
}

/// A receiver that belongs to a set.
pub(crate) struct Member<T> {
    node: Node,
    set: Arc<SetCore>,
    receiver: Option<Receiver<T>>,
    index: u32,
}

// SAFETY: the node is reached by others only under the lock of its line. Attacked by `it::set` under ThreadSanitizer.
unsafe impl<T: Send> Send for Member<T> {}
// SAFETY: a shared reference to a member reaches nothing.
unsafe impl<T: Send> Sync for Member<T> {}

impl<T> Member<T> {
    #[track_caller]
    pub(crate) fn new(receiver: Receiver<T>, set: Arc<SetCore>, index: u32) -> Pin<Box<Self>> {
        Box::pin(Self { node: Node::new(), set, receiver: Some(receiver), index })
    }

    fn end(self: Pin<&mut Self>) -> Option<(&Node, &Arc<SetCore>, &mut RecvEnd<T>, u32)> {
        // SAFETY: only the node is pinned, and it is lent as a shared reference.
        let this = unsafe { self.get_unchecked_mut() };
        let end = this.receiver.as_mut()?.end_mut();
        Some((&this.node, &this.set, end, this.index))
    }

    /// For observers.
    pub(crate) fn arm(&self) -> Arm {
        self.receiver.as_ref().map_or(Arm::Foreign, |rx| Arm::Recv(rx.id()))
    }

    /// `Ok(None)`: its channel has ended. `Err`: nothing now.
    pub(crate) fn try_recv(self: Pin<&mut Self>) -> Result<Option<T>, ()> {
        self.end().map_or(Ok(None), |(_, _, end, _)| end.try_recv())
    }

    /// Whether looking again is any use; on a channel whose two sides meet at every message it is not, since there the
    /// other side goes on as soon as one stands in line.
    pub(crate) fn may_rest(&self) -> bool {
        self.receiver.as_ref().is_some_and(|receiver| !receiver.is_meet())
    }

    /// Waits to be noted. False: there is something to try now.
    pub(crate) fn watch(self: Pin<&mut Self>) -> bool {
        let Some((node, set, end, index)) = self.end() else { return false };
        // SAFETY: pinned in its box; `Drop` and `into_receiver` leave the line.
        node.phase() == Phase::Queued || unsafe { end.chan().watch(node, set, index) }
    }

    /// The receiver back, out of every line.
    pub(crate) fn into_receiver(mut self: Pin<Box<Self>>) -> Option<Receiver<T>> {
        self.as_mut().unwatch();
        // SAFETY: only the node is pinned.
        unsafe { self.as_mut().get_unchecked_mut() }.receiver.take()
    }

    fn unwatch(self: Pin<&mut Self>) {
        if let Some((node, _, end, _)) = self.end() {
            // SAFETY: it stands in no other line than this channel's, if in any.
            unsafe { end.chan().unwatch(node) };
        }
    }
}

impl<T> Drop for Member<T> {
    fn drop(&mut self) {
        // SAFETY: it was pinned from the start, and is not moved here.
        unsafe { Pin::new_unchecked(self) }.unwatch();
    }
}
