//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.

mod choice;
mod disk;
mod engine;
mod net;
mod report;

pub use report::{Finding, FindingKind, Stuck, StuckWait};
