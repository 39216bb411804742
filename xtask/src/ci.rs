//! `cargo xtask ci`: everything that must hold before a change goes in, cheapest first.
//!
//! What always holds:
//! - The last line printed is `N passed, M failed`.
//! - `M` is zero exactly when the exit code is zero: a step that fails without a failing test, such as
//!   a lint or a test that does not compile, counts as one failure.
//! - Each step prints a heading, its time, and either its end or the reason it was skipped.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::session::{Outcome, Session};
use crate::tally::Tally;
use crate::{bench, lint, loom, mutants, ops, spin, test, tidy, tsan, ui};

#[derive(Args)]
pub(crate) struct Options {
    /// Go on after a failed step
    #[arg(long)]
    keep_going: bool,
}

type Step = (&'static str, fn(&mut Session) -> Result<Outcome>);

const STEPS: &[Step] = &[
    ("lint", lint::run),
    ("tidy", |_| tidy::run()),
    ("ops", ops::run),
    ("test", |session| test::tests(session, &[])),
    ("doctest", test::doctests),
    ("ui", |session| ui::run(session, &ui::Options::default())),
    ("mutants", |session| mutants::run(session, &mutants::Options::default())),
    ("loom", |session| loom::run(session, &loom::Options::default())),
    ("spin", |session| spin::run(session, &spin::Options::default())),
    ("tsan", |session| tsan::run(session, &tsan::Options::default())),
    ("bench --quick", bench::quick),
];

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    let rows = walk(STEPS, session, options.keep_going);
    println!("\n{}", summary(STEPS, &rows));
    let total = total(&rows);
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("ci failed");
    }
    Ok(Outcome::Done)
}

/// One line of the table at the end.
struct Row {
    result: Result<Outcome>,
    took: Duration,
    tests: Tally,
}

fn walk(steps: &[Step], session: &mut Session, keep_going: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, step) in steps {
        println!("\n=== {name} ===");
        let (start, before) = (Instant::now(), session.tally());
        let result = step(session);
        let row = Row { result, took: start.elapsed(), tests: session.tally().since(before) };
        match &row.result {
            Ok(Outcome::Done) => println!("{name}: done in {}", seconds(row.took)),
            Ok(Outcome::Skipped(why)) => println!("{name}: skipped: {why}"),
            Err(error) => println!("{name}: failed after {}: {error:#}", seconds(row.took)),
        }
        let failed = row.result.is_err();
        rows.push(row);
        if failed && !keep_going {
            break;
        }
    }
    rows
}

/// Tests of all steps; a failed step without a failed test adds one failure.
fn total(rows: &[Row]) -> Tally {
    rows.iter().fold(Tally::default(), |sum, row| Tally {
        passed: sum.passed + row.tests.passed,
        failed: sum.failed + row.tests.failed.max(u64::from(row.result.is_err())),
    })
}

fn summary(steps: &[Step], rows: &[Row]) -> String {
    let mut table =
        format!("{:<16}{:<10}{:>9}{:>9}{:>9}\n", "step", "result", "time", "passed", "failed");
    for (index, (name, _)) in steps.iter().enumerate() {
        let Some(row) = rows.get(index) else {
            table.push_str(&format!("{name:<16}not run\n"));
            continue;
        };
        let result = match &row.result {
            Ok(Outcome::Done) => "ok",
            Ok(Outcome::Skipped(_)) => "skipped",
            Err(_) => "FAILED",
        };
        let Tally { passed, failed } = row.tests;
        table.push_str(&format!(
            "{name:<16}{result:<10}{:>9}{passed:>9}{failed:>9}\n",
            seconds(row.took)
        ));
    }
    table
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Step = ("good", |_| Ok(Outcome::Done));
    const BAD: Step = ("bad", |_| bail!("broken"));
    const AWAY: Step = ("away", |_| Ok(Outcome::Skipped("nobody home".to_owned())));

    fn check(steps: &[Step], keep_going: bool, ran: usize, failed: u64) -> String {
        let rows = walk(steps, &mut Session::new(), keep_going);
        assert_eq!((rows.len(), total(&rows)), (ran, Tally { passed: 0, failed }));
        summary(steps, &rows)
    }

    #[test]
    fn a_failed_step_ends_the_run_and_counts() {
        let table = check(&[GOOD, BAD, GOOD], false, 2, 1);
        assert!(table.contains("FAILED") && table.contains("not run"), "{table}");
    }

    #[test]
    fn keep_going_visits_every_step() {
        check(&[BAD, GOOD, BAD], true, 3, 2);
    }

    #[test]
    fn a_skipped_step_is_not_a_failure() {
        let table = check(&[AWAY, GOOD], false, 2, 0);
        assert!(table.contains("skipped"), "{table}");
    }
}
