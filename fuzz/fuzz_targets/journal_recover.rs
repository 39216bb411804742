//! Any bytes as a segment: opening and reading end without a panic, and what is given has the checksum it says.
//!
//! The property is `journal_recover` in `crates/towpath-journal/tests/support/bytes.rs`, which the property tests run too.
#![no_main]

#[expect(dead_code, reason = "another target uses the rest")]
#[path = "../../crates/towpath-journal/tests/support/bytes.rs"]
mod bytes;
#[path = "../../crates/towpath-node/src/testing/disk.rs"]
mod sim_disk;

libfuzzer_sys::fuzz_target!(|input: (bool, Vec<u8>)| bytes::journal_recover(&input.1, input.0));
