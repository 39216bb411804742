//! Instances that have ended and are still kept, from the one that ended first.
//!
//! What always holds: each key stands here at most once, and the instance of each is in a final state. Nothing stands here when all are
//! kept for ever.

use std::collections::VecDeque;
use std::time::Duration;

use super::store::Key;

#[derive(Debug)]
pub(super) struct Ended<K> {
    order: VecDeque<(u64, K)>,
    most: usize,
    /// In microseconds.
    longest: u64,
}

impl<K: Key> Ended<K> {
    /// Keeps at most so many, none for longer than that.
    pub(super) fn keeping(most: usize, longest: Duration) -> Self {
        let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        Self { order: VecDeque::new(), most, longest }
    }

    pub(super) fn for_ever() -> Self {
        Self::keeping(usize::MAX, Duration::MAX)
    }

    pub(super) fn add(&mut self, key: &K, now: u64) {
        if self.most < usize::MAX || self.longest < u64::MAX {
            self.order.push_back((now, key.clone()));
        }
    }

    /// The one that is kept no longer.
    pub(super) fn over(&self, now: u64) -> Option<&K> {
        let (since, key) = self.order.front()?;
        let is_over = self.order.len() > self.most || now.saturating_sub(*since) > self.longest;
        is_over.then_some(key)
    }

    pub(super) fn remove(&mut self, key: &K) {
        // It is the first, but for a journal that was written while others were kept.
        match self.order.front() {
            Some((_, first)) if first == key => _ = self.order.pop_front(),
            _ => self.order.retain(|(_, other)| other != key),
        }
    }

    /// From the one that ended first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &K> {
        self.order.iter().map(|(_, key)| key)
    }
}
