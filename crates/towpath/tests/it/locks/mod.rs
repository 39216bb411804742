//! Locks: `towpath::sync` for tasks and threads, one subject a file.

mod barrier;
mod model;
mod mutex;
mod notify;
mod rwlock;
mod select;
mod semaphore;
mod stress;
mod wait_group;
