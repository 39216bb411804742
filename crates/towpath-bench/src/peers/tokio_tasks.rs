//! tokio without channels: spawn and join, what a parked task costs, and its locks.

use crate::cells::{Cell, Wait};
use crate::workloads::{Job, Outcome, idle, spawn};

pub(crate) fn handles(job: Job) -> Outcome {
    match job.cell {
        Cell::Spawn { .. } => spawn::tokio_handles(job.ops),
        Cell::Lock { .. } => super::tokio_sync::locks(job),
        Cell::Idle { wait: Wait::Pending, .. } => idle::tokio_pending(job.ops),
        _ => Outcome::Unsupported,
    }
}

pub(crate) fn joinset(job: Job) -> Outcome {
    match job.cell {
        Cell::Spawn { .. } => spawn::tokio_joinset(job.ops),
        _ => Outcome::Unsupported,
    }
}
