//! The patterns, on real threads and disks and in the simulator.

mod bus;
mod limit;
mod log;
mod shadow;
