//! The patterns, on real threads and disks and in the simulator.

mod bus;
mod log;
mod saga;
#[path = "../../../towpath-journal/tests/support/sim_disk.rs"]
mod sim_disk;
