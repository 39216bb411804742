//! What a server counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;

/// How a server stands, and what it has done since it was made. Each number is right; numbers that change together may be seen one
/// after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Connections that are open.
    pub connections: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// Connections that were closed for a head that did not come to its end.
    pub heads_late: u64,
    /// Connections that were closed since the client took nothing of its answer.
    pub stuck: u64,
    /// HTTP/2 connections that were closed for giving up too many streams.
    pub resets: u64,
    /// Requests whose head was read.
    pub requests: u64,
    /// Requests whose handler panicked.
    pub panics: u64,
    /// Answers by class: 1xx to 5xx.
    pub answers: [u64; 5],
}

/// What a server counts as it goes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) connections: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) handshakes_failed: AtomicU64,
    pub(super) heads_late: AtomicU64,
    pub(super) stuck: AtomicU64,
    pub(super) resets: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) panics: AtomicU64,
    answers: [AtomicU64; 5],
}

impl Counts {
    /// Nothing is ordered by them.
    pub(super) fn one(count: &AtomicU64) {
        count.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, status: StatusCode) {
        if let Some(count) = usize::from(status.as_u16() / 100)
            .checked_sub(1)
            .and_then(|class| self.answers.get(class))
        {
            Self::one(count);
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let get = |count: &AtomicU64| count.load(Relaxed);
        Snapshot {
            connections: get(&self.connections),
            accepted: get(&self.accepted),
            handshakes_failed: get(&self.handshakes_failed),
            heads_late: get(&self.heads_late),
            stuck: get(&self.stuck),
            resets: get(&self.resets),
            requests: get(&self.requests),
            panics: get(&self.panics),
            answers: std::array::from_fn(|class| get(&self.answers[class])),
        }
    }
}
