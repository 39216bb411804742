//! Ring: a fixed number of slots for many senders and one or many receivers.
//!
//! What always holds:
//! - `received <= sent <= received + capacity`, both counted since the channel was made (modulo 2^48).
//! - `len + reserved places <= capacity`, so a permit always finds room.
//! - Once the closed bit is set no message enters; those inside are still delivered (or dropped by the last receiver).
//!
//! The queue is Vyukov's bounded MPMC queue (2010): each slot carries a stamp that says whose turn it is, so sender
//! and receiver touch different lines except for the slot itself.
//!
//! ```text
//!   tail word   | position, 48 bits | closed | reserved places, 15 bits |     one CAS changes them together
//!   head word   | position, 48 bits | 0                                  |
//!   slot stamp  position       free for the message of that position
//!               position | 1   written
//! ```
//!
//! Why one word holds three things: a place is reserved, a message enters and the channel closes by the same atomic
//! step, so that no two of them can each believe they were first. A single receiver needs no CAS, but one exchange,
//! which doubles as the fence that the waiting lines need (`gate.rs`).

use std::{
    mem::{ManuallyDrop, MaybeUninit},
    ptr,
};

use super::{
    backoff::Backoff,
    chan::Mode,
    gate::{Gate, Side},
};
use crate::sync::{AtomicU64, Ordering, Padded, UnsafeCell};

/// One position.
const ONE: u64 = 1 << 16;
const CLOSED: u64 = 1 << 15;
const RESERVED: u64 = CLOSED - 1;
const POSITION: u64 = !(ONE - 1);

struct Slot<T> {
    stamp: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

pub(crate) struct Ring<T> {
    tail: Padded<AtomicU64>,
    head: Padded<AtomicU64>,
    pub(super) gate: Padded<Gate>,
    slots: Box<[Slot<T>]>,
    mask: u64,
    capacity: u64,
}

/// What became of a message offered to a queue.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Push {
    /// It is in the queue; the caller's copy is no longer its own.
    Done,
    Full,
    Closed,
}

/// Lets `push` have the message in `value`, which it has taken if it answers `Done`.
///
/// # Safety
/// `push` moves the message from the pointer it gets if and only if it answers `Done`.
#[inline]
pub(super) unsafe fn move_out<T>(
    value: &mut Option<T>,
    push: impl FnOnce(*const T) -> Push,
) -> Push {
    let Some(message) = value else { return Push::Done };
    let done = push(message);
    if done == Push::Done {
        // SAFETY: the message has moved, so the option is overwritten without dropping it.
        unsafe { ptr::write(value, None) };
    }
    done
}

// SAFETY: messages cross threads, so `T: Send`; slots are handed over by their stamps. Attacked by `loom::ring_*`
// and the ThreadSanitizer run of `it::stress`.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let slots = capacity.next_power_of_two();
        Self {
            tail: Padded(AtomicU64::new(0)),
            head: Padded(AtomicU64::new(0)),
            gate: Padded(Gate::new()),
            slots: (0..slots as u64)
                .map(|i| Slot {
                    stamp: AtomicU64::new(i * ONE),
                    value: UnsafeCell::new(MaybeUninit::uninit()),
                })
                .collect(),
            mask: slots as u64 - 1,
            capacity: capacity as u64,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// For observers: two words of which one changes with every message that goes in or out.
    pub(super) fn positions(&self) -> (u64, u64) {
        (self.head.load(Ordering::SeqCst), self.tail.load(Ordering::SeqCst))
    }

    /// Messages that went in and came out by then, of [`positions`](Self::positions): up to 2^48, then from 0 again.
    pub(super) fn totals((head, tail): (u64, u64)) -> (u64, u64) {
        (tail / ONE, head / ONE)
    }

    pub(super) fn len(&self) -> usize {
        let head = self.head.load(Ordering::SeqCst);
        let tail = self.tail.load(Ordering::SeqCst) & POSITION;
        // Read in this order the difference may exceed what was ever inside at once, so it is capped.
        (tail.wrapping_sub(head) / ONE).min(self.capacity) as usize
    }

    #[inline]
    fn slot(&self, position: u64) -> &Slot<T> {
        // SAFETY: the mask is the number of slots minus one, a power of two. Attacked by `it::model`.
        unsafe { self.slots.get_unchecked(((position / ONE) & self.mask) as usize) }
    }

    /// Whether another place can be taken, by the tail word `tail`.
    fn has_room(&self, tail: u64) -> bool {
        let head = self.head.load(Ordering::SeqCst);
        (tail & POSITION).wrapping_sub(head) / ONE + (tail & RESERVED)
            < self.capacity + mutant!(ring_holds_one_more, 0, 1)
    }

    /// Whether a sender has something to try: room, or the news that the channel is closed.
    pub(super) fn send_ready(&self) -> bool {
        let tail = self.tail.load(Ordering::SeqCst);
        tail & CLOSED != 0 || self.has_room(tail)
    }

    /// Whether a reservation has something to try. The word counts so many permits; beyond that the channel looks full.
    pub(super) fn reserve_ready(&self) -> bool {
        let tail = self.tail.load(Ordering::SeqCst);
        tail & CLOSED != 0 || (tail & RESERVED != RESERVED && self.has_room(tail))
    }

    /// Sends on a reserved place. Fails only when the receivers are gone.
    pub(super) fn send_reserved(&self, value: T) -> Result<(), T> {
        let value = ManuallyDrop::new(value);
        // SAFETY: valid for reads, and not used again when it has moved.
        if unsafe { self.push(&raw const *value, true) } == Push::Done {
            self.gate.notify(Side::Recv);
            if self.capacity > RESERVED {
                // There may be room, and only the count of permits was exhausted.
                self.gate.notify(Side::Send);
            }
            return Ok(());
        }
        self.unreserve();
        Err(ManuallyDrop::into_inner(value))
    }

    /// Whether a receiver has something to try: a message (perhaps still being written), or the end.
    pub(super) fn recv_ready(&self) -> bool {
        self.tail.load(Ordering::SeqCst) & POSITION != self.head.load(Ordering::SeqCst)
            || self.gate.senders_gone()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.tail.load(Ordering::SeqCst) & CLOSED != 0
    }

    /// Sends what is in `value` if there is room, and tells a waiting receiver.
    #[inline(always)]
    pub(super) fn try_send(&self, value: &mut Option<T>) -> Push {
        // SAFETY: `push` moves the message on `Done`.
        let done = unsafe { move_out(value, |source| self.push(source, false)) };
        if done == Push::Done {
            self.gate.notify(Side::Recv);
        }
        done
    }

    /// Receives if there is a message, and tells a waiting sender.
    ///
    /// # Safety
    /// Exclusive only if the caller's end is the only one, and it receives once at a time.
    #[inline(always)]
    pub(super) unsafe fn try_recv(&self, mode: Mode) -> Option<T> {
        let value = match mode {
            // SAFETY: the caller's promise.
            Mode::Exclusive => unsafe { self.pop_single() },
            Mode::Shared => self.pop_shared(),
        };
        if value.is_some() {
            self.gate.notify(Side::Send);
        }
        value
    }

    /// Copies the message at `source` into the queue, using up a reserved place if `reserved`. Does not notify.
    ///
    /// # Safety
    /// `source` is valid for reads; on `Done` the message there has moved.
    #[inline]
    pub(super) unsafe fn push(&self, source: *const T, reserved: bool) -> Push {
        // Nearly always: no permits are out, the next slot is free, and nobody else is sending.
        let tail = self.tail.load(Ordering::Relaxed);
        let slot = self.slot(tail);
        if tail & (CLOSED | RESERVED) == 0
            && self.capacity == self.mask + 1
            && slot.stamp.load(Ordering::Acquire) == tail
            && self
                .tail
                .compare_exchange(tail, tail.wrapping_add(ONE), Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
        {
            // SAFETY: the caller's promise; the exchange gave us this position alone.
            unsafe { Self::fill(slot, tail, source) };
            return Push::Done;
        }
        // SAFETY: the caller's promise.
        unsafe { self.push_slowly(source, reserved) }
    }

    /// # Safety
    /// The caller has taken this position, and `source` is valid for reads.
    #[inline]
    unsafe fn fill(slot: &Slot<T>, position: u64, source: *const T) {
        // SAFETY: taking the position by an exchange gave it to the caller alone, and its stamp said that the slot is
        // free; no receiver looks at it before the stamp below. Attacked by `loom::ring_two_senders_one_slot`.
        slot.value.with_mut(|value| unsafe {
            (*value).as_mut_ptr().copy_from_nonoverlapping(source, 1);
        });
        let order = mutant!(ring_stamp_relaxed, Ordering::Release, Ordering::Relaxed);
        slot.stamp.store(position | 1, order);
    }

    /// # Safety
    /// As for `push`.
    #[inline(never)]
    unsafe fn push_slowly(&self, source: *const T, reserved: bool) -> Push {
        let mut backoff = Backoff::new();
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            if tail & CLOSED != 0 {
                // The receiver's end happens before we say so, and `tail` may come from a relaxed read. Attacked by
                // `loom::order_4_close`.
                self.tail.load(Ordering::Acquire);
                return Push::Closed;
            }
            let position = tail & POSITION;
            let slot = self.slot(position);
            let turn = slot.stamp.load(Ordering::Acquire).wrapping_sub(position);
            if turn == 0 {
                let narrow = tail & RESERVED != 0 || self.capacity != self.mask + 1;
                if narrow && !reserved && !self.has_room(tail) {
                    let now = self.tail.load(Ordering::SeqCst);
                    if now == tail {
                        return Push::Full;
                    }
                    tail = now;
                    continue;
                }
                let next = tail.wrapping_add(ONE) - u64::from(reserved);
                match self.tail.compare_exchange_weak(
                    tail,
                    next,
                    Ordering::SeqCst,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the caller's promise; the exchange gave us this position alone.
                        unsafe { Self::fill(slot, position, source) };
                        return Push::Done;
                    }
                    Err(now) => {
                        tail = now;
                        backoff.wait_for_other();
                    }
                }
            } else if turn as i64 > 0 {
                // Somebody took this position already.
                tail = self.tail.load(Ordering::Relaxed);
            } else {
                // Written a lap ago. Full, unless a receiver is just leaving the slot.
                let head = self.head.load(Ordering::SeqCst);
                let now = self.tail.load(Ordering::SeqCst);
                if now == tail {
                    if position.wrapping_sub(head) / ONE >= self.capacity {
                        return Push::Full;
                    }
                    backoff.wait_for_other();
                }
                tail = now;
            }
        }
    }

    /// Takes the oldest message. For the one receiver that owns its end.
    ///
    /// # Safety
    /// No other call of `pop_single` or `pop_shared` runs meanwhile.
    #[inline(always)]
    pub(super) unsafe fn pop_single(&self) -> Option<T> {
        let head = self.head.load(Ordering::Relaxed);
        let slot = self.slot(head);
        if slot.stamp.load(Ordering::Acquire) != head | 1 && !self.await_writer(slot, head) {
            return None;
        }
        // SAFETY: the stamp says written, and we are the only receiver. Attacked by `loom::ring_hand_over`.
        let value = slot.value.with(|value| unsafe { (*value).assume_init_read() });
        self.free(slot, head);
        // The exchange is the fence between freeing the slot and looking for waiting senders.
        self.head.swap(head.wrapping_add(ONE), Ordering::SeqCst);
        Some(value)
    }

    /// As `pop_single` for up to `limit` messages, with one fence for all.
    ///
    /// # Safety
    /// As for `pop_single`.
    pub(super) unsafe fn pop_many(&self, limit: usize, mut take: impl FnMut(T)) -> usize {
        let start = self.head.load(Ordering::Relaxed);
        let mut head = start;
        let mut count = 0;
        while count < limit {
            let slot = self.slot(head);
            if slot.stamp.load(Ordering::Acquire) != head | 1
                && (count > 0 || !self.await_writer(slot, head))
            {
                break;
            }
            // SAFETY: as in `pop_single`.
            let value = slot.value.with(|value| unsafe { (*value).assume_init_read() });
            self.free(slot, head);
            head = head.wrapping_add(ONE);
            count += 1;
            take(value);
        }
        if count > 0 {
            self.head.swap(head, Ordering::SeqCst);
        }
        count
    }

    /// Takes the oldest message, for one of several receivers.
    #[inline(never)]
    pub(super) fn pop_shared(&self) -> Option<T> {
        let mut backoff = Backoff::new();
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let slot = self.slot(head);
            let turn = slot.stamp.load(Ordering::Acquire).wrapping_sub(head);
            if turn == 1 {
                match self.head.compare_exchange_weak(
                    head,
                    head.wrapping_add(ONE),
                    Ordering::SeqCst,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => {
                        // SAFETY: the exchange gave us this position alone and its stamp said written. Attacked by
                        // `loom::ring_two_receivers`.
                        let value = slot.value.with(|value| unsafe { (*value).assume_init_read() });
                        self.free(slot, head);
                        return Some(value);
                    }
                    Err(now) => {
                        head = now;
                        backoff.wait_for_other();
                    }
                }
            } else {
                let now = self.head.load(Ordering::SeqCst);
                if now != head {
                    head = now;
                } else if self.tail.load(Ordering::SeqCst) & POSITION == head {
                    return None;
                } else {
                    // A sender has taken the position and is about to write.
                    backoff.wait_for_other();
                }
            }
        }
    }

    #[inline]
    fn free(&self, slot: &Slot<T>, position: u64) {
        let order = mutant!(ring_free_relaxed, Ordering::Release, Ordering::Relaxed);
        slot.stamp.store(position.wrapping_add((self.mask + 1) * ONE), order);
    }

    /// Tells an empty queue (false) from a message that is just being written, and waits for that one.
    #[inline(never)]
    fn await_writer(&self, slot: &Slot<T>, head: u64) -> bool {
        if self.tail.load(Ordering::SeqCst) & POSITION == head {
            return false;
        }
        let mut backoff = Backoff::new();
        while slot.stamp.load(Ordering::Acquire) != head | 1 {
            backoff.wait_for_other();
        }
        true
    }

    /// Keeps a place for a message to come. Does not wait.
    pub(super) fn reserve(&self) -> Push {
        let mut tail = self.tail.load(Ordering::SeqCst);
        loop {
            if tail & CLOSED != 0 {
                return Push::Closed;
            }
            if tail & RESERVED == RESERVED || !self.has_room(tail) {
                let now = self.tail.load(Ordering::SeqCst);
                if now == tail {
                    return Push::Full;
                }
                tail = now;
                continue;
            }
            match self.tail.compare_exchange_weak(
                tail,
                tail + 1,
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return Push::Done,
                Err(now) => tail = now,
            }
        }
    }

    /// Gives a kept place back.
    pub(super) fn unreserve(&self) {
        self.tail.fetch_sub(mutant!(ring_place_not_given_back, 1, 0), Ordering::SeqCst);
        mutant!(ring_gives_back_in_silence, self.gate.notify(Side::Send), ());
    }

    /// From here no message enters.
    pub(super) fn close(&self) {
        self.tail.fetch_or(CLOSED, Ordering::SeqCst);
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: nobody else is here.
        super::drain::drain(|| unsafe { self.pop_single() });
    }
}
