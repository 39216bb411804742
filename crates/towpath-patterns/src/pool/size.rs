//! How many instances there should be: a value to which each tick says what happened, and which answers with a number.
//!
//! ```text
//!   needed by the load now:   ceil(P95 of the service time × arrivals a second × margin)     Little's law
//!   expected back soon:       the largest size whose pauses are worth staying warm for       histograms of pauses
//!   size = the larger of the two;  each miss lowers the thrift, which raises the margin and what a pause may cost
//! ```
//!
//! *Little's law* (J. D. C. Little, "A Proof for the Queuing Formula L = λW", Operations Research 9, 1961): in the mean as many are in
//! use as arrive while one is served. With the 95th percentile in place of the mean, and half as much again, it is what
//! practitioners start from. Of service times with a long tail that is far too much, and of arrivals in bursts too little; so the
//! 1.5 is where the margin begins, and a controller moves it until the share of misses is the one that was asked for.
//!
//! *The histograms* come from the hybrid policy in M. Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020): how long an
//! application pauses between two uses says from when to when it is worth being warm. Here each *size* is such an application: the
//! pool pauses at 12 while fewer than 12 are in use, and as idle instances are lent youngest first, the twelfth is used just when 12
//! are needed. Different from the paper: the window is not that of two fixed percentiles but the one that is worth most (each pause
//! that ends in it saves a miss, each moment in it has a price), so that sizes that pay are kept and others are not; and where
//! too few pauses are known there is no forecast instead of a long one, since the first line above is still there.
//!
//! What always holds: the same ticks give the same sizes; no clock, no chance, no I/O.

use std::time::Duration;

use super::steps::{Row, step, top};

/// What a [`Sizing`] goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// How often it is asked; 5 seconds by default.
    pub tick: Duration,
    /// Where the margin begins; 1.5 by default.
    pub margin: f64,
    /// The part of the service times that is covered; 0.95 by default.
    pub quantile: f64,
    /// The share of arrivals that may find nothing idle; 0.005 by default. `None`: it does not learn from misses.
    pub misses: Option<f64>,
    /// The longest pause that is remembered; 4 hours by default. Zero: no forecast.
    pub pause_max: Duration,
    /// Never fewer than this; 0 by default.
    pub min: usize,
    /// Never more than this; no limit by default.
    pub max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(5),
            margin: 1.5,
            quantile: 0.95,
            misses: Some(0.005),
            pause_max: Duration::from_secs(4 * 3600),
            min: 0,
            max: usize::MAX,
        }
    }
}

impl Policy {
    /// The formula alone, with a margin that stays and no forecast.
    pub fn formula() -> Self {
        Self { misses: None, pause_max: Duration::ZERO, ..Self::default() }
    }
}

/// What happened in one tick.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub(super) arrivals: u64,
    pub(super) misses: u64,
    pub(super) peak: usize,
    pub(super) services: Vec<(usize, u32)>,
}

impl Tally {
    /// Somebody wanted an instance; `hit`: there was one. With this one, so many are in use or waited for.
    pub fn arrived(&mut self, hit: bool, demand: usize) {
        self.arrivals += 1;
        self.misses += u64::from(!hit);
        self.peak = self.peak.max(demand);
    }

    /// An instance was in use for so long.
    pub fn served(&mut self, lasted: Duration) {
        let step = step(lasted.as_micros().min(1 << 50) as u64);
        match self.services.iter_mut().find(|(it, _)| *it == step) {
            Some((_, count)) => *count += 1,
            None => self.services.push((step, 1)),
        }
    }

    /// How many wanted one, and how many of them found none.
    pub fn arrivals_and_misses(&self) -> (u64, u64) {
        (self.arrivals, self.misses)
    }

    /// So many are in use, or waited for, though nobody arrives just now: as at the beginning of a tick.
    pub fn in_use(&mut self, demand: usize) {
        self.peak = self.peak.max(demand);
    }

    /// Begins the next tick, in which so many are in use already.
    pub(super) fn next(&mut self, demand: usize) -> Self {
        let services = Vec::with_capacity(self.services.len());
        std::mem::replace(self, Self { peak: demand, services, ..Self::default() })
    }
}

/// What a tick has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// How many instances there should be, in use or idle.
    pub size: usize,
    /// What the formula says.
    pub needed: usize,
    /// What the forecast says.
    pub expected: usize,
    /// The margin in the formula.
    pub margin: f64,
}

/// A pause is remembered so well after so many others of its size: half.
const PAUSES_KEPT: f64 = 500.0;
/// Fewer pauses than this say nothing.
const PAUSES_MIN: f64 = 10.0;
/// Service times and rates of a minute ago count half.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// Less than this of an instance is none: a rate that fades never gets to 0.
const NEEDED_MIN: f64 = 0.01;
/// What an idle instance costs for a tick, in misses, where the thrift is 0.
///
/// Where it begins matters little, as the thrift is moved; this one and a margin of 1.5 are about as generous (`bench pool`).
const PRICE: f64 = 0.001;
/// Thrift goes no lower and no higher: the margin is then 7 times, or a fiftieth of, what it was at first.
const THRIFT_MIN: f64 = -2.0;
const THRIFT_MAX: f64 = 4.0;
/// How much a tick moves the thrift if all missed.
const GAIN: f64 = 0.5;

/// Decides sizes; see the [module](self).
#[derive(Clone, Debug)]
pub struct Sizing {
    policy: Policy,
    services: Row,
    rate: Rate,
    /// 0 is as the policy begins; the larger, the fewer instances.
    thrift: f64,
    forecast: Forecast,
}

impl Sizing {
    /// Begins with no experience.
    ///
    /// # Panics
    /// When the tick is zero.
    pub fn new(policy: Policy) -> Self {
        assert!(!policy.tick.is_zero(), "a tick of a pool must be longer than nothing");
        Self {
            policy,
            services: Row::default(),
            rate: Rate::default(),
            thrift: 0.0,
            forecast: Forecast::new(policy.pause_max.div_duration_f64(policy.tick) as u64),
        }
    }

    /// What it goes by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A tick is over, in which this happened.
    pub fn tick(&mut self, tally: &Tally) -> Plan {
        let Policy { tick, quantile, min, max, .. } = self.policy;
        let keep = keep(tick, HALF_LIFE);
        if !tally.services.is_empty() {
            self.services.fade(keep);
            for &(step, count) in &tally.services {
                self.services.add(step, f64::from(count));
            }
        }
        self.control(tally);
        let lasts = self.services.quantile(quantile).unwrap_or(0) as f64 / 1e6;
        let rate = self.rate.tick(tally.arrivals, tick, lasts);
        let margin = self.policy.margin * (-self.thrift).exp();
        let needed = (lasts * rate * margin - NEEDED_MIN).ceil().max(0.0) as usize;
        let expected = self.forecast.tick(tally.peak, PRICE * self.thrift.exp());
        let size = needed.max(expected).clamp(min.min(max), max);
        Plan { size, needed, expected, margin }
    }

    /// Moves the thrift: a little up where all is well, down by the share that missed. It stands still where the share is the
    /// goal, and a burst moves it once, not for as long as it is remembered.
    fn control(&mut self, tally: &Tally) {
        let Some(goal) = self.policy.misses else { return };
        if tally.arrivals == 0 {
            return;
        }
        let share = tally.misses as f64 / tally.arrivals as f64;
        self.thrift = (self.thrift + GAIN * (goal - share)).clamp(THRIFT_MIN, THRIFT_MAX);
    }
}

/// Arrivals a second.
#[derive(Clone, Debug, Default)]
struct Rate {
    mean: f64,
}

impl Rate {
    /// The mean over as long as an instance is in use, since the law is about that, and at least over [`HALF_LIFE`].
    fn tick(&mut self, arrivals: u64, tick: Duration, lasts: f64) -> f64 {
        let now = arrivals as f64 / tick.as_secs_f64();
        let keep = keep(tick, HALF_LIFE.max(Duration::from_secs_f64(lasts)));
        self.mean = self.mean * keep + now * (1.0 - keep);
        self.mean
    }
}

/// The part of an old value that is kept over one tick.
fn keep(tick: Duration, half_life: Duration) -> f64 {
    0.5_f64.powf(tick.div_duration_f64(half_life))
}

/// Which sizes will be wanted.
#[derive(Clone, Debug)]
struct Forecast {
    /// The longest pause, in ticks; 0: no forecast.
    pause_max: u64,
    now: u64,
    /// Sizes up to this step are in use.
    busy: usize,
    /// By step of the size.
    sizes: Vec<Size>,
}

#[derive(Clone, Debug, Default)]
struct Size {
    /// By step of the length in ticks.
    pauses: Row,
    /// When the pause began that is now.
    since: u64,
    /// From when to when it is to be warm.
    from: u64,
    until: u64,
}

impl Forecast {
    fn new(pause_max: u64) -> Self {
        Self { pause_max, now: 0, busy: 0, sizes: vec![Size::default()] }
    }

    /// A tick is over in which at most `peak` were in use at once. The largest size that should be warm in the next.
    fn tick(&mut self, peak: usize, price: f64) -> usize {
        if self.pause_max == 0 {
            return 0;
        }
        self.now += 1;
        let now = self.now;
        let busy = step(peak as u64);
        if self.sizes.len() <= busy {
            self.sizes.resize(busy + 1, Size { since: now, ..Size::default() });
        }
        for size in self.sizes.iter_mut().take(busy + 1).skip(self.busy + 1) {
            size.resumes(now, self.pause_max);
        }
        for size in self.sizes.iter_mut().take(self.busy + 1).skip(busy + 1) {
            size.pauses(now, self.pause_max, price);
        }
        self.busy = busy;
        // Ready when it is wanted: so a tick early.
        let next = now + 1;
        let warm = |size: &Size| size.from <= next && next <= size.until;
        let above = (busy + 1..self.sizes.len()).rev().find(|&step| warm(&self.sizes[step]));
        above.map_or(peak, |step| top(step) as usize)
    }
}

impl Size {
    fn resumes(&mut self, now: u64, pause_max: u64) {
        // The first time it had not paused: it was never in use.
        if self.until > 0 {
            let pause = now - self.since;
            if self.pauses.total() >= 2.0 * PAUSES_KEPT {
                self.pauses.fade(0.5);
            }
            self.pauses.add(step(pause.min(pause_max + 1)), 1.0);
        }
    }

    fn pauses(&mut self, now: u64, pause_max: u64, price: f64) {
        self.since = now;
        (self.from, self.until) = match self.pauses.best(step(pause_max), price) {
            Some((head, tail)) if self.pauses.total() >= PAUSES_MIN => (now + head, now + tail + 1),
            // Once around the instances' own time to live.
            _ => (now + 1, now),
        };
    }
}
