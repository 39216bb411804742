//! Calls that wait for a worker, as a value: who is next, and who has waited too long.
//!
//! While there is now and then nobody in the line, it is a queue: first come, first served. When somebody has been in it without a
//! break for an interval, it is crowded: then the newest is next, and who has waited for longer than the patience is shed. It is
//! what Maurer describes in "Fail at Scale" (ACM Queue 13:8, 2015): controlled delay after Nichols and Jacobson (CoDel, ACM Queue
//! 10:5, 2012), simplified for requests, and adaptive LIFO.
//!
//! Why: a queue that is full all the time makes every answer late by its whole length, and what it gains is nothing. The newest caller
//! is still there and has all its time; the oldest has probably given up.
//!
//! What always holds:
//! - A place is served, shed or left, once.
//! - Nobody is shed while the line is calm; and never the one who is served next, so no worker is idle because of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::Patience;

/// A place in the line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place(u64);

/// Calls that wait, by the order in which they came.
pub(super) struct Line<T> {
    waiting: BTreeMap<u64, (Instant, T)>,
    next: u64,
    capacity: usize,
    patience: Option<Patience>,
    /// When it was empty last, as far as anybody has looked; `None`: it is.
    busy_since: Option<Instant>,
}

impl<T> Line<T> {
    /// Without patience it is a queue at all times.
    pub(super) fn new(capacity: usize, patience: Option<Patience>) -> Self {
        Self { waiting: BTreeMap::new(), next: 0, capacity, patience, busy_since: None }
    }

    /// Takes a place at the end, if there is one. Of a crowded line that is full, the one who has waited longest goes instead, if that
    /// is longer than the patience: it comes into `shed`.
    ///
    /// `work` is what a call takes on average.
    pub(super) fn push(
        &mut self,
        now: Instant,
        work: Duration,
        call: T,
        shed: &mut Vec<T>,
    ) -> Result<Place, T> {
        if self.waiting.len() >= self.capacity {
            self.shed_one(now, work, shed);
        }
        if self.waiting.len() >= self.capacity {
            return Err(call);
        }
        self.busy_since.get_or_insert(now);
        let place = self.next;
        self.next += 1;
        self.waiting.insert(place, (now, call));
        Ok(Place(place))
    }

    /// Who is next. Those who have waited too long come into `shed`.
    pub(super) fn pop(&mut self, now: Instant, work: Duration, shed: &mut Vec<T>) -> Option<T> {
        let crowded = self.is_crowded(now, work);
        let next = if crowded { self.waiting.pop_last() } else { self.waiting.pop_first() };
        let (_, (_, next)) = next?;
        while crowded && self.shed_one(now, work, shed) {}
        self.look();
        Some(next)
    }

    /// Whether the newest is next.
    pub(super) fn is_crowded(&self, now: Instant, work: Duration) -> bool {
        self.patience.zip(self.busy_since).is_some_and(|(patience, since)| {
            now.saturating_duration_since(since) >= patience.calm.max(2 * work)
        })
    }

    /// Gives up a place; `None` when it was served or shed already.
    pub(super) fn leave(&mut self, place: Place) -> Option<T> {
        let left = self.waiting.remove(&place.0).map(|(_, call)| call);
        self.look();
        left
    }

    /// Empties it, in order.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.busy_since = None;
        std::mem::take(&mut self.waiting).into_values().map(|(_, call)| call)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sheds the oldest if the line is crowded and it has waited too long.
    fn shed_one(&mut self, now: Instant, work: Duration, shed: &mut Vec<T>) -> bool {
        let (Some(patience), true) = (self.patience, self.is_crowded(now, work)) else {
            return false;
        };
        let most = patience.crowded.max(work);
        let Some(oldest) = self.waiting.first_entry() else { return false };
        if now.saturating_duration_since(oldest.get().0) <= most {
            return false;
        }
        shed.push(oldest.remove().1);
        true
    }

    fn look(&mut self) {
        if self.waiting.is_empty() {
            self.busy_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Patience =
        Patience { calm: Duration::from_millis(100), crowded: Duration::from_millis(5) };

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn calm_it_is_a_queue_and_crowded_a_stack_that_sheds() {
        let (start, work) = (Instant::now(), ms(1));
        let (mut line, mut shed) = (Line::new(9, Some(PATIENCE)), Vec::new());
        for n in 0..4 {
            line.push(start, work, n, &mut shed).unwrap();
        }
        assert_eq!(line.pop(start + ms(99), work, &mut shed), Some(0));
        assert_eq!(shed, []);
        line.push(start + ms(97), work, 4, &mut shed).unwrap();
        line.push(start + ms(98), work, 5, &mut shed).unwrap();
        assert_eq!(line.pop(start + ms(100), work, &mut shed), Some(5));
        assert_eq!(shed, [1, 2, 3], "they have waited for more than five milliseconds");
        assert_eq!(
            line.pop(start + ms(200), work, &mut shed),
            Some(4),
            "the next one is never shed"
        );
        assert_eq!(shed.len(), 3);
        line.push(start + ms(200), work, 6, &mut shed).unwrap();
        line.push(start + ms(201), work, 7, &mut shed).unwrap();
        assert_eq!(
            line.pop(start + ms(202), work, &mut shed),
            Some(6),
            "it has been empty meanwhile"
        );
    }

    #[test]
    fn full_and_crowded_the_oldest_makes_room() {
        let (start, work) = (Instant::now(), ms(1));
        let (mut line, mut shed) = (Line::new(2, Some(PATIENCE)), Vec::new());
        line.push(start, work, 1, &mut shed).unwrap();
        line.push(start + ms(99), work, 2, &mut shed).unwrap();
        assert_eq!(line.push(start + ms(99), work, 3, &mut shed), Err(3), "calm");
        assert!(line.push(start + ms(100), work, 4, &mut shed).is_ok());
        assert_eq!(shed, [1]);
        assert_eq!(line.push(start + ms(101), work, 5, &mut shed), Err(5), "nobody is impatient");
    }

    #[test]
    fn slow_work_makes_it_patient() {
        let start = Instant::now();
        let line = |at, work| {
            let mut shed = Vec::new();
            let mut line = Line::new(9, Some(PATIENCE));
            for n in 0..2 {
                line.push(start, work, n, &mut shed).unwrap();
            }
            (line.pop(start + at, work, &mut shed), shed.len())
        };
        assert_eq!(line(ms(150), ms(1)), (Some(1), 1));
        assert_eq!(line(ms(150), ms(1000)), (Some(0), 0));
        assert_eq!(line(ms(2000), ms(1000)), (Some(1), 1));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Pop,
        Leave(prop::sample::Index),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Push),
            2 => Just(Step::Pop),
            1 => any::<prop::sample::Index>().prop_map(Step::Leave),
            2 => (0_u64..40).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Against a plain list of who waits: everybody who was let in is served, shed or left, or still there.
        #[test]
        fn nobody_is_lost_and_nobody_shed_without_reason(steps in steps(), patient in any::<bool>(), capacity in 0_usize..6) {
            let work = ms(1);
            let mut now = Instant::now();
            let mut line = Line::new(capacity, (!patient).then_some(PATIENCE));
            let mut model: Vec<(Place, u32, Instant)> = Vec::new();
            let mut busy_since: Option<Instant> = None;
            let mut number = 0;
            for step in steps {
                let crowded = !patient && busy_since.is_some_and(|since| now - since >= PATIENCE.calm);
                let mut shed = Vec::new();
                match step {
                    Step::Wait(time) => now += ms(time),
                    Step::Push => {
                        number += 1;
                        match line.push(now, work, number, &mut shed) {
                            Ok(place) => model.push((place, number, now)),
                            Err(back) => {
                                prop_assert_eq!(back, number);
                                prop_assert_eq!(model.len(), capacity);
                            }
                        }
                    }
                    Step::Pop => {
                        let expected = if crowded { model.pop() } else if model.is_empty() { None } else { Some(model.remove(0)) };
                        prop_assert_eq!(line.pop(now, work, &mut shed), expected.map(|(_, number, _)| number));
                    }
                    Step::Leave(index) if !model.is_empty() => {
                        let (place, number, _) = model.remove(index.index(model.len()));
                        prop_assert_eq!(line.leave(place), Some(number));
                        prop_assert_eq!(line.leave(place), None);
                    }
                    Step::Leave(_) => {}
                }
                prop_assert!(shed.is_empty() || crowded);
                for shed in shed {
                    let (_, number, since) = model.remove(0);
                    prop_assert_eq!(shed, number, "the oldest first");
                    prop_assert!(now - since > PATIENCE.crowded);
                }
                busy_since = if model.is_empty() { None } else { busy_since.or(Some(now)) };
                prop_assert_eq!(line.len(), model.len());
                prop_assert_eq!(line.is_empty(), model.is_empty());
                prop_assert!(line.len() <= capacity);
            }
            let left: Vec<_> = line.take_all().collect();
            prop_assert_eq!(left, model.iter().map(|(_, number, _)| *number).collect::<Vec<_>>());
        }
    }
}
