//! The simulator, from outside.

mod disk;
mod find;
mod net;
mod node;
