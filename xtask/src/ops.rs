//! `cargo xtask ops`: checks what operators are given: alert rules, and that each fires where it should and nowhere else.
//!
//! That every metric they name is in a live scrape, and every query of the dashboard, is a test of `towpath-observe` (`--test ops`), which
//! needs no other program.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::session::{Job, Outcome, Session, root};

/// Where the rules and their tests lie.
const RULES: &str = "ops/prometheus";

const NO_PROMTOOL: &str = "no promtool here; it is in Debian's package `prometheus`, or take the program alone as .ci/run does";

pub(crate) fn run(session: &mut Session) -> Result<Outcome> {
    let there = Command::new("promtool")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if there.is_err() {
        return Ok(Outcome::Skipped(NO_PROMTOOL.to_owned()));
    }
    let promtool = || Job::program("promtool", &root().join(RULES));
    session.run(&promtool().args(["check", "rules", "alerts.yaml"]))?;
    session.run(&promtool().args(["test", "rules", "alerts_test.yaml"]))?;
    Ok(Outcome::Done)
}
