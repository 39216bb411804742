//! Rides that were, played to a dispatcher at any speed: requests come from pickups, and drivers become free where their rides end.
//!
//! One process plays all riders and a fleet of drivers. A driver accepts what he is offered, drives to the rider (by road, a third
//! longer than straight, at 18 km/h as in a city by day), has him for as long as the ride took, and is free where it ended. Times are
//! divided by the speed; the dispatcher's own window and deadline are not. It is for trying policies, tests and measuring, and runs in the
//! simulator's virtual time too.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    time::{Duration, Instant},
};

use towpath::{Cause, Ctx, Receiver, at, rt, select};

use super::{Dispatch, Ended, Event, Input, Lease, Offer, Point, Report, Says, Stage};

/// How fast a driver comes, in metres a second.
const SPEED_M_S: f64 = 5.0;

/// How much longer than the straight line the way is.
const DETOUR: f64 = 1.3;

/// How often a driver says where he is: three times within the usual silence.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// One ride.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ride {
    /// When the rider asks, from the beginning.
    pub starts: Duration,
    /// How long it takes from pickup to drop-off.
    pub lasts: Duration,
    /// Where the rider is.
    pub pickup: Point,
    /// Where the rider goes.
    pub dropoff: Point,
}

/// Rides to be played.
#[derive(Clone, Debug)]
pub struct Replay {
    rides: Vec<Ride>,
    speed: f64,
    drivers: u32,
}

/// What became of all rides.
#[derive(Clone, PartialEq, Default, Debug)]
#[non_exhaustive]
pub struct Tally {
    /// How many riders asked.
    pub requests: usize,
    /// Of those who were matched: how far away the driver was in metres, and how long they waited for the match.
    pub matched: BTreeMap<Stage, Vec<(f64, Duration)>>,
    /// The others, by the reason.
    pub ended: BTreeMap<Ended, usize>,
}

impl Tally {
    /// How many were matched.
    pub fn matches(&self) -> usize {
        self.matched.values().map(Vec::len).sum()
    }

    /// The mean distance from the driver to the rider, in metres; 0 without a match.
    pub fn mean_distance_m(&self) -> f64 {
        let all = self.matched.values().flatten().map(|(distance_m, _)| distance_m);
        all.sum::<f64>() / self.matches().max(1) as f64
    }

    /// The longest that anybody waited for a match.
    pub fn wait_max(&self) -> Duration {
        let all = self.matched.values().flatten().map(|(_, waited)| *waited);
        all.max().unwrap_or_default()
    }
}

/// A driver of the fleet. He is the number of his place.
struct Driver {
    number: u64,
    seen: Lease,
    at: Point,
    says: Says,
}

/// What a driver does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    Arrive { driver: u32, ride: u32 },
    Report { driver: u32 },
}

impl Replay {
    /// Plays these rides with one driver for each twenty of them, as fast as they were.
    pub fn new(rides: impl Into<Vec<Ride>>) -> Self {
        let mut rides = rides.into();
        rides.sort_by_key(|ride| ride.starts);
        let drivers = rides.len().div_ceil(20) as u32;
        Self { rides, speed: 1.0, drivers }
    }

    /// So many times as fast as they were.
    ///
    /// # Panics
    /// When it is not above 0.
    #[must_use = "the replay is given back"]
    pub fn speed(mut self, speed: f64) -> Self {
        assert!(speed > 0.0, "a replay needs a speed above 0, and this is {speed}");
        self.speed = speed;
        self
    }

    /// With so many drivers. They begin free, where rides ended.
    #[must_use = "the replay is given back"]
    pub fn drivers(mut self, drivers: u32) -> Self {
        self.drivers = drivers;
        self
    }

    /// Puts rides of many days into one period: that of a day has the rides of all days by their time of day.
    #[must_use = "the replay is given back"]
    pub fn fold(mut self, period: Duration) -> Self {
        let nanos = period.as_nanos().max(1);
        for ride in &mut self.rides {
            let into = ride.starts.as_nanos() % nanos;
            ride.starts =
                Duration::new((into / 1_000_000_000) as u64, (into % 1_000_000_000) as u32);
        }
        self.rides.sort_by_key(|ride| ride.starts);
        self
    }

    /// How many rides there are.
    pub fn len(&self) -> usize {
        self.rides.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rides.is_empty()
    }

    /// Plays all of them, and ends when the last one has its answer. `look` sees every event.
    ///
    /// `dispatch` and `events` are those of [`Dispatch::start`] and belong to the replay alone.
    ///
    /// # Errors
    /// The context's cause when it ends before, also when the dispatcher does.
    ///
    /// # Cancel safety
    /// Dropped before completion, the rest is not played.
    pub async fn run(
        self,
        ctx: &Ctx,
        dispatch: &Dispatch<u32, u32>,
        events: &mut Receiver<Event<u32, u32>>,
        mut look: impl FnMut(&Event<u32, u32>),
    ) -> Result<Tally, Stopped> {
        let mut player = Player::new(self);
        while player.is_playing() {
            let due = player.next_due().map(at);
            let (is_asking, is_saying) = (!player.asks.is_empty(), !player.says.is_empty());
            select! {
                cause = ctx.done() => return Err(Stopped::Cause(cause)),
                event = events.recv() => {
                    let event = event.ok_or(Stopped::DispatcherGone)?;
                    look(&event);
                    player.hear(event);
                }
                place = dispatch.riders.reserve(), if is_asking => {
                    let place = place.map_err(|_| Stopped::DispatcherGone)?;
                    if let Some((rider, pickup, arrived)) = player.asks.pop_front() {
                        place.send(Input::Request { rider, pickup, arrived });
                    }
                }
                place = dispatch.drivers.reserve(), if is_saying => {
                    let place = place.map_err(|_| Stopped::DispatcherGone)?;
                    if let Some(report) = player.says.pop_front() {
                        place.send(report);
                    }
                }
                () = due => player.go_on(rt::now()),
            }
        }
        Ok(player.tally)
    }
}

/// Why a replay did not come to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Stopped {
    /// Its context has ended.
    Cause(Cause),
    /// The dispatcher has ended.
    DispatcherGone,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cause(cause) => write!(f, "the replay was stopped: {cause}"),
            Self::DispatcherGone => f.write_str(
                "the dispatcher has ended before the replay; look for why its scope did",
            ),
        }
    }
}

impl std::error::Error for Stopped {}

/// Riders and drivers, as a value.
struct Player {
    replay: Replay,
    begun: Instant,
    next_ride: usize,
    fleet: Vec<Driver>,
    plans: BinaryHeap<Reverse<(Instant, Does)>>,
    asks: VecDeque<(u32, Point, Instant)>,
    says: VecDeque<Report<u32>>,
    tally: Tally,
    answered: usize,
}

impl Player {
    fn new(replay: Replay) -> Self {
        let begun = rt::now();
        let mut player = Self {
            begun,
            next_ride: 0,
            fleet: Vec::new(),
            plans: BinaryHeap::new(),
            asks: VecDeque::new(),
            says: VecDeque::new(),
            tally: Tally::default(),
            answered: 0,
            replay,
        };
        let places: Vec<Point> = player.replay.rides.iter().map(|ride| ride.dropoff).collect();
        let drivers = if places.is_empty() { 0 } else { player.replay.drivers };
        // Spread over the rides, and their reports over time.
        for driver in 0..drivers {
            let ride = driver as usize * places.len() / drivers as usize;
            player.fleet.push(Driver { number: 0, seen: 0, at: places[ride], says: Says::Free });
            player.report(driver, Says::Free);
            let first = begun + REPORT_EVERY * (driver + 1) / drivers;
            player.plans.push(Reverse((first, Does::Report { driver })));
        }
        player
    }

    fn is_playing(&self) -> bool {
        self.answered < self.replay.rides.len()
    }

    fn when(&self, offset: Duration) -> Instant {
        self.begun + offset.div_f64(self.replay.speed)
    }

    fn next_due(&self) -> Option<Instant> {
        let ride = self.replay.rides.get(self.next_ride).map(|ride| self.when(ride.starts));
        let plan = self.plans.peek().map(|Reverse((due, _))| *due);
        [ride, plan].into_iter().flatten().min()
    }

    fn go_on(&mut self, now: Instant) {
        while let Some(ride) = self.replay.rides.get(self.next_ride)
            && self.when(ride.starts) <= now
        {
            self.asks.push_back((self.next_ride as u32, ride.pickup, now));
            self.tally.requests += 1;
            self.next_ride += 1;
        }
        while let Some(&Reverse((due, does))) = self.plans.peek()
            && due <= now
        {
            self.plans.pop();
            match does {
                Does::Arrive { driver, ride } => {
                    self.fleet[driver as usize].at = self.replay.rides[ride as usize].dropoff;
                    self.report(driver, Says::Free);
                }
                Does::Report { driver } => {
                    self.report(driver, self.fleet[driver as usize].says);
                    self.plans.push(Reverse((due.max(now) + REPORT_EVERY, does)));
                }
            }
        }
    }

    fn report(&mut self, driver: u32, says: Says) {
        let it = &mut self.fleet[driver as usize];
        it.number += 1;
        it.says = if says == Says::Accept { Says::Busy } else { says };
        self.says.push_back(Report { driver, number: it.number, seen: it.seen, at: it.at, says });
    }

    fn hear(&mut self, event: Event<u32, u32>) {
        match event {
            Event::Offered(Offer { driver, lease, .. }) => {
                self.fleet[driver as usize].seen = lease;
                self.report(driver, Says::Accept);
            }
            Event::Matched(offer) => self.drive(offer),
            // His acceptance crossed the end of the offer.
            Event::Passed { driver, .. }
            | Event::Withdrawn { driver, .. }
            | Event::TooLate { driver, .. } => self.report(driver, Says::Free),
            Event::Ended { why, .. } => {
                *self.tally.ended.entry(why).or_default() += 1;
                self.answered += 1;
            }
            _ => {}
        }
    }

    fn drive(&mut self, offer: Offer<u32, u32>) {
        let Offer { rider, driver, lease, stage, distance_m, waited } = offer;
        self.tally.matched.entry(stage).or_default().push((distance_m, waited));
        self.answered += 1;
        let ride = self.replay.rides[rider as usize];
        let it = &mut self.fleet[driver as usize];
        it.seen = it.seen.max(lease);
        it.says = Says::Busy;
        it.at = ride.pickup;
        let comes = Duration::from_secs_f64(distance_m * DETOUR / SPEED_M_S);
        let ends = rt::now() + (comes + ride.lasts).div_f64(self.replay.speed);
        self.plans.push(Reverse((ends, Does::Arrive { driver, ride: rider })));
    }
}
