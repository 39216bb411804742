//! `cargo xtask ops`: checks what operators are given: alert rules, and that each fires where it should and nowhere else; manifests for
//! Kubernetes, against the schemas of its API.
//!
//! That every metric they name is in a live scrape, and every query of the dashboard, is a test of `towpath-observe` (`--test ops`), which
//! needs no other program. That the manifest's command line works as its security context says is tried by `cargo xtask ship --try`.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::session::{Job, Outcome, Session, root, target_dir};

/// Where the rules and their tests lie.
const RULES: &str = "ops/prometheus";

/// What is applied to a cluster.
const MANIFEST: &str = "ops/kubernetes/towpath.yaml";

/// The oldest and the newest version of the API that the manifest is checked against: clusters of three years.
const VERSIONS: [&str; 2] = ["1.28", "1.34"];

/// A field that every container has; misspelt, it must not pass.
const FIELD: &str = "readinessProbe:";

const NO_PROMTOOL: &str = "no promtool here; it is in Debian's package `prometheus`, or take the program alone as .ci/run does";

const NO_VALIDATE: &str =
    "no kubernetes-validate here; `pip install kubernetes-validate`, or as .ci/run does";

pub(crate) fn run(session: &mut Session) -> Result<Outcome> {
    let mut missing = Vec::new();
    let mut ran = 0;
    for step in [rules(session)?, manifests(session)?] {
        match step {
            Outcome::Done => ran += 1,
            Outcome::Skipped(why) => missing.push(why),
        }
    }
    if ran == 0 {
        return Ok(Outcome::Skipped(missing.join("; ")));
    }
    for why in missing {
        println!("left out: {why}");
    }
    Ok(Outcome::Done)
}

fn answers(program: &str) -> bool {
    Job::program(program, &root()).arg("--version").output().is_some()
}

fn rules(session: &mut Session) -> Result<Outcome> {
    if !answers("promtool") {
        return Ok(Outcome::Skipped(NO_PROMTOOL.to_owned()));
    }
    let promtool = || Job::program("promtool", &root().join(RULES));
    session.run(&promtool().args(["check", "rules", "alerts.yaml"]))?;
    session.run(&promtool().args(["test", "rules", "alerts_test.yaml"]))?;
    Ok(Outcome::Done)
}

fn manifests(session: &mut Session) -> Result<Outcome> {
    if !answers("kubernetes-validate") {
        return Ok(Outcome::Skipped(NO_VALIDATE.to_owned()));
    }
    let validate = |version: &str, file: &str| {
        Job::program("kubernetes-validate", &root()).args([
            "--strict",
            "--kubernetes-version",
            version,
            file,
        ])
    };
    for version in VERSIONS {
        session.run(&validate(version, MANIFEST))?;
    }
    // A check that lets everything pass would be worse than none.
    let text = fs::read_to_string(root().join(MANIFEST))?;
    if !text.contains(FIELD) {
        bail!("{MANIFEST} has no `{FIELD}` to misspell: choose another field in xtask/src/ops.rs");
    }
    let wrong = target_dir().join("misspelt.yaml");
    fs::write(&wrong, text.replace(FIELD, "readynessProbe:"))?;
    let wrong = wrong.to_str().context("the target folder's name is no text")?;
    let (passed, told) = validate(VERSIONS[1], wrong).all_output()?;
    if passed || !told.contains("readynessProbe") {
        bail!("kubernetes-validate takes a misspelt field, or fails for another reason: {told}");
    }
    Ok(Outcome::Done)
}
