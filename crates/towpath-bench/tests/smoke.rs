//! Runs the binary on a few cells and reads what it leaves: the bench code must not rot unseen.

use std::process::Command;

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_towpath-bench");

/// Runs `cells` quickly with `libs` and returns the JSON and the tables.
fn quick(libs: &str, cells: &str) -> (Value, String) {
    let path =
        std::env::temp_dir().join(format!("towpath-bench-{}-{libs}.json", std::process::id()));
    let output = Command::new(BENCH)
        .args(["run", "--quick", "--libs", libs, "--cells", cells, "--json"])
        .arg(&path)
        .output()
        .expect("the bench starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = std::fs::read_to_string(&path).expect("the bench has written its JSON");
    std::fs::remove_file(&path).expect("the file was there just now");
    let md = String::from_utf8(output.stdout).expect("tables are text");
    (serde_json::from_str(&json).expect("the JSON is whole"), md)
}

/// Every library has a figure above zero in every cell.
fn check(libs: &[&str], cells: &[&str]) {
    let (json, md) = quick(&libs.join(","), &cells.join(","));
    let samples = json["samples"].as_array().expect("a list of samples");
    for cell in cells {
        for lib in libs {
            let sample = samples.iter().find(|s| s["cell"] == *cell && s["lib"] == *lib);
            let sample = sample.unwrap_or_else(|| panic!("no sample of {lib} in {cell}"));
            assert_eq!(sample["status"], "ok", "{sample}");
            assert!(sample["value"].as_f64().is_some_and(|value| value > 0.0), "{sample}");
        }
    }
    for key in ["date", "machine", "versions", "repeats"] {
        assert!(!json[key].is_null(), "{key} is missing");
    }
    assert!(md.contains("towpath / best peer"), "{md}");
}

#[test]
fn threads() {
    check(&["crossbeam", "flume"], &["thr/block/spsc:0:8", "thr/block/mpmc:128:8", "ping/block/1"]);
}

#[test]
fn tasks() {
    check(&["tokio-mpsc", "kanal"], &["thr/async/mpsc:1:8", "thr/b2a/spsc:128:8", "ping/mix/1"]);
}

#[test]
fn selects() {
    check(&["crossbeam"], &["sel/block/mixed:2:1", "sel/block/recv:64:0"]);
    check(&["tokio-mpsc"], &["sel/async/mixed:2:1", "sel/async/recv:64:128"]);
}

#[test]
fn locks() {
    check(&["tokio"], &["lock/async/mutex:8", "lock/async/permits:8", "lock/async/notice:2"]);
    check(&["std-sync"], &["lock/block/mutex:2", "lock/block/read:4"]);
}

#[test]
fn ours() {
    check(
        &["towpath"],
        &[
            "thr/block/spsc:0:8",
            "thr/async/mpmc:1:256",
            "thr/a2b/spsc:unb:8",
            "ping/async/0",
            "sel/block/mixed:8:0",
            "sel/async/mixed:2:1",
            "batch/async/mpsc:128:8",
            "idle/async/own:200000",
            "waitfor/scan/ring:100000",
            "waitfor/scan/crowd:100000",
            "waitfor/scan/pairs:100000",
            "waitfor/scan/random:100000",
            "waitfor/scan/locks:100000",
            "lock/block/mutex:2",
            "lock/async/held:8",
        ],
    );
    check(&["towpath", "tokio-util"], &["check/async/child", "cancel/async/tasks:100000"]);
    check(&["towpath+scope", "tokio-util"], &["spawn/async/1000000"]);
    check(&["towpath+scope"], &["idle/async/pending:200000"]);
    check(&["towpath+SelectSet", "towpath+recv_any"], &["sel/async/recv:1024:128"]);
}

/// The rows of a table, each cell trimmed; a table per subcommand that measures a pattern.
fn table(subcommand: &str) -> Vec<Vec<String>> {
    let output = Command::new(BENCH).args([subcommand, "--quick"]).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("tables are text");
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn buses() {
    let rows = table("bus");
    for work in ["paced", "ceiling"] {
        for bus in ["towpath", "towpath-block", "tokio-broadcast"] {
            let row = rows.iter().find(|row| row[1] == work && row[2] == bus);
            let row = row.unwrap_or_else(|| panic!("no {bus} {work}: {rows:?}"));
            assert!(row[4].parse::<f64>().is_ok_and(|heard| heard > 0.0), "{row:?}");
        }
    }
}

#[test]
fn observers() {
    let rows = table("observe");
    assert_eq!(rows.len(), 2 * 9, "{rows:?}");
    assert!(rows.iter().all(|row| row[3].parse::<f64>().is_ok_and(|ns| ns > 0.0)), "{rows:?}");
}

#[test]
fn limits_and_shadows() {
    let limits = table("limit");
    assert_eq!(limits.len(), 2 * (4 + 6), "{limits:?}");
    for row in limits {
        let reads = row[4].strip_suffix(" M").and_then(|reads| reads.parse::<f64>().ok());
        assert!(reads.is_some_and(|reads| reads > 0.0), "{row:?}");
    }
    let shadows = table("shadow");
    assert_eq!(shadows.len(), 4, "{shadows:?}");
    assert!(shadows.iter().all(|row| row[4].parse::<f64>().is_ok_and(|rate| rate > 0.0)));
}

#[test]
fn pools() {
    // With or without the real load, whose rows have a ninth column.
    let rows = table("pool");
    let loans: Vec<_> = rows.iter().filter(|row| row.len() == 9).collect();
    assert_eq!(loans.len(), 3 * 4, "{rows:?}");
    assert!(loans.iter().all(|row| row[3].parse::<f64>().is_ok_and(|rate| rate > 0.0)), "{rows:?}");
}

#[test]
fn matchers() {
    let rows = table("matcher");
    assert_eq!(rows.len(), 2 * 5, "{rows:?}");
    assert!(rows.iter().all(|row| row[3].parse::<f64>().is_ok_and(|rate| rate > 0.0)));
}

#[test]
fn unknown_names_are_refused() {
    for args in [&["run", "--libs", "nobody"][..], &["run", "--cells", "no/such/*"]] {
        let status = Command::new(BENCH).args(args).output().expect("the bench starts").status;
        assert!(!status.success(), "{args:?}");
    }
}

#[test]
fn state_machines() {
    let output =
        Command::new(BENCH).args(["machine", "--quick"]).output().expect("the bench starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).expect("a table is text");
    for line in ["idle instance", "1 key in a store", "journalled", "by replay", "by snapshot"] {
        assert!(table.contains(line), "{line} is missing in {table}");
    }
}

#[test]
fn dispatch() {
    let rows = table("dispatch");
    for load in ["full", "scarce"] {
        for kind in ["towpath", "towpath, asked", "Mutex, rstar", "Mutex, HashMap"] {
            let row = rows.iter().find(|row| row[1] == load && row[2] == kind);
            let row = row.unwrap_or_else(|| panic!("no {kind} {load}: {rows:?}"));
            let part = |cell: &str| cell.strip_suffix(" %").and_then(|it| it.parse::<f64>().ok());
            let (matched, late) = (part(&row[8]), part(&row[9]));
            let all = matched.zip(late).map(|(matched, late)| matched + late);
            assert!(all.is_some_and(|all| (all - 100.0).abs() < 0.2), "{row:?}");
        }
    }
    assert!(rows.iter().any(|row| row[1] == "Grid"), "{rows:?}");
}
