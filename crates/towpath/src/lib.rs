//! Channels and `select` for tasks and threads. The README follows; the map of the modules is at its end.
#![cfg_attr(not(towpath_loom), doc = include_str!("../../../README.md"))]
//!
//! # Where to look
//! - [`channel`]: what a channel promises, and its two ends.
//! - [`select!`] and [`select`](mod@select): waiting for several things at once.
//! - [`after`], [`tick`], [`never()`]: timers as arms.
//! - [`rt`]: the ambient runtime that serves time and tasks.
//! - [`waitfor`]: who waits for whom, and who will wait for ever.

pub mod channel;
mod error;
mod raw;
pub mod rt;
pub mod select;
mod sync;
mod time;
pub mod waitfor;

pub use channel::{Permit, Receiver, Sender, SharedReceiver, bounded, rendezvous, unbounded};
pub use error::{ReserveError, SendError, TryRecvError, TryReserveError, TrySendError};
pub use rt::block_on;
pub use select::SelectSet;
pub use time::{After, MissedTick, Never, NextTick, Tick, after, at, never, tick};
