//! A journal as a process: many append, one thread writes, and each commit carries all who waited.
//!
//! ```text
//!   append().await ─┐                       ┌─ reply
//!   append().await ─┼─ channel ─▶ thread ───┼─ reply      one fdatasync for all of them
//!   append().await ─┘                       └─ reply
//! ```
//!
//! What always holds:
//! - An append that returned `Ok` is durable.
//! - Records of one task are in the order of its appends; a group is in the journal whole or not at all.
//! - After a failed write or sync, this and every later append gives the error: what is on the disk is unknown until the
//!   journal is opened again.
//!
//! While the thread waits for the disk, the channel fills: the next batch is what arrived meanwhile.

use std::{error, fmt};

use towpath::{Receiver, Scope, Sender, bounded};
use towpath_journal::{Entry, Lsn, Writer};

/// Appends that may wait for the thread; as many as one commit carries at most.
///
/// 1,024 records of 256 bytes are what the disk takes at once without being slower than it is for one.
const BATCH_CAPACITY: usize = 1024;

/// An answer is sent once and never waits.
const REPLY_CAPACITY: usize = 1;

/// One record to append, owning what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// What the payload is; the caller's to number.
    pub kind: u16,
    /// Whom it is about; may be empty.
    pub key: Vec<u8>,
    /// The content.
    pub payload: Vec<u8>,
}

/// Why an append did not become durable, or may not have.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The journal refused, or failed; the record may or may not be there after a restart.
    Journal(towpath_journal::Error),
    /// The journal's process has ended; the record may or may not be there after a restart.
    Gone,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => error.fmt(f),
            Self::Gone => f.write_str("the journal's process has ended"),
        }
    }
}

impl error::Error for Error {}

struct Request {
    group: Vec<Append>,
    reply: Sender<Result<Lsn, Error>>,
}

/// The way to a journal. Clones lead to the same one; its thread ends when the last is gone.
#[derive(Clone)]
pub struct Log {
    requests: Sender<Request>,
}

impl Log {
    /// Gives a writer to a thread of its own in a scope.
    pub fn start(scope: &Scope, name: &'static str, writer: Writer) -> Self {
        let (requests, rx) = bounded(BATCH_CAPACITY);
        scope.spawn_blocking(name, move |_ctx| keep(writer, rx));
        Self { requests: requests.named(name) }
    }

    /// Appends one record; durable when it returns.
    ///
    /// # Errors
    /// [`Error`]; whether the record survives is then unknown.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the record may or may not become durable.
    pub async fn append(&self, record: Append) -> Result<Lsn, Error> {
        self.append_group(vec![record]).await
    }

    /// Appends records that survive together or not at all; gives the number of the last. Durable when it returns.
    ///
    /// # Errors
    /// [`Error`]; whether the group survives is then unknown.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the group may or may not become durable, but as a whole.
    pub async fn append_group(&self, group: Vec<Append>) -> Result<Lsn, Error> {
        let (reply, mut answer) = bounded(REPLY_CAPACITY);
        self.requests.send(Request { group, reply }).await.map_err(|_| Error::Gone)?;
        answer.recv().await.unwrap_or(Err(Error::Gone))
    }
}

/// Ends when every [`Log`] is gone. A failed journal goes on answering, with its error.
fn keep(mut writer: Writer, mut requests: Receiver<Request>) {
    let mut batch = Vec::new();
    let mut replies = Vec::new();
    while requests.recv_many_blocking(&mut batch, BATCH_CAPACITY) > 0 {
        for Request { group, reply } in batch.drain(..) {
            let entries: Vec<_> = group
                .iter()
                .map(|Append { kind, key, payload }| Entry { kind: *kind, key, payload })
                .collect();
            match writer.append_group(&entries) {
                Ok(lsn) => replies.push((lsn, reply)),
                Err(error) => drop(reply.try_send(Err(Error::Journal(error)))),
            }
        }
        let durable = writer.commit();
        for (lsn, reply) in replies.drain(..) {
            let answer =
                durable.as_ref().map(|_| lsn).map_err(|error| Error::Journal(error.clone()));
            // Who does not wait any more does not want to know.
            drop(reply.try_send(answer));
        }
    }
}
