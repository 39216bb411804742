//! Select: wait for several operations, do exactly one.
//!
//! [`select!`](crate::select!) is for tasks, [`select_blocking!`](crate::select_blocking!) for threads; the arms are
//! the same. [`SelectSet`] is for many channels over a long time, [`recv_any`] for a slice of receivers once.
//!
//! # What holds
//! - Exactly one arm commits. A losing arm has no effect: no message taken, no slot used, no place in line kept.
//! - Of the arms that are ready one is chosen at random, each with the same chance; with `biased;` the top one.
//! - Two selects, in tasks or threads, may meet on the two sides of one channel, rendezvous included: exactly one
//!   pairing commits. A select over both sides of one channel never pairs with itself.
//!
//! # How it works
//! First the arms that may be ready are tried in random order, without leaving a trace. If none succeeds, every arm is
//! registered, and tried once more while doing so; then the select waits. Whoever comes along claims the whole select
//! by one compare-and-swap (`raw/claim.rs`), so no arm needs to be undone. The idea is that of Reppy's Concurrent ML
//! (1991) and of Go's select, without locking all channels at once.
//!
//! A task that waits in a rendezvous send can only hand over while it runs. When chance picks a receive from such a
//! task, the select stands in that line for a round before it tries arms that are ready at once.
//!
//! # Own arms
//! Any type joins by implementing [`SelectArm`]; any future joins through [`future`].

mod any;
mod arm;
mod list;
mod macros;
mod run;
mod set;

pub use any::{Any, any, any_blocking, recv_any, recv_any_blocking};
pub use arm::{ArmContext, FutureArm, OptionReceiver, OptionSender, SelectArm, future};
#[doc(hidden)]
pub use list::{Arms, Either, End, list, pair};
pub(crate) use run::{Selecting, tell_unpark};
#[doc(hidden)]
pub use run::{now, run, run_biased, run_blocking, run_blocking_biased};
pub use set::{Key, Next, SelectSet};
