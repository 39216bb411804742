//! One host as a value: what it takes, what it has to do, how well it is.

use std::time::{Duration, Instant};

use super::{Adaptive, Health, pool::Verdict};

/// The time in which old latencies lose two thirds of their weight; also while no new ones come, so that a host that was slow is tried
/// again.
const MEMORY: Duration = Duration::from_secs(10);

/// A host in slow start is loaded as if it took ten times as long, at first.
const COLD: f64 = 0.1;

/// How a host is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Standing {
    /// It is used.
    Well,
    /// It has failed too often, and is left alone for a while.
    Ejected,
    /// Probes say that it is down.
    Down,
}

/// A host, as it stands.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct HostSnapshot<H> {
    /// Which one.
    pub host: H,
    /// How it is doing.
    pub standing: Standing,
    /// Calls under way.
    pub in_flight: usize,
    /// Calls that may be.
    pub limit: usize,
    /// What a call takes of late; `None` if that is not known.
    pub latency: Option<Duration>,
    /// Calls that went well.
    pub succeeded: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were given up.
    pub given_up: u64,
    /// How often it was ejected.
    pub ejections: u64,
}

pub(super) struct Host<H> {
    pub(super) host: H,
    pub(super) in_flight: usize,
    limit: Limit,
    /// What calls take, in seconds, and when the last one told.
    latency: Option<(f64, Instant)>,
    failures: u32,
    ejected: Option<Instant>,
    /// How many times as long the next ejection is, less one; and when the last has ended.
    strikes: u32,
    back: Instant,
    down: bool,
    /// Probes in a row that say the opposite.
    probes: u32,
    /// Since when it is in slow start; `None`: it is warm.
    warming: Option<Instant>,
    succeeded: u64,
    failed: u64,
    given_up: u64,
    ejections: u64,
}

enum Limit {
    Fixed(usize),
    Adaptive(usize, Adaptive),
}

impl<H> Host<H> {
    pub(super) fn new(now: Instant, host: H, health: &Health, warm: bool) -> Self {
        let limit = match &health.adaptive {
            None => Limit::Fixed(health.calls),
            Some(adaptive) => Limit::Adaptive(health.calls, adaptive.clone()),
        };
        Self {
            host,
            in_flight: 0,
            limit,
            latency: None,
            failures: 0,
            ejected: None,
            strikes: 0,
            back: now,
            down: false,
            probes: 0,
            warming: (!warm).then_some(now),
            succeeded: 0,
            failed: 0,
            given_up: 0,
            ejections: 0,
        }
    }

    pub(super) fn limit(&self) -> usize {
        match &self.limit {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(most, limit) => limit.get().min(*most),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.limit()
    }

    /// What time has done: an ejection that is over.
    pub(super) fn look(&mut self, now: Instant) {
        if self.ejected.is_some_and(|until| until <= now) {
            self.readmit(now);
        }
    }

    fn readmit(&mut self, now: Instant) {
        self.ejected = None;
        self.back = now;
        self.failures = 0;
        self.warming = Some(now);
    }

    pub(super) fn standing(&self) -> Standing {
        match (self.down, self.ejected) {
            (true, _) => Standing::Down,
            (_, Some(_)) => Standing::Ejected,
            _ => Standing::Well,
        }
    }

    /// How long a new call would take here, compared with other hosts. `latency`: whether that of all who are compared is known.
    pub(super) fn load(&self, now: Instant, health: &Health, latency: bool) -> f64 {
        let took = match self.latency {
            Some((took, told)) if latency => took * fade(now, told),
            _ => 1.0,
        };
        let warmth = self.warming.map_or(1.0, |since| {
            let share = now.saturating_duration_since(since).as_secs_f64()
                / health.slow_start.as_secs_f64();
            if share.is_nan() { 1.0 } else { share.clamp(COLD, 1.0) }
        });
        // A host that fails is quick about it, and would draw all calls.
        (self.in_flight + 1) as f64 * took * f64::from(1 + self.failures) / warmth
    }

    pub(super) fn has_latency(&self) -> bool {
        self.latency.is_some()
    }

    /// A call has ended. True: so many failures in a row should eject it.
    pub(super) fn done(
        &mut self,
        now: Instant,
        took: Duration,
        verdict: Verdict,
        health: &Health,
    ) -> bool {
        if let (Limit::Adaptive(_, limit), Verdict::Well) = (&mut self.limit, verdict) {
            limit.sample(now, took, self.in_flight);
        }
        self.in_flight -= 1;
        match verdict {
            Verdict::Well => {
                self.succeeded += 1;
                self.failures = 0;
                self.took(now, took);
                false
            }
            Verdict::GivenUp => {
                self.given_up += 1;
                if self.latency.is_none_or(|(mean, _)| took.as_secs_f64() > mean) {
                    self.took(now, took);
                }
                false
            }
            Verdict::Failed => {
                self.failed += 1;
                self.failures = self.failures.saturating_add(1);
                self.failures >= health.failures && self.ejected.is_none()
            }
        }
    }

    fn took(&mut self, now: Instant, took: Duration) {
        let took = took.as_secs_f64();
        let mean = match self.latency {
            None => took,
            Some((mean, told)) => {
                // At least a twentieth, or a burst within a moment would say nothing.
                let keep = fade(now, told).min(0.95);
                mean * keep + took * (1.0 - keep)
            }
        };
        self.latency = Some((mean, now));
    }

    pub(super) fn eject(&mut self, now: Instant, health: &Health) {
        let good =
            now.saturating_duration_since(self.back).as_secs_f64() / health.eject.as_secs_f64();
        // As fast as it came; `as` gives 0 for what is no number.
        self.strikes = self.strikes.saturating_sub(good.min(f64::from(u32::MAX)) as u32) + 1;
        let time = health.eject.saturating_mul(self.strikes).min(health.eject_max);
        self.ejected = Some(now + time);
        self.ejections += 1;
    }

    pub(super) fn probed(&mut self, now: Instant, well: bool, health: &Health) {
        if well && self.ejected.is_some() {
            self.readmit(now);
        }
        if well != self.down {
            self.probes = 0;
            return;
        }
        self.probes += 1;
        if self.probes >= health.probes {
            self.probes = 0;
            self.down = !well;
            if well {
                self.failures = 0;
                self.warming = Some(now);
            }
        }
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.ejected.is_some()
    }

    pub(super) fn snapshot(&self) -> HostSnapshot<H>
    where
        H: Clone,
    {
        HostSnapshot {
            host: self.host.clone(),
            standing: self.standing(),
            in_flight: self.in_flight,
            limit: self.limit(),
            latency: self.latency.map(|(mean, _)| Duration::from_secs_f64(mean)),
            succeeded: self.succeeded,
            failed: self.failed,
            given_up: self.given_up,
            ejections: self.ejections,
        }
    }
}

/// The weight that is left of what was told then.
fn fade(now: Instant, told: Instant) -> f64 {
    (-now.saturating_duration_since(told).as_secs_f64() / MEMORY.as_secs_f64()).exp()
}
