//! Device shadows: what each device has reported last, what it should be, and the difference, sent until there is none.
//!
//! ```text
//!   devices ──report──▶ ┌─────────┐ ──diff──────────▶ whoever can reach the devices
//!                       │ shadows │ ──online/offline─▶
//!   operators ─desire─▶ └─────────┘ ◀─get── anybody
//! ```
//!
//! One process owns the shadows; [`Shadows`] is the way to it. State is a set of named fields, and who reports or desires gives
//! a [`Patch`] of them.
//!
//! ```
//! use std::time::Duration;
//! use towpath::{Ctx, bounded, scope};
//! use towpath_patterns::shadow::{Event, Patch, Shadows};
//!
//! /// Events that whoever sends them to devices may be behind.
//! const EVENTS: usize = 8;
//!
//! # towpath::block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let (out, mut events) = bounded(EVENTS);
//!     let shadows = Shadows::start(&s, "shadows", Duration::from_secs(60), out);
//!     shadows.report("lamp", 1, Patch::new().set("on", false)).await?;
//!     let version = shadows.desire("lamp", None, Patch::new().set("on", true)).await?;
//!
//!     assert_eq!(events.recv().await, Some(Event::Online("lamp")));
//!     let Some(Event::Diff(diff)) = events.recv().await else { panic!("the lamp is off") };
//!     assert_eq!((diff.device, diff.version, diff.patch), ("lamp", version, Patch::new().set("on", true)));
//!     Ok(())
//! })
//! .await
//! # }).unwrap();
//! ```
//!
//! # What is promised
//! - *Reports* of a device carry a number that the device counts up. One that is not above the last is old news and changes
//!   nothing: reports may be repeated and may overtake each other on the way.
//! - *Versions*: every change of a shadow, reported or desired, has the next number. [`Shadows::desire`] can ask that nothing
//!   has changed since a version that somebody looked at.
//! - *Diffs*: as long as a device is online and differs from what is desired, a diff is on its way or has been sent since
//!   the last time that something desired changed, a report contradicted it, or the device came back. Diffs of a device come in
//!   the order of their versions, and some may be skipped: the last one says all.
//! - *Offline*: a device that has not reported for the time given at the start is offline, and is sent nothing. What is
//!   desired meanwhile waits, as one diff, for its next report. So does what is desired of one that never reported.
//! - Who is slow in taking events delays no report: what waits is one mark for each device, not a queue.
//!
//! Not promised: that a device does what it is told. A report that contradicts is answered with the diff again, every time.
//!
//! # Memory
//! Names of fields are kept once for all devices; a device with four numbers costs about 300 bytes. Devices stay until they are
//! [forgotten](Shadows::forget).

mod device;
mod fleet;
mod run;

use std::{collections::BTreeMap, error, fmt, hash::Hash, sync::Arc, time::Duration};

use towpath::{Scope, Sender, bounded};

pub use device::{Conflict, Fields, View};
use run::Command;

/// Commands that may wait for the shadows' process.
///
/// It takes a few microseconds for one, so these are some milliseconds; whoever reports beyond that waits.
const COMMAND_CAPACITY: usize = 1024;

/// An answer is sent once and never waits.
const REPLY_CAPACITY: usize = 1;

/// Fields to set and to remove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patch<V> {
    fields: BTreeMap<Arc<str>, Option<V>>,
}

impl<V> Patch<V> {
    /// Nothing to change.
    pub fn new() -> Self {
        Self { fields: BTreeMap::new() }
    }

    /// Sets a field.
    #[must_use = "the patch is given back"]
    pub fn set(mut self, field: impl Into<Arc<str>>, value: V) -> Self {
        self.fields.insert(field.into(), Some(value));
        self
    }

    /// Removes a field.
    #[must_use = "the patch is given back"]
    pub fn remove(mut self, field: impl Into<Arc<str>>) -> Self {
        self.fields.insert(field.into(), None);
        self
    }

    /// What becomes of each field, by name: a value, or `None` if it is removed.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Option<&V>)> {
        self.fields.iter().map(|(field, value)| (&**field, value.as_ref()))
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl<V> Default for Patch<V> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a device should change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diff<K, V> {
    /// Which one.
    pub device: K,
    /// The shadow's version that this is the difference of.
    pub version: u64,
    /// What it should set.
    pub patch: Patch<V>,
}

/// What the shadows have to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event<K, V> {
    /// To be sent to a device, which is online.
    Diff(Diff<K, V>),
    /// A device has reported, for the first time or again.
    Online(K),
    /// A device has not reported for long.
    Offline(K),
}

/// Why the shadows did not do what they were asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// Something has changed since; nothing was done.
    Conflict(Conflict),
    /// The shadows' process has ended. A change may or may not have been made.
    Gone,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(conflict) => conflict.fmt(f),
            Self::Gone => f.write_str("the shadows' process has ended; look for why its scope did"),
        }
    }
}

impl error::Error for Error {}

/// The way to the shadows. Clones lead to the same ones; their process ends when the last is gone and what was to be said
/// is said.
pub struct Shadows<K, V> {
    commands: Sender<Command<K, V>>,
}

impl<K, V> Shadows<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + PartialEq + Send + 'static,
{
    /// Starts their process in a scope. A device that has not reported for `silence` is offline. Events go to `out`; when its
    /// receiver is gone, the shadows go on without.
    pub fn start(
        scope: &Scope,
        name: &'static str,
        silence: Duration,
        out: Sender<Event<K, V>>,
    ) -> Self {
        let (commands, rx) = bounded(COMMAND_CAPACITY);
        scope.spawn(name, move |_ctx| async move {
            run::keep(rx, out, silence).await;
            Ok::<_, Error>(())
        });
        Self { commands: commands.named(name) }
    }

    /// A device reports. `number` is counted up by the device, from 1; what is not above its last is ignored.
    ///
    /// When it has returned, the report is on its way: a later [`get`](Self::get) by the same caller sees it.
    ///
    /// # Errors
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn report(&self, device: K, number: u64, patch: Patch<V>) -> Result<(), Error> {
        self.ask(Command::Report { device, number, patch }).await
    }

    /// Somebody wants a device to be different. `unchanged_since` is the version that was looked at, if it matters. Gives
    /// the new version; that of before if the patch changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when there is a later version, or [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it may or may not have been done.
    pub async fn desire(
        &self,
        device: K,
        unchanged_since: Option<u64>,
        patch: Patch<V>,
    ) -> Result<u64, Error> {
        let (reply, mut answer) = bounded(REPLY_CAPACITY);
        self.ask(Command::Desire { device, unchanged_since, patch, reply }).await?;
        answer.recv().await.ok_or(Error::Gone)?.map_err(Error::Conflict)
    }

    /// A device's shadow as it is now; `None` if nobody ever spoke of that device.
    ///
    /// # Errors
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, nothing happened.
    pub async fn get(&self, device: K) -> Result<Option<View<V>>, Error> {
        let (reply, mut answer) = bounded(REPLY_CAPACITY);
        self.ask(Command::Get { device, reply }).await?;
        answer.recv().await.ok_or(Error::Gone)
    }

    /// Forgets a device: its next report is its first.
    ///
    /// # Errors
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn forget(&self, device: K) -> Result<(), Error> {
        self.ask(Command::Forget { device }).await
    }

    async fn ask(&self, command: Command<K, V>) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| Error::Gone)
    }
}

impl<K, V> Clone for Shadows<K, V> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone() }
    }
}

impl<K, V> fmt::Debug for Shadows<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadows").field("waiting", &self.commands.len()).finish()
    }
}
