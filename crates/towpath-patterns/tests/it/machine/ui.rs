//! Machines that do not compile, and what is said of them: `tests/ui/machine/*.rs` beside the messages of the compiler.

#[test]
fn a_wrong_machine_does_not_compile_and_says_where() {
    // Messages change with the compiler; these are those of the toolchain that `rust-toolchain.toml` names.
    let version =
        std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .arg("--version")
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
    if !version.starts_with("rustc 1.95.") {
        println!("skipped: the messages are those of rustc 1.95, and this is {version}");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/machine/*.rs");
}
