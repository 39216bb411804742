//! What the crate promises, from outside.

mod headers;
mod links;
#[cfg(feature = "otlp")]
mod otlp;
mod spans;
mod w3c;
