//! `towpath bench`: everything that is sent is found where it comes to, and what does not come is said.

use std::{net::TcpListener, path::Path, process::Command};

use serde_json::Value;

const NETWORK: &str = r#"
version: 1
name: pipe
settings: {listen: "127.0.0.1:0"}
channels: {asked: , put: , far: , near: , rest: , bad: }
processes:
  intake: {uses: http, listen: "${listen}", path: /rides, key: it.id, durable: true, out: asked, on_error: bad}
  putter: {uses: load, every: 1h, out: put}
  sort: {uses: route, when: {far: it.km > 30}, in: [asked], out: {far: far, else: near}, on_error: bad}
  puts: {uses: route, when: {far: it.km > 30}, in: [put], out: {far: far, else: rest}, on_error: bad}
  goes: {uses: write, in: [far, near, rest, bad], path: out.ndjson}
"#;

struct Ran {
    code: Option<i32>,
    told: Value,
    errors: String,
}

/// Runs it in a folder of its own, with room for the network to listen.
fn bench(folder: &Path, arguments: &[&str]) -> Ran {
    std::fs::write(folder.join("pipe.yaml"), NETWORK).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_towpath"))
        .current_dir(folder)
        .args(["bench", "pipe.yaml", "--json", "--data", "data", "--set"])
        .arg(format!("listen={free}"))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Ran { code: output.status.code(), told, errors }
}

const MESSAGE: &str = "{'id': 'r' + string(it.n), 'km': it.n % 40}";

/// The percentiles of something, which are in their order.
fn percentiles(told: &Value) -> [u64; 4] {
    let all = ["p50_us", "p90_us", "p99_us", "max_us"].map(|name| told[name].as_u64().unwrap());
    assert!(all.is_sorted() && all[0] > 0, "{told}");
    all
}

#[test]
fn by_http_everything_is_answered_and_arrives() {
    for batch in ["1", "7"] {
        let folder = tempfile::tempdir().unwrap();
        let to = ["--to", "far:id", "--to", "asked:id:it.km >= 0"];
        let how =
            ["--message", MESSAGE, "--requests", "200", "--connections", "3", "--batch", batch];
        let Ran { code, told, errors } = bench(folder.path(), &[&to[..], &how[..]].concat());
        assert_eq!(code, Some(0), "{told} {errors}");
        assert_eq!((&told["messages"], &told["refused"]), (&200.into(), &0.into()));
        let count = |what: &Value| what["count"].as_u64().unwrap();
        // Of forty the nine from 31 on are far.
        assert_eq!(
            (count(&told["answered"]), count(&told["to"][0]), count(&told["to"][1])),
            (200, 45, 200)
        );
        percentiles(&told["answered"]);
        percentiles(&told["to"][0]);
        assert!(
            told["cpu_seconds"].as_f64() > Some(0.0)
                && told["memory_bytes"]["most"].as_u64() > Some(1_000_000)
        );
        let written = std::fs::read_to_string(folder.path().join("out.ndjson")).unwrap();
        assert!(written.lines().count() >= 45, "it was a real run: {}", written.lines().count());
    }
}

#[test]
fn a_pace_is_kept_and_what_is_put_in_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = "put=3=[{'id': 'first', 'km': 1}][0]";
    let to = ["--to", "rest:id", "--into", "put", "--first", first];
    let message = "{'id': it.n, 'km': 3}";
    let how = ["--message", message, "--requests", "50", "--rate", "200"];
    let Ran { code, told, errors } = bench(folder.path(), &[&to[..], &how[..]].concat());
    assert_eq!(code, Some(0), "{told} {errors}");
    assert_eq!((&told["answered"], &told["to"][0]["count"]), (&Value::Null, &50.into()));
    // The last one is due a quarter of a second after the first, less one step.
    assert!(told["to"][0]["per_second"].as_f64() < Some(205.0), "{told}");
}

#[test]
fn what_does_not_arrive_or_is_not_taken_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "{\"id\": \"a\", \"km\": 1}\n\n{\"id\": \"b\", \"km\": 50}\n";
    std::fs::write(folder.path().join("sent.ndjson"), lines).unwrap();
    let some = ["--to", "far:id", "--patience", "1", "--send", "sent.ndjson"];
    let Ran { code, told, errors } = bench(folder.path(), &some);
    assert_eq!((code, &told["to"][0]["count"]), (Some(1), &1.into()), "{errors}");
    assert!(errors.contains("not everything has arrived"), "{errors}");
    for (arguments, expected) in [
        (
            &["--to", "far:id", "--message", MESSAGE][..],
            "is not empty: what it holds would be measured too",
        ),
        (
            &["--to", "fra:id", "--message", MESSAGE, "--data", "d1"],
            "there is no channel `fra`; there are `asked`",
        ),
        (
            &["--to", "far:id", "--message", "{'id': 1}", "--data", "d2"],
            "two messages have the same key",
        ),
        (
            &["--to", "far:id", "--message", "{'key': 1}", "--data", "d3"],
            "a message has no field `id`",
        ),
        (&["--to", "far", "--message", "{'id': 1}"], "write it as CHANNEL:FIELD"),
        (&["--to", "far:id:it.", "--message", "{'id': 1}"], "this is no expression"),
    ] {
        let arguments: Vec<&str> = [arguments, &["--requests", "3"]].concat();
        let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
        command.current_dir(folder.path()).args(["bench", "pipe.yaml"]);
        if !arguments.contains(&"--data") {
            command.args(["--data", "data"]);
        }
        let output = command.args(&arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(expected), "{arguments:?}: {errors}");
    }
}
