//! So many a second, and not all at once. A value: time comes in, yes or no comes out.

use super::plan::Millis;

/// The part of a second for which what was not used is kept.
const BURST_MILLIS: u64 = 100;

/// Lets some through each second.
pub(super) struct Pace {
    per_second: u64,
    /// In thousandths, so that a millisecond adds `per_second` of them.
    allowance: u64,
    last: Millis,
}

impl Pace {
    pub(super) fn new(per_second: u32, now: Millis) -> Self {
        let per_second = u64::from(per_second.max(1));
        Self { per_second, allowance: Self::most(per_second), last: now }
    }

    fn most(per_second: u64) -> u64 {
        (per_second * BURST_MILLIS).max(1_000)
    }

    /// Whether one more may pass now.
    pub(super) fn pass(&mut self, now: Millis) -> bool {
        let grown = now.saturating_sub(self.last).saturating_mul(self.per_second);
        self.allowance = self.allowance.saturating_add(grown).min(Self::most(self.per_second));
        self.last = self.last.max(now);
        let passes = self.allowance >= 1_000;
        if passes {
            self.allowance -= 1_000;
        }
        passes
    }

    /// When the next may pass.
    pub(super) fn next(&self) -> Millis {
        let missing = 1_000_u64.saturating_sub(self.allowance);
        self.last.saturating_add(missing.div_ceil(self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pass_in_a_second_and_few_at_once() {
        for (per_second, at_once, in_a_second) in [(1, 1, 1), (10, 1, 10), (1_000, 100, 1_000)] {
            let mut pace = Pace::new(per_second, 5_000);
            let mut passed = 0;
            while pace.pass(5_000) {
                passed += 1;
            }
            assert_eq!(passed, at_once, "{per_second} a second");
            let mut later = 0;
            loop {
                let now = pace.next();
                if now > 6_000 {
                    break;
                }
                while pace.pass(now) {
                    later += 1;
                }
            }
            assert_eq!(later, in_a_second, "{per_second} a second");
        }
    }

    #[test]
    fn a_clock_that_goes_back_lets_nobody_through() {
        let mut pace = Pace::new(1, 5_000);
        assert!(pace.pass(5_000));
        assert!(!pace.pass(1_000));
        assert!(pace.pass(6_000));
    }
}
