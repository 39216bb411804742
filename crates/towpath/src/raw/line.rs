//! Waiting lines: nodes linked without allocation, first come first served.
//!
//! What always holds: links, phase and owner of a queued node change only under the lock of the line it stands in, and
//! a node leaves its line before its memory goes away.

use std::{cell::Cell, marker::PhantomPinned, mem::MaybeUninit, panic::Location, ptr, task::Waker};

use super::{
    claim::{self, Me},
    gate::Side,
    op::Stage,
    seen::Parked,
    wait::Core,
    watch,
};
use crate::{
    observe, process,
    sync::{AtomicU8, Ordering},
};

/// Where a node stands. Changes under the lock of its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
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
    /// As `Notified`, when there is room: it counts as the guest of one place, which is not kept. Whoever runs may be
    /// faster; then the next place is kept (`Granted`).
    Invited = 5,
}

/// An owner's notes in a `Node`.
const SHARED: u8 = 1;
const TOLD: u8 = 2;
const LATE: u8 = 4;

/// A place in one line.
///
/// Most operations never wait, so little is set when a node is made; the rest is set on entering a line.
pub(crate) struct Node {
    prev: Cell<MaybeUninit<*const Node>>,
    next: Cell<MaybeUninit<*const Node>>,
    core: Cell<MaybeUninit<*const Core>>,
    /// Where the program waits, for observers.
    at: &'static Location<'static>,
    /// Which process waits, and since which look of an observer.
    process: Cell<MaybeUninit<u32>>,
    since: Cell<MaybeUninit<u32>>,
    /// Which arm of a select this is, of how many.
    arm: Cell<MaybeUninit<u32>>,
    arms: Cell<MaybeUninit<u32>>,
    /// Before an operation is done: when it came, so that it keeps its place if it has to stand in line again. Once a
    /// value has been put into a receiver's hands: the order of that, so that values can be given back in order.
    ticket: Cell<MaybeUninit<u32>>,
    phase: AtomicU8,
    /// The other side may take the value out of this waiting sender: true only for a thread, which cannot be
    /// cancelled. A task's value leaves only while the task itself runs, so that a cancelled send is never delivered.
    takeable: Cell<bool>,
    /// How far the operation has come: its own note, kept here because there is room.
    pub(super) stage: Cell<Stage>,
    /// Its own notes too: `SHARED`, `TOLD` and `LATE`.
    notes: Cell<u8>,
    _pinned: PhantomPinned,
}

impl Node {
    /// A node of an operation that began where the caller was called.
    #[inline]
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self {
            prev: Cell::new(MaybeUninit::uninit()),
            next: Cell::new(MaybeUninit::uninit()),
            core: Cell::new(MaybeUninit::uninit()),
            at: Location::caller(),
            process: Cell::new(MaybeUninit::uninit()),
            since: Cell::new(MaybeUninit::uninit()),
            arm: Cell::new(MaybeUninit::uninit()),
            arms: Cell::new(MaybeUninit::uninit()),
            ticket: Cell::new(MaybeUninit::uninit()),
            phase: AtomicU8::new(Phase::Idle as u8),
            takeable: Cell::new(false),
            stage: Cell::new(Stage::New),
            notes: Cell::new(0),
            _pinned: PhantomPinned,
        }
    }

    /// A receive on a shared end.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.notes.get() & SHARED != 0
    }

    /// Before anything else is noted.
    #[inline]
    pub(super) fn set_shared(&self, shared: bool) {
        self.notes.set(if shared { SHARED } else { 0 });
    }

    /// The probe was told that its owner waits, and not yet that this is over.
    #[inline]
    pub(super) fn is_told(&self) -> bool {
        self.notes.get() & TOLD != 0
    }

    #[inline]
    pub(super) fn set_told(&self, told: bool) {
        self.notes.set(self.notes.get() & !TOLD | if told { TOLD } else { 0 });
    }

    /// A sender that was invited, and somebody was faster.
    #[inline]
    pub(super) fn is_late(&self) -> bool {
        self.notes.get() & LATE != 0
    }

    #[inline]
    pub(super) fn set_late(&self, late: bool) {
        self.notes.set(self.notes.get() & !LATE | if late { LATE } else { 0 });
    }

    /// Where the program began it.
    pub(super) fn at(&self) -> &'static Location<'static> {
        self.at
    }

    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Queued,
            2 => Phase::Notified,
            3 => Phase::Granted,
            5 => Phase::Invited,
            _ => Phase::Done,
        }
    }

    #[inline]
    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Names the owner. Before the node enters a line.
    #[inline]
    pub(super) fn belongs_to(&self, me: &Me<'_>) {
        self.belongs_to_member(me.core, me.arm);
        self.arms.set(MaybeUninit::new(me.arms));
        self.takeable.set(me.takeable);
    }

    /// As `belongs_to`, for a member of a set.
    #[inline]
    pub(super) fn belongs_to_member(&self, core: *const Core, arm: u32) {
        self.core.set(MaybeUninit::new(core));
        self.process.set(MaybeUninit::new(process::number()));
        self.since.set(MaybeUninit::new(observe::look()));
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

    /// Which process waits.
    ///
    /// # Safety
    /// `belongs_to` has been called.
    pub(super) unsafe fn process(&self) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { self.process.get().assume_init() }
    }

    /// What an observer sees of it.
    ///
    /// # Safety
    /// The node stands in a line whose lock the caller holds.
    pub(super) unsafe fn seen(&self) -> Option<Parked> {
        // SAFETY: the caller's promise; all of it was set on entering the line.
        unsafe {
            let claim = self.core().claim.load(Ordering::Relaxed);
            // A member of a set stands in line whether or not somebody waits on the set.
            (claim != claim::SET_MEMBER).then(|| Parked {
                at: self.at,
                process: self.process.get().assume_init(),
                since: self.since.get().assume_init(),
                waiter: self.core_ptr().addr(),
                arms: self.arms.get().assume_init(),
                place: (ptr::from_ref(self).addr(), self.ticket()),
                thread: self.is_takeable(),
            })
        }
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
    len: u32,
    /// Counts those who came, so that one who comes again finds its place.
    arrivals: u32,
}

// SAFETY: the list is only reached through the lock that owns it, and the nodes it points to outlive their stay.
// Attacked by `it::cancel` under ThreadSanitizer.
unsafe impl Send for WaitList {}

impl WaitList {
    pub(crate) fn new() -> Self {
        Self { head: ptr::null(), tail: ptr::null(), len: 0, arrivals: 0 }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
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

    /// Shows an observer who stands here.
    pub(super) fn look(&self, side: Side, seen: &mut Vec<(Side, Parked)>) {
        let mut at = self.head;
        while !at.is_null() {
            // SAFETY: it stands in this line, which the caller reached through its lock.
            unsafe {
                seen.extend((*at).seen().map(|parked| (side, parked)));
                at = self.after(at);
            }
        }
    }

    /// Lets `node` stand at the end; or, when it had waited before and lost its turn to a newcomer, where it stood:
    /// before all who came after it.
    ///
    /// # Safety
    /// `node` stands in no line, is pinned, and its owner leaves this line before it goes away. If `again`, it has
    /// stood in this line before.
    pub(crate) unsafe fn push(&mut self, node: *const Node, again: bool) {
        // SAFETY: the caller's promise for `node`; the others stand in this line.
        unsafe {
            (*node).set_phase(Phase::Queued);
            let mut next = mutant!(line_last_in_first_out, ptr::null(), self.head);
            if mutant!(line_comes_back_last, again, false) {
                let arrival = (*node).ticket();
                next = self.head;
                while !next.is_null() && arrival.wrapping_sub((*next).ticket()) as i32 > 0 {
                    next = self.after(next);
                }
            } else {
                (*node).set_ticket(self.arrivals);
                self.arrivals = self.arrivals.wrapping_add(1);
            }
            let prev = if next.is_null() { self.tail } else { (*next).prev.get().assume_init() };
            (*node).prev.set(MaybeUninit::new(prev));
            (*node).next.set(MaybeUninit::new(next));
            if prev.is_null() {
                self.head = node;
            } else {
                (*prev).next.set(MaybeUninit::new(node));
            }
            if next.is_null() {
                self.tail = node;
            } else {
                (*next).prev.set(MaybeUninit::new(node));
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

/// Wakers collected under a lock, to be woken after it. Nearly always none or one.
pub(crate) struct Wakes {
    first: Option<Waker>,
    #[expect(
        clippy::box_collection,
        reason = "one word to make, move and drop where there are no more"
    )]
    more: Option<Box<Vec<Waker>>>,
}

impl Wakes {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { first: None, more: None }
    }

    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.get_or_insert_default().push(waker);
        }
    }

    #[inline]
    pub(crate) fn wake(self) {
        let Some(first) = self.first else { return };
        first.wake();
        if let Some(more) = mutant!(wakes_only_the_first, self.more, None) {
            more.into_iter().for_each(Waker::wake);
        }
    }
}
