//! Misuse that does not compile, and says why: `tests/ui/*.rs` beside the messages of the compiler.

#[path = "../support/ui.rs"]
mod support;

#[test]
fn misuse_does_not_compile_and_says_why() {
    let Some(cases) = support::cases() else { return };
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}
