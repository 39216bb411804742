//! Who drove whom, over all lives of a node, from two journals that know nothing of each other: that of the process which books drivers,
//! and that of the process which leads rides through their states.
//!
//! The types here are written down a second time, so that a change of what is on the disk is noticed.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;
use towpath_journal::{Lsn, Record, Writer};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Key {
    Number(i64),
    Word(String),
}

#[derive(Deserialize)]
enum Booking {
    Matched(Key, Ride),
    Over(Key),
}

#[derive(Deserialize)]
struct Ride {
    driver: Key,
    _lease: u64,
    _told: Vec<u8>,
}

/// An event that a ride has handled: time, id, and which event it is by whom, with headers and message.
type Handled<'a> = (u64, Option<u64>, (u16, bool, &'a [u8], &'a [u8]));

/// The kind of both records.
const BOOKING: u16 = 1;
const EVENT: u16 = 2;

/// Which ride each driver has, and which driver each ride has had.
#[derive(Default)]
struct Drivers {
    rides: BTreeMap<Key, Key>,
    drivers: BTreeMap<Key, Key>,
    driving: BTreeMap<Key, Key>,
}

impl Drivers {
    fn begins(&mut self, ride: &Key, driver: &Key, lsn: Lsn) {
        if let Some(other) = self.rides.insert(ride.clone(), driver.clone()) {
            panic!("record {lsn}: ride {ride:?} has driver {driver:?}, and had {other:?}");
        }
        if let Some(other) = self.driving.insert(driver.clone(), ride.clone()) {
            panic!("record {lsn}: driver {driver:?} has ride {ride:?}, and still has {other:?}");
        }
        self.drivers.insert(ride.clone(), driver.clone());
    }

    fn ends(&mut self, ride: &Key) {
        if let Some(driver) = self.drivers.remove(ride) {
            self.driving.remove(&driver);
        }
    }
}

/// Each record of a journal, from its first.
fn each(journal: &Path, mut does: impl FnMut(Record<'_>)) {
    let writer = Writer::open(journal).unwrap();
    assert_eq!(writer.oldest(), Lsn(1), "the beginning was let go of, and cannot be looked at");
    let mut reader = writer.reader(Lsn(1)).unwrap();
    while let Some(record) = reader.next().unwrap() {
        does(record);
    }
}

/// Rides that never ended for who books drivers: ride, and driver.
pub(super) fn open(data: &Path) -> Vec<(String, String)> {
    let mut booked = Drivers::default();
    bookings(data, &mut booked);
    let words = |key: Key| match key {
        Key::Number(number) => number.to_string(),
        Key::Word(word) => word,
    };
    booked.drivers.into_iter().map(|(ride, driver)| (words(ride), words(driver))).collect()
}

/// What who books drivers has noted.
fn bookings(data: &Path, booked: &mut Drivers) {
    each(&data.join("rides/dispatch"), |record| {
        if record.kind != BOOKING {
            return;
        }
        match postcard::from_bytes(record.payload).unwrap() {
            Booking::Matched(ride, Ride { driver, .. }) => {
                booked.begins(&ride, &driver, record.lsn);
            }
            Booking::Over(ride) => booked.ends(&ride),
        }
    });
}

/// Panics if ever a driver had two rides, or a ride two drivers; says how many rides had one. `data` is that of a node that has ended.
pub(super) fn check(data: &Path, table: &str) -> usize {
    let mut booked = Drivers::default();
    bookings(data, &mut booked);
    let events = table.lines().find_map(|line| line.strip_prefix("events: [")).unwrap();
    let events: Vec<&str> = events.trim_end_matches(']').split(", ").collect();
    let mut driven = Drivers::default();
    each(&data.join("rides/life"), |record| {
        if record.kind != EVENT {
            return;
        }
        let ride: Key = postcard::from_bytes(record.key).unwrap();
        let (_, _, (event, _, _, message)): Handled<'_> =
            postcard::from_bytes(record.payload).unwrap();
        match events[usize::from(event)] {
            "Match" => {
                let message: Value = serde_json::from_slice(message).unwrap();
                let driver = match &message["driver"] {
                    Value::Number(number) => Key::Number(number.as_i64().unwrap()),
                    word => Key::Word(word.as_str().unwrap().to_owned()),
                };
                driven.begins(&ride, &driver, record.lsn);
                assert_eq!(booked.rides.get(&ride), Some(&driver), "ride {ride:?} was booked so");
            }
            "DropOff" | "NoDriver" | "Cancel" => driven.ends(&ride),
            _ => {}
        }
    });
    driven.rides.len()
}
