//! Waiting for a limit: one at a time, first come, first served, and awake again when the limit changes.

use std::{
    error, fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use towpath::sync::{Mutex, Notify};

/// Why nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Not now. After so long it may succeed, if nobody else comes and the limit stays as it is.
    Later(Duration),
    /// Never, while the limit is as it is: so many at once is the most.
    TooMany {
        /// What can be taken at once.
        most: u32,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(wait) => write!(f, "over the limit; try again in {wait:?}"),
            Self::TooMany { most } => {
                write!(f, "more than the limit ever allows at once; ask for {most} at most")
            }
        }
    }
}

impl error::Error for Refused {}

/// Those who wait for one limit.
pub(super) struct Turns {
    line: Mutex<()>,
    /// Who stands in the line or is at its head.
    waiting: AtomicUsize,
    changed: Notify,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { line: Mutex::new(()), waiting: AtomicUsize::new(0), changed: Notify::new() }
    }

    /// Whether somebody waits, who must not be overtaken.
    pub(super) fn is_taken(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// The limit has changed: whoever waits looks again.
    pub(super) fn limit_changed(&self) {
        self.changed.notify_waiters();
    }

    /// Tries until it succeeds or can never succeed. Dropped, it gives up its place.
    pub(super) async fn wait(
        &self,
        attempt: impl Fn() -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        if !self.is_taken() {
            match attempt() {
                Err(Refused::Later(_)) => {}
                done => return done,
            }
        }
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let _counted = Counted(&self.waiting);
        let _turn = self.line.lock().await;
        loop {
            let changed = self.changed.notified();
            match attempt() {
                Err(Refused::Later(wait)) => towpath::select! {
                    () = changed => {}
                    () = towpath::after(wait) => {}
                },
                done => return done,
            }
        }
    }
}

/// Counted until dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
