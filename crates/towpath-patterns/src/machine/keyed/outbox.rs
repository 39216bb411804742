//! Decisions that were told and not yet confirmed.
//!
//! ```text
//!   decided ─▶ durable ─▶ told ─▶ has its effect ─▶ confirmed ─▶ confirmation durable
//!                         └──────── told again after a crash ────────┘
//! ```
//!
//! What always holds: what is kept is what was decided and not confirmed, in order, and no more than a known number; when it is full the
//! mailbox rests until somebody confirms. A confirmation never waits and is never lost: it is a number that only grows.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use towpath::{Receiver, Sender, bounded};
use towpath_journal::Lsn;

use crate::machine::StateId;

/// Confirmations say "look at the number"; one such word is enough for all.
const BELL_CAPACITY: usize = 1;

/// How a consumer says that decisions have had their effect. Clones serve the same process.
#[derive(Clone, Debug)]
pub struct Outbox {
    confirmed: Arc<AtomicU64>,
    bell: Sender<()>,
}

impl Outbox {
    /// Everything told with this [`Output::lsn`](super::Output::lsn) or a lower one has had its effect. It is not told again after
    /// the process has written this down, which it does with its next batch and when it ends well.
    ///
    /// Never waits. A number that is lower than an earlier one, or that was never told, changes nothing worse than what it says.
    pub fn confirm(&self, lsn: Lsn) {
        // Release: pairs with the Acquire in `Waiting::sweep`; whoever sees the number sees what came before it.
        self.confirmed.fetch_max(lsn.0, Ordering::Release);
        // Full: somebody has rung already. Closed: nobody is left to hear.
        let _ = self.bell.try_send(());
    }
}

/// One decided event that waits for its confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending<K, D> {
    pub(super) lsn: Lsn,
    pub(super) key: K,
    pub(super) id: Option<u64>,
    pub(super) from: StateId,
    pub(super) to: StateId,
    pub(super) decisions: Vec<D>,
}

/// The process's side.
#[derive(Debug)]
pub(super) struct Waiting<K, D> {
    confirmed: Arc<AtomicU64>,
    pub(super) bell: Receiver<()>,
    pub(super) pending: VecDeque<Pending<K, D>>,
    /// The confirmation that is in the journal, or on its way there.
    pub(super) written: Lsn,
}

impl<K, D> Waiting<K, D> {
    pub(super) fn new() -> (Self, Outbox) {
        let (bell_tx, bell) = bounded(BELL_CAPACITY);
        let confirmed = Arc::new(AtomicU64::new(0));
        let outbox = Outbox { confirmed: confirmed.clone(), bell: bell_tx };
        (Self { confirmed, bell, pending: VecDeque::new(), written: Lsn::ZERO }, outbox)
    }

    /// Lets go of what is confirmed, and leaves it to [`sweep`](Self::sweep) to have that written down.
    pub(super) fn release(&mut self) {
        let confirmed = Lsn(self.confirmed.load(Ordering::Acquire));
        self.drop_until(confirmed);
    }

    /// Lets go of what is confirmed. The number, if it has grown since it was last written.
    pub(super) fn sweep(&mut self) -> Option<Lsn> {
        let confirmed = Lsn(self.confirmed.load(Ordering::Acquire));
        if confirmed <= self.written {
            return None;
        }
        self.let_go(confirmed);
        Some(confirmed)
    }

    /// Lets go of everything up to a number, and remembers it as written.
    pub(super) fn let_go(&mut self, confirmed: Lsn) {
        self.written = self.written.max(confirmed);
        self.drop_until(confirmed);
    }

    fn drop_until(&mut self, confirmed: Lsn) {
        while self.pending.front().is_some_and(|pending| pending.lsn <= confirmed) {
            self.pending.pop_front();
        }
    }
}
