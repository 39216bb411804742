//! Choices and strategies against a toy program whose interleavings can be counted.

mod coverage;
mod exhaustive;
mod shrink;
mod strategies;
mod stream;
mod token;
pub(crate) mod toy;
