//! A driver who becomes free, or moves while he is, looks for the riders who wait around him.
//!
//! Riders do not look again: their timers are the end of the window and the end of the request. So what a report costs is by who waits in the
//! driver's reach, not by who waits: a queue of thousands who are all far away costs him a few words of the grid.

use std::{hash::Hash, time::Instant};

use super::{
    super::{
        Found, Stage,
        state::{Driver, Phase, Rider},
    },
    Decider,
};

/// Riders whose distances differ by less stand in the same place: at the exit of a stadium, with one address.
const SAME_PLACE_M: f64 = 0.5;

/// Riders at the head of the backup queue who are looked at before the grid is. Where most who wait are in reach, one of them is the one;
/// where few are, these looks are lost and cost about as much as a search.
const HEAD: usize = 16;

impl<R: Clone + Eq + Hash, D: Clone + Eq + Hash> Decider<R, D> {
    /// A driver who is available is offered to those who wait: the nearest who is near, or else the first of the backup queue in reach.
    pub(super) fn serve(&mut self, now: Instant, slot: u32) {
        if self.seeking.is_empty() {
            return;
        }
        let Some(driver) = self.drivers.get(slot) else { return };
        if !self.policy.geofence.contains(&driver.at) {
            return;
        }
        let may = |rider: u32| {
            let rider = self.riders.get(rider)?;
            (now < rider.give_up && !rider.passed.contains(&slot)).then_some(rider)
        };
        let near = self.seeking.nearest(&driver.at, self.policy.near_m, |it| may(it).is_some());
        let found = match near {
            Some(found) => Some((self.oldest_beside(found, driver, may), found.distance_m)),
            None => self.first_in_reach(driver, may),
        };
        if let Some((rider, distance_m)) = found {
            let is_backup = self.riders.get(rider).is_some_and(|it| it.phase == Phase::Backup);
            let stage = if is_backup { Stage::Backup } else { Stage::Near };
            self.offer(now, rider, slot, stage, distance_m);
        }
    }

    /// Of those who stand where `found` stands, the one who came first.
    fn oldest_beside<'a>(
        &'a self,
        found: Found,
        driver: &Driver<R, D>,
        may: impl Fn(u32) -> Option<&'a Rider<R>>,
    ) -> u32 {
        let mut oldest = (u64::MAX, found.number);
        self.seeking.within(&driver.at, found.distance_m + SAME_PLACE_M, |slot| {
            if let Some(rider) = may(slot) {
                oldest = oldest.min((rider.number, slot));
            }
        });
        oldest.1
    }

    /// The first of the backup queue who is within the wide circle, and how far away.
    fn first_in_reach<'a>(
        &'a self,
        driver: &Driver<R, D>,
        may: impl Fn(u32) -> Option<&'a Rider<R>>,
    ) -> Option<(u32, f64)> {
        let wide_m = self.policy.wide_m;
        let in_reach = |slot: u32| {
            let distance_m = may(slot)?.pickup.distance_m(&driver.at);
            (distance_m <= wide_m).then_some((slot, distance_m))
        };
        let head = self.backup.iter().take(HEAD).find_map(|&(_, _, slot)| in_reach(slot));
        if head.is_some() || self.backup.len() <= HEAD {
            return head;
        }
        let mut first = None;
        self.seeking.within(&driver.at, wide_m, |slot| {
            if let Some(rider) = may(slot).filter(|it| it.phase == Phase::Backup) {
                let place = (rider.arrived, rider.number, slot);
                first = Some(first.map_or(place, |first: (_, _, _)| first.min(place)));
            }
        });
        let (_, _, slot) = first?;
        let distance_m = self.riders.get(slot)?.pickup.distance_m(&driver.at);
        Some((slot, distance_m))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use super::{
        super::super::{Event, Input, Point, Policy, Report, Says},
        *,
    };

    fn at(metres: f64) -> Point {
        Point::new(52.52, 13.405).unwrap().moved(0.0, metres)
    }

    /// Riders in the backup queue at these places, the first one first, and when they are.
    fn queue(places: impl Iterator<Item = f64>) -> (Decider<usize, u32>, Instant) {
        let begun = Instant::now();
        let mut decider = Decider::new(Policy::default(), 1).unwrap();
        for (rider, place) in places.enumerate() {
            let arrived = begun + Duration::from_micros(rider as u64);
            decider.on(arrived, Input::Request { rider, pickup: at(place), arrived });
        }
        let now = begun + Duration::from_millis(400);
        while decider.next_due().is_some_and(|due| due <= now) {
            decider.advance(now);
        }
        while decider.next_event().is_some() {}
        (decider, now)
    }

    /// A driver here says that he is free; whom he is offered to.
    fn free(
        decider: &mut Decider<usize, u32>,
        now: Instant,
        driver: u32,
        place: f64,
    ) -> Option<usize> {
        let report = Report { driver, number: 1, seen: 0, at: at(place), says: Says::Free };
        decider.on(now, Input::Report(report));
        match decider.next_event()? {
            Event::Offered(offer) => Some(offer.rider),
            other => panic!("{other:?}"),
        }
    }

    /// How many riders a driver who is here looks at to find the first in reach, and who that is.
    fn looked_at(
        decider: &mut Decider<usize, u32>,
        now: Instant,
        driver: u32,
        place: f64,
    ) -> (Option<u32>, usize) {
        let report = Report { driver, number: 1, seen: 0, at: at(place), says: Says::Busy };
        decider.on(now, Input::Report(report));
        let slot = decider.driver_slots[&driver];
        let looked = Cell::new(0);
        let found = decider.first_in_reach(decider.drivers.get(slot).unwrap(), |rider| {
            looked.set(looked.get() + 1);
            decider.riders.get(rider)
        });
        (found.map(|(rider, _)| rider), looked.get())
    }

    #[test]
    fn who_waits_far_away_is_not_looked_at() {
        let (mut decider, now) = queue((0..3000).map(|it| 20_000.0 + f64::from(it)));
        assert_eq!(decider.backup.len(), 3000);
        assert_eq!(looked_at(&mut decider, now, 1, 0.0), (None, HEAD));
        assert_eq!(free(&mut decider, now, 2, 0.0), None);
        // All are in reach: the first will do.
        assert_eq!(looked_at(&mut decider, now, 3, 22_000.0), (Some(0), 1));
    }

    #[test]
    fn behind_those_who_are_far_the_first_in_reach_is_found() {
        // One in a hundred is 2 to 4.9 km away, the later the nearer.
        let place = |it: u32| if it % 100 == 99 { 4900.0 - f64::from(it) } else { 40_000.0 };
        let (mut decider, now) = queue((0..2900).map(place));
        let (first, looked) = looked_at(&mut decider, now, 1, 0.0);
        assert_eq!(first, Some(99));
        assert!(looked <= HEAD + 2 * 29, "{looked} of 2,900");
        for (driver, rider) in (2..30).zip((99..2900).step_by(100)) {
            assert_eq!(free(&mut decider, now, driver, 0.0), Some(rider));
        }
    }

    #[test]
    fn in_one_place_the_first_is_the_first() {
        let (mut decider, now) = queue((0..500).map(|_| 100.0));
        for (driver, rider) in (0..500).zip(0..500) {
            assert_eq!(free(&mut decider, now, driver, 0.0), Some(rider));
        }
        assert_eq!(free(&mut decider, now, 500, 0.0), None);
    }
}
