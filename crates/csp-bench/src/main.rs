//! Runs the kernels and prints what became of each.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use clap::{Parser, Subcommand};
use csp_bench::{
    Kernel,
    judge::{Effort, Verdict},
    kernels, speed,
    table::Table,
};

/// Looks for the bug of each kernel in simulated schedules, and for false alarms in their fixed twins.
#[derive(Parser)]
#[command(name = "csp-bench", args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Action>,
    /// Only kernels whose name contains this.
    filter: Option<String>,
    /// Seeds to look for each bug with.
    #[arg(long, default_value_t = Effort::default().seeds)]
    seeds: u64,
    /// Schedules for each seed; five times as many for kernels with timers.
    #[arg(long, default_value_t = Effort::default().schedules)]
    schedules: u64,
    /// Schedules in which the fixed twins must stay clean.
    #[arg(long, default_value_t = Effort::default().clean_schedules)]
    clean: u64,
    /// How often what was found in each is replayed, to see that it is the same again.
    #[arg(long, default_value_t = Effort::default().replays)]
    replays: u64,
    /// Also writes everything to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also prints what was found in each kernel, in words.
    #[arg(long)]
    stories: bool,
    /// Threads to use.
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Subcommand)]
enum Action {
    /// Measures schedules a second, beside Shuttle if this was built with `--features shuttle`.
    Speed(Speed),
}

#[derive(clap::Args)]
struct Speed {
    /// Only programs whose name contains this.
    filter: Option<String>,
    /// Time for each side of each program.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Also writes everything to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Runs exactly so many schedules of ours instead, once, for a profiler.
    #[arg(long)]
    repeat: Option<u64>,
    /// The same of Shuttle's.
    #[arg(long, requires = "repeat")]
    theirs: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Action::Speed(speed)) = &args.command {
        return measure(speed);
    }
    let filter = args.filter.as_deref().unwrap_or_default();
    let chosen: Vec<_> = kernels::all().filter(|kernel| kernel.name.contains(filter)).collect();
    if chosen.is_empty() {
        eprintln!("no kernel has `{filter}` in its name; without an argument all of them run");
        return ExitCode::FAILURE;
    }
    let effort = Effort {
        seeds: args.seeds,
        schedules: args.schedules,
        schedules_with_timers: args.schedules * 5,
        clean_schedules: args.clean,
        replays: args.replays,
        ..Effort::default()
    };
    let jobs = args.jobs.or_else(|| thread::available_parallelism().ok().map(Into::into));
    let verdicts = judge_all(&chosen, effort, jobs.unwrap_or(1));
    if args.stories {
        for verdict in &verdicts {
            tell(verdict);
        }
    }
    print!("{}", Table(&verdicts));
    if let Some(file) = &args.json {
        let all: Vec<_> = verdicts.iter().map(Verdict::to_json).collect();
        if !write_json(file, all) {
            return ExitCode::FAILURE;
        }
    }
    if verdicts.iter().all(Verdict::is_perfect) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// False, and the reason printed, if it could not be written.
fn write_json(file: &Path, all: Vec<serde_json::Value>) -> bool {
    let written = fs::write(file, format!("{:#}\n", serde_json::Value::from(all)));
    if let Err(error) = &written {
        eprintln!("{}: {error}", file.display());
    }
    written.is_ok()
}

fn measure(args: &Speed) -> ExitCode {
    let filter = args.filter.as_deref().unwrap_or_default();
    if let Some(schedules) = args.repeat {
        for (name, count) in speed::repeat(filter, schedules, args.theirs) {
            println!("{name}: {:.0} schedules/s of {:.1} steps", count.rate(), count.length());
        }
        return ExitCode::SUCCESS;
    }
    let Ok(time) = Duration::try_from_secs_f64(args.seconds) else {
        eprintln!("--seconds {}: give a time above 0, such as 2 or 0.5", args.seconds);
        return ExitCode::FAILURE;
    };
    if !speed::HAS_SHUTTLE {
        eprintln!(
            "without Shuttle; `cargo run --release -p csp-bench --features shuttle -- speed` has it"
        );
    }
    let lines = speed::measure(filter, time, |line| eprintln!("{}", line.name));
    print!("{}", speed::Table(&lines));
    let all: Vec<_> = lines.iter().map(speed::Line::to_json).collect();
    let written = args.json.as_ref().is_none_or(|file| write_json(file, all));
    if written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn judge_all(chosen: &[&'static Kernel], effort: Effort, jobs: usize) -> Vec<Verdict> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let verdicts = Mutex::new(Vec::new());
    thread::scope(|s| {
        for _ in 0..jobs.max(1) {
            s.spawn(|| {
                while let Some(kernel) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = Verdict::of(kernel, effort);
                    verdicts.lock().unwrap_or_else(PoisonError::into_inner).push(verdict);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, chosen.len(), kernel.name);
                }
            });
        }
    });
    let mut verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
    // In the order of the list, whoever was ready first.
    let place =
        |verdict: &Verdict| chosen.iter().position(|kernel| kernel.name == verdict.kernel.name);
    verdicts.sort_by_key(place);
    verdicts
}

fn progress(done: usize, of: usize, name: &str) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let end = if done == of { "\n" } else { "" };
        // A terminal that is gone needs no progress.
        let _ = write!(out, "\r\x1b[2K{done}/{of} {name}{end}");
        let _ = out.flush();
    }
}

fn tell(verdict: &Verdict) {
    let name = verdict.kernel.name;
    if let Some(finding) = verdict.hunt.as_ref().and_then(|hunt| hunt.finding.as_ref()) {
        println!("== {name}: {}\n{finding}", verdict.kernel.shape);
    }
    if let Some(wrong) = verdict.hunt.as_ref().and_then(|hunt| hunt.wrong.as_ref()) {
        println!("== {name}: found something else\n{wrong}");
    }
    for alarm in verdict.calms().filter_map(|calm| calm.alarm.as_ref()) {
        println!("== {name}: FALSE ALARM in a program without a bug\n{alarm}");
    }
}
