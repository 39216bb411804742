//! Who waits for whom, and who will wait for ever.
//!
//! TODO
mod draw;
mod graph;
mod ids;
mod live;
mod report;
mod sets;
mod snapshot;
mod words;

use std::time::Duration;

pub use report::{LostWakeup, Report, StuckSet, Why};
pub use snapshot::{
    Arm, Channel, Ends, Holder, Kind, Known, Location, Process, ProcessId, Resource, ResourceId,
    Snapshot, State, Wait,
};

/// How sure it is that a process is stuck. Greater is surer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Grade {
    /// Only somebody unknown could help, and the process and all it waits for have been waiting for long.
    Suspect = live::SUSPECT as isize,
    /// Nobody can help, provided that ends are where they were last seen.
    Likely = live::LIKELY as isize,
    /// Nobody can help.
    Proven = live::PROVEN as isize,
}

/// What to believe, and from when on to speak up.
///
/// The default reports what is certain from a single snapshot: neither suspicions nor lost wake-ups, which both rest on how long something
/// has lasted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Options {
    /// A process that only somebody unknown could bring on is reported as [`Grade::Suspect`] when it has been waiting
    /// for this long.
    pub suspect_after: Option<Duration>,
    /// A wake-up counts as lost when a wait that could be over has gone on for this long. Zero in a world that has come
    /// to rest; in a running one, longer than any wake-up takes.
    pub lost_after: Option<Duration>,
    /// The snapshot lists every process there is, as in a simulation. Then an unknown holder is one of them: if all processes
    /// listed are parked for good, so is every unknown holder.
    pub closed: bool,
}

impl Options {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a world that is known as a whole and has come to rest: a simulation in which nothing is left to run.
    pub fn closed_world() -> Self {
        Self { suspect_after: None, lost_after: Some(Duration::ZERO), closed: true }
    }

    /// Reports suspicions after this time.
    #[must_use]
    pub fn suspect_after(self, age: Duration) -> Self {
        Self { suspect_after: Some(age), ..self }
    }

    /// Reports lost wake-ups after this time.
    #[must_use]
    pub fn lost_after(self, age: Duration) -> Self {
        Self { lost_after: Some(age), ..self }
    }
}

impl Snapshot {
    /// Finds out who is stuck.
    ///
    /// Takes time linear in processes, resources, arms and holders: for 100,000 processes some tens of milliseconds.
    ///
    /// # Panics
    /// With 2^31 processes and resources or more.
    pub fn analyse(self, options: &Options) -> Report {
        Report::of(self, options)
    }
}
