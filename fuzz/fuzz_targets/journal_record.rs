//! Any bytes as a record: refused, or whole.
//!
//! The property is `journal_record` in `crates/towpath-journal/tests/support/bytes.rs`, which the property tests run too.
#![no_main]

#[expect(dead_code, reason = "another target uses the rest")]
#[path = "../../crates/towpath-journal/tests/support/bytes.rs"]
mod bytes;
#[path = "../../crates/towpath-node/src/testing/disk.rs"]
mod sim_disk;

libfuzzer_sys::fuzz_target!(|input: (u32, Vec<u8>)| bytes::journal_record(&input.1, input.0));
