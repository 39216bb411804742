//! The two waiting lines beside a queue that works without a lock (`ring.rs`, `list.rs`).
//!
//! Waiting is by *readiness*: whoever makes room or brings a message tells the first in line to try again. Between
//! the notice and the try a newcomer may be faster; the loser then stands at the front again, so that those who wait
//! are still served first come, first served.
//!
//! Why no notice is lost (Dekker's argument): a waiter enters its line and sets its flag, then looks at the queue
//! once more; the other side changes the queue, then looks at the flag. Flag and queue index are read and written
//! sequentially consistent, so one of the two sees the other. Attacked by `loom::ring_*` and `loom::list_*`.

use super::{
    claim::Me,
    line::{Node, Phase, WaitList, Wakes},
    lock::Lock,
    seen::Parked,
};
use crate::sync::{AtomicU32, Ordering, fence_in_models};

/// Which of the two lines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u32)]
pub(crate) enum Side {
    Recv = 1,
    Send = 2,
}

const SENDERS_GONE: u32 = 4;

struct Lines {
    recv: WaitList,
    send: WaitList,
}

impl Lines {
    fn side(&mut self, side: Side) -> &mut WaitList {
        match side {
            Side::Recv => &mut self.recv,
            Side::Send => &mut self.send,
        }
    }
}

pub(super) struct Gate {
    flags: AtomicU32,
    lines: Lock<Lines>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            flags: AtomicU32::new(0),
            lines: Lock::new(Lines { recv: WaitList::new(), send: WaitList::new() }),
        }
    }

    /// Tells the first in line to try again, if somebody waits. Call after the queue has changed.
    #[inline]
    pub(super) fn notify(&self, side: Side) {
        mutant!(gate_notify_relaxed, fence_in_models(), ());
        let order = mutant!(gate_notify_relaxed, Ordering::SeqCst, Ordering::Relaxed);
        if self.flags.load(order) & side as u32 != 0 {
            self.notify_up_to(side, 1);
        }
    }

    /// As `notify`, for several messages or places at once.
    #[inline]
    pub(super) fn notify_many(&self, side: Side, count: usize) {
        fence_in_models();
        if count > 0 && self.flags.load(Ordering::SeqCst) & side as u32 != 0 {
            self.notify_up_to(side, count);
        }
    }

    #[cold]
    fn notify_up_to(&self, side: Side, count: usize) {
        let mut wakes = Wakes::new();
        let mut lines = self.lines.lock();
        let count = mutant!(gate_batch_tells_one, count, 1);
        let count =
            mutant!(gate_message_tells_nobody, count, if side == Side::Recv { 0 } else { count });
        let count =
            mutant!(gate_place_tells_nobody, count, if side == Side::Send { 0 } else { count });
        for _ in 0..count {
            let Some(node) = lines.side(side).pop() else { break };
            // SAFETY: it stood in this line and the lock is held.
            unsafe { (*node).finish(Phase::Notified, &mut wakes) };
        }
        self.lower_flag(&mut lines, side);
        drop(lines);
        wakes.wake();
    }

    fn lower_flag(&self, lines: &mut Lines, side: Side) {
        if mutant!(gate_flag_lowered_early, lines.side(side).is_empty(), true) {
            // A reader that still sees the old flag looks into the line for nothing.
            let flags = self.flags.load(Ordering::Relaxed);
            self.flags.store(flags & !(side as u32), Ordering::Release);
        }
    }

    /// Lets `node` wait, unless `ready` says after it has entered that there is something to try. True: it waits.
    ///
    /// # Safety
    /// As for `WaitList::push`; leave by `leave`.
    pub(super) unsafe fn enter(
        &self,
        side: Side,
        node: *const Node,
        front: bool,
        ready: impl FnOnce() -> bool,
    ) -> bool {
        let mut lines = self.lines.lock();
        // SAFETY: the caller's promise.
        unsafe { lines.side(side).push(node, front) };
        // Flags change under the lock only; the exchange is for its fence.
        let flags = self.flags.load(Ordering::Relaxed);
        let order = mutant!(gate_enter_relaxed, Ordering::SeqCst, Ordering::Relaxed);
        self.flags.swap(flags | side as u32, order);
        mutant!(gate_enter_relaxed, fence_in_models(), ());
        if mutant!(gate_enter_looks_once, ready(), false) {
            // SAFETY: it has just entered and the lock was held all along.
            unsafe {
                lines.side(side).remove(node);
                (*node).set_phase(Phase::Idle);
            }
            self.lower_flag(&mut lines, side);
            return false;
        }
        true
    }

    /// Before an operation that has been told to try again may finish: waits until whoever told it has let go of its
    /// core. A single operation has waited for that, the notice being the last touch; a select may have been woken by
    /// another line and see the phase of this one a moment early. Attacked by `loom::select_one_commit`.
    pub(super) fn let_go(&self, node: &Node, me: &Me<'_>) {
        if me.exposed && node.phase() == Phase::Notified {
            drop(self.lines.lock());
        }
    }

    /// Takes `node` out, and passes a notice on that it did not use.
    ///
    /// # Safety
    /// `node` has entered this side's line with `enter`.
    pub(super) unsafe fn leave(&self, side: Side, node: *const Node) {
        let mut lines = self.lines.lock();
        // SAFETY: the caller's promise; phases change only under the lock.
        let phase = unsafe { (*node).phase() };
        if phase == Phase::Queued {
            // SAFETY: queued, so it stands in this line.
            unsafe { lines.side(side).remove(node) };
            self.lower_flag(&mut lines, side);
        }
        // SAFETY: the node is the caller's.
        unsafe { (*node).set_phase(Phase::Idle) };
        drop(lines);
        if phase == Phase::Notified && mutant!(gate_leave_keeps_notice, true, false) {
            self.notify(side);
        }
    }

    /// Runs `f` under the lines' lock.
    pub(super) fn with_line<R>(&self, f: impl FnOnce() -> R) -> R {
        let _lines = self.lines.lock();
        f()
    }

    /// Shows an observer who waits.
    pub(super) fn look(&self, seen: &mut Vec<(Side, Parked)>) {
        let lines = self.lines.lock();
        lines.recv.look(Side::Recv, seen);
        lines.send.look(Side::Send, seen);
    }

    /// How many wait.
    pub(super) fn parked(&self) -> usize {
        let lines = self.lines.lock();
        lines.recv.len() + lines.send.len()
    }

    fn notify_all(&self, side: Side) {
        let mut wakes = Wakes::new();
        let mut lines = self.lines.lock();
        while let Some(node) = lines.side(side).pop() {
            // SAFETY: it stood in this line and the lock is held.
            unsafe { (*node).finish(Phase::Notified, &mut wakes) };
            if mutant!(gate_close_tells_one, false, true) {
                break;
            }
        }
        self.lower_flag(&mut lines, side);
        drop(lines);
        wakes.wake();
    }

    /// The last sender has gone: receivers find out.
    pub(super) fn close_senders(&self) {
        let lines = self.lines.lock();
        let flags = self.flags.load(Ordering::Relaxed);
        self.flags.swap(flags | SENDERS_GONE, Ordering::SeqCst);
        drop(lines);
        self.notify_all(Side::Recv);
    }

    /// The last receiver has gone (the queue itself is closed already): senders find out.
    pub(super) fn close_receivers(&self) {
        mutant!(gate_close_forgets_senders, self.notify_all(Side::Send), ());
    }

    #[inline]
    pub(super) fn senders_gone(&self) -> bool {
        self.flags.load(Ordering::SeqCst) & SENDERS_GONE != 0
    }
}
