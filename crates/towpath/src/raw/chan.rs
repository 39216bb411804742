//! The three queues behind one face. `ends.rs` has the two ends that share them.

use std::{fmt, panic::Location, pin::Pin, ptr, sync::OnceLock};

use super::{
    backoff::{Linger, Patience},
    claim::{Me, PLAIN},
    drain::drain,
    gate::{Gate, Side},
    line::{Node, Phase},
    list::List,
    meet::Meet,
    op::{RecvOp, ReserveOp, SendOp, Step},
    recv::Receiving,
    ring::{Push, Ring},
    tied::{Aside, Going, RECEIVERS, SEALED, SENDERS},
    turnstile::Turnstile,
    wait::{Core, Line},
    watch::SetCore,
};
use crate::{
    rt::{Op, sim},
    sync::{AtomicBool, AtomicU8, AtomicUsize, Ordering, UnsafeCell, fence},
};

/// Below this capacity sender and receiver meet at nearly every message, and handing over under one lock is faster
/// than a ring: with capacity 1 a waiting receiver's hands are a second place, so a task switch moves two messages.
/// In the models two, so that they see rings of two slots.
const MEET_BELOW: usize = if cfg!(towpath_loom) { 2 } else { 4 };

pub(super) enum Queue<T> {
    Meet(Meet<T>),
    Ring(Box<Ring<T>>),
    List(Box<List<T>>),
}

pub(crate) struct Chan<T> {
    pub(super) queue: Queue<T>,
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
    /// What `poll_recv` keeps between its calls: the exclusive receiving end's own, reached through `&mut` on it. Here
    /// so that a receiver takes one word.
    pub(super) kept: UnsafeCell<Option<Pin<Box<Receiving<'static, T>>>>>,
    /// What few channels need.
    pub(super) aside: OnceLock<Box<Aside>>,
    /// The receivers have gone, or the senders were shut out.
    left: AtomicBool,
    /// Which sides have gone and are done, see `tied.rs`.
    pub(super) gone: AtomicU8,
    /// How tasks on each side wait.
    send_patience: Patience,
    recv_patience: Patience,
    /// Whether each side sees a stream.
    send_linger: Linger,
    recv_linger: Linger,
}

// SAFETY: the queues are `Send` and `Sync` for `T: Send`, and `kept` is reached by one end alone. Attacked by `it::streams`
// under ThreadSanitizer.
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Chan<T> {}

/// How a receiving end shares its channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// The only one; see the head of this file.
    Exclusive,
    Shared,
}

/// Out of the way of the other two queues, whose tries are short enough to stand where they are needed.
#[inline(never)]
fn meet_try_send<T>(meet: &Meet<T>, value: &mut Option<T>) -> Push {
    passing(|me| meet.try_send(value, me))
}

/// As `meet_try_send`.
#[inline(never)]
fn meet_try_recv<T>(meet: &Meet<T>, insist: bool) -> Result<Option<T>, ()> {
    passing(|me| meet.try_recv(me, insist))
}

/// Runs `f` as a party that stands in no line.
fn passing<R>(f: impl FnOnce(&Me<'_>) -> R) -> R {
    let core = Core::new(PLAIN);
    f(&Me { core: &core, arm: 0, arms: 1, exposed: false, takeable: false, may_wait: false })
}

impl<T> Chan<T> {
    pub(super) fn new(capacity: Option<usize>) -> Self {
        let queue = match capacity {
            Some(capacity) if capacity < MEET_BELOW => Queue::Meet(Meet::new(capacity)),
            Some(capacity) => Queue::Ring(Box::new(Ring::new(capacity))),
            None => Queue::List(Box::new(List::new())),
        };
        Self {
            queue,
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            kept: UnsafeCell::new(None),
            aside: OnceLock::new(),
            left: AtomicBool::new(false),
            gone: AtomicU8::new(0),
            send_patience: Patience::new(),
            recv_patience: Patience::new(),
            send_linger: Linger::new(),
            recv_linger: Linger::new(),
        }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        match &self.queue {
            Queue::Meet(meet) => Some(meet.capacity()),
            Queue::Ring(ring) => Some(ring.capacity()),
            Queue::List(_) => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.queue {
            Queue::Meet(meet) => meet.len(),
            Queue::Ring(ring) => ring.len(),
            Queue::List(list) => list.len(),
        }
    }

    /// Whether the receivers are gone.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.queue {
            Queue::Meet(meet) => meet.is_closed(),
            Queue::Ring(ring) => ring.is_closed(),
            Queue::List(list) => list.is_closed(),
        }
    }

    /// Whether the senders are gone, or shut out.
    pub(crate) fn senders_gone(&self) -> bool {
        match &self.queue {
            Queue::Meet(meet) => meet.senders_gone(),
            Queue::Ring(ring) => ring.gate.senders_gone(),
            Queue::List(list) => list.gate.senders_gone(),
        }
    }

    /// Shuts the senders out: sends fail from here, also of those who wait and of those with a permit, and give the
    /// value back; what is queued is still received, and then the end. That the senders really go later, or the
    /// receivers, changes nothing more. Attacked by `loom::seal_*`.
    pub(crate) fn seal(&self) {
        let _going = Going { chan: self, side: SEALED };
        match &self.queue {
            Queue::Meet(meet) => meet.seal(),
            // In this order: who sees that the senders are gone sees a queue that nothing enters any more.
            Queue::Ring(ring) => {
                mutant!(seal_lets_one_in, ring.close(), ());
                ring.gate.close_receivers();
                ring.gate.close_senders();
            }
            Queue::List(list) => {
                list.close();
                list.gate.close_receivers();
                list.gate.close_senders();
            }
        }
        self.tell_leaving();
    }

    /// Where senders wait for the end of the receivers.
    pub(super) fn leaving(&self) -> &Turnstile {
        let line = &self.aside().leaving;
        // With the one in `tell_leaving`: a line that was made too late to be told is made by one who sees the end.
        fence(Ordering::SeqCst);
        line
    }

    /// As `is_closed`, a moment later, and without a lock.
    pub(super) fn has_left(&self) -> bool {
        // Acquire: what the receivers did before they went is seen by those who are told.
        self.left.load(Ordering::Acquire)
    }

    /// The receivers have gone.
    fn tell_leaving(&self) {
        self.left.store(true, Ordering::Release);
        mutant!(closed_without_fence, fence(Ordering::SeqCst), ());
        if let Some(aside) = self.aside_if_any() {
            aside.leaving.tell_all(|| mutant!(closed_tells_nobody, true, false));
        }
    }

    // ---- the ends -----------------------------------------------------------------------------------------------

    pub(super) fn add_sender(&self) {
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    /// The last sender to go tells the receivers. True: that was the channel's last end.
    pub(super) fn remove_sender(&self) -> bool {
        if sim::is_active() && self.senders.load(Ordering::Relaxed) == 1 {
            sim::point(Op::DropSender, ptr::from_ref(self).addr(), None);
        }
        if self.senders.fetch_sub(1, Ordering::SeqCst) != 1 {
            return false;
        }
        let _going = Going { chan: self, side: SENDERS };
        match &self.queue {
            Queue::Meet(meet) => meet.close_senders(),
            Queue::Ring(ring) => ring.gate.close_senders(),
            Queue::List(list) => list.gate.close_senders(),
        }
        self.receivers.load(Ordering::SeqCst) == 0
    }

    /// From here several receivers share their end.
    pub(super) fn share(&self) {
        if let Queue::Meet(meet) = &self.queue {
            meet.share();
        }
    }

    pub(super) fn add_receiver(&self) {
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    /// The last receiver to go tells the senders, and drops what is queued. True: that was the channel's last end; of two
    /// sides that go at once one at least is told so.
    pub(super) fn remove_receiver(&self) -> bool {
        if sim::is_active() && self.receivers.load(Ordering::Relaxed) == 1 {
            sim::point(Op::DropReceiver, ptr::from_ref(self).addr(), None);
        }
        if self.receivers.fetch_sub(1, Ordering::SeqCst) != 1 {
            return false;
        }
        let _going = Going { chan: self, side: RECEIVERS };
        match &self.queue {
            Queue::Meet(meet) => meet.close_receivers(|| self.tell_leaving()),
            Queue::Ring(ring) => {
                ring.close();
                ring.gate.close_receivers();
                self.tell_leaving();
                drain(|| ring.pop_shared());
            }
            Queue::List(list) => {
                list.close();
                list.gate.close_receivers();
                self.tell_leaving();
                drain(|| list.pop_shared());
            }
        }
        self.senders.load(Ordering::SeqCst) == 0
    }

    // ---- for the simulator ---------------------------------------------------------------------------------------

    /// An operation on it is next: in a simulation others may go first.
    #[inline]
    pub(crate) fn begin(&self, op: Op, at: &'static Location<'static>) {
        sim::point(op, ptr::from_ref(self).addr(), Some(at));
    }

    fn gate(&self) -> Option<&Gate> {
        match &self.queue {
            Queue::Meet(_) => None,
            Queue::Ring(ring) => Some(&ring.gate),
            Queue::List(list) => Some(&list.gate),
        }
    }

    pub(crate) fn is_meet(&self) -> bool {
        matches!(self.queue, Queue::Meet(_))
    }

    pub(super) fn send_patience(&self) -> &Patience {
        &self.send_patience
    }

    pub(super) fn recv_patience(&self) -> &Patience {
        &self.recv_patience
    }

    /// In a stream, lets some room come together in a full queue. True: there is some.
    #[inline]
    pub(super) fn gather_room(&self) -> bool {
        match &self.queue {
            Queue::Ring(ring) => self.send_linger.gather(|| ring.capacity() - ring.len()),
            Queue::Meet(_) | Queue::List(_) => false,
        }
    }

    /// In a stream, lets some messages come together in an empty queue. True: there are some.
    #[inline]
    pub(super) fn gather_messages(&self) -> bool {
        match &self.queue {
            Queue::Ring(ring) => self.recv_linger.gather(|| ring.len()),
            Queue::List(list) => self.recv_linger.gather(|| list.len()),
            Queue::Meet(_) => false,
        }
    }

    // ---- sending -------------------------------------------------------------------------------------------------

    /// Sends what is in `value` if that is possible now; on `Done` it is taken out.
    #[inline(always)]
    pub(super) fn try_send(&self, value: &mut Option<T>) -> Push {
        match &self.queue {
            Queue::Ring(ring) => ring.try_send(value),
            Queue::List(list) => list.try_send(value),
            Queue::Meet(meet) => meet_try_send(meet, value),
        }
    }

    /// Whether `try_send` is worth a try before waiting; a guess.
    #[inline]
    pub(super) fn may_send(&self) -> bool {
        if let Queue::Meet(meet) = &self.queue { meet.may_send() } else { true }
    }

    /// As `may_send`, with a look at the queue.
    #[inline]
    pub(super) fn may_send_now(&self) -> bool {
        match &self.queue {
            Queue::Meet(meet) => meet.may_send(),
            Queue::Ring(ring) => ring.send_ready(),
            Queue::List(_) => true,
        }
    }

    /// Whether a task waits to send that will hand over once a receiver stands in line.
    pub(super) fn is_promised(&self) -> bool {
        if let Queue::Meet(meet) = &self.queue { meet.is_promised() } else { false }
    }

    /// Whether `try_reserve` may succeed.
    pub(crate) fn may_reserve_now(&self) -> bool {
        match &self.queue {
            Queue::Meet(meet) => meet.may_send(),
            Queue::Ring(ring) => ring.reserve_ready(),
            Queue::List(_) => true,
        }
    }

    /// As `may_recv`, with a look at the queue.
    #[inline]
    pub(super) fn may_recv_now(&self) -> bool {
        match &self.queue {
            Queue::Meet(meet) => meet.may_recv_soon(),
            Queue::Ring(ring) => ring.recv_ready(),
            Queue::List(list) => list.recv_ready(),
        }
    }

    /// Whether `try_recv` is worth a try before waiting; a guess.
    #[inline]
    pub(super) fn may_recv(&self) -> bool {
        if let Queue::Meet(meet) = &self.queue { meet.may_recv() } else { true }
    }

    /// # Safety
    /// `op` is pinned and belongs to `me.core`; it is retracted before it goes away, unless done.
    pub(super) unsafe fn send_step(&self, op: &SendOp<T>, me: &Me<'_>) -> Step<Push> {
        let ring_gate = match &self.queue {
            // SAFETY: the caller's promise.
            Queue::Meet(meet) => return unsafe { meet.send_step(op, me) },
            Queue::Ring(ring) => Some(&ring.gate),
            Queue::List(_) => None,
        };
        // Whoever gets here has just tried in vain: stand in line first, then look once more.
        if let (Phase::Idle, Some(gate)) = (op.node.phase(), ring_gate) {
            op.node.belongs_to(me);
            // SAFETY: the caller's promise.
            if unsafe { gate.enter(Side::Send, &op.node, false, || self.send_ready()) } {
                return Step::Waiting;
            }
        }
        if let Some(gate) = ring_gate {
            gate.let_go(&op.node, me);
        }
        loop {
            if !me.begin() {
                return Step::Interrupted;
            }
            // SAFETY: the value of an operation in no line is its owner's, and the owner is running us.
            let done = op.value.with_mut(|value| self.try_send(unsafe { &mut *value }));
            match (done, ring_gate) {
                (Push::Full, Some(gate)) => {
                    me.rollback();
                    let front = op.node.phase() == Phase::Notified;
                    op.node.belongs_to(me);
                    // SAFETY: the caller's promise.
                    if unsafe { gate.enter(Side::Send, &op.node, front, || self.send_ready()) } {
                        return Step::Waiting;
                    }
                }
                (done, _) => {
                    op.node.set_phase(Phase::Idle);
                    me.commit();
                    return Step::Ready(done);
                }
            }
        }
    }

    pub(super) fn send_ready(&self) -> bool {
        match &self.queue {
            Queue::Ring(ring) => ring.send_ready(),
            Queue::Meet(_) | Queue::List(_) => true,
        }
    }

    fn reserve_ready(&self) -> bool {
        match &self.queue {
            Queue::Ring(ring) => ring.reserve_ready(),
            Queue::Meet(_) | Queue::List(_) => true,
        }
    }

    /// # Safety
    /// `node` is that of a send or reserve stepped on this channel, and its owner runs this.
    pub(super) unsafe fn retract_send(&self, node: &Node) {
        // SAFETY: the caller's promise.
        unsafe {
            match (&self.queue, self.gate()) {
                (Queue::Meet(meet), _) => meet.retract_send(node),
                (_, Some(gate)) => gate.leave(Side::Send, node),
                (_, None) => {}
            }
        }
    }

    #[inline]
    pub(super) fn try_reserve(&self) -> Push {
        match &self.queue {
            Queue::Meet(meet) => passing(|me| meet.try_reserve(me)),
            Queue::Ring(ring) => ring.reserve(),
            Queue::List(list) if list.is_closed() => Push::Closed,
            Queue::List(_) => Push::Done,
        }
    }

    /// # Safety
    /// As for `send_step`.
    pub(super) unsafe fn reserve_step(&self, op: &ReserveOp, me: &Me<'_>) -> Step<Push> {
        let gate = match &self.queue {
            // SAFETY: the caller's promise.
            Queue::Meet(meet) => return unsafe { meet.reserve_step(op, me) },
            Queue::Ring(ring) => Some(&ring.gate),
            Queue::List(_) => None,
        };
        if let Some(gate) = gate {
            gate.let_go(&op.node, me);
        }
        loop {
            if !me.begin() {
                return Step::Interrupted;
            }
            match (self.try_reserve(), gate) {
                (Push::Full, Some(gate)) => {
                    me.rollback();
                    let front = op.node.phase() == Phase::Notified;
                    op.node.belongs_to(me);
                    // SAFETY: the caller's promise.
                    if unsafe { gate.enter(Side::Send, &op.node, front, || self.reserve_ready()) } {
                        return Step::Waiting;
                    }
                }
                (done, _) => {
                    op.node.set_phase(Phase::Idle);
                    me.commit();
                    return Step::Ready(done);
                }
            }
        }
    }

    /// Sends on a reserved place; fails only when the receivers are gone, and gives the value back.
    pub(super) fn send_reserved(&self, value: T) -> Result<(), T> {
        match &self.queue {
            Queue::Meet(meet) => passing(|me| meet.send_reserved(value, me)),
            Queue::Ring(ring) => ring.send_reserved(value),
            Queue::List(_) => {
                let mut value = Some(value);
                self.try_send(&mut value);
                value.map_or(Ok(()), Err)
            }
        }
    }

    pub(super) fn unreserve(&self) {
        match &self.queue {
            Queue::Meet(meet) => meet.unreserve(),
            Queue::Ring(ring) => ring.unreserve(),
            Queue::List(_) => {}
        }
    }

    // ---- receiving -----------------------------------------------------------------------------------------------

    /// `Ok(None)`: the senders are gone and nothing is left. `Err`: nothing now; see `Meet::try_recv` for `insist`.
    ///
    /// # Safety
    /// `mode` is that of the caller's end, which it holds exclusively if it says so.
    #[inline(always)]
    pub(super) unsafe fn try_recv(&self, mode: Mode, insist: bool) -> Result<Option<T>, ()> {
        let value = match &self.queue {
            // SAFETY: the caller's promise.
            Queue::Ring(ring) => unsafe { ring.try_recv(mode) },
            // SAFETY: the caller's promise.
            Queue::List(list) => unsafe { list.try_recv(mode) },
            Queue::Meet(meet) => return meet_try_recv(meet, insist),
        };
        if value.is_some() {
            return Ok(value);
        }
        // SAFETY: the caller's promise.
        unsafe { self.try_recv_last(mode) }
    }

    /// As `try_recv` on an empty ring or list.
    ///
    /// # Safety
    /// As for `try_recv`.
    #[inline(never)]
    unsafe fn try_recv_last(&self, mode: Mode) -> Result<Option<T>, ()> {
        if !self.gate().is_some_and(Gate::senders_gone) {
            return Err(());
        }
        // What was sent before the last sender went is all there is.
        // SAFETY: the caller's promise.
        Ok(unsafe {
            match &self.queue {
                Queue::Ring(ring) => ring.try_recv(mode),
                Queue::List(list) => list.try_recv(mode),
                Queue::Meet(_) => None,
            }
        })
    }

    /// Takes up to `limit` messages that are there now.
    ///
    /// # Safety
    /// As for `try_recv`.
    pub(super) unsafe fn take_many(&self, mode: Mode, limit: usize, out: &mut Vec<T>) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            if let (Queue::Ring(ring), Mode::Exclusive) = (&self.queue, mode) {
                let count = ring.pop_many(limit, |value| out.push(value));
                ring.gate.notify_many(Side::Send, count);
                return count;
            }
            let before = out.len();
            while out.len() - before < limit {
                let Ok(Some(value)) = self.try_recv(mode, false) else { break };
                out.push(value);
            }
            out.len() - before
        }
    }

    /// # Safety
    /// As for `try_recv` and `send_step`.
    pub(super) unsafe fn recv_step(
        &self,
        op: &RecvOp<T>,
        me: &Me<'_>,
        mode: Mode,
    ) -> Step<Option<T>> {
        // SAFETY: the caller's promise, in this whole body.
        unsafe {
            let gate = match &self.queue {
                Queue::Meet(meet) => return meet.recv_step(op, me),
                Queue::Ring(ring) => &ring.gate,
                Queue::List(list) => &list.gate,
            };
            // As in `send_step`.
            if op.node.phase() == Phase::Idle {
                op.node.belongs_to(me);
                if gate.enter(Side::Recv, &op.node, false, || self.recv_ready()) {
                    return Step::Waiting;
                }
            }
            gate.let_go(&op.node, me);
            loop {
                if !me.begin() {
                    return Step::Interrupted;
                }
                if let Ok(end_or_value) = self.try_recv(mode, false) {
                    op.node.set_phase(Phase::Idle);
                    me.commit();
                    return Step::Ready(end_or_value);
                }
                me.rollback();
                let front = op.node.phase() == Phase::Notified;
                op.node.belongs_to(me);
                if gate.enter(Side::Recv, &op.node, front, || self.recv_ready()) {
                    return Step::Waiting;
                }
            }
        }
    }

    pub(super) fn recv_ready(&self) -> bool {
        match &self.queue {
            Queue::Ring(ring) => ring.recv_ready(),
            Queue::List(list) => list.recv_ready(),
            Queue::Meet(_) => true,
        }
    }

    /// # Safety
    /// `op` was stepped on this channel and its owner runs this.
    pub(super) unsafe fn retract_recv(&self, op: &RecvOp<T>) {
        // SAFETY: the caller's promise.
        unsafe {
            match (&self.queue, self.gate()) {
                (Queue::Meet(meet), _) => meet.retract_recv(op),
                (_, Some(gate)) => gate.leave(Side::Recv, &op.node),
                (_, None) => {}
            }
        }
    }

    /// The value that was handed to `node`, a receive on an end of this mode, has been looked at.
    #[inline]
    pub(super) fn confirm(&self, mode: Mode, node: &Node) {
        match (&self.queue, mode) {
            (Queue::Meet(meet), Mode::Exclusive) => meet.looked(),
            (Queue::Meet(meet), Mode::Shared) => meet.confirm(node),
            (Queue::Ring(_) | Queue::List(_), _) => {}
        }
    }

    /// Waits until whoever completes one of our operations has let go of it.
    pub(super) fn synchronize(&self) {
        if let Queue::Meet(meet) = &self.queue {
            meet.synchronize();
        }
    }

    // ---- members of select sets ----------------------------------------------------------------------------------

    /// Lets a set's member wait to be told, unless there is something to try now. True: it waits.
    ///
    /// # Safety
    /// `node` is pinned and leaves by `unwatch` before it or `set` goes away.
    pub(super) unsafe fn watch(&self, node: &Node, set: &SetCore, arm: u32) -> bool {
        // SAFETY: the caller's promise.
        unsafe {
            match (&self.queue, self.gate()) {
                (Queue::Meet(meet), _) => meet.watch(node, &raw const set.core, arm),
                (_, Some(gate)) => {
                    node.belongs_to_member(&raw const set.core, arm);
                    gate.enter(Side::Recv, node, false, || self.recv_ready())
                }
                (_, None) => false,
            }
        }
    }

    /// # Safety
    /// `node` was given to `watch` on this channel.
    pub(super) unsafe fn unwatch(&self, node: &Node) {
        // SAFETY: the caller's promise.
        unsafe {
            match (&self.queue, self.gate()) {
                (Queue::Meet(meet), _) => meet.unwatch(node),
                (_, Some(gate)) => gate.leave(Side::Recv, node),
                (_, None) => {}
            }
        }
    }
}

impl<T> Line for Chan<T> {
    fn with_line<R>(&self, f: impl FnOnce() -> R) -> R {
        match &self.queue {
            Queue::Meet(meet) => meet.with_line(f),
            Queue::Ring(ring) => ring.gate.with_line(f),
            Queue::List(list) => list.gate.with_line(f),
        }
    }
}

impl<T> fmt::Debug for Chan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .field("senders_gone", &self.senders_gone())
            .finish()
    }
}
