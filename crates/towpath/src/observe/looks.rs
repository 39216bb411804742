//! The looks that observers have taken, and when: the clock of those who wait.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use crate::rt;

/// Looks so far.
static COUNT: AtomicU32 = AtomicU32::new(0);
static TIMES: Mutex<Times> = Mutex::new(Times { first: 0, at: Vec::new() });

/// When the looks were taken.
struct Times {
    /// The number of the look at the front of `at`.
    first: u32,
    at: Vec<Instant>,
}

/// Times kept; what is older than the oldest counts as old as that.
const KEPT: usize = 4096;

/// The number of the next look, noted by whoever begins to wait.
#[inline]
pub(crate) fn look() -> u32 {
    // Relaxed: a wait that is noted one look early or late is a look older or younger.
    COUNT.load(Ordering::Relaxed)
}

/// Takes a look now, and says which one it is.
pub(super) fn take() -> u32 {
    let now = rt::now();
    let mut times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    if times.at.len() == KEPT {
        times.at.drain(..KEPT / 2);
        times.first = times.first.wrapping_add(KEPT as u32 / 2);
    }
    times.at.push(now);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// How long ago the look `since` was: the first that could have seen a wait which noted this number.
pub(super) fn age(since: u32) -> Duration {
    let times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let behind = since.wrapping_sub(times.first) as i32;
    let at = times.at.get(behind.max(0) as usize);
    at.map_or(Duration::ZERO, |at| rt::now().saturating_duration_since(*at))
}
