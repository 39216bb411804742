//! `cargo xtask test`: every test of the workspace, then the examples in the documentation.
//!
//! cargo-nextest is used when it is installed because it runs the binaries side by side; plain
//! `cargo test` gives the same verdict. Documentation examples always need `cargo test`.

use anyhow::Result;
use clap::Args;

use crate::session::{Job, Outcome, Session};

#[derive(Args)]
pub(crate) struct Options {
    /// Leave the documentation's examples out
    #[arg(long)]
    no_doc: bool,
    /// Passed to the test runner, for example part of a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    tests(session, &options.rest)?;
    if options.no_doc || !options.rest.is_empty() { Ok(Outcome::Done) } else { doctests(session) }
}

/// Unit and integration tests with all features on.
pub(crate) fn tests(session: &mut Session, rest: &[String]) -> Result<Outcome> {
    let nextest = Job::cargo(["nextest", "--version"]).output().is_some();
    let job = if nextest {
        Job::cargo(["nextest", "run", "--workspace", "--all-features", "--no-fail-fast"])
            .arg("--no-tests=pass")
            .args(rest)
    } else {
        Job::cargo(["test", "--workspace", "--all-features", "--no-fail-fast"])
            .args(["--lib", "--bins", "--tests", "--examples"])
            .args((!rest.is_empty()).then_some("--"))
            .args(rest)
    };
    session.run(&job)?;
    Ok(Outcome::Done)
}

/// Examples in the documentation.
pub(crate) fn doctests(session: &mut Session) -> Result<Outcome> {
    session.run(&Job::cargo(["test", "--doc", "--workspace", "--all-features"]))?;
    Ok(Outcome::Done)
}
