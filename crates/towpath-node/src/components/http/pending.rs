//! What was acknowledged and is not done: the fold of the journal of an intake, and which keys were seen lately.
//!
//! What always holds:
//! - A key is pending from its `Accepted` to its `Done`; records of one key that come again change nothing.
//! - Every record below [`Pending::oldest`] is about keys that are done, so the journal needs none of them.
//! - No I/O.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use towpath::Headers;
use towpath_journal::Lsn;
use towpath_patterns::log::Append;

/// A message that was accepted: its payload is the headers and the body.
pub(crate) const ACCEPTED: u16 = 1;
/// It is done.
pub(crate) const DONE: u16 = 2;

/// Keys that are remembered after they are done: with the memory that they take, 100 bytes each.
pub(crate) const SEEN_MAX: usize = 100_000;

/// Headers that are kept with a message; a trace context has a tenth.
const HEADERS_BYTES_MAX: usize = 4096;

/// A message as a record.
pub(crate) fn accepted(key: &str, headers: &Headers, body: &[u8]) -> Append {
    let headers =
        Some(headers.as_bytes()).filter(|it| it.len() <= HEADERS_BYTES_MAX).unwrap_or_default();
    let mut payload = Vec::with_capacity(2 + headers.len() + body.len());
    // It fits: the most is far below.
    payload.extend_from_slice(&(headers.len() as u16).to_le_bytes());
    payload.extend_from_slice(headers);
    payload.extend_from_slice(body);
    Append { kind: ACCEPTED, key: key.as_bytes().to_vec(), payload }
}

/// The headers and the body of a record; `None` if it is none of ours.
pub(crate) fn parts(payload: &[u8]) -> Option<(Headers, &[u8])> {
    let (length, rest) = payload.split_first_chunk::<2>()?;
    let (headers, body) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((Headers::new(headers), body))
}

/// The record that a message is done.
pub(crate) fn done(key: &str) -> Append {
    Append { kind: DONE, key: key.as_bytes().to_vec(), payload: Vec::new() }
}

/// What is not done, by key and by age.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    keys: BTreeMap<String, Lsn>,
    ages: BTreeMap<Lsn, String>,
}

impl Pending {
    /// A record of the journal.
    pub(crate) fn record(&mut self, kind: u16, key: &[u8], lsn: Lsn) {
        let Ok(key) = std::str::from_utf8(key) else { return };
        match kind {
            ACCEPTED => self.accepted(key, lsn),
            DONE => {
                self.done(key);
            }
            _ => {}
        }
    }

    /// A message is durable as this record. One that is pending already is from now on that record.
    pub(crate) fn accepted(&mut self, key: &str, lsn: Lsn) {
        if let Some(before) = self.keys.insert(key.to_owned(), lsn) {
            self.ages.remove(&before);
        }
        self.ages.insert(lsn, key.to_owned());
    }

    /// Whether it was pending.
    pub(crate) fn done(&mut self, key: &str) -> bool {
        let Some(lsn) = self.keys.remove(key) else { return false };
        self.ages.remove(&lsn);
        true
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    pub(crate) fn is_at(&self, lsn: Lsn) -> bool {
        self.ages.contains_key(&lsn)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The oldest record that is needed.
    pub(crate) fn oldest(&self) -> Option<Lsn> {
        self.ages.first_key_value().map(|(lsn, _)| *lsn)
    }

    /// Records that are needed and older than `lsn`.
    pub(crate) fn older_than(&self, lsn: Lsn) -> usize {
        self.ages.range(..lsn).count()
    }
}

/// Keys that were accepted lately, so that one that comes again is told so.
#[derive(Debug)]
pub(crate) struct Seen {
    remember: Duration,
    keys: BTreeMap<String, u64>,
    /// By age, with a number: a key that was forgotten and came again has another.
    ages: VecDeque<(Instant, u64, String)>,
    number: u64,
}

impl Seen {
    pub(crate) fn new(remember: Duration) -> Self {
        Self { remember, keys: BTreeMap::new(), ages: VecDeque::new(), number: 0 }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    pub(crate) fn add(&mut self, key: &str, now: Instant) {
        self.forget(now);
        self.number += 1;
        self.keys.insert(key.to_owned(), self.number);
        self.ages.push_back((now, self.number, key.to_owned()));
    }

    /// It was not accepted after all.
    pub(crate) fn remove(&mut self, key: &str) {
        self.keys.remove(key);
    }

    pub(crate) fn forget(&mut self, now: Instant) {
        while let Some((at, number, key)) = self.ages.front() {
            let is_old = now.saturating_duration_since(*at) > self.remember;
            if !is_old && self.ages.len() < SEEN_MAX {
                break;
            }
            if self.keys.get(key) == Some(number) {
                self.keys.remove(key);
            }
            self.ages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use towpath::rt;

    use super::*;

    #[test]
    fn a_record_has_its_parts() {
        let headers = Headers::new(*b"traceparent: x\n");
        let record = accepted("k", &headers, b"{\"a\":1}");
        let (found, body) = parts(&record.payload).unwrap();
        assert_eq!((found, body), (headers, &b"{\"a\":1}"[..]));
        let huge = Headers::new(vec![b'x'; 70_000]);
        let record = accepted("k", &huge, b"1");
        assert_eq!(parts(&record.payload), Some((Headers::none(), &b"1"[..])), "too long to keep");
        assert_eq!(parts(&[9, 0, 1]), None);
        assert_eq!(parts(&[]), None);
    }

    #[test]
    fn keys_are_forgotten_by_age_and_number() {
        let (mut seen, now) = (Seen::new(Duration::from_secs(10)), rt::now());
        let second = Duration::from_secs(1);
        seen.add("a", now);
        seen.add("b", now + 5 * second);
        seen.add("a", now + 6 * second);
        seen.forget(now + 12 * second);
        assert!(seen.has("a") && seen.has("b"), "the later one counts");
        seen.forget(now + 17 * second);
        assert!(!seen.has("a") && !seen.has("b"));
        for n in 0..SEEN_MAX + 10 {
            seen.add(&n.to_string(), now + 20 * second);
        }
        assert!(seen.keys.len() <= SEEN_MAX && seen.has(&(SEEN_MAX + 9).to_string()));
    }

    proptest! {
        #[test]
        fn the_fold_is_what_a_list_says(records in proptest::collection::vec((any::<bool>(), 0_u8..5), 0..40)) {
            let mut pending = Pending::default();
            let mut list: Vec<(u8, u64)> = Vec::new();
            for (lsn, (accepts, key)) in (1..).zip(records) {
                let kind = if accepts { ACCEPTED } else { DONE };
                pending.record(kind, key.to_string().as_bytes(), Lsn(lsn));
                list.retain(|(it, _)| *it != key);
                if accepts {
                    list.push((key, lsn));
                }
                prop_assert_eq!(pending.len(), list.len());
                prop_assert_eq!(pending.oldest(), list.iter().map(|(_, lsn)| Lsn(*lsn)).min());
                for (key, lsn) in &list {
                    prop_assert!(pending.has(&key.to_string()) && pending.is_at(Lsn(*lsn)));
                }
                let half = Lsn(lsn / 2);
                prop_assert_eq!(pending.older_than(half), list.iter().filter(|(_, it)| Lsn(*it) < half).count());
            }
        }
    }
}
