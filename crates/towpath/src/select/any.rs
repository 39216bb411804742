//! One-shot select over arms whose number is known only at run time.

use std::{
    fmt,
    future::Future,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use super::{ArmContext, Arms, SelectArm, Selecting, run};
use crate::{Receiver, channel::Receiving, waitfor::Arm};

/// Arms of one type, as many as there are.
pub(crate) struct Slice<A>(Pin<Box<[A]>>);

impl<A> Slice<A> {
    fn new(arms: impl IntoIterator<Item = A>) -> Self {
        Self(Box::into_pin(arms.into_iter().collect()))
    }

    fn arm(self: Pin<&mut Self>, i: usize) -> Pin<&mut A> {
        crate::raw::pin::element(self.get_mut().0.as_mut(), i)
    }
}

impl<A: SelectArm> Arms for Slice<A> {
    type Output = (usize, A::Output);

    fn count(&self) -> u32 {
        self.0.len() as u32
    }

    fn poll_one(self: Pin<&mut Self>, i: u32, cx: &mut ArmContext<'_>) -> Poll<()> {
        self.arm(i as usize).poll_arm(cx)
    }

    fn worth_a_look(&self, first: u32, each: &mut impl FnMut(u32)) {
        for (i, arm) in self.0.iter().enumerate() {
            if arm.may_be_ready() {
                each(first + i as u32);
            }
        }
    }

    fn may_be_ready(&self, i: u32) -> bool {
        self.0[i as usize].may_be_ready()
    }

    fn is_promised(&self, i: u32) -> bool {
        self.0[i as usize].is_promised()
    }

    fn sweep<'s>(
        mut self: Pin<&mut Self>,
        first: u32,
        range: &Range<u32>,
        context: &mut impl FnMut(u32) -> ArmContext<'s>,
    ) -> Option<u32> {
        range.clone().find(|&arm| {
            let i = (arm - first) as usize;
            self.as_mut().arm(i).poll_arm(&mut context(arm)).is_ready()
        })
    }

    fn finish(mut self: Pin<&mut Self>, winner: u32) -> Self::Output {
        let winner = winner as usize;
        for i in (0..self.0.len()).filter(|&i| i != winner) {
            self.as_mut().arm(i).retract();
        }
        (winner, self.arm(winner).complete())
    }

    fn retract(mut self: Pin<&mut Self>) {
        for i in 0..self.0.len() {
            self.as_mut().arm(i).retract();
        }
    }

    fn enabled(&self) -> u32 {
        self.0.iter().filter(|arm| arm.is_enabled()).count() as u32
    }

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        self.0.iter().for_each(|arm| arm.waits_for(each));
    }
}

/// A select over a number of arms known at run time; made by [`any`] and [`recv_any`].
#[must_use = "a select does nothing until it is awaited"]
pub struct Any<A: SelectArm> {
    selecting: Pin<Box<Selecting<Slice<A>>>>,
}

impl<A: SelectArm> Future for Any<A> {
    type Output = (usize, A::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.selecting.as_mut().poll(cx)
    }
}

impl<A: SelectArm> fmt::Debug for Any<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Any(..)")
    }
}

/// Waits for one of `arms`, all of one type, and yields its index and result: [`select!`](crate::select!) for a
/// number of arms that is known at run time. Registers each arm and takes it back again, so it costs time in
/// proportion to their number; for many waits on the same channels use a [`SelectSet`](super::SelectSet).
///
/// ```
/// # towpath::block_on(async {
/// let (tx, rx) = towpath::bounded(1);
/// tx.send("hello").await.unwrap();
/// let (_tx2, rx2) = towpath::bounded(1);
/// let mut receivers = [rx, rx2];
/// let (i, message) = towpath::select::any(receivers.iter_mut().map(|rx| rx.recv())).await;
/// assert_eq!((i, message), (0, Some("hello")));
/// # });
/// ```
///
/// # Panics
/// When there are no arms, or all are disabled: it would wait for ever.
#[track_caller]
pub fn any<A: SelectArm>(arms: impl IntoIterator<Item = A>) -> Any<A> {
    Any { selecting: Box::pin(Selecting::new(Slice::new(arms), false)) }
}

/// As [`any`], on a thread.
///
/// # Panics
/// When there are no arms, or all are disabled: it would wait for ever.
#[track_caller]
pub fn any_blocking<A: SelectArm>(arms: impl IntoIterator<Item = A>) -> (usize, A::Output) {
    run::run_blocking(Slice::new(arms))
}

/// As [`any`] over receives: which receiver, and its message or the end of its channel.
#[track_caller]
pub fn recv_any<T>(receivers: &mut [Receiver<T>]) -> Any<Receiving<'_, T>> {
    any(receivers.iter_mut().map(Receiver::recv))
}

/// As [`recv_any`], on a thread.
#[track_caller]
pub fn recv_any_blocking<T>(receivers: &mut [Receiver<T>]) -> (usize, Option<T>) {
    any_blocking(receivers.iter_mut().map(Receiver::recv))
}
