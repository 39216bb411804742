//! A budget of retries that many callers share, so that an outage is not multiplied by those who try again.
//!
//! What always holds, whatever the callers do: `retries <= reserve + share * calls`.
//!
//! Why shared: with five attempts each, callers together do five times the work exactly when there is least room for it. The
//! budget lets single failures be retried and an outage not: each call pays in a share, each retry takes one out.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// One retry, in the units of the account: a share of 0.2 has to be a whole number.
const ONE: u64 = 1_000;

/// How many retries a group of callers may make. Cloning copies a pointer: clones are one budget.
///
/// ```
/// use towpath_patterns::fault::Budget;
///
/// let budget = Budget::new(0.5, 1); // one to begin with, then one for every second call
/// assert!(budget.take());
/// assert!(!budget.take());
/// budget.called();
/// assert!(!budget.take());
/// budget.called();
/// assert!(budget.take());
/// ```
#[derive(Clone)]
pub struct Budget {
    shared: Arc<Account>,
}

struct Account {
    share: u64,
    most: u64,
    units: AtomicU64,
}

impl Budget {
    /// A retry for each `1 / share` calls (a share of 0.2: one for five), and `reserve` retries to begin with. Never more than
    /// `reserve` are kept, or one if that is more: calm hours do not pay for a storm.
    ///
    /// A share below 0 counts as 0, above 1,000 as 1,000.
    pub fn new(share: f64, reserve: u32) -> Self {
        let units = u64::from(reserve) * ONE;
        let share = (share.clamp(0.0, 1_000.0) * ONE as f64).round() as u64;
        let account = Account { share, most: units.max(ONE), units: AtomicU64::new(units) };
        Self { shared: Arc::new(account) }
    }

    /// A call is made for the first time: pays in.
    pub fn called(&self) {
        let Account { share, most, units } = &*self.shared;
        // Relaxed: only the sum matters, nothing else is read because of it.
        let add = |units: u64| Some((units + share).min(*most));
        units.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok();
    }

    /// Takes out one retry. False: there is none, so the failure stands.
    pub fn take(&self) -> bool {
        let take = |units: u64| units.checked_sub(ONE);
        self.shared.units.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Whether these are clones of one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whole retries left.
    pub fn left(&self) -> u64 {
        self.shared.units.load(Ordering::Relaxed) / ONE
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("left", &self.left()).finish_non_exhaustive()
    }
}
