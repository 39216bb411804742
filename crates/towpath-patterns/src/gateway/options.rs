//! What a gateway is started with.

use std::time::Duration;

use super::Adaptive;

/// Calls that may wait for a worker, unless [`Options::queue`] says otherwise.
///
/// A queue is there for bursts, and these are as many as a burst of some milliseconds brings; a longer one only makes everybody wait.
const QUEUE_CAPACITY: usize = 256;

/// How long calls may still be worked on once the gateway stops: about what a person waits, and less than orchestrators give (30 s).
const DRAIN: Duration = Duration::from_secs(10);

/// When a queue is crowded, and how long a call may wait in it then.
///
/// Of times shorter than what a call takes on average that is taken instead (for `calm`: twice that): work of a second is not in a
/// hurry after five milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// A queue that has not been empty for so long is crowded: the newest call is next.
    pub calm: Duration,
    /// Calls that have waited for longer in a crowded queue are refused.
    pub crowded: Duration,
}

impl Default for Patience {
    /// 100 ms and 5 ms: what Maurer ("Fail at Scale", ACM Queue 13:8, 2015) found to do well for all kinds of services.
    fn default() -> Self {
        Self { calm: Duration::from_millis(100), crowded: Duration::from_millis(5) }
    }
}

/// How a gateway works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Calls that are worked on at once, at most: so many tasks are started. At least 1.
    pub workers: usize,
    /// Calls that may wait for a worker. With 0, a call for which there is none is refused.
    pub queue: usize,
    /// When the queue is crowded; `None`: never, so it is first come, first served at all times, and who is let in waits.
    pub patience: Option<Patience>,
    /// The limit of calls in hand, if it is to follow what they take; `None`: as many as there are workers.
    pub adaptive: Option<Adaptive>,
    /// How long a call may take from when it is made, if its context does not say less.
    pub timeout: Option<Duration>,
    /// How long calls in hand and in the queue may still take when the scope's context has ended; then they are cut off.
    pub drain: Duration,
}

impl Options {
    /// With so many workers; a queue of 256 with the default patience, no adaptive limit, no timeout, and ten seconds to drain.
    pub fn new(workers: usize) -> Self {
        let patience = Some(Patience::default());
        Self {
            workers,
            queue: QUEUE_CAPACITY,
            patience,
            adaptive: None,
            timeout: None,
            drain: DRAIN,
        }
    }

    /// With a limit that follows what calls take: there are as many workers as it can become.
    #[must_use]
    pub fn with_adaptive(self, limit: Adaptive) -> Self {
        Self { workers: limit.max(), adaptive: Some(limit), ..self }
    }

    /// With another patience; `None`: first come, first served at all times.
    #[must_use]
    pub fn with_patience(self, patience: Option<Patience>) -> Self {
        Self { patience, ..self }
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
