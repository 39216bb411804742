//! Choices and strategies against a toy program whose interleavings can be counted.

mod toy;
