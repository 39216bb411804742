//! The thread that has the journal: it reads what there is, then writes a batch at a time.
//!
//! What always holds:
//! - A batch is told to be durable after it is, and batches are written in the order they were given.
//! - A checkpoint stands for every record up to the end of the batch it came with. Records are let go only before a
//!   checkpoint, and before the oldest effect that nobody has released.
//!
//! While one batch is on its way to the disk the coordinator fills the next: two buffers go round.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use towpath::{Receiver, Sender};
use towpath_journal::{Entry, Lsn, Writer};

use super::call::Effect;
use super::error::Error;
use super::handle::Outcome;
use super::record::{Record, Rest, bytes};
use super::run::Notice;
use super::state::State;
use crate::leb128;

/// The byte in front of a checkpoint.
const CHECKPOINT_FORMAT: u8 = 1;

/// Records to write, and perhaps a checkpoint behind them.
#[derive(Default)]
pub(super) struct Batch {
    /// Keys and payloads, one behind the other.
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// For each group, the row behind its last.
    groups: Vec<usize>,
    /// A state that these records and all before them led to.
    pub(super) checkpoint: Option<Vec<u8>>,
    /// Records from here on are kept whatever the checkpoint says.
    pub(super) pin: Option<Lsn>,
    pub(super) effects: bool,
}

struct Row {
    kind: u16,
    key_end: usize,
    end: usize,
}

impl Batch {
    /// Adds records of one saga, and effects, that survive together or not at all.
    pub(super) fn push(&mut self, id: &str, records: &[Record], effects: &[Effect]) {
        for record in records {
            self.bytes.extend_from_slice(id.as_bytes());
            let key_end = self.bytes.len();
            record.encode(&mut self.bytes);
            self.rows.push(Row { kind: record.kind(), key_end, end: self.bytes.len() });
        }
        for effect in effects {
            let Entry { kind, key, payload } = effect.entry();
            self.bytes.extend_from_slice(key);
            let key_end = self.bytes.len();
            self.bytes.extend_from_slice(payload);
            self.rows.push(Row { kind, key_end, end: self.bytes.len() });
            self.effects = true;
        }
        self.groups.push(self.rows.len());
    }

    /// The payload of the row that was pushed last but `back`.
    pub(super) fn payloads(&self, count: usize) -> impl Iterator<Item = (u16, &[u8])> {
        let rows = &self.rows[self.rows.len() - count..];
        rows.iter().map(|row| (row.kind, &self.bytes[row.key_end..row.end]))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.checkpoint.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
        self.groups.clear();
        (self.checkpoint, self.pin, self.effects) = (None, None, false);
    }
}

/// A batch that is durable, for its buffers to be filled again.
pub(super) struct Written {
    pub(super) batch: Batch,
    pub(super) first: Lsn,
    /// Why the checkpoint that came with it could not be kept; the one before still is.
    pub(super) unkept: Option<towpath_journal::Error>,
}

/// Writes until nobody sends, or the journal fails.
pub(super) fn keep(mut writer: Writer, mut batches: Receiver<Batch>, told: &Sender<Notice>) {
    while let Some(batch) = batches.recv_blocking() {
        let written = write(&mut writer, batch);
        let failed = written.is_err();
        let gone = told.try_send(Notice::Written(written.map_err(Error::Journal))).is_err();
        if failed || gone {
            return;
        }
    }
}

fn write(writer: &mut Writer, batch: Batch) -> Result<Written, towpath_journal::Error> {
    let first = writer.next();
    let (mut row, mut at) = (0, 0);
    let mut entries = Vec::new();
    for &group in &batch.groups {
        entries.clear();
        for Row { kind, key_end, end } in &batch.rows[row..group] {
            let (key, payload) = (&batch.bytes[at..*key_end], &batch.bytes[*key_end..*end]);
            entries.push(Entry { kind: *kind, key, payload });
            at = *end;
        }
        row = group;
        writer.append_group(&entries)?;
    }
    let last = writer.commit()?;
    let mut unkept = None;
    if let Some(state) = &batch.checkpoint {
        let from = batch.pin.map_or(last.next(), |pin| pin.min(last.next()));
        unkept = writer.checkpoint(last, state).and_then(|()| writer.retain(from)).err();
    }
    Ok(Written { batch, first, unkept })
}

/// What a journal says: unfinished sagas with their records, those finished lately, effects that nobody has released.
#[derive(Default)]
pub(super) struct Found {
    pub(super) live: BTreeMap<Arc<str>, (State, Vec<u8>)>,
    /// The oldest first.
    pub(super) finished: VecDeque<(Arc<str>, Outcome)>,
    /// The first record that is kept for its effects.
    pub(super) pin: Option<Lsn>,
    /// The last record there is.
    pub(super) last: Lsn,
}

/// Reads the checkpoint and the records behind it.
pub(super) fn recover(writer: &Writer) -> Result<Found, Error> {
    let mut found = Found::default();
    if let Some(checkpoint) = writer.latest_checkpoint()? {
        found = Found::decode(&checkpoint.state)?;
        found.last = checkpoint.lsn;
    }
    let mut reader = writer.reader(found.last.next())?;
    while let Some(record) = reader.next()? {
        found.last = record.lsn;
        if !Record::is_ours(record.kind) {
            found.pin.get_or_insert(record.lsn);
            continue;
        }
        let id = String::from_utf8_lossy(record.key);
        found.add(&id, record.kind, record.payload)?;
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, id: &str, kind: u16, payload: &[u8]) -> Result<(), Error> {
        let malformed = |cause| Error::Malformed { id: id.into(), cause };
        let misplaced = |cause| Error::Misplaced { id: id.into(), cause: Box::new(cause) };
        let record = Record::decode(kind, payload).map_err(malformed)?;
        if matches!(record, Record::Started { .. }) && !self.live.contains_key(id) {
            let state = State::new(&record).map_err(misplaced)?;
            self.live.insert(id.into(), (state, Vec::new()));
        } else {
            match self.live.get_mut(id) {
                Some((state, _)) => state.apply(&record).map_err(misplaced)?,
                None => {
                    let phase = super::state::Phase::Completed;
                    return Err(misplaced(super::state::Misplaced { phase, record }));
                }
            }
        }
        let over = match self.live.get_mut(id) {
            Some((state, history)) => {
                remember(history, kind, payload);
                Outcome::of(state)
            }
            None => None,
        };
        if let Some(outcome) = over
            && let Some((id, _)) = self.live.remove_entry(id)
        {
            self.finished.push_back((id, outcome));
        }
        Ok(())
    }

    fn decode(state: &[u8]) -> Result<Self, Error> {
        Self::read(&mut Rest(state)).unwrap_or_else(|| {
            let cause = super::record::Malformed::Unknown {
                kind: super::record::KINDS,
                format: state.first().copied().unwrap_or(0),
            };
            Err(Error::Malformed { id: "the checkpoint".into(), cause })
        })
    }

    fn read(rest: &mut Rest<'_>) -> Option<Result<Self, Error>> {
        let mut found = Self::default();
        if rest.byte()? != CHECKPOINT_FORMAT {
            return None;
        }
        found.pin = Some(Lsn(rest.number()?)).filter(|pin| *pin != Lsn::ZERO);
        for _ in 0..rest.number()? {
            let id = rest.text()?;
            found.finished.push_back((id, Outcome::read(rest)?));
        }
        for _ in 0..rest.number()? {
            let id = rest.str()?;
            for (kind, payload) in records(rest.bytes()?) {
                if let Err(error) = found.add(id, kind, payload) {
                    return Some(Err(error));
                }
            }
        }
        rest.0.is_empty().then_some(Ok(found))
    }
}

/// Begins the bytes of a checkpoint.
pub(super) fn checkpoint<'a>(
    pin: Option<Lsn>,
    finished: impl ExactSizeIterator<Item = (&'a Arc<str>, &'a Outcome)>,
    live: (usize, impl Iterator<Item = (&'a Arc<str>, &'a [u8])>),
) -> Vec<u8> {
    let mut out = vec![CHECKPOINT_FORMAT];
    leb128::put(&mut out, pin.unwrap_or_default().0);
    leb128::put(&mut out, finished.len() as u64);
    for (id, outcome) in finished {
        bytes(&mut out, id.as_bytes());
        outcome.write(&mut out);
    }
    leb128::put(&mut out, live.0 as u64);
    for (id, history) in live.1 {
        bytes(&mut out, id.as_bytes());
        bytes(&mut out, history);
    }
    out
}

/// Adds a record to what is known of a saga's past.
pub(super) fn remember(history: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    history.push(kind as u8);
    bytes(history, payload);
}

/// The records of a past.
pub(super) fn records(history: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = Rest(history);
    std::iter::from_fn(move || {
        let kind = super::record::KINDS + u16::from(rest.byte()?);
        Some((kind, rest.bytes()?))
    })
}
