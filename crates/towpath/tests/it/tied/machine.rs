//! Resources of the machine: descriptors counted in `/proc/self/fd`, a folder on the disk, a child that is killed and reaped.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, Weak},
};

use tempfile::TempDir;
use towpath::{Receiver, Sender};

use super::{WAYS, orders};
use crate::harness::{CAPACITIES, channel};

/// A process that lives no longer than this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap(); // or a zombie would be left
    }
}

/// What a sandbox has: a folder, a file in it that is open, and a process that runs there.
struct Sandbox {
    dir: TempDir,
    file: File,
    child: Option<Killed>,
}

impl Sandbox {
    fn new(with_child: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("out")).unwrap();
        let child = with_child.then(|| {
            Killed(Command::new("sleep").arg("600").current_dir(dir.path()).spawn().unwrap())
        });
        Self { dir, file, child }
    }

    /// Where to look whether it is still there.
    fn traces(&self) -> Traces {
        let pid = self.child.as_ref().map(|child| child.0.id());
        Traces { dir: self.dir.path().to_owned(), pid }
    }
}

struct Traces {
    dir: PathBuf,
    pid: Option<u32>,
}

impl Traces {
    /// Descriptors of this process that lead into the folder, whether or not that is still there.
    fn descriptors(&self) -> usize {
        let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let paths = links.filter_map(|link| fs::read_link(link.path()).ok());
        paths.filter(|path| path.starts_with(&self.dir)).count()
    }

    fn has_child(&self) -> bool {
        // A zombie has an entry too.
        self.pid.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }

    fn assert(&self, there: bool, what: &str) {
        assert_eq!(self.dir.exists(), there, "folder, {what}");
        assert_eq!(self.descriptors(), usize::from(there), "descriptors, {what}");
        assert_eq!(self.has_child(), there && self.pid.is_some(), "child, {what}");
    }
}

#[test]
fn they_go_in_every_way() {
    for (way, go) in WAYS {
        for capacity in [Some(0), Some(4), None] {
            let (tx, rx) = channel(capacity);
            let (open, end) = (Sandbox::new(true), Sandbox::new(false));
            let (open_traces, end_traces) = (open.traces(), end.traces());
            tx.tie_while_open(open).unwrap_or_else(|_| unreachable!("it is open"));
            tx.tie(end);
            open_traces.assert(true, way);
            go(tx, rx);
            open_traces.assert(false, way);
            end_traces.assert(false, way);
        }
    }
}

/// Two senders, a receiver and the tying, in every order in which somebody is left to tie.
#[test]
fn they_go_in_every_order() {
    for capacity in [Some(1), Some(8)] {
        orders(&mut [0, 1, 2, 3], 0, &mut |order| {
            let (tx, rx) = channel::<u32>(capacity);
            let mut senders: [Option<Sender<u32>>; 2] = [Some(tx.clone()), Some(tx)];
            let mut receiver: Option<Receiver<u32>> = Some(rx);
            let mut traces = None;
            for event in order {
                match event {
                    0 | 1 => drop(senders[*event].take()),
                    2 => drop(receiver.take()),
                    _ => {
                        let sandbox = Sandbox::new(true);
                        traces = Some(sandbox.traces());
                        match (senders.iter().flatten().next(), &receiver) {
                            (Some(tx), _) => tx.tie(sandbox),
                            (None, Some(rx)) => rx.tie(sandbox),
                            (None, None) => drop(sandbox),
                        }
                    }
                }
                let there = receiver.is_some() || senders.iter().any(Option::is_some);
                if let Some(traces) = &traces {
                    traces.assert(there, &format!("{order:?} up to {event}"));
                }
            }
        });
    }
}

/// Whoever uses it has it for a moment: the channel's end finds nobody who holds on to it.
#[test]
fn used_through_a_weak() {
    let (tx, rx) = towpath::bounded::<u32>(4);
    let sandbox = Arc::new(Sandbox::new(false));
    let (traces, weak): (_, Weak<Sandbox>) = (sandbox.traces(), Arc::downgrade(&sandbox));
    rx.tie(sandbox);
    assert!(weak.upgrade().is_some_and(|sandbox| sandbox.file.as_raw_fd() > 2));
    drop((tx, rx));
    assert!(weak.upgrade().is_none());
    traces.assert(false, "after both have gone");
}

/// A thousand conversations leave as many descriptors as there were.
#[test]
fn none_are_left_after_a_thousand() {
    let dir = tempfile::tempdir().unwrap();
    let traces = Traces { dir: dir.path().to_owned(), pid: None };
    for n in 0..1_000 {
        let (tx, rx) = channel::<u32>(CAPACITIES[n % CAPACITIES.len()]);
        let file = File::create(dir.path().join("out")).unwrap();
        let _ = tx.tie_while_open(file);
        tx.tie(File::create(dir.path().join("end")).unwrap());
        WAYS[n % WAYS.len()].1(tx, rx);
    }
    assert_eq!(traces.descriptors(), 0);
}
