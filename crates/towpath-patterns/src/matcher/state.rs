//! All sets of a matcher, as a value: parts and time in, what is to be told out.
//!
//! What always holds:
//! - A part that came in is in one open set, or in one that was told, or was given back as a stray: never nowhere, never twice.
//! - A set is told once. It is closed when it has matched for as long as it is to settle, at its deadline, to make room, or at the end,
//!   whichever comes first; what comes for its key later is late, for as long as the closed set is remembered.
//! - What comes at the very time of a deadline comes too late. So it does not matter whether a set was closed before or because its
//!   next part came.
//! - `open.len() <= open_max`, parts of a set `<= parts_max`, closed sets that are remembered `<= remember`.
//!
//! Why a set's time is seldom moved in the queue: parts make it later, mostly, and then its place there is only looked at when its old
//! time has come.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    hash::{BuildHasherDefault, DefaultHasher},
    time::Duration,
};

use super::{
    Held, Key, Kind, Output, Part, Rules, Set, Standing, Stray, What, WhenFull, Why, rules::Counts,
};

/// The same hashes in every run. It is only asked for keys, never iterated.
type Places<K> = HashMap<K, Place, BuildHasherDefault<DefaultHasher>>;

/// Places of the queue that are allowed beyond two for each open set before it is made anew.
const QUEUE_SLACK: usize = 64;

/// Where a key is.
#[derive(Clone, Copy)]
enum Place {
    Open(usize),
    /// Its number among all closed sets.
    Closed(u64),
}

/// What a state may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) open_max: usize,
    pub(super) when_full: WhenFull,
    pub(super) parts_max: usize,
    pub(super) remember: usize,
}

/// What a matcher has done since it began, and what it has in hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Parts that came in, strays among them.
    pub parts: u64,
    /// Sets that matched.
    pub matched: u64,
    /// Sets that did not, for whatever reason.
    pub unmatched: u64,
    /// Sets in which everything was taken back.
    pub void: u64,
    /// Sets that were closed to make room, matched or not.
    pub evicted: u64,
    /// Parts that came when their set was closed.
    pub late: u64,
    /// Parts that came again.
    pub duplicates: u64,
    /// Parts that were given back for want of room, or because no rule knows them.
    pub refused: u64,
    /// Parts that went on before every stream had come as far, for want of room.
    pub hurried: u64,
    /// Sets that are open.
    pub open: u64,
}

/// A set that is being made.
struct Open<K, T, B> {
    set: Set<K, T, B>,
    rules: usize,
    counts: Counts,
    deadline: Duration,
    /// When it is to be closed, as things are.
    due: Duration,
    /// Its earliest time in the queue.
    queued: Duration,
}

/// A set that was told.
struct Closed<K> {
    key: K,
    ids: Vec<u64>,
    matched: bool,
}

pub(super) struct State<K, T, B> {
    rules: Vec<Rules<T>>,
    choose: fn(&K) -> usize,
    limits: Limits,
    places: Places<K>,
    open: Vec<Option<Open<K, T, B>>>,
    free: Vec<usize>,
    /// When to look at which set: time, the set's number, its place.
    queue: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    closed: VecDeque<Closed<K>>,
    /// The number of the first in `closed`.
    first_closed: u64,
    opened: u64,
    /// The open sets in the order in which they were opened, once nothing more will come.
    ending: Option<VecDeque<usize>>,
    now: Duration,
    counters: Counters,
    /// What is to be told, in order.
    pub(super) told: VecDeque<Output<K, T, B>>,
}

impl<K: Key, T: Kind, B> State<K, T, B> {
    pub(super) fn new(rules: Vec<Rules<T>>, choose: fn(&K) -> usize, limits: Limits) -> Self {
        Self {
            rules,
            choose,
            limits,
            places: Places::default(),
            open: Vec::new(),
            free: Vec::new(),
            queue: BinaryHeap::new(),
            closed: VecDeque::new(),
            first_closed: 0,
            opened: 0,
            ending: None,
            now: Duration::ZERO,
            counters: Counters::default(),
            told: VecDeque::new(),
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters { open: (self.open.len() - self.free.len()) as u64, ..self.counters }
    }

    /// A part has come. Its own time is what it says; `now` is when the matcher takes it, and never goes back.
    pub(super) fn take(&mut self, now: Duration, part: Part<K, T, B>) {
        self.now = self.now.max(now);
        self.counters.parts += 1;
        let place = match self.places.get(&part.key) {
            Some(&Place::Open(slot)) if self.is_due(slot) => {
                self.close_due(slot);
                self.places.get(&part.key).copied()
            }
            place => place.copied(),
        };
        let slot = match place {
            Some(Place::Closed(number)) => return self.late(number, part),
            Some(Place::Open(slot)) => slot,
            None => match self.begin(&part) {
                Ok(slot) => slot,
                Err(why) => return self.stray(part, why),
            },
        };
        self.put(slot, part);
    }

    fn is_due(&self, slot: usize) -> bool {
        self.open[slot].as_ref().is_some_and(|open| open.due <= self.now)
    }

    /// A part whose set was told.
    fn late(&mut self, number: u64, part: Part<K, T, B>) {
        let parts_max = self.limits.parts_max;
        let Some(closed) = self.closed.get_mut((number - self.first_closed) as usize) else {
            unreachable!("a key leads to a closed set that is remembered")
        };
        let why = if closed.ids.contains(&part.id) {
            Stray::Duplicate
        } else {
            if closed.ids.len() < parts_max {
                closed.ids.push(part.id);
            }
            Stray::Late { matched: closed.matched }
        };
        self.stray(part, why);
    }

    fn stray(&mut self, part: Part<K, T, B>, why: Stray) {
        *match why {
            Stray::Duplicate => &mut self.counters.duplicates,
            Stray::Late { .. } => &mut self.counters.late,
            Stray::Full | Stray::SetFull | Stray::Unknown => &mut self.counters.refused,
        } += 1;
        self.told.push_back(Output::Stray { part, why });
    }

    /// Opens a set for a part whose key has none.
    fn begin(&mut self, part: &Part<K, T, B>) -> Result<usize, Stray> {
        let rules = (self.choose)(&part.key).min(self.rules.len() - 1);
        if !self.is_known(rules, part.what) {
            return Err(Stray::Unknown);
        }
        if self.free.is_empty() && self.open.len() >= self.limits.open_max {
            match self.limits.when_full {
                WhenFull::Refuse => return Err(Stray::Full),
                WhenFull::CloseFirst => self.make_room(),
            }
        }
        let deadline = self.now.saturating_add(self.rules[rules].within);
        let number = self.opened;
        self.opened += 1;
        let (opened, closed) = (self.now, self.now);
        let set = Set { key: part.key.clone(), number, opened, closed, parts: Vec::new() };
        let counts = Counts::default();
        let open = Open { set, rules, counts, deadline, due: deadline, queued: deadline };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.open[slot] = Some(open);
                slot
            }
            None => {
                self.open.push(Some(open));
                self.open.len() - 1
            }
        };
        self.places.insert(part.key.clone(), Place::Open(slot));
        self.queue.push(Reverse((deadline, number, slot)));
        Ok(slot)
    }

    fn is_known(&self, rules: usize, what: What<T>) -> bool {
        match what {
            What::Is { kind, .. } | What::UndoLast { kind } => {
                self.rules[rules].place(kind).is_some()
            }
            What::Undo { .. } => true,
        }
    }

    fn put(&mut self, slot: usize, part: Part<K, T, B>) {
        let Some(open) = &mut self.open[slot] else { unreachable!("a key leads to an open set") };
        let why = if open.set.parts.iter().any(|held| held.id == part.id) {
            Some(Stray::Duplicate)
        } else if open.set.parts.len() >= self.limits.parts_max {
            Some(Stray::SetFull)
        } else {
            None
        };
        let rules = open.rules;
        if let Some(why) = why.or((!self.is_known(rules, part.what)).then_some(Stray::Unknown)) {
            return self.stray(part, why);
        }
        let Some(open) = &mut self.open[slot] else { unreachable!("looked at above") };
        let rules = &self.rules[open.rules];
        open.hold(rules, part);
        let matches =
            rules.may_match(&open.counts) && rules.differences(&open.set.parts).is_empty();
        open.due = if matches {
            open.deadline.min(self.now.saturating_add(rules.settle))
        } else {
            open.deadline
        };
        if open.due <= self.now {
            self.close(slot, Why::Deadline);
        } else if open.due < open.queued {
            open.queued = open.due;
            self.queue.push(Reverse((open.due, open.set.number, slot)));
            self.tidy();
        }
    }

    /// When [`expire`](Self::expire) is to be called next, at the latest.
    pub(super) fn next_due(&mut self) -> Option<Duration> {
        while let Some(&Reverse((time, number, slot))) = self.queue.peek() {
            if self.is_queued(time, number, slot) {
                return Some(time);
            }
            self.queue.pop();
        }
        None
    }

    /// Whether a place of the queue is still that of its set.
    fn is_queued(&self, time: Duration, number: u64, slot: usize) -> bool {
        let open = self.open[slot].as_ref();
        open.is_some_and(|open| open.set.number == number && open.queued == time)
    }

    /// Closes the first set whose time has come. False: none is left.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        self.now = self.now.max(now);
        while let Some(time) = self.next_due()
            && time <= self.now
        {
            let Some(Reverse((_, number, slot))) = self.queue.pop() else { break };
            let Some(open) = &mut self.open[slot] else { continue };
            if open.due > self.now {
                open.queued = open.due;
                self.queue.push(Reverse((open.due, number, slot)));
                continue;
            }
            self.close_due(slot);
            return true;
        }
        false
    }

    fn close_due(&mut self, slot: usize) {
        // It was due then, however late somebody looks.
        let now = self.now;
        self.now = self.open[slot].as_ref().map_or(now, |open| open.due);
        self.close(slot, Why::Deadline);
        self.now = now;
    }

    /// Closes the set that is due first.
    fn make_room(&mut self) {
        while self.next_due().is_some() {
            let Some(Reverse((time, number, slot))) = self.queue.pop() else { return };
            let Some(open) = &mut self.open[slot] else { continue };
            if open.due > time {
                open.queued = open.due;
                self.queue.push(Reverse((open.due, number, slot)));
                continue;
            }
            self.counters.evicted += 1;
            return self.close(slot, Why::Evicted);
        }
    }

    /// Closes the set that was opened first, since nothing more will come. False: none is open. Nothing may be taken from then on.
    pub(super) fn end(&mut self) -> bool {
        let ending = self.ending.get_or_insert_with(|| {
            let open = self.open.iter().enumerate();
            let mut slots: Vec<_> =
                open.filter_map(|(slot, it)| Some((it.as_ref()?.set.number, slot))).collect();
            slots.sort_unstable();
            slots.into_iter().map(|(_, slot)| slot).collect()
        });
        let Some(slot) = ending.pop_front() else { return false };
        self.close(slot, Why::Ended);
        true
    }

    fn close(&mut self, slot: usize, why: Why) {
        let Some(open) = self.open[slot].take() else { return };
        self.free.push(slot);
        let Open { mut set, rules, counts, .. } = open;
        set.closed = self.now;
        let differences = self.rules[rules].differences(&set.parts);
        let matched = differences.is_empty();
        let is_void = !matched && self.rules[rules].is_void(&set.parts, &counts);
        if self.limits.remember == 0 {
            self.places.remove(&set.key);
        } else {
            self.remember(&set, matched);
        }
        self.told.push_back(if matched {
            self.counters.matched += 1;
            Output::Matched(set)
        } else if is_void {
            self.counters.void += 1;
            Output::Void(set)
        } else {
            self.counters.unmatched += 1;
            Output::Unmatched { set, differences, why }
        });
        self.tidy();
    }

    fn remember(&mut self, set: &Set<K, T, B>, matched: bool) {
        if self.closed.len() >= self.limits.remember
            && let Some(oldest) = self.closed.pop_front()
        {
            // Its key leads here: a set is opened for it only when it is forgotten.
            self.places.remove(&oldest.key);
            self.first_closed += 1;
        }
        let number = self.first_closed + self.closed.len() as u64;
        let ids = set.parts.iter().map(|part| part.id).collect();
        self.places.insert(set.key.clone(), Place::Closed(number));
        self.closed.push_back(Closed { key: set.key.clone(), ids, matched });
    }

    /// Throws away places in the queue that are no set's any more, when they are many.
    fn tidy(&mut self) {
        let open = self.open.len() - self.free.len();
        if self.queue.len() > 2 * open + QUEUE_SLACK {
            let queue = std::mem::take(&mut self.queue).into_vec();
            let is_queued =
                |it: &Reverse<(Duration, u64, usize)>| self.is_queued(it.0.0, it.0.1, it.0.2);
            self.queue = queue.into_iter().filter(is_queued).collect();
        }
    }
}

impl<K, T: Kind, B> Open<K, T, B> {
    /// A part finds its place: it counts, or is undone by what came before it, or undoes.
    fn hold(&mut self, rules: &Rules<T>, part: Part<K, T, B>) {
        let Part { id, what, at, body, .. } = part;
        let parts = &mut self.set.parts;
        let standing = match what {
            What::Is { kind, .. } => {
                let undone = |it: &&mut Held<T, B>| {
                    it.standing == Standing::Waits && it.what == What::Undo { id }
                };
                match parts.iter_mut().find(undone) {
                    Some(undo) => {
                        undo.standing = Standing::Undid;
                        Standing::Undone
                    }
                    None => {
                        if let Some(place) = rules.place(kind) {
                            self.counts[place] += 1;
                        }
                        Standing::Live
                    }
                }
            }
            What::Undo { id } => match parts.iter().position(|it| it.id == id) {
                Some(place) if parts[place].standing == Standing::Live => {
                    self.undo(rules, place);
                    Standing::Undid
                }
                Some(_) => Standing::Idle,
                None => Standing::Waits,
            },
            What::UndoLast { kind } => match parts.iter().rposition(|it| it.is_live(kind)) {
                Some(place) => {
                    self.undo(rules, place);
                    Standing::Undid
                }
                None => Standing::Idle,
            },
        };
        self.set.parts.push(Held { id, what, at, body, standing });
    }

    fn undo(&mut self, rules: &Rules<T>, place: usize) {
        self.set.parts[place].standing = Standing::Undone;
        let What::Is { kind, .. } = self.set.parts[place].what else { return };
        if let Some(place) = rules.place(kind) {
            self.counts[place] -= 1;
        }
        for also in rules.each_of(kind) {
            if rules.count(also, &self.counts) > rules.count(kind, &self.counts)
                && let Some(place) = self.set.parts.iter().rposition(|it| it.is_live(also))
            {
                self.undo(rules, place);
            }
        }
    }
}

#[cfg(test)]
mod tests;
