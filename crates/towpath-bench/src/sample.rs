//! The child process: takes one sample, prints one line of JSON and ends.
//!
//! Why a process per sample: a library that hangs can be killed, one that panics or leaks harms only itself,
//! and resident memory starts from the same place each time.

use serde::{Deserialize, Serialize};

use crate::cells::Cell;
use crate::go;
use crate::peers::{GO, PEERS};
use crate::workloads::{Job, Outcome};

/// What a child reports.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum Report {
    /// A figure in the cell's unit.
    Ok { value: f64 },
    /// The library offers no such thing.
    Unsupported,
    /// It hung, panicked or gave wrong results.
    Fail { why: String },
}

/// Takes one sample and prints it.
pub(crate) fn run(lib: &str, cell: Cell, ops: usize) -> Result<(), String> {
    if GO.contains(&lib) {
        return Err(go::replace_process(lib, cell, ops));
    }
    let peer = PEERS
        .iter()
        .find(|peer| peer.name == lib)
        .ok_or_else(|| format!("`{lib}` names no library; `towpath-bench list` names them all"))?;
    let report = match (peer.sample)(Job { cell, ops }) {
        Outcome::Measured(value) => Report::Ok { value },
        Outcome::Unsupported => Report::Unsupported,
        Outcome::Wrong(why) => Report::Fail { why: format!("wrong: {why}") },
    };
    println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
    Ok(())
}
