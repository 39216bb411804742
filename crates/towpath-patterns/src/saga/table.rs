//! The sagas that a coordinator has in memory: those that are unfinished, and what became of the last that were.
//!
//! What always holds: an id leads to at most one unfinished saga; a place that is used again has another life, so that what
//! comes late for its last tenant is known to be late.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use towpath_journal::Lsn;

use super::coordinator::Defined;
use super::handle::{Outcome, Reply, Status, Summary};
use super::plan::Millis;
use super::record::Why;
use super::state::{Phase, State};

/// An unfinished saga.
pub(super) struct Live {
    pub(super) id: Arc<str>,
    /// `None`: its version is not registered.
    pub(super) defined: Option<Arc<Defined>>,
    pub(super) state: State,
    /// Its records, for checkpoints and for who wants to see them.
    pub(super) history: Vec<u8>,
    /// When the call under way is given up; `Millis::MAX` before it is made.
    pub(super) patience: Millis,
    /// When its place in the timers rings; `Millis::MAX` if it has none.
    pub(super) armed: Millis,
    /// It stands in the line of those that go on at the coordinator's pace.
    pub(super) queued: bool,
    /// Its call is under way, and processes have died with it.
    pub(super) suspect: bool,
    /// The same, and one more death is too many.
    pub(super) alone: bool,
    /// Who waits for its end.
    pub(super) waiters: Vec<Reply<Outcome>>,
}

impl Live {
    pub(super) fn new(
        id: Arc<str>,
        defined: Option<Arc<Defined>>,
        state: State,
        history: Vec<u8>,
    ) -> Self {
        Self {
            id,
            defined,
            state,
            history,
            patience: Millis::MAX,
            armed: Millis::MAX,
            queued: false,
            suspect: false,
            alone: false,
            waiters: Vec::new(),
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.state.paused() {
            _ if self.defined.is_none() => Status::Orphaned,
            _ if self.state.dead().is_some() => Status::DeadLettered,
            Some((Why::Quarantine, _)) => Status::Quarantined,
            Some((Why::Asked, _)) => Status::Paused,
            None if self.state.phase() == Phase::Back => Status::Back,
            None => Status::Forward,
        }
    }

    pub(super) fn summary(&self) -> Summary {
        let state = &self.state;
        let names = self.defined.as_ref().map(|it| &it.names);
        let step = names.and_then(|names| names.get(usize::from(state.step())).cloned());
        let paused = state.paused().map(|(_, reason)| reason);
        let reason = state.dead().or(paused).or(state.trouble().map(|(_, reason)| reason));
        Summary {
            id: Arc::clone(&self.id),
            saga: Arc::clone(&state.plan),
            version: state.version,
            status: self.status(),
            step: step.unwrap_or_default(),
            attempt: state.attempt,
            reason: reason.map(str::to_owned),
        }
    }

    /// What it has come to, for those who wait for its end.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let (step, reason) = self.state.trouble().unwrap_or_default();
        let dead = || Outcome::DeadLettered { step, reason: reason.to_owned() };
        Outcome::of(&self.state).or_else(|| self.state.dead().map(|_| dead()))
    }
}

struct Place {
    life: u32,
    live: Option<Live>,
}

/// All of them.
pub(super) struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
    ids: BTreeMap<Arc<str>, u32>,
    finished: BTreeMap<Arc<str>, Outcome>,
    /// Their ids, the oldest first.
    order: VecDeque<Arc<str>>,
    keep: usize,
    /// The first record that is kept for effects that nobody has released; `None` before there were any.
    pub(super) pin: Option<Lsn>,
}

impl Table {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            ids: BTreeMap::new(),
            finished: BTreeMap::new(),
            order: VecDeque::new(),
            keep,
            pin: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn insert(&mut self, live: Live) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { life: 0, live: None });
            // As many places as fit into memory; a `u32` counts more.
            (self.places.len() - 1) as u32
        });
        self.ids.insert(Arc::clone(&live.id), slot);
        self.places[slot as usize].live = Some(live);
        slot
    }

    /// Forgets an ended saga but for its outcome.
    pub(super) fn finish(&mut self, slot: u32) -> Option<Live> {
        let place = self.places.get_mut(slot as usize)?;
        let live = place.live.take()?;
        place.life += 1;
        self.free.push(slot);
        self.ids.remove(&live.id);
        if let Some(outcome) = Outcome::of(&live.state) {
            self.remember(Arc::clone(&live.id), outcome);
        }
        Some(live)
    }

    pub(super) fn remember(&mut self, id: Arc<str>, outcome: Outcome) {
        if self.finished.insert(Arc::clone(&id), outcome).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.keep {
            if let Some(oldest) = self.order.pop_front() {
                self.finished.remove(&oldest);
            }
        }
    }

    pub(super) fn finished(&self, id: &str) -> Option<&Outcome> {
        self.finished.get(id)
    }

    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.ids.get(id).copied()
    }

    pub(super) fn life(&self, slot: u32) -> u32 {
        self.places.get(slot as usize).map_or(0, |place| place.life)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Live> {
        self.places.get(slot as usize)?.live.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Live> {
        self.places.get_mut(slot as usize)?.live.as_mut()
    }

    /// The tenant of a place, if it is still the one that is meant.
    pub(super) fn same(&mut self, slot: u32, life: u32) -> Option<&mut Live> {
        let place = self.places.get_mut(slot as usize)?;
        if place.life == life { place.live.as_mut() } else { None }
    }

    /// All places that are taken, in the order of the ids.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.values().copied()
    }

    /// The bytes of a checkpoint. A saga whose end is not told yet is among the finished.
    pub(super) fn checkpoint(&self) -> Vec<u8> {
        let open = |slot: &u32| self.get(*slot).filter(|live| !live.state.is_over());
        let over: Vec<_> = self
            .slots()
            .filter_map(|slot| {
                let live = self.get(slot)?;
                Some((live.id.clone(), Outcome::of(&live.state)?))
            })
            .collect();
        let kept: Vec<_> =
            self.order.iter().filter_map(|id| Some((id, self.finished.get(id)?))).collect();
        let finished: Vec<_> =
            kept.into_iter().chain(over.iter().map(|(id, outcome)| (id, outcome))).collect();
        let live: Vec<_> = self
            .ids
            .values()
            .filter_map(open)
            .map(|live| (&live.id, live.history.as_slice()))
            .collect();
        let count = live.len();
        super::keep::checkpoint(self.pin, finished.into_iter(), (count, live.into_iter()))
    }
}
