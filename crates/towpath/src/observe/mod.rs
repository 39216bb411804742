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
//! - Operations that wait on them: which process, the `file:line:column` at which it called `recv`, `send` or `reserve`,
//!   and since when. A select is one wait with several arms; what it waits for besides named channels (a timer, a context,
//!   a channel without a name) is one arm that somebody unseen may enable.
//! - Processes of scopes, supervisors and networks that wait so. A task that no scope knows is not seen, and counts as
//!   somebody unknown.
//!
//! # What it costs
//! Nothing on the way of a message that does not wait. Who begins to wait stores four words more. A wait needs no clock: it
//! notes the number of the last look, and the looks keep the time. So an age is the time since the first look that saw
//! the wait: at the first snapshot all ages are zero.
//!
//! # Why it can be believed
//! Everything is read twice, without stopping anybody. Only waits that stand in the same place both times are reported; so
//! there was a moment, between the two, at which all of them were waiting. A process that was not seen waiting both times
//! counts as running.

mod collect;
mod looks;
mod registry;

pub use collect::snapshot;
pub(crate) use looks::look;
pub(crate) use registry::{Lent, Living, Visitable, Wakers, enter_scope, lend, name_of};
#[cfg(not(towpath_loom))]
pub(crate) use registry::{forget_channel, name_channel};
