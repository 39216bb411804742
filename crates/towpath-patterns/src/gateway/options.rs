//! What a gateway is started with.

use std::time::Duration;

/// Calls that may wait for a worker, unless [`Options::queue`] says otherwise.
///
/// A queue is there for bursts, and these are as many as a burst of some milliseconds brings; a longer one only makes everybody wait.
const QUEUE_CAPACITY: usize = 256;

/// How long calls may still be worked on once the gateway stops: about what a person waits, and less than orchestrators give (30 s).
const DRAIN: Duration = Duration::from_secs(10);

/// How a gateway works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Calls that are worked on at once, at most: so many tasks are started. At least 1.
    pub workers: usize,
    /// Calls that may wait for a worker. With 0, a call for which there is none is refused.
    pub queue: usize,
    /// How long a call may take from when it is made, if its context does not say less.
    pub timeout: Option<Duration>,
    /// How long calls in hand and in the queue may still take when the scope's context has ended; then they are cut off.
    pub drain: Duration,
}

impl Options {
    /// With so many workers; a queue of 256, no timeout, and ten seconds to drain.
    pub fn new(workers: usize) -> Self {
        Self { workers, queue: QUEUE_CAPACITY, timeout: None, drain: DRAIN }
    }

    /// With another number of calls that may wait.
    #[must_use]
    pub fn with_queue(self, queue: usize) -> Self {
        Self { queue, ..self }
    }

    /// With a time that a call may take, from when it is made.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// With another time for calls to end when the gateway stops.
    #[must_use]
    pub fn with_drain(self, drain: Duration) -> Self {
        Self { drain, ..self }
    }
}
