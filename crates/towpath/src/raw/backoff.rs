//! How long to look before parking: `Backoff` for threads, `Patience` for tasks, `Linger` for streams.

use std::cell::Cell;

use crate::rt::sim;
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

    /// Whether no round has passed yet.
    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        self.step == 0
    }

    /// One round of waiting; false when it is time to park.
    #[cfg(not(towpath_loom))]
    #[inline]
    pub(crate) fn spin_or_yield(&mut self) -> bool {
        if sim::is_active() {
            // Alone on its thread, nobody comes meanwhile.
            return false;
        }
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
        if sim::give_way() {
            return;
        }
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
        if cfg!(towpath_loom) || sim::is_active() {
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

/// Whether it pays, when the queue has run dry (or full), to keep away from it for a moment: then a batch gathers, and
/// the two sides do not fight for its cache lines at every message. It does in a stream between two cores, where it
/// halves the cost of a message; it would only delay a conversation. Learnt from how much was there afterwards.
pub(crate) struct Linger {
    /// `STREAM`, or the waits since the last probe.
    state: AtomicU32,
}

/// About a microsecond: some dozens of messages.
const LINGER_PAUSES: u32 = 64;
/// So much must have gathered; a smaller queue has no use for this.
const GOOD_BATCH: usize = 8;
const STREAM: u32 = u32::MAX;
/// While it does not pay, this many waits until the next probe.
const PROBE_LINGER_EVERY: u32 = 128;

/// What a linger that brought so much has taught.
fn judge(batch: usize) -> u32 {
    if batch >= GOOD_BATCH { STREAM } else { 0 }
}

fn keep_away() {
    for _ in 0..LINGER_PAUSES {
        spin_loop();
    }
}

impl Linger {
    pub(crate) fn new() -> Self {
        // A stream finds out at its second wait.
        Self { state: AtomicU32::new(PROBE_LINGER_EVERY - 1) }
    }

    /// Call when there is nothing to do; `batch` counts what could be done now. True: something can.
    #[inline]
    pub(crate) fn gather(&self, batch: impl FnOnce() -> usize) -> bool {
        if cfg!(towpath_loom) || sim::is_active() {
            return false;
        }
        let state = self.state.load(Ordering::Relaxed);
        if state < PROBE_LINGER_EVERY {
            // Lost updates among several waiters do no harm.
            self.state.store(state + 1, Ordering::Relaxed);
            return false;
        }
        keep_away();
        let batch = batch();
        self.state.store(judge(batch), Ordering::Relaxed);
        batch > 0
    }
}

/// As `Linger`, for the selects of one thread, whose arms change: what has gathered is how many selects then find
/// something at once.
pub(crate) struct SelectLinger {
    state: Cell<u32>,
    /// Selects that found something at once since the last that did not.
    found: Cell<usize>,
    lingered: Cell<bool>,
}

impl SelectLinger {
    pub(crate) const fn new() -> Self {
        Self {
            state: Cell::new(PROBE_LINGER_EVERY - 1),
            found: Cell::new(0),
            lingered: Cell::new(false),
        }
    }

    /// A select has found something at once.
    #[inline]
    pub(crate) fn found(&self) {
        self.found.set(self.found.get().saturating_add(1));
    }

    /// Call when a select finds nothing. True: it has lingered, so it should look again.
    pub(crate) fn gather(&self) -> bool {
        if cfg!(towpath_loom) || sim::is_active() {
            return false;
        }
        let found = self.found.take();
        if self.lingered.take() {
            self.state.set(judge(found));
        }
        let state = self.state.get();
        if state < PROBE_LINGER_EVERY {
            self.state.set(state + 1);
            return false;
        }
        keep_away();
        self.lingered.set(true);
        true
    }
}
