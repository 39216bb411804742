//! Turnstile: a number of permits and one waiting line, first come, first served. The locks stand on it: a mutex has
//! one permit, a writer takes all of them, a semaphore as many as it is asked for.
//!
//! What always holds, whenever the line's lock is free:
//! - `WAITERS` is set exactly while somebody stands in line, and changes under the lock only.
//! - While it is set, permits are given and taken under the lock only: nobody overtakes the line.
//! - The first in line wants more permits than are there, unless it is a select that has gone another way.
//!
//! Permits and flag share one word, so no wake-up can be lost between "none left" and "somebody waits": who stands in
//! line sets the flag by the same kind of exchange that gives a permit back, and one of the two comes second.
//!
//! | phase of a place in line | what it means |
//! |---|---|
//! | `Done` | it has been given its permits; whoever drops it now gives them back |
//! | `Notified` | what it waited for has come for all (closed, called, opened): it has nothing to give back |
//!
//! A lock with a name has a plate (`observe/plate.rs`), and the flag `NAMED`, which turns everybody away from the short
//! paths: so one without a name pays nothing for what others have. Books are kept under the plate's lock, which is taken
//! under the line's lock or alone.
//!
//! Why permits are handed over under the lock, not thrown in for whoever comes first: a waiter that must try again can
//! starve, and a mutex under load then serves the task that runs already. The price is a switch of tasks for each
//! hand-over.

use std::{ops::Deref, panic::Location};

use super::{
    claim::{self, Claim, Me},
    line::{Node, Phase, WaitList, Wakes},
    lock::{Guard, Lock},
    op::Step,
    wait::Line,
};
use crate::{
    observe::{Books, Mounted},
    probe::Thing,
    process::{self, Name},
    rt::{Op, sim},
    sync::{AtomicUsize, Ordering},
    waitfor::{Arm, ResourceId},
};

/// Somebody stands in line.
const WAITERS: usize = 1;
/// No permit is given any more.
const CLOSED: usize = 2;
/// It has a plate.
const NAMED: usize = 4;
/// One permit; the bits above the flags count them.
const ONE: usize = 8;

/// More permits than this cannot be counted. One bit is spare, so that those given back need no check.
pub(crate) const PERMITS_MAX: usize = usize::MAX / ONE / 2;

pub(crate) struct Turnstile {
    word: AtomicUsize,
    line: Lock<WaitList>,
    plate: Option<Mounted>,
}

/// In a simulation its address may be used again, for something else.
#[cfg(feature = "sim")]
impl Drop for Turnstile {
    fn drop(&mut self) {
        if sim::is_active() {
            sim::gone(self.id().0 as usize);
        }
    }
}

/// A place in line, and how many permits it is for.
#[repr(C)]
pub(crate) struct TurnOp {
    pub(super) node: Node,
    want: usize,
}

impl TurnOp {
    #[track_caller]
    pub(super) fn new(want: usize) -> Self {
        Self { node: Node::new(), want }
    }

    #[inline]
    pub(super) fn want(&self) -> usize {
        self.want
    }
}

impl Turnstile {
    pub(crate) fn new(permits: usize) -> Self {
        debug_assert!(permits <= PERMITS_MAX);
        let word = AtomicUsize::new(permits * ONE);
        Self { word, line: Lock::new(WaitList::new()), plate: None }
    }

    /// Gives it a name, or another one. `made`: permits, or those for whom it is.
    pub(crate) fn set_name(&mut self, thing: Thing, made: usize, name: Name) {
        match &self.plate {
            Some(plate) => plate.rename(name),
            None => {
                self.plate = Some(Mounted::new(thing, made, self.available(), name));
                // Relaxed: borrowed exclusively, and sharing it publishes it.
                self.word.fetch_or(NAMED, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn name(&self) -> Option<Name> {
        self.plate.as_ref().map(Mounted::name)
    }

    /// How observers name it. Without a name of its own the answer is good for as long as somebody waits.
    pub(crate) fn id(&self) -> ResourceId {
        let here = || ResourceId(std::ptr::from_ref(self).addr() as u64);
        self.plate.as_ref().map_or_else(here, Mounted::id)
    }

    #[inline]
    fn note(&self, f: impl FnOnce(&mut Books)) {
        if let Some(plate) = &self.plate {
            f(&mut plate.books());
        }
    }

    /// An operation on it is next: in a simulation others may go first.
    #[inline]
    pub(crate) fn begin(&self, op: Op, at: Option<&'static Location<'static>>) {
        if sim::is_active() {
            sim::point(op, self.id().0 as usize, at);
        }
    }

    /// How many permits are there for the taking.
    pub(crate) fn available(&self) -> usize {
        self.word.load(Ordering::Acquire) / ONE
    }

    #[inline]
    pub(crate) fn has_waiters(&self) -> bool {
        self.word.load(Ordering::Relaxed) & WAITERS != 0
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether `want` permits may be had now; a guess.
    #[inline]
    pub(crate) fn may_take(&self, want: usize) -> bool {
        allows(self.word.load(Ordering::Relaxed) & !NAMED, want)
    }

    /// Takes `want` permits if they are there and nobody waits.
    #[inline]
    pub(crate) fn try_take(&self, want: usize) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while allows(word, want) {
            // `Acquire`: sees what was done under these permits before they were given back.
            match self.word.compare_exchange_weak(
                word,
                word - want * ONE,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        word & NAMED != 0 && self.try_take_noted(want)
    }

    /// As `try_take`, and it is put down who took them.
    #[cold]
    fn try_take_noted(&self, want: usize) -> bool {
        let Some(plate) = &self.plate else { return false };
        let mut books = plate.books();
        let taken = self
            .word
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |word| {
                allows(word & !NAMED, want).then(|| word - want * ONE)
            })
            .is_ok();
        if taken {
            books.took(process::number(), want);
        }
        taken
    }

    /// Nobody knows any more who has so many of the permits that were taken here.
    #[inline]
    pub(crate) fn disown(&self, count: usize) {
        self.note(|books| books.disown(count));
    }

    /// So many of the permits that were taken will never be given back.
    pub(crate) fn forget(&self, count: usize) {
        self.note(|books| books.forgot(count));
    }

    /// Gives `count` permits back, or adds them: to those who wait, in order, else to whoever comes.
    #[inline]
    pub(crate) fn give(&self, count: usize) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WAITERS | NAMED) == 0 {
            // `Release`: seen by the `Acquire` of whoever takes them next.
            match self.word.compare_exchange_weak(
                word,
                word + count * ONE,
                mutant!(turnstile_give_relaxed, Ordering::Release, Ordering::Relaxed),
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.give_to_line(count);
    }

    #[cold]
    fn give_to_line(&self, count: usize) {
        let line = self.line.lock();
        self.note(|books| books.gave(count));
        self.hand_out(line, count);
    }

    /// As `give(count)`, unless there would be more than `PERMITS_MAX`; then it answers false.
    pub(crate) fn try_give(&self, count: usize) -> bool {
        if count > PERMITS_MAX {
            return false;
        }
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WAITERS | NAMED) == 0 {
            if word / ONE > PERMITS_MAX - count {
                return false;
            }
            let more = word + count * ONE;
            match self.word.compare_exchange_weak(word, more, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        let line = self.line.lock();
        if self.available() > PERMITS_MAX - count {
            return false;
        }
        self.note(|books| books.added(count));
        self.hand_out(line, count);
        true
    }

    /// Gives one permit to the first in line; if nobody waits there is one for the next who comes, and never more.
    pub(crate) fn signal(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (WAITERS | NAMED) == 0 {
            // An exchange also when a permit is there already: its taker must see what came before this call.
            let one = (word & CLOSED) | mutant!(notice_not_kept, ONE, 0);
            match self.word.compare_exchange_weak(word, one, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.signal_line();
    }

    #[cold]
    fn signal_line(&self) {
        let line = self.line.lock();
        if !line.is_empty() {
            // Each wants one permit, so while somebody waits none is there: no second one is kept.
            self.hand_out(line, 1);
            return;
        }
        // Under the line's lock nobody comes to stand there, so the flag of those who wait stays as it is, away.
        let signalled = |word| Some((word & (CLOSED | NAMED)) | ONE);
        match &self.plate {
            Some(plate) => {
                let mut books = plate.books();
                let _ = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, signalled);
                books.set_free(1);
            }
            None => {
                let _ = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, signalled);
            }
        }
    }

    /// Lets everybody in line go without a permit, if `change`, which runs under the lock, says so.
    pub(crate) fn tell_all(&self, change: impl FnOnce() -> bool) {
        let mut wakes = Wakes::new();
        let mut line = self.line.lock();
        if change() {
            self.tell_line(&mut line, &mut wakes);
        }
        drop(line);
        wakes.wake();
    }

    /// From here nobody gets a permit; those who wait are told.
    pub(crate) fn close(&self) {
        // `Release`: what came before is seen by those who find it closed.
        self.tell_all(|| {
            let first = self.word.fetch_or(CLOSED, Ordering::Release) & CLOSED == 0;
            mutant!(turnstile_closes_in_silence, first, false)
        });
    }

    fn tell_line(&self, line: &mut WaitList, wakes: &mut Wakes) {
        if line.is_empty() {
            return;
        }
        while let Some(node) = line.pop() {
            // SAFETY: it stood in this line and the lock is held.
            unsafe { (*node).finish(Phase::Notified, wakes) };
            if mutant!(turnstile_tells_one, false, true) {
                break;
            }
        }
        self.note(Books::all_left);
        self.word.fetch_and(!WAITERS, Ordering::Release);
    }

    /// Gives `in_hand` permits and those that are there to the first in line, then to the next, as far as they go.
    fn hand_out(&self, mut line: Guard<'_, WaitList>, mut in_hand: usize) {
        let mut wakes = Wakes::new();
        let waited = !line.is_empty();
        loop {
            let node = line.front();
            if node.is_null() {
                break;
            }
            // SAFETY: every node in this line is the first field of a `TurnOp`, which stays while it is in line and
            // the lock is held.
            let want = unsafe { (*node.cast::<TurnOp>()).want };
            if in_hand < want {
                let missing = want - in_hand;
                // `Acquire`: what was done under these permits is handed on with them. While `WAITERS` is set nobody
                // else takes any.
                if self.word.load(Ordering::Acquire) / ONE < missing {
                    break;
                }
                self.word.fetch_sub(missing * ONE, Ordering::Relaxed);
                in_hand = want;
            }
            // SAFETY: it stands in this line and the lock is held.
            unsafe {
                let claimed = claim::claim_parked(&*node);
                line.remove(node);
                self.note(|books| {
                    books.left((*node).ticket());
                    if claimed == Claim::Won {
                        books.took((*node).process(), want);
                    }
                });
                if claimed == Claim::Won {
                    in_hand -= want;
                    mutant!(
                        turnstile_hands_to_nobody,
                        (*node).finish(Phase::Done, &mut wakes),
                        (*node).set_phase(Phase::Idle)
                    );
                } else {
                    // A select that has gone another way and has yet to leave.
                    (*node).set_phase(Phase::Idle);
                }
            }
        }
        let cleared = if waited && line.is_empty() { WAITERS } else { 0 };
        let change = (in_hand * ONE).wrapping_sub(cleared);
        if change != 0 {
            self.word.fetch_add(change, Ordering::Release);
        }
        drop(line);
        wakes.wake();
    }

    /// One try to pass; without success it waits in line. True: with its permits, or as the one that opens the line
    /// (`opens_at`). False: `over` says that there is nothing to wait for.
    ///
    /// `opens_at`: with so many here, this one included, all may go.
    ///
    /// # Safety
    /// `op` is pinned and belongs to `me.core`; it is in no line, and is retracted before it goes away.
    pub(super) unsafe fn step(
        &self,
        op: &TurnOp,
        me: &Me<'_>,
        over: impl FnOnce() -> bool,
        opens_at: usize,
    ) -> Step<bool> {
        let mut line = self.line.lock();
        // Between `begin` and its end no second lock is taken: a holder of this one may be waiting for us.
        if !me.begin() {
            return Step::Interrupted;
        }
        if over() {
            me.commit();
            return Step::Ready(false);
        }
        if line.len() + mutant!(barrier_opens_early, 1, 2) >= opens_at {
            me.commit();
            let mut wakes = Wakes::new();
            self.tell_line(&mut line, &mut wakes);
            drop(line);
            wakes.wake();
            return Step::Ready(true);
        }
        // From here permits stay as they are, or the one who gives them waits for our lock.
        let word = self.word.fetch_or(WAITERS, Ordering::Acquire);
        if line.is_empty() && word / ONE >= op.want {
            self.word.fetch_sub(op.want * ONE + WAITERS, Ordering::Relaxed);
            self.note(|books| books.took(process::number(), op.want));
            me.commit();
            return Step::Ready(true);
        }
        op.node.belongs_to(me);
        // SAFETY: the caller's promise.
        unsafe { line.push(&raw const op.node, false) };
        self.note_standing(op);
        me.rollback();
        Step::Waiting
    }

    /// Enters a place in line, whose lock the caller holds, into the books.
    #[inline]
    fn note_standing(&self, op: &TurnOp) {
        if let Some(plate) = &self.plate {
            // SAFETY: it stands in this line and the lock is held.
            if let Some(parked) = unsafe { op.node.seen() } {
                plate.books().stands(op.want, parked);
            }
        }
    }

    /// Lets a select take over a place in line. False: it has been told meanwhile, and is in no line.
    pub(super) fn adopt(&self, op: &TurnOp, me: &Me<'_>) -> bool {
        let _line = self.line.lock();
        let queued = op.node.phase() == Phase::Queued;
        if queued {
            op.node.belongs_to(me);
            self.note_standing(op);
        }
        queued
    }

    /// Whether it still waits.
    pub(super) fn is_queued(&self, op: &TurnOp) -> bool {
        // Under the lock, so that whoever has told it has let go.
        let _line = self.line.lock();
        op.node.phase() == Phase::Queued
    }

    /// Leaves the line. True: it had been given its permits, and they are the caller's to give back.
    ///
    /// # Safety
    /// `op` was stepped here and its owner runs this.
    pub(super) unsafe fn retract(&self, op: &TurnOp) -> bool {
        let mut line = self.line.lock();
        let phase = op.node.phase();
        op.node.set_phase(Phase::Idle);
        if phase == Phase::Queued {
            // SAFETY: queued, so it stands in this line.
            unsafe { line.remove(&raw const op.node) };
            // SAFETY: it has stood in this line.
            self.note(|books| books.left(unsafe { op.node.ticket() }));
            if line.is_empty() {
                let gone = mutant!(turnstile_ghost_in_line, !WAITERS, usize::MAX);
                self.word.fetch_and(gone, Ordering::Release);
            } else {
                // What was too little for this one may do for the next.
                mutant!(turnstile_leaves_in_silence, self.hand_out(line, 0), drop(line));
            }
        }
        phase == Phase::Done
    }

    /// Waits until whoever told one of our operations has let go of it.
    pub(super) fn synchronize(&self) {
        drop(self.line.lock());
    }
}

impl Line for Turnstile {
    fn with_line<R>(&self, f: impl FnOnce() -> R) -> R {
        let _line = self.line.lock();
        f()
    }
}

#[inline]
fn allows(word: usize, want: usize) -> bool {
    word & (mutant!(turnstile_overtakes, WAITERS, 0) | CLOSED | NAMED) == 0 && word >= want * ONE
}

/// What stands behind a turnstile, and when one may pass.
pub(crate) trait Passage {
    fn turnstile(&self) -> &Turnstile;

    /// Nothing to wait for (any more). May run under the line's lock.
    #[inline]
    fn is_over(&self) -> bool {
        false
    }

    /// With so many in line all may go.
    #[inline]
    fn opens_at(&self) -> usize {
        usize::MAX
    }

    /// For observers: what whoever wants so many permits waits for.
    fn wish(&self, want: usize) -> Arm;

    /// Gives back what a turn was given and did not use.
    #[inline]
    fn give_back(&self, count: usize) {
        self.turnstile().give(count);
    }
}

/// Whatever leads to one: a reference, an `Arc`.
impl<D: Deref<Target: Passage>> Passage for D {
    #[inline]
    fn turnstile(&self) -> &Turnstile {
        (**self).turnstile()
    }

    #[inline]
    fn is_over(&self) -> bool {
        (**self).is_over()
    }

    #[inline]
    fn opens_at(&self) -> usize {
        (**self).opens_at()
    }

    fn wish(&self, want: usize) -> Arm {
        (**self).wish(want)
    }

    #[inline]
    fn give_back(&self, count: usize) {
        (**self).give_back(count);
    }
}
