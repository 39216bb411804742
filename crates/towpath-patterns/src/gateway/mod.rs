//! Request and reply: callers, a bounded queue, and workers; no task for a caller that waits, and no more work than can be done in time.
//!
//! ```text
//!              admit: place? limit? time left?              limit: follows what calls take
//!   callers ──call──▶ ┌──────┐ ──Call──▶ N workers ──answer──▶ caller
//!          ◀─refused─ │ line │           each runs the handler
//!                     └──────┘ crowded: newest first, the impatient are shed
//! ```
//!
//! ```
//! use std::time::Duration;
//! use towpath::{Ctx, scope};
//! use towpath_patterns::gateway::{Call, Gateway, Options, Refused};
//!
//! # towpath::block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let doubling = Gateway::start(&s, "doubling", Options::new(2), async |call: Call<u32, u32>| {
//!         let answer = 2 * call.request();
//!         call.answer(answer);
//!     });
//!     let ctx = s.ctx().with_timeout(Duration::from_secs(1));
//!     match doubling.call(&ctx, 21).await {
//!         Ok(answer) => assert_eq!(answer, 42),
//!         Err(Refused::Overloaded { retry_after }) => println!("again in {retry_after:?}"),
//!         Err(refused) => println!("{refused}"),
//!     }
//!     Ok(())
//! })
//! .await
//! # }).unwrap();
//! ```
//!
//! # What is promised
//! - A call that was let in is answered once, or its caller is told why not, once. A handler that panics costs its own call.
//! - *Leaving*: when the caller's future is dropped, or its context ends, the call's [context](Call::ctx) has ended. A call that still waits
//!   is taken out of the queue; one that was not begun is never begun. A handler is told and not cut off: what it has begun it
//!   can end well. ([`Call::answer_with`] cuts off.)
//! - *Deadlines*: that of the caller's context, or [`Options::timeout`]. A call that is late is not begun, and one that is going to be, by
//!   what calls take on average, is not let in.
//! - *Limits*: never more calls are in hand than there are workers, nor are more let into hand than the [adaptive](Adaptive) limit says; never
//!   more wait than [`Options::queue`].
//! - *Overload*: workers are busy as long as somebody waits. In a crowded queue the newest is next, and who has waited for longer than the
//!   [`Patience`] is refused, so what is answered is answered quickly. Who is refused is told in which time what is here will be done.
//! - *Stopping*: with the scope's context, the last handle or [`Gateway::drain`], no more is taken, what is here is done, and after
//!   [`Options::drain`] it is cut off.
//!
//! Not promised: order. Calls are begun first come, first served while the queue is not crowded, and end as they end. Nor that nobody has
//! worked on a call that was not answered: of all that is [`Refused`], only [`Overloaded`](Refused::Overloaded) says that.
//!
//! # With it
//! - [`SingleFlight`]: who asks what is already being asked waits for that answer.
//! - [`Hedge`]: a second attempt when the first takes long, within a budget.
//! - [`Upstreams`]: which host to ask, by load and health.

mod adapt;
mod call;
mod desk;
mod flight;
mod handle;
mod hedge;
#[cfg(feature = "http")]
pub mod http;
mod line;
mod options;
mod refused;
mod slot;
mod snapshot;
mod times;
pub mod upstream;
mod worker;

pub use adapt::Adaptive;
pub use call::Call;
pub use flight::SingleFlight;
pub use handle::Gateway;
pub use hedge::{Hedge, HedgeSnapshot};
pub use options::{Options, Patience};
pub use refused::Refused;
pub use snapshot::Snapshot;
pub use upstream::Upstreams;
