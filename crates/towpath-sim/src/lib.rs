//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.
//!
//! # The world
//! - [`disk`]: a disk that loses in a crash what a real one may lose.
//! - [`net`]: a network that delays, drops, cuts and forgets.
//! - [`node`]: machines with both, which crash whole and come back.
//!
//! Their time is that of Towpath's runtime, and their chance that of the simulation or of a seed, so they work under any
//! runtime; in a simulation their faults are part of the schedule, and are shrunk and replayed with it.

mod ambient;
mod campaign;
mod chance;
mod choice;
mod config;
pub mod disk;
mod engine;
mod laws;
pub mod net;
pub mod node;
mod orders;
mod real;
mod report;
mod run;
mod sim;
mod words;

pub use ambient::{choose, elapsed};
pub use config::{Config, Leaks, Strategy};
pub use laws::{Ledger, always, eventually};
pub use report::{Finding, FindingKind, Stuck, StuckWait};
pub use run::{Failed, Report};
pub use sim::{Sim, TestResult};
pub use towpath::rt::sim::yield_point;
