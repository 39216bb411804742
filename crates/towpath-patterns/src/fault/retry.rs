//! Trying again: when, how often, how long, and who says no.
//!
//! What always holds:
//! - An attempt is made only after the one before has ended; its future has been dropped by then.
//! - No wait goes past the end of the context or of the total limit: what could not be tried any more fails at once.
//! - Time and chance come from Towpath's runtime, so a simulation explores both and replays them.
//!
//! Why `backon` gives the ceilings and nothing else: its jitter adds to the delay (one to two times it), where full jitter takes
//! from it (zero to one times), which is what keeps callers apart who failed together; its random numbers are its own; and its
//! runner knows neither contexts nor budgets. Its exponential iterator without jitter is a plain function, and that is used.

use std::{
    error, fmt,
    future::Future,
    time::{Duration, Instant},
};

use backon::{BackoffBuilder, ExponentialBuilder};
use towpath::{Cause, Ctx, rt, select};

use super::{Budget, Class, Classify};

/// From here on the ceiling of the delay does not grow any more, whatever it is.
///
/// Doubling a nanosecond so often is half a year.
const GROWTH_STEPS_MAX: u32 = 54;

/// How to try again: exponential delays with full jitter, limits of time, and a budget.
///
/// By default five attempts, with delays of up to 0.1, 0.2, 0.4 and 0.8 seconds, and no limit of time but that of the context.
///
/// ```
/// # use std::time::Duration;
/// use towpath::Ctx;
/// use towpath_patterns::fault::{Failure, Retry};
///
/// # towpath::block_on(async {
/// let retry = Retry::new(3)
///     .with_delays(Duration::from_millis(1), Duration::from_millis(5))
///     .with_attempt_limit(Duration::from_secs(10))
///     .with_total_limit(Duration::from_secs(60));
/// let ctx = Ctx::root();
/// let mut calls = 0;
/// let price = retry.run(&ctx, |_ctx| {
///     calls += 1;
///     let price = if calls < 3 { Err(Failure::transient("busy")) } else { Ok(7) };
///     async move { price }
/// });
/// assert_eq!(price.await.unwrap(), 7);
/// # });
/// ```
///
/// Only [`Class::Transient`] and [`Class::Timeout`] are tried again. After a timeout it is unknown whether the attempt had an
/// effect, so what is called has to bear being called twice: give it an idempotency key.
#[derive(Clone, Debug)]
pub struct Retry {
    attempts: u32,
    delays: ExponentialBuilder,
    attempt_limit: Option<Duration>,
    total_limit: Option<Duration>,
    budget: Option<Budget>,
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(5)
    }
}

impl Retry {
    /// So many attempts at most, the first one counted; 0 counts as 1.
    pub const fn new(attempts: u32) -> Self {
        let attempts = if attempts == 0 { 1 } else { attempts };
        let delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(30))
            .without_max_times();
        Self { attempts, delays, attempt_limit: None, total_limit: None, budget: None }
    }

    /// One attempt.
    pub const fn none() -> Self {
        Self::new(1)
    }

    /// The ceiling of the delay is `first` after the first failure and doubles with each, up to `most`; the delay itself is
    /// anything from zero to the ceiling. By default a tenth of a second and half a minute.
    #[must_use]
    pub const fn with_delays(mut self, first: Duration, most: Duration) -> Self {
        self.delays = self.delays.with_min_delay(first).with_max_delay(most);
        self
    }

    /// The ceiling grows by this factor instead of 2; below 1 counts as 1.
    #[must_use]
    pub const fn with_factor(mut self, factor: f32) -> Self {
        self.delays = self.delays.with_factor(if factor >= 1.0 { factor } else { 1.0 });
        self
    }

    /// An attempt that takes longer is dropped and counts as a timeout. By default as long as there is time in total.
    #[must_use]
    pub const fn with_attempt_limit(mut self, limit: Duration) -> Self {
        self.attempt_limit = Some(limit);
        self
    }

    /// All attempts and the delays between them, together. By default only the context's deadline.
    #[must_use]
    pub const fn with_total_limit(mut self, limit: Duration) -> Self {
        self.total_limit = Some(limit);
        self
    }

    /// Retries only as long as this budget, which may be shared with others, has some left.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Calls until it goes well, or is not to be tried again.
    ///
    /// `call` gets a context for each attempt, which ends with `ctx`, with the total limit and with the attempt's limit. An
    /// attempt whose context has ended is dropped where it waits.
    ///
    /// # Errors
    /// [`GaveUp`], which says why, and has the error of the last attempt unless that ran out of time.
    ///
    /// # Cancel safety
    /// Dropped before completion, it drops the attempt that is under way; what that had done is done.
    pub async fn run<V, E, F, Fut>(&self, ctx: &Ctx, mut call: F) -> Result<V, GaveUp<E>>
    where
        F: FnMut(Ctx) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        E: Classify,
    {
        let began = rt::now();
        let all = self.total_ctx(ctx, began);
        let mut attempts = 0;
        if let Some(budget) = &self.budget {
            budget.called();
        }
        loop {
            attempts += 1;
            let one = self.attempt_ctx(&all);
            let last = match attempt(ctx, &one, call(one.clone())).await {
                Attempted::Ended(Ok(value)) => return Ok(value),
                Attempted::Ended(Err(error)) => Some(error),
                Attempted::TimedOut => None,
                Attempted::Cancelled(cause) => {
                    return Err(GaveUp { why: Why::Cancelled(cause), attempts, last: None });
                }
            };
            let class = last.as_ref().map_or(Class::Timeout, Classify::class);
            let at_least = last.as_ref().and_then(Classify::retry_after);
            let next = if matches!(class, Class::Transient | Class::Timeout) {
                let times =
                    Times { failures: attempts, began, now: rt::now(), end: all.deadline() };
                self.next_attempt(times, at_least, rt::random())
            } else {
                Err(Why::Class(class))
            };
            match next {
                Err(why) => return Err(GaveUp { why, attempts, last }),
                Ok(at) => {
                    if let Err(cause) = wait_until(ctx, at).await {
                        return Err(GaveUp { why: Why::Cancelled(cause), attempts, last });
                    }
                }
            }
        }
    }

    /// When the next attempt begins, after `failures` of them; a value that does no I/O but for the budget, from which it takes.
    ///
    /// `chance` is a random number and decides where between zero and the ceiling the delay is. `at_least` is a wish of whoever
    /// failed, and raises the ceiling too.
    ///
    /// # Errors
    /// Why there will be none: [`Why::Attempts`], [`Why::OutOfTime`] or [`Why::Budget`].
    pub fn next_attempt(
        &self,
        times: Times,
        at_least: Option<Duration>,
        chance: u64,
    ) -> Result<Instant, Why> {
        let Times { failures, began, now, end } = times;
        if failures >= self.attempts {
            return Err(Why::Attempts);
        }
        // The upper 53 bits make an even fraction of one, below 1.
        let fraction = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        let delay = self.ceiling(failures).mul_f64(fraction).max(at_least.unwrap_or_default());
        let total = self.total_limit.and_then(|limit| began.checked_add(limit));
        let end = [end, total].into_iter().flatten().min();
        let at = now.checked_add(delay).ok_or(Why::OutOfTime)?;
        if end.is_some_and(|end| at >= end) {
            return Err(Why::OutOfTime);
        }
        if self.budget.as_ref().is_some_and(|budget| !budget.take()) {
            return Err(Why::Budget);
        }
        Ok(at)
    }

    /// The longest delay after so many failures.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let steps = failures.saturating_sub(1).min(GROWTH_STEPS_MAX);
        self.delays.build().nth(steps as usize).unwrap_or_default()
    }

    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    pub(crate) fn shares(&self, budget: &Budget) -> bool {
        self.budget.as_ref().is_some_and(|own| own.is(budget))
    }

    /// A context that ends with the total limit, counted from `began`.
    pub(crate) fn total_ctx(&self, ctx: &Ctx, began: Instant) -> Ctx {
        match self.total_limit.and_then(|limit| began.checked_add(limit)) {
            Some(end) => ctx.with_deadline(end),
            None => ctx.clone(),
        }
    }

    /// A context that ends with the limit of an attempt that begins now.
    pub(crate) fn attempt_ctx(&self, ctx: &Ctx) -> Ctx {
        match self.attempt_limit {
            Some(limit) => ctx.with_timeout(limit),
            None => ctx.child(),
        }
    }
}

/// How far somebody has got with trying; see [`Retry::next_attempt`].
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Attempts that failed.
    pub failures: u32,
    /// When the first began.
    pub began: Instant,
    /// Now.
    pub now: Instant,
    /// After this it is of no use.
    pub end: Option<Instant>,
}

/// Why it was not tried again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Why {
    /// Failures of this class are not.
    Class(Class),
    /// There are no attempts left.
    Attempts,
    /// The next attempt would begin after the end of the context or of the total limit.
    OutOfTime,
    /// The budget of retries is used up: too many others are failing too.
    Budget,
    /// The context has ended.
    Cancelled(Cause),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(class) => write!(f, "a {class} failure is not tried again"),
            Self::Attempts => f.write_str("no attempts left"),
            Self::OutOfTime => f.write_str("no time left for another attempt"),
            Self::Budget => f.write_str("the budget of retries is used up"),
            Self::Cancelled(cause) => cause.fmt(f),
        }
    }
}

/// What [`Retry::run`] says when it did not go well.
#[derive(Debug)]
#[non_exhaustive]
pub struct GaveUp<E> {
    /// Why it is not tried again.
    pub why: Why,
    /// Attempts that were made.
    pub attempts: u32,
    /// The error of the last of them; `None` if that ran out of time or was cut short.
    pub last: Option<E>,
}

impl<E> fmt::Display for GaveUp<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { why, attempts, .. } = self;
        let s = if *attempts == 1 { "" } else { "s" };
        write!(f, "gave up after {attempts} attempt{s}: {why}")
    }
}

impl<E: error::Error + 'static> error::Error for GaveUp<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.last.as_ref().map(|last| last as _)
    }
}

impl<E: Classify + 'static> Classify for GaveUp<E> {
    /// That of the last error; without one, that of the context's end, or a timeout.
    fn class(&self) -> Class {
        match (&self.last, &self.why) {
            (Some(last), _) => last.class(),
            (None, Why::Cancelled(cause)) => cause.class(),
            (None, _) => Class::Timeout,
        }
    }

    fn cause_key(&self) -> String {
        self.last.as_ref().map_or_else(|| super::cause_of(&self.to_string()), Classify::cause_key)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.last.as_ref().and_then(Classify::retry_after)
    }
}

/// What has become of one attempt.
pub(crate) enum Attempted<R> {
    Ended(R),
    /// Its own limit, or the total one.
    TimedOut,
    /// The context around all attempts has ended.
    Cancelled(Cause),
}

/// Makes one attempt under its context `one`, which is below `ctx`. A result that is there counts, also if time is up.
pub(crate) async fn attempt<R>(
    ctx: &Ctx,
    one: &Ctx,
    call: impl Future<Output = R>,
) -> Attempted<R> {
    select! { biased;
        result = select::future(call) => Attempted::Ended(result),
        _ = one.done() => match ctx.cause() {
            Cause::Running => Attempted::TimedOut,
            cause => Attempted::Cancelled(cause),
        },
    }
}

/// Waits, unless the context ends before.
pub(crate) async fn wait_until(ctx: &Ctx, at: Instant) -> Result<(), Cause> {
    select! { biased;
        cause = ctx.done() => Err(cause),
        _ = towpath::at(at) => Ok(()),
    }
}
