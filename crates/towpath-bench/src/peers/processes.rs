//! Ours: contexts, and processes in a scope.

use std::time::Duration;

use towpath::Ctx;

use crate::cells::{Cell, Wait};
use crate::workloads::context::Tree;
use crate::workloads::{Job, Outcome, idle, spawn};

impl Tree for Ctx {
    fn root() -> (Self, impl FnOnce() + Send + 'static) {
        let (ctx, canceller) = Ctx::root().with_cancel();
        (ctx, move || {
            canceller.cancel("measured");
        })
    }

    fn child(&self) -> Self {
        Ctx::child(self)
    }

    fn with_timeout(&self, timeout: Duration) -> Option<Self> {
        Some(Ctx::with_timeout(self, timeout))
    }

    fn has_ended(&self) -> bool {
        self.is_done()
    }

    async fn ended(&self) {
        self.done().await;
    }
}

/// Spawn and join through a scope, and what a process parked in one costs.
pub(crate) fn scope(job: Job) -> Outcome {
    match job.cell {
        Cell::Spawn { .. } => spawn::towpath_scope(job.ops),
        Cell::Idle { wait: Wait::Pending, .. } => idle::towpath_scope(job.ops),
        _ => Outcome::Unsupported,
    }
}
