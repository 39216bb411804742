//! The process without a journal: a loop over the mailbox, the clock and the context.

use std::time::Duration;

use towpath::{Ctx, Receiver, Sender, after, rt, select};
use towpath_journal::Lsn;

use super::store::{Applied, Key, micros};
use super::{Error, Input, Keyed, Output, Rejected, Store, Summary};
use crate::machine::Machine;

/// The least wait for a timeout before the clock is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

impl<K: Key, M: Machine> Keyed<K, M> {
    /// Runs until nobody can send any more and everything was handled; timeouts that are not over by then do not happen.
    ///
    /// When `outputs` is full it waits, and then so do senders into the mailbox. So whoever receives the outputs must not wait for
    /// room in the mailbox.
    ///
    /// # Errors
    /// [`ErrorKind::Ended`](super::ErrorKind::Ended), [`ErrorKind::OutputsGone`](super::ErrorKind::OutputsGone).
    ///
    /// # Cancel safety
    /// Dropped, the instances are gone, and with them what waits in the mailbox.
    pub async fn run(
        self,
        ctx: Ctx,
        mut mailbox: Receiver<Input<K, M::Event>>,
        outputs: Sender<Output<K, M>>,
    ) -> Result<Summary, Error>
    where
        M::Event: Send,
        M::Data: Send,
        M::Decision: Send,
    {
        let Self { mut store, report_all, batch_max, mut forgotten } = self;
        let mut summary = Summary::default();
        let mut batch = Vec::new();
        let mut told = Vec::new();
        loop {
            let wait = store.next_due_at().map(|due| after(until(due)));
            let first = select! {
                cause = ctx.done() => return Err(Error::ended(cause)),
                first = mailbox.recv() => Some(first),
                _ = wait => None,
            };
            match first {
                Some(Some(first)) => {
                    batch.push(first);
                    if batch_max > 1 && !mailbox.is_empty() {
                        mailbox.recv_many(&mut batch, batch_max - 1).await;
                    }
                }
                Some(None) => {
                    summary.instances = store.len();
                    return Ok(summary);
                }
                None => {}
            }
            let now = micros(rt::wall());
            // What was due came before what has just been received.
            let mut due = 0;
            while due < batch_max
                && let Some((key, event)) = store.next_timeout_at(now)
            {
                store.silence(&key);
                one(
                    &mut store,
                    Input { key, id: None, event },
                    now,
                    report_all,
                    &mut summary,
                    &mut told,
                );
                due += 1;
            }
            for input in batch.drain(..) {
                one(&mut store, input, now, report_all, &mut summary, &mut told);
            }
            while let Some(key) = store.forget_ended() {
                summary.forgotten += 1;
                if let Some(tell) = &mut forgotten {
                    tell(&key);
                }
            }
            for output in told.drain(..) {
                let full = match outputs.try_send(output) {
                    Ok(()) => continue,
                    Err(towpath::TrySendError::Full(output)) => output,
                    Err(towpath::TrySendError::Closed(_)) => return Err(Error::outputs_gone()),
                };
                select! {
                    cause = ctx.done() => return Err(Error::ended(cause)),
                    sent = outputs.send(full) => sent.map_err(|_| Error::outputs_gone())?,
                }
            }
        }
    }
}

/// How long to wait until then before the clock is looked at again, since somebody may set it: an eighth of the time, or a minute. So
/// a timeout of a month takes a hundred looks, and is late by an eighth of its time when the clock was set to after it.
pub(super) fn until(due: u64) -> Duration {
    let wait = Duration::from_micros(due.saturating_sub(micros(rt::wall())));
    wait.min(LOOK_AGAIN.max(wait / 8))
}

/// One event, and what is told of it. True: it was handled.
pub(super) fn one<K: Key, M: Machine>(
    store: &mut Store<K, M>,
    input: Input<K, M::Event>,
    now: u64,
    report_all: bool,
    summary: &mut Summary,
    told: &mut Vec<Output<K, M>>,
) -> bool {
    let Input { key, id, event } = input;
    let outcome = match store.apply_at(&key, id, &event, now) {
        Applied::Moved { from, to } => {
            summary.handled += 1;
            if report_all || !store.decisions.is_empty() {
                let transition = store.transition(from, to);
                told.push(Output { lsn: Lsn::ZERO, key, id, outcome: Ok(transition) });
            }
            return true;
        }
        Applied::Refused(refused) => {
            summary.refused += 1;
            Err(Rejected::Refused { event, refused })
        }
        Applied::Duplicate => {
            summary.duplicates += 1;
            Err(Rejected::Duplicate { event })
        }
    };
    told.push(Output { lsn: Lsn::ZERO, key, id, outcome });
    false
}
