//! The program, as somebody types it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

fn towpath(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(arguments);
    command
}

fn said(arguments: &[&str]) -> (Output, String, String) {
    let output = towpath(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

/// The networks that ship.
fn networks() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../networks");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut networks: Vec<_> =
        files.filter(|it| it.extension().is_some_and(|it| it == "yaml")).collect();
    networks.sort();
    assert!(!networks.is_empty());
    networks
}

#[test]
fn every_network_that_ships_fits_together_and_can_be_drawn() {
    for network in networks() {
        let file = network.to_str().unwrap();
        let (output, out, err) = said(&["check", file, "--json"]);
        assert!(output.status.success(), "{err}");
        let told: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&told["problems"], &told["warnings"]),
            (&Value::from(Vec::<Value>::new()), &Value::from(Vec::<Value>::new()))
        );
        let (_, out, _) = said(&["graph", file, "--json"]);
        let graph: Value = serde_json::from_str(&out).unwrap();
        assert!(!graph["processes"].as_array().unwrap().is_empty());
        let (_, out, _) = said(&["graph", file, "--format", "dot"]);
        assert!(out.starts_with("digraph"), "{out}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    std::fs::write(
        &file,
        "version: 1\nname: bad\nchannels: {a: }\nprocesses:\n  p: {uses: lod, out: a}\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for command in ["check", "graph", "run"] {
        let (output, out, err) = said(&[command, file]);
        assert_eq!((output.status.code(), &*out), (Some(1), ""));
        assert!(err.contains("bad.yaml:5:13: there is no component `lod`; did you mean `load`?\n  5 |   p: {uses: lod, out: a}\n"), "{err}");
    }
    let (output, out, _) = said(&["check", file, "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((output.status.code(), told["problems"][0]["line"].as_u64()), (Some(1), Some(5)));
    let (output, _, err) = said(&["check", "no-such.yaml"]);
    assert!(output.status.code() == Some(1) && err.starts_with("no-such.yaml: "), "{err}");
    assert_eq!(said(&["check"]).0.status.code(), Some(2));
    assert_eq!(said(&["check", file, "--set", "x"]).0.status.code(), Some(2));
}

#[test]
fn components_are_listed() {
    let (_, out, _) = said(&["components", "--json"]);
    let all: Value = serde_json::from_str(&out).unwrap();
    let names: Vec<_> =
        all.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"load") && names.contains(&"log"), "{names:?}");
    let (_, out, _) = said(&["components"]);
    assert!(out.contains("load: makes messages"), "{out}");
}

#[test]
fn a_network_runs_to_its_end() {
    let tea = networks().into_iter().find(|it| it.ends_with("tea.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let run = ["run", tea.to_str().unwrap(), "--set", "every=1ms", "--data", data];
    let (output, out, err) = said(&run);
    assert!(output.status.success(), "{err}");
    let orders: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = orders.iter().map(|it| it["order"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_network_that_is_told_to_end_finishes_what_it_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endless.yaml");
    std::fs::write(&file, "version: 1\nname: endless\nchannels: {a: }\nprocesses:\n  p: {uses: load, every: 1ms, out: a}\n  q: {uses: log, in: a}\n").unwrap();
    let data = folder.path().join("data");
    let mut child = towpath(&["run", file.to_str().unwrap(), "--data", data.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It is at work.
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let numbers: Vec<u64> = lines.map(|line| line.unwrap().parse().unwrap()).collect();
    assert!(child.wait().unwrap().success());
    // None is missing up to the last one.
    assert_eq!(numbers, (2..2 + numbers.len() as u64).collect::<Vec<_>>());
}
