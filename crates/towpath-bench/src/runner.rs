//! The parent: starts one child process per sample, interleaved and in random order, and ends those that hang.
//!
//! What always holds:
//! - Within a repeat every library runs a cell once before the next cell begins, in an order drawn anew each time; what
//!   changes on the machine over time meets all libraries alike.
//! - A library is dropped from a cell when it does not support it, or at its second failure.

use std::collections::HashMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cells::Cell;
use crate::machine::Busy;
use crate::sample::Report;

/// How long a sample may take. The slowest healthy cell takes about two seconds.
const SAMPLE_MAX: Duration = Duration::from_secs(8);

/// The same with `--quick`, whose samples do a hundredth of the work.
const QUICK_SAMPLE_MAX: Duration = Duration::from_secs(2);

/// Failures after which a library is left alone in a cell.
const FAILURES_MAX: usize = 2;

/// How often the parent looks after the child. Each look costs some 10 µs of one core.
const LOOK: Duration = Duration::from_millis(4);

/// What to run.
pub(crate) struct Plan {
    /// In the order of the report.
    pub(crate) cells: Vec<Cell>,
    /// In the order of the columns.
    pub(crate) libs: Vec<&'static str>,
    /// Samples of each library in each cell.
    pub(crate) repeats: usize,
    /// A hundredth of the work.
    pub(crate) quick: bool,
}

/// One sample of one library in one cell.
#[derive(Serialize)]
pub(crate) struct Sample {
    /// The cell's name.
    #[serde(serialize_with = "as_name")]
    pub(crate) cell: Cell,
    /// The library's name.
    pub(crate) lib: &'static str,
    /// Which repeat, from 0.
    pub(crate) repeat: usize,
    /// Operations in the sample.
    pub(crate) ops: usize,
    /// Others kept the machine busy meanwhile.
    pub(crate) disturbed: bool,
    /// How it went.
    #[serde(flatten)]
    pub(crate) report: Report,
}

fn as_name<S: serde::Serializer>(cell: &Cell, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(cell)
}

/// Takes all samples.
pub(crate) fn run(plan: &Plan) -> Vec<Sample> {
    let bar = ProgressBar::new((plan.cells.len() * plan.libs.len() * plan.repeats) as u64);
    bar.set_style(
        ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len} {msg} (eta {eta})")
            .expect("the template is right"),
    );
    let mut samples = Vec::new();
    let mut failures: HashMap<(Cell, &str), usize> = HashMap::new();
    let mut random = Random::new();
    for repeat in 0..plan.repeats {
        for &cell in &plan.cells {
            let mut libs = plan.libs.clone();
            random.shuffle(&mut libs);
            for lib in libs {
                let failed = failures.entry((cell, lib)).or_default();
                if *failed < FAILURES_MAX {
                    bar.set_message(format!("{cell} {lib}"));
                    let ops = cell.ops(plan.quick);
                    let (report, disturbed) = one(lib, cell, ops, plan.quick);
                    match &report {
                        Report::Ok { .. } => {}
                        Report::Fail { .. } => *failed += 1,
                        Report::Unsupported => *failed = FAILURES_MAX,
                    }
                    if report != Report::Unsupported {
                        samples.push(Sample { cell, lib, repeat, ops, disturbed, report });
                    }
                }
                bar.inc(1);
            }
        }
    }
    bar.finish_and_clear();
    samples
}

/// Takes one sample; also says whether others disturbed it.
fn one(lib: &str, cell: Cell, ops: usize, quick: bool) -> (Report, bool) {
    let exe = std::env::current_exe().expect("this binary has a path");
    let busy = Busy::now();
    let start = Instant::now();
    let child = Command::new(exe)
        .args(["sample", lib, &cell.to_string(), "--ops", &ops.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let report = match child {
        Ok(child) => watch(child, start + if quick { QUICK_SAMPLE_MAX } else { SAMPLE_MAX }),
        Err(error) => Report::Fail { why: format!("did not start: {error}") },
    };
    (report, busy.disturbed_since(start.elapsed().as_millis() as u64))
}

/// Waits for a child and reads its report, or ends it at the deadline.
///
/// A child prints a line or a panic message, less than a pipe holds: it can end before we read.
fn watch(mut child: Child, deadline: Instant) -> Report {
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            Ok(None) => {
                let _ = child.kill(); // it may have ended this very moment
                let _ = child.wait();
                return Report::Fail { why: "timeout".to_owned() };
            }
            Err(error) => return Report::Fail { why: format!("cannot wait: {error}") },
        }
    };
    let mut out = String::new();
    let mut err = String::new();
    if let (Some(stdout), Some(stderr)) = (&mut child.stdout, &mut child.stderr) {
        let read = stdout.read_to_string(&mut out).and_then(|_| stderr.read_to_string(&mut err));
        if let Err(error) = read {
            return Report::Fail { why: format!("unreadable: {error}") };
        }
    }
    serde_json::from_str(out.trim()).unwrap_or_else(|_| {
        let said = err.lines().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
        Report::Fail { why: format!("{status}: {said}") }
    })
}

/// Enough chance for shuffling.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Random(now.map_or(1, |since| since.as_nanos() as u64) | 1)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            items.swap(last, (self.0 % (last as u64 + 1)) as usize);
        }
    }
}
