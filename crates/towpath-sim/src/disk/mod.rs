//! A disk that loses, in a crash, what a real one may lose.
//!
//! A [`Disk`] is a file system behind a page cache: what a program wrote it reads back at once, and only what it has
//! synced is there after the power went. [`Faults`] say what else goes wrong. Code written over [`File`]'s methods,
//! which are those of `std::fs::File`, meets here in a second what it would meet in years of machines.
//!
//! ```
//! use towpath_sim::disk::{Disk, Faults};
//!
//! # fn main() -> std::io::Result<()> {
//! let disk = Disk::seeded(Faults { lost: 1_000, ..Faults::default() }, 5);
//! let log = disk.create("log")?;
//! log.write_all_at(b"paid", 0)?;
//! log.sync_data()?;
//! disk.sync_dir("/")?; // or the file itself may be gone
//! log.write_all_at(b"shipped", 4)?;
//!
//! disk.crash();
//! assert!(log.len().is_err(), "its machine is gone");
//! let log = disk.open("log")?;
//! assert!(log.read_to_end()?.starts_with(b"paid"));
//! # Ok(()) }
//! ```
//!
//! # What survives a power cut
//! - Bytes and lengths of files as they were at their last successful sync, unless they were written again since.
//! - Names as they were when their directory was last synced. A rename happens whole or not at all.
//! - Of everything later, what chance says: see [`Faults::lost`], [`Faults::torn`] and [`Faults::reordered`]. The unit is
//!   the sector of 512 bytes: it is as it was at the last sync or after one of the writes since.
//!
//! A rename is no barrier: a file renamed over another whose bytes were not synced may be found empty.
//!
//! # Waiting
//! Operations block, like those of `std::fs`, for as long as [`Latency`] says, by the clock of the runtime that the
//! caller is in. In the simulator that costs nothing. Under a runtime on one thread, whose clock cannot go on while a
//! task blocks, use a disk without latency, or a thread.
//!
//! Why sectors are shared and not copied: a power cut then costs as much as the files that changed since their last sync,
//! so that thousands of crashes fit into a test.

mod content;
mod faults;
mod file;
mod inode;
mod names;
mod state;

pub use faults::{Faults, Latency};
pub use file::File;

use std::{
    error, fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::chance::{Seeded, Source};
use names::Entry;
use state::{Opening, State};
use towpath::sync::Notify;

/// A disk. A clone is the same disk; it outlives the crashes of the machine it is in.
///
/// Paths are text with `/` between the parts; with or without one at the start they begin at the root.
#[derive(Clone)]
pub struct Disk {
    state: Arc<Mutex<State>>,
    /// Told of each crash.
    crashed: Arc<Notify>,
    /// Valid until the next crash: the disk as a program sees it.
    generation: Option<u64>,
}

impl Disk {
    /// An empty disk, whose chance is that of the simulation it is used in. Outside of one, only faults that are certain
    /// happen.
    pub fn new(faults: Faults) -> Self {
        Self::with_source(faults, Source::Ambient)
    }

    /// An empty disk with chance of its own: the same seed and the same operations, the same faults.
    pub fn seeded(faults: Faults, seed: u64) -> Self {
        Self::with_source(faults, Source::Seeded(Seeded::new(seed)))
    }

    fn with_source(faults: Faults, source: Source) -> Self {
        let state = Arc::new(Mutex::new(State::new(faults, source)));
        Self { state, crashed: Arc::default(), generation: None }
    }

    /// This disk as a program sees it that ends with the next crash: after it, everything fails with [`Crashed`].
    pub fn until_crash(&self) -> Self {
        let generation = self.generation.or(Some(self.lock().generation));
        Self { generation, ..self.clone() }
    }

    /// Ready at the next crash; of what [`until_crash`](Self::until_crash) has given, at the one that ends it.
    ///
    /// # Cancel safety
    /// Dropped before completion, nothing happened.
    pub async fn crashed(&self) {
        let generation = self.until_crash().generation;
        loop {
            let told = self.crashed.notified();
            let over = alive(&self.lock(), generation).is_err();
            if over {
                return;
            }
            told.await;
        }
    }

    /// Whether what [`until_crash`](Self::until_crash) has given is dead. Never for the disk itself.
    pub(crate) fn is_over(&self) -> bool {
        alive(&self.lock(), self.generation).is_err()
    }

    // Files and directories.

    /// Creates a file, or empties the one that is there.
    ///
    /// # Errors
    /// `ENOENT` without the directory, `EISDIR`, `Crashed`.
    pub fn create(&self, path: &str) -> io::Result<File> {
        self.open_with(path, Opening { create: true, exclusive: false, truncate: true })
    }

    /// Creates a file that is not there yet.
    ///
    /// # Errors
    /// `EEXIST`, and as [`create`](Self::create).
    pub fn create_new(&self, path: &str) -> io::Result<File> {
        self.open_with(path, Opening { create: true, exclusive: true, truncate: false })
    }

    /// Opens a file, or creates it; its content stays.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn open_or_create(&self, path: &str) -> io::Result<File> {
        self.open_with(path, Opening { create: true, exclusive: false, truncate: false })
    }

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `ENOENT`, `EISDIR`, `Crashed`.
    pub fn open(&self, path: &str) -> io::Result<File> {
        self.open_with(path, Opening { create: false, exclusive: false, truncate: false })
    }

    fn open_with(&self, path: &str, how: Opening) -> io::Result<File> {
        self.wait(|faults| faults.latency);
        let open = |state: &mut State| Ok((state.generation, state.open(path, how)?));
        let opened = if how.create {
            self.change(self.generation, open)
        } else {
            self.look(self.generation, open)
        };
        opened.map(|(generation, place)| File::new(self.clone(), generation, place))
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT` without the directory above it, `Crashed`.
    pub fn create_dir(&self, path: &str) -> io::Result<()> {
        self.wait(|faults| faults.latency);
        self.change(self.generation, |state| state.create_dir(path))
    }

    /// Removes a file. Who has it open goes on with it.
    ///
    /// # Errors
    /// `ENOENT`, `EISDIR`, `Crashed`.
    pub fn remove_file(&self, path: &str) -> io::Result<()> {
        self.wait(|faults| faults.latency);
        self.change(self.generation, |state| state.remove(path, false))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOTEMPTY`, `ENOENT`, `ENOTDIR`, `EINVAL` for the root, `Crashed`.
    pub fn remove_dir(&self, path: &str) -> io::Result<()> {
        self.wait(|faults| faults.latency);
        self.change(self.generation, |state| state.remove(path, true))
    }

    /// Gives a file another name, at once also for others, and takes that name from the file that had it.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `Crashed`; `EISDIR` when either is a directory, which this disk does not move.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.wait(|faults| faults.latency);
        self.change(self.generation, |state| state.rename(from, to))
    }

    /// The names in a directory, in order.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `Crashed`.
    pub fn read_dir(&self, path: &str) -> io::Result<Vec<String>> {
        self.wait(|faults| faults.latency);
        self.look(self.generation, |state| state.list(path))
    }

    /// Whether there is a file of this name.
    ///
    /// # Errors
    /// `Crashed`.
    pub fn is_file(&self, path: &str) -> io::Result<bool> {
        let entry = self.look(self.generation, |state| state.entry(path))?;
        Ok(matches!(entry, Some(Entry::File(_))))
    }

    /// Returns when the names in a directory are safe: files created there, renamed in or out, or removed. Their bytes
    /// are not: see [`File::sync_data`].
    ///
    /// # Errors
    /// `EIO` by chance, and then another try may succeed; `ENOENT`, `Crashed`.
    pub fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.wait(|faults| faults.sync_latency);
        self.sync(self.generation, |state| state.sync_dir(path))
    }

    // What happens to it.

    /// The power goes and comes back: chance decides what survives, and whatever was open is dead.
    pub fn crash(&self) {
        self.lock().power_cut();
        self.crashed.notify_waiters();
    }

    /// The process that uses the disk is killed, and the machine runs on: what it wrote stays, its handles are dead, its
    /// locks are free.
    pub fn kill(&self) {
        self.lock().kill();
        self.crashed.notify_waiters();
    }

    /// The power goes during operation number `operation`, as [`operations`](Self::operations) counts. The operation
    /// fails with [`Crashed`], done or not, or in part: so a test can cut the power at every point of a program in turn.
    ///
    /// ```
    /// use towpath_sim::disk::{Disk, Faults};
    ///
    /// for point in 1.. {
    ///     let disk = Disk::seeded(Faults::power_cuts(), point);
    ///     disk.crash_during(point);
    ///     let write = || -> std::io::Result<()> {
    ///         let note = disk.create("new")?;
    ///         note.append(b"all of it")?;
    ///         note.sync_data()?;
    ///         disk.rename("new", "note")?;
    ///         disk.sync_dir("/")
    ///     };
    ///     let written = write().is_ok();
    ///     match disk.open("note") {
    ///         Ok(note) => assert_eq!(note.read_to_end().unwrap(), b"all of it"),
    ///         Err(_) => assert!(!written),
    ///     }
    ///     if written {
    ///         break; // the power stayed on: there are no more points
    ///     }
    /// }
    /// ```
    pub fn crash_during(&self, operation: u64) {
        self.lock().cut_during = Some(operation);
    }

    /// Operations so far that change the disk or sync it, failed ones too. The first has number 1.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Inverts bit number `bit` of a file where it lies, as a disk that grows old does. No sync undoes it.
    ///
    /// # Errors
    /// `ENOENT`; `EINVAL` when the file is not that long.
    pub fn flip(&self, path: &str, bit: u64) -> io::Result<()> {
        self.lock().flip(path, bit)
    }

    /// Bytes in use, in whole sectors: what [`Faults::capacity`] limits.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used() * content::SECTOR
    }

    // For `File`. The lock is never held while something waits: in the simulator that would be for ever.

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the time that an operation takes.
    fn wait(&self, which: impl FnOnce(&Faults) -> Latency) {
        let mut state = self.lock();
        let latency = which(&state.faults);
        let latency = state.latency(latency);
        drop(state);
        if latency > Duration::ZERO {
            towpath::rt::block_on(towpath::rt::sleep(latency));
        }
    }

    /// An operation that changes nothing that a crash could undo.
    fn look<R>(
        &self,
        generation: Option<u64>,
        f: impl FnOnce(&mut State) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut state = self.lock();
        alive(&state, generation)?;
        f(&mut state)
    }

    /// An operation that changes something. If the power goes during it, it is one of the changes that may survive.
    fn change<R>(
        &self,
        generation: Option<u64>,
        f: impl FnOnce(&mut State) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut state = self.lock();
        alive(&state, generation)?;
        if state.begin() {
            f(&mut state).ok();
            drop(state);
            self.crash();
            return Err(Crashed.into());
        }
        f(&mut state)
    }

    /// An operation that makes changes safe. If the power goes during it, any of them may be.
    fn sync(
        &self,
        generation: Option<u64>,
        f: impl FnOnce(&mut State) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = self.lock();
        alive(&state, generation)?;
        if state.begin() {
            drop(state);
            self.crash();
            return Err(Crashed.into());
        }
        f(&mut state)
    }

    fn close(&self, generation: u64, inode: u64, handle: u64) {
        let mut state = self.lock();
        if state.generation == generation {
            state.close(inode, handle);
        }
    }
}

/// Whether what was opened in this generation still lives.
fn alive(state: &State, generation: Option<u64>) -> io::Result<()> {
    if generation.is_some_and(|generation| generation != state.generation) {
        return Err(Crashed.into());
    }
    Ok(())
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Disk")
            .field("crashes", &state.generation)
            .field("operations", &state.operations)
            .finish_non_exhaustive()
    }
}

/// The machine that the handle belonged to has crashed. No operating system says this, since nobody is left to hear it;
/// it comes as an `io::Error` of kind `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crashed;

impl fmt::Display for Crashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the machine that this belonged to has crashed")
    }
}

impl error::Error for Crashed {}

impl From<Crashed> for io::Error {
    fn from(crashed: Crashed) -> Self {
        Self::other(crashed)
    }
}
