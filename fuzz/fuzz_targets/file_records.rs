//! Rows of a table or lines of JSON from any bytes: the same however they come, read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| towpath_node::fuzz::records(bytes));
