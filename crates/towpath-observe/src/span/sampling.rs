//! Which traces are recorded.
//!
//! What always holds: the answer for a trace depends on its id and the ratio alone, and a greater ratio records all that a smaller one
//! does. So services with ratios of their own keep traces whole as far as they can.

use towpath::rt;

use crate::trace::TraceContext;

/// The part of an id that is by chance: its last seven bytes.
const CHANCE: u64 = (1 << 56) - 1;

/// What is recorded.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampling {
    /// Ids whose last seven bytes are below this.
    below: u64,
    heeds_callers: bool,
}

impl Sampling {
    /// Nothing that begins here; what a caller has sampled is recorded.
    pub const NONE: Self = Self { below: 0, heeds_callers: true };

    /// This part of the traces that begin here, from 0 to 1, and those that a caller has sampled. What is less than 0 or no number counts as
    /// 0, what is more than 1 as 1.
    pub fn ratio(ratio: f64) -> Self {
        let below = (ratio.clamp(0.0, 1.0) * (CHANCE + 1) as f64) as u64;
        Self { below, heeds_callers: true }
    }

    /// Goes by the ratio also where a caller has decided, for an edge whose callers are not to choose how much is recorded. Their traces
    /// are continued all the same.
    #[must_use]
    pub fn ignoring_callers(self) -> Self {
        Self { heeds_callers: false, ..self }
    }

    /// Draws; the end of the id of a trace that is sampled.
    #[inline]
    pub(super) fn draw(&self) -> Option<u64> {
        if self.below == 0 {
            return None;
        }
        let low = rt::random();
        (low & CHANCE < self.below).then_some(low)
    }

    /// Whether a caller's trace is recorded.
    pub(super) fn follows(&self, caller: &TraceContext) -> bool {
        if self.heeds_callers {
            return caller.flags.is_sampled();
        }
        let low =
            caller.trace.as_bytes()[9..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        low < self.below
    }
}
