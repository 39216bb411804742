//! What a saga does, as data: its steps, in order, and what each tolerates. Knows no channel.
//!
//! What always holds: two plans with the same [`shape`](Plan::shape) have the same steps in the same order, so that what a
//! journal says about step 3 means the same step in both. Timeouts and retries may differ: they are not in the shape, and may
//! be changed without a new version.

use std::sync::Arc;
use std::time::Duration;

/// Milliseconds since 1970, by the coordinator's clock: the machine's time of day when it was started, going on
/// steadily from there. In the journal, so that timers outlive the process.
pub type Millis = u64;

/// How often, and with which pauses, what may succeed later is tried again. The pause before try number n+1 is random
/// between zero and `base * factor^(n-1)`, or `max` if that is less: so those that failed together do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause after the first failure.
    pub base: Duration,
    /// By how much it grows with each.
    pub factor: u32,
    /// The longest pause of all.
    pub max: Duration,
    /// Tries after which it is given up: a step turns the saga back, a compensation makes it a dead letter. At least 1.
    pub attempts: u32,
}

impl Backoff {
    /// 100 ms, doubling up to half a minute, 8 tries: about a minute in all.
    pub const DEFAULT: Self = Self {
        base: Duration::from_millis(100),
        factor: 2,
        max: Duration::from_secs(30),
        attempts: 8,
    };

    /// The same with so many tries.
    #[must_use]
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The pause after failure number `failures`, which begins at 1; `chance` is any number.
    pub fn pause(&self, failures: u32, chance: u64) -> Duration {
        let grown = self.factor.saturating_pow(failures.saturating_sub(1));
        let most = millis(self.base.saturating_mul(grown).min(self.max));
        // The fraction of 2^64 that `chance` is; both factors fit, as the product is taken in 128 bits.
        Duration::from_millis(((u128::from(chance) * (u128::from(most) + 1)) >> 64) as u64)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What one call tolerates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long an answer may take before the call is in doubt and made again.
    pub timeout: Duration,
    /// How often it is made.
    pub backoff: Backoff,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, unlike that of every other step of the plan.
    pub name: Arc<str>,
    /// What it is.
    pub kind: Kind,
}

/// What a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call, and perhaps one that takes it back.
    Call {
        /// What the call tolerates.
        patience: Patience,
        /// The compensation's name and patience; `None` when there is nothing to take back.
        undo: Option<(Arc<str>, Patience)>,
        /// Once it is done there is no way back: what follows is tried until it succeeds.
        pivot: bool,
    },
    /// A time that passes.
    Sleep(Duration),
    /// A signal of the step's name, which must come within this time if there is one.
    Signal(Option<Duration>),
}

/// The steps of one version of a saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The saga's name.
    pub name: Arc<str>,
    /// Which version of it.
    pub version: u32,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Deaths of a process with one call in hand after which the saga is put into quarantine; at least 1.
    pub deaths: u32,
}

impl Plan {
    /// A number that differs when steps were added, removed, renamed, put in another order or made something else. Written
    /// into each saga at its start and compared when it goes on: a plan that changed without a new version is noticed.
    pub fn shape(&self) -> u64 {
        let mut hash = Fnv::new();
        for step in &self.steps {
            hash.text(&step.name);
            match &step.kind {
                Kind::Call { undo, pivot, .. } => {
                    hash.byte(if *pivot { 2 } else { 1 });
                    match undo {
                        Some((name, _)) => hash.text(name),
                        None => hash.byte(0xff),
                    }
                }
                Kind::Sleep(_) => hash.byte(3),
                Kind::Signal(_) => hash.byte(4),
            }
        }
        hash.0
    }

    /// Whether a step before this one is the point of no return.
    pub fn past_pivot(&self, step: usize) -> bool {
        self.steps[..step.min(self.steps.len())].iter().any(Step::is_pivot)
    }

    /// What a call of this step, or its compensation, tolerates.
    pub(crate) fn patience(&self, step: u16, undo: bool) -> Option<&Patience> {
        match &self.steps.get(usize::from(step))?.kind {
            Kind::Call { patience, .. } if !undo => Some(patience),
            Kind::Call { undo: Some((_, patience)), .. } => Some(patience),
            _ => None,
        }
    }
}

impl Step {
    pub(crate) fn is_pivot(&self) -> bool {
        matches!(self.kind, Kind::Call { pivot: true, .. })
    }

    pub(crate) fn has_undo(&self) -> bool {
        matches!(self.kind, Kind::Call { undo: Some(_), .. })
    }
}

/// A duration in milliseconds; of one that has too many, a time that does not come.
pub(crate) fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// FNV-1a, 64 bits: the same everywhere and for ever, which std's hasher does not promise.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
        // A byte that no UTF-8 text has, so that "ab" and "c" are not "a" and "bc".
        self.byte(0xfe);
    }
}
