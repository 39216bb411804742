//! Times by size, in a fixed amount of memory: so that taking them neither allocates nor shows in the memory that is measured.

use serde::{Deserialize, Serialize};

/// Sixteen steps for each power of two: a figure is at most 6 % too large.
const STEPS: usize = 16;
/// Powers of two, from 1 ns to 78 hours.
const POWERS: usize = 48;

/// Counts of times.
pub(crate) struct Histogram {
    counts: Box<[u32; STEPS * POWERS]>,
    largest: u64,
}

/// What is said of times, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) p50: u64,
    pub(crate) p95: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: Box::new([0; STEPS * POWERS]), largest: 0 }
    }

    pub(crate) fn add(&mut self, ns: u64) {
        let power = 63 - (ns | 1).leading_zeros() as usize;
        let step = if power < 4 { 0 } else { (ns >> (power - 4)) as usize & (STEPS - 1) };
        self.counts[(power * STEPS + step).min(STEPS * POWERS - 1)] += 1;
        self.largest = self.largest.max(ns);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts[..]) {
            *mine += theirs;
        }
        self.largest = self.largest.max(other.largest);
    }

    pub(crate) fn spread(&self) -> Spread {
        let at = |part: f64| self.at(part).min(self.largest);
        Spread { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: self.largest }
    }

    /// The upper edge of the step that this part of all times is below.
    fn at(&self, part: f64) -> u64 {
        let all: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        let wanted = (all as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (index, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if count > 0 && seen >= wanted {
                let (power, step) = (index / STEPS, (index % STEPS) as u64);
                let base = 1_u64 << power;
                return if power < 4 { 2 * base - 1 } else { base + (step + 1) * (base >> 4) - 1 };
            }
        }
        0
    }
}

/// The middle one of some samples, the larger of two.
pub(crate) fn middle<T: Copy + PartialOrd>(samples: impl IntoIterator<Item = T>) -> T {
    let mut all: Vec<T> = samples.into_iter().collect();
    all.sort_by(|one, other| one.partial_cmp(other).expect("no NaN"));
    all[all.len() / 2]
}

/// Nanoseconds in the unit that suits them.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        ..1e4 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.1} us", ns / 1e3),
        _ => format!("{:.1} ms", ns / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_to_six_percent() {
        let mut histogram = Histogram::new();
        for ns in 1..=100_000 {
            histogram.add(ns);
        }
        let Spread { p50, p95, p99, max } = histogram.spread();
        for (found, exact) in [(p50, 50_000), (p95, 95_000), (p99, 99_000), (max, 100_000)] {
            assert!(found >= exact && found as f64 <= exact as f64 * 1.07, "{found} for {exact}");
        }
    }
}
