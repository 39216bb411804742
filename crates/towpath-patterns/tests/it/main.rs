//! The patterns, on real threads and disks and in the simulator.

mod bus;
mod dispatch;
mod fault;
mod gateway;
#[cfg(feature = "http")]
mod gateway_http;
mod limit;
mod log;
mod machine;
mod matcher;
mod pool;
mod saga;
mod shadow;
#[path = "../../../towpath-node/src/testing/disk.rs"]
mod sim_disk;
#[cfg(feature = "xes")]
mod xes;
