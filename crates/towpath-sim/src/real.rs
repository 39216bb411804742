//! The real machine, as far as a campaign has to know it: how long it has taken, and what the environment asks for.
//!
//! Nothing of it reaches a simulated program. It decides how many schedules are run and how long a failing one is made
//! smaller, never what a schedule does.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
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

/// Steps of simulated programs, counted for whoever watches from another thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    #[inline]
    pub(crate) fn beat(&self) {
        // One thread beats, so this need not be one operation; and who watches is in no hurry.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Says what may be wrong when a pulse stops: a simulated process that waits in its own way keeps the thread on which all of
/// them run, and nobody in there can say so.
#[derive(Debug)]
pub(crate) struct Watchdog {
    stop: Option<mpsc::Sender<()>>,
}

/// Longer than any step between two operations should take, also in a debug build on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

impl Watchdog {
    /// Watches until it is dropped. Without a thread for it there is no watchdog, and nothing else changes.
    pub(crate) fn start(name: &str, pulse: Pulse) -> Self {
        Self::start_with(name, pulse, PATIENCE, |warning| eprintln!("{warning}"))
    }

    fn start_with(
        name: &str,
        pulse: Pulse,
        patience: Duration,
        warn: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let (stop, stopped) = mpsc::channel();
        let name = name.to_owned();
        let watch = move || {
            let mut before = pulse.count();
            while stopped.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                let now = pulse.count();
                if now == before {
                    warn(&Self::warning(&name, patience));
                }
                before = now;
            }
        };
        let thread = thread::Builder::new().name("towpath-sim-watchdog".to_owned());
        Self { stop: thread.spawn(watch).ok().map(|_| stop) }
    }

    fn warning(name: &str, patience: Duration) -> String {
        format!(
            "{name}: no step for {patience:?}. A simulated process keeps the thread on which all of them run: a lock of the \
             standard library held across an operation of Towpath that another process wants (use `towpath::sync`), a loop \
             that looks at something without `towpath_sim::yield_point()`, `thread::sleep`, or work that takes long"
        )
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The thread hears that nobody can send any more.
        self.stop = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_speaks_when_the_pulse_stops() {
        let (said, heard) = mpsc::channel();
        let pulse = Pulse::default();
        pulse.beat();
        let say = move |warning: &str| drop(said.send(warning.to_owned()));
        let watchdog = Watchdog::start_with("it::stuck", pulse, Duration::from_millis(1), say);
        let warning = heard.recv().expect("it speaks sooner or later");
        assert!(warning.starts_with("it::stuck: no step for 1ms"), "{warning}");
        drop(watchdog);
        // Its thread ends, and with it what it speaks through.
        while heard.recv().is_ok() {}
    }
}
