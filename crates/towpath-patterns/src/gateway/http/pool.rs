//! Connections to upstreams that are at rest, for the next request.
//!
//! Why the newest first: it is the least likely to be closed by its upstream soon, and the oldest come out at the other end.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use towpath::rt;

use super::{hosts::Pick, upstream::Link};

/// Connections at rest, by host.
pub(super) struct Pool {
    hosts: Vec<Mutex<VecDeque<Rest>>>,
    /// At rest at once, for each host.
    rest_max: usize,
    /// How long one may rest.
    rest_time: Duration,
}

struct Rest {
    link: Link,
    since: Instant,
}

impl Pool {
    pub(super) fn new(hosts: usize, rest_max: usize, rest_time: Duration) -> Self {
        Self { hosts: (0..hosts).map(|_| Mutex::default()).collect(), rest_max, rest_time }
    }

    /// One that can take a request now, and how long it has been at rest.
    pub(super) fn take(&self, host: usize) -> Option<Link> {
        loop {
            let Rest { mut link, .. } = self.rests(host).pop_back()?;
            if link.is_ready() {
                return Some(link);
            }
        }
    }

    fn put(&self, host: usize, link: Link) {
        let now = rt::now();
        let mut rests = self.rests(host);
        let stale =
            rests.front().filter(|it| now.saturating_duration_since(it.since) > self.rest_time);
        let gone =
            if stale.is_some() || rests.len() >= self.rest_max { rests.pop_front() } else { None };
        rests.push_back(Rest { link, since: now });
        drop(rests);
        // Closed outside of the lock.
        drop(gone);
    }

    /// Closes what has rested too long or was closed by its upstream.
    pub(super) fn sweep(&self) {
        let now = rt::now();
        for host in 0..self.hosts.len() {
            let rests = std::mem::take(&mut *self.rests(host));
            let mut kept: VecDeque<_> = rests
                .into_iter()
                .filter(|it| now.saturating_duration_since(it.since) <= self.rest_time)
                .filter_map(|mut it| it.link.is_ready().then_some(it))
                .collect();
            let mut rests = self.rests(host);
            // What came back meanwhile is newer.
            kept.append(&mut rests);
            *rests = kept;
        }
    }

    /// How many are at rest.
    pub(super) fn len(&self) -> usize {
        (0..self.hosts.len()).map(|host| self.rests(host).len()).sum()
    }

    fn rests(&self, host: usize) -> MutexGuard<'_, VecDeque<Rest>> {
        // Nothing panics under it.
        self.hosts[host].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("at_rest", &self.len()).finish_non_exhaustive()
    }
}

/// Where a connection belongs, and whose request it serves.
pub(super) struct Home {
    pub(super) pool: Arc<Pool>,
    pub(super) pick: Pick,
}

impl Home {
    /// The answer is complete, and the connection there for the next one, if it can be.
    pub(super) fn welcome(self, mut link: Link) {
        self.pick.succeeded();
        if link.is_ready() {
            self.pool.put(self.pick.host(), link);
        }
    }

    /// The upstream failed.
    pub(super) fn blame(self) {
        self.pick.failed();
    }
}
