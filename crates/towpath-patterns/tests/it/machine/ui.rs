//! Machines that do not compile, and what is said of them: `tests/ui/machine/*.rs` beside the messages of the compiler.

#[path = "../../../../towpath/tests/support/ui.rs"]
mod support;

#[test]
fn a_wrong_machine_does_not_compile_and_says_where() {
    let Some(cases) = support::cases() else { return };
    cases.compile_fail("tests/ui/machine/*.rs");
}
