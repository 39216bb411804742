//! Behaviour of channels, select and timers, one subject a file.

mod cancel;
mod close;
mod drops;
mod harness;
mod memory;
mod model;
mod pairing;
mod parked;
mod select;
mod set;
mod smoke;
mod stress;
