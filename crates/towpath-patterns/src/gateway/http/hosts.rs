//! The hosts of a proxy: which one is asked, how many requests each has, and who is left alone for a while.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use towpath::rt;

/// Failures in a row after which a host is left alone: one or two are bad luck, and each costs a client its answer.
const FAILURES_MAX: u32 = 5;
/// How long it is left alone.
const ALONE_TIME: Duration = Duration::from_secs(10);

/// Hosts, and how they do.
pub(super) struct Hosts {
    hosts: Vec<Host>,
    requests_max: u32,
    began: Instant,
}

struct Host {
    address: Box<str>,
    requests: AtomicU32,
    failures: AtomicU32,
    /// Milliseconds after the beginning; 0: it is not left alone.
    alone_until: AtomicU64,
}

impl Hosts {
    pub(super) fn new(addresses: impl IntoIterator<Item = String>, requests_max: u32) -> Self {
        let host = |address: String| Host {
            address: address.into(),
            requests: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            alone_until: AtomicU64::new(0),
        };
        Self { hosts: addresses.into_iter().map(host).collect(), requests_max, began: rt::now() }
    }

    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    pub(super) fn address(&self, host: usize) -> &str {
        &self.hosts[host].address
    }

    /// The one with less to do of two that chance names, leaving alone who is to be left alone as long as there are others.
    /// `None`: all have as many requests as they may.
    pub(super) fn pick(self: &Arc<Self>, but: Option<usize>) -> Option<Pick> {
        let count = self.hosts.len();
        let host = match count {
            0 => return None,
            1 => 0,
            _ => {
                let chance = rt::random();
                let (one, two) = (chance as usize % count, (chance >> 32) as usize % count);
                let now = self.now_ms();
                let load = |host: usize| {
                    let it = &self.hosts[host];
                    (
                        it.alone_until.load(Relaxed) > now || but == Some(host),
                        it.requests.load(Relaxed),
                    )
                };
                let best = if load(two) < load(one) { two } else { one };
                // Both may be bad choices; then whoever is not.
                if load(best).0 { (0..count).min_by_key(|&host| load(host))? } else { best }
            }
        };
        let requests = &self.hosts[host].requests;
        if requests.fetch_add(1, Relaxed) >= self.requests_max {
            requests.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Pick { hosts: self.clone(), host })
    }

    fn now_ms(&self) -> u64 {
        rt::now().saturating_duration_since(self.began).as_millis() as u64
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(|host| (&host.address, host.requests.load(Relaxed)));
        f.debug_map().entries(hosts).finish()
    }
}

/// A request's place at a host.
pub(super) struct Pick {
    hosts: Arc<Hosts>,
    host: usize,
}

impl Pick {
    pub(super) fn host(&self) -> usize {
        self.host
    }

    pub(super) fn succeeded(&self) {
        let failures = &self.hosts.hosts[self.host].failures;
        // Mostly it is 0, and a look does not take the line away from other cores.
        if failures.load(Relaxed) != 0 {
            failures.store(0, Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        let host = &self.hosts.hosts[self.host];
        if host.failures.fetch_add(1, Relaxed) + 1 >= FAILURES_MAX {
            host.failures.store(0, Relaxed);
            let until = self.hosts.now_ms() + ALONE_TIME.as_millis() as u64;
            host.alone_until.store(until, Relaxed);
        }
    }
}

impl Drop for Pick {
    fn drop(&mut self) {
        self.hosts.hosts[self.host].requests.fetch_sub(1, Relaxed);
    }
}
