//! What the crate promises, from outside.

mod headers;
mod links;
mod spans;
mod w3c;
