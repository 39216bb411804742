//! The arms of one `select!`, strung together so that each keeps its own type.

use std::{ops::Range, pin::Pin, task::Poll};

use super::{ArmContext, SelectArm};
use crate::{raw::pin::Pair, waitfor::Arm};

/// The result of the arm that won: `Left` of the first, `Right(Left)` of the second, and so on.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The first arm won.
    Left(A),
    /// One of the others did.
    Right(B),
}

/// No more arms; also the type of a result that cannot be.
#[derive(Debug)]
pub enum End {}

/// A string of arms.
pub trait Arms {
    /// Nested [`Either`]s of the arms' outputs.
    type Output;
    /// How many there are.
    fn count(&self) -> u32;

    /// `SelectArm::poll_arm` on arm `i`.
    fn poll_one(self: Pin<&mut Self>, i: u32, cx: &mut ArmContext<'_>) -> Poll<()>;

    /// Names the arms that may be ready, in order; the first has number `first`.
    fn worth_a_look(&self, first: u32, each: &mut impl FnMut(u32));

    /// `SelectArm::may_be_ready` on arm `i`.
    fn may_be_ready(&self, i: u32) -> bool;

    /// `SelectArm::is_promised` on arm `i`.
    fn is_promised(&self, i: u32) -> bool;

    /// `SelectArm::poll_arm` on the arms whose numbers are in `range`, in order, until one wins. The first here has
    /// number `first`. One walk along the string, where `poll_one` on each would be many.
    fn sweep<'s>(
        self: Pin<&mut Self>,
        first: u32,
        range: &Range<u32>,
        context: &mut impl FnMut(u32) -> ArmContext<'s>,
    ) -> Option<u32>;

    /// Completes arm `winner` after retracting the others.
    fn finish(self: Pin<&mut Self>, winner: u32) -> Self::Output;

    /// Retracts every arm.
    fn retract(self: Pin<&mut Self>);

    /// How many arms take part.
    fn enabled(&self) -> u32;

    /// `SelectArm::waits_for` on every arm.
    fn waits_for(&self, each: &mut dyn FnMut(Arm));
}

impl Arms for () {
    type Output = End;
    fn count(&self) -> u32 {
        0
    }

    fn poll_one(self: Pin<&mut Self>, _: u32, _: &mut ArmContext<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn worth_a_look(&self, _: u32, _: &mut impl FnMut(u32)) {}

    fn may_be_ready(&self, _: u32) -> bool {
        false
    }

    fn is_promised(&self, _: u32) -> bool {
        false
    }

    fn sweep<'s>(
        self: Pin<&mut Self>,
        _: u32,
        _: &Range<u32>,
        _: &mut impl FnMut(u32) -> ArmContext<'s>,
    ) -> Option<u32> {
        None
    }

    fn finish(self: Pin<&mut Self>, winner: u32) -> End {
        unreachable!("arm {winner} beyond the last has won")
    }

    fn retract(self: Pin<&mut Self>) {}

    fn enabled(&self) -> u32 {
        0
    }

    fn waits_for(&self, _: &mut dyn FnMut(Arm)) {}
}

impl<A: SelectArm, B: Arms> Arms for Pair<A, B> {
    type Output = Either<A::Output, B::Output>;
    #[inline]
    fn count(&self) -> u32 {
        1 + self.second_ref().count()
    }

    #[inline]
    fn poll_one(self: Pin<&mut Self>, i: u32, cx: &mut ArmContext<'_>) -> Poll<()> {
        if i == 0 { self.first().poll_arm(cx) } else { self.second().poll_one(i - 1, cx) }
    }

    #[inline]
    fn worth_a_look(&self, first: u32, each: &mut impl FnMut(u32)) {
        if self.first_ref().may_be_ready() {
            each(first);
        }
        self.second_ref().worth_a_look(first + 1, each);
    }

    #[inline]
    fn may_be_ready(&self, i: u32) -> bool {
        if i == 0 { self.first_ref().may_be_ready() } else { self.second_ref().may_be_ready(i - 1) }
    }

    fn is_promised(&self, i: u32) -> bool {
        if i == 0 { self.first_ref().is_promised() } else { self.second_ref().is_promised(i - 1) }
    }

    #[inline]
    fn sweep<'s>(
        mut self: Pin<&mut Self>,
        first: u32,
        range: &Range<u32>,
        context: &mut impl FnMut(u32) -> ArmContext<'s>,
    ) -> Option<u32> {
        if range.contains(&first) && self.as_mut().first().poll_arm(&mut context(first)).is_ready()
        {
            return Some(first);
        }
        self.second().sweep(first + 1, range, context)
    }

    fn finish(mut self: Pin<&mut Self>, winner: u32) -> Self::Output {
        if winner == 0 {
            mutant!(select_loser_stays, self.as_mut().second().retract(), ());
            Either::Left(self.first().complete())
        } else {
            mutant!(select_loser_stays, self.as_mut().first().retract(), ());
            Either::Right(self.second().finish(winner - 1))
        }
    }

    fn retract(mut self: Pin<&mut Self>) {
        self.as_mut().first().retract();
        self.second().retract();
    }

    fn enabled(&self) -> u32 {
        u32::from(self.first_ref().is_enabled()) + self.second_ref().enabled()
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        self.first_ref().waits_for(each);
        self.second_ref().waits_for(each);
    }
}

/// Two arms, or an arm and a string of arms, side by side.
pub fn pair<A, B>(first: A, second: B) -> Pair<A, B> {
    Pair::new(first, second)
}

/// Checks that `arm` is an arm, for a readable message at the arm rather than at the macro.
#[inline(always)]
pub fn list<A: SelectArm>(arm: A) -> A {
    arm
}
