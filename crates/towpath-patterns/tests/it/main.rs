//! The patterns, on real threads and disks and in the simulator.

mod log;
mod machine;
#[path = "../../../towpath-journal/tests/support/sim_disk.rs"]
mod sim_disk;
