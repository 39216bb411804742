//! Networks of processes that a file declares: what a network file says, and what can be wrong with it.
//!
//! ```
//! use towpath_node::{Registry, check, file::NetworkFile};
//! # use towpath_node::{Component, Need, Port};
//!
//! let text = "
//! version: 1
//! name: shop
//! channels:
//!   orders: {capacity: 16}
//! processes:
//!   desk: {uses: load, out: orders}
//!   till: {uses: log, in: order}
//! ";
//! # let registry = Registry::new()
//! #     .with(Component::new("load", "makes messages").output(Port::new("out")))
//! #     .with(Component::new("log", "writes messages down").input(Port::new("in").need(Need::Some)));
//! let file = NetworkFile::read("shop.yaml", text, &[])?;
//! let problems = check::check(&file, &registry).unwrap_err().to_string();
//! assert!(problems.contains("shop.yaml:8:25: there is no channel `order`; did you mean `orders`?"), "{problems}");
//! # Ok::<(), towpath_patterns::yaml::LoadError>(())
//! ```
#![forbid(unsafe_code)]

mod api;
mod assemble;
pub mod check;
mod command;
mod component;
mod components;
pub mod draw;
mod expr;
pub mod facet;
pub mod file;
#[cfg(fuzzing)]
pub mod fuzz;
mod home;
mod line;
pub mod node;
mod ports;
mod real;
mod seat;
mod spans;
pub mod state;
pub mod testing;
pub mod ui;

pub use command::{main, main_with};
pub use component::{Component, Need, NoOptions, Port, Registry};
pub use expr::{Expr, NoValue, NotAnExpr};
pub use facet::Facet;
pub use home::{Home, Setup, Site, Trouble};
pub use line::Tap;
pub use node::Node;
pub use ports::{Input, Message, Outputs, Ports};

/// The socket file of a node, in its data directory.
const SOCKET: &str = "towpath.sock";
