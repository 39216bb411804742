//! The durable records of a journal as a channel, live.
//!
//! What always holds: a record is sent once, in order, when it is durable. No notice is missed: the wait for it is made before
//! the journal is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use towpath::sync::Notify;
use towpath::{Ctx, Receiver, Scope, Sender, bounded, rt, select};
use towpath_journal::{Lsn, Readers, Record};

use super::Error;

/// Records that are read ahead of the receiver.
///
/// As many as a commit carries, so that a tail that keeps up is not what a batch waits for.
const TAIL_CAPACITY: usize = 1024;

/// A record of a journal, owning what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub lsn: Lsn,
    /// How many times the journal had been opened for writing when it was written.
    pub epoch: u64,
    /// As appended.
    pub kind: u16,
    /// As appended.
    pub key: Vec<u8>,
    /// As appended.
    pub payload: Vec<u8>,
}

impl From<Record<'_>> for Appended {
    fn from(record: Record<'_>) -> Self {
        let Record { lsn, epoch, kind, key, payload } = record;
        Self { lsn, epoch, kind, key: key.to_vec(), payload: payload.to_vec() }
    }
}

/// What the journal's thread tells its tails.
#[derive(Default)]
pub(super) struct Live {
    /// Look again.
    more: Notify,
    ended: AtomicBool,
}

impl Live {
    /// More is durable.
    pub(super) fn tell(&self) {
        self.more.notify_waiters();
    }

    /// Says, when dropped, that there will be no more.
    pub(super) fn ended(&self) -> impl Drop + '_ {
        struct Ended<'a>(&'a Live);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                // Release: pairs with the Acquire in `follow`; who sees it sees all that is durable.
                self.0.ended.store(true, Ordering::Release);
                self.0.more.notify_waiters();
            }
        }
        Ended(self)
    }
}

pub(super) fn start(
    scope: &Scope,
    name: &'static str,
    readers: Readers,
    live: Arc<Live>,
    from: Lsn,
) -> Receiver<Result<Appended, Error>> {
    let (tx, rx) = bounded(TAIL_CAPACITY);
    let tx = tx.named(name);
    scope.spawn_blocking(name, move |ctx| {
        if let Err(error) = follow(&ctx, &readers, &live, from, &tx) {
            // The receiver may be gone, and then nobody wants to know.
            drop(tx.send_blocking(Err(error)));
        }
    });
    rx
}

fn follow(
    ctx: &Ctx,
    readers: &Readers,
    live: &Live,
    from: Lsn,
    tx: &Sender<Result<Appended, Error>>,
) -> Result<(), Error> {
    let mut reader = readers.reader(from)?;
    loop {
        let told = live.more.notified();
        let ended = live.ended.load(Ordering::Acquire);
        while let Some(record) = reader.next()? {
            if tx.send_blocking(Ok(record.into())).is_err() {
                return Ok(());
            }
        }
        if ended || ctx.is_done() {
            return Ok(());
        }
        let goes_on = rt::block_on(async {
            select! {
                () = told => true,
                () = tx.closed() => false,
                _ = ctx.done() => true,
            }
        });
        if !goes_on {
            return Ok(());
        }
    }
}
