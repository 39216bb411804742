//! Durable steps a second: sagas of ten steps on a real disk, so many at once, beside what the disk itself needs.
//!
//! ```text
//! cargo run --release -p towpath-bench -- saga --dir /somewhere/on/the/disk --peers
//! ```
//!
//! A step is durable when it is done and the journal has said so, twice: its intent before it is called, its result before the
//! next is. Its time is from the answer of one step to the call of the next, as the process sees it that does the work:
//! one commit, and whatever waited for it.

mod peers;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use towpath::{BoxError, Ctx, bounded, scope};
use towpath_journal::Writer;
use towpath_patterns::saga::{Action, Call, Coordinator, Saga};

use crate::beside;

/// Steps of one saga.
const STEPS: usize = 10;

/// Calls that wait for the process that does the work: as many as there are sagas at most.
const CALL_CAPACITY: usize = 1024;

/// Calls taken at once.
const BATCH: usize = 256;

/// Syncs that are timed, before and after the sagas.
const SYNCS: usize = 200;

/// Steps when nobody says how many, and with `--quick`.
const STEPS_IN_ALL: [usize; 2] = [1_000_000, 10_000];

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// How many sagas at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1000])]
    at_once: Vec<usize>,
    /// Steps to do with each number of sagas. [default: 1000000, or 10000 with --quick]
    #[arg(long)]
    steps: Option<usize>,
    /// A hundredth of the work: shows that everything still runs.
    #[arg(long)]
    quick: bool,
    /// A folder on the disk that is meant; that for temporary files without it.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Also measures duroxide and durare. Builds them first, with a SQLite of theirs: some minutes.
    #[arg(long)]
    peers: bool,
}

/// What came of one number of sagas.
struct Row {
    engine: &'static str,
    at_once: usize,
    steps: usize,
    took: Duration,
    p50: Duration,
    p99: Duration,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let peers = if options.peers { Some(beside::build("sagas")?) } else { None };
    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = dir.join(format!("saga-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let measured = measure(options, peers.as_deref(), &dir);
    std::fs::remove_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let (rows, before, after) = measured?;
    println!("| engine | sagas at once | durable steps/s | p50 of a step | p99 of a step |");
    println!("|---|---:|---:|---:|---:|");
    for Row { engine, at_once, steps, took, p50, p99 } in rows {
        let rate = steps as f64 / took.as_secs_f64();
        println!("| {engine} | {at_once} | {rate:.0} | {p50:.2?} | {p99:.2?} |");
    }
    println!();
    for (when, [p50, p99]) in [("before", before), ("after", after)] {
        println!("fdatasync of 4 KiB {when}: p50 {p50:.2?}, p99 {p99:.2?}");
    }
    Ok(())
}

type Measured = (Vec<Row>, [Duration; 2], [Duration; 2]);

fn measure(options: &Options, peers: Option<&Path>, dir: &Path) -> Result<Measured, String> {
    let steps = options.steps.unwrap_or(STEPS_IN_ALL[usize::from(options.quick)]);
    let before = syncs(dir).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for &at_once in &options.at_once {
        let journal = dir.join(format!("{at_once}"));
        let row = runtime.block_on(one(at_once, steps, &journal));
        rows.push(row.map_err(|error| error.to_string())?);
        for engine in peers::ENGINES {
            let Some(binary) = peers else { break };
            match peers::one(binary, engine, at_once, steps, dir) {
                Ok(row) => rows.push(row),
                Err(error) => eprintln!("no row: {error}"),
            }
        }
    }
    let after = syncs(dir).map_err(|error| error.to_string())?;
    Ok((rows, before, after))
}

/// Runs so many sagas at once until so many steps are done.
async fn one(at_once: usize, steps: usize, journal: &Path) -> Result<Row, BoxError> {
    // With one saga at a time each step takes a sync; a tenth of them says the same.
    let steps = if at_once < 10 { steps / 10 } else { steps };
    let rounds = (steps / STEPS / at_once).max(2);
    let writer = Writer::open(journal)?;
    let times = Arc::new(Mutex::new(Vec::with_capacity(rounds * at_once * STEPS)));
    let kept = Arc::clone(&times);
    let ran = scope(&Ctx::root(), |s| async move {
        let (tx, mut rx) = bounded::<Call>(CALL_CAPACITY);
        let saga = (0..STEPS).fold(Saga::new("bench"), |saga, step| {
            let (action, undo) = (format!("do {step}"), format!("undo {step}"));
            saga.step(Action::new(&action, &tx), Action::new(&undo, &tx))
        });
        drop(tx);
        s.spawn("work", move |_| async move {
            let mut answered: Vec<Option<Instant>> = vec![None; at_once];
            let mut batch = Vec::new();
            let mut took = Vec::new();
            while rx.recv_many(&mut batch, BATCH).await > 0 {
                let now = Instant::now();
                for call in batch.drain(..) {
                    let place = u32::from_le_bytes(call.input().try_into().unwrap_or_default());
                    if call.step() != "do 0"
                        && let Some(before) = answered[place as usize]
                    {
                        took.push(now - before);
                    }
                    answered[place as usize] = Some(Instant::now());
                    call.done(*b"a receipt of twenty-odd bytes");
                }
            }
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = took;
        });
        let sagas = Coordinator::new().define(saga).start(&s, "sagas", writer).await?;
        let start = Instant::now();
        let mut clients = Vec::new();
        for place in 0..at_once {
            let sagas = sagas.clone();
            clients.push(s.spawn("client", move |_| async move {
                for round in 0..rounds {
                    let id = format!("{place}-{round}");
                    sagas.start("bench", &id, (place as u32).to_le_bytes()).await?;
                    sagas.outcome(&id).await?;
                }
                Ok::<_, BoxError>(())
            }));
        }
        for client in clients {
            client.await?;
        }
        // The last handle: with it the coordinator goes, and with that the worker.
        drop(sagas);
        Ok(start.elapsed())
    })
    .await?;
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let steps = rounds * at_once * STEPS;
    Ok(Row { engine: "towpath", at_once, steps, took: ran, p50: at(0.5), p99: at(0.99) })
}

/// What the disk needs to make one page durable: the median and the 99th of a hundred.
fn syncs(dir: &Path) -> std::io::Result<[Duration; 2]> {
    let file = File::create(dir.join("syncs"))?;
    let page = [7_u8; 4096];
    // Written over, as the journal does with its segments.
    for at in 0..SYNCS {
        file.write_all_at(&page, (at * page.len()) as u64)?;
    }
    file.sync_all()?;
    let mut times = Vec::with_capacity(SYNCS);
    for at in 0..SYNCS {
        let start = Instant::now();
        file.write_all_at(&page, (at * page.len()) as u64)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok([times[SYNCS / 2], times[SYNCS * 99 / 100]])
}
