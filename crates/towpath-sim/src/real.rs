//! The real machine, as far as a campaign has to know it: how long it has taken, and what the environment asks for.
//!
//! Nothing of it reaches a simulated program. It decides how many schedules are run and how long a failing one is made
//! smaller, never what a schedule does.

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Real time since it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What is asked for from outside, as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `TOWPATH_REPLAY`: this token and nothing else.
    pub(crate) replay: Option<String>,
    /// `TOWPATH_SIM_SCHEDULES`: so many.
    pub(crate) schedules: Option<String>,
    /// `TOWPATH_SIM_SEED`.
    pub(crate) seed: Option<String>,
    /// `TOWPATH_SIM_BUDGET`: for so many seconds.
    pub(crate) budget: Option<String>,
    /// Where the manifest of the crate under test is; committed tokens are found from there.
    pub(crate) manifest: Option<PathBuf>,
}

impl Environment {
    /// What the process was started with. An empty variable counts as none.
    pub(crate) fn of_process() -> Self {
        let get = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self {
            replay: get("TOWPATH_REPLAY"),
            schedules: get("TOWPATH_SIM_SCHEDULES"),
            seed: get("TOWPATH_SIM_SEED"),
            budget: get("TOWPATH_SIM_BUDGET"),
            manifest: env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
        }
    }
}
