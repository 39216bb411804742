//! Behaviour of channels, select, timers and locks, one subject a file.

mod cancel;
mod close;
mod drops;
mod harness;
mod locks;
mod memory;
mod model;
mod order;
mod pairing;
mod parked;
mod rt;
mod select;
mod set;
mod smoke;
#[cfg(feature = "futures")]
mod streams;
mod stress;
mod time;
mod traits;
mod ui;
