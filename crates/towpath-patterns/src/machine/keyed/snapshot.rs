//! What a keyed process writes into its journal, and how it reads it back.
//!
//! ```text
//!   kind  key        payload
//!   1     -          table: name, version, fingerprint            first in a journal
//!   2     the key    time in µs, id, event                        a handled event
//!   3     -          lsn                                          decisions up to there are confirmed
//!   4     the key    -                                            its instance had ended, and is forgotten
//!
//!   checkpoint:      form, table, clock, confirmed, instances (those that have ended last, as they did), ids, pending decisions
//! ```
//!
//! What always holds: a journal is read by the table that wrote it or not at all, since bytes do not say what they are; and replay
//! handles every event again as it was handled the first time, or stops.

use std::collections::{HashSet, VecDeque};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use towpath_journal::{Lsn, Record, Writer};

use super::outbox::{Pending, Waiting};
use super::store::{Applied, Key, Slot, Store};
use super::{Error, ErrorKind};
use crate::machine::{Machine, StateId, Table};

pub(super) const KIND_TABLE: u16 = 1;
pub(super) const KIND_EVENT: u16 = 2;
pub(super) const KIND_CONFIRMED: u16 = 3;
pub(super) const KIND_FORGOTTEN: u16 = 4;

/// The form of what is written; another number when it changes.
const FORM: u16 = 1;

/// Which table wrote something.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    form: u16,
    name: String,
    version: u32,
    fingerprint: u64,
}

impl Stamp {
    fn of(table: &Table) -> Self {
        Self {
            form: FORM,
            name: table.name().to_owned(),
            version: table.version(),
            fingerprint: table.fingerprint(),
        }
    }

    fn check(&self, table: &Table) -> Result<(), Error> {
        let ours = Self::of(table);
        if *self == ours {
            return Ok(());
        }
        let Self { form, name, version, .. } = self;
        let what = if *form != FORM {
            format!(
                "the journal has form {form} and this program writes form {FORM}: use the program that wrote it"
            )
        } else if (name, version) == (&ours.name, &ours.version) {
            format!(
                "the journal was written by another table that is called machine {name} version {version} too: give the changed \
                 table a new version, and read this journal with the old one"
            )
        } else {
            format!(
                "the journal was written by machine {name} version {version}, and this is {} version {}: run it with that table, or \
                 begin a new journal",
                ours.name, ours.version
            )
        };
        Err(Error::new(ErrorKind::OtherTable, what))
    }
}

/// What stands before the lists of a snapshot.
#[derive(Serialize, Deserialize)]
struct Head {
    stamp: Stamp,
    clock: u64,
    confirmed: u64,
    instances: u64,
    ids: u64,
    pending: u64,
}

/// An instance in a snapshot.
type Row<D> = (D, u64, u16);

/// What was decided, in a snapshot.
type Told<K, D> = (u64, K, Option<u64>, u16, u16, Vec<D>);

/// How a process came to its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The record that the snapshot stands for, if there was one.
    pub snapshot: Option<Lsn>,
    /// Instances that were in it.
    pub instances: usize,
    /// Events that were handled again after it.
    pub events: u64,
    /// Outputs with decisions that are told again.
    pub told_again: usize,
}

/// Bytes behind others.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    *out = postcard::to_extend(value, std::mem::take(out)).map_err(|error| {
        let what =
            "something that goes into the journal cannot be written: its `Serialize` says so";
        Error::because(ErrorKind::Unwritable, what, error)
    })?;
    Ok(())
}

fn damaged(at: Lsn, what: &str) -> Error {
    let what =
        format!("record {at} of the journal {what}: it was damaged, or written by other types");
    Error::new(ErrorKind::Corrupt, what)
}

fn read<'b, T: Deserialize<'b>>(bytes: &mut &'b [u8], at: Lsn) -> Result<T, Error> {
    let (value, rest) =
        postcard::take_from_bytes(bytes).map_err(|_| damaged(at, "cannot be read"))?;
    *bytes = rest;
    Ok(value)
}

/// The payload that opens a journal.
pub(super) fn stamp(table: &Table) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    write(&mut out, &Stamp::of(table))?;
    Ok(out)
}

/// Everything, as the bytes of a checkpoint.
pub(super) fn snapshot<K, M>(
    store: &Store<K, M>,
    waiting: &Waiting<K, M::Decision>,
) -> Result<Vec<u8>, Error>
where
    K: Key + Serialize,
    M: Machine,
    M::Data: Serialize,
    M::Decision: Serialize,
{
    let head = Head {
        stamp: Stamp::of(store.machine.table()),
        clock: store.clock,
        confirmed: waiting.written.0,
        instances: store.instances.len() as u64,
        ids: store.seen.iter().len() as u64,
        pending: waiting.pending.len() as u64,
    };
    let mut out = Vec::new();
    write(&mut out, &head)?;
    let ended: HashSet<&K> = store.ended.iter().collect();
    let live = store.instances.iter().filter(|(key, _)| ended.is_empty() || !ended.contains(key));
    // In their own order, by which they are forgotten.
    let ended = store.ended.iter().filter_map(|key| store.instances.get_key_value(key));
    for (key, slot) in live.chain(ended) {
        let row: (&K, Row<&M::Data>) = (key, (&slot.data, slot.due, slot.state.0));
        write(&mut out, &row)?;
    }
    for id in store.seen.iter() {
        write(&mut out, id)?;
    }
    for told in &waiting.pending {
        let Pending { lsn, key, id, from, to, decisions } = told;
        write(&mut out, &(lsn.0, key, id, from.0, to.0, decisions))?;
    }
    Ok(out)
}

/// Brings a new store to where the journal says it was.
pub(super) fn recover<K, M>(
    store: &mut Store<K, M>,
    waiting: &mut Waiting<K, M::Decision>,
    writer: &Writer,
) -> Result<Recovery, Error>
where
    K: Key + Serialize + DeserializeOwned,
    M: Machine,
    M::Event: DeserializeOwned,
    M::Data: DeserializeOwned,
    M::Decision: DeserializeOwned,
{
    let journal = |error| Error::because(ErrorKind::Journal, "the journal cannot be read", error);
    let mut recovery = Recovery::default();
    let mut next = Lsn(1);
    let checkpoint = writer.latest_checkpoint().map_err(journal)?;
    let mut stamped = checkpoint.is_some();
    if let Some(checkpoint) = checkpoint {
        from_snapshot(store, waiting, &checkpoint.state, checkpoint.lsn)?;
        recovery.snapshot = Some(checkpoint.lsn);
        recovery.instances = store.len();
        next = checkpoint.lsn.next();
    }
    let mut reader = writer.reader(next).map_err(journal)?;
    while let Some(record) = reader.next().map_err(journal)? {
        match record.kind {
            KIND_TABLE => {
                read::<Stamp>(&mut { record.payload }, record.lsn)?.check(store.machine.table())?;
                stamped = true;
            }
            _ if !stamped => {
                return Err(damaged(record.lsn, "does not name a table, and is the first"));
            }
            KIND_EVENT => {
                replay(store, waiting, &record)?;
                recovery.events += 1;
            }
            KIND_FORGOTTEN => {
                let key: K = read(&mut { record.key }, record.lsn)?;
                if !store.forget(&key) {
                    return Err(damaged(record.lsn, "forgets an instance that has not ended"));
                }
            }
            KIND_CONFIRMED => {
                waiting.let_go(Lsn(read(&mut { record.payload }, record.lsn)?));
            }
            _ => {
                return Err(damaged(
                    record.lsn,
                    "is of a kind that a keyed machine does not write",
                ));
            }
        }
    }
    recovery.told_again = waiting.pending.len();
    Ok(recovery)
}

fn replay<K, M>(
    store: &mut Store<K, M>,
    waiting: &mut Waiting<K, M::Decision>,
    record: &Record<'_>,
) -> Result<(), Error>
where
    K: Key + DeserializeOwned,
    M: Machine,
    M::Event: DeserializeOwned,
{
    let lsn = record.lsn;
    let key: K = read(&mut { record.key }, lsn)?;
    let (now, id, event): (u64, Option<u64>, M::Event) = read(&mut { record.payload }, lsn)?;
    if store.machine.table().events().len() <= event_index::<M>(&event) {
        return Err(damaged(lsn, "holds an event that the table does not have"));
    }
    // Not asked whether it is a duplicate: it was handled, whatever is remembered now.
    match store.apply_at(&key, None, &event, now) {
        Applied::Moved { from, to } => {
            if let Some(id) = id {
                store.seen.add(&key, id);
            }
            if !store.decisions.is_empty() {
                let decisions = std::mem::take(&mut store.decisions);
                waiting.pending.push_back(Pending { lsn, key, id, from, to, decisions });
            }
            Ok(())
        }
        Applied::Refused(_) | Applied::Duplicate => {
            let what = format!(
                "record {lsn} of the journal was handled when it was written and is not now: a guard or an action depends on more \
                 than data, event and time, or is another function than it was"
            );
            Err(Error::new(ErrorKind::Corrupt, what))
        }
    }
}

fn event_index<M: Machine>(event: &M::Event) -> usize {
    use crate::machine::Event as _;
    event.id().index()
}

fn from_snapshot<K, M>(
    store: &mut Store<K, M>,
    waiting: &mut Waiting<K, M::Decision>,
    mut bytes: &[u8],
    at: Lsn,
) -> Result<(), Error>
where
    K: Key + DeserializeOwned,
    M: Machine,
    M::Data: DeserializeOwned,
    M::Decision: DeserializeOwned,
{
    let bytes = &mut bytes;
    let head: Head = read(bytes, at)?;
    head.stamp.check(store.machine.table())?;
    let states = store.machine.table().states().len();
    let known = |state: u16| {
        let known = usize::from(state) < states;
        known
            .then_some(StateId(state))
            .ok_or_else(|| damaged(at, "has a state that the table does not have"))
    };
    store.clock = head.clock;
    // No memory is taken on the word of a number: each row has to be there.
    for _ in 0..head.instances {
        let (key, (data, due, state)): (K, Row<M::Data>) = read(bytes, at)?;
        store.restore(key, Slot { data, due, state: known(state)? });
    }
    for _ in 0..head.ids {
        let (key, id): (K, u64) = read(bytes, at)?;
        store.seen.add(&key, id);
    }
    let mut pending = VecDeque::new();
    for _ in 0..head.pending {
        let (lsn, key, id, from, to, decisions): Told<K, M::Decision> = read(bytes, at)?;
        let (from, to) = (known(from)?, known(to)?);
        pending.push_back(Pending { lsn: Lsn(lsn), key, id, from, to, decisions });
    }
    waiting.pending = pending;
    waiting.written = Lsn(head.confirmed);
    Ok(())
}
