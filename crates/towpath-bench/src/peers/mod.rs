//! Who is measured: one short file per library, and the one list of all their names.
//!
//! A peer's `sample` takes any cell and answers `Unsupported` for what the library does not offer. Each peer is used
//! as its documentation advises for that cell; where it offers several ways, each way has a name of its own.

mod async_channel;
mod crossbeam;
mod crossfire;
mod flume;
mod kanal;
mod loole;
mod may;
mod processes;
mod std_mpsc;
mod std_sync;
mod streams;
mod tachyonix;
mod thingbuf;
mod tokio_mpsc;
mod tokio_sync;
mod tokio_tasks;
mod tokio_util;
mod towpath;
mod towpath_sync;

use crate::workloads::{Job, Outcome};

/// One library, or one way to use it.
pub(crate) struct Peer {
    /// The heading of its column.
    pub(crate) name: &'static str,
    /// Takes one sample, in this process.
    pub(crate) sample: fn(Job) -> Outcome,
}

/// Every library but Go, which is a program of its own. Ours come first, the others by name.
pub(crate) const PEERS: &[Peer] = &[
    Peer { name: "towpath", sample: towpath::sample },
    Peer { name: "towpath+scope", sample: processes::scope },
    Peer { name: "towpath+SelectSet", sample: towpath::select_set },
    Peer { name: "towpath+recv_any", sample: towpath::one_shot },
    Peer { name: "async-channel", sample: async_channel::sample },
    Peer { name: "async-channel+SelectAll", sample: streams::async_channel },
    Peer { name: "crossbeam", sample: crossbeam::sample },
    Peer { name: "crossfire", sample: crossfire::by_topology },
    Peer { name: "crossfire-mpmc", sample: crossfire::always_mpmc },
    Peer { name: "flume", sample: flume::sample },
    Peer { name: "flume+SelectAll", sample: streams::flume },
    Peer { name: "kanal", sample: kanal::sample },
    Peer { name: "loole", sample: loole::sample },
    Peer { name: "may", sample: may::sample },
    Peer { name: "std-mpsc", sample: std_mpsc::sample },
    Peer { name: "std-sync", sample: std_sync::sample },
    Peer { name: "tachyonix", sample: tachyonix::sample },
    Peer { name: "thingbuf", sample: thingbuf::sample },
    Peer { name: "tokio", sample: tokio_tasks::handles },
    Peer { name: "tokio-joinset", sample: tokio_tasks::joinset },
    Peer { name: "tokio-mpsc", sample: tokio_mpsc::sample },
    Peer { name: "tokio-mpsc+SelectAll", sample: streams::tokio },
    Peer { name: "tokio-mpsc+poll_fn", sample: streams::tokio_poll_fn },
    Peer { name: "tokio-util", sample: tokio_util::sample },
];

/// Go's columns: its own statements, and `reflect.Select` where the number of channels is not known beforehand.
pub(crate) const GO: &[&str] = &["go", "go-reflect"];

/// Whether a column shows our own library.
pub(crate) fn is_ours(name: &str) -> bool {
    name == "towpath" || name.starts_with("towpath+")
}

/// Every name, in the order of the columns.
pub(crate) fn names() -> Vec<&'static str> {
    let ours = PEERS.iter().map(|peer| peer.name).filter(|name| is_ours(name));
    let theirs = PEERS.iter().map(|peer| peer.name).filter(|name| !is_ours(name));
    ours.chain(GO.iter().copied()).chain(theirs).collect()
}
