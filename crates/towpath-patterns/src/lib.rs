//! What systems of processes are made of, packaged: errors as messages, state machines, sagas.
//!
//! Each pattern is processes and channels that a user could have written. It takes receivers, gives senders, lives in a
//! scope, and runs unchanged in the simulator. State machines do no I/O.
#![forbid(unsafe_code)]

pub mod bus;
pub mod limit;
pub mod log;
pub mod shadow;
