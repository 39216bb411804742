//! Behaviour of channels, select, timers and locks, one subject a file.

mod cancel;
mod close;
mod ctx;
mod drops;
mod harness;
mod locks;
mod memory;
mod model;
mod network;
mod network_drain;
mod network_graph;
mod observe;
mod observe_locks;
mod order;
mod pairing;
mod parked;
mod rt;
mod scope;
mod scope_size;
mod scope_stress;
mod select;
mod set;
mod smoke;
#[cfg(feature = "futures")]
mod streams;
mod stress;
mod supervisor;
mod tied;
mod time;
mod traced;
mod traits;
mod ui;
mod waitfor;
