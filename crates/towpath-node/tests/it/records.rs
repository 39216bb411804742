//! Components `file` and `write` on real files: what one reads the other writes, and a restart goes on where it was.

use std::{fs, path::Path, process::Command};

fn run(folder: &Path, network: &str) {
    let file = folder.join("net.yaml");
    fs::write(&file, network).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(["run", file.to_str().unwrap()]).arg("--data").arg(folder.join("data"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_table_becomes_lines_and_a_restart_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let network = "version: 1\nname: n\nchannels: {rides: , bad: }\nprocesses:\n  \
        from: {uses: file, path: rides.csv, columns: {id: integer, at: {geo: [lat, lon]}}, position: keep, out: rides, on_error: bad}\n  \
        to: {uses: write, path: out.ndjson, in: rides}\n  no: {uses: write, path: bad.ndjson, in: bad}\n";
    let table = folder.path().join("rides.csv");
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    fs::write(&table, "id,lat,lon\n1,40.5,-74\nx,1,2\n2,41,-73.5\n").unwrap();
    run(folder.path(), network);
    let first = "{\"at\":[40.5,-74],\"id\":1}\n{\"at\":[41,-73.5],\"id\":2}\n";
    assert_eq!(text("out.ndjson"), first);
    let bad: serde_json::Value = serde_json::from_str(&text("bad.ndjson")).unwrap();
    assert_eq!(bad["error"], "rides.csv:3: `id` should be a whole number, and is `x`");
    assert_eq!((&bad["message"]["line"], &bad["message"]["text"]), (&3.into(), &"x,1,2".into()));
    // Nothing new, then one line more.
    run(folder.path(), network);
    fs::write(&table, "id,lat,lon\n1,40.5,-74\nx,1,2\n2,41,-73.5\n3,0,0\n").unwrap();
    run(folder.path(), network);
    assert_eq!(text("out.ndjson"), format!("{first}{{\"at\":[0,0],\"id\":3}}\n"));
    assert_eq!(text("bad.ndjson").lines().count(), 1);
}
