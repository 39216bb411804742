//! Every primitive under the simulator: a thousand schedules each, among them those that threads find once a year.
//!
//! Nothing here measures time or runs in parallel; a failure prints a token that repeats it. More schedules, and how much
//! of what can be chosen was chosen: `cargo xtask sim --schedules 20000 channels`.
#![cfg(not(towpath_loom))]

mod batch;
mod cancel;
mod cancel_locks;
mod channels;
mod ctx;
mod locks;
mod network;
mod rt;
mod scope;
mod selects;
mod supervisor;
mod tied;
mod time;
mod tools;
