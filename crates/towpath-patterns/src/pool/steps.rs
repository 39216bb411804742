//! Numbers in steps: exact up to 16, then 16 steps for each doubling, so a count of any size needs a short row of them.
//!
//! What always holds: `top(step(n)) >= n`, and it is less than a sixteenth above.

/// Steps of one doubling.
const PART: u64 = 16;

/// The step that a number falls into.
pub(super) fn step(n: u64) -> usize {
    if n <= PART {
        return n as usize;
    }
    let n = n - 1;
    let octave = n.ilog2() - PART.ilog2();
    (u64::from(octave) * PART + (n >> octave)) as usize + 1
}

/// The largest number that falls into this step.
pub(super) fn top(step: usize) -> u64 {
    let step = step as u64;
    if step <= PART {
        return step;
    }
    let octave = (step - 1) / PART - 1;
    (step - octave * PART) << octave
}

/// How often numbers of each step were seen, the older the less.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    weights: Vec<f64>,
    total: f64,
}

impl Row {
    pub(super) fn add(&mut self, step: usize, weight: f64) {
        if self.weights.len() <= step {
            self.weights.resize(step + 1, 0.0);
        }
        self.weights[step] += weight;
        self.total += weight;
    }

    /// Makes all that was seen count less.
    pub(super) fn fade(&mut self, keep: f64) {
        self.total = 0.0;
        for weight in &mut self.weights {
            *weight *= keep;
            self.total += *weight;
        }
    }

    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// The number that this part of all is not above, rounded up to its step; `None` if nothing was seen.
    pub(super) fn quantile(&self, part: f64) -> Option<u64> {
        if self.total <= 0.0 {
            return None;
        }
        let mut left = part * self.total;
        let mut last = None;
        for (step, &weight) in self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0)
        {
            left -= weight;
            last = Some(top(step));
            if left <= 0.0 {
                break;
            }
        }
        last
    }

    /// The window of numbers up to a step that is worth most, if any is worth something: each number in it brings 1, and each
    /// unit of it that a number passes, or ends in, costs so much.
    pub(super) fn best(&self, steps: usize, price: f64) -> Option<(u64, u64)> {
        let mut left = self.total;
        let (mut best, mut found) = (0.0, None);
        let (mut sum, mut from) = (0.0, 0);
        for step in 0..self.weights.len().min(steps + 1) {
            let here = self.weights[step];
            left -= here;
            let below = if step == 0 { 0 } else { top(step - 1) };
            let width = (top(step) - below) as f64;
            if sum <= 0.0 {
                (sum, from) = (0.0, below);
            }
            sum += here - price * width * (left + here / 2.0);
            if sum > best {
                (best, found) = (sum, Some((from, top(step))));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_their_numbers() {
        let numbers = (0..5_000).chain((0..50).map(|n| (1 << n) + n)).chain([1 << 62]);
        for n in numbers {
            let step = step(n);
            assert!(top(step) >= n && top(step) as f64 <= n as f64 * 1.0625, "{n}: {}", top(step));
            assert!(step == 0 || top(step - 1) < n, "{n}");
        }
    }

    #[test]
    fn a_row_knows_its_parts() {
        let mut row = Row::default();
        assert_eq!(row.quantile(0.5), None);
        (1..=100).for_each(|n| row.add(step(n), 1.0));
        assert_eq!((row.quantile(0.05), row.quantile(0.5)), (Some(5), Some(50)));
        assert_eq!(row.quantile(1.0), Some(100));
        assert_eq!(row.total(), 100.0);
        row.fade(0.5);
        assert_eq!((row.total(), row.quantile(0.5)), (50.0, Some(50)));
    }

    /// Every window is looked at.
    fn best_of_all(numbers: &[u64], price: f64) -> f64 {
        let worth = |from: u64, to: u64| {
            let each = numbers.iter().map(|&n| match n {
                _ if n <= from => 0.0,
                // One that ends in a step has passed half of it, in the mean.
                _ if n <= to => {
                    let below = if step(n) == 0 { 0 } else { top(step(n) - 1) };
                    1.0 - price * ((below - from) as f64 + (top(step(n)) - below) as f64 / 2.0)
                }
                _ => -price * (to - from) as f64,
            });
            each.sum::<f64>()
        };
        let edges: Vec<u64> = (0..=step(200)).map(top).collect();
        let pairs = edges.iter().flat_map(|&from| edges.iter().map(move |&to| (from, to)));
        pairs.filter(|(from, to)| from < to).map(|(from, to)| worth(from, to)).fold(0.0, f64::max)
    }

    #[test]
    fn the_best_window_is_the_best() {
        let cases: [&[u64]; 5] = [
            &[1, 1, 1, 2, 90],
            &[100, 101, 99, 98, 3],
            &[5, 10, 20, 40, 80, 160],
            &[150],
            &[7, 7, 60, 61],
        ];
        for numbers in cases {
            let mut row = Row::default();
            numbers.iter().for_each(|&n| row.add(step(n), 1.0));
            for price in [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0] {
                let best = best_of_all(numbers, price);
                let found = row.best(step(200), price);
                let Some((from, to)) = found else {
                    assert!(best <= 1e-9, "{numbers:?} at {price}: {best}");
                    continue;
                };
                let inside = numbers.iter().filter(|&&n| from < n && n <= to).count() as f64;
                assert!(inside >= best - 1e-9, "{numbers:?} at {price}: {from} to {to} for {best}");
                assert!(best > 0.0);
            }
        }
        assert_eq!(Row::default().best(10, 0.1), None);
    }
}
