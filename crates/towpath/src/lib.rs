//! Channels, `select` and processes for tasks and threads. The README follows; the map of the modules is at its end.
#![cfg_attr(not(towpath_loom), doc = include_str!("../../../README.md"))]
//!
//! # Where to look
//! - [`channel`]: what a channel promises, and its two ends.
//! - [`select!`] and [`select`](mod@select): waiting for several things at once.
//! - [`after`], [`tick`], [`never()`]: timers as arms.
//! - [`Ctx`]: whether to go on, until when, and what rides along.
//! - [`scope`](scope()): processes, tasks or threads, that end before their scope does.
//! - [`Network`]: a graph of processes that is declared, checked and drawn before it runs.
//! - [`Supervisor`]: processes that are started again when they crash.
//! - [`sync`]: locks, for what is shared all the same.
//! - [`rt`]: the ambient runtime that serves time and tasks.
//! - [`observe`]: a snapshot of a running program: who waits where, and since when; [`probe`]: what happens in it, as it
//!   happens.
//! - [`waitfor`]: who waits for whom, and who will wait for ever.
#![cfg_attr(
    not(feature = "mutants"),
    allow(
        clippy::identity_op,
        clippy::nonminimal_bool,
        clippy::redundant_locals,
        reason = "what `mutant!` leaves behind; with the feature on, as in CI, these lints look everywhere"
    )
)]

// First, for its macro.
#[macro_use]
mod mutants;

pub mod channel;
mod ctx;
mod error;
mod failure;
mod headers;
mod locks;
mod mailbox;
pub mod network;
pub mod observe;
#[path = "sync.rs"]
mod primitives;
pub mod probe;
pub mod process;
mod raw;
pub mod rt;
mod scope;
pub mod select;
pub mod supervisor;
mod time;
mod traced;
pub mod waitfor;
mod work;

#[cfg(towpath_loom)]
#[doc(hidden)]
pub use raw::models;

/// Locks that tasks and threads wait for alike: [`Mutex`](sync::Mutex), [`RwLock`](sync::RwLock),
/// [`Semaphore`](sync::Semaphore), [`Notify`](sync::Notify), [`Barrier`](sync::Barrier) and
/// [`WaitGroup`](sync::WaitGroup).
///
/// Sharing by talking comes first here ([`channel`]); these are for what is shared all the same. One object serves
/// tasks (`lock().await`) and threads (`lock_blocking()`), and every wait but that of a barrier is an arm of
/// [`select!`], which leaves no trace when it loses: a mutex whose arm has lost is not locked.
///
/// - First come, first served, from when one stands in line. Who does not have to wait takes no place there, but never
///   overtakes those who stand in it; a thread looks for some microseconds before it does.
/// - A wait that is dropped did nothing; what it had been given already goes to the next in line.
/// - A guard that is dropped releases, also when a panic drops it. There is no poison.
/// - What came before a release is seen by whoever is given what was released.
pub mod sync {
    pub use crate::locks::{
        AcquireError, Acquiring, AcquiringOwned, Barrier, BarrierWaitResult, Finishing, Gathering,
        Locking, LockingOwned, Mutex, MutexGuard, Notified, Notify, OwnedMutexGuard,
        OwnedSemaphorePermit, Reading, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore,
        SemaphorePermit, TryAcquireError, WaitGroup, Working, Writing,
    };
    // What the crate itself is built from, under the path that it has always had.
    pub(crate) use crate::primitives::*;
}

pub use channel::{Permit, Receiver, Sender, SharedReceiver, bounded, rendezvous, unbounded};
pub use ctx::{CancelOnDrop, Canceller, Cause, Ctx, Done};
pub use error::{ReserveError, SendError, TieError, TryRecvError, TryReserveError, TrySendError};
pub use failure::{BoxError, Error};
pub use headers::Headers;
pub use network::Network;
pub use rt::block_on;
pub use scope::{Join, Outcome, Scope, scope};
pub use select::SelectSet;
pub use supervisor::Supervisor;
pub use time::{After, MissedTick, Never, NextTick, Tick, after, at, never, tick};
pub use traced::Traced;
pub use work::Work;

/// Runs an async function as a test under many schedules, in the simulator; feature `sim`, which `towpath-sim` turns on. A
/// crate that uses it has `towpath-sim` among its dev-dependencies.
#[cfg(feature = "sim")]
#[doc(inline)]
pub use towpath_macros::test;
