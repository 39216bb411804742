//! The simulator, from outside.

mod disk;
