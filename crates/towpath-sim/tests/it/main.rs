//! The simulator, from outside.

mod attribute;
mod cost;
mod disk;
mod escape;
mod find;
mod front_page;
mod limits;
mod net;
mod node;
mod replay;
mod words;
mod world;
