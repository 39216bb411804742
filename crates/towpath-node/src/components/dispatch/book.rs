//! Who drives whom: what a dispatcher must not forget, as a value.
//!
//! What always holds: a ride has at most one driver and a driver at most one ride. A driver with a ride is free again when somebody says
//! that this ride is over, and by nothing else: not by a report that was under way meanwhile, nor by a restart.
//!
//! Why beside the decider, which knows it too: the decider is new after a restart. Drivers whose rides it does not know are held back
//! here.

use std::collections::{HashMap, HashSet, VecDeque};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use towpath_patterns::dispatch::Lease;

use super::super::key::Key;

/// A ride that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ride {
    pub(super) driver: Key,
    pub(super) lease: Lease,
    /// What was told of the match, as JSON, for whoever asks again.
    pub(super) told: Vec<u8>,
    /// Made before the last restart, so that the decider does not know of it.
    #[serde(skip, default = "yes")]
    pub(super) is_old: bool,
}

impl Ride {
    /// What was told of the match.
    pub(super) fn told(&self) -> Value {
        // It was written by this program.
        serde_json::from_slice(&self.told).unwrap_or_default()
    }

    /// The same, for whoever may have heard it.
    pub(super) fn again(&self) -> Value {
        let mut told = self.told();
        told["again"] = true.into();
        told
    }
}

fn yes() -> bool {
    true
}

/// What has to survive, as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Record {
    Matched(Key, Ride),
    Over(Key),
}

/// Rides that are over and not forgotten: who asks again for one of them is late by minutes at least. They take some megabytes.
const OVER_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Book {
    rides: IndexMap<Key, Ride>,
    driving: HashMap<Key, Key>,
    over: HashSet<Key>,
    /// The same, in their order.
    over_since: VecDeque<Key>,
}

impl Book {
    /// The ride of that key, if it is under way.
    pub(super) fn ride(&self, ride: &Key) -> Option<&Ride> {
        self.rides.get(ride)
    }

    /// Which ride a driver has.
    pub(super) fn of_driver(&self, driver: &Key) -> Option<(&Key, &Ride)> {
        let ride = self.driving.get(driver)?;
        self.rides.get_key_value(ride)
    }

    /// What a record says. Live as in a replay.
    pub(super) fn apply(&mut self, record: Record) {
        match record {
            Record::Matched(key, ride) => {
                self.driving.insert(ride.driver.clone(), key.clone());
                self.rides.insert(key, ride);
            }
            Record::Over(key) => {
                if let Some(ride) = self.rides.swap_remove(&key) {
                    self.driving.remove(&ride.driver);
                    self.forget_later(key);
                }
            }
        }
    }

    fn forget_later(&mut self, key: Key) {
        if self.over.insert(key.clone()) {
            self.over_since.push_back(key);
        }
        if self.over.len() > OVER_MAX
            && let Some(oldest) = self.over_since.pop_front()
        {
            self.over.remove(&oldest);
        }
    }

    /// Whether that ride was under way and is over; known of the latest.
    pub(super) fn is_over(&self, ride: &Key) -> bool {
        self.over.contains(ride)
    }

    /// Those that are under way.
    pub(super) fn rides(&self) -> impl Iterator<Item = (&Key, &Ride)> {
        self.rides.iter()
    }

    /// How many rides are under way.
    pub(super) fn len(&self) -> usize {
        self.rides.len()
    }

    /// Everything, for a checkpoint.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        let all: Vec<(&Key, &Ride)> = self.rides.iter().collect();
        postcard::to_allocvec(&(all, &self.over_since))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let (all, over): (Vec<(Key, Ride)>, Vec<Key>) = postcard::from_bytes(bytes)?;
        let mut book = Self::default();
        all.into_iter().for_each(|(key, ride)| book.apply(Record::Matched(key, ride)));
        over.into_iter().for_each(|key| book.forget_later(key));
        Ok(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(ride: i64, driver: i64) -> Record {
        let driver = Key::Number(driver);
        Record::Matched(
            Key::Number(ride),
            Ride { driver, lease: 9, told: b"{}".to_vec(), is_old: true },
        )
    }

    #[test]
    fn a_book_is_what_its_records_say_and_comes_back_from_its_bytes() {
        let mut book = Book::default();
        book.apply(matched(1, 10));
        book.apply(matched(2, 20));
        book.apply(Record::Over(Key::Number(1)));
        book.apply(Record::Over(Key::Number(7)));
        assert!(book.of_driver(&Key::Number(10)).is_none());
        let book = Book::from_bytes(&book.to_bytes().unwrap()).unwrap();
        let (ride, is) = book.of_driver(&Key::Number(20)).unwrap();
        assert_eq!(
            (ride, &is.driver, is.lease, book.len()),
            (&Key::Number(2), &Key::Number(20), 9, 1)
        );
        let over = [1, 2, 7].map(|ride| book.is_over(&Key::Number(ride)));
        assert_eq!(over, [true, false, false]);
        let record = matched(3, 30);
        let bytes = postcard::to_allocvec(&record).unwrap();
        assert_eq!(postcard::from_bytes::<Record>(&bytes).unwrap(), record);
    }
}
