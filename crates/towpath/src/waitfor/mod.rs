//! Who waits for whom, and who will wait for ever.
//!
//! What always holds: data goes in, a report comes out. Nothing here reads a clock, wakes anybody or changes
//! anything, so the same snapshot always gives the same report.
//!
//! A process is *stuck* when nothing that can still happen brings it on. Its wait may have several arms, as in a
//! `select`, and one that can be served is enough; so to be stuck, every arm has to be dead, and an arm is dead when
//! everybody who could serve it is stuck too.
//!
//! ```
//! use std::time::Duration;
//! use towpath::waitfor::{Arm, Channel, Ends, Grade, Location, Options, Snapshot, State};
//!
//! let (dispatcher, journal) = (1, 2);
//! let (paid, acks) = (10, 11);
//! let mut world = Snapshot::new();
//! world.process(dispatcher, "dispatcher", State::Parked);
//! world.process(journal, "journal", State::Parked);
//! let (senders, receivers) = (Ends::declared([dispatcher]), Ends::declared([journal]));
//! world.resource(paid, "paid", Channel::empty(Some(0), senders, receivers));
//! let (senders, receivers) = (Ends::declared([journal]), Ends::declared([dispatcher]));
//! world.resource(acks, "acks", Channel::full(8, senders, receivers));
//! let at = |line| Location::new("src/rides.rs", line, 9);
//! world.wait(dispatcher, Duration::from_millis(3200), at(10), [Arm::Send(paid.into())]);
//! world.wait(journal, Duration::from_millis(3100), at(52), [Arm::Send(acks.into())]);
//!
//! let report = world.analyse(&Options::new());
//! assert_eq!(report.grade(journal), Some(Grade::Proven));
//! assert_eq!(report.to_string(), "\
//! 2 of 2 processes are stuck: 2 PROVEN
//! PROVEN: dispatcher and journal wait for each other
//!   dispatcher waits to send on `paid` (capacity 0) at src/rides.rs:10:9 for 3.2 s; only journal can receive
//!   journal waits to send on `acks` (full, capacity 8) at src/rides.rs:52:9 for 3.1 s; only dispatcher can receive
//! ");
//! ```
//!
//! # What counts as alive
//!
//! - Who runs, waits for a timer or for the world outside.
//! - Who waits for what is there already: a message, room, a lock that is free, a channel whose other side is gone (the wait
//!   ends with an error then, but it ends).
//! - Who waits for something that a living process could bring: whoever holds a sending end could send, or drop it. Of a lock and of a
//!   group all holders have to live, since each of them has to let go.
//! - And nobody else. Life is only what follows from these; that two processes could bring each other on, if only one of them moved, does
//!   not make them live. Nor does a process live by what it could send to itself.
//!
//! Two that wait at both sides of one rendezvous could go on at once. That is no deadlock but a [`LostWakeup`], and
//! is reported as one.
//!
//! # What the grades mean
//!
//! The program is seen through what is known of who holds which end, and that is not always all.
//!
//! | grade | rests on | wrong when |
//! |---|---|---|
//! | [`Proven`](Grade::Proven) | ends that cannot leave their process: ports of a network, guards on a stack | the snapshot is wrong |
//! | [`Likely`](Grade::Likely) | also ends that are held by whoever used them last | such an end was passed on, and not used since |
//! | [`Suspect`](Grade::Suspect) | nobody known can help, and the wait is older than a limit of yours | somebody unknown helps after all |
//!
//! An end that nobody is known to hold is held by somebody unknown, and somebody unknown counts as alive. So is a
//! process that is not in the snapshot, and whatever a foreign future waits for. That is why the first two grades
//! raise no false alarm by ignorance: to leave out a process or a holder makes others live, never stuck. (The number
//! of ends has to be right: a notification without notifiers is never given.) What a grade says of
//! one process it says of all those that process depends on: the weakest link counts.
//!
//! Nobody who did something a moment ago is a suspect, and neither is who waits for such a process: a limit of a
//! minute and a source that speaks every ten seconds make no suspects downstream.
//!
//! What is not found: a live process that could send and never will. Only the program knows.
//!
//! # A snapshot need not be taken at one instant
//!
//! To stop a program in order to look at it would be too dear, so a snapshot is collected bit by bit. Let every
//! listed wait have lasted through the whole collecting (who moved meanwhile is listed as running), and let S be
//! those whom the report calls stuck with declared ends only. Nobody in S has moved, so no end that S held has moved,
//! and no message has left S. When a channel was looked at, all the ends that matter were held in S; nobody else
//! could get one later, for only a holder can give one away. So nothing has come or will come, and S is stuck now.
//!
//! # Cost
//!
//! Linear in processes, resources, arms and holders: for 100,000 processes 3 to 50 ms on one core that is not shared,
//! by how tangled they are (`waitfor/scan` in the bench). 100,000 workers that wait on one channel are 100,000 edges
//! to one node.

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
/// The default reports what is certain from a single snapshot: neither suspicions nor lost wake-ups, which both rest
/// on how long something has lasted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Options {
    /// A process that only somebody unknown could bring on is reported as [`Grade::Suspect`] when it has been waiting
    /// for this long.
    pub suspect_after: Option<Duration>,
    /// A wake-up counts as lost when a wait that could be over has gone on for this long. Zero in a world that has come
    /// to rest; in a running one, longer than any wake-up takes.
    pub lost_after: Option<Duration>,
    /// The snapshot lists every process there is, as in a simulation. Then an unknown holder is one of them: if all
    /// processes listed are parked for good, so is every unknown holder.
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
