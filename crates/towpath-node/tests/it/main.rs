//! What network files say, and what is told of those that are wrong.

mod check;
mod command;
mod daemon;
mod draw;
mod file;
mod node;
mod run;
mod testing;
mod ui;
