//! What can be seen of a running program: its named channels, its processes, and who waits where.
//!
//! [`snapshot()`] collects what the wait-for analysis needs (see [`waitfor`](crate::waitfor)), while everything runs on:
//!
//! ```
//! use towpath::{Ctx, observe, rendezvous, waitfor::Options};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
//! # runtime.block_on(async {
//! let done = towpath::scope(&Ctx::root(), |s| async move {
//!     let (orders, mut rx) = rendezvous::<u32>();
//!     let orders = orders.named("orders");
//!     s.spawn("cook", move |_| async move {
//!         while let Some(order) = rx.recv().await {
//!             println!("order {order}");
//!         }
//!     });
//!     // Sooner or later the cook waits for an order, and the snapshot says where.
//!     while observe::snapshot().waits.is_empty() {
//!         tokio::task::yield_now().await;
//!     }
//!     let seen = observe::snapshot();
//!     assert_eq!(&*seen.resources[0].name, "orders");
//!     assert!(seen.analyse(&Options::new()).is_clear()); // we still hold the sender
//!     drop(orders);
//!     Ok(())
//! });
//! # done.await.unwrap(); });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What is seen
//! - Channels that have a name ([`Sender::named`](crate::Sender::named)), with how full they are and how many ends they have.
//! - Locks that have a name ([`Mutex::named`](crate::sync::Mutex::named) and its like), with whoever took them.
//! - Operations that wait on them: which process, the `file:line:column` at which it called `recv`, `send`, `lock` and so on,
//!   and since when. A select is one wait with several arms; what it waits for besides named channels (a timer, a context,
//!   a channel without a name) is one arm that somebody unseen may enable.
//! - Processes of scopes, supervisors and networks that wait so. A task that no scope knows is not seen, and counts as
//!   somebody unknown.
//!
//! # Who holds what
//! - An end of a network's channel: the process whose port it is, for certain. So those who wait only for each other's ports
//!   are [`Proven`](crate::waitfor::Grade::Proven) to be stuck.
//! - Any other end: whoever waits on it. What nobody was seen with is in unknown hands, and counts as live.
//! - A mutex, a read-write lock, permits of a semaphore: the process that took them, unless the guard owns its lock
//!   ([`Mutex::lock_owned`](crate::sync::Mutex::lock_owned)), which is made to be given away. A guard that borrows can be
//!   given away as well, and nobody sees that; so a circle with a lock in it is
//!   [`Likely`](crate::waitfor::Grade::Likely) and not proven. Once a guard was dropped by another than had taken it, nothing
//!   more is said about the holders of that lock; nor of a semaphore that began with no permits, or to which some were
//!   added or of which some were forgotten.
//! - A lock that was given to a process which has not noticed yet: that process. If it never polls again the future that
//!   waited for the lock, and waits for the lock elsewhere, it waits for itself, and is reported.
//! - A notice, a barrier, a wait group: anybody may help. Who waits for one is never called stuck, but by age
//!   ([`Suspect`](crate::waitfor::Grade::Suspect)).
//!
//! # What it costs
//! Nothing on the way of a message that does not wait, nor for a lock without a name. A lock with one keeps books under a
//! short lock of its own each time it is taken and given back. Who begins to wait stores four words more. A wait needs no clock: it
//! notes the number of the last look, and the looks keep the time. So an age is the time since the first look that saw
//! the wait: at the first snapshot all ages are zero.
//!
//! # For how long a thing has been as it is
//! Channels and locks keep no time. The looks compare: [`unchanged`](crate::waitfor::Resource::unchanged) is the time since
//! the first look that saw the thing as it is now, and none since then saw it otherwise. (Positions in the queue and counts
//! of changes are compared, so what came and went between two looks is noticed where somebody could be waiting for it.) So a
//! [`LostWakeup`](crate::waitfor::LostWakeup) is reported to whoever looks twice, further apart than
//! [`lost_after`](crate::waitfor::Options::lost_after).
//!
//! # Why it can be believed
//! Everything is read twice, without stopping anybody. Only waits that stand in the same place both times are reported; so
//! there was a moment, between the two, at which all of them were waiting. A process that was not seen waiting both times
//! counts as running.

mod collect;
mod looks;
mod plate;
mod registry;

pub use collect::snapshot;
pub(crate) use looks::look;
pub(crate) use plate::{Books, Mounted};
#[cfg(not(towpath_loom))]
pub(crate) use registry::forget_channel;
pub(crate) use registry::{
    Living, Loan, Shown, Visitable, Wakers, enter_scope, leave_scope, name_channel, name_of, scopes,
};
