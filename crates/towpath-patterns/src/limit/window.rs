//! A sliding window: so many in any stretch of time as long as the period.
//!
//! What always holds:
//! - In every stretch of one period, wherever it begins, no more is taken than the limit was at the largest within it.
//! - What was taken counts for one period at least and a sixteenth longer at most.
//!
//! Why slices: remembering every moment would cost memory by the limit. The period is cut into sixteen, and what counts is
//! the slice that is under way and the sixteen before it. A token bucket, beside it, allows up to twice its rate in
//! the first period after a quiet one; this does not.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use towpath::rt;

use super::{Limit, NotChanged, Refused, turns::Turns};

/// Of a period.
const SLICES: u64 = 16;
/// Those of a whole period and the one under way.
const KEPT: usize = SLICES as usize + 1;

/// So many in any period. The number can be changed; what was taken before counts on.
///
/// ```
/// use std::time::Duration;
/// use towpath_patterns::limit::{Limit, Refused, SlidingWindow};
///
/// let logins = SlidingWindow::new(3, Duration::from_secs(60));
/// assert!(logins.try_take(3).is_ok());
/// assert!(matches!(logins.try_take(1), Err(Refused::Later(_))));
/// logins.change(4)?;
/// assert!(logins.try_take(1).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SlidingWindow {
    limit: AtomicU32,
    period: Duration,
    zero: Instant,
    taken: Mutex<Taken>,
    turns: Turns,
}

impl SlidingWindow {
    /// Nothing has been taken yet.
    ///
    /// # Panics
    /// When the period is shorter than sixteen nanoseconds.
    pub fn new(limit: u32, period: Duration) -> Self {
        assert!(
            period.as_nanos() >= u128::from(SLICES),
            "a window of {period:?}: give it at least 16 ns"
        );
        let slice_ns = (period.as_nanos().div_ceil(u128::from(SLICES))) as u64;
        Self {
            limit: AtomicU32::new(limit),
            period,
            zero: rt::now(),
            taken: Mutex::new(Taken::new(slice_ns)),
            turns: Turns::new(),
        }
    }

    /// The stretch of time that it counts.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Takes so many if the window has room and nobody waits for some.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn try_take(&self, count: u32) -> Result<(), Refused> {
        if self.turns.is_taken() {
            return Err(Refused::Later(self.period / SLICES as u32));
        }
        self.attempt(count)
    }

    /// Takes so many, waiting for room; first come, first served. A change of the limit is felt at once.
    ///
    /// # Errors
    /// [`Refused::TooMany`] when the limit is lower.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn take(&self, count: u32) -> Result<(), Refused> {
        self.turns.wait(|| self.attempt(count)).await
    }

    fn attempt(&self, count: u32) -> Result<(), Refused> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: so that time does not go back between one and the next.
        let now_ns = rt::now().saturating_duration_since(self.zero).as_nanos() as u64;
        taken.take(now_ns, self.limit.load(Ordering::Acquire), count)
    }
}

impl Limit for SlidingWindow {
    type Value = u32;

    fn read<R>(&self, look: impl FnOnce(&u32) -> R) -> R {
        look(&self.limit.load(Ordering::Acquire))
    }

    fn change(&self, limit: u32) -> Result<(), NotChanged<u32>> {
        self.limit.store(limit, Ordering::Release);
        self.turns.limit_changed();
        Ok(())
    }
}

/// What was taken, by slices; times in nanoseconds since some moment.
struct Taken {
    slice_ns: u64,
    /// The slice under way.
    slice: u64,
    /// Slice `n` is at `n % KEPT`.
    counts: [u32; KEPT],
}

impl Taken {
    fn new(slice_ns: u64) -> Self {
        Self { slice_ns, slice: 0, counts: [0; KEPT] }
    }

    fn take(&mut self, now_ns: u64, limit: u32, count: u32) -> Result<(), Refused> {
        self.pass(now_ns);
        if count > limit {
            return Err(Refused::TooMany { most: limit });
        }
        let all: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let mut over = (all + u64::from(count)).saturating_sub(u64::from(limit));
        if over == 0 {
            self.counts[(self.slice % KEPT as u64) as usize] += count;
            return Ok(());
        }
        // The oldest slices go first: when has enough of them gone?
        let mut steps = 0;
        while over > 0 {
            steps += 1;
            let oldest = self.counts[((self.slice + steps) % KEPT as u64) as usize];
            over = over.saturating_sub(u64::from(oldest));
        }
        let gone_ns = (self.slice + steps) * self.slice_ns;
        Err(Refused::Later(Duration::from_nanos(gone_ns - now_ns)))
    }

    /// Forgets the slices that have gone by.
    fn pass(&mut self, now_ns: u64) {
        let slice = (now_ns / self.slice_ns).max(self.slice);
        let passed = (slice - self.slice).min(KEPT as u64);
        for step in 1..=passed {
            self.counts[((slice - passed + step) % KEPT as u64) as usize] = 0;
        }
        self.slice = slice;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk through time by small steps that differ; what was taken when.
    fn walk(limit: impl Fn(u64) -> u32) -> Vec<(u64, u32)> {
        let mut taken = Taken::new(10);
        let (mut now, mut seed, mut events) = (0, 7_u64, Vec::new());
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            now += (seed >> 33) % 9;
            let count = 1 + (seed >> 50) as u32 % 3;
            if taken.take(now, limit(now), count).is_ok() {
                events.push((now, count));
            }
        }
        events
    }

    #[test]
    fn no_stretch_of_a_period_has_more_than_the_limit() {
        const LIMIT: u32 = 12;
        let events = walk(|_| LIMIT);
        for (index, &(begin, _)) in events.iter().enumerate() {
            let stretch = events[index..].iter().take_while(|(at, _)| *at < begin + 160);
            let all: u32 = stretch.map(|(_, count)| count).sum();
            assert!(all <= LIMIT, "{all} from {begin}");
        }
        let all: u32 = events.iter().map(|(_, count)| count).sum();
        let (end, _) = events[events.len() - 1];
        let most = end as f64 / 160.0 * f64::from(LIMIT);
        assert!(f64::from(all) > 0.8 * most, "{all} of {most}: it must not be stricter than said");
    }

    #[test]
    fn a_wait_that_is_said_is_exact() {
        let mut taken = Taken::new(10);
        for (now, count) in [(3, 2), (17, 1), (95, 1)] {
            taken.take(now, 4, count).unwrap();
        }
        // The two of slice 0 count until slice 17 begins.
        let Err(Refused::Later(wait)) = taken.take(100, 4, 1) else { panic!("it is full") };
        assert_eq!(wait, Duration::from_nanos(70));
        assert!(taken.take(169, 4, 1).is_err());
        taken.take(170, 4, 2).unwrap();
        let Err(Refused::Later(wait)) = taken.take(170, 4, 2) else { panic!("it is full") };
        assert_eq!(wait, Duration::from_nanos(90), "the one of 17 and the one of 95");
        assert!(taken.take(259, 4, 2).is_err());
        taken.take(260, 4, 2).unwrap();
    }

    #[test]
    fn a_long_quiet_time_empties_it() {
        let mut taken = Taken::new(10);
        taken.take(0, 3, 3).unwrap();
        taken.take(1_000_000, 3, 3).unwrap();
        assert!(taken.take(1_000_000, 3, 1).is_err());
    }

    #[test]
    fn a_lower_limit_counts_what_was_taken_before() {
        let mut taken = Taken::new(10);
        taken.take(0, 9, 9).unwrap();
        assert_eq!(taken.take(5, 3, 4), Err(Refused::TooMany { most: 3 }));
        assert_eq!(taken.take(5, 3, 1), Err(Refused::Later(Duration::from_nanos(165))));
        taken.take(170, 3, 3).unwrap();
    }
}
