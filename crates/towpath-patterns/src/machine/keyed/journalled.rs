//! The process with a journal: a thread that handles a batch, makes it durable, and then tells of it.
//!
//! What always holds: state in memory is ahead of the journal only between handling a batch and its commit, and nothing is told in
//! between. When the journal fails the process ends, and with it the state that is ahead.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde::de::DeserializeOwned;
use towpath::{Ctx, Receiver, Sender, TrySendError, after, rt, select_blocking};
use towpath_journal::{Entry, Lsn, Writer};

use super::outbox::{Outbox, Pending, Waiting};
use super::run::{one, until};
use super::snapshot::{self, KIND_CONFIRMED, KIND_EVENT, KIND_FORGOTTEN, KIND_TABLE, Recovery};
use super::store::{Key, micros};
use super::{BATCH, Error, ErrorKind, Forgotten, Input, Keyed, Output, Store, Summary};
use crate::machine::{Machine, State, Transition};

/// After so long without an input, decisions that were confirmed are let go: with a next batch they would go anyway, and who is woken
/// for each confirmation does nothing else.
const QUIET: Duration = Duration::from_millis(100);

/// Outputs with decisions that may wait for a confirmation before the mailbox rests.
///
/// Some batches of events that each decide something; they are kept in memory and go into each snapshot.
const OUTBOX_CAPACITY: usize = 16 * BATCH;

/// Events between two snapshots, unless somebody says otherwise.
///
/// Handling a million again takes about a second; writing a snapshot of a million instances, too.
const SNAPSHOT_EVERY: u64 = 1_000_000;

/// A machine for many keys that survives crashes. Made by [`Keyed::journalled`].
pub struct Journalled<K, M: Machine> {
    store: Store<K, M>,
    report_all: bool,
    batch_max: usize,
    writer: Writer,
    waiting: Waiting<K, M::Decision>,
    recovery: Recovery,
    snapshot_every: u64,
    forgotten: Option<Forgotten<K>>,
}

impl<K, M: Machine> fmt::Debug for Journalled<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journalled")
            .field("store", &self.store)
            .field("recovery", &self.recovery)
            .finish_non_exhaustive()
    }
}

impl<K, M> Keyed<K, M>
where
    K: Key + Serialize + DeserializeOwned,
    M: Machine,
    M::Event: Serialize + DeserializeOwned,
    M::Data: Serialize + DeserializeOwned,
    M::Decision: Serialize + DeserializeOwned + Clone,
{
    /// Brings the instances to where a journal says they were, and will write into it. The journal is this machine's alone.
    ///
    /// # Errors
    /// [`ErrorKind::OtherTable`], [`ErrorKind::Corrupt`], [`ErrorKind::Journal`].
    pub fn journalled(self, writer: Writer) -> Result<(Journalled<K, M>, Outbox), Error> {
        let Self { mut store, report_all, batch_max, forgotten } = self;
        let (mut waiting, outbox) = Waiting::new();
        let recovery = snapshot::recover(&mut store, &mut waiting, &writer)?;
        let snapshot_every = SNAPSHOT_EVERY;
        let journalled = Journalled {
            store,
            report_all,
            batch_max,
            writer,
            waiting,
            recovery,
            snapshot_every,
            forgotten,
        };
        Ok((journalled, outbox))
    }
}

impl<K, M> Journalled<K, M>
where
    K: Key + Serialize + DeserializeOwned,
    M: Machine,
    M::Event: Serialize + DeserializeOwned,
    M::Data: Serialize + DeserializeOwned,
    M::Decision: Serialize + DeserializeOwned + Clone,
{
    /// Writes a snapshot after so many events, and lets go of the records before it; 0: never. Meanwhile the mailbox waits.
    #[must_use]
    pub fn snapshot_every(mut self, events: u64) -> Self {
        self.snapshot_every = events;
        self
    }

    /// What was found in the journal.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// The instances as they were found.
    pub fn store(&self) -> &Store<K, M> {
        &self.store
    }

    /// Runs on a thread (`scope.spawn_blocking`) until nobody can send any more and everything was handled and told.
    ///
    /// First it tells again what was decided and not confirmed. When `outputs` is full, or too much is unconfirmed, it waits, and then
    /// so do senders into the mailbox; whoever receives the outputs must not wait for room in the mailbox.
    ///
    /// # Errors
    /// [`ErrorKind::Ended`], [`ErrorKind::OutputsGone`], [`ErrorKind::Journal`], [`ErrorKind::Unwritable`]. What was told is durable;
    /// what was not may be, and is then told after the next start.
    pub fn run(
        mut self,
        ctx: Ctx,
        mut mailbox: Receiver<Input<K, M::Event>>,
        outputs: Sender<Output<K, M>>,
    ) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        let mut batch = Batch::default();
        for pending in &self.waiting.pending {
            tell(&ctx, &outputs, pending.output())?;
        }
        if self.writer.next() == Lsn(1) {
            let payload = snapshot::stamp(self.store.machine().table())?;
            self.append(Entry { kind: KIND_TABLE, key: &[], payload: &payload })?;
        }
        let mut since_snapshot = self.recovery.events;
        loop {
            self.write_confirmed()?;
            if self.waiting.pending.len() >= OUTBOX_CAPACITY {
                self.wait_for_room(&ctx)?;
                continue;
            }
            if !self.receive(&ctx, &mut mailbox, &mut batch.inputs)? {
                self.write_confirmed()?;
                self.commit()?;
                summary.instances = self.store.len();
                return Ok(summary);
            }
            let handled = summary.handled;
            self.handle(&mut batch, &mut summary)?;
            self.commit()?;
            for output in batch.told.drain(..) {
                tell(&ctx, &outputs, output)?;
            }
            since_snapshot += summary.handled - handled;
            if self.snapshot_every > 0 && since_snapshot >= self.snapshot_every {
                self.snapshot()?;
                since_snapshot = 0;
            }
        }
    }

    /// Waits for messages or for a timeout. False: there will be no more messages, and none are left.
    fn receive(
        &mut self,
        ctx: &Ctx,
        mailbox: &mut Receiver<Input<K, M::Event>>,
        inputs: &mut Vec<Input<K, M::Event>>,
    ) -> Result<bool, Error> {
        let first = loop {
            let wait = self.store.next_due_at().map(|due| after(until(due)));
            let quiet = (!self.waiting.pending.is_empty()).then(|| after(QUIET));
            select_blocking! {
                cause = ctx.done() => return Err(Error::ended(cause)),
                first = mailbox.recv() => break first,
                _ = wait => return Ok(true),
                _ = quiet => self.waiting.release(),
            }
        };
        let Some(first) = first else { return Ok(false) };
        inputs.push(first);
        if self.batch_max > 1 && !mailbox.is_empty() {
            mailbox.recv_many_blocking(inputs, self.batch_max - 1);
        }
        Ok(true)
    }

    /// What was due, and then what was received: handled, and behind the others in the journal.
    fn handle(&mut self, batch: &mut Batch<K, M>, summary: &mut Summary) -> Result<(), Error> {
        let now = micros(rt::wall());
        let mut due = 0;
        while due < self.batch_max
            && let Some((key, event)) = self.store.next_timeout_at(now)
        {
            self.store.silence(&key);
            self.handle_one(Input { key, id: None, event }, now, batch, summary)?;
            due += 1;
        }
        let mut inputs = std::mem::take(&mut batch.inputs);
        for input in inputs.drain(..) {
            self.handle_one(input, now, batch, summary)?;
        }
        batch.inputs = inputs;
        // As many as can have ended in one batch: none stay behind, and a new rule does not hold everybody up.
        for _ in 0..2 * self.batch_max {
            let Some(key) = self.store.forget_ended() else { break };
            summary.forgotten += 1;
            batch.key.clear();
            snapshot::write(&mut batch.key, &key)?;
            self.append(Entry { kind: KIND_FORGOTTEN, key: &batch.key, payload: &[] })?;
            if let Some(tell) = &mut self.forgotten {
                tell(&key);
            }
        }
        Ok(())
    }

    fn handle_one(
        &mut self,
        input: Input<K, M::Event>,
        now: u64,
        batch: &mut Batch<K, M>,
        summary: &mut Summary,
    ) -> Result<(), Error> {
        // Written first, since handling takes the event.
        batch.key.clear();
        batch.payload.clear();
        snapshot::write(&mut batch.key, &input.key)?;
        snapshot::write(&mut batch.payload, &(now, input.id, &input.event))?;
        let before = batch.told.len();
        if !one(&mut self.store, input, now, self.report_all, summary, &mut batch.told) {
            return Ok(());
        }
        let lsn =
            self.append(Entry { kind: KIND_EVENT, key: &batch.key, payload: &batch.payload })?;
        if let Some(output) = batch.told.get_mut(before) {
            output.lsn = lsn;
            self.waiting.pending.extend(Pending::of(output));
        }
        Ok(())
    }

    /// What was confirmed since this was asked last; durable with the next commit.
    fn write_confirmed(&mut self) -> Result<(), Error> {
        let Some(lsn) = self.waiting.sweep() else { return Ok(()) };
        let mut payload = Vec::new();
        snapshot::write(&mut payload, &lsn.0)?;
        self.append(Entry { kind: KIND_CONFIRMED, key: &[], payload: &payload }).map(drop)
    }

    fn append(&mut self, entry: Entry<'_>) -> Result<Lsn, Error> {
        self.writer.append(entry).map_err(journal)
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.writer.commit().map(drop).map_err(journal)
    }

    /// Waits until somebody confirms.
    fn wait_for_room(&mut self, ctx: &Ctx) -> Result<(), Error> {
        select_blocking! {
            cause = ctx.done() => Err(Error::ended(cause)),
            bell = self.waiting.bell.recv() => match bell {
                Some(()) => Ok(()),
                None => Err(Error::new(
                    ErrorKind::OutputsGone,
                    "the outbox is full and nobody is left who could confirm: keep the `Outbox` and call `confirm`",
                )),
            },
        }
    }

    /// Everything up to the last commit as one piece.
    fn snapshot(&mut self) -> Result<(), Error> {
        let state = snapshot::snapshot(&self.store, &self.waiting)?;
        let lsn = self.writer.durable();
        self.writer.checkpoint(lsn, &state).map_err(journal)?;
        self.writer.retain(lsn.next()).map(drop).map_err(journal)
    }
}

/// What a batch is made of; kept between batches for its memory.
struct Batch<K, M: Machine> {
    inputs: Vec<Input<K, M::Event>>,
    told: Vec<Output<K, M>>,
    key: Vec<u8>,
    payload: Vec<u8>,
}

impl<K, M: Machine> Default for Batch<K, M> {
    fn default() -> Self {
        Self { inputs: Vec::new(), told: Vec::new(), key: Vec::new(), payload: Vec::new() }
    }
}

impl<K: Key, D: Clone> Pending<K, D> {
    /// What waits of an output, if it decided something.
    fn of<M: Machine<Decision = D>>(output: &Output<K, M>) -> Option<Self> {
        let Ok(Transition { from, to, decisions }) = &output.outcome else { return None };
        (!decisions.is_empty()).then(|| Self {
            lsn: output.lsn,
            key: output.key.clone(),
            id: output.id,
            from: from.id(),
            to: to.id(),
            decisions: decisions.clone(),
        })
    }

    fn output<M: Machine<Decision = D>>(&self) -> Output<K, M> {
        let Self { lsn, key, id, from, to, decisions } = self;
        let (from, to) = (M::State::of(*from), M::State::of(*to));
        let outcome = Ok(Transition { from, to, decisions: decisions.clone() });
        Output { lsn: *lsn, key: key.clone(), id: *id, outcome }
    }
}

fn journal(error: towpath_journal::Error) -> Error {
    let what = "the journal failed: open it again to know what is durable";
    Error::because(ErrorKind::Journal, what, error)
}

/// Sends an output, unless the context ends first.
fn tell<K, M: Machine>(
    ctx: &Ctx,
    outputs: &Sender<Output<K, M>>,
    output: Output<K, M>,
) -> Result<(), Error> {
    let full = match outputs.try_send(output) {
        Ok(()) => return Ok(()),
        Err(TrySendError::Full(output)) => output,
        Err(TrySendError::Closed(_)) => return Err(Error::outputs_gone()),
    };
    select_blocking! {
        cause = ctx.done() => Err(Error::ended(cause)),
        sent = outputs.send(full) => sent.map_err(|_| Error::outputs_gone()),
    }
}
