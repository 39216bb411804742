//! The drivers' side of the decider: what they report, and what follows from it.
//!
//! | he says | while free | while asked | while matched |
//! |---|---|---|---|
//! | `Free` | is there for the next | still asked | over, if he has seen the match; else only a position |
//! | `Busy` | is not | no, unless he has seen the offer: then he answers | a position |
//! | `Gone` | is not | no | the match is lost |
//! | `Accept` of that lease | | a match, within the lease | known already |
//! | `Accept` of another | too late | too late | too late |
//! | `Refuse` of that lease | | no | the match is lost |
//!
//! `Free`, `Busy` and `Gone` count when their number is above the last; answers count by their lease.

use std::{
    cmp::Reverse,
    hash::Hash,
    time::{Duration, Instant},
};

use super::{
    super::{
        Event, Lease, Passed, Report, Says,
        state::{Driver, Hold},
    },
    Decider, Timer,
};

/// How long a driver who is silent or has gone home is remembered: his reports that are still under way are old news that long.
const FORGET: Duration = Duration::from_secs(60);

impl<R: Clone + Eq + Hash, D: Clone + Eq + Hash> Decider<R, D> {
    pub(super) fn report(&mut self, now: Instant, report: Report<D>) {
        self.counters.reports += 1;
        let slot = match self.driver_slots.get(&report.driver) {
            Some(&slot) => slot,
            None => {
                if self.drivers.len() >= self.policy.drivers_max {
                    self.counters.reports_full += 1;
                    return;
                }
                self.welcome(now, &report)
            }
        };
        let Some(driver) = self.drivers.get_mut(slot) else { return };
        let is_news = report.number > driver.number;
        if is_news {
            driver.number = report.number;
            driver.at = report.at;
            driver.heard = now;
            driver.is_mute = false;
            driver.is_silent = false;
        }
        let is_riding = |driver: &Driver<R, D>, seen| matches!(driver.hold, Hold::Riding { lease, .. } if lease <= seen);
        match report.says {
            // What an answer answers is the offer that it names, in whichever order it comes.
            Says::Accept => self.accept(now, slot, report.seen, is_news),
            Says::Refuse => self.refuse(now, slot, report.seen, is_news),
            _ if !is_news => {
                self.counters.reports_old += 1;
                return;
            }
            Says::Free => {
                driver.is_free = true;
                if is_riding(driver, report.seen) {
                    self.end_ride(slot);
                }
            }
            Says::Busy => {
                driver.is_free = false;
                // Who has seen the offer and is busy may be so because of it; then his answer is under way.
                if matches!(driver.hold, Hold::Offered { lease, .. } if lease > report.seen) {
                    self.pass(now, slot, Passed::Busy);
                }
            }
            Says::Gone => {
                driver.is_free = false;
                self.lose(slot, Passed::Gone);
                self.pass(now, slot, Passed::Gone);
            }
        }
        self.set_driver_timer(slot);
        self.settle(now, slot);
    }

    /// A driver who was not known. His report is handled as news afterwards.
    fn welcome(&mut self, now: Instant, report: &Report<D>) -> u32 {
        let slot = self.drivers.insert(Driver {
            key: report.driver.clone(),
            // The first number is 1, as in all that counts; a 0 would be old news.
            number: 0,
            at: report.at,
            heard: now,
            is_free: false,
            is_mute: false,
            is_silent: false,
            hold: Hold::None,
            last_match: 0,
            last_rider: None,
            due: None,
        });
        self.driver_slots.insert(report.driver.clone(), slot);
        self.set_driver_timer(slot);
        slot
    }

    /// A driver takes an offer.
    fn accept(&mut self, now: Instant, slot: u32, lease: Lease, is_news: bool) {
        let Some(driver) = self.drivers.get(slot) else { return };
        let known = driver.last_match == lease;
        let rider_slot = match driver.hold {
            Hold::Offered { rider, lease: his } if his == lease => Some(rider),
            _ => None,
        };
        let asked = rider_slot.and_then(|rider| self.riders.get(rider)?.offer);
        if known {
            self.counters.reports_old += u64::from(!is_news);
        } else if let (Some(rider_slot), Some(asked)) = (rider_slot, asked)
            && now < asked.ends
        {
            self.make_match(now, rider_slot, asked);
        } else {
            if asked.is_some() {
                // The lease has ended, and its timer has not been looked at yet.
                self.pass(now, slot, Passed::Silent);
            }
            let Some(driver) = self.drivers.get(slot) else { return };
            self.counters.too_late += 1;
            self.said.push_back(Event::TooLate { driver: driver.key.clone(), lease });
        }
    }

    /// A driver does not take an offer, or gives up a match.
    fn refuse(&mut self, now: Instant, slot: u32, seen: Lease, is_news: bool) {
        let Some(driver) = self.drivers.get_mut(slot) else { return };
        match driver.hold {
            Hold::Offered { lease, .. } if lease == seen => self.pass(now, slot, Passed::Refused),
            Hold::Riding { lease, .. } if lease == seen => {
                driver.is_free = false;
                self.lose(slot, Passed::Refused);
            }
            _ => {
                self.counters.reports_old += u64::from(!is_news);
                // That he is free again has overtaken this: nobody was driven.
                if driver.last_match == seen
                    && let Some(rider) = driver.last_rider.take()
                {
                    let (driver, lease, why) = (driver.key.clone(), seen, Passed::Refused);
                    self.counters.lost += 1;
                    self.said.push_back(Event::Lost { rider, driver, lease, why });
                }
            }
        }
    }

    /// A match ends by its driver; nothing if he has none.
    fn lose(&mut self, slot: u32, why: Passed) {
        let Some(driver) = self.drivers.get_mut(slot) else { return };
        if !matches!(driver.hold, Hold::Riding { .. }) {
            return;
        }
        let hold = std::mem::replace(&mut driver.hold, Hold::None);
        if let Hold::Riding { rider: Some(rider), lease } = hold {
            let driver = driver.key.clone();
            self.places.remove(&rider);
            self.counters.lost += 1;
            self.said.push_back(Event::Lost { rider, driver, lease, why });
        }
    }

    /// A driver has brought his rider where he wanted to go.
    fn end_ride(&mut self, slot: u32) {
        let Some(driver) = self.drivers.get_mut(slot) else { return };
        let hold = std::mem::replace(&mut driver.hold, Hold::None);
        if let Hold::Riding { rider: Some(rider), .. } = hold {
            self.places.remove(&rider);
            driver.last_rider = Some(rider);
        }
    }

    /// A driver's state has changed: puts him where he belongs, and gives him to somebody who waits.
    pub(super) fn settle(&mut self, now: Instant, slot: u32) {
        let Some(driver) = self.drivers.get(slot) else { return };
        if driver.is_available() {
            self.free.place(slot, &driver.at);
            self.serve(now, slot);
        } else {
            self.free.remove(slot);
        }
    }

    pub(super) fn look_at_driver(&mut self, now: Instant, slot: u32, due: Instant) {
        let Some(driver) = self.drivers.get_mut(slot) else { return };
        if driver.due != Some(due) {
            return;
        }
        driver.due = None;
        if now < driver.heard + self.policy.silence {
            return self.set_driver_timer(slot);
        }
        driver.is_silent = true;
        self.free.remove(slot);
        let forget = driver.heard + self.policy.silence + FORGET;
        match driver.hold {
            Hold::None if now >= forget => {
                let key = driver.key.clone();
                self.drivers.remove(slot);
                self.driver_slots.remove(&key);
            }
            Hold::None | Hold::Offered { .. } => {
                let due = forget.max(now + FORGET);
                driver.due = Some(due);
                self.timers.push(Reverse((due, Timer::Driver(slot))));
            }
            // Remembered until he says something: else he could be given away.
            Hold::Riding { .. } => {}
        }
    }

    pub(super) fn set_driver_timer(&mut self, slot: u32) {
        let Some(driver) = self.drivers.get_mut(slot) else { return };
        if driver.due.is_none() {
            let due = driver.heard + self.policy.silence;
            driver.due = Some(due);
            self.timers.push(Reverse((due, Timer::Driver(slot))));
        }
    }
}
