//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.

mod campaign;
mod choice;
mod config;
mod disk;
mod engine;
mod laws;
mod net;
mod orders;
mod real;
mod report;
mod run;
mod sim;
mod words;

pub use config::{Config, Leaks, Strategy};
pub use laws::{Ledger, always, eventually};
pub use report::{Finding, FindingKind, Stuck, StuckWait};
pub use run::{Failed, Report};
pub use sim::{Sim, TestResult};
pub use towpath::rt::sim::yield_point;
