//! The cells of the tables: what one is, its name, and how many operations a sample of it does.
//!
//! A name is `group/mode/rest`, for example `thr/block/spsc:128:8`, `sel/async/recv:64:1`, `idle/async/own:200000`.
//! Names are what `--cells` globs match, what a child process is given and what the report groups by.
//!
//! Why the counts are fixed and not calibrated: every library must do the same work, and a fast one must not
//! be rewarded with a longer and so steadier sample.

use std::fmt;
use std::str::FromStr;

use crate::link::Cap;

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// OS threads on both sides.
    Block,
    /// Tasks on both sides.
    Async,
    /// A thread sends, a task receives.
    B2a,
    /// A task sends, a thread receives.
    A2b,
    /// A thread asks, a task answers.
    Mix,
}

/// How many senders and receivers share a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// One to one.
    Spsc,
    /// Four to one.
    Mpsc,
    /// Four to four.
    Mpmc,
}

impl Shape {
    /// Senders and receivers.
    pub(crate) fn ends(self) -> (usize, usize) {
        match self {
            Shape::Spsc => (1, 1),
            Shape::Mpsc => (4, 1),
            Shape::Mpmc => (4, 4),
        }
    }
}

/// The arms of a select.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Arms {
    /// Receives only.
    Recv,
    /// Half receive, half send.
    Mixed,
}

/// What an idle task waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Wait {
    /// Nothing at all.
    Pending,
    /// A channel of its own.
    Own,
    /// One channel shared by all.
    Shared,
}

/// Who waits for whom in a program that is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scan {
    /// A ring of rendezvous: one stuck set of all.
    Ring,
    /// All wait for one producer: nobody is stuck.
    Crowd,
    /// Clients and servers that wait for each other, two by two.
    Pairs,
    /// Selects over four channels drawn at random.
    Random,
    /// A ring of locks.
    Locks,
}

/// Which context is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// One that can be cancelled.
    Root,
    /// A child of such a one.
    Child,
    /// A child with a deadline, which is far off.
    Deadline,
}

/// Who waits for the contexts that are cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Waiters {
    /// Nobody.
    None,
    /// A task each.
    Tasks,
}

/// What the parties of a lock cell share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Lock {
    /// A mutex, locked for a moment.
    Mutex,
    /// A mutex, kept while the other tasks run.
    Held,
    /// A reader-writer lock that all read.
    Read,
    /// A semaphore with a permit for every four, rounded up.
    Permits,
    /// Two notices, back and forth.
    Notice,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cell {
    /// Throughput of one channel.
    Thr { mode: Mode, shape: Shape, cap: Cap, bytes: usize },
    /// Throughput in batches.
    Batch { mode: Mode, shape: Shape, cap: Cap },
    /// Round trips over two channels.
    Ping { mode: Mode, cap: Cap },
    /// One select over `width` channels.
    Sel { mode: Mode, arms: Arms, width: usize, cap: Cap },
    /// Turns at one lock.
    Lock { mode: Mode, lock: Lock, parties: usize },
    /// Spawn and join.
    Spawn { tasks: usize },
    /// Resident bytes per parked task.
    Idle { wait: Wait, tasks: usize },
    /// One analysis of who waits for whom.
    Waitfor { shape: Scan, processes: usize },
    /// Looks at a context that goes on.
    Check { place: Place },
    /// Cancelling a context with so many children.
    Cancel { waiters: Waiters, children: usize },
}

/// Messages per batch, on both sides.
///
/// Half of the bounded capacity, so that one side can fill while the other drains.
pub(crate) const BATCH: usize = 64;

impl Cell {
    /// The unit of its figures.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Cell::Ping { .. } | Cell::Lock { lock: Lock::Notice, .. } => "ns per round trip",
            Cell::Idle { .. } => "bytes per task",
            Cell::Waitfor { .. } => "ns per process",
            _ => "ns per operation",
        }
    }

    /// Operations in one sample: 100 to 300 ms for a typical peer, less than the time limit for the slowest.
    pub(crate) fn ops(self, quick: bool) -> usize {
        let full = match self {
            Cell::Thr { mode, cap, bytes, .. } => stream_ops(mode, cap, bytes),
            Cell::Batch { .. } => 1_600_000,
            Cell::Ping { mode: Mode::Async, .. } => 150_000,
            Cell::Ping { .. } => 12_000,
            Cell::Sel { mode, width, cap, .. } => sel_ops(mode, width, cap),
            Cell::Lock { mode, lock, parties } => lock_ops(mode, lock, parties),
            Cell::Spawn { tasks } | Cell::Idle { tasks, .. } => tasks,
            Cell::Waitfor { processes, .. } => processes,
            Cell::Check { .. } => 8_000_000,
            Cell::Cancel { children, .. } => children,
        };
        // A multiple of the batch and of four senders.
        if quick { (full / 100).max(256) / 256 * 256 } else { full }
    }

    /// `thr/block` of `thr/block/spsc:0:8`: one table of the report.
    pub(crate) fn table(self) -> String {
        let name = self.to_string();
        name.rsplit_once('/').map_or(name.clone(), |(table, _)| table.to_owned())
    }

    /// `spsc:0:8` of `thr/block/spsc:0:8`: one row.
    pub(crate) fn row(self) -> String {
        let name = self.to_string();
        name.rsplit_once('/').map_or(name.clone(), |(_, row)| row.to_owned())
    }
}

fn stream_ops(mode: Mode, cap: Cap, bytes: usize) -> usize {
    match (mode, cap) {
        (Mode::Async, Cap::Bounded(0 | 1)) => 240_000,
        (Mode::Block, Cap::Bounded(0 | 1)) => 40_000,
        (_, Cap::Bounded(0 | 1)) => 24_000,
        (_, Cap::Bounded(_)) if bytes > 8 => 480_000,
        (_, Cap::Bounded(_)) => 960_000,
        // What a slow consumer leaves queued is held in memory: 480,000 x 256 B is 120 MB.
        (_, Cap::Unbounded) if bytes > 8 => 480_000,
        (_, Cap::Unbounded) => 1_600_000,
    }
}

fn sel_ops(mode: Mode, width: usize, cap: Cap) -> usize {
    match (mode, width, cap) {
        (_, 1024, _) => 4_000,
        (_, 64, Cap::Bounded(128)) => 40_000,
        (_, 64, _) => 16_000,
        (Mode::Block, _, Cap::Bounded(128)) => 240_000,
        (Mode::Block, _, _) => 24_000,
        (_, _, Cap::Bounded(128)) => 320_000,
        _ => 80_000,
    }
}

fn lock_ops(mode: Mode, lock: Lock, parties: usize) -> usize {
    match (mode, lock, parties) {
        (_, Lock::Notice, _) => 150_000,
        (_, _, 1) => 4_000_000,
        (_, Lock::Held, _) => 480_000,
        (Mode::Block, ..) => 800_000,
        _ => 1_600_000,
    }
}

/// Every cell, in the order of the report.
pub(crate) fn all() -> Vec<Cell> {
    const CAPS: [Cap; 4] = [Cap::Bounded(0), Cap::Bounded(1), Cap::Bounded(128), Cap::Unbounded];
    const SHAPES: [Shape; 3] = [Shape::Spsc, Shape::Mpsc, Shape::Mpmc];
    let mut cells = Vec::new();
    for mode in [Mode::Block, Mode::Async] {
        for shape in SHAPES {
            for cap in CAPS {
                for bytes in [8, 256] {
                    cells.push(Cell::Thr { mode, shape, cap, bytes });
                }
            }
        }
    }
    for mode in [Mode::B2a, Mode::A2b] {
        for cap in CAPS {
            cells.push(Cell::Thr { mode, shape: Shape::Spsc, cap, bytes: 8 });
        }
    }
    for mode in [Mode::Block, Mode::Async] {
        for shape in [Shape::Spsc, Shape::Mpsc] {
            for cap in [Cap::Bounded(128), Cap::Unbounded] {
                cells.push(Cell::Batch { mode, shape, cap });
            }
        }
    }
    for mode in [Mode::Block, Mode::Async, Mode::Mix] {
        for cap in [Cap::Bounded(0), Cap::Bounded(1), Cap::Unbounded] {
            cells.push(Cell::Ping { mode, cap });
        }
    }
    for mode in [Mode::Block, Mode::Async] {
        for (arms, widths) in [(Arms::Recv, &[2, 8, 64, 1024][..]), (Arms::Mixed, &[2, 8, 64])] {
            for &width in widths {
                for cap in &CAPS[..3] {
                    cells.push(Cell::Sel { mode, arms, width, cap: *cap });
                }
            }
        }
    }
    for lock in [Lock::Mutex, Lock::Read] {
        for parties in [1, 2, 4] {
            cells.push(Cell::Lock { mode: Mode::Block, lock, parties });
        }
    }
    for lock in [Lock::Mutex, Lock::Read, Lock::Permits, Lock::Held] {
        for parties in [1, 8] {
            cells.push(Cell::Lock { mode: Mode::Async, lock, parties });
        }
    }
    cells.push(Cell::Lock { mode: Mode::Async, lock: Lock::Notice, parties: 2 });
    cells.push(Cell::Spawn { tasks: 1_000_000 });
    for wait in [Wait::Pending, Wait::Own, Wait::Shared] {
        cells.push(Cell::Idle { wait, tasks: 200_000 });
    }
    for shape in [Scan::Ring, Scan::Crowd, Scan::Pairs, Scan::Random, Scan::Locks] {
        cells.push(Cell::Waitfor { shape, processes: 100_000 });
    }
    for place in [Place::Root, Place::Child, Place::Deadline] {
        cells.push(Cell::Check { place });
    }
    for waiters in [Waiters::None, Waiters::Tasks] {
        cells.push(Cell::Cancel { waiters, children: 100_000 });
    }
    cells
}

/// The cells `--quick` runs: at least one of every workload, none that takes long to set up.
pub(crate) const QUICK: &[&str] = &[
    "thr/block/spsc:0:8",
    "thr/block/mpsc:1:8",
    "thr/block/mpmc:128:8",
    "thr/block/spsc:unb:256",
    "thr/async/spsc:0:8",
    "thr/async/mpsc:1:8",
    "thr/async/mpmc:128:256",
    "thr/async/spsc:unb:8",
    "thr/b2a/spsc:128:8",
    "thr/a2b/spsc:1:8",
    "batch/*/mpsc:128:8",
    "ping/*/1",
    "sel/*/recv:8:1",
    "sel/*/recv:1024:128",
    "sel/*/mixed:2:128",
    "lock/block/mutex:2",
    "lock/async/*:8",
    "lock/async/notice:2",
    "spawn/*",
    "idle/*",
    "waitfor/*",
    "check/*/child",
    "cancel/*",
];

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cap::Bounded(n) => write!(f, "{n}"),
            Cap::Unbounded => f.write_str("unb"),
        }
    }
}

impl FromStr for Cap {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        if s == "unb" { Ok(Cap::Unbounded) } else { number(s).map(Cap::Bounded) }
    }
}

/// Names an enum's values by words, both ways.
macro_rules! words {
    ($name:ident: $($value:ident = $word:literal),*) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$value => $word),* })
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                match s {
                    $($word => Ok($name::$value),)*
                    _ => Err(format!("`{s}` is none of {:?}", [$($word),*])),
                }
            }
        }
    };
}

words!(Mode: Block = "block", Async = "async", B2a = "b2a", A2b = "a2b", Mix = "mix");
words!(Shape: Spsc = "spsc", Mpsc = "mpsc", Mpmc = "mpmc");
words!(Arms: Recv = "recv", Mixed = "mixed");
words!(Scan: Ring = "ring", Crowd = "crowd", Pairs = "pairs", Random = "random", Locks = "locks");
words!(Lock: Mutex = "mutex", Held = "held", Read = "read", Permits = "permits", Notice = "notice");
words!(Wait: Pending = "pending", Own = "own", Shared = "shared");
words!(Place: Root = "root", Child = "child", Deadline = "deadline");
words!(Waiters: None = "none", Tasks = "tasks");

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Thr { mode, shape, cap, bytes } => write!(f, "thr/{mode}/{shape}:{cap}:{bytes}"),
            Cell::Batch { mode, shape, cap } => write!(f, "batch/{mode}/{shape}:{cap}:8"),
            Cell::Ping { mode, cap } => write!(f, "ping/{mode}/{cap}"),
            Cell::Sel { mode, arms, width, cap } => write!(f, "sel/{mode}/{arms}:{width}:{cap}"),
            Cell::Lock { mode, lock, parties } => write!(f, "lock/{mode}/{lock}:{parties}"),
            Cell::Spawn { tasks } => write!(f, "spawn/async/{tasks}"),
            Cell::Idle { wait, tasks } => write!(f, "idle/async/{wait}:{tasks}"),
            Cell::Waitfor { shape, processes } => write!(f, "waitfor/scan/{shape}:{processes}"),
            Cell::Check { place } => write!(f, "check/async/{place}"),
            Cell::Cancel { waiters, children } => write!(f, "cancel/async/{waiters}:{children}"),
        }
    }
}

impl FromStr for Cell {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let parts: Vec<&str> = s.split(['/', ':']).collect();
        Ok(match parts[..] {
            ["thr", mode, shape, cap, bytes] => Cell::Thr {
                mode: mode.parse()?,
                shape: shape.parse()?,
                cap: cap.parse()?,
                bytes: match bytes {
                    "8" => 8,
                    "256" => 256,
                    _ => return Err(format!("payload `{bytes}` is neither 8 nor 256")),
                },
            },
            ["batch", mode, shape, cap, "8"] => {
                Cell::Batch { mode: mode.parse()?, shape: shape.parse()?, cap: cap.parse()? }
            }
            ["ping", mode, cap] => Cell::Ping { mode: mode.parse()?, cap: cap.parse()? },
            ["sel", mode, arms, width, cap] => Cell::Sel {
                mode: mode.parse()?,
                arms: arms.parse()?,
                width: number(width)?,
                cap: cap.parse()?,
            },
            ["lock", mode, lock, parties] => {
                Cell::Lock { mode: mode.parse()?, lock: lock.parse()?, parties: number(parties)? }
            }
            ["spawn", "async", tasks] => Cell::Spawn { tasks: number(tasks)? },
            ["idle", "async", wait, tasks] => {
                Cell::Idle { wait: wait.parse()?, tasks: number(tasks)? }
            }
            ["waitfor", "scan", shape, processes] => {
                Cell::Waitfor { shape: shape.parse()?, processes: number(processes)? }
            }
            ["check", "async", place] => Cell::Check { place: place.parse()? },
            ["cancel", "async", waiters, children] => {
                Cell::Cancel { waiters: waiters.parse()?, children: number(children)? }
            }
            _ => return Err(format!("`{s}` names no cell; `towpath-bench list` names them all")),
        })
    }
}

fn number(s: &str) -> Result<usize, String> {
    s.parse().map_err(|_| format!("`{s}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for cell in all() {
            assert_eq!(cell.to_string().parse(), Ok(cell));
            assert_eq!(cell.to_string(), format!("{}/{}", cell.table(), cell.row()));
        }
    }

    #[test]
    fn every_quick_pattern_matches() {
        for pattern in QUICK {
            let glob = glob::Pattern::new(pattern).unwrap();
            assert!(all().iter().any(|cell| glob.matches(&cell.to_string())), "{pattern}");
        }
    }
}
