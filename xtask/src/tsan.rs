//! `cargo xtask tsan`: runs the stress tests under ThreadSanitizer.
//!
//! Loom proves small cases; the sanitizer watches large ones with real threads and reports two
//! accesses that no ordering separates. It needs a nightly compiler. It does not understand bare
//! fences: code that is ordered only by one shows up as a false report. The standard library's own
//! places of that kind are listed in `tsan.supp` with what each entry hides.

use std::env;

use anyhow::{Result, bail};
use clap::Args;

use crate::session::{Job, NO_NIGHTLY, Outcome, Session, has_nightly, root};

/// The sanitizer is chosen per target, and naming the target keeps it out of build scripts and macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const FLAGS: &str = "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer";

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Fail when there is no nightly compiler, instead of skipping
    #[arg(long)]
    require: bool,
}

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    if !has_nightly() {
        if options.require {
            bail!("{NO_NIGHTLY}");
        }
        return Ok(Outcome::Skipped(NO_NIGHTLY.to_owned()));
    }
    let job = Job::cargo(["+nightly", "test", "-p", "towpath", "--test", "it"])
        .args(["--target", TARGET, "--", "stress"])
        .env("RUSTFLAGS", FLAGS)
        .env("RUSTDOCFLAGS", FLAGS)
        .env("TSAN_OPTIONS", options_for_the_sanitizer())
        .own_target_dir("tsan");
    session.run_some_tests(&job)?;
    Ok(Outcome::Done)
}

/// Ours first: of two values for one option the sanitizer takes the later, and that is the caller's.
fn options_for_the_sanitizer() -> String {
    let list = root().join("xtask/tsan.supp");
    let callers = env::var("TSAN_OPTIONS").unwrap_or_default();
    format!("halt_on_error=1 suppressions={} {callers}", list.display()).trim_end().to_owned()
}
