//! What observers see.

use std::sync::atomic::{AtomicU32, Ordering};

/// Looks that observers have taken so far.
static LOOKS: AtomicU32 = AtomicU32::new(0);

/// The number of the next look, noted by whoever begins to wait. So a waiter needs no clock: a look that finds it knows
/// which look was the first that could have.
#[inline]
pub(crate) fn look() -> u32 {
    LOOKS.load(Ordering::Relaxed)
}
