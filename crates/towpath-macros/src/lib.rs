//! The attribute `#[towpath::test]`.
#![forbid(unsafe_code)]
