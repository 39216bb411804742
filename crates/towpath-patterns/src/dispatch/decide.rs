//! The decider: requests, reports, rules and the time come in, decisions come out. It does no I/O and knows no clock.
//!
//! What always holds:
//! - A driver is free, or asked for one rider, or matched with one; the grid of free drivers has exactly the first kind
//!   ([`Driver::is_available`]), and searches look nowhere else.
//! - What ends an offer or a match names its lease or has seen it. So a report that is late, doubled or out of order ends nothing that its
//!   driver did not know of.
//! - A rider who waits without an offer is in the grid of seekers, and with `Phase::Backup` in the queue too.
//! - Who waits is not searched for again: a driver who becomes free, or moves, looks for those who wait around him (`serve.rs`).
//! - A request has one timer that counts, `due`; older ones in the heap are skipped. It ends at `give_up` at the latest.

mod drivers;
mod serve;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
    fmt,
    hash::Hash,
    time::Instant,
};

use super::{
    BadPolicy, Counters, Ended, Event, Grid, Input, Lease, Offer, Passed, Point, Policy, Stage,
    assign::{self, Edge},
    state::{Asked, Driver, Hold, Phase, Place, Places, Rider, Slab},
};

/// Timers that are handled in a row, so that a new policy for thousands of riders does not stop everything else.
const TIMERS_AT_ONCE: usize = 256;

/// Drivers that are weighed for each of the riders who are matched together.
const CANDIDATES: usize = 8;

/// The dispatcher as a value. [`Dispatch`](super::Dispatch) runs one as a process.
///
/// ```
/// use std::time::Instant;
/// use towpath_patterns::dispatch::{Decider, Event, Input, Point, Policy, Report, Says};
///
/// let mut decider = Decider::new(Policy::default(), 1)?;
/// let (now, at) = (Instant::now(), Point::new(52.52, 13.40)?);
/// decider.on(now, Input::Report(Report { driver: "Ada", number: 1, seen: 0, at, says: Says::Free }));
/// decider.on(now, Input::Request { rider: "Bob", pickup: at, arrived: now });
/// let Some(Event::Offered(offer)) = decider.next_event() else { panic!("Ada is there") };
/// assert_eq!((offer.rider, offer.driver, offer.lease), ("Bob", "Ada", 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Decider<R, D> {
    policy: Policy,
    riders: Slab<Rider<R>>,
    places: Places<R, Place>,
    drivers: Slab<Driver<R, D>>,
    driver_slots: Places<D, u32>,
    /// Drivers who can be asked.
    free: Grid,
    /// Riders without an offer.
    seeking: Grid,
    /// Those of them who are in the backup queue: the earliest request first.
    backup: BTreeSet<(Instant, u64, u32)>,
    /// Riders who are matched together.
    gathering: Vec<u32>,
    /// When they are.
    gather_ends: Option<Instant>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    next_lease: Lease,
    next_number: u64,
    said: VecDeque<Event<R, D>>,
    counters: Counters,
}

/// Who is to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Rider(u32),
    Driver(u32),
}

impl<R: Clone + Eq + Hash, D: Clone + Eq + Hash> Decider<R, D> {
    /// Knows nobody. Leases are counted from `first_lease`: above all that a dispatcher before this one has given, to whom drivers
    /// may still answer. The time of day in microseconds is.
    ///
    /// # Errors
    /// [`BadPolicy`].
    pub fn new(policy: Policy, first_lease: Lease) -> Result<Self, BadPolicy> {
        policy.check()?;
        let cell_m = policy.cell_m();
        Ok(Self {
            policy,
            riders: Slab::new(),
            places: Places::default(),
            drivers: Slab::new(),
            driver_slots: Places::default(),
            free: Grid::new(cell_m),
            seeking: Grid::new(cell_m),
            backup: BTreeSet::new(),
            gathering: Vec::new(),
            gather_ends: None,
            timers: BinaryHeap::new(),
            next_lease: first_lease.max(1),
            next_number: 0,
            said: VecDeque::new(),
            counters: Counters::default(),
        })
    }

    /// Something happens. What it leads to is said by [`next_event`](Self::next_event).
    pub fn on(&mut self, now: Instant, input: Input<R, D>) {
        match input {
            Input::Request { rider, pickup, arrived } => self.request(now, rider, pickup, arrived),
            Input::Cancel(rider) => self.cancel(now, &rider),
            Input::Report(report) => self.report(now, report),
            Input::Policy(policy) => self.change(now, policy),
        }
    }

    /// The next decision, in the order in which they were made.
    pub fn next_event(&mut self) -> Option<Event<R, D>> {
        self.said.pop_front()
    }

    /// How many decisions wait to be taken.
    pub fn events(&self) -> usize {
        self.said.len()
    }

    /// When to call [`advance`](Self::advance) next.
    pub fn next_due(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// Time has passed: leases end, windows end, requests are late. It does so much and no more; while [`next_due`](Self::next_due) is not in
    /// the future, call it again.
    pub fn advance(&mut self, now: Instant) {
        for _ in 0..TIMERS_AT_ONCE {
            match self.timers.peek() {
                Some(&Reverse((due, timer))) if due <= now => {
                    self.timers.pop();
                    match timer {
                        Timer::Rider(slot) => self.look_at_rider(now, slot, due),
                        Timer::Driver(slot) => self.look_at_driver(now, slot, due),
                    }
                }
                _ => return,
            }
        }
    }

    /// Ends every request that waits: nobody will answer any more.
    pub fn stop(&mut self, now: Instant) {
        let waiting = self.by_age();
        // First all of them from the waiting, so that no driver who becomes free is offered to the next.
        self.backup.clear();
        for slot in &waiting {
            self.seeking.remove(*slot);
        }
        for slot in waiting {
            self.end(now, slot, Ended::Stopped);
        }
    }

    /// The rules in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            waiting: self.riders.len() as u64,
            drivers: self.drivers.len() as u64,
            drivers_free: self.free.len() as u64,
            ..self.counters
        }
    }

    fn request(&mut self, now: Instant, rider: R, pickup: Point, arrived: Instant) {
        self.counters.requests += 1;
        let deadline = arrived + self.policy.deadline;
        // The margin is shorter than the deadline: `Policy::check`.
        let give_up = deadline - self.policy.margin;
        let refusal = if self.places.contains_key(&rider) {
            Some(Ended::Duplicate)
        } else if !self.policy.geofence.contains(&pickup) {
            Some(Ended::OutsideGeofence)
        } else if now >= give_up {
            Some(Ended::Late)
        } else if self.riders.len() >= self.policy.waiting_max {
            Some(Ended::Full)
        } else {
            None
        };
        if let Some(why) = refusal {
            self.count_end(why);
            self.count_missed(now, deadline);
            let waited = now.saturating_duration_since(arrived);
            return self.said.push_back(Event::Ended { rider, waited, why });
        }
        let phase = if self.policy.gather.is_zero() {
            Phase::Near
        } else {
            Phase::Gathering(*self.gather_ends.get_or_insert(now + self.policy.gather))
        };
        let number = self.next_number;
        self.next_number += 1;
        let slot = self.riders.insert(Rider {
            id: rider.clone(),
            number,
            pickup,
            arrived,
            deadline,
            give_up,
            phase,
            offer: None,
            passed: Vec::new(),
            due: None,
        });
        self.places.insert(rider, Place::Waiting(slot));
        if phase == Phase::Near {
            self.search(now, slot);
        } else {
            self.gathering.push(slot);
            self.set_timer(slot);
        }
    }

    fn cancel(&mut self, now: Instant, rider: &R) {
        match self.places.get(rider) {
            Some(&Place::Waiting(slot)) => self.end(now, slot, Ended::Cancelled),
            Some(&Place::Riding(slot)) => {
                self.places.remove(rider);
                let Some(driver) = self.drivers.get_mut(slot) else { return };
                if let Hold::Riding { rider: his, lease } = &mut driver.hold
                    && let Some(rider) = his.take()
                {
                    let (driver, lease) = (driver.key.clone(), *lease);
                    self.counters.cancelled += 1;
                    self.said.push_back(Event::RideCancelled { rider, driver, lease });
                }
            }
            None => self.counters.unknown += 1,
        }
    }

    /// Looks for a driver for a rider who has none, by the phase that it is time for.
    fn search(&mut self, now: Instant, slot: u32) {
        let Some(rider) = self.riders.get(slot) else { return };
        if now >= rider.give_up {
            return self.end(now, slot, Ended::Late);
        }
        let is_wide = rider.phase == Phase::Backup || now >= rider.arrived + self.policy.window;
        let radius_m = if is_wide { self.policy.wide_m } else { self.policy.near_m };
        let found = self.free.nearest(&rider.pickup, radius_m, |driver| {
            !rider.passed.contains(&driver)
                && self.drivers.get(driver).is_some_and(|it| self.policy.geofence.contains(&it.at))
        });
        if let Some(found) = found {
            let stage = match rider.phase {
                Phase::Backup => Stage::Backup,
                _ if found.distance_m <= self.policy.near_m => Stage::Near,
                _ => Stage::Wide,
            };
            return self.offer(now, slot, found.number, stage, found.distance_m);
        }
        if is_wide && rider.phase != Phase::Backup {
            let waited = now.saturating_duration_since(rider.arrived);
            self.said.push_back(Event::Backup { rider: rider.id.clone(), waited });
            self.counters.backup += 1;
            if let Some(rider) = self.riders.get_mut(slot) {
                rider.phase = Phase::Backup;
            }
        }
        self.seek(slot);
        self.set_timer(slot);
    }

    /// The rider waits for a driver.
    fn seek(&mut self, slot: u32) {
        let Some(rider) = self.riders.get(slot) else { return };
        self.seeking.place(slot, &rider.pickup);
        if rider.phase == Phase::Backup {
            self.backup.insert((rider.arrived, rider.number, slot));
        }
    }

    /// Asks a driver, or makes the match when drivers are not asked.
    fn offer(&mut self, now: Instant, slot: u32, driver_slot: u32, stage: Stage, distance_m: f64) {
        self.unseek(slot);
        let Some(rider) = self.riders.get_mut(slot) else { return };
        if now >= rider.give_up {
            return self.end(now, slot, Ended::Late);
        }
        let Some(driver) = self.drivers.get_mut(driver_slot) else { return };
        let lease = self.next_lease;
        self.next_lease += 1;
        self.free.remove(driver_slot);
        driver.hold = Hold::Offered { rider: slot, lease };
        let ends =
            self.policy.lease.map_or(rider.give_up, |lease| (now + lease).min(rider.give_up));
        let asked = Asked { driver: driver_slot, lease, ends, stage, distance_m };
        rider.offer = Some(asked);
        if self.policy.lease.is_none() {
            return self.make_match(now, slot, asked);
        }
        self.counters.offers += 1;
        let offer = Self::told(now, rider, driver, &asked);
        self.said.push_back(Event::Offered(offer));
        self.set_timer(slot);
    }

    fn told(now: Instant, rider: &Rider<R>, driver: &Driver<R, D>, asked: &Asked) -> Offer<R, D> {
        let Asked { lease, stage, distance_m, .. } = *asked;
        let waited = now.saturating_duration_since(rider.arrived);
        let (rider, driver) = (rider.id.clone(), driver.key.clone());
        Offer { rider, driver, lease, stage, distance_m, waited }
    }

    /// The rider gets the driver.
    fn make_match(&mut self, now: Instant, slot: u32, asked: Asked) {
        let Some(rider) = self.riders.remove(slot) else { return };
        let Some(driver) = self.drivers.get_mut(asked.driver) else { return };
        let offer = Self::told(now, &rider, driver, &asked);
        driver.hold = Hold::Riding { rider: Some(rider.id.clone()), lease: asked.lease };
        driver.last_match = asked.lease;
        driver.last_rider = None;
        self.places.insert(rider.id, Place::Riding(asked.driver));
        *match asked.stage {
            Stage::Near => &mut self.counters.matched_near,
            Stage::Wide => &mut self.counters.matched_wide,
            Stage::Backup => &mut self.counters.matched_backup,
        } += 1;
        self.count_missed(now, rider.deadline);
        self.said.push_back(Event::Matched(offer));
    }

    /// An offer ends and its rider goes on; nothing if the driver has none.
    fn pass(&mut self, now: Instant, slot: u32, why: Passed) {
        let Some(driver) = self.drivers.get_mut(slot) else { return };
        let Hold::Offered { rider: rider_slot, lease } = driver.hold else { return };
        driver.hold = Hold::None;
        driver.is_mute |= why == Passed::Silent;
        *match why {
            Passed::Refused => &mut self.counters.passed_refused,
            Passed::Silent => &mut self.counters.passed_silent,
            Passed::Busy => &mut self.counters.passed_busy,
            Passed::Gone => &mut self.counters.passed_gone,
        } += 1;
        let driver = driver.key.clone();
        let Some(rider) = self.riders.get_mut(rider_slot) else { return };
        rider.offer = None;
        rider.passed.push(slot);
        let rider = rider.id.clone();
        self.said.push_back(Event::Passed { rider, driver, lease, why });
        self.search(now, rider_slot);
    }

    /// A request ends without a match.
    fn end(&mut self, now: Instant, slot: u32, why: Ended) {
        self.unseek(slot);
        let Some(rider) = self.riders.remove(slot) else { return };
        self.places.remove(&rider.id);
        if matches!(rider.phase, Phase::Gathering(_)) {
            self.gathering.retain(|it| *it != slot);
            self.gather_ends = self.gather_ends.filter(|_| !self.gathering.is_empty());
        }
        self.count_end(why);
        self.count_missed(now, rider.deadline);
        if let Some(asked) = rider.offer
            && let Some(driver) = self.drivers.get_mut(asked.driver)
        {
            driver.hold = Hold::None;
            let (driver, lease) = (driver.key.clone(), asked.lease);
            self.counters.withdrawn += 1;
            self.said.push_back(Event::Withdrawn { driver, lease });
        }
        let waited = now.saturating_duration_since(rider.arrived);
        self.said.push_back(Event::Ended { rider: rider.id, waited, why });
        if let Some(asked) = rider.offer {
            self.settle(now, asked.driver);
        }
    }

    /// The rider does not wait for a driver, at least for now.
    fn unseek(&mut self, slot: u32) {
        if self.seeking.remove(slot)
            && let Some(rider) = self.riders.get(slot)
            && rider.phase == Phase::Backup
        {
            self.backup.remove(&(rider.arrived, rider.number, slot));
        }
    }

    fn look_at_rider(&mut self, now: Instant, slot: u32, due: Instant) {
        let Some(rider) = self.riders.get_mut(slot) else { return };
        if rider.due != Some(due) {
            return;
        }
        rider.due = None;
        if now >= rider.give_up {
            return self.end(now, slot, Ended::Late);
        }
        if !self.policy.geofence.contains(&rider.pickup) {
            return self.end(now, slot, Ended::OutsideGeofence);
        }
        match (rider.offer, rider.phase) {
            (Some(asked), _) if now >= asked.ends => {
                self.pass(now, asked.driver, Passed::Silent);
                self.settle(now, asked.driver);
            }
            (Some(_), _) => self.set_timer(slot),
            (None, Phase::Gathering(ends)) if now >= ends => self.match_together(now),
            (None, Phase::Gathering(_)) => self.set_timer(slot),
            (None, _) => self.search(now, slot),
        }
    }

    fn set_timer(&mut self, slot: u32) {
        let Some(rider) = self.riders.get_mut(slot) else { return };
        let next = match (rider.offer, rider.phase) {
            (Some(asked), _) => asked.ends,
            (None, Phase::Gathering(ends)) => ends,
            (None, Phase::Near) => rider.arrived + self.policy.window,
            (None, Phase::Backup) => rider.give_up,
        };
        let due = next.min(rider.give_up);
        if rider.due != Some(due) {
            rider.due = Some(due);
            self.timers.push(Reverse((due, Timer::Rider(slot))));
        }
    }

    /// Those who were gathered get drivers so that the distance is the least in all.
    fn match_together(&mut self, now: Instant) {
        let gathered = std::mem::take(&mut self.gathering);
        self.gather_ends = None;
        let (mut edges, mut found) = (Vec::new(), Vec::new());
        for (index, &slot) in gathered.iter().enumerate() {
            let Some(rider) = self.riders.get_mut(slot) else { continue };
            rider.phase = Phase::Near;
            let inside = |driver| {
                let driver = self.drivers.get(driver);
                driver.is_some_and(|it| self.policy.geofence.contains(&it.at))
            };
            let pickup = rider.pickup;
            self.free.nearest_many(&pickup, self.policy.near_m, CANDIDATES, &mut found, inside);
            edges.extend(found.iter().map(|it| Edge {
                rider: index as u32,
                driver: it.number,
                distance_m: it.distance_m,
            }));
        }
        for Edge { rider, driver, distance_m } in assign::assign(gathered.len(), &edges) {
            self.offer(now, gathered[rider as usize], driver, Stage::Near, distance_m);
        }
        for slot in gathered {
            if self.riders.get(slot).is_some_and(|rider| rider.offer.is_none()) {
                self.search(now, slot);
            }
        }
    }

    fn change(&mut self, now: Instant, policy: Policy) {
        if let Err(why) = policy.check() {
            return self.said.push_back(Event::PolicyRefused(why));
        }
        let before = std::mem::replace(&mut self.policy, policy);
        self.counters.policies += 1;
        self.said.push_back(Event::PolicyInForce(self.counters.policies));
        if self.policy.cell_m() != before.cell_m() {
            self.free = Grid::new(self.policy.cell_m());
            self.seeking = Grid::new(self.policy.cell_m());
            for (slot, driver) in self.drivers.iter().filter(|(_, it)| it.is_available()) {
                self.free.place(slot, &driver.at);
            }
            let seekers = |rider: &Rider<R>| {
                rider.offer.is_none() && !matches!(rider.phase, Phase::Gathering(_))
            };
            for (slot, rider) in self.riders.iter().filter(|(_, it)| seekers(it)) {
                self.seeking.place(slot, &rider.pickup);
            }
        }
        // Everybody is looked at again, a few at a time.
        for slot in self.by_age() {
            if let Some(rider) = self.riders.get_mut(slot) {
                rider.due = Some(now);
                self.timers.push(Reverse((now, Timer::Rider(slot))));
            }
        }
        if self.policy.silence < before.silence {
            let drivers: Vec<u32> = self.drivers.iter().map(|(slot, _)| slot).collect();
            for slot in drivers {
                if let Some(driver) = self.drivers.get_mut(slot) {
                    driver.due = None;
                    self.set_driver_timer(slot);
                }
            }
        }
    }

    /// Who waits, the earliest request first.
    fn by_age(&self) -> Vec<u32> {
        let mut waiting: Vec<_> = self.riders.iter().map(|(slot, it)| (it.number, slot)).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, slot)| slot).collect()
    }

    fn count_end(&mut self, why: Ended) {
        *match why {
            Ended::Late => &mut self.counters.late,
            Ended::Cancelled => &mut self.counters.cancelled,
            Ended::OutsideGeofence => &mut self.counters.outside,
            Ended::Full => &mut self.counters.full,
            Ended::Duplicate => &mut self.counters.duplicate,
            Ended::Stopped => &mut self.counters.stopped,
        } += 1;
    }

    fn count_missed(&mut self, now: Instant, deadline: Instant) {
        if let Some(over) = now.checked_duration_since(deadline)
            && !over.is_zero()
        {
            self.counters.missed += 1;
            let us = over.as_micros() as u64;
            self.counters.missed_us_max = self.counters.missed_us_max.max(us);
        }
    }
}

impl<R, D> fmt::Debug for Decider<R, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decider")
            .field("waiting", &self.riders.len())
            .field("drivers", &self.drivers.len())
            .field("free", &self.free.len())
            .finish_non_exhaustive()
    }
}
