//! How long things take: recent quantiles, in two kilobytes.
//!
//! What always holds: what a quantile says is at most an eighth more than what was recorded, and not less.
//!
//! Why two generations: counts that only grow describe last week. Here the older half is forgotten whenever the younger is full of
//! age or of samples.

use std::time::{Duration, Instant};

/// Steps between a power of two and the next: 8, so an eighth at most is lost.
const STEP_BITS: u32 = 3;
const STEPS: usize = 1 << STEP_BITS;

/// Everything below 2^10 ns, a microsecond, is one.
const FLOOR: u32 = 10;

/// Everything above 2^42 ns, about an hour, is one.
const OCTAVES: usize = 32;

const BUCKETS: usize = OCTAVES * STEPS;

/// A generation ends with this age, if it has samples enough.
const AGE_MAX: Duration = Duration::from_secs(10);

/// And with this many samples in any case: a p99 of a thousandth of them is still exact.
const SAMPLES_MAX: u32 = 100_000;

/// Of fewer samples no quantile is told by which somebody acts.
const SAMPLES_MIN: u32 = 100;

/// Durations of the last ten to twenty seconds, or of what came last if there was little.
#[derive(Clone, Debug)]
pub(super) struct Times {
    young: Box<Counted>,
    old: Box<Counted>,
    /// When the younger generation is of age. A moment and not a beginning: what is compared need not be subtracted.
    until: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Counted {
    buckets: [u32; BUCKETS],
    count: u32,
    max: Duration,
}

impl Counted {
    fn new() -> Box<Self> {
        Box::new(Self { buckets: [0; BUCKETS], count: 0, max: Duration::ZERO })
    }
}

impl Times {
    pub(super) fn new() -> Self {
        Self { young: Counted::new(), old: Counted::new(), until: None }
    }

    pub(super) fn record(&mut self, now: Instant, took: Duration) {
        let until = *self.until.get_or_insert_with(|| now + AGE_MAX);
        let aged = now >= until && self.young.count >= SAMPLES_MIN;
        if aged || self.young.count >= SAMPLES_MAX {
            std::mem::swap(&mut self.young, &mut self.old);
            *self.young = *Counted::new();
            self.until = Some(now + AGE_MAX);
        }
        let young = &mut *self.young;
        young.buckets[bucket(took)] += 1;
        young.count += 1;
        young.max = young.max.max(took);
    }

    /// What this share of them did not exceed; `None` as long as there are less than a hundred.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.young.count + self.old.count;
        if count < SAMPLES_MIN {
            return None;
        }
        self.at(share, count)
    }

    /// As [`quantile`](Self::quantile), of however few; `None` of none.
    pub(super) fn rough(&self, share: f64) -> Option<Duration> {
        match self.young.count + self.old.count {
            0 => None,
            count => self.at(share, count),
        }
    }

    pub(super) fn max(&self) -> Option<Duration> {
        (self.young.count + self.old.count > 0).then(|| self.young.max.max(self.old.max))
    }

    fn at(&self, share: f64, count: u32) -> Option<Duration> {
        let rank = ((f64::from(count) * share).ceil() as u32).clamp(1, count);
        let mut seen = 0;
        let max = self.max()?;
        for (place, (young, old)) in self.young.buckets.iter().zip(&self.old.buckets).enumerate() {
            seen += young + old;
            if seen >= rank {
                // The last bucket has no end, and no other says more than there was.
                return Some(if place == BUCKETS - 1 { max } else { end(place).min(max) });
            }
        }
        Some(max)
    }
}

fn bucket(took: Duration) -> usize {
    let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
    let octave = nanos.ilog2();
    if octave < FLOOR {
        return 0;
    }
    let step = (nanos >> (octave - STEP_BITS)) as usize & (STEPS - 1);
    // The first is for all that is below.
    ((octave - FLOOR) as usize * STEPS + step + 1).min(BUCKETS - 1)
}

/// Above every duration in it.
fn end(bucket: usize) -> Duration {
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    let nanos = (1_u64 << (octave as u32 + FLOOR - STEP_BITS)) * (STEPS + step) as u64;
    Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for place in 0..BUCKETS - 1 {
            let end = end(place);
            assert_eq!(bucket(end), place + 1, "{place} {end:?}");
            assert_eq!(bucket(end - Duration::from_nanos(1)), place, "{place} {end:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(bucket(Duration::ZERO), 0);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let (mut times, start) = (Times::new(), Instant::now());
        for second in 0..60 {
            let took = Duration::from_millis(if second < 30 { 1000 } else { 1 });
            for _ in 0..20 {
                times.record(start + Duration::from_secs(second), took);
            }
        }
        assert!(
            times.quantile(0.99) < Some(Duration::from_millis(2)),
            "{:?}",
            times.quantile(0.99)
        );
    }

    #[test]
    fn of_few_it_says_nothing() {
        let mut times = Times::new();
        assert_eq!((times.rough(0.5), times.max()), (None, None));
        for n in 1..=SAMPLES_MIN {
            assert_eq!(times.quantile(0.5), None);
            times.record(Instant::now(), Duration::from_millis(u64::from(n)));
        }
        assert!(times.quantile(0.5).is_some());
    }

    proptest! {
        #[test]
        fn a_quantile_is_right_to_an_eighth(
            mut micros in prop::collection::vec(2_u64..3_000_000_000, 1..300),
            share in 0.0_f64..=1.0,
        ) {
            let (mut times, now) = (Times::new(), Instant::now());
            for micros in &micros {
                times.record(now, Duration::from_micros(*micros));
            }
            micros.sort_unstable();
            let rank = ((micros.len() as f64 * share).ceil() as usize).clamp(1, micros.len());
            let exact = Duration::from_micros(micros[rank - 1]);
            let told = times.rough(share).unwrap();
            prop_assert!(told >= exact, "{told:?} {exact:?}");
            prop_assert!(told <= exact + exact / 8, "{told:?} {exact:?}");
        }
    }
}
