//! Runs Towpath programs, unchanged, under every schedule: one seed, virtual time, a replay token.

mod chance;
mod choice;
pub mod disk;
mod engine;
pub mod net;
pub mod node;
