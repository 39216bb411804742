//! What the system says about itself: its name for the report, its memory for the idle cells, and how busy others keep
//! it, so that a sample taken beside a compiler is not believed.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// Where a run took place.
#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
}

impl Machine {
    /// This machine.
    pub(crate) fn here() -> Machine {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find(|line| line.starts_with("model name"));
        Machine {
            cpu: model
                .and_then(|line| line.split_once(": "))
                .map_or("unknown".into(), |(_, name)| name.trim().into()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .into(),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} cores, Linux {}", self.cpu, self.cores, self.kernel)
    }
}

/// Resident bytes of this process.
pub(crate) fn resident_bytes() -> usize {
    const PAGE_BYTES: usize = 4096; // x86-64 and all arm64 kernels we run on
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|field| field.parse::<usize>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

/// CPU time in clock ticks of 10 ms: of the whole machine, and of the children this process has waited for.
#[derive(Clone, Copy)]
pub(crate) struct Busy {
    all: u64,
    children: u64,
}

impl Busy {
    /// Up to now.
    pub(crate) fn now() -> Busy {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let fields: Vec<u64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|field| field.parse().ok())
            .collect();
        // user, nice, system, (idle, iowait), irq, softirq, steal
        let all = fields.iter().take(8).sum::<u64>() - fields.iter().skip(3).take(2).sum::<u64>();
        let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Counted from behind the command name, which may hold spaces: cutime and cstime are fields 16 and 17.
        let after_name = own.rsplit_once(')').map_or("", |(_, rest)| rest);
        let children = after_name
            .split_whitespace()
            .skip(13)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        Busy { all, children }
    }

    /// Whether others took more than a tenth of two cores since then; `wall_ms` is how long that was.
    pub(crate) fn disturbed_since(self, wall_ms: u64) -> bool {
        let now = Busy::now();
        let others_ms =
            (now.all - self.all).saturating_sub(now.children - self.children).saturating_mul(10);
        // Two ticks of slack: both counters are rounded.
        others_ms > 20 + wall_ms / 5
    }
}

/// The first line a command prints, or a dash.
pub(crate) fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_else(|| "-".into())
}
