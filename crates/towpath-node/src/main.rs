//! The program `towpath`, with the components that come with it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use towpath_node::Registry;

fn main() -> ExitCode {
    towpath_node::main(Registry::builtin())
}
