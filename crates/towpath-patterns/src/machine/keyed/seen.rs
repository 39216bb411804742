//! Ids of events that were handled, the latest of them, to notice an event that comes twice.
//!
//! What always holds: the last `capacity` ids are known and no others, so memory is bounded. An id belongs to its key: two keys may
//! use the same.

use std::collections::VecDeque;

use indexmap::IndexSet;

use super::store::Key;

#[derive(Debug)]
pub(super) struct Seen<K> {
    known: IndexSet<(K, u64)>,
    order: VecDeque<(K, u64)>,
    capacity: usize,
}

impl<K: Key> Seen<K> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { known: IndexSet::new(), order: VecDeque::new(), capacity }
    }

    pub(super) fn has(&self, key: &K, id: u64) -> bool {
        // A set of pairs cannot be asked with a borrowed half; the key of a duplicate is cloned, and of a new one too.
        self.capacity > 0 && self.known.contains(&(key.clone(), id))
    }

    pub(super) fn add(&mut self, key: &K, id: u64) {
        if self.capacity == 0 || !self.known.insert((key.clone(), id)) {
            return;
        }
        self.order.push_back((key.clone(), id));
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.swap_remove(&oldest);
        }
    }

    /// From the oldest to the latest.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &(K, u64)> {
        self.order.iter()
    }
}
