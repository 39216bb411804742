//! `cargo xtask sim`: runs every simulated test for longer than `cargo test` does, and says how far it came.
//!
//! What always holds:
//! - The tests are those of `cargo test`, of the packages below, in a release build; only the number of schedules differs.
//! - A campaign prints one line of figures when it was asked for more (`towpath-sim/src/words.rs`). The table is made of
//!   these lines, so a test without one is no simulated test.
//! - A run without a single campaign is an error: then the filter fits none.
//!
//! With a budget each test has so many seconds, one test after the other; so a night is the budget times their number.

use anyhow::{Result, bail};
use clap::Args;

use crate::session::{Job, Outcome, Session};

/// Packages and the test binaries of theirs that have simulated tests.
const BINARIES: &[(&str, &[&str])] = &[
    ("towpath", &["--test", "sim"]),
    ("towpath-sim", &["--test", "it"]),
    ("csp-bench", &["--tests"]),
];

#[derive(Args)]
pub(crate) struct Options {
    /// Seconds for each test
    #[arg(long, conflicts_with = "schedules")]
    budget: Option<f64>,
    /// Schedules for each test [default: 10000]
    #[arg(long)]
    schedules: Option<u64>,
    /// Other schedules than those of seed 0
    #[arg(long)]
    seed: Option<u64>,
    /// Only tests with this in their names
    filter: Option<String>,
}

/// Without a wish: ten times what `cargo test` runs.
const SCHEDULES: u64 = 10_000;

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (package, binaries) in BINARIES {
        let job =
            Job::cargo(["test", "--release", "--all-features", "--no-fail-fast", "-p", package])
                .args(binaries.iter().copied())
                .arg("--")
                // One after the other: they share no processor, and the figures are comparable.
                .args(["--show-output", "--test-threads=1"])
                .args(options.filter.clone());
        let job = match (options.budget, options.seed) {
            (Some(budget), _) => job.env("TOWPATH_SIM_BUDGET", budget.to_string()),
            (None, _) => {
                let schedules = options.schedules.unwrap_or(SCHEDULES);
                job.env("TOWPATH_SIM_SCHEDULES", schedules.to_string())
            }
        };
        let job = match options.seed {
            Some(seed) => job.env("TOWPATH_SIM_SEED", seed.to_string()),
            None => job,
        };
        println!("$ {job}");
        let (passed, text) = job.all_output()?;
        if !passed {
            // What failed tells its whole story, and how to run it again.
            println!("{text}");
            failed.push(*package);
        }
        text.lines()
            .filter(|line| line.starts_with("test result:"))
            .for_each(|line| session.report(line));
        rows.extend(text.lines().filter_map(Row::parse));
    }
    if rows.is_empty() && failed.is_empty() {
        let filter = options.filter.as_deref().unwrap_or_default();
        bail!("no simulated test has `{filter}` in its name");
    }
    print!("{}", table(&rows));
    if !failed.is_empty() {
        bail!("simulated tests of {} failed", failed.join(", "));
    }
    Ok(Outcome::Done)
}

/// What one campaign says of itself.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    schedules: u64,
    steps: u64,
    seconds: f64,
    /// There are no other schedules.
    complete: bool,
    distinct: u64,
    /// Answers that were given, and that could have been.
    answers: (u64, u64),
}

impl Row {
    /// Reads a line such as `sim::rt::x: 40 schedules, 160 steps in 0.1 s (400 schedules/s, 1600 steps/s); choice coverage:
    /// 2 of 2 answers at 1 places; 40 schedules, 7 of them different`.
    fn parse(line: &str) -> Option<Self> {
        let (name, figures) = line.split_once(": ")?;
        let (figures, coverage) = figures.split_once("choice coverage: ")?;
        let number = |text: &str, before: &str| -> Option<f64> {
            text.split_once(before)?.0.rsplit([' ', '(']).next()?.parse().ok()
        };
        let answers = |before| number(coverage, before).map(|it| it as u64);
        Some(Self {
            name: name.to_owned(),
            schedules: number(figures, " schedules,")? as u64,
            steps: number(figures, " steps in")? as u64,
            seconds: number(figures, " s (")?,
            complete: figures.contains("there are no others"),
            distinct: number(coverage, " of them different")? as u64,
            answers: (answers(" of ")?, answers(" answers at")?),
        })
    }
}

/// The rows, and what they add up to.
fn table(rows: &[Row]) -> String {
    let sum = rows.iter().fold(Row::parse(EMPTY), |sum, row| {
        let sum = sum?;
        Some(Row {
            name: format!("{} tests", rows.len()),
            schedules: sum.schedules + row.schedules,
            steps: sum.steps + row.steps,
            seconds: sum.seconds + row.seconds,
            complete: false,
            distinct: sum.distinct + row.distinct,
            answers: (sum.answers.0 + row.answers.0, sum.answers.1 + row.answers.1),
        })
    });
    let head = ["test", "schedules", "distinct", "/s", "steps/s", "choices"];
    let mut text = line(&head.map(str::to_owned));
    for row in rows.iter().chain(&sum) {
        let rate = |count: u64| match row.seconds > 0.0 {
            true => format!("{:.0}", count as f64 / row.seconds),
            false => "-".to_owned(),
        };
        let (given, possible) = row.answers;
        text += &line(&[
            row.name.clone(),
            format!("{}{}", row.schedules, if row.complete { " all" } else { "" }),
            row.distinct.to_string(),
            rate(row.schedules),
            rate(row.steps),
            format!("{given}/{possible}"),
        ]);
    }
    text
}

const EMPTY: &str = ": 0 schedules, 0 steps in 0 s (0 schedules/s, 0 steps/s); choice coverage: 0 of 0 answers at 0 \
                     places; 0 schedules, 0 of them different";

fn line([name, schedules, distinct, rate, steps, choices]: &[String; 6]) -> String {
    format!("{name:<72}{schedules:>13}{distinct:>10}{rate:>9}{steps:>10}{choices:>12}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "it::toy: 40 schedules, 160 steps in 0.5 s (80 schedules/s, 320 steps/s); there are no others; choice \
                        coverage: 2 of 3 answers at 1 places; 40 schedules, 7 of them different";

    #[test]
    fn a_line_of_a_campaign_is_read() {
        let row = Row::parse(LINE).expect("it is one");
        let expected = Row {
            name: "it::toy".to_owned(),
            schedules: 40,
            steps: 160,
            seconds: 0.5,
            complete: true,
            distinct: 7,
            answers: (2, 3),
        };
        assert_eq!(row, expected);
        assert_eq!(Row::parse("test it::toy: 40 schedules ... ok"), None);
    }

    #[test]
    fn the_table_adds_up() {
        let rows = [LINE, LINE].map(|line| Row::parse(line).expect("it is one"));
        let table = table(&rows);
        let last = table.lines().last().unwrap_or_default();
        let words: Vec<_> = last.split_whitespace().collect();
        assert_eq!(words, ["2", "tests", "80", "14", "80", "320", "4/6"]);
        assert!(table.contains("40 all"), "{table}");
    }
}
