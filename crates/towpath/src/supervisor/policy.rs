//! What a supervisor is told to do: plain values, and the arithmetic of waiting.

use std::time::Duration;

/// Which children are started again when one of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strategy {
    /// That one. For children that do not need each other.
    #[default]
    OneForOne,
    /// All of them: the others are stopped first. For children that share a conversation nobody can join halfway.
    OneForAll,
    /// That one and those declared after it. For children that need those before them.
    RestForOne,
}

/// What a supervisor does when one of its children ends by itself.
///
/// A child fails when it returns an error or panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnExit {
    /// Starts it again, whether it failed or not. For servers, which never end.
    Restart,
    /// Starts it again if it failed. When it returns `Ok` its work is done and its ports are dropped.
    #[default]
    RestartOnFailure,
    /// Leaves it, whether it failed or not, and drops its ports. It is not started again with its siblings either.
    Leave,
    /// Stops all children and ends: with the child's error if it failed, else well.
    Stop,
}

/// How many restarts within what time are still taken for bad luck. One more, and the supervisor gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intensity {
    /// So many restarts.
    pub restarts: u32,
    /// Within this time.
    pub within: Duration,
}

impl Intensity {
    /// Up to `restarts` restarts `within` this time.
    pub const fn new(restarts: u32, within: Duration) -> Self {
        Self { restarts, within }
    }
}

impl Default for Intensity {
    /// Three within five seconds.
    fn default() -> Self {
        Self::new(3, Duration::from_secs(5))
    }
}

/// How long a child stays down before it is started again: doubling with each failure in a row, up to a bound, and a
/// random part taken off so that those who failed together do not come back together.
///
/// A child that has run for as long as the window of [`Intensity`] starts from the beginning.
///
/// ```
/// use std::time::Duration;
/// use towpath::supervisor::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).with_jitter(0.0);
/// let delays: Vec<_> = (0..6).map(|failures| backoff.delay(failures, 0).as_millis()).collect();
/// assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    jitter: f64,
}

impl Backoff {
    /// Starts again at once.
    pub const NONE: Self = Self { first: Duration::ZERO, most: Duration::ZERO, jitter: 0.0 };

    /// Waits for `first` after the first failure, then for twice as long each time, `most` at most. Up to half of each
    /// is taken off at random.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, jitter: 0.5 }
    }

    /// Takes off at random up to this part of the delay: 0 nothing, 1 perhaps all of it. Other numbers count as the
    /// nearer of the two.
    pub const fn with_jitter(mut self, part: f64) -> Self {
        self.jitter = if part > 0.0 { part.min(1.0) } else { 0.0 };
        self
    }

    /// How long to wait after a failure that came after `failures` others in a row. `chance` is a random number, and all
    /// that this depends on besides: the same numbers give the same delay.
    pub fn delay(&self, failures: u32, chance: u64) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(factor).min(self.most);
        // The upper 53 bits make an even fraction of one, below 1.
        let fraction = (chance >> 11) as f64 / (1_u64 << 53) as f64;
        whole.saturating_sub(whole.mul_f64(self.jitter * fraction))
    }
}

impl Default for Backoff {
    /// From a tenth of a second to half a minute.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(30))
    }
}
