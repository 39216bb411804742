//! Behaviour of channels, select and timers, one subject a file.

mod smoke;
