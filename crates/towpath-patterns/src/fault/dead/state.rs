//! What is known of all dead letters: a value that events change, and that does no I/O.
//!
//! What always holds:
//! - It is a function of the events, in their order: applied again from the journal they give the same value, whether from the
//!   beginning or from a checkpoint.
//! - A letter is closed by an outcome that is newer than its last failure, and by nothing else: if a message that a replay sent
//!   on has failed again meanwhile, that replay's "it went well" does not close it.
//!
//! Contents stay in the journal; here is only where they stand. A letter costs some hundred bytes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Bound,
    time::SystemTime,
};

use towpath_journal::Lsn;

use super::{
    event::Event,
    letter::{Group, LetterId, Pick, ReplayId, Status, Step, Summary},
};
use crate::fault::{Class, Fault};

/// Letters that were replayed or discarded and are still known, so that one that comes back finds its history.
///
/// What comes back does so soon after its replay: ten thousand are hours of it.
const CLOSED_MAX: usize = 10_000;

/// Steps of one history that are kept: the first ones, which say how it began, and the last ones.
///
/// A message that somebody replays daily has a year's story in there.
const FIRST_STEPS_MAX: usize = 8;
/// See [`FIRST_STEPS_MAX`].
const STEPS_MAX: usize = 64;

/// So many replays in a row that ended without an outcome quarantine a letter.
///
/// One may be bad luck, a deployment. Three times it is the letter that kills the process.
const IN_DOUBT_MAX: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// The store's name, for the keys of letters that have none.
    pub(super) name: String,
    pub(super) next_letter: u64,
    pub(super) next_replay: u64,
    pub(super) letters: BTreeMap<LetterId, Kept>,
    /// Those that have begun and not ended.
    pub(super) replays: BTreeMap<ReplayId, Progress>,
    /// The four below follow from `letters`.
    by_key: BTreeMap<Vec<u8>, LetterId>,
    /// Of those that wait, by the class and cause of their last failure.
    groups: BTreeMap<(Class, String), BTreeSet<LetterId>>,
    /// Where the contents of those that wait stand.
    contents: BTreeMap<Lsn, LetterId>,
    /// By the record that closed them.
    closed: BTreeMap<Lsn, LetterId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) key: Vec<u8>,
    pub(super) headers: Vec<u8>,
    /// The record with its content.
    pub(super) content: Lsn,
    pub(super) payload_bytes: u64,
    pub(super) edits: u32,
    /// Which record closed it, and whether by a replay.
    pub(super) closed: Option<(Lsn, bool)>,
    /// Replays that took it, without an outcome since.
    pub(super) taken: u32,
    pub(super) replays: u32,
    pub(super) failures: u32,
    pub(super) first: SystemTime,
    pub(super) last: Fault,
    pub(super) history: VecDeque<Step>,
    pub(super) omitted: u32,
}

/// A replay on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) pick: Pick,
    pub(super) when: SystemTime,
    pub(super) up_to: LetterId,
    /// The last letter with an outcome.
    pub(super) done: LetterId,
    pub(super) went_well: u64,
    pub(super) failed: u64,
}

impl State {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            next_letter: 1,
            next_replay: 1,
            letters: BTreeMap::new(),
            replays: BTreeMap::new(),
            by_key: BTreeMap::new(),
            groups: BTreeMap::new(),
            contents: BTreeMap::new(),
            closed: BTreeMap::new(),
        }
    }

    /// Puts a letter from a checkpoint in place.
    pub(super) fn restore(&mut self, id: LetterId, kept: Kept) {
        for edits in 0..=kept.edits {
            self.by_key.insert(self.key_of(id, &kept.key, edits), id);
        }
        match kept.closed {
            Some((at, _)) => drop(self.closed.insert(at, id)),
            None => {
                self.contents.insert(kept.content, id);
                self.groups.entry(group_of(&kept.last)).or_default().insert(id);
            }
        }
        self.letters.insert(id, kept);
    }

    /// What the journal says next.
    pub(super) fn apply(&mut self, at: Lsn, event: Event) {
        match event {
            Event::Put { id, key, headers, faults, payload } => {
                self.next_letter = self.next_letter.max(id.0 + 1);
                let (Some(first), Some(last)) = (faults.first(), faults.last()) else { return };
                let kept = Kept {
                    key,
                    headers,
                    content: at,
                    payload_bytes: payload.len() as u64,
                    edits: 0,
                    closed: None,
                    taken: 0,
                    replays: 0,
                    failures: faults.len() as u32,
                    first: first.when,
                    last: last.clone(),
                    history: VecDeque::new(),
                    omitted: 0,
                };
                self.restore(id, kept);
                self.tell(id, faults.into_iter().map(Step::Failed));
            }
            Event::Rejoined { id, faults, payload } => {
                self.open(id, at, payload.len());
                self.fail(id, faults.last().cloned(), faults.len());
                self.tell(id, faults.into_iter().map(Step::Failed));
            }
            Event::Edited { id, when, note, payload } => {
                self.open(id, at, payload.len());
                if let Some(kept) = self.letters.get_mut(&id) {
                    kept.edits += 1;
                    // Another content: what killed a replay may be gone.
                    kept.taken = 0;
                    let (key, edits) = (kept.key.clone(), kept.edits);
                    self.by_key.insert(self.key_of(id, &key, edits), id);
                }
                self.tell(id, [Step::Edited { when, note }]);
            }
            Event::Discarded { id, when, note } => {
                self.tell(id, [Step::Discarded { when, note }]);
                self.close(id, at, false);
            }
            Event::Begun { replay, when, pick, up_to } => {
                self.next_replay = self.next_replay.max(replay.0 + 1);
                let done = LetterId(0);
                let progress = Progress { pick, when, up_to, done, went_well: 0, failed: 0 };
                self.replays.insert(replay, progress);
            }
            Event::Taken { id, replay, when } => {
                if let Some(kept) = self.letters.get_mut(&id) {
                    kept.taken += 1;
                    kept.replays += 1;
                }
                self.tell(id, [Step::Taken { replay, when }]);
            }
            Event::Replayed { id, replay, when } => {
                let stands = self.letters.get(&id).is_some_and(|kept| kept.taken > 0);
                self.advance(replay, id, stands);
                if stands {
                    self.tell(id, [Step::Replayed { replay, when }]);
                    self.close(id, at, true);
                }
            }
            Event::FailedAgain { id, replay, fault } => {
                self.advance(replay, id, false);
                self.fail(id, Some(fault.clone()), 1);
                self.tell(id, [Step::FailedAgain { replay, fault }]);
            }
            Event::Ended { replay, .. } => drop(self.replays.remove(&replay)),
            Event::Carried { id, .. } => {
                if let Some(kept) = self.letters.get_mut(&id) {
                    self.contents.remove(&kept.content);
                    kept.content = at;
                    self.contents.insert(at, id);
                }
            }
        }
    }

    fn advance(&mut self, replay: ReplayId, id: LetterId, well: bool) {
        if let Some(progress) = self.replays.get_mut(&replay) {
            progress.done = progress.done.max(id);
            *(if well { &mut progress.went_well } else { &mut progress.failed }) += 1;
        }
    }

    /// Gives a letter a new content; if it was closed, it waits again.
    fn open(&mut self, id: LetterId, at: Lsn, payload_bytes: usize) {
        let Some(kept) = self.letters.get_mut(&id) else { return };
        match kept.closed.take() {
            Some((closed_at, _)) => drop(self.closed.remove(&closed_at)),
            None => drop(self.contents.remove(&kept.content)),
        }
        (kept.content, kept.payload_bytes) = (at, payload_bytes as u64);
        let group = group_of(&kept.last);
        self.contents.insert(at, id);
        self.groups.entry(group).or_default().insert(id);
    }

    /// It has failed for another reason, perhaps.
    fn fail(&mut self, id: LetterId, fault: Option<Fault>, failures: usize) {
        let Some(kept) = self.letters.get_mut(&id) else { return };
        kept.taken = 0;
        kept.failures += failures as u32;
        if let Some(fault) = fault {
            let group = group_of(&fault);
            let before = group_of(&std::mem::replace(&mut kept.last, fault));
            if kept.closed.is_none() {
                self.leave_group(&before, id);
                self.groups.entry(group).or_default().insert(id);
            }
        }
    }

    fn leave_group(&mut self, group: &(Class, String), id: LetterId) {
        if let Some(letters) = self.groups.get_mut(group) {
            letters.remove(&id);
            if letters.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    fn tell(&mut self, id: LetterId, steps: impl IntoIterator<Item = Step>) {
        let Some(kept) = self.letters.get_mut(&id) else { return };
        kept.history.extend(steps);
        while kept.history.len() > STEPS_MAX {
            kept.history.remove(FIRST_STEPS_MAX);
            kept.omitted += 1;
        }
    }

    fn close(&mut self, id: LetterId, at: Lsn, replayed: bool) {
        let Some(kept) = self.letters.get_mut(&id) else { return };
        kept.taken = 0;
        match kept.closed.replace((at, replayed)) {
            Some((before, _)) => drop(self.closed.remove(&before)),
            None => {
                self.contents.remove(&kept.content);
                let group = group_of(&kept.last);
                self.leave_group(&group, id);
            }
        }
        self.closed.insert(at, id);
        while self.closed.len() > CLOSED_MAX {
            let Some((_, id)) = self.closed.pop_first() else { break };
            if let Some(Kept { key, edits, .. }) = self.letters.remove(&id) {
                for edits in 0..=edits {
                    self.by_key.remove(&self.key_of(id, &key, edits));
                }
            }
        }
    }

    // ---- questions --------------------------------------------------------------------------------------------------

    /// Letters that wait.
    pub(super) fn waiting(&self) -> usize {
        self.contents.len()
    }

    /// The oldest content that is still needed, and whose it is.
    pub(super) fn oldest_content(&self) -> Option<(Lsn, LetterId)> {
        self.contents.first_key_value().map(|(at, id)| (*at, *id))
    }

    /// The letter that was put, or is replayed, under a key.
    pub(super) fn find(&self, key: &[u8]) -> Option<LetterId> {
        if key.is_empty() { None } else { self.by_key.get(key).copied() }
    }

    /// The idempotency key with which a letter is replayed.
    pub(super) fn replay_key(&self, id: LetterId) -> Vec<u8> {
        self.letters.get(&id).map(|it| self.key_of(id, &it.key, it.edits)).unwrap_or_default()
    }

    /// What was edited is another message, so it has another key.
    fn key_of(&self, id: LetterId, own: &[u8], edits: u32) -> Vec<u8> {
        let mut key =
            if own.is_empty() { format!("{}/{id}", self.name).into_bytes() } else { own.to_vec() };
        if edits > 0 {
            key.extend_from_slice(format!("/e{edits}").as_bytes());
        }
        key
    }

    /// Those that wait, fit, and come behind `after`, in the order of their numbers.
    pub(super) fn fitting<'a>(
        &'a self,
        pick: &'a Pick,
        after: LetterId,
    ) -> Box<dyn Iterator<Item = LetterId> + 'a> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let fits = move |id: &LetterId| self.fits(pick, *id);
        match (pick.id, pick.class, &pick.cause) {
            (Some(id), ..) => {
                Box::new(Some(id).into_iter().filter(move |id| *id > after).filter(fits))
            }
            (None, Some(class), Some(cause)) => {
                let group = self.groups.get(&(class, cause.clone()));
                let ids = group.into_iter().flat_map(move |ids| ids.range(behind).copied());
                Box::new(ids.filter(fits))
            }
            _ => Box::new(self.letters.range(behind).map(|(id, _)| *id).filter(fits)),
        }
    }

    fn fits(&self, pick: &Pick, id: LetterId) -> bool {
        let Some(Kept { closed: None, last, taken, .. }) = self.letters.get(&id) else {
            return false;
        };
        pick.id.map_or(*taken < IN_DOUBT_MAX, |one| one == id)
            && pick.class.is_none_or(|class| class == last.class)
            && pick.cause.as_ref().is_none_or(|cause| *cause == last.cause)
            && pick.process.as_ref().is_none_or(|process| last.process == process.as_str())
    }

    pub(super) fn groups(&self) -> Vec<Group> {
        let group = |((class, cause), ids): (&(Class, String), &BTreeSet<LetterId>)| {
            let (oldest, newest) = (*ids.first()?, *ids.last()?);
            let letters = ids.len() as u64;
            Some(Group { class: *class, cause: cause.clone(), letters, oldest, newest })
        };
        self.groups.iter().filter_map(group).collect()
    }

    pub(super) fn summary(&self, id: LetterId) -> Option<Summary> {
        let kept = self.letters.get(&id)?;
        let status = match (kept.closed, kept.taken) {
            (Some((_, true)), _) => Status::Replayed,
            (Some((_, false)), _) => Status::Discarded,
            (None, 0) => Status::Waiting,
            (None, taken) if taken < IN_DOUBT_MAX => Status::InDoubt,
            (None, _) => Status::Quarantined,
        };
        Some(Summary {
            id,
            status,
            process: kept.last.process.clone(),
            class: kept.last.class,
            cause: kept.last.cause.clone(),
            failures: kept.failures,
            replays: kept.replays,
            first: kept.first,
            last: kept.last.when,
            payload_bytes: kept.payload_bytes,
        })
    }
}

fn group_of(fault: &Fault) -> (Class, String) {
    (fault.class, fault.cause.clone())
}
