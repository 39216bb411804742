//! Every example prints what its golden file says.
//!
//! For each `examples/<name>.rs` there are an entry in `Cargo.toml` and `golden/<name>.txt`, and nothing there lacks its
//! example. `TOWPATH_BLESS=1` writes the files anew.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The files in a folder with this ending, without it.
fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == ending))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Builds the examples as this test was built, and returns the folder they are in.
fn build() -> PathBuf {
    let here = env::current_exe().unwrap();
    // `<target>/<profile>/deps/golden-…`
    let profile_dir = here.ancestors().nth(2).unwrap();
    let profile = match profile_dir.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let target_dir = profile_dir.parent().unwrap();
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--package", "examples", "--examples", "--profile", profile])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the examples do not build");
    profile_dir.join("examples")
}

#[test]
fn every_example_prints_what_its_golden_file_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = root.join("golden");
    let examples = names(root, "rs");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for name in &examples {
        assert!(
            manifest.contains(&format!("path = \"{name}.rs\"")),
            "examples/Cargo.toml has no [[example]] for {name}.rs"
        );
    }
    let built = build();
    let mut wrong = Vec::new();
    for name in &examples {
        let program = built.join(format!("{name}{}", env::consts::EXE_SUFFIX));
        let output = Command::new(program).env_remove("RUST_BACKTRACE").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} failed: {}\n{errors}", output.status);
        let printed = String::from_utf8(output.stdout).unwrap();
        let file = golden.join(format!("{name}.txt"));
        if env::var_os("TOWPATH_BLESS").is_some() {
            fs::write(&file, &printed).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if printed != expected {
            wrong.push(format!("== {name} printed\n{printed}== and should have\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}TOWPATH_BLESS=1 writes them anew", wrong.concat());
    assert_eq!(names(&golden, "txt"), examples, "each golden file has its example");
}
