//! A journal as a process: many append, one thread writes, and each commit carries all who waited.
//!
//! ```text
//!   append().await ─┐                       ┌─ reply
//!   append().await ─┼─ channel ─▶ thread ───┼─ reply      one fdatasync for all of them
//!   append().await ─┘              │        └─ reply
//!                                  └─ notice ─▶ tail ─▶ channel of durable records
//! ```
//!
//! What always holds:
//! - An append that returned `Ok` is durable.
//! - Records of one task are in the order of its appends; a group is in the journal whole or not at all.
//! - After a failed write or sync, this and every later append gives the error: what is on the disk is unknown until the
//!   journal is opened again. Tails end, having given all that is durable.
//!
//! While the thread waits for the disk, the channel fills: the next batch is what arrived meanwhile.

mod tail;

use std::sync::Arc;
use std::{error, fmt};

use towpath::{Receiver, Scope, Sender, bounded};
use towpath_journal::{Checkpoint, Entry, ErrorKind, Lsn, Readers, Writer};

pub use tail::Appended;
use tail::Live;

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

impl Append {
    fn entry(&self) -> Entry<'_> {
        Entry { kind: self.kind, key: &self.key, payload: &self.payload }
    }
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
            Self::Gone => f.write_str(
                "the journal's process has ended: open the journal again, and see what is there",
            ),
        }
    }
}

impl error::Error for Error {}

impl From<towpath_journal::Error> for Error {
    fn from(error: towpath_journal::Error) -> Self {
        Self::Journal(error)
    }
}

type Reply<T> = Sender<Result<T, Error>>;

/// Everything that the thread is asked for.
enum Request {
    One(Append, Reply<Lsn>),
    Group(Vec<Append>, Reply<Lsn>),
    All(Vec<Append>, Reply<Lsn>),
    Checkpoint(Checkpoint, Reply<()>),
    Latest(Reply<Option<Checkpoint>>),
    Retain(Lsn, Reply<Lsn>),
}

/// The way to a journal. Clones lead to the same one; its thread ends when the last is gone.
#[derive(Clone)]
pub struct Log {
    requests: Sender<Request>,
    readers: Readers,
    live: Arc<Live>,
}

impl Log {
    /// Gives a writer to a thread of its own in a scope.
    pub fn start(scope: &Scope, name: &'static str, writer: Writer) -> Self {
        let (requests, rx) = bounded(BATCH_CAPACITY);
        let (readers, live) = (writer.readers(), Arc::new(Live::default()));
        let keeper = Keeper { writer, live: Arc::clone(&live), failed: None };
        scope.spawn_blocking(name, move |_ctx| keeper.run(rx));
        Self { requests: requests.named(name), readers, live }
    }

    /// Appends one record; durable when it returns.
    ///
    /// # Errors
    /// [`Error`]; whether the record survives is then unknown, but for [`ErrorKind::TooLarge`], which refuses it.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the record may or may not become durable.
    pub async fn append(&self, record: Append) -> Result<Lsn, Error> {
        self.ask(|reply| Request::One(record, reply)).await
    }

    /// Appends records that survive together or not at all; gives the number of the last. Durable when it returns.
    ///
    /// # Errors
    /// As [`append`](Self::append), for the whole group.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the group may or may not become durable, but as a whole.
    pub async fn append_group(&self, group: Vec<Append>) -> Result<Lsn, Error> {
        self.ask(|reply| Request::Group(group, reply)).await
    }

    /// Appends records that have nothing to do with each other, for one answer: the cheap way for many. Gives the number of
    /// the last; the others have the numbers before it. Durable when it returns.
    ///
    /// # Errors
    /// As [`append`](Self::append); the first of the records may be there, and the rest not. Those in front of one that is
    /// too large are.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the first of the records may become durable, or all, or none.
    pub async fn append_all(&self, records: Vec<Append>) -> Result<Lsn, Error> {
        self.ask(|reply| Request::All(records, reply)).await
    }

    /// Keeps, durably, a state that stands for every record up to `lsn`. Appends wait meanwhile.
    ///
    /// # Errors
    /// Those of [`Writer::checkpoint`]; the last checkpoint is still there then.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the checkpoint may or may not be made.
    pub async fn checkpoint(&self, lsn: Lsn, state: Vec<u8>) -> Result<(), Error> {
        self.ask(|reply| Request::Checkpoint(Checkpoint { lsn, state }, reply)).await
    }

    /// The last checkpoint, as [`Writer::latest_checkpoint`] gives it.
    ///
    /// # Errors
    /// Those it gives.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn latest_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        self.ask(Request::Latest).await
    }

    /// Lets go of records before `from` that the last checkpoint stands for; gives the first that is kept.
    ///
    /// # Errors
    /// Those of [`Writer::retain`].
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the records may or may not be gone.
    pub async fn retain(&self, from: Lsn) -> Result<Lsn, Error> {
        self.ask(|reply| Request::Retain(from, reply)).await
    }

    /// The last record that is durable.
    pub fn durable(&self) -> Lsn {
        self.readers.durable()
    }

    /// Makes readers that follow the journal, for who polls or reads what is there. To be woken, use [`tail`](Self::tail).
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// All records from one on, [`Lsn::ZERO`] meaning the oldest, in order, and then those that become durable.
    ///
    /// A thread of the scope reads and sends them, no faster than they are received. It ends when the receiver is dropped, when
    /// every [`Log`] is gone, or when the scope's context ends, having sent what was durable then; an error is the last that is received.
    pub fn tail(
        &self,
        scope: &Scope,
        name: &'static str,
        from: Lsn,
    ) -> Receiver<Result<Appended, Error>> {
        tail::start(scope, name, self.readers.clone(), Arc::clone(&self.live), from)
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, mut answer) = bounded(REPLY_CAPACITY);
        self.requests.send(request(reply)).await.map_err(|_| Error::Gone)?;
        answer.recv().await.unwrap_or(Err(Error::Gone))
    }
}

/// The thread. It ends when every [`Log`] is gone. A failed journal goes on answering, with its error.
struct Keeper {
    writer: Writer,
    live: Arc<Live>,
    /// Also a full disk is the end: who was told that an append failed must not find it there later.
    failed: Option<Error>,
}

impl Keeper {
    fn run(mut self, mut requests: Receiver<Request>) {
        // Tails are told however this ends.
        let live = Arc::clone(&self.live);
        let _ended = live.ended();
        let mut batch = Vec::new();
        let mut waiting = Vec::new();
        let mut later = Vec::new();
        while requests.recv_many_blocking(&mut batch, BATCH_CAPACITY) > 0 {
            for request in batch.drain(..) {
                let (appended, reply) = match request {
                    Request::One(record, reply) => (self.append(&[record.entry()]), reply),
                    Request::Group(group, reply) => {
                        let entries: Vec<_> = group.iter().map(Append::entry).collect();
                        (self.append(&entries), reply)
                    }
                    Request::All(records, reply) => {
                        let mut last = Ok(Lsn(self.writer.next().0 - 1));
                        for record in &records {
                            last = self.append(&[record.entry()]);
                            if last.is_err() {
                                break;
                            }
                        }
                        (last, reply)
                    }
                    request => {
                        later.push(request);
                        continue;
                    }
                };
                match appended {
                    Ok(lsn) => waiting.push((lsn, reply)),
                    Err(error) => answer(&reply, Err(error)),
                }
            }
            let committed = self.commit();
            for (lsn, reply) in waiting.drain(..) {
                // Of several segments' worth the first may have become durable before the failure.
                let durable = lsn <= self.writer.durable();
                answer(&reply, if durable { Ok(lsn) } else { committed.clone().map(|()| lsn) });
            }
            for request in later.drain(..) {
                self.keep(request);
            }
        }
    }

    fn append(&mut self, entries: &[Entry<'_>]) -> Result<Lsn, Error> {
        match &self.failed {
            Some(failed) => Err(failed.clone()),
            None => Ok(self.writer.append_group(entries)?),
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let before = self.writer.durable();
        let committed = self.writer.commit();
        if self.writer.durable() > before {
            self.live.tell();
        }
        let failed = committed.err().map(Error::Journal);
        self.failed.clone_from(&failed);
        failed.map_or(Ok(()), Err)
    }

    /// What is not an append.
    fn keep(&mut self, request: Request) {
        let writer = &mut self.writer;
        match request {
            Request::Checkpoint(Checkpoint { lsn, state }, reply) => {
                answer(&reply, writer.checkpoint(lsn, &state).map_err(Error::from));
            }
            Request::Latest(reply) => {
                answer(&reply, writer.latest_checkpoint().map_err(Error::from));
            }
            Request::Retain(from, reply) => {
                let oldest = writer.retain(from);
                if let Err(error) = &oldest
                    && error.kind() == ErrorKind::Io
                {
                    self.failed.get_or_insert(Error::Journal(error.clone()));
                }
                answer(&reply, oldest.map_err(Error::from));
            }
            Request::One(..) | Request::Group(..) | Request::All(..) => {
                unreachable!("appended before")
            }
        }
    }
}

/// Who does not wait any more does not want to know.
fn answer<T>(reply: &Reply<T>, answer: Result<T, Error>) {
    drop(reply.try_send(answer));
}
