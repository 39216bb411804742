//! Channels and `select` for tasks and threads. The README follows; the map of the modules is at its end.
#![cfg_attr(not(towpath_loom), doc = include_str!("../../../README.md"))]
//!
//! # Where to look
//! - [`channel`]: what a channel promises, and its two ends.
//! - [`select!`] and [`select`](mod@select): waiting for several things at once.
//! - [`after`], [`tick`], [`never()`]: timers as arms.
//! - [`Network`]: a graph of processes that is declared, checked and drawn before it runs.
//! - [`Supervisor`]: processes that are started again when they crash.
//! - [`rt`]: the ambient runtime that serves time and tasks.
//! - [`observe`]: what can be seen of a running program, and [`probe`]: what happens in it, as it happens.
//! - [`waitfor`]: who waits for whom, and who will wait for ever.

pub mod channel;
mod ctx;
mod error;
mod failure;
mod headers;
pub mod network;
pub mod observe;
pub mod probe;
pub mod process;
mod raw;
pub mod rt;
mod scope;
pub mod select;
pub mod supervisor;
mod sync;
mod time;
mod traced;
pub mod waitfor;
mod work;

pub use channel::{Permit, Receiver, Sender, SharedReceiver, bounded, rendezvous, unbounded};
pub use ctx::{CancelOnDrop, Canceller, Cause, Ctx, Done};
pub use error::{ReserveError, SendError, TryRecvError, TryReserveError, TrySendError};
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
