//! How many calls at once, found out by how long they take.
//!
//! It is the gradient of Netflix' concurrency-limits (`Gradient2Limit`; "Performance Under Load", Landau, Thurston and Bozarth, 2018):
//! while calls take as long as they usually do the limit grows by a few, when they take longer it shrinks in proportion. What differs:
//! - The baseline follows quickly downwards and slowly upwards: one that is learnt under load takes the load for normal, and the limit
//!   creeps up for as long as the load lasts.
//! - When the limit has been halved and calls take hardly less for it, then it is not their number that makes them slow. What they take
//!   now is the new baseline. (Envoy's gradient controller asks the same question by the clock, and lets few through meanwhile.)
//!
//! What always holds:
//! - `min <= limit <= max`.
//! - It grows only while at least half of it is used: a limit that nobody reaches says nothing.
//! - It never shrinks to less than `1 - smoothing / 2` of what it was in one window.
//!
//! What it cannot know: whether a service that becomes slower has changed or is overloaded. It takes it for overload until it has
//! halved the limit, and finds out.

use std::time::{Duration, Instant};

/// A number of calls at once that follows what they take. It does no I/O: samples come in, the limit is looked at.
///
/// ```
/// use std::time::{Duration, Instant};
/// use towpath_patterns::gateway::Adaptive;
///
/// let mut limit = Adaptive::new(1, 200).with_initial(20);
/// let mut now = Instant::now();
/// for _ in 0..1000 {
///     now += Duration::from_millis(5);
///     limit.sample(now, Duration::from_millis(10), limit.get());
/// }
/// assert!(limit.get() > 20); // none of them took longer, so more may come
/// ```
#[derive(Clone, Debug)]
pub struct Adaptive {
    min: f64,
    max: f64,
    limit: f64,
    tolerance: f64,
    smoothing: f64,
    window: Duration,
    /// What calls usually take, in seconds; `None` before the first window.
    baseline: Option<f64>,
    /// When calls began to take too long, and each time since that they took longer yet or the limit was halved: the limit, and what
    /// they took.
    mark: Option<(f64, f64)>,
    /// The window that is open.
    samples: Samples,
}

#[derive(Clone, Debug, Default)]
struct Samples {
    since: Option<Instant>,
    count: u32,
    seconds: f64,
    in_hand: usize,
}

/// With fewer samples, a window's mean says little, and it stays open.
const SAMPLES_MIN: u32 = 10;

/// Windows until a baseline has followed upwards, about: ten minutes of the default ones, as long as the original takes.
const FOLLOW_UP: f64 = 6000.0;

/// Windows until it has followed downwards, about.
const FOLLOW_DOWN: f64 = 20.0;

/// Half the calls should take half the time, if it is their number that makes them slow. With more than this of it, it is not.
const HARDLY_LESS: f64 = 0.75;

impl Adaptive {
    /// Between `min` and `max`, which are at least 1; it begins with 20 or what is nearest.
    pub fn new(min: usize, max: usize) -> Self {
        let min = min.max(1) as f64;
        let max = (max as f64).max(min);
        Self {
            min,
            max,
            limit: 20.0_f64.clamp(min, max),
            tolerance: 1.5,
            smoothing: 0.2,
            window: Duration::from_millis(100),
            baseline: None,
            mark: None,
            samples: Samples::default(),
        }
    }

    /// Begins with this, or what is nearest.
    #[must_use]
    pub fn with_initial(self, limit: usize) -> Self {
        Self { limit: (limit as f64).clamp(self.min, self.max), ..self }
    }

    /// How many times as long as usual a call may take before the limit shrinks; 1.5 unless it is said, and at least 1. Nearer to 1 it
    /// is quieter behind the limit, and noise is taken for load.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Self { tolerance: tolerance.max(1.0), ..self }
    }

    /// Over how long samples are gathered before the limit is set anew; 100 ms unless it is said.
    #[must_use]
    pub fn with_window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// Calls at once.
    pub fn get(&self) -> usize {
        self.limit as usize
    }

    /// What calls usually take, as far as it is known.
    pub fn baseline(&self) -> Option<Duration> {
        self.baseline.map(Duration::from_secs_f64)
    }

    /// The most it can become.
    pub(super) fn max(&self) -> usize {
        self.max as usize
    }

    /// A call has ended `now` that took so long, with so many in hand (itself included). Calls that failed quickly, or were given up,
    /// say nothing and are left out.
    pub fn sample(&mut self, now: Instant, took: Duration, in_hand: usize) {
        let samples = &mut self.samples;
        let since = *samples.since.get_or_insert(now);
        samples.count += 1;
        samples.seconds += took.as_secs_f64();
        samples.in_hand = samples.in_hand.max(in_hand);
        if samples.count < SAMPLES_MIN || now.saturating_duration_since(since) < self.window {
            return;
        }
        let Samples { count, seconds, in_hand, .. } = std::mem::take(samples);
        self.step(seconds / f64::from(count), in_hand);
    }

    /// A window has ended in which calls took `short` seconds on average.
    fn step(&mut self, short: f64, in_hand: usize) {
        // A clock that stands still: everything is as quick as can be told.
        let short = short.max(1e-9);
        let baseline = match self.baseline {
            None => short,
            Some(usual) => {
                let follow = if short < usual { FOLLOW_DOWN } else { FOLLOW_UP };
                usual + (short - usual) / follow
            }
        };
        self.baseline = Some(baseline);
        if (in_hand as f64) < self.limit / 2.0 {
            return;
        }
        // Half at the least: one odd window is not to throw everybody out.
        let gradient = (self.tolerance * self.learn(baseline, short) / short).clamp(0.5, 1.0);
        // Room to grow: with a limit of 16 by four, with one of 100 by ten.
        let room = self.limit.sqrt();
        let wanted = self.limit * gradient + room;
        let limit = self.limit * (1.0 - self.smoothing) + wanted * self.smoothing;
        self.limit = limit.clamp(self.min, self.max);
    }

    /// The baseline, learnt anew if a smaller limit has not helped.
    fn learn(&mut self, baseline: f64, short: f64) -> f64 {
        if short <= self.tolerance * baseline {
            self.mark = None;
            return baseline;
        }
        let (limit, took) = match self.mark {
            Some(mark) if short <= mark.1 => mark,
            _ => *self.mark.insert((self.limit, short)),
        };
        if self.limit > (limit / 2.0).max(self.min) {
            return baseline;
        }
        self.mark = Some((self.limit, short));
        if short <= HARDLY_LESS * took {
            return baseline;
        }
        self.baseline = Some(short);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service as a curve: what a call takes, in milliseconds, with so many at once.
    fn serve(limit: &mut Adaptive, windows: usize, demand: usize, curve: impl Fn(usize) -> f64) {
        let mut now = Instant::now();
        for _ in 0..windows {
            let at_once = limit.get().min(demand);
            for _ in 0..=SAMPLES_MIN {
                now += Duration::from_millis(10);
                limit.sample(now, Duration::from_secs_f64(curve(at_once) / 1000.0), at_once);
            }
        }
    }

    /// Up to `knee` at once it takes `base`; more of them share what there is.
    fn knee(base: f64, knee: usize) -> impl Fn(usize) -> f64 {
        move |at_once| base * (at_once as f64 / knee as f64).max(1.0)
    }

    #[test]
    fn it_finds_the_knee() {
        for (initial, at) in [(20, 50), (20, 10), (300, 50), (5, 200), (400, 300)] {
            let mut limit = Adaptive::new(1, 500).with_initial(initial);
            // The baseline is learnt with few at once, as services begin.
            serve(&mut limit, 5, 1, knee(10.0, at));
            serve(&mut limit, 300, usize::MAX, knee(10.0, at));
            let (found, at) = (limit.get() as f64, at as f64);
            assert!(found >= at, "{found} of {at}: part of the service is idle");
            assert!(found <= 2.0 * at + 10.0, "{found} of {at}: twice as slow as need be");
        }
    }

    #[test]
    fn without_demand_it_does_not_grow() {
        let mut limit = Adaptive::new(1, 500).with_initial(20);
        serve(&mut limit, 100, 5, knee(10.0, 50));
        assert_eq!(limit.get(), 20);
    }

    #[test]
    fn a_service_that_collapses_is_given_less_and_comes_back() {
        let mut limit = Adaptive::new(2, 500);
        serve(&mut limit, 5, 1, knee(10.0, 100));
        serve(&mut limit, 200, usize::MAX, knee(10.0, 100));
        let before = limit.get();
        serve(&mut limit, 50, usize::MAX, knee(100.0, 10));
        assert!(limit.get() < before / 3, "{} of {before}", limit.get());
        assert!(limit.baseline().unwrap() <= Duration::from_millis(150), "{:?}", limit.baseline());
        serve(&mut limit, 100, usize::MAX, knee(10.0, 100));
        assert!(limit.get() >= 100, "{}", limit.get());
    }

    #[test]
    fn what_is_slower_for_good_becomes_the_new_normal() {
        let mut limit = Adaptive::new(1, 500);
        serve(&mut limit, 50, usize::MAX, knee(10.0, 100));
        serve(&mut limit, 150, usize::MAX, knee(40.0, 100));
        assert!(limit.get() >= 100, "{}", limit.get());
        // Also one that cannot be halved.
        let mut limit = Adaptive::new(20, 500);
        serve(&mut limit, 5, usize::MAX, knee(10.0, 100));
        serve(&mut limit, 150, usize::MAX, knee(1000.0, 100));
        assert!(limit.get() >= 100, "{}", limit.get());
    }

    #[test]
    fn learnt_under_load_it_recovers_with_the_first_quiet_time() {
        let mut limit = Adaptive::new(1, 500).with_initial(500);
        serve(&mut limit, 50, usize::MAX, knee(10.0, 50));
        serve(&mut limit, 100, 20, knee(10.0, 50));
        serve(&mut limit, 100, usize::MAX, knee(10.0, 50));
        assert!((50..=110).contains(&limit.get()), "{}", limit.get());
    }

    #[test]
    fn one_odd_window_costs_a_tenth_at_most() {
        let mut limit = Adaptive::new(1, 500).with_initial(100);
        serve(&mut limit, 20, usize::MAX, |_| 10.0);
        let before = limit.get();
        serve(&mut limit, 1, usize::MAX, |_| 100_000.0);
        assert!(limit.get() >= before * 9 / 10);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut limit = Adaptive::new(3, 30);
        serve(&mut limit, 500, usize::MAX, |_| 1.0);
        assert_eq!(limit.get(), 30);
        serve(&mut limit, 500, usize::MAX, |_| 1000.0);
        assert!(limit.get() >= 3);
        assert_eq!(Adaptive::new(0, 0).get(), 1);
        assert_eq!(Adaptive::new(9, 1).get(), 9, "max is min at least");
    }
}
