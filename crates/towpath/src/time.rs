//! Timers as arms: [`after`], [`tick`], [`never()`]. Each is also a future, and works on threads.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::{
    rt::{self, Sleep},
    select::{ArmContext, SelectArm},
};

/// Ready once `duration` has passed, counted from this call.
///
/// ```
/// # use std::time::Duration;
/// let (_tx, mut rx) = towpath::bounded::<u32>(1);
/// let late = towpath::select_blocking! {
///     _ = rx.recv() => false,
///     _ = towpath::after(Duration::from_millis(1)) => true,
/// };
/// assert!(late);
/// ```
pub fn after(duration: Duration) -> After {
    After { deadline: rt::later(rt::now(), duration), sleep: None }
}

/// Ready at `deadline`.
pub fn at(deadline: Instant) -> After {
    After { deadline, sleep: None }
}

/// A timer that rings once; made by [`after`] and [`at`].
#[must_use = "a timer does nothing until it is awaited or selected on"]
#[derive(Debug)]
pub struct After {
    deadline: Instant,
    sleep: Option<Sleep>,
}

impl After {
    /// When it rings.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| rt::Handle::current().sleep_until(deadline));
        Pin::new(sleep).poll(cx)
    }

    /// Whether it is time, as an arm; if not, arranges to look again.
    fn poll_look(&mut self, cx: &mut ArmContext<'_>) -> bool {
        if rt::now() >= self.deadline {
            return true;
        }
        if !cx.may_wait() || cx.look_again_at(self.deadline) {
            return false;
        }
        let waker = cx.waker();
        self.poll_deadline(&mut Context::from_waker(waker)).is_ready()
    }
}

impl Future for After {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_deadline(cx)
    }
}

impl SelectArm for After {
    type Output = ();

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        if self.poll_look(cx) && cx.commit() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn complete(self: Pin<&mut Self>) {}
}

/// What to do about ticks that nobody was there to receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MissedTick {
    /// They are dropped; the next tick comes at the next multiple of the period. Go's ticker does this.
    #[default]
    Skip,
    /// They come at once, one after the other, until none is missing.
    Burst,
    /// The next tick comes a whole period after the late one was received.
    Delay,
}

/// Rings every `period`, the first time after one period. Ticks that were missed are skipped; see
/// [`Tick::missed`] for the other ways.
///
/// ```
/// # use std::time::Duration;
/// # towpath::block_on(async {
/// let mut ticks = towpath::tick(Duration::from_millis(1));
/// let first = ticks.recv().await;
/// assert!(ticks.recv().await > first);
/// # });
/// ```
///
/// # Panics
/// When `period` is zero.
pub fn tick(period: Duration) -> Tick {
    assert!(!period.is_zero(), "tick(0): a period must be longer than nothing");
    Tick { timer: at(rt::later(rt::now(), period)), period, missed: MissedTick::default() }
}

/// A timer that rings again and again; made by [`tick`].
#[derive(Debug)]
pub struct Tick {
    timer: After,
    period: Duration,
    missed: MissedTick,
}

impl Tick {
    /// What to do about ticks that nobody was there to receive.
    #[must_use]
    pub fn missed(mut self, missed: MissedTick) -> Self {
        self.missed = missed;
        self
    }

    /// The next tick: when it was due.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: no tick is lost.
    pub fn recv(&mut self) -> NextTick<'_> {
        NextTick { tick: self }
    }

    /// As [`recv`](Self::recv), on a thread.
    pub fn recv_blocking(&mut self) -> Instant {
        crate::select_blocking! { due = self.recv() => due }
    }

    fn ring(&mut self) -> Instant {
        let due = self.timer.deadline;
        let now = rt::now();
        let next = match self.missed {
            MissedTick::Burst => rt::later(due, self.period),
            MissedTick::Delay => rt::later(now.max(due), self.period),
            MissedTick::Skip => {
                let late = now.saturating_duration_since(due).as_nanos();
                let into_period = late % self.period.as_nanos();
                let next = rt::later(now.max(due), self.period);
                next.checked_sub(Duration::from_nanos(into_period as u64)).unwrap_or(next)
            }
        };
        self.timer = at(next);
        due
    }
}

/// The next tick, under way; made by [`Tick::recv`].
#[must_use = "a timer does nothing until it is awaited or selected on"]
#[derive(Debug)]
pub struct NextTick<'a> {
    tick: &'a mut Tick,
}

impl Future for NextTick<'_> {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        self.tick.timer.poll_deadline(cx).map(|()| self.tick.ring())
    }
}

impl SelectArm for NextTick<'_> {
    type Output = Instant;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        if self.tick.timer.poll_look(cx) && cx.commit() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn complete(self: Pin<&mut Self>) -> Instant {
        self.get_mut().tick.ring()
    }
}

/// An arm that never wins.
pub fn never() -> Never {
    Never(())
}

/// Never ready; made by [`never()`].
#[must_use = "an arm does nothing until it is selected on"]
#[derive(Debug)]
pub struct Never(());

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl SelectArm for Never {
    type Output = ();

    fn poll_arm(self: Pin<&mut Self>, _: &mut ArmContext<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn complete(self: Pin<&mut Self>) {
        unreachable!("`never` has won")
    }
}
