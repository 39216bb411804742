//! Behaviour of channels, select and timers, one subject a file.

mod cancel;
mod close;
mod drops;
mod harness;
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
mod waitfor;
