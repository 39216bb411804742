//! Dead letters: messages that could not be handled, kept until somebody has decided.
//!
//! What always holds:
//! - [`put`](DeadLetters::put) has returned: the letter survives everything that the disk survives. A source that acknowledges its
//!   message only then loses none.
//! - A message is one letter, however often it fails: what is put again under its [key](Letter::with_key) joins its history.
//! - A replay that was killed goes on where it was ([`resume`](DeadLetters::resume)). The letter that it had in hand is *in doubt*:
//!   it is handled once more, under the same idempotency key.
//!
//! Not promised: that a replayed message has its effect once. It is handled at least once; the key, the same in every attempt, is
//! what the handler, or whoever it calls, can recognise it by.
//!
//! ```
//! use towpath::{BoxError, Ctx, scope};
//! use towpath_journal::Writer;
//! use towpath_patterns::fault::{Failure, Fault, dead::{DeadLetters, Letter, Pace, Pick}};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path();
//! # towpath::block_on(async {
//! let writer = Writer::open(path)?;
//! let ctx = Ctx::root();
//! scope(&ctx, |s| async move {
//!     let dead = DeadLetters::open(&s, "orders", writer)?;
//!     let error = Failure::schema("field `price` is missing");
//!     let id = dead.put(Letter::new(*b"order 7").with_fault(Fault::of("parser", &error))).await?;
//!
//!     // Somebody looks, and mends it.
//!     let group = dead.groups().await?.remove(0);
//!     assert_eq!((group.cause.as_str(), group.letters), ("field `price` is missing", 1));
//!     dead.edit(id, *b"order 7, price 3", "asked the customer").await?;
//!
//!     let done = dead.replay(s.ctx(), Pick::group(&group), Pace::per_second(100.0), async |_ctx, letter| {
//!         assert_eq!(letter.payload, b"order 7, price 3");
//!         assert_eq!(letter.key, b"orders/1/e1"); // the store, the letter, its first edit
//!         Ok::<_, Failure>(())
//!     });
//!     assert_eq!(done.await?.went_well, 1);
//!     Ok(())
//! })
//! .await?;
//! # Ok::<_, BoxError>(()) }).unwrap();
//! ```
//!
//! The bytes on disk are described in `event.rs` and `checkpoint.rs`, and kept by a golden file.

mod bytes;
mod checkpoint;
mod event;
mod letter;
mod replay;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::{error, fmt, time::SystemTime};

use towpath::{Cause, Scope, Sender, process::Name};
use towpath_journal::{Lsn, Writer};

pub use letter::{Group, Letter, LetterId, Pick, ReplayId, Shown, Status, Step, Summary};
pub use replay::{DryRun, Pace, Replay, Replayed};
use store::{Request, Store};

/// Requests that may wait for the store's thread: as many as it takes in a turn.
const REQUEST_CAPACITY: usize = 1024;

/// An answer is sent once and never waits.
const REPLY_CAPACITY: usize = 1;

/// How much a store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Letters that may wait. Above that [`put`](DeadLetters::put) refuses: whoever has so many has another problem, and must
    /// notice.
    pub letters_max: usize,
    /// Records behind the last checkpoint, as many as the next start reads. At least as many as there are letters, so that
    /// keeping checkpoints is a constant part of the work.
    pub checkpoint_every: u64,
}

impl Default for Limits {
    /// A million letters; a checkpoint every 4,096 records.
    fn default() -> Self {
        Self { letters_max: 1_000_000, checkpoint_every: 4_096 }
    }
}

/// The way to a store of dead letters. Clones lead to the same one; its thread ends when the last is gone.
#[derive(Clone)]
pub struct DeadLetters {
    name: Name,
    requests: Sender<Request>,
}

impl DeadLetters {
    /// Opens the store in a journal, and starts the thread that keeps it in `scope`. Reads what is behind the last checkpoint, so
    /// it may block for some time.
    ///
    /// The name becomes part of idempotency keys: a store keeps its name.
    ///
    /// # Errors
    /// [`Error::Journal`], [`Error::Unreadable`].
    pub fn open(scope: &Scope, name: impl Into<Name>, writer: Writer) -> Result<Self, Error> {
        Self::open_with(scope, name, writer, Limits::default())
    }

    /// As [`open`](Self::open), with other limits.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        scope: &Scope,
        name: impl Into<Name>,
        writer: Writer,
        limits: Limits,
    ) -> Result<Self, Error> {
        let name = name.into();
        let store = Store::open(&name, writer, limits)?;
        let (requests, rx) = towpath::bounded(REQUEST_CAPACITY);
        scope.spawn_blocking(&name, move |_ctx| store.run(rx));
        Ok(Self { requests: requests.named(&name), name })
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Keeps a letter; durable when it returns. One that is known by its key joins the letter that is there, which waits again if
    /// it had been replayed or discarded.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Journal`], [`Error::Gone`]. With the last two it is unknown whether it is kept: do not
    /// acknowledge the message, and put it again under the same key.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, the letter may or may not be kept.
    pub async fn put(&self, letter: Letter) -> Result<LetterId, Error> {
        self.ask(|reply| Request::Put(letter, reply)).await
    }

    /// Those that wait and fit, by their numbers, behind `after` ([`LetterId`] 0 is before all), `limit` at most.
    ///
    /// # Errors
    /// [`Error::Journal`], [`Error::Gone`].
    pub async fn list(
        &self,
        pick: Pick,
        after: LetterId,
        limit: usize,
    ) -> Result<Vec<Summary>, Error> {
        self.ask(|reply| Request::List { pick, after, limit, reply }).await
    }

    /// Those that wait, by class and cause of their last failure.
    ///
    /// # Errors
    /// [`Error::Journal`], [`Error::Gone`].
    pub async fn groups(&self) -> Result<Vec<Group>, Error> {
        self.ask(Request::Groups).await
    }

    /// All that is known of a letter, its content included. One that was replayed or discarded is known for some time.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Journal`], [`Error::Unreadable`], [`Error::Gone`].
    pub async fn show(&self, id: LetterId) -> Result<Shown, Error> {
        self.ask(|reply| Request::Show(id, reply)).await
    }

    /// Gives a letter another content, and with it another idempotency key: it is another message now. Its history stays.
    ///
    /// If an attempt at the old content may have had an effect, that is not undone by this.
    ///
    /// # Errors
    /// [`Error::Unknown`]; [`Error::Closed`]; [`Error::Busy`] while a replay has it in hand; [`Error::Journal`],
    /// [`Error::Gone`].
    pub async fn edit(
        &self,
        id: LetterId,
        payload: impl Into<Vec<u8>>,
        note: impl Into<String>,
    ) -> Result<(), Error> {
        let (payload, note) = (payload.into(), note.into());
        self.ask(|reply| Request::Edit { id, payload, note, reply }).await
    }

    /// Decides that a letter is not to be handled.
    ///
    /// # Errors
    /// As [`edit`](Self::edit).
    pub async fn discard(&self, id: LetterId, note: impl Into<String>) -> Result<(), Error> {
        let note = note.into();
        self.ask(|reply| Request::Discard { id, note, reply }).await
    }

    /// Replays that were begun and have not ended: they run, or were killed or cancelled.
    ///
    /// # Errors
    /// [`Error::Journal`], [`Error::Gone`].
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>, Error> {
        let replays = self.ask(Request::Replays).await?;
        let unfinished = |(replay, progress): (ReplayId, state::Progress)| Unfinished {
            replay,
            pick: progress.pick,
            when: progress.when,
            done: Replayed { replay, went_well: progress.went_well, failed: progress.failed },
        };
        Ok(replays.into_iter().map(unfinished).collect())
    }

    async fn ask<T>(&self, request: impl FnOnce(store::Reply<T>) -> Request) -> Result<T, Error> {
        let (reply, mut answer) = towpath::bounded(REPLY_CAPACITY);
        self.requests.send(request(reply)).await.map_err(|_| Error::Gone)?;
        answer.recv().await.unwrap_or(Err(Error::Gone))
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A replay that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfinished {
    /// Its number, for [`resume`](DeadLetters::resume).
    pub replay: ReplayId,
    /// What it was to replay.
    pub pick: Pick,
    /// When it began.
    pub when: SystemTime,
    /// What it has done so far.
    pub done: Replayed,
}

/// What a store says when it cannot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The journal refused, or failed.
    Journal(towpath_journal::Error),
    /// A record, or a checkpoint, is not what this version writes.
    Unreadable {
        /// Which record.
        at: Lsn,
        /// What should be there.
        what: &'static str,
    },
    /// The store's thread has ended.
    Gone,
    /// So many letters wait that no more are taken.
    Full {
        /// So many.
        letters: usize,
    },
    /// There is no such letter, or it was replayed or discarded long ago.
    Unknown(LetterId),
    /// The letter was replayed or discarded already.
    Closed(LetterId),
    /// A replay has the letter in hand.
    Busy(LetterId),
    /// The replay runs.
    Running(ReplayId),
    /// There is no such replay, or it has ended.
    Ended(ReplayId),
    /// The context has ended; the replay can be resumed.
    Cancelled(ReplayId, Cause),
}

impl Error {
    /// Whether the same call may succeed later without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Running(_) => true,
            Self::Journal(error) => error.is_retryable(),
            _ => false,
        }
    }

    fn unreadable(at: Lsn, error: bytes::Unreadable) -> Self {
        Self::Unreadable { at, what: error.what }
    }
}

impl From<towpath_journal::Error> for Error {
    fn from(error: towpath_journal::Error) -> Self {
        Self::Journal(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(_) => f.write_str(
                "the journal of the dead letters failed: mend the disk and open it again",
            ),
            Self::Unreadable { at, what } => write!(
                f,
                "record {at} of the dead letters cannot be read, {what} is missing: use the version that wrote it, or a backup"
            ),
            Self::Gone => f.write_str("the process of the dead letters has ended: open it again"),
            Self::Full { letters } => {
                write!(f, "{letters} dead letters wait already: replay or discard some")
            }
            Self::Unknown(id) => write!(f, "there is no dead letter {id}: list them"),
            Self::Closed(id) => {
                write!(f, "dead letter {id} was replayed or discarded already: show it")
            }
            Self::Busy(id) => write!(f, "a replay has dead letter {id} in hand: wait for it"),
            Self::Running(replay) => write!(f, "replay {replay} runs already: wait for it"),
            Self::Ended(replay) => write!(f, "replay {replay} has ended: begin another"),
            Self::Cancelled(replay, _) => {
                write!(f, "replay {replay} was cut short: resume it")
            }
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Journal(error) => Some(error),
            Self::Cancelled(_, cause) => Some(cause),
            _ => None,
        }
    }
}
