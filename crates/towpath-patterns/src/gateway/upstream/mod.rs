//! Which host to send a call to: hosts with what they take, how many calls they have, and how well they are.
//!
//! ```
//! use towpath_patterns::gateway::upstream::{Health, Upstreams};
//!
//! let hosts = Upstreams::new(["10.0.0.1:80", "10.0.0.2:80"], Health::default());
//! let lease = hosts.pick()?;
//! println!("to {}", lease.host());
//! let answered = true; // here the call would be made
//! if answered { lease.succeeded() } else { lease.failed() }
//! # Ok::<(), towpath_patterns::gateway::upstream::NoHost>(())
//! ```
//!
//! # What is promised
//! - *Choice*: of two hosts by chance, the one with less to do: calls under way, times what a call takes there of late (Mitzenmacher,
//!   "The Power of Two Choices in Randomized Load Balancing", 2001; with the latency as in Finagle's least-loaded balancers).
//! - *Limits*: a host never has more calls under way than its limit says, also in panic.
//! - *Passive health*: so many failures in a row eject a host for a while, each time longer; never more than a share of them, but one at
//!   least (as Envoy's outlier detection).
//! - *Active health*: [`probed`](Upstreams::probed) tells what a probe has found, and [`watch`](Upstreams::watch) is a process that probes.
//!   A good probe ends an ejection.
//! - *Panic*: when less than a share of the hosts is well, health is not looked at: a wrong verdict about many is likelier than so many
//!   hosts down at once, and the few would go down under the load of all (Envoy's panic threshold).
//! - *Slow start*: a host that is new, or comes back, is loaded as if it were slower, less and less so.
//!
//! Not promised: to wait for a host. Who finds none is told so at once; waiting is what the queue of a [`Gateway`](super::Gateway) is for.

mod host;
mod pool;
#[cfg(test)]
mod tests;

use std::{
    error, fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use towpath::{Ctx, Scope, process::Name, rt, scope, select};

pub use host::{HostSnapshot, Standing};
use pool::{HostId, Pool, Verdict};

use super::Adaptive;

/// Calls that a host may have under way, unless it is said: so many connections no host refuses.
const HOST_CALLS_MAX: usize = 1024;

/// What is made of failures and probes, and how much a host may have to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Failures in a row that eject a host.
    pub failures: u32,
    /// For how long, the first time; the second time for twice that, and so on. It is forgotten as fast as it came.
    pub eject: Duration,
    /// For how long at the most.
    pub eject_max: Duration,
    /// The share of the hosts that may be ejected at once; one may in any case.
    pub ejected_share: f64,
    /// Bad probes in a row after which a host is down, and good ones after which it is up again.
    pub probes: u32,
    /// With a smaller share of hosts that are well, health is not looked at. With 0 it always is.
    pub panic_below: f64,
    /// For how long a new host is loaded less.
    pub slow_start: Duration,
    /// Calls that each host may have under way.
    pub calls: usize,
    /// For each host a limit of its own that follows what calls take there; within `calls`.
    pub adaptive: Option<Adaptive>,
}

impl Default for Health {
    /// Five failures, 30 s to 5 min, a tenth of the hosts, panic below a half: as Envoy's. Two probes; 10 s of slow start; 1,024 calls a
    /// host.
    fn default() -> Self {
        Self {
            failures: 5,
            eject: Duration::from_secs(30),
            eject_max: Duration::from_secs(300),
            ejected_share: 0.1,
            probes: 2,
            panic_below: 0.5,
            slow_start: Duration::from_secs(10),
            calls: HOST_CALLS_MAX,
            adaptive: None,
        }
    }
}

impl Health {
    /// With another number of failures in a row that eject a host, for so long the first time.
    #[must_use]
    pub fn with_ejection(self, failures: u32, eject: Duration) -> Self {
        Self { failures: failures.max(1), eject, eject_max: self.eject_max.max(eject), ..self }
    }

    /// With another share of hosts that may be ejected at once.
    #[must_use]
    pub fn with_ejected_share(self, share: f64) -> Self {
        Self { ejected_share: share, ..self }
    }

    /// With another share of healthy hosts below which health is not looked at; 0 for never.
    #[must_use]
    pub fn with_panic_below(self, share: f64) -> Self {
        Self { panic_below: share, ..self }
    }

    /// With another time of slow start.
    #[must_use]
    pub fn with_slow_start(self, time: Duration) -> Self {
        Self { slow_start: time, ..self }
    }

    /// With another number of calls that each host may have under way.
    #[must_use]
    pub fn with_calls(self, calls: usize) -> Self {
        Self { calls, ..self }
    }

    /// With a limit for each host that follows what calls take there.
    #[must_use]
    pub fn with_adaptive(self, limit: Adaptive) -> Self {
        Self { adaptive: Some(limit), ..self }
    }

    /// With another number of probes in a row that change a host's standing.
    #[must_use]
    pub fn with_probes(self, probes: u32) -> Self {
        Self { probes: probes.max(1), ..self }
    }
}

/// Why there is no host for a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NoHost {
    /// There are none at all.
    Empty,
    /// None that is asked for is well.
    Down,
    /// Those that are well have as many calls under way as they may.
    Busy,
}

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is no host to choose from; add one",
            Self::Down => {
                "no host is well; look at their snapshot, and try again when a probe has found one"
            }
            Self::Busy => "every host has as many calls as it may; try again when one has ended",
        })
    }
}

impl error::Error for NoHost {}

/// Hosts to choose from; the [module](self) says how. Clones are the same hosts.
pub struct Upstreams<H> {
    pool: Arc<Mutex<Pool<H>>>,
}

impl<H: Clone + PartialEq> Upstreams<H> {
    /// With these hosts, which are taken to be well, and warm already.
    pub fn new(hosts: impl IntoIterator<Item = H>, health: Health) -> Self {
        let mut pool = Pool::new(health);
        let now = rt::now();
        for host in hosts {
            pool.add(now, host, true);
        }
        Self { pool: Arc::new(Mutex::new(pool)) }
    }

    /// A host more, which starts slowly. False: it was there already.
    pub fn add(&self, host: H) -> bool {
        self.lock().add(rt::now(), host, false)
    }

    /// Sends nothing more to a host. What is under way there goes on. False: there was none.
    pub fn remove(&self, host: &H) -> bool {
        self.lock().remove(host)
    }

    /// A host for a call.
    ///
    /// # Errors
    /// [`NoHost`].
    pub fn pick(&self) -> Result<Lease<H>, NoHost> {
        self.choose(None)
    }

    /// A host for a call, but not this one: for a second attempt.
    ///
    /// # Errors
    /// [`NoHost`]; with no other than this one at all, [`NoHost::Empty`].
    pub fn pick_other(&self, not: &H) -> Result<Lease<H>, NoHost> {
        self.choose(Some(not))
    }

    fn choose(&self, not: Option<&H>) -> Result<Lease<H>, NoHost> {
        let now = rt::now();
        let chance = [rt::random(), rt::random()];
        let (id, host) = self.lock().pick(now, chance, not)?;
        Ok(Lease { pool: self.pool.clone(), id, host, began: now, told: false })
    }

    /// A probe has found a host well, or not.
    pub fn probed(&self, host: &H, well: bool) {
        self.lock().probed(rt::now(), host, well);
    }

    /// The hosts, in the order in which they were added.
    pub fn hosts(&self) -> Vec<H> {
        self.lock().hosts()
    }

    /// How each host stands.
    pub fn snapshot(&self) -> Vec<HostSnapshot<H>> {
        self.lock().snapshot(rt::now())
    }

    /// Starts a process that probes all hosts at once, one period after the other, until the scope's context ends. A probe answers
    /// whether a host is well; one that takes longer than a period has found that it is not.
    pub fn watch<P, Fut>(&self, scope: &Scope, name: impl Into<Name>, period: Duration, probe: P)
    where
        H: Send + 'static,
        P: Fn(Ctx, H) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        let (hosts, probe, name) = (self.clone(), Arc::new(probe), name.into());
        scope.spawn(name.clone(), move |ctx| async move {
            while !ctx.is_done() {
                let next = towpath::after(period);
                if let Err(failed) = hosts.probe_all(&ctx, &name, period, &probe).await
                    && !failed.is_cancelled()
                {
                    return Err(failed);
                }
                select! { biased;
                    _ = ctx.done() => {}
                    () = next => {}
                }
            }
            Ok(())
        });
    }

    /// Probes every host, all at once.
    async fn probe_all<P, Fut>(
        &self,
        ctx: &Ctx,
        name: &Name,
        period: Duration,
        probe: &Arc<P>,
    ) -> Result<(), towpath::Error>
    where
        H: Send + 'static,
        P: Fn(Ctx, H) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = bool> + Send + 'static,
    {
        scope(ctx, |s| async move {
            for host in self.hosts() {
                let (hosts, probe) = (self.clone(), probe.clone());
                s.spawn(name, move |ctx| async move {
                    let ctx = ctx.with_timeout(period);
                    let well = select! { biased;
                        well = select::future(probe(ctx.clone(), host.clone())) => well,
                        cause = ctx.done() => match cause {
                            towpath::Cause::DeadlineExceeded => false,
                            // The end of the whole says nothing about a host.
                            _ => return,
                        },
                    };
                    hosts.probed(&host, well);
                });
            }
            Ok(())
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Pool<H>> {
        lock(&self.pool)
    }
}

fn lock<H>(pool: &Mutex<Pool<H>>) -> MutexGuard<'_, Pool<H>> {
    // What runs under it of others is only the comparison of hosts.
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<H> Clone for Upstreams<H> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone() }
    }
}

impl<H> fmt::Debug for Upstreams<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstreams").field("hosts", &lock(&self.pool).len()).finish_non_exhaustive()
    }
}

/// A call to a host. Say what became of it; dropped, it was given up, which tells that the host takes at least so long, and nothing else.
#[must_use = "dropped at once, the call counts as given up"]
pub struct Lease<H> {
    pool: Arc<Mutex<Pool<H>>>,
    id: HostId,
    host: H,
    began: Instant,
    told: bool,
}

impl<H> Lease<H> {
    /// Where to.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// It was answered, and well: also an answer that says the caller is wrong.
    pub fn succeeded(mut self) {
        self.tell(Verdict::Well);
    }

    /// It failed, or took too long, and the host is to blame.
    pub fn failed(mut self) {
        self.tell(Verdict::Failed);
    }

    fn tell(&mut self, verdict: Verdict) {
        self.told = true;
        let now = rt::now();
        lock(&self.pool).done(now, self.id, now.saturating_duration_since(self.began), verdict);
    }
}

impl<H> Drop for Lease<H> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Verdict::GivenUp);
        }
    }
}

impl<H: fmt::Debug> fmt::Debug for Lease<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("host", &self.host).finish_non_exhaustive()
    }
}
