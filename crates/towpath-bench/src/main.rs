//! towpath-bench: the speed of towpath, of its peers and of Go at the same work, in one interleaved run.
//!
//! ```text
//! cargo run --release -p towpath-bench -- run --cells 'thr/async/*,ping/*' --libs towpath,go,kanal --md out.md
//! cargo run --release -p towpath-bench -- list
//! cargo run --release -p towpath-bench -- sample kanal thr/async/spsc:0:8
//! cargo run --release -p towpath-bench -- instructions --cases 'stream/*'
//! cargo run --release -p towpath-bench -- machine
//! cargo run --release -p towpath-bench -- bus --servers
//! ```
//!
//! How it is made: `cells.rs` names what is measured, `workloads/` does it, generic over the channel traits of `link.rs`,
//! `peers/` says how each library does it, `sample.rs` is the child process that takes one sample, `runner.rs` the
//! parent, `report.rs` what comes out, `go.rs` and `go/` the Go side. `instructions.rs` counts instead of timing.
//! Crates above the channels have a table each: `durable/`, `state_machines.rs`, `fault.rs`, `saga/`, `bus/`, `dispatch/`, `gateway/`,
//! `gateway_core.rs`, `limit.rs`, `matcher/`, `observe.rs`, `pool/` and `shadow.rs`.

#![forbid(unsafe_code)]
#![recursion_limit = "512"] // selects with 64 arms, each a step of a macro

mod beside;
mod bus;
mod cells;
mod dispatch;
#[cfg(feature = "durable")]
mod durable;
mod fault;
mod gateway;
mod gateway_core;
mod go;
mod histogram;
mod instructions;
mod limit;
mod link;
mod machine;
mod matcher;
mod observe;
mod peers;
mod pool;
mod report;
mod runner;
mod saga;
mod sample;
mod shadow;
mod state_machines;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cells::Cell;
use crate::runner::Plan;

/// Measures channels: the same work for every library, interleaved.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Takes samples and prints tables.
    Run {
        /// Cells whose names match one of these globs; all without it.
        #[arg(long, value_delimiter = ',')]
        cells: Vec<glob::Pattern>,
        /// Libraries; all without it.
        #[arg(long, value_delimiter = ',')]
        libs: Vec<String>,
        /// Samples of each library in each cell. [default: 5, or 1 with --quick]
        #[arg(long)]
        repeats: Option<usize>,
        /// A hundredth of the work in representative cells: shows that everything still runs.
        #[arg(long)]
        quick: bool,
        /// Writes every sample there.
        #[arg(long)]
        json: Option<PathBuf>,
        /// Writes the tables there instead of printing them.
        #[arg(long)]
        md: Option<PathBuf>,
    },
    /// Counts Towpath's instructions per operation with valgrind, where nobody contends.
    Instructions {
        /// Cases whose names match one of these globs; all without it.
        #[arg(long, value_delimiter = ',')]
        cases: Vec<glob::Pattern>,
        /// Counts this other build of towpath-bench too, and says how much more ours takes.
        #[arg(long)]
        beside: Option<PathBuf>,
        /// Writes the counts there, besides printing the table.
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Does the work of one case of `instructions`.
    #[command(hide = true)]
    Work {
        /// A case's name.
        case: String,
        /// Operations.
        ops: usize,
    },
    /// Measures state machines: transitions in memory and with a journal, bytes of an idle instance, recovery.
    Machine {
        /// Where the journals are; the system's folder for temporary files without it.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// A thousandth of the work: shows that everything still runs.
        #[arg(long)]
        quick: bool,
    },
    /// Measures the journal beside the floor of the disk and other stores.
    #[cfg(feature = "durable")]
    Journal(durable::Options),
    /// One publisher and three subscribers, beside tokio's broadcast, NATS and etcd.
    Bus(bus::Options),
    /// A worker while nothing goes wrong, and dead letters.
    Fault(fault::Options),
    /// Durable steps of sagas a second, on a real disk.
    Saga(saga::Options),
    /// Riders and drivers of a city, beside a lock with an R-tree or a map.
    Dispatch(dispatch::Options),
    /// Readers of limits that change, beside locks.
    Limit(limit::Options),
    /// Borrowing from warm pools, beside others, and real load against their policies.
    Pool(pool::Options),
    /// Three streams matched by key, beside a map under locks.
    Matcher(matcher::Options),
    /// Our reverse proxy beside nginx, HAProxy and Pingora.
    Gateway(gateway::Options),
    /// One proxy in this process.
    #[command(hide = true)]
    GatewayServe(gateway::ServeOptions),
    /// Calls through the gateway, beside tokio's channels and tower's layers; and too many of them.
    GatewayCore(gateway_core::Options),
    /// A hundred thousand device shadows.
    Shadow(shadow::Options),
    /// What it costs to be watched: metrics, spans, and what others take for it.
    Observe(observe::Options),
    /// One sample of it in this process.
    #[command(hide = true)]
    ObserveWork(observe::WorkOptions),
    /// Names all cells and libraries.
    List,
    /// Takes one sample in this process and prints it as JSON.
    Sample {
        /// A library's name.
        lib: String,
        /// A cell's name.
        cell: Cell,
        /// Operations; the cell's own number without it.
        #[arg(long)]
        ops: Option<usize>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Action::Run { cells, libs, repeats, quick, json, md } => {
            plan(&cells, &libs, repeats, quick)
                .and_then(|plan| run(&plan, json.as_deref(), md.as_deref()))
        }
        Action::Instructions { cases, beside, json } => {
            instructions::run(&cases, beside.as_deref(), json.as_deref())
        }
        Action::Work { case, ops } => instructions::work(&case, ops),
        Action::Machine { dir, quick } => state_machines::run(dir.as_deref(), quick),
        #[cfg(feature = "durable")]
        Action::Journal(options) => durable::run(&options),
        Action::Bus(options) => bus::run(&options),
        Action::Fault(options) => fault::run(&options),
        Action::Saga(options) => saga::run(&options),
        Action::Dispatch(options) => dispatch::run(&options),
        Action::Limit(options) => limit::run(&options),
        Action::Pool(options) => pool::run(&options),
        Action::Matcher(options) => matcher::run(&options),
        Action::GatewayCore(options) => gateway_core::run(&options),
        Action::Shadow(options) => shadow::run(&options),
        Action::Gateway(options) => gateway::run(&options),
        Action::GatewayServe(options) => gateway::serve(&options),
        Action::Observe(options) => observe::run(&options),
        Action::ObserveWork(options) => observe::work(&options),
        Action::List => {
            list();
            Ok(())
        }
        Action::Sample { lib, cell, ops } => {
            sample::run(&lib, cell, ops.unwrap_or_else(|| cell.ops(false)))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("towpath-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan(
    globs: &[glob::Pattern],
    libs: &[String],
    repeats: Option<usize>,
    quick: bool,
) -> Result<Plan, String> {
    let names = peers::names();
    if let Some(unknown) = libs.iter().find(|lib| !names.contains(&lib.as_str())) {
        return Err(format!("`{unknown}` names no library; known are {}", names.join(", ")));
    }
    let quick_globs = cells::QUICK.iter().map(|glob| glob::Pattern::new(glob).expect("a glob"));
    let globs = match globs {
        [] if quick => quick_globs.collect(),
        _ => globs.to_vec(),
    };
    let cells: Vec<Cell> = cells::all()
        .into_iter()
        .filter(|cell| globs.is_empty() || globs.iter().any(|glob| glob.matches(&cell.to_string())))
        .collect();
    if cells.is_empty() {
        return Err("no cell matches; `towpath-bench list` names them all".to_owned());
    }
    let libs = names.into_iter().filter(|name| libs.is_empty() || libs.iter().any(|l| l == name));
    Ok(Plan {
        cells,
        libs: libs.collect(),
        repeats: repeats.unwrap_or(if quick { 1 } else { 5 }),
        quick,
    })
}

fn run(
    plan: &Plan,
    json: Option<&std::path::Path>,
    md: Option<&std::path::Path>,
) -> Result<(), String> {
    let mut taken = Plan { cells: plan.cells.clone(), libs: plan.libs.clone(), ..*plan };
    let mut note = None;
    // Built before the first sample: compiling must not run beside measuring.
    if plan.libs.iter().any(|lib| peers::GO.contains(lib))
        && let Err(why) = go::binary()
    {
        eprintln!("go: {why}");
        note = Some(format!("go: {why}"));
        taken.libs.retain(|lib| !peers::GO.contains(lib));
    }
    let samples = runner::run(&taken);
    let run = report::Run::of(&taken, note, &samples);
    let write = |path: &std::path::Path, text: String| {
        std::fs::write(path, text).map_err(|error| format!("write {}: {error}", path.display()))
    };
    if let Some(path) = json {
        write(path, run.json())?;
    }
    match md {
        Some(path) => write(path, run.markdown(&taken)),
        None => {
            print!("{}", run.markdown(&taken));
            Ok(())
        }
    }
}

fn list() {
    println!("libraries:");
    peers::names().iter().for_each(|name| println!("  {name}"));
    println!("cells:");
    cells::all().iter().for_each(|cell| println!("  {cell}"));
}
