//! The instances of a machine by key: where each is, what it remembers, and when time brings it something.
//!
//! What always holds:
//! - A key has at most one instance. An event that is refused makes none.
//! - For each instance that has a timeout there is one alarm that is not stale, and what is stale is at most half and a thousand.
//! - Time never goes back here: an event that comes with an earlier time happens at the latest time seen.
//! - The same inputs in the same order, with the same times, make the same store. That is what recovery stands on; so what is forgotten
//!   is an input too, and stands in the journal.
//!
//! Why no task and no channel for each: an idle instance is then a row of a table, some dozens of bytes, and a million of them are a
//! million rows. Why the map keeps the order of insertion: what is iterated has an order, in a snapshot too.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::hash::Hash;
use std::time::{Duration, SystemTime};

use indexmap::IndexMap;

use super::ended::Ended;
use super::seen::Seen;
use crate::machine::{Event, EventId, Machine, Refused, State, StateId, Transition, Verdict};

/// What a key of instances can do.
pub trait Key: Hash + Ord + Clone + Send + 'static {}

impl<K: Hash + Ord + Clone + Send + 'static> Key for K {}

/// Stale alarms that are left lying before they are swept, beside as many as there are good ones.
///
/// Sweeping looks at every instance; a thousand events between two sweeps make that nothing.
const STALE_ALARMS: usize = 1024;

/// What one instance takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot<D> {
    pub(super) data: D,
    /// When its timeout is over; [`NEVER`] when it has none.
    pub(super) due: u64,
    pub(super) state: StateId,
}

/// No timeout.
pub(super) const NEVER: u64 = u64::MAX;

/// What an event did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Handled: from where to where. The decisions are in the store until the next event.
    Moved {
        /// Before.
        from: StateId,
        /// After.
        to: StateId,
    },
    /// Refused; nothing has changed.
    Refused(Refused),
    /// An event with this id has been handled before; nothing has changed.
    Duplicate,
}

/// Instances by key, without a process around them: what [`Keyed`](super::Keyed) runs.
pub struct Store<K, M: Machine> {
    pub(super) machine: M,
    born: fn(&K) -> M::Data,
    pub(super) instances: IndexMap<K, Slot<M::Data>>,
    alarms: BinaryHeap<Reverse<(u64, K)>>,
    /// Instances that have a timeout.
    timed: usize,
    pub(super) seen: Seen<K>,
    pub(super) ended: Ended<K>,
    /// The latest time seen, in microseconds since 1970.
    pub(super) clock: u64,
    /// What the last event decided.
    pub(super) decisions: Vec<M::Decision>,
}

impl<K: Key, M: Machine> Store<K, M> {
    /// Without instances. Each begins with the default of its data.
    pub fn new(machine: M) -> Self
    where
        M::Data: Default,
    {
        Self::with_data(machine, |_| M::Data::default())
    }

    /// Without instances. `born` says with what data the instance of a key begins; for the same key always the same.
    pub fn with_data(machine: M, born: fn(&K) -> M::Data) -> Self {
        Self {
            machine,
            born,
            instances: IndexMap::new(),
            alarms: BinaryHeap::new(),
            timed: 0,
            seen: Seen::new(0),
            ended: Ended::for_ever(),
            clock: 0,
            decisions: Vec::new(),
        }
    }

    /// Remembers the ids of so many handled events, to notice those that come again.
    #[must_use]
    pub fn remember(mut self, ids: usize) -> Self {
        self.seen = Seen::new(ids);
        self
    }

    /// Keeps at most so many instances that have ended, each for no longer than that after it did, by the times of events. The others
    /// go with [`forget_ended`](Self::forget_ended).
    #[must_use]
    pub fn keep_ended(mut self, most: usize, longest: Duration) -> Self {
        self.ended = Ended::keeping(most, longest);
        self
    }

    /// Forgets the instance that ended first of those that are kept no longer, and says whose it was. An event that comes for its key
    /// begins another one.
    pub fn forget_ended(&mut self) -> Option<K> {
        let key = self.ended.over(self.clock)?.clone();
        self.forget(&key);
        Some(key)
    }

    /// False: there is none that has ended.
    pub(super) fn forget(&mut self, key: &K) -> bool {
        let has_ended = self.instances.get(key).is_some_and(|slot| self.is_final(slot.state));
        if has_ended {
            self.silence(key);
            self.instances.swap_remove(key);
            self.ended.remove(key);
        }
        has_ended
    }

    fn is_final(&self, state: StateId) -> bool {
        self.machine.table().states()[state.index()].is_final
    }

    /// Gives an event to the instance of a key, which begins with it if it has none. What was decided is in
    /// [`decisions`](Self::decisions).
    pub fn apply(
        &mut self,
        key: &K,
        id: Option<u64>,
        event: &M::Event,
        now: SystemTime,
    ) -> Applied {
        self.apply_at(key, id, event, micros(now))
    }

    pub(super) fn apply_at(
        &mut self,
        key: &K,
        id: Option<u64>,
        event: &M::Event,
        now: u64,
    ) -> Applied {
        self.decisions.clear();
        if let Some(id) = id
            && self.seen.has(key, id)
        {
            return Applied::Duplicate;
        }
        self.clock = self.clock.max(now);
        let mut is_new = false;
        let applied = match self.instances.get_mut(key) {
            Some(slot) => {
                let before = slot.due;
                let applied = step(&self.machine, slot, event, self.clock, &mut self.decisions);
                let after = slot.due;
                if after != before {
                    self.timed =
                        self.timed + usize::from(after != NEVER) - usize::from(before != NEVER);
                    self.alarm(key, after);
                }
                applied
            }
            None => {
                is_new = true;
                let state = self.machine.table().initial();
                let due = self.due(state);
                let mut slot = Slot { data: (self.born)(key), due, state };
                let applied =
                    step(&self.machine, &mut slot, event, self.clock, &mut self.decisions);
                if !matches!(applied, Applied::Refused(_)) {
                    let due = slot.due;
                    self.instances.insert(key.clone(), slot);
                    self.timed += usize::from(due != NEVER);
                    self.alarm(key, due);
                }
                applied
            }
        };
        if let Some(id) = id
            && matches!(applied, Applied::Moved { .. })
        {
            self.seen.add(key, id);
        }
        if let Applied::Moved { from, to } = applied
            && self.is_final(to)
            && (is_new || !self.is_final(from))
        {
            self.ended.add(key, self.clock);
        }
        applied
    }

    /// What the last event decided, in order.
    pub fn decisions(&self) -> &[M::Decision] {
        &self.decisions
    }

    /// When the next timeout is over.
    pub fn next_due(&mut self) -> Option<SystemTime> {
        self.next_due_at().map(time)
    }

    /// The same in microseconds, throwing away stale alarms on the way.
    pub(super) fn next_due_at(&mut self) -> Option<u64> {
        while let Some(Reverse((due, key))) = self.alarms.peek() {
            if self.instances.get(key).is_some_and(|slot| slot.due == *due) {
                return Some(*due);
            }
            self.alarms.pop();
        }
        None
    }

    /// The key whose timeout is over and has been over for longest, with the event that this brings it. The caller applies it; until
    /// then the timeout is still there, and the same comes again.
    pub fn next_timeout(&mut self, now: SystemTime) -> Option<(K, M::Event)> {
        self.next_timeout_at(micros(now))
    }

    pub(super) fn next_timeout_at(&mut self, now: u64) -> Option<(K, M::Event)> {
        loop {
            if self.next_due_at().is_none_or(|due| due > now) {
                return None;
            }
            let Reverse((_, key)) = self.alarms.peek()?;
            let slot = self.instances.get(key)?;
            let timeout = self.machine.table().states()[slot.state.index()].timeout;
            match timeout.and_then(|timeout| M::Event::of_timeout(timeout.event)) {
                Some(event) => return Some((key.clone(), event)),
                // A table in which time brings what time cannot make is not bound; then there is nothing to bring.
                None => {
                    let key = key.clone();
                    self.silence(&key);
                }
            }
        }
    }

    /// Takes the timeout away from an instance; it gets another when it enters a state that has one.
    pub(super) fn silence(&mut self, key: &K) {
        if let Some(slot) = self.instances.get_mut(key)
            && slot.due != NEVER
        {
            slot.due = NEVER;
            self.timed -= 1;
        }
    }

    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Where the instance of a key is.
    pub fn state(&self, key: &K) -> Option<M::State> {
        self.instances.get(key).map(|slot| M::State::of(slot.state))
    }

    /// What the instance of a key remembers.
    pub fn data(&self, key: &K) -> Option<&M::Data> {
        self.instances.get(key).map(|slot| &slot.data)
    }

    /// All instances, in the order in which they began, as long as none was forgotten.
    pub fn iter(&self) -> impl Iterator<Item = (&K, M::State, &M::Data)> {
        self.instances.iter().map(|(key, slot)| (key, M::State::of(slot.state), &slot.data))
    }

    /// The machine that all instances are of.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// What the last event did, as those are told who asked.
    pub(super) fn transition(
        &mut self,
        from: StateId,
        to: StateId,
    ) -> Transition<M::State, M::Decision> {
        let decisions = std::mem::take(&mut self.decisions);
        Transition { from: M::State::of(from), to: M::State::of(to), decisions }
    }

    /// Puts an instance back as it was; for recovery.
    pub(super) fn restore(&mut self, key: K, slot: Slot<M::Data>) {
        let due = slot.due;
        self.timed += usize::from(due != NEVER);
        self.alarm(&key, due);
        if self.is_final(slot.state) {
            self.ended.add(&key, self.clock);
        }
        self.instances.insert(key, slot);
    }

    fn due(&self, state: StateId) -> u64 {
        due(&self.machine, state, self.clock)
    }

    fn alarm(&mut self, key: &K, due: u64) {
        if due == NEVER {
            return;
        }
        self.alarms.push(Reverse((due, key.clone())));
        if self.alarms.len() > 2 * self.timed + STALE_ALARMS {
            let slots = self.instances.iter().filter(|(_, slot)| slot.due != NEVER);
            self.alarms = slots.map(|(key, slot)| Reverse((slot.due, key.clone()))).collect();
        }
    }
}

impl<K, M: Machine> fmt::Debug for Store<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, count) = (self.machine.table().name(), self.instances.len());
        write!(f, "Store({count} of machine {name})")
    }
}

/// One step of one instance.
fn step<M: Machine>(
    machine: &M,
    slot: &mut Slot<M::Data>,
    event: &M::Event,
    now: u64,
    out: &mut Vec<M::Decision>,
) -> Applied {
    let from = slot.state;
    match machine.decide(from, &mut slot.data, event, time(now), out) {
        Verdict::Go(to) => {
            slot.state = to;
            slot.due = due(machine, to, now);
            Applied::Moved { from, to }
        }
        Verdict::Stay => Applied::Moved { from, to: from },
        Verdict::Refuse(arm) => {
            let id: EventId = event.id();
            Applied::Refused(Refused::of(machine.table(), from, id, arm))
        }
    }
}

fn due<M: Machine>(machine: &M, state: StateId, now: u64) -> u64 {
    match machine.table().states()[state.index()].timeout {
        Some(timeout) => now.saturating_add(timeout.after.as_micros() as u64),
        None => NEVER,
    }
}

/// Microseconds since 1970; 0 before.
pub(super) fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(NEVER - 1)
}

/// The time that [`micros`] counts.
pub(super) fn time(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}
