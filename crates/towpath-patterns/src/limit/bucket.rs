//! A token bucket: governor underneath, on our clock, with a rate that can change.
//!
//! What always holds:
//! - From any moment on, for as long as the rate stays, no more is taken than `burst` and what has been refilled since.
//! - A change of the rate adds no token and takes none but those that no longer fit: what is in the bucket, and the part
//!   of a token that had been refilled, are carried over. So changing it often gives nobody anything.
//!
//! governor keeps a bucket as one moment in an atomic and cannot be told another rate. So a change empties the old one, tokens
//! and all, into a new one: whoever takes from the old one meanwhile has taken a token that the new one does not get.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use governor::{
    NotUntil, Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    state::{InMemoryState, NotKeyed},
};
use towpath::rt;

use super::{Limit, NotChanged, Refused, turns::Turns};

/// So many in a time, and so many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Tokens that are refilled, one after the other, in `per`.
    pub tokens: u32,
    /// The time in which they are.
    pub per: Duration,
    /// Tokens that the bucket holds: what may be taken at once after a quiet time.
    pub burst: u32,
}

impl Rate {
    /// So many a second, and as many at once.
    pub fn per_second(tokens: u32) -> Self {
        Self { tokens, per: Duration::from_secs(1), burst: tokens }
    }

    /// The same, with another number at once.
    #[must_use]
    pub fn with_burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    /// From one token to the next.
    fn period(self) -> Duration {
        (self.per / self.tokens).max(Duration::from_nanos(1))
    }

    #[track_caller]
    fn quota(self) -> Quota {
        let burst = NonZeroU32::new(self.burst);
        let quota = (self.tokens > 0).then(|| Quota::with_period(self.period())).flatten();
        match (quota, burst) {
            (Some(quota), Some(burst)) => quota.allow_burst(burst),
            _ => panic!(
                "a rate of nothing ({self:?}): give tokens and burst at least 1; to stop, use a stage"
            ),
        }
    }
}

/// Our clock for governor, counted from some moment long before the bucket was made.
struct Beat {
    zero: Instant,
    /// Nanoseconds that it goes behind, while a bucket is being filled.
    behind: AtomicU64,
}

/// The clock begins here, so that it can be set back: longer than anybody refills one token.
const LEAD: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl Clock for Beat {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let behind = Duration::from_nanos(self.behind.load(Ordering::Relaxed));
        LEAD + rt::now().saturating_duration_since(self.zero) - behind
    }
}

struct Bucket {
    rate: Rate,
    limiter: RateLimiter<NotKeyed, InMemoryState, Beat, NoOpMiddleware<Duration>>,
}

/// Tokens that are refilled at a rate: whoever has taken one may do one thing.
///
/// ```
/// use towpath_patterns::limit::{Limit, Rate, Refused, TokenBucket};
///
/// let requests = TokenBucket::new(Rate::per_second(1).with_burst(2));
/// assert!(requests.try_take(2).is_ok()); // the burst
/// assert!(matches!(requests.try_take(1), Err(Refused::Later(_))));
/// requests.change(Rate::per_second(1000).with_burst(2))?;
/// towpath::block_on(requests.take(1))?; // about a millisecond later
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TokenBucket {
    bucket: ArcSwap<Bucket>,
    turns: Turns,
    changing: Mutex<()>,
}

impl TokenBucket {
    /// A full bucket.
    ///
    /// # Panics
    /// When the rate is one of no tokens, or no burst.
    #[track_caller]
    pub fn new(rate: Rate) -> Self {
        let bucket = Bucket::with(rate, rate.burst, Duration::ZERO);
        Self {
            bucket: ArcSwap::from_pointee(bucket),
            turns: Turns::new(),
            changing: Mutex::new(()),
        }
    }

    /// Takes so many tokens if they are there and nobody waits for some. 0 are always there.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn try_take(&self, tokens: u32) -> Result<(), Refused> {
        if self.turns.is_taken() {
            // They want one token each at least.
            return Err(Refused::Later(self.bucket.load().rate.period()));
        }
        self.bucket.load().take(tokens)
    }

    /// Takes so many tokens, waiting for them; first come, first served. A change of the rate is felt at once.
    ///
    /// # Errors
    /// [`Refused::TooMany`] when the bucket never holds so many.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: no token is lost.
    pub async fn take(&self, tokens: u32) -> Result<(), Refused> {
        self.turns.wait(|| self.bucket.load().take(tokens)).await
    }
}

impl Limit for TokenBucket {
    type Value = Rate;

    fn read<R>(&self, look: impl FnOnce(&Rate) -> R) -> R {
        look(&self.bucket.load().rate)
    }

    /// # Panics
    /// When the rate is one of no tokens, or no burst.
    #[track_caller]
    fn change(&self, rate: Rate) -> Result<(), NotChanged<Rate>> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.bucket.load_full();
        if before.rate != rate {
            // Before the old one is emptied: a rate that is none must not cost its tokens.
            let _ = rate.quota();
            let (tokens, part) = before.empty();
            self.bucket.store(Arc::new(Bucket::with(rate, tokens, rate.period().mul_f64(part))));
        }
        drop(changing);
        self.turns.limit_changed();
        Ok(())
    }
}

impl Bucket {
    /// With so many tokens, as far as they fit, the next of which has been refilled for so long.
    #[track_caller]
    fn with(rate: Rate, tokens: u32, since: Duration) -> Self {
        let tokens = tokens.min(rate.burst);
        let since = if tokens == rate.burst { Duration::ZERO } else { since.min(LEAD) };
        let behind = AtomicU64::new(since.as_nanos() as u64);
        let limiter =
            RateLimiter::direct_with_clock(rate.quota(), Beat { zero: rt::now(), behind });
        let bucket = Self { rate, limiter };
        let taken = bucket.take(rate.burst - tokens);
        debug_assert!(taken.is_ok(), "a bucket is full at first");
        bucket.limiter.clock().behind.store(0, Ordering::Relaxed);
        bucket
    }

    fn take(&self, tokens: u32) -> Result<(), Refused> {
        let Some(tokens) = NonZeroU32::new(tokens) else { return Ok(()) };
        match self.limiter.check_n(tokens) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Refused::Later(self.wait(&until))),
            Err(_) => Err(Refused::TooMany { most: self.rate.burst }),
        }
    }

    fn wait(&self, until: &NotUntil<Duration>) -> Duration {
        // Never nothing, or whoever waits so long would only spin.
        until.wait_time_from(self.limiter.clock().now()).max(Duration::from_nanos(1))
    }

    /// Takes all there is; gives the number, and the part of the next token that had been refilled.
    fn empty(&self) -> (u32, f64) {
        let mut taken = 0;
        let mut step = self.rate.burst;
        while step > 0 {
            while self.take(step).is_ok() {
                taken += step;
            }
            step /= 2;
        }
        let part = match self.limiter.check() {
            // Refilled this very moment.
            Ok(()) => return (taken + 1, 0.0),
            Err(until) => self.wait(&until).as_secs_f64() / self.rate.period().as_secs_f64(),
        };
        (taken, (1.0 - part).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(bucket: &TokenBucket) -> u32 {
        (0..).take_while(|_| bucket.try_take(1).is_ok()).count() as u32
    }

    /// So slow that nothing is refilled while a test runs.
    fn slow(burst: u32) -> Rate {
        Rate { tokens: 1, per: Duration::from_secs(3600), burst }
    }

    #[test]
    fn a_change_moves_the_tokens_and_makes_none() {
        for (first, taken, second, expected) in
            [(10, 3, 20, 7), (10, 3, 5, 5), (10, 10, 20, 0), (1, 0, 1000, 1), (1000, 1, 999, 999)]
        {
            let bucket = TokenBucket::new(slow(first));
            bucket.try_take(taken).unwrap();
            bucket.change(slow(second)).unwrap();
            assert_eq!(bucket.get(), slow(second));
            assert_eq!(tokens(&bucket), expected, "{first} - {taken}, then {second}");
        }
    }

    #[test]
    fn more_than_the_bucket_holds_is_refused_for_good() {
        let bucket = TokenBucket::new(slow(3));
        assert_eq!(bucket.try_take(4), Err(Refused::TooMany { most: 3 }));
        assert_eq!(bucket.try_take(0), Ok(()));
        assert_eq!(tokens(&bucket), 3, "and has cost nothing");
    }

    #[test]
    #[should_panic(expected = "at least 1")]
    fn a_rate_of_nothing_is_refused() {
        let _ = TokenBucket::new(Rate::per_second(0));
    }

    #[test]
    fn a_part_of_a_token_is_carried_over() {
        let since = Duration::from_secs(1800);
        let bucket = Bucket::with(slow(5), 0, since);
        let Err(Refused::Later(wait)) = bucket.take(1) else { panic!("half a token is none") };
        assert!(wait <= since && wait > since - Duration::from_secs(60), "{wait:?}");
        let (tokens, part) = bucket.empty();
        assert_eq!(tokens, 0);
        assert!((0.5..0.52).contains(&part), "{part}");
    }
}
