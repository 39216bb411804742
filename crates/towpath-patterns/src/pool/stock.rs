//! What a pool has, as a value: which instances are idle, how many are lent, made and closed, and what is to be made.
//!
//! What always holds:
//! - `idle + lent + making + retired + closing <= max`.
//! - An instance is in one place: idle here, with its holder, or retired; it is moved, so it cannot be in two.
//! - No more are made than somebody waits for or the size asks for; while the factory fails, one at a time.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Counts, Failing, Options, Refused, Snapshot, Tally};

/// An instance and its past.
pub(super) struct Item<I> {
    pub(super) instance: I,
    pub(super) born: Instant,
    pub(super) uses: u64,
    /// Since when it is where it is: idle, or lent.
    pub(super) since: Instant,
}

/// Why an instance is not lent any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Retired {
    Unhealthy,
    Broken,
    Old,
    Idle,
    Stopped,
}

/// Where an instance that came back has gone.
pub(super) enum Fate<I> {
    /// Among the idle ones.
    Idle,
    /// To be closed.
    Retired,
    /// Nobody is there to close it: it is dropped.
    Left(Item<I>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Open,
    /// Nothing is lent any more; what comes back is closed.
    Stopping,
    /// Nobody closes anything any more.
    Ended,
}

pub(super) struct Stock<I> {
    pub(super) options: Options,
    pub(super) phase: Phase,
    /// The youngest use at the back.
    idle: VecDeque<Item<I>>,
    retired: VecDeque<I>,
    pub(super) lent: usize,
    pub(super) making: usize,
    pub(super) closing: usize,
    pub(super) waiting: usize,
    pub(super) size: usize,
    pub(super) failing: Option<Failing>,
    pub(super) tally: Tally,
    pub(super) counts: Counts,
}

impl<I> Stock<I> {
    pub(super) fn new(options: Options) -> Self {
        Self {
            size: options.sizing.min.min(options.max),
            options,
            phase: Phase::Open,
            idle: VecDeque::new(),
            retired: VecDeque::new(),
            lent: 0,
            making: 0,
            closing: 0,
            waiting: 0,
            failing: None,
            tally: Tally::default(),
            counts: Counts::default(),
        }
    }

    /// Instances that are, or will be, of use.
    fn useful(&self) -> usize {
        self.idle.len() + self.lent + self.making
    }

    /// All that hold memory.
    fn live(&self) -> usize {
        self.useful() + self.retired.len() + self.closing
    }

    /// Lends the one that was used last. `None`: it was taken away when the pool stopped. `first`: of this borrower. Those who
    /// wait may have counted on it, see [`is_short`](Self::is_short).
    pub(super) fn take(&mut self, now: Instant, first: bool) -> Option<Item<I>> {
        let mut item = self.idle.pop_back()?;
        (item.since, item.uses) = (now, item.uses + 1);
        self.lent += 1;
        if first {
            self.tally.arrived(true, self.lent + self.waiting);
            self.counts.hits += 1;
        }
        Some(item)
    }

    /// Whether the process should look: there is something to be made.
    pub(super) fn is_short(&self) -> bool {
        self.waiting > 0 && self.to_make(self.failing.as_ref().map_or(0, |it| it.failures)) > 0
    }

    /// Somebody finds nothing idle and wants to wait until `until`. Whether the process should look.
    pub(super) fn wait(
        &mut self,
        now: Instant,
        until: Instant,
        first: bool,
    ) -> Result<bool, Refused> {
        let refused = if self.phase != Phase::Open {
            Some(Refused::Stopped)
        } else if self.waiting >= self.options.waiting_max {
            Some(Refused::Full { waiting: self.waiting })
        } else {
            // In vain: nothing will come back, and nothing is made before it is too late.
            let failing = self.failing.as_ref().filter(|it| it.until >= until && it.until > now);
            failing.filter(|_| self.useful() == 0).cloned().map(Refused::Failing)
        };
        if first {
            // Refused or not: it was wanted.
            self.tally.arrived(false, self.lent + self.waiting + 1);
            self.counts.misses += 1;
        }
        if let Some(refused) = refused {
            self.counts.refused += 1;
            return Err(refused);
        }
        self.waiting += 1;
        Ok(self.is_short())
    }

    /// Whether an instance has lived long enough.
    pub(super) fn is_aged(&self, item: &Item<I>, now: Instant) -> bool {
        let age_max = self.options.age_max;
        age_max.is_some_and(|most| now.saturating_duration_since(item.born) >= most)
    }

    /// Whether that, or it was used often enough.
    fn is_old(&self, item: &Item<I>, now: Instant) -> bool {
        self.is_aged(item, now) || self.options.uses_max.is_some_and(|most| item.uses >= most)
    }

    /// A holder gives its instance back.
    pub(super) fn give_back(
        &mut self,
        mut item: Item<I>,
        now: Instant,
        is_broken: bool,
    ) -> Fate<I> {
        self.tally.served(now.saturating_duration_since(item.since));
        let why = if self.phase != Phase::Open {
            Retired::Stopped
        } else if is_broken {
            Retired::Broken
        } else if self.is_old(&item, now) {
            Retired::Old
        } else {
            self.lent -= 1;
            item.since = now;
            self.idle.push_back(item);
            return Fate::Idle;
        };
        self.give_up(item, why)
    }

    /// An instance that was lent is not to be lent again.
    pub(super) fn give_up(&mut self, item: Item<I>, why: Retired) -> Fate<I> {
        self.lent -= 1;
        self.count(why);
        if self.phase == Phase::Ended {
            return Fate::Left(item);
        }
        self.retired.push_back(item.instance);
        Fate::Retired
    }

    fn count(&mut self, why: Retired) {
        let Counts { unhealthy, broken, old, expired, .. } = &mut self.counts;
        match why {
            Retired::Unhealthy => *unhealthy += 1,
            Retired::Broken => *broken += 1,
            Retired::Old => *old += 1,
            Retired::Idle => *expired += 1,
            Retired::Stopped => {}
        }
    }

    /// One that was made joins; it counted as being made until now.
    pub(super) fn join(&mut self, instance: I, now: Instant) -> Fate<I> {
        self.making -= 1;
        self.counts.made += 1;
        let item = Item { instance, born: now, uses: 0, since: now };
        if self.phase == Phase::Open {
            self.idle.push_back(item);
            return Fate::Idle;
        }
        self.lent += 1; // for a moment, so that it goes the way of all
        self.give_up(item, Retired::Stopped)
    }

    /// How many are to be made now, `failures` of them having failed in a row.
    pub(super) fn to_make(&self, failures: u32) -> usize {
        if self.phase != Phase::Open {
            return 0;
        }
        let Options { max, making_max, .. } = self.options;
        let making_max = if failures == 0 { making_max.max(1) } else { 1 };
        let wanted = self.size.max(self.lent + self.waiting);
        wanted
            .saturating_sub(self.useful())
            .min(max.saturating_sub(self.live()))
            .min(making_max.saturating_sub(self.making))
    }

    /// Whether something idle should go: too old, or idle for too long while there are more than the size.
    pub(super) fn first_expired(&self, now: Instant) -> Option<(usize, Retired)> {
        let old = self.idle.iter().position(|item| self.is_old(item, now));
        if let Some(old) = old {
            return Some((old, Retired::Old));
        }
        let first = self.idle.front()?;
        let is_idle = now.saturating_duration_since(first.since) >= self.options.ttl;
        (is_idle && self.useful() > self.size).then_some((0, Retired::Idle))
    }

    /// Retires the first that should go; false if there is none.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        let Some((at, why)) = self.first_expired(now) else { return false };
        let Some(item) = self.idle.remove(at) else { return false };
        self.count(why);
        self.retired.push_back(item.instance);
        true
    }

    /// Lends nothing any more: what is idle is to be closed.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.retired.extend(self.idle.drain(..).map(|item| item.instance));
    }

    /// Nobody closes anything any more; what had not been closed.
    pub(super) fn end(&mut self) -> VecDeque<I> {
        self.phase = Phase::Ended;
        std::mem::take(&mut self.retired)
    }

    /// The next to be closed; it counts as being closed until [`closing`](Self::closing) is counted down.
    pub(super) fn next_to_close(&mut self) -> Option<I> {
        let instance = self.retired.pop_front()?;
        self.closing += 1;
        Some(instance)
    }

    /// Whether anything of it is still about.
    pub(super) fn is_empty(&self) -> bool {
        self.live() == 0
    }

    /// The tick is over; what happened in it.
    pub(super) fn next_tally(&mut self) -> Tally {
        self.tally.next(self.lent + self.waiting)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            idle: self.idle.len(),
            lent: self.lent,
            making: self.making,
            closing: self.closing + self.retired.len(),
            waiting: self.waiting,
            size: self.size,
            counts: self.counts,
        }
    }
}

/// `start + wait`, or as good as never.
pub(super) fn later(start: Instant, wait: Duration) -> Instant {
    /// A year: longer than anybody waits for an instance.
    const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
    start.checked_add(wait).unwrap_or_else(|| start + NEVER)
}
