//! `cargo xtask loom`: runs the loom models of the channel crate.
//!
//! A model replaces atomics, locks and threads by ones that loom steps through, and then sees every
//! order in which they can meet. How far it looks is bounded by the number of times a thread may be
//! interrupted: two finds nearly all known bugs and takes minutes; the nightly run looks further.
//! `LOOM_*` variables set by the caller win over the ones chosen here.

use anyhow::Result;
use clap::Args;

use crate::session::{Job, Outcome, Session};

/// Interruptions per execution on every change.
const PREEMPTIONS: &str = "2";
/// Interruptions per execution at night.
const PREEMPTIONS_NIGHTLY: &str = "3";
/// Decisions in one execution before loom gives up, at night. Loom reserves room for that many at the
/// start of each model, so "without bound" is a number that no model of ours comes near.
const BRANCHES_NIGHTLY: &str = "100000";

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Look further: three interruptions and no practical bound on branches; takes hours
    #[arg(long)]
    nightly: bool,
    /// Run only the models whose name contains this
    filter: Option<String>,
}

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    let mut job = Job::cargo(["test", "-p", "towpath", "--release", "--test", "loom"])
        .args(options.filter.as_deref())
        .env("RUSTFLAGS", "--cfg towpath_loom")
        .own_target_dir("loom");
    if options.nightly {
        job = job
            .env_default("LOOM_MAX_PREEMPTIONS", PREEMPTIONS_NIGHTLY)
            .env_default("LOOM_MAX_BRANCHES", BRANCHES_NIGHTLY);
    } else {
        job = job.env_default("LOOM_MAX_PREEMPTIONS", PREEMPTIONS);
    }
    session.run_some_tests(&job)?;
    Ok(Outcome::Done)
}
