//! Who wins when several could pair: the claim word of a `Core`.
//!
//! ```text
//!            begin                 commit
//!   OPEN ─────────────► BUSY ─────────────► COMMITTED + arm
//!     ▲                   │                      ▲
//!     └───── rollback ────┘                      │
//!     └────────────── claimed by another ────────┘
//! ```
//!
//! A select that stands in some lines can be claimed by whoever comes along one of them; while it tries an arm itself
//! it is `BUSY`, so that both never succeed. Whoever meets a `BUSY` select waits until that try ends (a few
//! instructions). When two selects try each other at once, the one at the higher address steps back and lets the
//! other claim it: waiting goes from low to high addresses only, so it cannot go round in a circle.
//!
//! A single operation stands in one line only and needs none of this: it is `PLAIN`, and the line's lock decides.

use super::{backoff::Backoff, line::Node, wait::Core};
use crate::sync::Ordering;

/// One operation, one line.
pub(crate) const PLAIN: u32 = 0;
/// A member of a `SelectSet`: never claimed, only told to look.
pub(crate) const SET_MEMBER: u32 = 1;
/// A select nobody has won yet.
pub(crate) const OPEN: u32 = 2;
/// A select that is trying one of its own arms.
const BUSY: u32 = 3;
/// This plus the number of the arm that won.
const COMMITTED: u32 = 4;

/// The operation that is running now, as the party that may win something.
pub(crate) struct Me<'a> {
    pub(crate) core: &'a Core,
    pub(crate) arm: u32,
    /// Of so many.
    pub(crate) arms: u32,
    /// Others can already see it in some line.
    pub(crate) exposed: bool,
    /// It is a thread whose value may be taken while it waits.
    pub(crate) takeable: bool,
    /// Its waker is in place, so that it may stand in line.
    pub(crate) may_wait: bool,
}

/// How a claim ended.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    Won,
    /// The other one has been won by somebody else, or has gone.
    Lost,
    /// It is another arm of our own select.
    Own,
    /// Somebody has won *us* meanwhile: stop trying.
    Interrupted,
}

impl Me<'_> {
    /// Starts a try. False: somebody has already won us.
    #[inline]
    #[must_use]
    pub(super) fn begin(&self) -> bool {
        !self.exposed || self.begin_exposed()
    }

    fn begin_exposed(&self) -> bool {
        self.core.claim.compare_exchange(OPEN, BUSY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Ends a try that succeeded: from here nobody can win us.
    #[inline]
    pub(super) fn commit(&self) {
        if self.exposed {
            self.core.claim.store(COMMITTED + self.arm, Ordering::Release);
        }
    }

    /// Ends a try that found nothing.
    #[inline]
    pub(super) fn rollback(&self) {
        if self.exposed {
            self.core.claim.store(mutant!(claim_not_rolled_back, OPEN, BUSY), Ordering::Release);
        }
    }

    /// Commits without trying a channel: for arms that are ready by themselves.
    pub(crate) fn commit_ready(&self) -> bool {
        if !self.begin() {
            return false;
        }
        self.commit();
        true
    }

    /// Tries to win the owner of `node`, a waiting node in a line whose lock the caller holds, between `begin` and
    /// `commit`.
    ///
    /// # Safety
    /// `node` stands in a line whose lock the caller holds.
    #[inline]
    pub(super) unsafe fn claim(&self, node: &Node) -> Claim {
        // SAFETY: the caller's promise.
        unsafe {
            if std::ptr::eq(node.core_ptr(), self.core) {
                return Claim::Own;
            }
            claim(node, Some(self))
        }
    }
}

/// Tries to win the owner of `node` on behalf of nobody who could be won meanwhile.
///
/// # Safety
/// `node` stands in a line whose lock the caller holds.
pub(super) unsafe fn claim_parked(node: &Node) -> Claim {
    // SAFETY: the caller's promise.
    unsafe { claim(node, None) }
}

/// # Safety
/// `node` stands in a line whose lock the caller holds.
#[inline]
unsafe fn claim(node: &Node, me: Option<&Me<'_>>) -> Claim {
    // SAFETY: the caller's promise.
    let (core, arm) = unsafe { (node.core(), node.arm()) };
    if core.claim.load(Ordering::Relaxed) == PLAIN {
        return Claim::Won;
    }
    let mut backoff = Backoff::new();
    loop {
        match core.claim.compare_exchange(
            OPEN,
            COMMITTED + arm,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => return Claim::Won,
            Err(BUSY) => match me {
                Some(me) if me.exposed && me.core.rank() > core.rank() => {
                    me.rollback();
                    backoff.wait_for_other();
                    if !me.begin() {
                        return Claim::Interrupted;
                    }
                }
                _ => backoff.wait_for_other(),
            },
            Err(_) => return mutant!(claim_wins_twice, Claim::Lost, Claim::Won),
        }
    }
}

impl Core {
    /// The arm that another party has won for us, if any.
    #[inline]
    pub(crate) fn won_arm(&self) -> Option<u32> {
        self.claim.load(Ordering::Acquire).checked_sub(COMMITTED)
    }
}
