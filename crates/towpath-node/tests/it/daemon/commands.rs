//! Commands against a node, as somebody types them, with and without `--json`.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{Daemon, until};

fn plain(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = daemon.towpath(arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_command_tells_in_words_and_as_json() {
    let daemon = Daemon::start(&[]);
    until("an error", || {
        let (_, errors) = daemon.json(&["errors"]);
        (!errors.as_array().unwrap().is_empty()).then_some(())
    });
    until("a stuck pair", || (daemon.json(&["stuck"]).0 == Some(1)).then_some(()));
    // Arguments, exit code, what stands in the words, and a place in the JSON with what is there.
    let cases: &[(&[&str], i32, &str, &str, Value)] = &[
        (&["ps"], 0, "PROCESS  USES     STATE", "/0/name", json!("guests")),
        (&["ch"], 0, "CHANNEL  TYPE", "/0/capacity", json!(16)),
        (&["top", "--once"], 0, "shop: up ", "/network", json!("shop")),
        (&["why", "here"], 0, "here is stuck (proven)", "/grade", json!("proven")),
        (&["stuck"], 1, "wait for each other", "/0/cycle", json!(true)),
        (&["dump"], 0, "network shop from", "/network", json!("shop")),
        (&["tap", "orders", "--once"], 0, "{\"order\":", "/trace", Value::Null),
        (&["inject", "orders", "{\"order\": 1}"], 0, "put into orders", "/injected", json!(1)),
        (&["pause", "bin"], 0, "bin takes nothing more", "/paused", json!(true)),
        (&["resume", "bin"], 0, "bin goes on", "/paused", json!(false)),
        (&["trace"], 0, "no traces", "", json!([])),
        (&["errors", "--limit", "1"], 0, "each fifth is too much", "/0/kind", json!("refused")),
        (&["dlq", "ls"], 0, "1 dead letters\nCOUNT  CAUSE", "/total", json!(1)),
        (&["dlq", "show", "7"], 0, "\"secret\": \"pie\"", "/message/secret", json!("pie")),
        (&["dlq", "replay", "--all", "--dry-run"], 0, "1 would be sent again", "/would", json!(1)),
        (&["dlq", "replay", "7", "--per-second", "5"], 0, "1 sent again", "/replayed", json!(1)),
        (&["dlq", "discard", "7"], 0, "thrown away: 7", "/replayed", json!(1)),
        (
            &["saga", "ls", "--process", "till"],
            0,
            "the bank is asleep",
            "/counts/running",
            json!(1),
        ),
        (
            &["saga", "show", "trip-1", "--process", "till"],
            0,
            "\"charge\"",
            "/key",
            json!("trip-1"),
        ),
        (
            &["saga", "resume", "trip-1", "--process", "till"],
            0,
            "tried again now",
            "/replayed",
            json!(1),
        ),
        (
            &["saga", "cancel", "trip-1", "--process", "till"],
            0,
            "being undone",
            "/replayed",
            json!(1),
        ),
        (&["machine", "ls", "--process", "till"], 0, "STATE  COUNT", "/states/0/count", json!(2)),
        (
            &["facet", "ls"],
            0,
            "till     dead_letters  replay, discard",
            "/0/kind",
            json!("dead_letters"),
        ),
        (&["facet", "show", "till"], 0, "\"total\": 1", "/total", json!(1)),
        (
            &["facet", "act", "till", "resume", "{\"a\": 1}"],
            0,
            "\"replayed\": 1",
            "/replayed",
            json!(1),
        ),
    ];
    for (arguments, code, words, pointer, expected) in cases {
        let (exit, out, err) = plain(&daemon, arguments);
        assert_eq!(exit, Some(*code), "{arguments:?}: {out}{err}");
        assert!(out.contains(words), "{arguments:?}: no {words:?} in\n{out}");
        let (exit, told) = daemon.json(arguments);
        assert_eq!(exit, Some(*code), "{arguments:?} --json");
        assert_eq!(told.pointer(pointer), Some(expected), "{arguments:?} --json: {told}");
    }
    // What was told reached the process, as it was typed.
    let told = daemon.json(&["facet", "show", "till"]).1["told"].to_string();
    for part in [
        r#"{"args":{"all":true,"dry_run":true},"verb":"replay"}"#,
        r#"{"args":{"dry_run":false,"ids":[7],"per_second":5.0},"verb":"replay"}"#,
        r#"{"args":{"ids":[7]},"verb":"discard"}"#,
        r#"{"args":{"key":"trip-1"},"verb":"cancel"}"#,
        r#"{"args":{"a":1},"verb":"resume"}"#,
    ] {
        assert!(told.contains(part), "no {part} in {told}");
    }
}

#[test]
fn what_is_wrong_is_said_with_a_code() {
    let daemon = Daemon::start(&[]);
    for (arguments, code, words) in [
        (&["why", "hree"][..], 1, "did you mean `here`?"),
        (&["tap", "orders", "--where", "it.order >"], 1, ""),
        (&["inject", "orders", "word"], 2, "'\"word\"'"),
        (&["dlq", "show", "99"], 1, "towpath dlq ls"),
        (&["dlq", "replay"], 2, "--all"),
        (&["saga", "ls"], 1, "no process of this network has saga"),
        (&["facet", "act", "till", "fail"], 1, "it never works"),
        (&["top"], 2, "--once"),
        (&["ps", "--url", "http://127.0.0.1:1"], 2, "--token-file"),
    ] {
        let (exit, out, err) = plain(&daemon, arguments);
        assert_eq!((exit, &*out), (Some(code), ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
    let nowhere = Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(["ps", "--data", "no-such"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(
        said.contains("no node answers at no-such/towpath.sock: start one with `towpath run FILE`"),
        "{said}"
    );
}

#[test]
fn a_node_is_asked_by_tcp_as_well() {
    let daemon = Daemon::start(&[]);
    let token = daemon.folder.path().join("token");
    std::fs::write(&token, &daemon.token).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(["ps", "--json", "--url", &daemon.url, "--token-file"]).arg(&token);
    let output = command.output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 5);
    std::fs::write(&token, "another-token-altogether").unwrap();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a token is needed"));
}

#[test]
fn a_message_comes_by_the_standard_input_and_out_at_a_tap() {
    let daemon = Daemon::start(&["--set", "every=1h"]);
    let mut tap = Command::new(env!("CARGO_BIN_EXE_towpath"));
    tap.args(["tap", "orders", "--count", "2", "--where", "it.order > 100", "--data"])
        .arg(daemon.data());
    let mut tap = tap.stdout(Stdio::piped()).spawn().unwrap();
    // It listens in from some moment on; what is put in before is not for it.
    let mut sent = 100;
    until("the end of the tap", || {
        sent += 1;
        let mut inject = Command::new(env!("CARGO_BIN_EXE_towpath"));
        inject.args(["inject", "orders", "-", "--data"]).arg(daemon.data());
        let mut inject = inject.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        write!(inject.stdin.take().unwrap(), "{{\"order\": {sent}}}").unwrap();
        assert!(inject.wait().unwrap().success());
        tap.try_wait().unwrap()
    });
    let out = tap.wait_with_output().unwrap();
    let lines: Vec<Value> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["order"].as_u64().unwrap(), lines[0]["order"].as_u64().unwrap() + 1);
}

#[test]
fn a_file_that_changed_is_read_again() {
    let mut daemon = Daemon::start(&[]);
    let file = daemon.folder.path().join("shop.yaml");
    let change = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        std::fs::write(&file, text.replace(from, to)).unwrap();
    };
    assert_eq!(
        plain(&daemon, &["reload", "--plan"]),
        (Some(0), "nothing changes\n".to_owned(), String::new())
    );
    change("orders: {type: Order, capacity: 16}", "orders: {type: Order, capacity: 4}");
    let (code, planned) = daemon.json(&["reload", "--plan"]);
    assert_eq!((code, &planned["changes"][0]["name"]), (Some(0), &json!("orders")), "{planned}");
    assert_eq!(planned["done"], false);
    assert_eq!(daemon.json(&["ch"]).1[0]["capacity"], 16);
    let (code, out, err) = plain(&daemon, &["reload"]);
    assert!(
        code == Some(0) && out.contains("changed channel orders") && out.ends_with("done\n"),
        "{out}{err}"
    );
    assert_eq!(daemon.json(&["ch"]).1[0]["capacity"], 4);
    // A file that is wrong changes nothing, and is told with its place.
    change("capacity: 4", "capacity: many");
    let (code, out, err) = plain(&daemon, &["reload"]);
    assert!(code == Some(1) && out.is_empty() && err.contains("shop.yaml:6:"), "{out}{err}");
    change("capacity: many", "capacity: 8");
    daemon.signal("-HUP");
    daemon.errors_until("changed channel orders");
    until("the third generation", || (daemon.json(&["dump"]).1["generation"] == 3).then_some(()));
    assert_eq!(daemon.json(&["ch"]).1[0]["capacity"], 8);
}
