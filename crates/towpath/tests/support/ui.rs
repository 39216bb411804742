//! Programs that do not compile, beside the messages of the compiler; also the tests of other crates use this.

/// Where to add them. `None`, and said so, with a compiler whose messages are not those of the toolchain that
/// `rust-toolchain.toml` names: they change with it.
pub(crate) fn cases() -> Option<trybuild::TestCases> {
    let version =
        std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .arg("--version")
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
    if !version.starts_with("rustc 1.95.") {
        println!("skipped: the messages are those of rustc 1.95, and this is {version}");
        return None;
    }
    Some(trybuild::TestCases::new())
}
