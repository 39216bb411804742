//! What network files say, and what is told of those that are wrong.

mod check;
mod command;
mod daemon;
mod draw;
mod file;
mod flow;
mod http;
mod kill;
mod node;
mod parts;
mod records;
mod reload;
mod run;
#[path = "../../src/testing/disk.rs"]
mod sim_disk;
mod testing;
mod tls;
mod tools;
mod ui;
