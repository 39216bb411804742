//! How long to look before parking: `Backoff` for threads, `Patience` for tasks.

#[cfg(towpath_loom)]
use crate::sync::skip_branch;
use crate::sync::{AtomicU32, Ordering, spin_loop};
#[cfg(not(towpath_loom))]
use crate::{rt, sync::thread};

/// Waiting that costs more the longer it lasts: pause instructions, then yields, then whatever the caller does next.
pub(crate) struct Backoff {
    step: u32,
}

/// Pause rounds of 1, 2, 4, 8, 16 instructions, together about half a microsecond. Twice that gains nothing with two
/// idle cores, and with one core for both sides each round is time that the other side could run.
const SPIN_STEPS: u32 = 5;
/// Then this many turns for other threads before parking.
const YIELD_STEPS: u32 = 24;
/// A lock's waiter that has yielded this often sleeps between looks, so that a preempted holder of lower priority runs.
const NAP_AFTER_STEPS: u32 = 256;

impl Backoff {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { step: 0 }
    }

    /// One round of waiting; false when it is time to park.
    #[cfg(not(towpath_loom))]
    #[inline]
    pub(crate) fn spin_or_yield(&mut self) -> bool {
        if self.step < SPIN_STEPS {
            for _ in 0..1u32 << self.step {
                spin_loop();
            }
        } else if self.step < SPIN_STEPS + YIELD_STEPS {
            thread::yield_now();
        } else {
            return false;
        }
        self.step += 1;
        true
    }

    /// Under loom parking at once is the interesting case.
    #[cfg(towpath_loom)]
    pub(crate) fn spin_or_yield(&mut self) -> bool {
        false
    }

    /// One round of waiting for a thread that is in the middle of a few instructions.
    #[cfg(not(towpath_loom))]
    #[inline]
    pub(crate) fn wait_for_other(&mut self) {
        if self.step < SPIN_STEPS {
            for _ in 0..1u32 << self.step {
                spin_loop();
            }
        } else if self.step < NAP_AFTER_STEPS {
            thread::yield_now();
        } else {
            rt::nap();
            return;
        }
        self.step += 1;
    }

    /// Under loom, which yields here, more rounds show nothing new: two that wait for a third could take turns for
    /// ever.
    #[cfg(towpath_loom)]
    pub(crate) fn wait_for_other(&mut self) {
        const ROUNDS: u32 = 3;
        let _ = (SPIN_STEPS, YIELD_STEPS, NAP_AFTER_STEPS);
        self.step += 1;
        if self.step > ROUNDS {
            skip_branch();
        }
        spin_loop();
    }
}

/// Whether it pays for a task to look a little longer before it parks: it does while the other side runs on another
/// core at the same time, since waking a task there costs more than the look. Learnt from how it went before.
pub(crate) struct Patience {
    /// Low half: credit, one try each. High half: waits since the last probe.
    state: AtomicU32,
}

/// About 0.3 µs: a little more than a message takes to a task that runs on another core and back.
const LOOKS: u32 = 8;
const CREDIT_MAX: u32 = 16;
const CREDIT_MASK: u32 = 0xffff;
const ONE_WAIT: u32 = 1 << 16;
/// Without credit, this many waits until the next probe.
const PROBE_EVERY: u32 = 512;
/// Tries in a row that make up a probe: both sides must try at the same time to find out.
const PROBE: u32 = 8;

impl Patience {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(PROBE) }
    }

    /// Whether to look longer this time.
    #[inline]
    pub(crate) fn pays(&self) -> bool {
        if cfg!(towpath_loom) {
            return false;
        }
        let state = self.state.load(Ordering::Relaxed);
        if state & CREDIT_MASK > 0 {
            return true;
        }
        let probe = state >= PROBE_EVERY * ONE_WAIT;
        // Lost updates among several waiters do no harm.
        self.state.store(if probe { PROBE } else { state + ONE_WAIT }, Ordering::Relaxed);
        probe
    }

    /// Looks until `seen`, for a while.
    pub(crate) fn look(&self, mut seen: impl FnMut() -> bool) -> bool {
        let found = (0..LOOKS).any(|_| {
            spin_loop();
            seen()
        });
        let credit = self.state.load(Ordering::Relaxed) & CREDIT_MASK;
        let credit = if found { CREDIT_MAX.min(credit + 4) } else { credit.saturating_sub(1) };
        self.state.store(credit, Ordering::Relaxed);
        found
    }
}
