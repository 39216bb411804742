//! The body of a request from any bytes: messages with keys, or a refusal that says why.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| towpath_node::fuzz::http_intake(bytes));
