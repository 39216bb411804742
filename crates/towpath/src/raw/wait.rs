//! One kind of waiter for tasks and threads, linked into waiting lines without allocation.
//!
//! A `Core` is whoever waits: one operation, or a whole select with many arms. A `Node` is its place in one line.
//! Both live in the waiting future or on the waiting thread's stack.
//!
//! What always holds:
//! - Links, phase and owner of a queued node change only under the lock of the line it stands in.
//! - A notifier touches a node and its core only under that lock, and `Core::notify` is the last touch. So an owner
//!   may free both once it has seen `NOTIFIED` (one line), or once it has taken the lock of each line it stood in.
//! - The waker is taken under the lock and woken after it: no foreign code runs inside.
//!
//! Why a three-step `signal` guards the waker: a task may be moved to another task while somebody wakes it; the
//! owner then must not overwrite a waker that is being taken, nor miss that it was (the lost wake-up of several
//! channels). Same idea as the `AtomicWaker` of the futures crate, with the notice kept in the same word.

use std::{
    cell::Cell, marker::PhantomPinned, mem::MaybeUninit, ptr, task::Waker, time::Instant,
};

use super::{
    chan::Chan,
    claim::{self, Me},
    watch,
};
use crate::{
    rt,
    sync::{AtomicU32, Ordering, UnsafeCell, spin_loop, thread},
};
#[cfg(towpath_loom)]
use crate::sync::skip_branch;

/// Nobody to wake: not waiting yet, or a thread that still spins.
const NONE: u32 = 0;
/// The waker is in place.
const SET: u32 = 1;
/// Somebody has the waker in hand, for a few instructions.
const LOCKED: u32 = 2;
/// Notified since the waker was last set.
const NOTIFIED: u32 = 3;

/// Whoever waits: one operation or one select.
pub(crate) struct Core {
    /// Who may still win it; see `claim.rs`.
    pub(super) claim: AtomicU32,
    signal: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
    #[cfg(towpath_loom)]
    rank: usize,
}

impl Core {
    pub(crate) fn new(claim: u32) -> Self {
        Self {
            claim: AtomicU32::new(claim),
            signal: AtomicU32::new(NONE),
            waker: UnsafeCell::new(None),
            #[cfg(towpath_loom)]
            rank: next_rank(),
        }
    }

    /// Which of two cores steps back when they try each other: the one of higher rank, which is its address.
    #[cfg(not(towpath_loom))]
    #[inline]
    pub(super) fn rank(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// In a model, which must go the same way twice though its stacks move, the order of creation.
    #[cfg(towpath_loom)]
    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    /// Puts `waker` in place while this core stands in no line, so that nobody else can see it yet.
    #[inline]
    pub(super) fn arm_alone(&self, waker: &Waker) {
        let fresh = waker.clone();
        // SAFETY: in no line, so the slot is the owner's; entering a line publishes it through the line's lock.
        let stale = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
        self.signal.store(SET, Ordering::Relaxed);
        drop(stale);
    }

    /// Puts `waker` in place, for a select or a set, which others may notify in several lines at once. True: a notice
    /// came since the last call, look at the nodes again.
    ///
    /// Only the owner calls this.
    pub(crate) fn arm(&self, waker: &Waker) -> bool {
        let mut backoff = Backoff::new();
        loop {
            match self.signal.load(Ordering::Acquire) {
                NONE | NOTIFIED => {
                    let fresh = waker.clone();
                    // SAFETY: outside `SET` no notifier touches the waker, and leaving these two states towards
                    // `SET` or `LOCKED` is the owner's alone. Attacked by `loom::waker_moves_between_tasks`.
                    let stale = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
                    let before = self.signal.swap(SET, Ordering::AcqRel);
                    drop(stale);
                    return before == NOTIFIED;
                }
                SET => {
                    if self
                        .signal
                        .compare_exchange(SET, LOCKED, Ordering::Acquire, Ordering::Relaxed)
                        .is_err()
                    {
                        continue;
                    }
                    // SAFETY: `LOCKED` by us: notifiers wait for it to end.
                    let same = self.waker.with(|slot| unsafe {
                        (*slot).as_ref().is_some_and(|old| old.will_wake(waker))
                    });
                    if same {
                        self.signal.store(SET, Ordering::Release);
                        return false;
                    }
                    // Cloning is foreign code: not while others wait for us.
                    // SAFETY: as above, the slot is ours while `LOCKED`.
                    let stale = self.waker.with_mut(|slot| unsafe { (*slot).take() });
                    self.signal.store(NONE, Ordering::Release);
                    drop(stale);
                }
                _ => backoff.wait_for_other(),
            }
        }
    }

    /// Whether a notice came since the waker was set. After `true` no notifier of a one-line core touches it.
    #[inline]
    pub(crate) fn notified(&self) -> bool {
        self.signal.load(Ordering::Acquire) == NOTIFIED
    }

    /// Before a thread stands in line (again): forgets a notice that it has dealt with. Owner only, while in no line.
    #[inline]
    pub(super) fn reset_if_thread(&self, me: &Me<'_>) {
        if me.takeable {
            self.signal.store(NONE, Ordering::Relaxed);
        }
    }

    /// Puts `waker` in place while this core, of a single operation, may stand in `chan`'s line. True: it has been
    /// notified already.
    pub(super) fn arm_in_line<T>(&self, chan: &Chan<T>, waker: &Waker) -> bool {
        let fresh = waker.clone();
        let mut unused = None;
        let notified = chan.with_line(|| {
            if self.notified() {
                unused = Some(fresh);
                return true;
            }
            // SAFETY: the waker of a single operation that is not notified yet is touched under its line's lock only.
            // Attacked by `loom::waker_moves_between_tasks`.
            unused = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
            self.signal.store(SET, Ordering::Relaxed);
            false
        });
        drop(unused);
        notified
    }

    /// Tells the owner to look again; the waker, if any, is to be woken once the lock is released.
    #[must_use]
    #[inline]
    fn notify(&self) -> Option<Waker> {
        if self.claim.load(Ordering::Relaxed) != claim::PLAIN {
            return self.notify_shared();
        }
        // One line, whose lock is held: nobody else touches the waker.
        let armed = self.signal.load(Ordering::Relaxed) == SET;
        // SAFETY: as just said; and the owner goes on only after the store below.
        let waker =
            if armed { self.waker.with_mut(|slot| unsafe { (*slot).take() }) } else { None };
        self.signal.store(NOTIFIED, Ordering::Release);
        waker
    }

    /// As `notify`, when others may do so at the same time in other lines.
    fn notify_shared(&self) -> Option<Waker> {
        let mut backoff = Backoff::new();
        loop {
            match self.signal.load(Ordering::Relaxed) {
                NONE => {
                    if self
                        .signal
                        .compare_exchange(NONE, NOTIFIED, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                    {
                        return None;
                    }
                }
                SET => {
                    if self
                        .signal
                        .compare_exchange(SET, LOCKED, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                    {
                        // SAFETY: `LOCKED` by us: owner and other notifiers wait for it to end.
                        let waker = self.waker.with_mut(|slot| unsafe { (*slot).take() });
                        self.signal.store(NOTIFIED, Ordering::Release);
                        return waker;
                    }
                }
                // A select that another line has just notified: an acquire-release pass over the word keeps the
                // order "phase, then signal" for our phase too.
                NOTIFIED => {
                    if self
                        .signal
                        .compare_exchange(NOTIFIED, NOTIFIED, Ordering::AcqRel, Ordering::Relaxed)
                        .is_ok()
                    {
                        return None;
                    }
                }
                _ => backoff.wait_for_other(),
            }
        }
    }

    /// Before a select on a thread looks at its arms (again): a notice that comes from here on counts.
    pub(crate) fn forget_notice(&self) {
        // Not a plain store: the notifier's phase must be seen by the look that follows.
        let _ = self.signal.compare_exchange(
            NOTIFIED,
            NONE,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }

    /// Waits on this thread until notified, or until `deadline`, or if `foreign` until it is woken in any way.
    pub(crate) fn wait_thread_until(
        &self,
        waker: &Waker,
        deadline: Option<Instant>,
        foreign: bool,
    ) {
        if !foreign && deadline.is_none() {
            return self.wait_thread();
        }
        if self.signal.load(Ordering::Acquire) == NONE && !self.arm_thread(waker) {
            return;
        }
        while !self.notified() {
            let timely = rt::park_until(deadline);
            if foreign || !timely {
                break;
            }
        }
        self.disarm_thread();
    }

    /// Before a set on a thread looks at its members: as `forget_notice`, also when a task had put its waker in place.
    pub(crate) fn begin_thread(&self) {
        self.disarm_thread();
        self.forget_notice();
    }

    /// Takes the waker back, so that the next wait begins from `NONE`.
    fn disarm_thread(&self) {
        let mut backoff = Backoff::new();
        loop {
            match self.signal.load(Ordering::Acquire) {
                SET => {
                    if self
                        .signal
                        .compare_exchange(SET, LOCKED, Ordering::Acquire, Ordering::Relaxed)
                        .is_ok()
                    {
                        // SAFETY: `LOCKED` by us.
                        let waker = self.waker.with_mut(|slot| unsafe { (*slot).take() });
                        self.signal.store(NONE, Ordering::Release);
                        drop(waker);
                        return;
                    }
                }
                LOCKED => backoff.wait_for_other(),
                _ => return,
            }
        }
    }

    /// Waits on this thread until the single operation in `chan`'s line is notified: spins, yields, then parks.
    pub(super) fn wait_thread_in_line<T>(&self, chan: &Chan<T>) {
        let mut backoff = Backoff::new();
        while !self.notified() {
            if !backoff.spin_or_yield() {
                rt::with_thread_waker(|waker| {
                    if !self.arm_in_line(chan, waker) {
                        while !self.notified() {
                            thread::park();
                        }
                    }
                });
                return;
            }
        }
    }

    /// Waits on this thread until notified: spins, yields, then parks.
    pub(crate) fn wait_thread(&self) {
        let mut backoff = Backoff::new();
        while !self.notified() {
            if !backoff.spin_or_yield() {
                self.park_thread();
                return;
            }
        }
    }

    #[cold]
    fn park_thread(&self) {
        rt::with_thread_waker(|waker| {
            if self.signal.load(Ordering::Acquire) != NOTIFIED && self.arm_thread(waker) {
                while !self.notified() {
                    thread::park();
                }
            }
        });
    }

    /// As `arm`, but a notice that is already there stays. True: the waker is in place.
    fn arm_thread(&self, waker: &Waker) -> bool {
        let fresh = waker.clone();
        // SAFETY: a waiting thread sets its waker once per wait, from `NONE`, in which nobody else touches the slot.
        // Attacked by `loom::waker_of_a_thread`.
        let stale = self.waker.with_mut(|slot| unsafe { (*slot).replace(fresh) });
        drop(stale);
        self.signal.compare_exchange(NONE, SET, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// All threads of a model are one to the standard library.
#[cfg(towpath_loom)]
fn next_rank() -> usize {
    thread_local! {
        static NEXT: Cell<usize> = const { Cell::new(0) };
    }
    NEXT.replace(NEXT.get() + 1)
}

/// Where a node stands. Changes under the lock of its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Phase {
    /// In no line.
    Idle = 0,
    /// Waiting in a line.
    Queued = 1,
    /// Taken out of the line and told to try again. Whoever drops it now passes the notice on.
    Notified = 2,
    /// As `Notified`, and a place in the queue is kept for it until it tries or is dropped.
    Granted = 3,
    /// Taken out of the line with its operation done by the other side.
    Done = 4,
}

/// A place in one line.
///
/// Most operations never wait, so only the phase is set when a node is made; the rest is set on entering a line.
pub(crate) struct Node {
    prev: Cell<MaybeUninit<*const Node>>,
    next: Cell<MaybeUninit<*const Node>>,
    core: Cell<MaybeUninit<*const Core>>,
    phase: AtomicU32,
    /// Which arm of a select this is.
    arm: Cell<MaybeUninit<u32>>,
    /// Order in which values were handed to waiting receivers, so that they can be given back in order.
    ticket: Cell<MaybeUninit<u32>>,
    /// The other side may take the value out of this waiting sender: true only for a thread, which cannot be
    /// cancelled. A task's value leaves only while the task itself runs, so that a cancelled send is never delivered.
    takeable: Cell<bool>,
    _pinned: PhantomPinned,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self {
            prev: Cell::new(MaybeUninit::uninit()),
            next: Cell::new(MaybeUninit::uninit()),
            core: Cell::new(MaybeUninit::uninit()),
            phase: AtomicU32::new(Phase::Idle as u32),
            arm: Cell::new(MaybeUninit::uninit()),
            ticket: Cell::new(MaybeUninit::uninit()),
            takeable: Cell::new(false),
            _pinned: PhantomPinned,
        }
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Queued,
            2 => Phase::Notified,
            3 => Phase::Granted,
            _ => Phase::Done,
        }
    }

    #[inline]
    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u32, Ordering::Release);
    }

    /// Names the owner. Before the node enters a line.
    #[inline]
    pub(super) fn belongs_to(&self, me: &Me<'_>) {
        self.belongs_to_member(me.core, me.arm);
        self.takeable.set(me.takeable);
    }

    /// As `belongs_to`, for a member of a set.
    #[inline]
    pub(super) fn belongs_to_member(&self, core: *const Core, arm: u32) {
        self.core.set(MaybeUninit::new(core));
        self.arm.set(MaybeUninit::new(arm));
    }

    /// # Safety
    /// The node stands in a line whose lock the caller holds.
    #[inline]
    pub(super) unsafe fn core(&self) -> &Core {
        // SAFETY: the owner outlives the node's stay in a line (it takes the lock to leave early).
        unsafe { &*self.core_ptr() }
    }

    /// # Safety
    /// `belongs_to` has been called.
    #[inline]
    pub(super) unsafe fn core_ptr(&self) -> *const Core {
        // SAFETY: the caller's promise.
        unsafe { self.core.get().assume_init() }
    }

    /// # Safety
    /// `belongs_to` has been called.
    #[inline]
    pub(super) unsafe fn arm(&self) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { self.arm.get().assume_init() }
    }

    /// Whether the value of this waiting sender may be taken.
    #[inline]
    pub(super) fn is_takeable(&self) -> bool {
        self.takeable.get()
    }

    pub(super) fn set_ticket(&self, ticket: u32) {
        self.ticket.set(MaybeUninit::new(ticket));
    }

    /// # Safety
    /// `set_ticket` has been called.
    pub(super) unsafe fn ticket(&self) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { self.ticket.get().assume_init() }
    }

    /// Gives a node that has just left its line its final phase and tells its owner. The last touch.
    ///
    /// # Safety
    /// The caller holds the lock of the line the node stood in.
    pub(super) unsafe fn finish(&self, phase: Phase, wakes: &mut Wakes) {
        // SAFETY: the lock is held, so the owner cannot have gone yet.
        let core = unsafe { self.core() };
        if core.claim.load(Ordering::Relaxed) == claim::SET_MEMBER {
            // SAFETY: only members of a set belong to a set's core.
            unsafe { watch::note(self, phase) };
        } else {
            self.set_phase(phase);
        }
        if let Some(waker) = core.notify() {
            wakes.push(waker);
        }
    }
}

/// A line of waiting nodes, first come first served.
pub(crate) struct WaitList {
    head: *const Node,
    tail: *const Node,
    len: usize,
}

// SAFETY: the list is only reached through the lock that owns it, and the nodes it points to outlive their stay.
// Attacked by `it::cancel` under ThreadSanitizer.
unsafe impl Send for WaitList {}

impl WaitList {
    pub(crate) fn new() -> Self {
        Self { head: ptr::null(), tail: ptr::null(), len: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    #[inline]
    pub(crate) fn front(&self) -> *const Node {
        self.head
    }

    /// The node behind `node`.
    ///
    /// # Safety
    /// `node` stands in this line.
    pub(crate) unsafe fn after(&self, node: *const Node) -> *const Node {
        // SAFETY: the caller's promise.
        unsafe { (*node).next.get().assume_init() }
    }

    /// Lets `node` stand at the end, or at the front when it had waited before and lost its turn to a newcomer.
    ///
    /// # Safety
    /// `node` stands in no line, is pinned, and its owner leaves this line before it goes away.
    pub(crate) unsafe fn push(&mut self, node: *const Node, front: bool) {
        // SAFETY: the caller's promise for `node`; the others stand in this line.
        unsafe {
            (*node).set_phase(Phase::Queued);
            if front {
                (*node).prev.set(MaybeUninit::new(ptr::null()));
                (*node).next.set(MaybeUninit::new(self.head));
                if self.head.is_null() {
                    self.tail = node;
                } else {
                    (*self.head).prev.set(MaybeUninit::new(node));
                }
                self.head = node;
            } else {
                (*node).next.set(MaybeUninit::new(ptr::null()));
                (*node).prev.set(MaybeUninit::new(self.tail));
                if self.tail.is_null() {
                    self.head = node;
                } else {
                    (*self.tail).next.set(MaybeUninit::new(node));
                }
                self.tail = node;
            }
        }
        self.len += 1;
    }

    /// Takes `node` out; its phase is the caller's to set.
    ///
    /// # Safety
    /// `node` stands in this line.
    pub(crate) unsafe fn remove(&mut self, node: *const Node) {
        // SAFETY: the caller's promise; neighbours stand in this line.
        unsafe {
            let prev = (*node).prev.get().assume_init();
            let next = (*node).next.get().assume_init();
            if prev.is_null() {
                self.head = next;
            } else {
                (*prev).next.set(MaybeUninit::new(next));
            }
            if next.is_null() {
                self.tail = prev;
            } else {
                (*next).prev.set(MaybeUninit::new(prev));
            }
        }
        self.len -= 1;
    }

    /// Takes out the first, if any.
    pub(crate) fn pop(&mut self) -> Option<*const Node> {
        let node = self.head;
        if node.is_null() {
            return None;
        }
        // SAFETY: the head stands in this line.
        unsafe { self.remove(node) };
        Some(node)
    }
}

/// Wakers collected under a lock, to be woken after it.
pub(crate) struct Wakes {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Wakes {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { first: None, more: Vec::new() }
    }

    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    #[inline]
    pub(crate) fn wake(self) {
        if let Some(waker) = self.first {
            waker.wake();
            for waker in self.more {
                waker.wake();
            }
        }
    }
}

/// Waiting that costs more the longer it lasts: pause instructions, then yields, then whatever the caller does next.
pub(crate) struct Backoff {
    step: u32,
}

/// Pause rounds of 1, 2, 4, 8, 16 instructions, together about half a microsecond. Twice that gains nothing with two
/// idle cores, and with one core for both sides each round is time that the other side could run.
const SPIN_STEPS: u32 = 5;
/// Then this many turns for other threads before parking.
const YIELD_STEPS: u32 = 24;
/// A lock's waiter that has yielded this often sleeps between looks, so that a preempted holder of lower priority runs.
const NAP_AFTER_STEPS: u32 = 256;

impl Backoff {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { step: 0 }
    }

    /// One round of waiting; false when it is time to park.
    #[cfg(not(towpath_loom))]
    #[inline]
    pub(crate) fn spin_or_yield(&mut self) -> bool {
        if self.step < SPIN_STEPS {
            for _ in 0..1u32 << self.step {
                spin_loop();
            }
        } else if self.step < SPIN_STEPS + YIELD_STEPS {
            thread::yield_now();
        } else {
            return false;
        }
        self.step += 1;
        true
    }

    /// Under loom parking at once is the interesting case.
    #[cfg(towpath_loom)]
    pub(crate) fn spin_or_yield(&mut self) -> bool {
        false
    }

    /// One round of waiting for a thread that is in the middle of a few instructions.
    #[cfg(not(towpath_loom))]
    #[inline]
    pub(crate) fn wait_for_other(&mut self) {
        if self.step < SPIN_STEPS {
            for _ in 0..1u32 << self.step {
                spin_loop();
            }
        } else if self.step < NAP_AFTER_STEPS {
            thread::yield_now();
        } else {
            rt::nap();
            return;
        }
        self.step += 1;
    }

    /// Under loom, which yields here, more rounds show nothing new: two that wait for a third could take turns for
    /// ever.
    #[cfg(towpath_loom)]
    pub(crate) fn wait_for_other(&mut self) {
        const ROUNDS: u32 = 3;
        let _ = (SPIN_STEPS, YIELD_STEPS, NAP_AFTER_STEPS);
        self.step += 1;
        if self.step > ROUNDS {
            skip_branch();
        }
        spin_loop();
    }
}

/// Whether it pays for a task to look a little longer before it parks: it does while the other side runs on another
/// core at the same time, since waking a task there costs more than the look. Learnt from how it went before.
pub(crate) struct Patience {
    /// Low half: credit, one try each. High half: waits since the last probe.
    state: AtomicU32,
}

/// About 0.3 µs: a little more than a message takes to a task that runs on another core and back.
const LOOKS: u32 = 8;
const CREDIT_MAX: u32 = 16;
const CREDIT_MASK: u32 = 0xffff;
const ONE_WAIT: u32 = 1 << 16;
/// Without credit, this many waits until the next probe.
const PROBE_EVERY: u32 = 512;
/// Tries in a row that make up a probe: both sides must try at the same time to find out.
const PROBE: u32 = 8;

impl Patience {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(PROBE) }
    }

    /// Whether to look longer this time.
    #[inline]
    pub(crate) fn pays(&self) -> bool {
        if cfg!(towpath_loom) {
            return false;
        }
        let state = self.state.load(Ordering::Relaxed);
        if state & CREDIT_MASK > 0 {
            return true;
        }
        let probe = state >= PROBE_EVERY * ONE_WAIT;
        // Lost updates among several waiters do no harm.
        self.state.store(if probe { PROBE } else { state + ONE_WAIT }, Ordering::Relaxed);
        probe
    }

    /// Looks until `seen`, for a while.
    pub(crate) fn look(&self, mut seen: impl FnMut() -> bool) -> bool {
        let found = (0..LOOKS).any(|_| {
            spin_loop();
            seen()
        });
        let credit = self.state.load(Ordering::Relaxed) & CREDIT_MASK;
        let credit = if found { CREDIT_MAX.min(credit + 4) } else { credit.saturating_sub(1) };
        self.state.store(credit, Ordering::Relaxed);
        found
    }
}
