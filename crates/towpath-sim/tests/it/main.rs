//! The simulator, from outside.

mod disk;
mod net;
mod node;
