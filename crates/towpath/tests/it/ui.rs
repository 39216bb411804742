//! Misuse that does not compile, and says why: `tests/ui/*.rs` beside the messages of the compiler.

#[test]
fn misuse_does_not_compile_and_says_why() {
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
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}
