//! List: an unbounded queue of linked blocks, for many senders and one or many receivers.
//!
//! What always holds:
//! - A position is written by the one sender that took it and read once, in order.
//! - A drained channel keeps at most two blocks, however long the burst was.
//! - Once the closed bit is set no message enters; those inside are still delivered (or dropped by the last receiver).
//!
//! The shape is that of crossbeam's list channel: senders count positions up by CAS, the one that takes a block's
//! last slot links the next block. Two things differ. A slot's stamp carries its position, so a recycled block needs
//! no cleaning. And there is one receiver: it frees a block as soon as it has read it, with no counting of readers.
//! Several receivers (`SharedReceiver`) take turns under a lock, a few instructions each.

use std::{mem::MaybeUninit, ptr};

use super::{
    backoff::Backoff,
    chan::Mode,
    gate::{Gate, Side},
    lock::Lock,
    ring::{Push, move_out},
};
use crate::sync::{AtomicPtr, AtomicU64, Ordering, Padded, UnsafeCell};

/// Positions per block; the last of each lap is not a slot but the moment in which the next block is linked.
const LAP: u64 = if cfg!(towpath_loom) { 3 } else { 32 };
const SLOTS: usize = LAP as usize - 1;
/// One position; the lowest bit of the tail says closed, of a stamp says written.
const ONE: u64 = 2;
const CLOSED: u64 = 1;

struct Slot<T> {
    stamp: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

struct Block<T> {
    next: AtomicPtr<Block<T>>,
    slots: [Slot<T>; SLOTS],
}

impl<T> Block<T> {
    fn new() -> Box<Self> {
        Box::new(Self {
            next: AtomicPtr::new(ptr::null_mut()),
            slots: std::array::from_fn(|_| Slot {
                stamp: AtomicU64::new(0),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            }),
        })
    }
}

/// Where one side works.
struct End<T> {
    index: AtomicU64,
    block: AtomicPtr<Block<T>>,
}

impl<T> End<T> {
    fn new() -> Self {
        Self { index: AtomicU64::new(0), block: AtomicPtr::new(ptr::null_mut()) }
    }
}

pub(crate) struct List<T> {
    tail: Padded<End<T>>,
    head: Padded<End<T>>,
    pub(super) gate: Padded<Gate>,
    /// A block that the receiver has emptied, for the next sender that needs one.
    spare: AtomicPtr<Block<T>>,
    /// Receivers that share the end take turns.
    turn: Lock<()>,
}

// SAFETY: messages cross threads, so `T: Send`; slots are handed over by their stamps. Attacked by `loom::list_*`
// and the ThreadSanitizer run of `it::stress`.
unsafe impl<T: Send> Send for List<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for List<T> {}

/// Messages before position `index`, whose laps have one position that is not a slot.
fn messages(index: u64) -> u64 {
    let position = index / ONE;
    position / LAP * (LAP - 1) + (position % LAP).min(LAP - 1)
}

impl<T> List<T> {
    pub(crate) fn new() -> Self {
        Self {
            tail: Padded(End::new()),
            head: Padded(End::new()),
            gate: Padded(Gate::new()),
            spare: AtomicPtr::new(ptr::null_mut()),
            turn: Lock::new(()),
        }
    }

    /// For observers: two words of which one changes with every message that goes in or out.
    pub(super) fn positions(&self) -> (u64, u64) {
        (self.head.index.load(Ordering::SeqCst), self.tail.index.load(Ordering::SeqCst))
    }

    /// Messages that went in and came out by then, of [`positions`](Self::positions).
    pub(super) fn totals((head, tail): (u64, u64)) -> (u64, u64) {
        (messages(tail), messages(head))
    }

    pub(super) fn len(&self) -> usize {
        let head = self.head.index.load(Ordering::SeqCst);
        let tail = self.tail.index.load(Ordering::SeqCst);
        messages(tail).saturating_sub(messages(head)) as usize
    }

    pub(super) fn is_closed(&self) -> bool {
        self.tail.index.load(Ordering::SeqCst) & CLOSED != 0
    }

    fn is_empty(&self) -> bool {
        self.tail.index.load(Ordering::SeqCst) & !CLOSED == self.head.index.load(Ordering::Relaxed)
    }

    /// Whether a receiver has something to try: a message (perhaps still being written), or the end.
    pub(super) fn recv_ready(&self) -> bool {
        !self.is_empty() || self.gate.senders_gone()
    }

    fn new_block(&self) -> Box<Block<T>> {
        if !self.spare.load(Ordering::Relaxed).is_null() {
            let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
            if !spare.is_null() {
                // SAFETY: it came from `Box::into_raw` and the exchange made it ours alone.
                return unsafe { Box::from_raw(spare) };
            }
        }
        Block::new()
    }

    fn recycle(&self, block: *mut Block<T>) {
        // SAFETY: the receiver has read all its slots and its link, so no sender touches it again.
        unsafe { (*block).next.store(ptr::null_mut(), Ordering::Relaxed) };
        if !self.spare.load(Ordering::Relaxed).is_null()
            || self
                .spare
                .compare_exchange(ptr::null_mut(), block, Ordering::Release, Ordering::Relaxed)
                .is_err()
        {
            // SAFETY: as above, and it came from `Box::into_raw`.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Sends what is in `value` unless the receivers are gone, and tells a waiting receiver.
    #[inline(always)]
    pub(super) fn try_send(&self, value: &mut Option<T>) -> Push {
        // SAFETY: `push` moves the message on `Done`.
        let done = unsafe { move_out(value, |source| self.push(source)) };
        if done == Push::Done {
            self.gate.notify(Side::Recv);
        }
        done
    }

    /// Receives if there is a message.
    ///
    /// # Safety
    /// Exclusive only if the caller's end is the only one, and it receives once at a time.
    #[inline(always)]
    pub(super) unsafe fn try_recv(&self, mode: Mode) -> Option<T> {
        match mode {
            // SAFETY: the caller's promise.
            Mode::Exclusive => unsafe { self.pop_single() },
            Mode::Shared => self.pop_shared(),
        }
    }

    /// Copies the message at `source` into the queue. Does not notify.
    ///
    /// # Safety
    /// `source` is valid for reads; on `Done` the message there has moved.
    #[inline]
    pub(super) unsafe fn push(&self, source: *const T) -> Push {
        // Nearly always: the block has more than one slot left, and nobody else is sending.
        let tail = self.tail.index.load(Ordering::Acquire);
        let offset = (tail / ONE % LAP) as usize;
        let block = self.tail.block.load(Ordering::Acquire);
        if tail & CLOSED == 0
            && offset + 1 < SLOTS
            && !block.is_null()
            && self
                .tail
                .index
                .compare_exchange(tail, tail + ONE, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
        {
            // SAFETY: the index named this block when the exchange succeeded, and gave us this slot alone.
            unsafe { Self::fill(&(*block).slots[offset], tail, source) };
            return Push::Done;
        }
        // SAFETY: the caller's promise.
        unsafe { self.push_slowly(source) }
    }

    /// # Safety
    /// The caller has taken this position, and `source` is valid for reads.
    #[inline]
    unsafe fn fill(slot: &Slot<T>, position: u64, source: *const T) {
        // SAFETY: whoever takes a position by an exchange has its slot alone, and the receiver frees the block only after
        // it has read the slot. Attacked by `loom::list_block_change`.
        slot.value.with_mut(|value| unsafe {
            (*value).as_mut_ptr().copy_from_nonoverlapping(source, 1);
        });
        let order = mutant!(list_stamp_relaxed, Ordering::Release, Ordering::Relaxed);
        slot.stamp.store(position | 1, order);
    }

    /// # Safety
    /// As for `push`.
    #[inline(never)]
    unsafe fn push_slowly(&self, source: *const T) -> Push {
        let mut backoff = Backoff::new();
        let mut prepared: Option<Box<Block<T>>> = None;
        loop {
            let tail = self.tail.index.load(Ordering::Acquire);
            if tail & CLOSED != 0 {
                return Push::Closed;
            }
            let offset = (tail / ONE % LAP) as usize;
            if offset == SLOTS {
                // Somebody is linking the next block.
                backoff.wait_for_other();
                continue;
            }
            let block = self.tail.block.load(Ordering::Acquire);
            if block.is_null() {
                self.first_block();
                continue;
            }
            if offset + 1 == SLOTS && prepared.is_none() {
                prepared = Some(self.new_block());
            }
            if self
                .tail
                .index
                .compare_exchange_weak(tail, tail + ONE, Ordering::SeqCst, Ordering::Relaxed)
                .is_err()
            {
                backoff.wait_for_other();
                continue;
            }
            // SAFETY: the index named this block when the exchange succeeded (both move together), the exchange gave
            // us this slot alone, and the receiver frees the block only after it has read the slot and the link.
            // Attacked by `loom::list_block_change`.
            unsafe {
                if offset + 1 == SLOTS
                    && let Some(next) = prepared.take()
                {
                    let next = Box::into_raw(next);
                    self.tail.block.store(next, Ordering::Release);
                    self.tail.index.fetch_add(ONE, Ordering::SeqCst);
                    (*block).next.store(next, Ordering::Release);
                }
                Self::fill(&(*block).slots[offset], tail, source);
            }
            return Push::Done;
        }
    }

    #[cold]
    fn first_block(&self) {
        let block = Box::into_raw(self.new_block());
        if self
            .tail
            .block
            .compare_exchange(ptr::null_mut(), block, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            self.head.block.store(block, Ordering::Release);
        } else {
            // SAFETY: nobody else has seen it.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Takes the oldest message. For the one receiver that owns its end.
    ///
    /// # Safety
    /// No other call of `pop_single` or `pop_shared` runs meanwhile.
    #[inline]
    pub(super) unsafe fn pop_single(&self) -> Option<T> {
        let head = self.head.index.load(Ordering::Relaxed);
        let offset = (head / ONE % LAP) as usize;
        let mut block = self.head.block.load(Ordering::Acquire);
        if block.is_null() {
            block = self.await_first_block()?;
        }
        // SAFETY: the head's block lives until we free it below.
        let slot = unsafe { &(*block).slots[offset] };
        if slot.stamp.load(Ordering::Acquire) != head | 1 && !self.await_writer(slot, head) {
            return None;
        }
        // SAFETY: the stamp says written, and we are the only receiver. Attacked by `loom::list_hand_over`.
        let value = slot.value.with(|value| unsafe { (*value).assume_init_read() });
        if offset + 1 == SLOTS {
            // SAFETY: its slots are read, and we are the only receiver.
            unsafe { self.next_block(block, head) };
        } else {
            self.head.index.store(head + ONE, Ordering::Release);
        }
        Some(value)
    }

    /// Goes from `block`, whose last slot was at `head`, to the next.
    ///
    /// # Safety
    /// `block` is the head's, all its slots are read, and no other receiver runs meanwhile.
    #[inline(never)]
    unsafe fn next_block(&self, block: *mut Block<T>, head: u64) {
        let mut backoff = Backoff::new();
        let next = loop {
            // SAFETY: it lives until we free it below.
            let next = unsafe { (*block).next.load(Ordering::Acquire) };
            if !next.is_null() {
                break next;
            }
            backoff.wait_for_other();
        };
        self.head.block.store(next, Ordering::Relaxed);
        self.head.index.store(head + 2 * ONE, Ordering::Release);
        self.recycle(block);
    }

    /// Tells an empty queue (false) from a message that is just being written, and waits for that one.
    #[inline(never)]
    fn await_writer(&self, slot: &Slot<T>, head: u64) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut backoff = Backoff::new();
        while slot.stamp.load(Ordering::Acquire) != head | 1 {
            backoff.wait_for_other();
        }
        true
    }

    #[cold]
    fn await_first_block(&self) -> Option<*mut Block<T>> {
        if self.is_empty() {
            return None;
        }
        let mut backoff = Backoff::new();
        loop {
            let block = self.head.block.load(Ordering::Acquire);
            if !block.is_null() {
                return Some(block);
            }
            backoff.wait_for_other();
        }
    }

    /// Takes the oldest message, for one of several receivers.
    #[inline(never)]
    pub(super) fn pop_shared(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let _turn = self.turn.lock();
        // SAFETY: every receiver of a shared end comes through this lock.
        unsafe { self.pop_single() }
    }

    /// From here no message enters.
    pub(super) fn close(&self) {
        self.tail.index.fetch_or(CLOSED, Ordering::SeqCst);
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        /// Frees the blocks also when a message's drop panics.
        struct Blocks<'a, T>(&'a List<T>);
        impl<T> Drop for Blocks<'_, T> {
            fn drop(&mut self) {
                for block in [&self.0.head.block, &self.0.spare] {
                    let block = block.load(Ordering::Relaxed);
                    if !block.is_null() {
                        // SAFETY: nobody else is here, and both came from `Box::into_raw`.
                        drop(unsafe { Box::from_raw(block) });
                    }
                }
            }
        }
        let blocks = Blocks(self);
        // SAFETY: `&mut self`: nobody else is here.
        super::drain::drain(|| unsafe { blocks.0.pop_single() });
    }
}
