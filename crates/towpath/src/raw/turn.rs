//! A turn at a turnstile: the one operation that waits behind every lock. `turns.rs` gives it names.
//!
//! What always holds:
//! - A turn that stands in a line leaves it before its memory goes away: `Drop` sees to tasks, and a thread's call
//!   returns only when it is done.
//! - Fields change through `Cell`s behind a shared reference, since others hold pointers to the node while it waits.
//!   `Node` is `!Unpin`, so the turn stays where it is.
//! - Permits that it was given belong to it until they are collected; dropped before, it gives them back.

use std::{
    cell::Cell,
    panic::Location,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use super::{
    backoff::Backoff,
    claim::{Me, PLAIN},
    line::{Node, Phase},
    op::{POLLED_AFTER_DONE, Stage, Step, Tells, Told, plain},
    turnstile::{Passage, TurnOp},
    wait::Core,
};
use crate::{
    probe::{Arm, Operation, Unpark},
    rt::Op,
    select::ArmContext,
};

pub(crate) struct Turn<P: Passage> {
    passage: P,
    /// It stands in line for its own core, not for a select's.
    alone: Cell<bool>,
    core: Core,
    op: TurnOp,
}

// SAFETY: the turn moves with its task between polls; what others reach of it is guarded by the line's lock. Attacked
// by `it::locks::stress_moved_futures` under ThreadSanitizer.
unsafe impl<P: Passage + Send> Send for Turn<P> {}

impl<P: Passage> Turn<P> {
    #[inline]
    #[track_caller]
    pub(crate) fn new(passage: P, want: usize) -> Self {
        Self { passage, alone: Cell::new(true), core: Core::new(PLAIN), op: TurnOp::new(want) }
    }

    /// Kept in the node, which has room for it.
    #[inline]
    fn stage(&self) -> &Cell<Stage> {
        &self.op.node.stage
    }

    #[inline]
    pub(crate) fn passage(&self) -> &P {
        &self.passage
    }

    #[inline]
    pub(crate) fn want(&self) -> usize {
        self.op.want()
    }

    /// Passes without waiting, if that is possible now. False: there is nothing to wait for.
    #[inline]
    fn look(&self) -> Option<bool> {
        if self.passage.is_over() {
            return Some(false);
        }
        self.passage.turnstile().try_take(self.op.want()).then_some(true)
    }

    /// Stands in line, or is done at once.
    fn stand(self: Pin<&Self>, me: &Me<'_>) -> Option<bool> {
        let over = || self.passage.is_over();
        let turnstile = self.passage.turnstile();
        // SAFETY: pinned, owned by `me`'s core, in no line, and `Drop` retracts.
        match unsafe { turnstile.step(&self.op, me, over, self.passage.opens_at()) } {
            Step::Ready(passed) => Some(passed),
            Step::Waiting => {
                self.stage().set(Stage::Waiting);
                None
            }
            // Another arm of the select has been won.
            Step::NotNow | Step::Interrupted => None,
        }
    }

    /// True: it has its permits. False: there is nothing to wait for.
    #[inline]
    pub(crate) fn poll(self: Pin<&Self>, cx: &Context<'_>) -> Poll<bool> {
        if self.stage().get() == Stage::New {
            self.begin();
            // Most locks are free; then no waker need be cloned.
            if let Some(passed) = self.look() {
                self.stage().set(Stage::Done);
                return Poll::Ready(passed);
            }
        }
        self.poll_slowly(cx)
    }

    fn poll_slowly(self: Pin<&Self>, cx: &Context<'_>) -> Poll<bool> {
        let passed = match self.stage().get() {
            Stage::New => {
                self.core.arm_alone(cx.waker());
                self.alone.set(true);
                match self.stand(&plain(&self.core)) {
                    Some(passed) => passed,
                    None => {
                        self.park();
                        return Poll::Pending;
                    }
                }
            }
            Stage::Waiting => {
                let turnstile = self.passage.turnstile();
                if !self.core.notified() && !self.core.arm_in_line(turnstile, cx.waker()) {
                    self.park();
                    return Poll::Pending;
                }
                self.unpark(Unpark::Done);
                self.op.node.phase() == Phase::Done
            }
            Stage::Won => true,
            Stage::WonEnd => false,
            Stage::Done => panic!("a turn was {POLLED_AFTER_DONE}"),
        };
        self.stage().set(Stage::Done);
        Poll::Ready(passed)
    }

    /// Takes its place in line without a waker. True: it is done.
    pub(crate) fn enable(self: Pin<&Self>) -> bool {
        match self.stage().get() {
            Stage::New => {}
            Stage::Waiting => {
                return !self.passage.turnstile().is_queued(&self.op);
            }
            Stage::Won | Stage::WonEnd | Stage::Done => return true,
        }
        let passed = self.look().or_else(|| {
            self.core.reset();
            self.alone.set(true);
            self.stand(&plain(&self.core))
        });
        if let Some(passed) = passed {
            self.won(passed);
        }
        passed.is_some()
    }

    /// One try as an arm of a select; ready when it has won.
    pub(crate) fn poll_arm(self: Pin<&Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        match self.stage().get() {
            Stage::New => {}
            Stage::Waiting => {
                self.unpark(Unpark::TakenBack);
                return self.poll_arm_in_line(cx);
            }
            // Done before it became an arm.
            Stage::Won => return self.won_if(cx.commit(), true),
            Stage::WonEnd => return self.won_if(cx.commit(), false),
            Stage::Done => panic!("a turn was {POLLED_AFTER_DONE}"),
        }
        if cx.may_wait() {
            self.alone.set(false);
            return match self.stand(cx.me()) {
                Some(passed) => self.won_if(true, passed),
                None => {
                    if self.stage().get() == Stage::Waiting {
                        cx.expose();
                    }
                    Poll::Pending
                }
            };
        }
        let me = cx.me();
        if !me.begin() {
            return Poll::Pending;
        }
        match self.look() {
            Some(passed) => {
                me.commit();
                self.won_if(true, passed)
            }
            None => {
                me.rollback();
                Poll::Pending
            }
        }
    }

    fn poll_arm_in_line(self: Pin<&Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let turnstile = self.passage.turnstile();
        if self.alone.get() {
            if self.op.node.phase() == Phase::Queued {
                if !cx.may_wait() {
                    return Poll::Pending;
                }
                // It keeps its place; from here the select is told.
                if turnstile.adopt(&self.op, cx.me()) {
                    self.alone.set(false);
                    cx.expose();
                    return Poll::Pending;
                }
            }
            turnstile.synchronize();
            let passed = self.op.node.phase() == Phase::Done;
            return self.won_if(cx.commit(), passed);
        }
        match self.op.node.phase() {
            // Whoever tells us is let go of before the select may finish: it may have been woken by another line.
            Phase::Notified => {
                turnstile.synchronize();
                self.won_if(cx.commit(), false)
            }
            // `Done`: the select has been won for us, and is about to find out.
            Phase::Queued | Phase::Done | Phase::Idle | Phase::Granted | Phase::Invited => {
                Poll::Pending
            }
        }
    }

    fn won(&self, passed: bool) {
        self.stage().set(if passed { Stage::Won } else { Stage::WonEnd });
    }

    fn won_if(&self, committed: bool, passed: bool) -> Poll<()> {
        if committed {
            self.won(passed);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// After `poll_arm` was ready, or the select was won for us.
    pub(crate) fn complete(self: Pin<&Self>) -> bool {
        let given = self.stage().get() == Stage::Waiting;
        if given {
            // Whoever gave it may not have let go yet.
            self.passage.turnstile().synchronize();
            debug_assert_eq!(self.op.node.phase(), Phase::Done);
        }
        given | (self.stage().replace(Stage::Done) == Stage::Won)
    }

    /// Whether it may pass now; a guess.
    #[inline]
    pub(crate) fn may_be_ready(&self) -> bool {
        match self.stage().get() {
            Stage::New => {
                self.passage.turnstile().may_take(self.op.want()) || self.passage.is_over()
            }
            _ => self.op.node.phase() != Phase::Queued || self.alone.get(),
        }
    }

    /// For observers.
    pub(crate) fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        each(self.told().arm);
    }

    /// Leaves the line; what it was given goes back.
    pub(crate) fn take_back(&self) {
        let given = match self.stage().get() {
            Stage::Waiting => {
                self.unpark(Unpark::TakenBack);
                // SAFETY: it was stepped on this turnstile, and this is its owner.
                unsafe { self.passage.turnstile().retract(&self.op) }
            }
            Stage::Won => true,
            Stage::WonEnd => false,
            Stage::New | Stage::Done => return,
        };
        self.stage().set(Stage::New);
        if given && mutant!(turn_keeps_what_it_was_given, true, false) {
            self.passage.give_back(self.op.want());
        }
    }

    /// Waits on this thread. As `poll`.
    #[inline]
    #[track_caller]
    pub(crate) fn wait(passage: P, want: usize) -> bool {
        passage.turnstile().begin(Op::Acquire, Some(Location::caller()));
        if passage.is_over() {
            return false;
        }
        passage.turnstile().try_take(want) || Self::new(passage, want).wait_longer()
    }

    #[cold]
    fn wait_longer(self) -> bool {
        let mut backoff = Backoff::new();
        // While nobody stands in line, a thread waits outside for a moment: a lock is mostly released soon, and handing it
        // to a thread that sleeps, or has lost its core, keeps everybody waiting until that thread runs. (Where those
        // in line are counted, standing there is the point.)
        let outside = self.passage.opens_at() == usize::MAX;
        while outside && !self.passage.turnstile().has_waiters() && backoff.spin_or_yield() {
            if let Some(passed) = self.look() {
                self.stage().set(Stage::Done);
                return passed;
            }
        }
        let turn = pin!(self);
        let turn = turn.as_ref();
        turn.core.reset();
        let me = Me { takeable: true, ..plain(&turn.core) };
        let passed = match turn.stand(&me) {
            Some(passed) => passed,
            None => {
                turn.core.wait_thread_in_line(turn.passage.turnstile(), || turn.park());
                turn.unpark(Unpark::Done);
                turn.op.node.phase() == Phase::Done
            }
        };
        turn.stage().set(Stage::Done);
        passed
    }
}

impl<P: Passage> Tells for Turn<P> {
    #[inline]
    fn node(&self) -> &Node {
        &self.op.node
    }

    fn told(&self) -> Told<'_> {
        let arm = self.passage.wish(self.op.want());
        let operation = match arm {
            Arm::Acquire { .. } => Operation::Acquire,
            Arm::Notified(_) => Operation::Notified,
            Arm::All(_) => Operation::All,
            Arm::Foreign => Operation::Closed,
            _ => Operation::Lock,
        };
        Told { node: &self.op.node, core: &self.core, operation, arm }
    }
}

impl<P: Passage> Drop for Turn<P> {
    #[inline]
    fn drop(&mut self) {
        if self.stage().get() != Stage::Done {
            self.take_back();
        }
    }
}
