//! Contexts: who may still work, until when, and what rides along.
//!
//! What always holds:
//! - A context ends once, and its cause stays. When a parent has ended by cancelling, so has everything below it by the
//!   time the cancelling call returns.
//! - A deadline is never later than the deadline of the context above.
//! - Cancelling a context happens before its `done()` completes (clause 5 of the ordering contract).
//!
//! No task or thread watches deadlines: whoever looks compares with the clock, whoever waits brings a timer. The tree
//! itself, its locks and its counts are in `raw/tree.rs`; the wait for an end is in `raw/done.rs`.

mod cause;

use std::{
    any::Any,
    error::Error,
    fmt,
    panic::Location,
    time::{Duration, Instant},
};

pub use crate::raw::done::Done;
use crate::{
    headers::Headers,
    raw::tree::{CtxRef, Load},
    rt::{self, Op, sim},
};
pub use cause::Cause;

/// A context: whether to go on, until when, and what rides along. Cloning copies a pointer.
///
/// Contexts form a tree. Every `with_…` makes a child, which ends when its parent does, or earlier for reasons of its
/// own. A process looks at its context wherever it can stop: as an arm of a select, in a CPU loop, or by awaiting.
///
/// ```
/// use std::time::Duration;
/// use towpath::{Cause, Ctx};
///
/// # towpath::block_on(async {
/// let (ctx, canceller) = Ctx::root().with_cancel();
/// let request = ctx.with_timeout(Duration::from_secs(3600));
/// let (_tx, mut orders) = towpath::bounded::<u32>(1);
///
/// canceller.cancel("closing time");
/// let cause = towpath::select! {
///     _ = orders.recv() => unreachable!("nobody sends"),
///     cause = request.done() => cause,
/// };
/// assert!(matches!(cause, Cause::Cancelled(_)));
/// assert_eq!(cause.to_string(), "cancelled: closing time");
/// # });
/// ```
#[derive(Clone)]
pub struct Ctx(CtxRef);

impl Ctx {
    /// A context above which there is none. It never ends; its children may.
    #[track_caller]
    pub fn root() -> Self {
        Self(CtxRef::root())
    }

    /// A child that ends with this one.
    #[track_caller]
    pub fn child(&self) -> Self {
        self.grow(Load::default(), None)
    }

    /// A child, and the handle that ends it.
    #[track_caller]
    pub fn with_cancel(&self) -> (Self, Canceller) {
        let child = self.child();
        let canceller = Canceller { ctx: child.clone() };
        (child, canceller)
    }

    /// A child that ends `timeout` from now at the latest, with [`Cause::DeadlineExceeded`].
    #[track_caller]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with_deadline(rt::later(rt::now(), timeout))
    }

    /// A child that ends at `deadline` at the latest, with [`Cause::DeadlineExceeded`]. A deadline later than this
    /// context's own changes nothing.
    #[track_caller]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        self.grow(Load::default(), Some(deadline))
    }

    /// A child that carries `value`, for [`value`](Self::value) to find by its type.
    ///
    /// For what belongs to a request and crosses many layers: who asked, which tenant. What a function needs to do its
    /// work is better an argument.
    #[track_caller]
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Self {
        self.grow(Load { value: Some(Box::new(value)), headers: None }, None)
    }

    /// The nearest value of type `T`, here or above. Looks at each context up to the root.
    ///
    /// ```
    /// # use towpath::Ctx;
    /// #[derive(Debug, PartialEq)]
    /// struct Tenant(&'static str);
    ///
    /// let ctx = Ctx::root().with_value(Tenant("north")).child();
    /// assert_eq!(ctx.value::<Tenant>(), Some(&Tenant("north")));
    /// assert_eq!(ctx.value::<u32>(), None);
    /// ```
    pub fn value<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.up().find_map(|node| node.load().value.as_deref()?.downcast_ref())
    }

    /// A child that carries `headers` in place of those above.
    #[track_caller]
    pub fn with_headers(&self, headers: Headers) -> Self {
        self.grow(Load { value: None, headers: Some(headers) }, None)
    }

    /// The nearest headers, here or above; none if nobody gave any. Looks at each context up to the root.
    pub fn headers(&self) -> Headers {
        self.0.up().find_map(|node| node.load().headers.clone()).unwrap_or_default()
    }

    /// When it ends at the latest: the earliest deadline from here to the root.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    /// The time until the deadline, zero once it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(rt::now()))
    }

    /// Whether it has ended. Without a deadline this is one load; with one it also asks for the time.
    #[inline]
    #[track_caller]
    pub fn is_done(&self) -> bool {
        self.begin(Op::Done, Location::caller());
        self.0.look()
    }

    /// Goes on or not: for loops that compute, with `?`.
    ///
    /// # Errors
    /// What ended it, once it has ended.
    #[inline]
    #[track_caller]
    pub fn check(&self) -> Result<(), Cause> {
        self.begin(Op::Done, Location::caller());
        if self.0.look() { Err(self.0.cause()) } else { Ok(()) }
    }

    /// What ended it, or [`Cause::Running`].
    #[track_caller]
    pub fn cause(&self) -> Cause {
        self.begin(Op::Done, Location::caller());
        if self.0.look() { self.0.cause() } else { Cause::Running }
    }

    /// Waits until it has ended: a future, and an arm for [`select!`](crate::select!).
    ///
    /// Waiting allocates nothing, except that a task outside tokio pays for its timer when there is a deadline.
    ///
    /// # Panics
    /// When it is polled in a tokio runtime that was built without a timer, and there is a deadline.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing and stands in no line.
    #[track_caller]
    pub fn done(&self) -> Done<'_> {
        Done::new(&self.0)
    }

    /// As [`done`](Self::done), on a thread.
    #[track_caller]
    pub fn done_blocking(&self) -> Cause {
        crate::select_blocking! { cause = self.done() => cause }
    }

    /// Something is about to be done to it: in a simulation others may go first.
    #[inline]
    pub(crate) fn begin(&self, op: Op, at: &'static Location<'static>) {
        sim::point(op, self.0.address(), Some(at));
    }

    /// Ends it and everything below. False: it had ended already.
    pub(crate) fn end(&self, cause: Cause) -> bool {
        self.0.end(cause)
    }

    #[track_caller]
    fn grow(&self, load: Load, deadline: Option<Instant>) -> Self {
        Self(self.0.grow(load, deadline))
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx")
            .field("cause", &self.cause())
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

/// Ends a context; made by [`Ctx::with_cancel`]. Cloning copies a pointer.
///
/// Dropping it ends nothing: see [`drop_guard`](Self::drop_guard).
#[derive(Clone)]
pub struct Canceller {
    ctx: Ctx,
}

impl Canceller {
    /// Ends the context and everything below it, with a reason: a string, an error, or a [`Cause`], which is taken as
    /// it is. False: it had ended already, and the first cause stays.
    ///
    /// Everything below has ended when the call that answers `true` returns. One pass over what is below, without
    /// recursion; those who wait are woken on the way.
    ///
    /// ```
    /// use towpath::{Cause, Ctx};
    ///
    /// let (ctx, canceller) = Ctx::root().with_cancel();
    /// assert!(canceller.cancel("no driver in reach"));
    /// assert!(!canceller.cancel("and it rains"));
    /// assert_eq!(ctx.cause().to_string(), "cancelled: no driver in reach");
    /// ```
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<Box<dyn Error + Send + Sync>>) -> bool {
        self.ctx.begin(Op::Cancel, Location::caller());
        self.ctx.end(Cause::of_reason(reason.into()))
    }

    /// The context it ends.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// A guard that ends the context when it is dropped, with the reason "its guard was dropped".
    ///
    /// ```
    /// # use towpath::Ctx;
    /// let (ctx, canceller) = Ctx::root().with_cancel();
    /// drop(canceller.drop_guard());
    /// assert!(ctx.is_done());
    /// ```
    pub fn drop_guard(self) -> CancelOnDrop {
        CancelOnDrop { canceller: Some(self) }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("ctx", &self.ctx).finish()
    }
}

/// Ends a context when it is dropped; made by [`Canceller::drop_guard`].
#[must_use = "dropped at once, it cancels at once"]
#[derive(Debug)]
pub struct CancelOnDrop {
    /// `None` once it was taken back.
    canceller: Option<Canceller>,
}

impl CancelOnDrop {
    /// The canceller back, with nothing ended.
    pub fn disarm(mut self) -> Canceller {
        match self.canceller.take() {
            Some(canceller) => canceller,
            None => unreachable!("only this call takes it, and it takes the guard along"),
        }
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(canceller) = &self.canceller {
            canceller.cancel("its guard was dropped");
        }
    }
}
