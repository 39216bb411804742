//! Counters of sources, over all that happens to those who tell them.
//!
//! What always holds: a counter that was told does not go back. One that is less than before was begun again, and what it was before is
//! added; one that is not told any more stays as it was.

use std::collections::BTreeMap;

use super::{
    Kind,
    source::{Labels, Samples, Shown, Value},
};

/// Counters that are remembered; further ones are as they are told.
///
/// 16,384 are a few megabytes: dozens for each of hundreds of processes, or what a few counters with a thousand sets of labels have.
const COUNTERS_MAX: usize = 16_384;

/// A counter from scrape to scrape.
#[derive(Clone, Copy)]
struct Counter {
    /// Of those before it.
    before: Value,
    told: Value,
}

/// What counters were told until now.
#[derive(Default)]
pub(super) struct Kept {
    counters: BTreeMap<(&'static str, Labels), (super::Family, Counter)>,
}

impl Kept {
    /// Adds what sources have told to what the core shows.
    pub(super) fn add(&mut self, told: Samples<'_>, to: &mut Samples<'_>) {
        for (family, series) in told.families.into_values() {
            for (labels, shown) in series {
                let Shown::Value(value) = shown else { continue };
                let here = super::Family { labels: labels.1, ..family };
                if family.kind != Kind::Counter || !self.note(here, &labels, value) {
                    put(to, &here, &labels, value);
                }
            }
        }
        for ((_, labels), (family, counter)) in &self.counters {
            put(to, family, labels, counter.before.and(counter.told));
        }
    }

    /// Whether there was room for it.
    fn note(&mut self, family: super::Family, labels: &Labels, value: Value) -> bool {
        let key = (family.name, labels.clone());
        let fits = self.counters.len() < COUNTERS_MAX;
        let Some((_, counter)) = self.counters.get_mut(&key) else {
            let before = Value::Count(0);
            let counter = Counter { before, told: value };
            if fits {
                self.counters.insert(key, (family, counter));
            }
            return fits;
        };
        if value.as_f64() < counter.told.as_f64() {
            counter.before = counter.before.and(counter.told);
        }
        counter.told = value;
        true
    }
}

fn put(to: &mut Samples<'_>, family: &super::Family, (values, _): &Labels, value: Value) {
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    to.put(family, &values, value);
}
