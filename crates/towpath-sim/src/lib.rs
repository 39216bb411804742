//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.

mod choice;
mod disk;
mod engine;
mod laws;
mod net;
mod report;

pub use laws::{Ledger, always, eventually};
pub use report::{Finding, FindingKind, Stuck, StuckWait};
pub use towpath::rt::sim::yield_point;
