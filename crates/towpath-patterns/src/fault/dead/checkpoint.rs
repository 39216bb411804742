//! What is known of all dead letters, as the bytes of a checkpoint.
//!
//! The version, 1; the next letter, the next replay; the letters, each with its number; the replays, each with its number. A
//! letter: key, headers, record with its content, bytes of it, edits, perhaps the record that closed it and whether by a replay,
//! replays without an outcome, replays, failures, time of the first, last fault, history, steps left out. A step: its number
//! below, and its fields. `bytes.rs` says how each is written.

use towpath_journal::Lsn;

use super::{
    bytes::{Pack, Read, Unpack, Unreadable},
    letter::{LetterId, ReplayId, Step},
    state::{Kept, Progress, State},
};

/// The version of the format that is written.
const VERSION: u64 = 1;

pub(super) fn encode(state: &State) -> Vec<u8> {
    let mut pack = Pack::default();
    pack.number(VERSION);
    pack.number(state.next_letter);
    pack.number(state.next_replay);
    pack.number(state.letters.len() as u64);
    for (id, kept) in &state.letters {
        pack.number(id.0);
        pack.kept(kept);
    }
    pack.number(state.replays.len() as u64);
    for (replay, progress) in &state.replays {
        let Progress { pick, when, up_to, done, went_well, failed } = progress;
        pack.number(replay.0);
        pack.pick(pick);
        pack.time(*when);
        for number in [up_to.0, done.0, *went_well, *failed] {
            pack.number(number);
        }
    }
    pack.0
}

pub(super) fn decode(name: &str, bytes: &[u8]) -> Read<State> {
    let mut from = Unpack(bytes);
    if from.number()? != VERSION {
        return Err(Unreadable { what: "a version that is known: a newer program wrote it" });
    }
    let mut state = State::new(name);
    state.next_letter = from.number()?;
    state.next_replay = from.number()?;
    for _ in 0..from.number()? {
        let id = LetterId(from.number()?);
        let kept = from.kept()?;
        state.restore(id, kept);
    }
    for _ in 0..from.number()? {
        let replay = ReplayId(from.number()?);
        let (pick, when) = (from.pick()?, from.time()?);
        let (up_to, done) = (LetterId(from.number()?), LetterId(from.number()?));
        let (went_well, failed) = (from.number()?, from.number()?);
        state.replays.insert(replay, Progress { pick, when, up_to, done, went_well, failed });
    }
    from.end()?;
    Ok(state)
}

impl Pack {
    fn kept(&mut self, kept: &Kept) {
        let Kept { key, headers, content, payload_bytes, edits, closed, taken, .. } = kept;
        self.bytes(key);
        self.bytes(headers);
        self.number(content.0);
        self.number(*payload_bytes);
        self.number(u64::from(*edits));
        self.maybe(*closed, |pack, (at, replayed)| {
            pack.number(at.0);
            pack.number(u64::from(replayed));
        });
        self.number(u64::from(*taken));
        self.number(u64::from(kept.replays));
        self.number(u64::from(kept.failures));
        self.time(kept.first);
        self.fault(&kept.last);
        self.number(kept.history.len() as u64);
        kept.history.iter().for_each(|step| self.step(step));
        self.number(u64::from(kept.omitted));
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Failed(fault) => {
                self.number(0);
                self.fault(fault);
            }
            Step::Taken { replay, when } => {
                self.number(1);
                self.number(replay.0);
                self.time(*when);
            }
            Step::FailedAgain { replay, fault } => {
                self.number(2);
                self.number(replay.0);
                self.fault(fault);
            }
            Step::Replayed { replay, when } => {
                self.number(3);
                self.number(replay.0);
                self.time(*when);
            }
            Step::Edited { when, note } => {
                self.number(4);
                self.time(*when);
                self.bytes(note.as_bytes());
            }
            Step::Discarded { when, note } => {
                self.number(5);
                self.time(*when);
                self.bytes(note.as_bytes());
            }
        }
    }
}

impl Unpack<'_> {
    fn kept(&mut self) -> Read<Kept> {
        Ok(Kept {
            key: self.bytes()?.to_vec(),
            headers: self.bytes()?.to_vec(),
            content: Lsn(self.number()?),
            payload_bytes: self.number()?,
            edits: self.small()?,
            closed: self.maybe(|from| Ok((Lsn(from.number()?), from.number()? == 1)))?,
            taken: self.small()?,
            replays: self.small()?,
            failures: self.small()?,
            first: self.time()?,
            last: self.fault()?,
            history: self.list(Self::step)?.into(),
            omitted: self.small()?,
        })
    }

    fn step(&mut self) -> Read<Step> {
        Ok(match self.number()? {
            0 => Step::Failed(self.fault()?),
            1 => Step::Taken { replay: ReplayId(self.number()?), when: self.time()? },
            2 => Step::FailedAgain { replay: ReplayId(self.number()?), fault: self.fault()? },
            3 => Step::Replayed { replay: ReplayId(self.number()?), when: self.time()? },
            4 => Step::Edited { when: self.time()?, note: self.text()? },
            5 => Step::Discarded { when: self.time()?, note: self.text()? },
            _ => return Err(Unreadable { what: "a step that is known" }),
        })
    }
}
