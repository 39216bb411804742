//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.
//!
//! # The world
//! - [`disk`]: a disk that loses in a crash what a real one may lose.
//! - [`net`]: a network that delays, drops, cuts and forgets.
//! - [`node`]: machines with both, which crash whole and come back.
//!
//! Their time is that of Towpath's runtime, and their chance that of the simulation or of a seed, so they work under any
//! runtime; in a simulation their faults are part of the schedule, and are shrunk and replayed with it.

#![forbid(unsafe_code)]

mod chance;
mod choice;
pub mod disk;
mod engine;
pub mod net;
pub mod node;
