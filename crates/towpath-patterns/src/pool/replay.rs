//! What a policy would have cost: requests of the past in, cold starts and memory out, in virtual time.
//!
//! The instances are those of a pool: idle ones are lent youngest first, a tick makes and closes what the policy says, and who
//! finds none idle waits for one of its own (a cold start). Not as in a pool: nobody gets an instance that is given back
//! while it waits, there is no limit, and nothing fails. So it is a calculation with two queues, and a million requests take
//! a fraction of a second.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use super::{Plan, Sizing, Tally};

/// Decides how many instances there should be.
pub trait Keeper {
    /// How often it is asked.
    fn every(&self) -> Duration;

    /// Instances that are idle for longer and above the size are closed, at the next tick.
    fn ttl(&self) -> Duration;

    /// The size from here, after a tick in which this happened.
    fn size(&mut self, tally: &Tally) -> usize;
}

/// A [`Sizing`], with the time to live of what is idle above its size.
#[derive(Clone, Debug)]
pub struct Sized {
    /// Decides.
    pub sizing: Sizing,
    /// Idle instances above the size live so long.
    pub ttl: Duration,
    /// What it said last.
    pub last: Option<Plan>,
}

impl Sized {
    /// With this time to live.
    pub fn new(sizing: Sizing, ttl: Duration) -> Self {
        Self { sizing, ttl, last: None }
    }
}

impl Keeper for Sized {
    fn every(&self) -> Duration {
        self.sizing.policy().tick
    }

    fn ttl(&self) -> Duration {
        self.ttl
    }

    fn size(&mut self, tally: &Tally) -> usize {
        let plan = self.sizing.tick(tally);
        self.last = Some(plan);
        plan.size
    }
}

/// Keeps what was made for so long after its last use, and makes nothing before it is wanted.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive(pub Duration);

impl Keeper for KeepAlive {
    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn ttl(&self) -> Duration {
        self.0
    }

    fn size(&mut self, _: &Tally) -> usize {
        0
    }
}

/// One request: when, after the beginning, and how long it needs an instance.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Since the beginning.
    pub at: Duration,
    /// Without a cold start.
    pub lasts: Duration,
}

/// What it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Bill {
    /// All of them.
    pub requests: u64,
    /// Those that found no instance.
    pub cold: u64,
    /// Seconds that instances were there, from their beginning; added up.
    pub held: f64,
    /// Seconds of them in which they were in use.
    pub used: f64,
    /// Instances that were made.
    pub made: u64,
    /// Most at once.
    pub peak: usize,
}

impl Bill {
    /// The part of the requests that waited for an instance.
    pub fn cold_share(&self) -> f64 {
        self.cold as f64 / (self.requests.max(1)) as f64
    }

    /// Seconds held for each in use.
    pub fn held_per_used(&self) -> f64 {
        self.held / self.used.max(f64::MIN_POSITIVE)
    }
}

/// Runs the requests, which come in the order of their times; making an instance takes `making`.
pub fn replay(
    requests: impl IntoIterator<Item = Request>,
    making: Duration,
    keeper: &mut impl Keeper,
) -> Bill {
    let mut world = World {
        making: micros(making),
        every: micros(keeper.every()).max(1),
        ttl: micros(keeper.ttl()),
        next_tick: micros(keeper.every()).max(1),
        ..World::default()
    };
    for Request { at, lasts } in requests {
        world.until(micros(at), keeper);
        world.request(micros(lasts));
    }
    // Those in use go on to their end.
    while let Some(&Reverse(end)) = world.busy.peek() {
        world.until(end, keeper);
    }
    world.bill
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct World {
    making: u64,
    every: u64,
    ttl: u64,
    now: u64,
    next_tick: u64,
    /// When each is given back.
    busy: BinaryHeap<Reverse<u64>>,
    /// When each that is made ahead is ready; all take as long, so in order.
    coming: VecDeque<u64>,
    /// Since when each is idle; the youngest at the back.
    idle: VecDeque<u64>,
    tally: Tally,
    bill: Bill,
}

impl World {
    fn live(&self) -> usize {
        self.busy.len() + self.coming.len() + self.idle.len()
    }

    /// Time goes on; nothing that is counted changes on the way.
    fn pass(&mut self, to: u64) {
        self.bill.held += self.live() as f64 * (to - self.now) as f64 / 1e6;
        self.now = to;
    }

    /// Everything up to this time happens.
    fn until(&mut self, time: u64, keeper: &mut impl Keeper) {
        loop {
            let back = self.busy.peek().map(|end| end.0);
            let ready = self.coming.front().copied();
            let next = [back, ready].into_iter().flatten().fold(self.next_tick, u64::min);
            if next > time {
                return self.pass(time);
            }
            self.pass(next);
            if back == Some(next) {
                self.busy.pop();
                self.idle.push_back(next);
            } else if ready == Some(next) {
                self.coming.pop_front();
                self.idle.push_back(next);
            } else {
                self.tick(keeper);
            }
        }
    }

    fn tick(&mut self, keeper: &mut impl Keeper) {
        self.next_tick += self.every;
        let tally = self.tally.next(self.busy.len());
        let size = keeper.size(&tally);
        while self.live() > size
            && self.idle.front().is_some_and(|since| self.now - since >= self.ttl)
        {
            self.idle.pop_front();
        }
        for _ in self.live()..size {
            self.coming.push_back(self.now + self.making);
            self.made();
        }
    }

    fn request(&mut self, lasts: u64) {
        self.bill.requests += 1;
        self.bill.used += lasts as f64 / 1e6;
        let hit = self.idle.pop_back().is_some();
        self.tally.arrived(hit, self.busy.len() + 1);
        self.tally.served(Duration::from_micros(lasts));
        if hit {
            self.busy.push(Reverse(self.now + lasts));
        } else {
            self.bill.cold += 1;
            self.busy.push(Reverse(self.now + self.making + lasts));
            self.made();
        }
    }

    fn made(&mut self) {
        self.bill.made += 1;
        self.bill.peak = self.bill.peak.max(self.live());
    }
}
