//! A machine for millions of keys: one process, one mailbox, an instance for each key.
//!
//! ```text
//!                       ┌────────────────────────────┐
//!   (key, event) ──────▶│ Keyed                      │──────▶ Output: decisions, refusals, duplicates
//!                       │   key ─▶ state, data, due  │
//!                       └───────┬──────────▲─────────┘
//!                      batch by │          │ recovery: last snapshot, then what came after it
//!                        batch  ▼          │
//!                            journal (only [`Journalled`])
//! ```
//!
//! What always holds:
//! - Events are handled in the order in which they were received, so those of one key, sent by one sender, in the order of sending.
//!   Between keys and between senders nothing is promised beyond that; outputs come in the order of the events.
//! - No event is silently dropped: it is handled, or comes out again as refused, with the reason, or as a duplicate. When the process
//!   itself ends early (its context, its outputs' receiver, its journal) what still waits in the mailbox goes with it.
//! - An idle instance is a row of a table. What that takes is measured by `towpath-bench machine` and by a test.
//! - Timeouts come from one queue for all, and with the time of [`rt::wall`](towpath::rt::wall), since they outlive the process. An
//!   event that comes late comes before no event that was received earlier.
//!
//! With a journal, in addition:
//! - What was told has been durable before: outputs of a batch come after its commit.
//! - After a crash and a new start, every instance is where its durable events left it. Decisions that were not confirmed
//!   ([`Outbox::confirm`]) are told again, first and in order, with the same [`Output::lsn`], which is therefore what the consumer
//!   knows them by: an outbox with an idempotency key. So a decision is told at least once, and never again when its
//!   confirmation is durable.
//! - A journal is only read by the table that wrote it: name, version and every row.
//!
//! What is not promised: that an event which was received is handled. A crash before the commit loses it, as it loses the mailbox.
//! Who needs to know sends with an id, waits for the output (with [`Keyed::report_all`]), and sends again; [`Keyed::remember`]
//! notices what comes twice.
//!
//! ```
//! use towpath::{Ctx, bounded, scope};
//! use towpath_patterns::machine::Keyed;
//! use towpath_patterns::machine::order::{Event, Order};
//!
//! /// Events on their way; a few batches.
//! const MAILBOX: usize = 64;
//!
//! # towpath::block_on(async {
//! let told = scope(&Ctx::root(), |s| async move {
//!     let (events, mailbox) = bounded(MAILBOX);
//!     let (outputs, mut told) = bounded(MAILBOX);
//!     s.spawn("orders", move |ctx| Keyed::new(Order).run(ctx, mailbox, outputs));
//!     for event in [Event::Create { price_cents: 500 }, Event::Ship { parcel: 1 }] {
//!         events.send((17_u64, event).into()).await?;
//!     }
//!     drop(events); // the process ends when nobody can send any more
//!     Ok(told.recv().await)
//! });
//! let output = told.await?.unwrap();
//! assert_eq!(output.key, 17);
//! assert_eq!(output.outcome.unwrap_err().to_string(), "Ship is refused in state Created: the order is not paid");
//! # Ok::<(), towpath::Error>(()) }).unwrap();
//! ```

mod ended;
mod journalled;
mod outbox;
mod run;
mod seen;
mod snapshot;
mod store;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use towpath_journal::Lsn;

use super::{Machine, Refused, Transition};
pub use journalled::Journalled;
pub use outbox::Outbox;
pub use snapshot::Recovery;
pub use store::{Applied, Key, Store};

/// Events that are handled between two looks at clock and journal, at most.
///
/// With a journal this is what one sync carries: at 4,096 events and 4 ms for a sync under load that is a million a second, and
/// what is handled but not yet told stays below a megabyte.
const BATCH: usize = 4096;

/// A message for an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<K, E> {
    /// Whose.
    pub key: K,
    /// What its sender knows the event by, when it may send it twice. See [`Keyed::remember`].
    pub id: Option<u64>,
    /// What happens.
    pub event: E,
}

impl<K, E> From<(K, E)> for Input<K, E> {
    fn from((key, event): (K, E)) -> Self {
        Self { key, id: None, event }
    }
}

/// How an event ended: handled, or given back.
pub type Outcome<M> = Result<
    Transition<<M as Machine>::State, <M as Machine>::Decision>,
    Rejected<<M as Machine>::Event>,
>;

/// What became of an event.
pub struct Output<K, M: Machine> {
    /// The event's record in the journal, by which a decision is known when it is told again. [`Lsn::ZERO`] without a journal, and for
    /// what was not handled.
    pub lsn: Lsn,
    /// Whose.
    pub key: K,
    /// The event's id.
    pub id: Option<u64>,
    /// Handled, with what is to be done; or not, and why not.
    pub outcome: Outcome<M>,
}

impl<K: fmt::Debug, M: Machine> fmt::Debug for Output<K, M>
where
    M::Event: fmt::Debug,
    M::Decision: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("lsn", &self.lsn)
            .field("key", &self.key)
            .field("id", &self.id)
            .field("outcome", &self.outcome)
            .finish()
    }
}

/// An event that comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected<E> {
    /// The machine refuses it.
    Refused {
        /// The event.
        event: E,
        /// Where, and why.
        refused: Refused,
    },
    /// One with the same key and id has been handled.
    Duplicate {
        /// The event.
        event: E,
    },
}

impl<E> fmt::Display for Rejected<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { refused, .. } => refused.fmt(f),
            Self::Duplicate { .. } => f.write_str("an event with this id has been handled already"),
        }
    }
}

impl<E: fmt::Debug> StdError for Rejected<E> {}

/// How many of what a process has seen until it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that were handled, those of timeouts among them.
    pub handled: u64,
    /// Events that were refused.
    pub refused: u64,
    /// Events that had been handled already.
    pub duplicates: u64,
    /// Instances that had ended and were forgotten.
    pub forgotten: u64,
    /// Instances at the end.
    pub instances: usize,
}

/// Hears whose instance is forgotten.
type Forgotten<K> = Box<dyn FnMut(&K) + Send + Sync>;

/// A machine for many keys, before it runs. With a journal: [`Keyed::journalled`].
pub struct Keyed<K, M: Machine> {
    store: Store<K, M>,
    report_all: bool,
    batch_max: usize,
    forgotten: Option<Forgotten<K>>,
}

impl<K, M: Machine> fmt::Debug for Keyed<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<K: Key, M: Machine> Keyed<K, M> {
    /// Without instances. Each begins with the default of its data.
    pub fn new(machine: M) -> Self
    where
        M::Data: Default,
    {
        Self::of(Store::new(machine))
    }

    /// Without instances. `born` says with what data the instance of a key begins; for the same key always the same.
    pub fn with_data(machine: M, born: fn(&K) -> M::Data) -> Self {
        Self::of(Store::with_data(machine, born))
    }

    fn of(store: Store<K, M>) -> Self {
        Self { store, report_all: false, batch_max: BATCH, forgotten: None }
    }

    /// Forgets instances that have come to a final state: all but the latest so many, and each after so long; otherwise they are
    /// kept for ever, and memory grows with every key. It is done with the events that come: a process at rest forgets nothing.
    /// A journal forgets them with its next snapshot.
    ///
    /// An event for a key that was forgotten begins a new instance. So keep them for longer than messages may be late or doubled, or
    /// [`remember`](Self::remember) as many ids. After a start the time counts from the last snapshot, if an instance had ended
    /// before it.
    #[must_use]
    pub fn keep_ended(mut self, most: usize, longest: Duration) -> Self {
        self.store = self.store.keep_ended(most, longest);
        self
    }

    /// Tells whose instance is forgotten, from within the process: perhaps before the output is received that told of its end.
    #[must_use]
    pub fn on_forgotten(mut self, tell: impl FnMut(&K) + Send + Sync + 'static) -> Self {
        self.forgotten = Some(Box::new(tell));
        self
    }

    /// Remembers the ids of the last so many handled events that had one, and rejects as a duplicate what comes again with the same
    /// key and id. What is older is not noticed: that is how memory is bounded. A refused event is not remembered; if it comes
    /// again it is judged again.
    #[must_use]
    pub fn remember(mut self, ids: usize) -> Self {
        self.store = self.store.remember(ids);
        self
    }

    /// Handles at most so many events (at least one) between two looks at clock, context and journal; 4,096 unless said otherwise.
    /// With a journal, this many are lost at most by a crash after they were received, and each sync carries as many.
    #[must_use]
    pub fn batch_max(mut self, events: usize) -> Self {
        self.batch_max = events.max(1);
        self
    }

    /// Tells of every event. Otherwise only of those that decided something or were rejected.
    #[must_use]
    pub fn report_all(mut self) -> Self {
        self.report_all = true;
        self
    }
}

/// What kind of thing ended a keyed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Its context has ended.
    Ended,
    /// Nobody receives its outputs any more.
    OutputsGone,
    /// Its journal failed; open it again to know what is durable.
    Journal,
    /// Its journal was written by another table.
    OtherTable,
    /// What is in its journal is not what this machine would have written.
    Corrupt,
    /// A key, an event, data or a decision cannot be written as bytes.
    Unwritable,
}

/// Why a keyed process ended early.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    what: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), source: None }
    }

    fn because(
        kind: ErrorKind,
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, what: what.into(), source: Some(source.into()) }
    }

    fn outputs_gone() -> Self {
        Self::new(ErrorKind::OutputsGone, "nobody receives the outputs any more")
    }

    fn ended(cause: towpath::Cause) -> Self {
        Self::because(ErrorKind::Ended, "stopped by its context", cause)
    }

    /// What kind of thing it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether starting the process again, with its journal opened again, may go well without anybody mending anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Ended | ErrorKind::OutputsGone | ErrorKind::Journal)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
