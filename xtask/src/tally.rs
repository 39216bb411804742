//! Counts tests by reading what test runners print.
//!
//! What always holds:
//! - `passed` and `failed` only grow, and only on a runner's own summary line.
//! - A line in no known form counts nothing; a lower number is safer than an invented one.
//!
//! Two forms are known, `cargo test`'s and `cargo nextest`'s:
//!
//! ```text
//! test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
//!      Summary [   0.412s] 31 tests run: 29 passed (2 slow), 1 failed, 1 timed out, 4 skipped
//! ```

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Looks at one line of a runner's output.
    pub(crate) fn see(&mut self, line: &str) {
        let line = without_colours(line);
        let line = line.trim_end();
        // Not trimmed at the start: nextest repeats what a failed test printed, indented, and that holds a summary.
        let counts = if let Some(rest) = line.strip_prefix("test result: ") {
            rest.split_once(". ").map(|(_, counts)| counts)
        } else if let Some(rest) = line.trim_start().strip_prefix("Summary [") {
            rest.split_once(" run: ").map(|(_, counts)| counts)
        } else {
            None
        };
        for count in counts.unwrap_or_default().split([',', ';']) {
            let Some((number, what)) = count.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            // nextest writes "3 passed (1 flaky)": what is in brackets is already counted.
            match what.split(" (").next().unwrap_or_default() {
                "passed" => self.passed += number,
                "failed" | "timed out" | "exec failed" => self.failed += number,
                _ => {}
            }
        }
    }

    /// What was counted since an earlier look.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { passed: self.passed - earlier.passed, failed: self.failed - earlier.failed }
    }
}

/// Drops terminal colour sequences: escape, bracket, parameters, one letter.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            let _ = chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, passed: u64, failed: u64) {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.see(line));
        assert_eq!(tally, Tally { passed, failed }, "after reading {output:?}");
    }

    #[test]
    fn cargo_test_lines_add_up() {
        check(
            "running 3 tests\n\
             test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
             test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n",
            8,
            2,
        );
    }

    #[test]
    fn nextest_summary_counts_every_way_to_fail() {
        check("     Summary [   0.412s] 1 test run: 1 passed, 0 skipped", 1, 0);
        check(
            "     Summary [   3.1s] 9/12 tests run: 5 passed (1 flaky), 3 failed, 1 timed out, 2 skipped",
            5,
            4,
        );
    }

    #[test]
    fn colours_do_not_hide_a_summary() {
        check(
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.4s] \u{1b}[1m2\u{1b}[0m tests run: \
             \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped",
            2,
            0,
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        check("all 7 passed, 1 failed\n  PASS [ 0.1s] 4 passed\ntest a ... ok", 0, 0);
        check(
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out",
            0,
            0,
        );
    }
}
