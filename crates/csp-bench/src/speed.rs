//! How many schedules a second, beside Shuttle, which runs the same shapes in the same process.
//!
//! What always holds:
//! - Both sides of a line do the same: as many tasks or threads, messages, locks and permits, under the same kind of
//!   scheduler; both check what came out.
//! - Samples are interleaved, one of each side at a time, and the median counts. Time is what the thread had of its core,
//!   so that other programs disturb little; what they do to the caches they do to both sides.
//!
//! A *step* is a point at which another process may be chosen, counted on each side by what the simulator itself counts:
//! ours by the operations that asked, Shuttle's by the calls of its scheduler. Ours does not count that a process is
//! chosen when another one waits or ends; Shuttle counts that too. So schedules a second are the fair comparison.

mod shapes;
#[cfg(feature = "shuttle")]
mod shuttle;

use std::{
    fmt, fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use towpath::rt;
use towpath_sim::{Sim, Strategy};

use crate::Program;

/// What a sample counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Schedules.
    pub schedules: u64,
    /// Points at which somebody else could be chosen, in all of them.
    pub steps: u64,
    /// What this thread had of its core; real time where the system does not tell.
    pub time: Duration,
}

impl Count {
    /// Schedules a second.
    pub fn rate(&self) -> f64 {
        self.schedules as f64 / self.time.as_secs_f64()
    }

    /// Steps a second.
    pub fn step_rate(&self) -> f64 {
        self.steps as f64 / self.time.as_secs_f64()
    }

    /// Steps of a schedule.
    pub fn length(&self) -> f64 {
        self.steps as f64 / self.schedules.max(1) as f64
    }

    fn to_json(self) -> Value {
        json!({
            "schedules": self.schedules,
            "steps": self.steps,
            "seconds": self.time.as_secs_f64(),
            "schedules_per_second": self.rate(),
            "steps_per_second": self.step_rate(),
        })
    }
}

/// Who decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Random,
    Pct,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Pct => "PCT",
        }
    }

    fn strategy(self) -> Strategy {
        match self {
            Self::Random => Strategy::Random,
            Self::Pct => Strategy::Pct,
        }
    }
}

/// The same shape on both sides.
struct Pair {
    shape: &'static str,
    /// `tasks` or `threads`.
    flavour: &'static str,
    by: By,
    ours: Program,
    #[cfg_attr(not(feature = "shuttle"), expect(dead_code, reason = "only Shuttle runs it"))]
    theirs: fn(),
}

/// A line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// Shape, flavour and scheduler.
    pub name: String,
    /// Towpath's median sample.
    pub ours: Count,
    /// Shuttle's, if it was measured.
    pub theirs: Option<Count>,
}

impl Line {
    /// How many times as many schedules a second we run.
    pub fn ratio(&self) -> Option<f64> {
        self.theirs.map(|theirs| self.ours.rate() / theirs.rate())
    }

    /// For `--json`.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "towpath": self.ours.to_json(),
            "shuttle": self.theirs.map(Count::to_json),
            "ratio": self.ratio(),
        })
    }
}

/// Samples of each side of a line: odd, so that there is a median.
const SAMPLES: u32 = 5;

/// Measures everything whose name contains `filter`, each side of a line for `time` in all.
///
/// # Panics
/// When a program fails: none of them has a bug.
pub fn measure(filter: &str, time: Duration, mut done: impl FnMut(&Line)) -> Vec<Line> {
    let sample = time / SAMPLES;
    let mut lines = Vec::new();
    for pair in shapes::pairs() {
        let name = name_of(&pair);
        if name.contains(filter) {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..SAMPLES {
                ours.push(run(pair.ours, pair.by, sample));
                theirs.extend(beside(&pair, Until::Time(sample)));
            }
            let theirs = (!theirs.is_empty()).then(|| median(theirs));
            lines.push(Line { name, ours: median(ours), theirs });
            lines.last().map(&mut done);
        }
    }
    for (name, program) in shapes::alone() {
        let name = format!("{name}, {}", By::Random.name());
        if name.contains(filter) {
            let samples = (0..SAMPLES).map(|_| run(program, By::Random, sample)).collect();
            lines.push(Line { name, ours: median(samples), theirs: None });
            lines.last().map(&mut done);
        }
    }
    lines
}

fn name_of(pair: &Pair) -> String {
    format!("{}, {}, {}", pair.shape, pair.flavour, pair.by.name())
}

/// How long a sample of Shuttle is.
#[cfg_attr(not(feature = "shuttle"), expect(dead_code, reason = "nobody else asks how long"))]
#[derive(Clone, Copy)]
enum Until {
    Time(Duration),
    Schedules(u64),
}

#[cfg(feature = "shuttle")]
fn beside(pair: &Pair, until: Until) -> Option<Count> {
    Some(match until {
        Until::Schedules(schedules) => shuttle::run(pair.theirs, pair.by, schedules),
        Until::Time(time) => {
            /// Schedules that tell how many there are in a sample.
            const TRIAL: u64 = 500;
            let watch = rt::now();
            shuttle::run(pair.theirs, pair.by, TRIAL);
            let trials = time.as_secs_f64() / watch.elapsed().as_secs_f64();
            shuttle::run(pair.theirs, pair.by, (trials * TRIAL as f64) as u64 + 1)
        }
    })
}

#[cfg(not(feature = "shuttle"))]
fn beside(_: &Pair, _: Until) -> Option<Count> {
    None
}

/// Whether Shuttle is measured too.
pub const HAS_SHUTTLE: bool = cfg!(feature = "shuttle");

fn run(program: Program, by: By, time: Duration) -> Count {
    explore(Sim::new().strategy(by.strategy()).budget(time), program)
}

fn explore(sim: Sim, program: Program) -> Count {
    let watch = Watch::start();
    let report = sim.explore(program.start);
    let time = watch.elapsed();
    if let Some(finding) = report.finding() {
        panic!("a program without a bug fails: {finding}");
    }
    Count { schedules: report.schedules, steps: report.steps, time }
}

/// Time of this thread on its core.
struct Watch {
    real: Instant,
    ticks: Option<u64>,
}

/// A tick of the times that Linux tells of a thread: a hundredth of a second on every machine we know.
const TICK: Duration = Duration::from_millis(10);

impl Watch {
    fn start() -> Self {
        Self { real: rt::now(), ticks: ticks() }
    }

    fn elapsed(&self) -> Duration {
        let real = self.real.elapsed();
        let ticks = ticks().zip(self.ticks).map(|(now, then)| now - then);
        match ticks.and_then(|ticks| u32::try_from(ticks).ok()) {
            // Too short to be counted in ticks.
            None | Some(0..10) => real,
            Some(ticks) => TICK * ticks,
        }
    }
}

/// In user code and in the kernel, so far.
fn ticks() -> Option<u64> {
    const USER: usize = 11;
    let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
    // The name, which may have anything in it, ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(USER);
    let (user, kernel) = (fields.next()?, fields.next()?);
    Some(user.parse::<u64>().ok()? + kernel.parse::<u64>().ok()?)
}

/// Runs exactly so many schedules of the programs whose name contains `filter`, for a profiler: ours, or Shuttle's.
///
/// # Panics
/// When a program fails.
pub fn repeat(filter: &str, schedules: u64, theirs: bool) -> Vec<(String, Count)> {
    if theirs {
        let named = shapes::pairs().into_iter().map(|pair| (name_of(&pair), pair));
        let chosen = named.filter(|(name, _)| name.contains(filter));
        let counted = chosen.map(|(name, pair)| (name, beside(&pair, Until::Schedules(schedules))));
        return counted.filter_map(|(name, count)| Some((name, count?))).collect();
    }
    repeat_ours(filter, schedules)
}

fn repeat_ours(filter: &str, schedules: u64) -> Vec<(String, Count)> {
    let pairs = shapes::pairs().into_iter().map(|pair| (name_of(&pair), pair.ours, pair.by));
    let alone = shapes::alone();
    let alone = alone
        .into_iter()
        .map(|(name, program)| (format!("{name}, {}", By::Random.name()), program, By::Random));
    let chosen = pairs.chain(alone).filter(|(name, ..)| name.contains(filter));
    chosen
        .map(|(name, program, by)| {
            let sim = Sim::new().strategy(by.strategy()).schedules(schedules);
            (name, explore(sim, program))
        })
        .collect()
}

fn median(mut samples: Vec<Count>) -> Count {
    samples.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

/// The lines as a table.
#[derive(Debug)]
pub struct Table<'a>(pub &'a [Line]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| program | schedules/s | steps | steps/s | Shuttle | steps | steps/s | ratio |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
        for line in self.0 {
            write!(f, "| {} |", line.name)?;
            columns(f, &line.ours)?;
            match (&line.theirs, line.ratio()) {
                (Some(theirs), Some(ratio)) => {
                    columns(f, theirs)?;
                    writeln!(f, " {ratio:.1} |")?;
                }
                _ => writeln!(f, " | | | |")?,
            }
        }
        Ok(())
    }
}

fn columns(f: &mut fmt::Formatter<'_>, count: &Count) -> fmt::Result {
    let million = count.step_rate() / 1e6;
    write!(f, " {:.0} | {:.1} | {million:.2} M |", count.rate(), count.length())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment of each: every program does its work, whatever the schedule.
    #[test]
    fn every_program_runs_under_every_scheduler() {
        let lines = measure("", Duration::ZERO, |_| {});
        assert!(lines.iter().all(|line| line.ours.schedules == 0), "{lines:?}");
        for (name, count) in repeat("", 20, false) {
            assert_eq!(count.schedules, 20, "{name}");
        }
        for (name, count) in repeat("", 20, true) {
            assert_eq!(count.schedules, 20, "{name}");
        }
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let count = |schedules| Count { schedules, steps: 0, time: Duration::from_secs(1) };
        assert_eq!(median(vec![count(3), count(1), count(2)]).schedules, 2);
    }
}
