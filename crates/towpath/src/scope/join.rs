//! Waiting for the value of one process.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::{
    Cause, mailbox,
    rt::{self, Op, sim},
    select::{ArmContext, SelectArm},
};

const POLLED_AFTER_DONE: &str = "a join was polled again after it had finished";

/// Waits for the value of one process: a future, an arm for [`select!`](crate::select!), or
/// [`join_blocking`](Self::join_blocking). Dropping it changes nothing for the process; its scope still waits for it.
///
/// A process without a value answers with a [`Cause`]: [`Failed`](Cause::Failed) if it failed or panicked itself (the
/// error itself goes to the scope), else what ended its context. Returning that cause from the scope's body is right:
/// the scope reports the error behind it.
///
/// ```
/// # towpath::block_on(async {
/// use towpath::{BoxError, Ctx, scope};
///
/// let sum = scope(&Ctx::root(), |s| async move {
///     let half = s.spawn("half", |_| async { Ok::<u32, BoxError>(20) });
///     let more = s.spawn_blocking("more", |_| Ok::<u32, BoxError>(22));
///     Ok(half.await? + more.await?)
/// });
/// assert_eq!(sum.await.unwrap(), 42);
/// # });
/// ```
///
/// # Cancel safety
/// Losing a select, or polled by another task later, it keeps the value for whoever asks next.
pub struct Join<T> {
    mailbox: Pin<Arc<dyn Deliver<T>>>,
    /// As an arm: the result that waits to be collected.
    won: Option<Result<T, Cause>>,
}

/// Nothing in it is pinned.
impl<T> Unpin for Join<T> {}

impl<T> Join<T> {
    pub(super) fn new(mailbox: Pin<Arc<dyn Deliver<T>>>) -> Self {
        Self { mailbox, won: None }
    }

    /// Waits for the value on this thread.
    ///
    /// # Errors
    /// The cause, if the process has no value.
    pub fn join_blocking(self) -> Result<T, Cause> {
        rt::block_on(self)
    }

    /// Drops the process's future, at the latest at the end of the turn it is having.
    pub(crate) fn stop(&self) {
        self.mailbox.stop_job();
    }

    /// Whether the process has ended.
    pub fn is_finished(&self) -> bool {
        self.won.is_some() || !self.mailbox.mailbox().is_awaited()
    }

    fn collect(&self, waker: Option<&Waker>) -> Poll<Result<T, Cause>> {
        let polled = self.mailbox.mailbox().poll(waker, POLLED_AFTER_DONE);
        polled.map_err(|cause| *cause)
    }
}

/// Whatever has a mailbox for a `T`.
pub(super) trait Deliver<T>: Send + Sync {
    fn mailbox(&self) -> &Mailbox<T>;

    /// Drops the job, at the latest at the end of the turn it is having.
    fn stop_job(&self);
}

/// The place of a process's value. A cause is large and rare.
pub(super) type Mailbox<T> = mailbox::Mailbox<Result<T, Box<Cause>>>;

impl<T> Future for Join<T> {
    type Output = Result<T, Cause>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.won.take() {
            Some(result) => Poll::Ready(result),
            None => {
                sim::point(Op::Join, 0, None);
                let polled = self.collect(Some(cx.waker()));
                if polled.is_pending() {
                    sim::pending(Op::Join, 0, None);
                }
                polled
            }
        }
    }
}

impl<T> SelectArm for Join<T> {
    type Output = Result<T, Cause>;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        if self.won.is_none() {
            let waker = cx.may_wait().then(|| cx.waker());
            match self.collect(waker) {
                Poll::Ready(result) => self.won = Some(result),
                Poll::Pending => return Poll::Pending,
            }
        }
        if cx.commit() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn complete(mut self: Pin<&mut Self>) -> Self::Output {
        match self.won.take() {
            Some(result) => result,
            None => unreachable!("completed without having been ready"),
        }
    }

    fn retract(self: Pin<&mut Self>) {
        if self.won.is_none() {
            self.mailbox.mailbox().forget_waker();
        }
    }
}

/// To be used in several selects in a row.
impl<T> SelectArm for &mut Join<T> {
    type Output = Result<T, Cause>;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        Pin::new(&mut **self).poll_arm(cx)
    }

    fn complete(mut self: Pin<&mut Self>) -> Self::Output {
        Pin::new(&mut **self).complete()
    }

    fn retract(mut self: Pin<&mut Self>) {
        Pin::new(&mut **self).retract();
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        drop(self.mailbox.mailbox().close());
    }
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
