//! What a test needs that runs programs and compares what they print: used by the examples and by the book.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The files in a folder with this ending, without it.
pub(crate) fn names(folder: &Path, ending: &str) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == ending))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Builds the examples of this package as this test was built, and returns the folder they are in.
pub(crate) fn build_examples() -> PathBuf {
    let here = env::current_exe().unwrap();
    // `<target>/<profile>/deps/golden-…`
    let profile_dir = here.ancestors().nth(2).unwrap();
    let profile = match profile_dir.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let target_dir = profile_dir.parent().unwrap();
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--examples", "--profile", profile])
        .args(["--package", env!("CARGO_PKG_NAME")])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the examples do not build");
    profile_dir.join("examples")
}

/// Runs a program of `folder` that must end well, and returns what it printed.
pub(crate) fn run(folder: &Path, name: &str) -> String {
    let program = folder.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    // A panic that a story is about would print it, pages long.
    command.env_remove("RUST_BACKTRACE");
    if name == "dispatch_city" {
        // Without data it has a city of its own, which is the same on every machine.
        command.env("TOWPATH_DATA", "none");
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs these programs of `folder` and compares what they print with `golden/<name>.txt`. `TOWPATH_BLESS=1` writes the files
/// anew.
pub(crate) fn compare(folder: &Path, names: &BTreeSet<String>) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut wrong = Vec::new();
    for name in names {
        let printed = run(folder, name);
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
}

/// Each of these programs has its golden file, and there are no other files.
pub(crate) fn are_all_golden(names: &BTreeSet<String>) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    assert_eq!(names, &self::names(&golden, "txt"), "each program has its golden file");
}
