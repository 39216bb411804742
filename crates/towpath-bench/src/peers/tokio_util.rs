//! tokio-util: `CancellationToken` beside our contexts, `TaskTracker` beside our scopes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cells::Cell;
use crate::workloads::context::{self, Tree};
use crate::workloads::{Job, Outcome, spawn};

impl Tree for CancellationToken {
    fn root() -> (Self, impl FnOnce() + Send + 'static) {
        let token = CancellationToken::new();
        let end = token.clone();
        (token, move || end.cancel())
    }

    fn child(&self) -> Self {
        self.child_token()
    }

    fn with_timeout(&self, _: Duration) -> Option<Self> {
        None
    }

    fn has_ended(&self) -> bool {
        self.is_cancelled()
    }

    async fn ended(&self) {
        self.cancelled().await;
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    match job.cell {
        Cell::Spawn { .. } => spawn::tokio_tracker(job.ops),
        _ => context::sample::<CancellationToken>(job),
    }
}
