//! A second attempt when the first takes long, within a budget; the loser is cancelled.
//!
//! It is the hedged request of Dean and Barroso, "The Tail at Scale" (CACM 56:2, 2013): send it again when the first has not answered
//! within what 95 of 100 take, and take the first answer. A few per cent more work cut the slowest answers, unless everything is
//! slow: then nearly every call would be made twice just when there is least room. Hence the budget.
//!
//! What always holds:
//! - `second attempts <= 1 + share * calls`, whatever happens.
//! - When [`Hedge::call`] has returned or was dropped, no attempt of it runs: the futures are dropped and their contexts have ended.
//! - An error of one attempt does not end a call while the other still runs.
//!
//! Hedge only what may be done twice: reads, and what has an idempotency key.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use towpath::{CancelOnDrop, Ctx, after, rt, select};

use super::times::Times;
use crate::fault::Budget;

/// The second attempt begins when so many of the first ones would have ended.
const QUANTILE: f64 = 0.95;

/// How often, in calls, the delay is looked up again.
const RENEW: u64 = 64;

/// Makes calls with at most one second attempt. Cloning copies a pointer: clones have one budget, and learn together; so use one for each
/// kind of call.
///
/// ```
/// use towpath::Ctx;
/// use towpath_patterns::gateway::Hedge;
///
/// # towpath::block_on(async {
/// let hedge = Hedge::new(0.05);
/// let ctx = Ctx::root();
/// let price = hedge.call(&ctx, async |_ctx: Ctx, attempt: u32| Ok::<_, String>(100 + attempt));
/// assert_eq!(price.await, Ok(100));
/// # });
/// ```
#[derive(Clone)]
pub struct Hedge {
    shared: Arc<Shared>,
}

struct Shared {
    learnt: Mutex<Learnt>,
    budget: Budget,
    quantile: f64,
    delay_min: Duration,
    calls: AtomicU64,
    second: AtomicU64,
    second_won: AtomicU64,
    over_budget: AtomicU64,
}

struct Learnt {
    times: Times,
    /// Looked up now and then.
    delay: Option<Duration>,
    calls: u64,
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge").field("snapshot", &self.snapshot()).finish_non_exhaustive()
    }
}

/// What a [`Hedge`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct HedgeSnapshot {
    /// Calls.
    pub calls: u64,
    /// Second attempts that were made.
    pub second: u64,
    /// Calls that were ended by the second attempt.
    pub second_won: u64,
    /// Calls that took long and had no second attempt, because the budget was spent.
    pub over_budget: u64,
    /// After how long a second attempt is made at present; `None` while that is not known.
    pub delay: Option<Duration>,
}

impl Hedge {
    /// With second attempts for this share of the calls at most (0.05: five of a hundred), after what 95 of 100 first attempts take. Until
    /// a hundred calls have told how long that is, there are none.
    pub fn new(share: f64) -> Self {
        Self::after_quantile(share, QUANTILE, Duration::ZERO)
    }

    /// After what another share of the first attempts takes (0.95 for p95), and not before `delay_min`.
    pub fn after_quantile(share: f64, quantile: f64, delay_min: Duration) -> Self {
        let learnt = Learnt { times: Times::new(), delay: None, calls: 0 };
        let shared = Shared {
            learnt: Mutex::new(learnt),
            budget: Budget::new(share, 1),
            quantile,
            delay_min,
            calls: AtomicU64::new(0),
            second: AtomicU64::new(0),
            second_won: AtomicU64::new(0),
            over_budget: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Makes a call: `attempt` is asked for attempt 0, and perhaps for attempt 1. Each has a context of its own below `ctx`.
    ///
    /// # Errors
    /// That of the attempt that ended last, when none went well.
    ///
    /// # Cancel safety
    /// Dropped before completion, it drops the attempts, and their contexts end.
    pub async fn call<T, E, A, Fut>(&self, ctx: &Ctx, attempt: A) -> Result<T, E>
    where
        A: Fn(Ctx, u32) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let shared = &*self.shared;
        one(&shared.calls);
        shared.budget.called();
        let delay = shared.delay();
        let since = rt::now();
        let (first_ctx, first_guard) = attempt_ctx(ctx);
        let mut first = pin!(attempt(first_ctx, 0));
        let mut answer = match delay {
            None => Some(first.as_mut().await),
            Some(delay) => select! { biased;
                answer = select::future(first.as_mut()) => Some(answer),
                () = after(delay) => None,
            },
        };
        if answer.is_none() && !shared.budget.take() {
            one(&shared.over_budget);
            answer = Some(first.as_mut().await);
        }
        if let Some(answer) = answer {
            first_guard.disarm();
            shared.record(since);
            return answer;
        }
        one(&shared.second);
        let (second_ctx, second_guard) = attempt_ctx(ctx);
        let second = pin!(attempt(second_ctx, 1));
        let (answer, by_second) = first_good(first, second).await;
        // If the second was first, the first would have taken at least so long.
        shared.record(since);
        if by_second {
            one(&shared.second_won);
            second_guard.disarm();
        } else {
            first_guard.disarm();
        }
        answer
    }

    /// What it has done.
    pub fn snapshot(&self) -> HedgeSnapshot {
        let Shared { calls, second, second_won, over_budget, .. } = &*self.shared;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        HedgeSnapshot {
            calls: get(calls),
            second: get(second),
            second_won: get(second_won),
            over_budget: get(over_budget),
            delay: self.shared.lock().delay,
        }
    }
}

impl Shared {
    /// After how long to try again, if that is known.
    fn delay(&self) -> Option<Duration> {
        self.lock().delay.map(|delay| delay.max(self.delay_min))
    }

    /// A first attempt began then, and has ended or been given up now.
    fn record(&self, since: Instant) {
        let now = rt::now();
        let mut learnt = self.lock();
        learnt.times.record(now, now.saturating_duration_since(since));
        learnt.calls += 1;
        if learnt.delay.is_none() || learnt.calls.is_multiple_of(RENEW) {
            learnt.delay = learnt.times.quantile(self.quantile);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn one(count: &AtomicU64) {
    // Relaxed: nothing else is read because of it.
    count.fetch_add(1, Ordering::Relaxed);
}

/// A context for an attempt, and what ends it.
fn attempt_ctx(ctx: &Ctx) -> (Ctx, CancelOnDrop) {
    let (ctx, canceller) = ctx.with_cancel();
    (ctx, canceller.drop_guard())
}

/// Waits for the first answer that is no error, or else for the last. True: it is that of the second.
async fn first_good<T, E, Fut>(first: Pin<&mut Fut>, second: Pin<&mut Fut>) -> (Result<T, E>, bool)
where
    Fut: Future<Output = Result<T, E>>,
{
    let mut running = [Some(first), Some(second)];
    std::future::poll_fn(|cx| {
        for n in 0..2 {
            let Some(attempt) = &mut running[n] else { continue };
            let Poll::Ready(answer) = attempt.as_mut().poll(cx) else { continue };
            running[n] = None;
            if answer.is_ok() || running[1 - n].is_none() {
                return Poll::Ready((answer, n == 1));
            }
        }
        Poll::Pending
    })
    .await
}
