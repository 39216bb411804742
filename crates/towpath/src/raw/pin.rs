//! Pin projections, the few there are.

use std::{cell::Cell, panic::Location, pin::Pin};

use super::{
    done::{Done, EndWait},
    reserve::Reservation,
    slot::Slot,
    wait::Core,
};
use crate::{
    channel::Reserving,
    probe::Unpark,
    rt::{InlineSleep, ThreadTimer, Timer},
    scope::{Child, Job},
    select::{Arms, FutureArm, Selecting, tell_unpark},
};

/// Two pinned values side by side, as `select!` strings its arms together.
#[derive(Debug)]
pub struct Pair<A, B> {
    pub(super) first: A,
    pub(super) second: B,
}

impl<A, B> Pair<A, B> {
    pub(crate) fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    pub(crate) fn first(self: Pin<&mut Self>) -> Pin<&mut A> {
        // SAFETY: `Pair` never moves out of its fields, has no `Drop`, and is `Unpin` only if both are.
        // Attacked by `it::cancel::select_is_not_unpin`.
        unsafe { self.map_unchecked_mut(|pair| &mut pair.first) }
    }

    pub(crate) fn second(self: Pin<&mut Self>) -> Pin<&mut B> {
        // SAFETY: as above.
        unsafe { self.map_unchecked_mut(|pair| &mut pair.second) }
    }

    pub(crate) fn second_ref(&self) -> &B {
        &self.second
    }

    pub(crate) fn first_ref(&self) -> &A {
        &self.first
    }
}

/// The operation inside a pinned `Reserving`.
pub(crate) fn reservation<'p, 'a, T>(
    reserving: Pin<&'p mut Reserving<'a, T>>,
) -> Pin<&'p mut Reservation<'a, T>> {
    // SAFETY: `Reserving` has no `Drop` and nobody moves the field out of it.
    unsafe { reserving.map_unchecked_mut(Reserving::reservation_mut) }
}

/// The future inside a pinned `FutureArm`, and the place for its result, which is not pinned.
pub(crate) fn future_arm<F: Future>(
    arm: Pin<&mut FutureArm<F>>,
) -> (Pin<&mut F>, &mut Option<F::Output>) {
    // SAFETY: the future is never moved (`FutureArm` has no `Drop`); the result is not structurally pinned.
    unsafe {
        let pair = arm.get_unchecked_mut().state_mut();
        (Pin::new_unchecked(&mut pair.first), &mut pair.second)
    }
}

/// The parts of a pinned `Selecting`.
pub(crate) struct SelectingParts<'a, L> {
    pub(crate) arms: Pin<&'a mut L>,
    pub(crate) core: &'a Core,
    pub(crate) exposed: &'a Cell<bool>,
    pub(crate) foreign: &'a Cell<bool>,
    pub(crate) started: &'a Cell<bool>,
    pub(crate) registered: &'a Cell<bool>,
    pub(crate) finished: &'a Cell<bool>,
    pub(crate) told: &'a Cell<bool>,
    pub(crate) biased: bool,
    pub(crate) at: &'static Location<'static>,
}

impl<L: Arms> Drop for Selecting<L> {
    fn drop(&mut self) {
        if self.started.get() && !self.finished.get() {
            if self.told.get() {
                tell_unpark(&self.core, &self.told, self.at, Unpark::TakenBack);
            }
            // SAFETY: the arms were pinned when they were polled, and are not moved before they go away.
            unsafe { Pin::new_unchecked(&mut self.arms) }.retract();
        }
    }
}

pub(crate) fn selecting<L: Arms>(selecting: Pin<&mut Selecting<L>>) -> SelectingParts<'_, L> {
    // SAFETY: the arms are never moved, not by `Drop` either; the rest is only lent as shared references, since
    // others hold pointers to the core.
    unsafe {
        let this: *mut Selecting<L> = selecting.get_unchecked_mut();
        SelectingParts {
            arms: Pin::new_unchecked(&mut (*this).arms),
            core: &(*this).core,
            exposed: &(*this).exposed,
            foreign: &(*this).foreign,
            started: &(*this).started,
            registered: &(*this).registered,
            finished: &(*this).finished,
            told: &(*this).told,
            biased: (*this).biased,
            at: (*this).at,
        }
    }
}

/// One element of a pinned slice.
pub(crate) fn element<A>(slice: Pin<&mut [A]>, i: usize) -> Pin<&mut A> {
    // SAFETY: elements of a pinned slice are pinned.
    unsafe { slice.map_unchecked_mut(|slice| &mut slice[i]) }
}

/// The wait inside a pinned `Done`, and its timer.
pub(super) fn done<'p, 'a>(done: Pin<&'p mut Done<'a>>) -> (&'p EndWait<'a>, Pin<&'p mut Timer>) {
    // SAFETY: neither part is ever moved (`Done` has no `Drop` of its own); the wait is only lent as a shared reference,
    // since others hold pointers into it.
    unsafe {
        let this = done.get_unchecked_mut();
        (&this.wait, Pin::new_unchecked(&mut this.timer))
    }
}

/// The runtime's own sleep inside a pinned `Timer`, and the timer thread's part, which is not pinned.
pub(crate) fn timer(timer: Pin<&mut Timer>) -> (Pin<&mut InlineSleep>, &mut ThreadTimer) {
    // SAFETY: `Timer` has no `Drop`, is `Unpin` only if the sleep is, and nobody moves the sleep out of it.
    unsafe {
        let (sleep, threads) = timer.get_unchecked_mut().parts_mut();
        (Pin::new_unchecked(sleep), threads)
    }
}

/// The slot of a pinned child of a scope.
pub(crate) fn slot<J: Job>(child: Pin<&Child<J>>) -> Pin<&Slot<J>> {
    // SAFETY: `Child` has no `Drop`, is `Unpin` only if its slot is, and nobody moves the slot out of it.
    unsafe { child.map_unchecked(Child::slot) }
}
