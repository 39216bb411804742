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

use super::{proxy::Host, upstream::Link};
use crate::gateway::upstream::Lease;

/// Connections at rest, by host.
pub(super) struct Pool {
    /// Few, and found by looking at each.
    hosts: Mutex<Vec<Rests>>,
    /// At rest at once, for each host.
    rest_max: usize,
    /// How long one may rest.
    rest_time: Duration,
}

struct Rests {
    host: Host,
    /// The oldest first.
    links: VecDeque<Rest>,
}

struct Rest {
    link: Link,
    since: Instant,
}

impl Pool {
    pub(super) fn new(rest_max: usize, rest_time: Duration) -> Self {
        Self { hosts: Mutex::default(), rest_max, rest_time }
    }

    /// One that can take a request now.
    pub(super) fn take(&self, host: &Host) -> Option<Link> {
        loop {
            let (Rest { mut link, since }, older) = {
                let mut hosts = self.lock();
                let links = &mut hosts.iter_mut().find(|it| it.host == *host)?.links;
                let newest = links.pop_back()?;
                // With one that rested too long, so have all that are older.
                let is_stale = rt::now().saturating_duration_since(newest.since) > self.rest_time;
                (newest, if is_stale { std::mem::take(links) } else { VecDeque::new() })
            };
            // Closed outside of the lock.
            drop(older);
            if rt::now().saturating_duration_since(since) <= self.rest_time && link.is_ready() {
                return Some(link);
            }
        }
    }

    fn put(&self, host: &Host, link: Link) {
        let rest = Rest { link, since: rt::now() };
        let (mut hosts, mut gone) = (self.lock(), None);
        match hosts.iter_mut().find(|it| it.host == *host) {
            Some(Rests { links, .. }) => {
                let is_stale =
                    |it: &Rest| rest.since.saturating_duration_since(it.since) > self.rest_time;
                if links.front().is_some_and(is_stale) || links.len() >= self.rest_max {
                    gone = links.pop_front();
                }
                links.push_back(rest);
            }
            None => hosts.push(Rests { host: host.clone(), links: VecDeque::from([rest]) }),
        }
        drop(hosts);
        // Closed outside of the lock.
        drop(gone);
    }

    /// Closes what has rested too long or was closed by its upstream, and forgets hosts with nothing at rest.
    pub(super) fn sweep(&self) {
        let now = rt::now();
        let swept = std::mem::take(&mut *self.lock());
        for Rests { host, links } in swept {
            let mut kept: VecDeque<_> = links
                .into_iter()
                .filter(|it| now.saturating_duration_since(it.since) <= self.rest_time)
                .filter_map(|mut it| it.link.is_ready().then_some(it))
                .collect();
            if kept.is_empty() {
                continue;
            }
            let mut hosts = self.lock();
            match hosts.iter_mut().find(|it| it.host == host) {
                // What came back meanwhile is newer.
                Some(rests) => {
                    kept.append(&mut rests.links);
                    rests.links = kept;
                }
                None => hosts.push(Rests { host, links: kept }),
            }
        }
    }

    /// How many are at rest.
    pub(super) fn len(&self) -> usize {
        self.lock().iter().map(|it| it.links.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Rests>> {
        // Nothing panics under it.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) lease: Lease<Host>,
    /// The answer says that the host is well.
    pub(super) well: bool,
}

impl Home {
    /// The answer is complete, and the connection there for the next one, if it can be.
    pub(super) fn welcome(self, mut link: Link) {
        if link.is_ready() {
            self.pool.put(self.lease.host(), link);
        }
        if self.well { self.lease.succeeded() } else { self.lease.failed() }
    }

    /// The upstream failed.
    pub(super) fn blame(self) {
        self.lease.failed();
    }
}
