//! The other engines: each run as a child, from `peers/sagas`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Row, STEPS};

/// What is measured beside ours. `durare` as it ships may lose its last commits in a power cut (SQLite's `synchronous =
/// NORMAL`), and so may `duroxide`; `durare-full` promises what ours does.
pub(super) const ENGINES: [&str; 3] = ["duroxide", "durare", "durare-full"];

/// They take so many fewer steps than ours: theirs need milliseconds.
const FEWER: usize = 200;

/// Runs one engine in a process of its own.
pub(super) fn one(
    binary: &Path,
    engine: &'static str,
    at_once: usize,
    steps: usize,
    dir: &Path,
) -> Result<Row, String> {
    let steps = (steps / FEWER).max(at_once * STEPS);
    let dir = dir.join(format!("{engine}-{at_once}"));
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let ran = Command::new(binary)
        .args([engine, &at_once.to_string(), &steps.to_string()])
        .arg(&dir)
        .env("RUST_LOG", "off")
        .output()
        .map_err(|error| format!("{}: {error}", binary.display()))?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let numbers: Vec<u64> = said
        .lines()
        .next_back()
        .unwrap_or_default()
        .split(' ')
        .filter_map(|number| number.parse().ok())
        .collect();
    let [steps, took, p50, p99] = numbers[..] else {
        let why = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("{engine} with {at_once} at once: {} {why}", ran.status));
    };
    let [took, p50, p99] = [took, p50, p99].map(Duration::from_nanos);
    Ok(Row { engine, at_once, steps: steps as usize, took, p50, p99 })
}
