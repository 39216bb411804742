//! The simulator, from outside.

mod attribute;
mod disk;
mod find;
mod net;
mod node;
