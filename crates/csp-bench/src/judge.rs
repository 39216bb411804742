//! Runs a kernel's programs under the simulator and says what became of each.

use std::time::Duration;

use towpath_sim::{Finding, FindingKind, Sim, Strategy};

use crate::{Fate, Kernel, Program, Symptom};

/// How much to try.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The bug is looked for with so many seeds.
    pub seeds: u64,
    /// Schedules in which it must be found, for each seed.
    pub schedules: u64,
    /// The same for kernels that need a timer to ring at the right moment.
    pub schedules_with_timers: u64,
    /// Schedules in which programs without a bug must stay clean.
    pub clean_schedules: u64,
    /// What was found is replayed so often.
    pub replays: u64,
    /// Who decides what happens next.
    pub strategy: Strategy,
}

impl Default for Effort {
    /// What the project promises: `verify.md`'s goals.
    fn default() -> Self {
        Self {
            seeds: 200,
            schedules: 1_000,
            schedules_with_timers: 5_000,
            clean_schedules: 10_000,
            // With fifty kernels that are some ten thousand.
            replays: 200,
            strategy: Strategy::Portfolio,
        }
    }
}

/// What became of a kernel.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Which one.
    pub kernel: &'static Kernel,
    /// The search for its bug, if it can be written.
    pub hunt: Option<Hunt>,
    /// The program with owned ends, where that has no bug.
    pub owned: Option<Calm>,
    /// The fixed twin.
    pub fixed: Calm,
}

/// The search for a bug.
#[derive(Clone, Debug, Default)]
pub struct Hunt {
    /// For each seed that found it, the schedules that took.
    pub found: Vec<u64>,
    /// Seeds that did not find it.
    pub missed: u64,
    /// Of those found, how many named the right process, thing and line.
    pub right: u64,
    /// Forced choices after shrinking, for each.
    pub forced: Vec<usize>,
    /// Real time that finding, shrinking and telling took, for each.
    pub times: Vec<Duration>,
    /// The last finding was replayed so often.
    pub replays: u64,
    /// So many of these were not the same, in what was found or in how it came to that.
    pub unlike: u64,
    /// The last finding that did not.
    pub wrong: Option<Finding>,
    /// The last finding.
    pub finding: Option<Finding>,
    /// Its token.
    pub token: Option<String>,
}

/// A program that should have no bug.
#[derive(Clone, Debug, Default)]
pub struct Calm {
    /// Schedules tried.
    pub schedules: u64,
    /// Real time.
    pub time: Duration,
    /// What was found all the same.
    pub alarm: Option<Finding>,
}

impl Verdict {
    /// Tries everything about `kernel`.
    pub fn of(kernel: &'static Kernel, effort: Effort) -> Self {
        let owned = if kernel.fate == Fate::Detect { None } else { kernel.owned };
        Self {
            kernel,
            hunt: kernel.buggy().map(|program| hunt(kernel, program, effort)),
            owned: owned.map(|program| calm(program, effort)),
            fixed: calm(kernel.fixed, effort),
        }
    }

    /// The bug was found with each seed, at the right place, and nothing was found where there is none.
    pub fn is_perfect(&self) -> bool {
        let hunted = self.hunt.as_ref();
        hunted.is_none_or(|hunt| {
            hunt.missed == 0 && hunt.right == hunt.found.len() as u64 && hunt.unlike == 0
        }) && self.calms().all(|calm| calm.alarm.is_none())
    }

    /// The programs that should have no bug.
    pub fn calms(&self) -> impl Iterator<Item = &Calm> {
        self.owned.iter().chain([&self.fixed])
    }
}

impl Hunt {
    /// So many of `of` seeds needed at most the answer; `None` if so many did not find it.
    pub fn schedules_at(&self, of_100: u64) -> Option<u64> {
        let mut found = self.found.clone();
        found.sort_unstable();
        let seeds = found.len() as u64 + self.missed;
        let rank = (seeds * of_100).div_ceil(100).max(1);
        found.get(rank as usize - 1).copied()
    }

    /// The longest time that finding, shrinking and telling took.
    pub fn slowest(&self) -> Duration {
        self.times.iter().max().copied().unwrap_or_default()
    }

    /// The median of what shrinking left.
    pub fn forced_median(&self) -> Option<usize> {
        let mut forced = self.forced.clone();
        forced.sort_unstable();
        forced.get(forced.len() / 2).copied()
    }
}

fn hunt(kernel: &Kernel, program: Program, effort: Effort) -> Hunt {
    let mut hunt = Hunt::default();
    let schedules = if kernel.timers { effort.schedules_with_timers } else { effort.schedules };
    for seed in 0..effort.seeds {
        let sim = sim(effort).seed(seed).schedules(schedules);
        let report = sim.explore(program.start);
        let Some(failed) = report.failure else {
            hunt.missed += 1;
            continue;
        };
        hunt.times.push(report.time);
        hunt.found.push(failed.schedule + 1);
        hunt.forced.push(failed.forced.1);
        if is_right(kernel, &failed.finding) {
            hunt.right += 1;
        } else {
            hunt.wrong = Some(failed.finding.clone());
        }
        hunt.token = Some(failed.token);
        hunt.finding = Some(failed.finding);
    }
    replay(&mut hunt, program, effort);
    hunt
}

/// Replays the last finding again and again.
fn replay(hunt: &mut Hunt, program: Program, effort: Effort) {
    let (Some(token), Some(finding)) = (&hunt.token, &hunt.finding) else { return };
    let mut first = None;
    for _ in 0..effort.replays {
        let again = sim(effort).replay(token, program.start);
        let told = (again.hash, again.failure.map(|failed| (failed.finding, failed.story)));
        // All of it among themselves; of the first time what does not say where the simulation was called, which is part of
        // a report on the main process.
        let alike = told.1.as_ref().is_some_and(|(again, _)| {
            (again.kind, &again.summary, &again.circle, again.step_count, again.time)
                == (
                    finding.kind,
                    &finding.summary,
                    &finding.circle,
                    finding.step_count,
                    finding.time,
                )
        });
        hunt.replays += 1;
        hunt.unlike += u64::from(!alike || *first.get_or_insert_with(|| told.clone()) != told);
    }
}

fn calm(program: Program, effort: Effort) -> Calm {
    let report = sim(effort).schedules(effort.clean_schedules).explore(program.start);
    Calm {
        schedules: report.schedules,
        time: report.time,
        alarm: report.failure.map(|failed| failed.finding),
    }
}

/// Steps after which a kernel, which is a few dozen steps long, goes on for ever.
const STEPS_MAX: u64 = 20_000;

fn sim(effort: Effort) -> Sim {
    Sim::new().strategy(effort.strategy).max_steps(STEPS_MAX)
}

/// Whether the finding is the kernel's own, with the right process, thing and line.
pub fn is_right(kernel: &Kernel, finding: &Finding) -> bool {
    let kind = match kernel.symptom {
        Symptom::Deadlock => FindingKind::Deadlock,
        Symptom::Leak => FindingKind::Leak,
        Symptom::Panic => FindingKind::Panic,
        Symptom::Livelock => FindingKind::NoEnd,
        Symptom::NeverPolled => FindingKind::NeverPolled,
        Symptom::LostWakeup => FindingKind::LostWakeup,
    };
    finding.kind == kind
        && (kernel.stuck.is_empty()
            || kernel.stuck.iter().any(|expected| {
                let lines: Vec<_> = kernel.lines_of(expected.process).collect();
                let mut named =
                    finding.stuck.iter().filter(|stuck| stuck.process == expected.process);
                named.any(|stuck| {
                    let mut waits = stuck.waits.iter().chain(&stuck.unpolled);
                    // Whoever goes on has no line, and a task's value is waited for wherever its handle is.
                    stuck.runs
                        || waits.any(|wait| {
                            let line = wait.at.as_deref().and_then(line_of);
                            let right_thing = expected
                                .object
                                .is_none_or(|name| wait.name.as_deref() == Some(name));
                            right_thing && line.is_none_or(|line| lines.contains(&line))
                        })
                })
            }))
}

/// The line in `file:line:column`.
fn line_of(at: &str) -> Option<u32> {
    at.rsplit(':').nth(1)?.parse().ok()
}
