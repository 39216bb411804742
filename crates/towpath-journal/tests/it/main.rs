//! The journal against a real disk and against the simulator's.

mod basics;
#[path = "../support/bytes.rs"]
mod bytes;
mod crash;
mod damage;
mod full;
mod golden;
#[cfg(feature = "index")]
mod index;
mod kill;
mod model;
mod points;
#[path = "../../../towpath-node/src/testing/disk.rs"]
mod sim_disk;
mod truth;
