//! Calls that wait for a worker, as a value.

use std::collections::BTreeMap;

/// A place in the line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place(u64);

/// Calls that wait, by the order in which they came.
pub(super) struct Line<T> {
    waiting: BTreeMap<u64, T>,
    next: u64,
    capacity: usize,
}

impl<T> Line<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: BTreeMap::new(), next: 0, capacity }
    }

    /// Takes a place at the end. Err: there is none.
    pub(super) fn push(&mut self, call: T) -> Result<Place, T> {
        if self.waiting.len() >= self.capacity {
            return Err(call);
        }
        let place = self.next;
        self.next += 1;
        self.waiting.insert(place, call);
        Ok(Place(place))
    }

    /// Who is next.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.waiting.pop_first().map(|(_, call)| call)
    }

    /// Gives up a place; `None` when it was served already.
    pub(super) fn leave(&mut self, place: Place) -> Option<T> {
        self.waiting.remove(&place.0)
    }

    /// Empties it, in order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.waiting).into_values()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
