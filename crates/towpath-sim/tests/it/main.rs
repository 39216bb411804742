//! The simulator, from outside.
