//! Taking messages in: under every schedule, and over crashes.
