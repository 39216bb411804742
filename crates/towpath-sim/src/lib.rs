//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.

mod campaign;
mod choice;
mod config;
mod disk;
mod engine;
mod net;
mod orders;
mod real;
mod sim;
mod words;

pub use config::{Config, Leaks, Strategy};
pub use sim::{Sim, TestResult};
