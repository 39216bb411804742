//! Who waits and who drives: the tables behind the [decider](super::Decider), and what may be said of one entry.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, DefaultHasher},
    time::Instant,
};

use super::{Lease, Point, Stage};

/// The same hashes in every run. It is only asked for keys, never iterated.
pub(super) type Places<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// Entries under small numbers that are used again.
pub(super) struct Slab<T> {
    entries: Vec<Option<T>>,
    unused: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), unused: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.unused.len()
    }

    pub(super) fn insert(&mut self, entry: T) -> u32 {
        match self.unused.pop() {
            Some(slot) => {
                self.entries[slot as usize] = Some(entry);
                slot
            }
            None => {
                self.entries.push(Some(entry));
                (self.entries.len() - 1) as u32
            }
        }
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        self.unused.push(slot);
        Some(entry)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&T> {
        self.entries.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.entries.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let numbered = self.entries.iter().enumerate();
        numbered.filter_map(|(slot, entry)| Some((slot as u32, entry.as_ref()?)))
    }
}

/// Where a rider's name leads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// To a request.
    Waiting(u32),
    /// To the driver he is matched with.
    Riding(u32),
}

/// How far the search for a rider has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Waits until then to be matched together with others.
    Gathering(Instant),
    /// Only drivers who are near will do.
    Near,
    /// Stands in the backup queue.
    Backup,
}

/// A request.
pub(super) struct Rider<R> {
    pub(super) id: R,
    /// Counted by requests, since a slot is used again.
    pub(super) number: u64,
    pub(super) pickup: Point,
    pub(super) arrived: Instant,
    pub(super) deadline: Instant,
    /// When the search ends.
    pub(super) give_up: Instant,
    pub(super) phase: Phase,
    /// Of whom an answer is awaited.
    pub(super) offer: Option<Asked>,
    /// Drivers who will not be asked again.
    pub(super) passed: Vec<u32>,
    /// When it is to be looked at next.
    pub(super) due: Option<Instant>,
}

/// An offer that a driver has not answered.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) driver: u32,
    pub(super) lease: Lease,
    pub(super) ends: Instant,
    pub(super) stage: Stage,
    pub(super) distance_m: f64,
}

/// What a driver has to do with riders.
#[derive(PartialEq)]
pub(super) enum Hold<R> {
    None,
    /// Has been asked, for the rider in this slot.
    Offered {
        rider: u32,
        lease: Lease,
    },
    /// Is matched. The rider is `None` when he has cancelled.
    Riding {
        rider: Option<R>,
        lease: Lease,
    },
}

/// A driver.
pub(super) struct Driver<R, D> {
    pub(super) key: D,
    /// Of his latest report.
    pub(super) number: u64,
    pub(super) at: Point,
    pub(super) heard: Instant,
    /// By his latest report.
    pub(super) is_free: bool,
    /// Has left an offer unanswered, and has said nothing since.
    pub(super) is_mute: bool,
    /// Has said nothing for long.
    pub(super) is_silent: bool,
    pub(super) hold: Hold<R>,
    /// His last match.
    pub(super) last_match: Lease,
    /// Whose ride it was, when he has said that he is free since.
    pub(super) last_rider: Option<R>,
    /// When he is to be looked at next.
    pub(super) due: Option<Instant>,
}

impl<R, D> Driver<R, D> {
    pub(super) fn is_available(&self) -> bool {
        self.is_free && !self.is_mute && !self.is_silent && matches!(self.hold, Hold::None)
    }
}
