//! `cargo xtask bench`: compares with other libraries and keeps the result under docs/bench.
//!
//! What always holds:
//! - A kept result is named after the day and comes twice: `.md` for people, `.json` for comparing.
//! - CI's short run goes to the target folder: its numbers prove that the program works, no more.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;

use crate::session::{Job, Outcome, Session, root, target_dir};

#[derive(Args)]
pub(crate) struct Options {
    /// Passed to `towpath-bench run`, for example `--quick`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// A run whose result is kept.
pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
    measure(session, &root().join("docs/bench"), &date(since_1970), &options.rest)
}

/// A run that only shows that measuring works.
pub(crate) fn quick(session: &mut Session) -> Result<Outcome> {
    measure(session, &target_dir().join("bench"), "quick", &["--quick".to_owned()])?;
    session.run(&Job::cargo([
        "run",
        "--release",
        "-p",
        "towpath-bench",
        "--",
        "saga",
        "--quick",
    ]))?;
    Ok(Outcome::Done)
}

fn measure(session: &mut Session, folder: &Path, name: &str, rest: &[String]) -> Result<Outcome> {
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let [markdown, json] = ["md", "json"].map(|kind| folder.join(format!("{name}.{kind}")));
    session.run(
        &Job::cargo(["run", "--release", "-p", "towpath-bench", "--", "run"])
            .args(["--md".to_owned(), markdown.display().to_string()])
            .args(["--json".to_owned(), json.display().to_string()])
            .args(rest),
    )?;
    println!("results: {} and {}", markdown.display(), json.display());
    Ok(Outcome::Done)
}

/// The day as `2026-11-22`, in UTC.
///
/// Counts in years that begin in March, so that the leap day is the last of its year and months need no table.
fn date(since_1970: Duration) -> String {
    let days = since_1970.as_secs() / 86_400 + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
            (20_818, "2026-12-31"),
        ] {
            assert_eq!(date(Duration::from_secs(days * 86_400 + 86_399)), expected);
        }
    }
}
