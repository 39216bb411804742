//! Commands that need no node: what they write, in words and as JSON.

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

fn said(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let (code, out, err) = said(folder, &[arguments, &["--json"]].concat());
    let told =
        serde_json::from_str(&out).unwrap_or_else(|it| panic!("{arguments:?}: {it}: {out}{err}"));
    (code, told)
}

#[test]
fn what_new_writes_runs_and_passes_its_tests() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = json(folder.path(), &["new", "mine"]);
    assert_eq!((code, &told["files"][0]), (Some(0), &"network.yaml".into()));
    let mine = folder.path().join("mine");
    let (code, out, err) = said(&mine, &["check", "network.yaml"]);
    assert!(code == Some(0) && err.is_empty(), "{out}{err}");
    assert_eq!(said(&mine, &["fmt", "--check", "network.yaml"]).0, Some(0));
    let (code, out, err) = said(&mine, &["test", "network.yaml", "--schedules", "5"]);
    assert!(code == Some(0) && out.contains("1 passed"), "{out}{err}");
    // It runs, until somebody ends it.
    let mut run = Command::new(env!("CARGO_BIN_EXE_towpath"));
    run.args(["run", "network.yaml", "--set", "every=10ms"]).current_dir(&mine);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = std::io::BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&line).unwrap(),
        serde_json::json!({"number": 1, "word": "hello"})
    );
    assert!(Command::new("kill").arg(run.id().to_string()).status().unwrap().success());
    drop(out);
    run.wait().unwrap();
    // What is there is not written over.
    let (code, _, err) = said(folder.path(), &["new", "mine"]);
    assert!(code == Some(1) && err.contains("choose another name"), "{err}");
    assert_eq!(said(folder.path(), &["new", "No Name"]).0, Some(2));
}

#[test]
fn a_program_of_ones_own_has_what_cargo_wants() {
    let folder = tempfile::tempdir().unwrap();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let (code, out, err) = said(folder.path(), &["new", "own", "--rust", "--towpath", sources]);
    assert!(code == Some(0) && out.contains("cargo test"), "{out}{err}");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let output = cargo.current_dir(folder.path().join("own")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let dependencies = told["packages"][0]["dependencies"].as_array().unwrap();
    let path = dependencies.iter().find(|it| it["name"] == "towpath-node").unwrap()["path"]
        .as_str()
        .unwrap();
    assert!(Path::new(path).join("src/lib.rs").exists());
}

/// Such a program, compiled with these tests, so that it stays right.
#[path = "../../src/command/new/main.rs.txt"]
#[expect(dead_code, reason = "its `main` is for the program that is written")]
mod own;

#[test]
fn the_network_of_such_a_program_passes_its_tests() {
    let text = include_str!("../../src/command/new/own.yaml");
    let file = towpath_node::file::NetworkFile::read("own.yaml", text, &[]).unwrap();
    let registry = towpath_node::Registry::builtin().with(own::shout());
    let trial = towpath_node::testing::Trial::Schedules { count: 5, seed: 0 };
    let outcome = towpath_node::testing::run(&file, &file.tests[0], &registry, &trial).unwrap();
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure.map(|it| it.summary));
}

#[test]
fn files_are_put_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("n.yaml");
    fs::write(&file, "version: 1\nname: n   \nchannels:\n    a: # why\n        capacity: 3\n")
        .unwrap();
    let (code, out, _) = said(folder.path(), &["fmt", "--check", "n.yaml"]);
    assert_eq!((code, &*out), (Some(1), "n.yaml: not in order\n"));
    let (code, told) = json(folder.path(), &["fmt", "n.yaml"]);
    assert_eq!((code, &told[0]["changed"]), (Some(0), &true.into()));
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, "version: 1\nname: n\nchannels:\n  a: # why\n    capacity: 3\n");
    assert_eq!(json(folder.path(), &["fmt", "--check", "n.yaml"]).0, Some(0));
}

#[test]
fn the_schema_knows_the_components() {
    let folder = tempfile::tempdir().unwrap();
    let (code, schema) = json(folder.path(), &["schema"]);
    assert_eq!(code, Some(0));
    let uses = schema["$defs"]["process"]["properties"]["uses"]["oneOf"].as_array().unwrap();
    assert!(uses.iter().any(|it| it["const"] == "load"), "{uses:?}");
    assert!(said(folder.path(), &["schema"]).1.contains("\n  \"$schema\""));
}

#[test]
fn shells_and_manuals_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, _) = said(folder.path(), &["completions", shell]);
        assert!(code == Some(0) && out.contains("inject"), "{shell}: {out}");
        assert_eq!(json(folder.path(), &["completions", shell]).1["shell"], shell);
    }
    let (_, page, _) = said(folder.path(), &["man"]);
    for command in ["ps", "tap", "dlq", "dlq replay", "saga resume", "doctor"] {
        assert!(page.contains(&format!("TOWPATH {}", command.to_uppercase())), "{command}");
    }
    assert!(
        page.contains("\ntowpath run\n") && !page.contains("(1)\n"),
        "there are no other pages"
    );
    assert_eq!(json(folder.path(), &["man"]).1["page"].as_str(), Some(&*page));
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let place = |told: &Value, what: &str| {
        told.as_array().unwrap().iter().find(|it| it["what"] == what).unwrap().clone()
    };
    let (_, told) = json(folder.path(), &["doctor"]);
    for what in ["data directory", "other nodes", "socket file", "port", "clock"] {
        assert_eq!(place(&told, what)["ok"], true, "{told}");
    }
    assert!(!folder.path().join("data").exists(), "a doctor makes nothing");
    fs::create_dir(folder.path().join("data")).unwrap();
    json(folder.path(), &["doctor"]);
    let left = fs::read_dir(folder.path().join("data")).unwrap().count();
    assert_eq!(left, 0, "nor a lock that would be his and keep the service out");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let long = "d".repeat(120);
    let arguments = ["doctor", "--listen", &address, "--data", &long];
    let (code, told) = json(folder.path(), &arguments);
    assert_eq!(code, Some(1));
    for (what, advice) in
        [("port", "choose another --listen"), ("socket file", "choose a shorter --data")]
    {
        let found = place(&told, what);
        assert_eq!((&found["ok"], &found["advice"]), (&false.into(), &advice.into()), "{told}");
    }
    let (code, out, _) = said(folder.path(), &arguments);
    assert!(code == Some(1) && out.contains("NOT  port"), "{out}");
    // Whoever may not write there is told so, unless he may do everything.
    let (_, told) = json(folder.path(), &["doctor", "--data", "/proc/nowhere"]);
    assert_eq!(place(&told, "data directory")["ok"], false, "{told}");
}

#[test]
fn a_data_directory_that_cannot_be_locked_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data/towpath.lock")).unwrap();
    let tea = concat!(env!("CARGO_MANIFEST_DIR"), "/../../networks/tea.yaml");
    let (code, _, err) = said(folder.path(), &["run", tea]);
    assert!(code == Some(1) && err.contains("data/towpath.lock: "), "{err}");
    assert!(err.contains("choose another --data"), "{err}");
}

#[test]
fn a_node_without_an_api_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let tea = concat!(env!("CARGO_MANIFEST_DIR"), "/../../networks/tea.yaml");
    let (code, _, err) = said(folder.path(), &["run", tea, "--set", "every=1ms", "--no-api"]);
    assert_eq!((code, &*err), (Some(0), ""));
    let left: Vec<_> = fs::read_dir(folder.path().join("data"))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left, ["towpath.lock"]);
    let (code, _, err) =
        said(folder.path(), &["run", tea, "--set", "every=1ms", "--listen", "none"]);
    assert_eq!((code, &*err), (Some(0), ""));
}

/// The table in the book is the one that the program tells; `TOWPATH_BLESS=1` writes it anew.
#[test]
fn the_books_table_of_components_is_current() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/book/src/operating/components.md");
    let book = fs::read_to_string(&path).unwrap();
    let told = Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(["components", "--markdown"])
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let (begin, end) = ("<!-- components:begin -->\n", "<!-- components:end -->");
    let (before, rest) = book.split_once(begin).unwrap();
    let (table, after) = rest.split_once(end).unwrap();
    if env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&path, format!("{before}{begin}\n{told}\n{end}{after}")).unwrap();
        return;
    }
    assert_eq!(
        table.trim(),
        told.trim(),
        "components have changed; TOWPATH_BLESS=1 writes the table anew"
    );
}
