//! All hosts as a value: who is chosen, and what is made of what became of calls.

use std::time::{Duration, Instant};

use indexmap::IndexMap;

use super::{
    Health, NoHost,
    host::{Host, HostSnapshot, Standing},
};

/// One time of a host in the pool: removed and added again, it is another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct HostId(u64);

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Well,
    Failed,
    GivenUp,
}

pub(super) struct Pool<H> {
    hosts: IndexMap<HostId, Host<H>>,
    next: u64,
    health: Health,
}

impl<H> Pool<H> {
    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// A call has ended; of a host that was removed meanwhile nobody asks.
    pub(super) fn done(&mut self, now: Instant, id: HostId, took: Duration, verdict: Verdict) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        if host.done(now, took, verdict, &self.health)
            && self.may_eject(now)
            && let Some(host) = self.hosts.get_mut(&id)
        {
            host.eject(now, &self.health);
        }
    }

    /// Whether one more may be ejected.
    fn may_eject(&mut self, now: Instant) -> bool {
        self.hosts.values_mut().for_each(|host| host.look(now));
        let ejected = self.hosts.values().filter(|host| host.is_ejected()).count();
        let most = (self.hosts.len() as f64 * self.health.ejected_share) as usize;
        ejected < most.max(1)
    }
}

impl<H: Clone + PartialEq> Pool<H> {
    pub(super) fn new(health: Health) -> Self {
        Self { hosts: IndexMap::new(), next: 0, health }
    }

    pub(super) fn add(&mut self, now: Instant, host: H, warm: bool) -> bool {
        if self.find(&host).is_some() {
            return false;
        }
        let id = HostId(self.next);
        self.next += 1;
        self.hosts.insert(id, Host::new(now, host, &self.health, warm));
        true
    }

    pub(super) fn remove(&mut self, host: &H) -> bool {
        self.find(host).is_some_and(|id| self.hosts.shift_remove(&id).is_some())
    }

    /// Chooses a host, and counts a call there.
    pub(super) fn pick(
        &mut self,
        now: Instant,
        chance: [u64; 2],
        not: Option<&H>,
    ) -> Result<(HostId, H), NoHost> {
        let mut well = 0;
        for host in self.hosts.values_mut() {
            host.look(now);
            well += usize::from(host.standing() == Standing::Well);
        }
        let panic = (well as f64) < self.health.panic_below * self.hosts.len() as f64;
        let asked = |host: &Host<H>| not.is_none_or(|not| host.host != *not);
        let usable = |host: &Host<H>| asked(host) && (panic || host.standing() == Standing::Well);
        let fits = |host: &Host<H>| usable(host) && host.has_room();
        let fitting = || self.hosts.iter().filter(|(_, host)| fits(host));
        let count = fitting().count() as u64;
        if count == 0 {
            return Err(if !self.hosts.values().any(asked) {
                NoHost::Empty
            } else if !self.hosts.values().any(usable) {
                NoHost::Down
            } else {
                NoHost::Busy
            });
        }
        // Two different ones, if there are two.
        let one = chance[0] % count;
        let other = if count == 1 { one } else { (one + 1 + chance[1] % (count - 1)) % count };
        let nth = |n: u64| fitting().nth(n as usize);
        let (Some((&a, one)), Some((&b, other))) = (nth(one), nth(other)) else {
            unreachable!("there are `count` of them")
        };
        let known = one.has_latency() && other.has_latency();
        let better = other.load(now, &self.health, known) < one.load(now, &self.health, known);
        let id = if better { b } else { a };
        let host = &mut self.hosts[&id];
        host.in_flight += 1;
        Ok((id, host.host.clone()))
    }

    pub(super) fn probed(&mut self, now: Instant, host: &H, well: bool) {
        if let Some(id) = self.find(host) {
            self.hosts[&id].probed(now, well, &self.health);
        }
    }

    pub(super) fn hosts(&self) -> Vec<H> {
        self.hosts.values().map(|host| host.host.clone()).collect()
    }

    pub(super) fn snapshot(&mut self, now: Instant) -> Vec<HostSnapshot<H>> {
        let look = |host: &mut Host<H>| {
            host.look(now);
            host.snapshot()
        };
        self.hosts.values_mut().map(look).collect()
    }

    fn find(&self, host: &H) -> Option<HostId> {
        self.hosts.iter().find(|(_, it)| it.host == *host).map(|(id, _)| *id)
    }
}
