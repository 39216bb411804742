//! What the crate promises, from outside.

mod headers;
mod w3c;
