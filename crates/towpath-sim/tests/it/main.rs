//! The simulator, from outside.

mod attribute;
mod disk;
mod find;
mod front_page;
mod net;
mod node;
