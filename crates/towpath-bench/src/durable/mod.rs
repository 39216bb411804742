//! `towpath-bench journal`: durable records per second beside the floor of the disk and beside other stores.
//!
//! What always holds: every library writes the same records in the same batches and has them durable, by fdatasync, before
//! the next batch begins; libraries take turns within each round, and each begins with an empty directory. Beside them,
//! in each round, stands what one fdatasync costs just then.
//!
//! With many writers each one appends a record, waits until it is durable, and goes on. The journal has
//! `towpath_patterns::log` for that; the others stand behind `group.rs`, which does the same for any store.

mod group;
mod stores;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use towpath_journal::{Lsn, Writer};

use crate::histogram::middle;
use crate::machine::Machine;
use stores::{RECORD_BYTES, Store};

/// Measures the journal.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A hundredth of the work, one round: shows that everything still runs.
    #[arg(long)]
    quick: bool,
    /// Where the files are made; the disk that is measured.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Writes the table there instead of printing it.
    #[arg(long)]
    md: Option<PathBuf>,
}

/// What is measured, by rows of the table.
#[derive(Clone, Copy, Debug)]
enum Cell {
    /// One thread, batches of so many records.
    Batch(usize),
    /// So many tasks, a record each, again and again.
    Writers(usize),
}

const CELLS: [Cell; 5] =
    [Cell::Batch(64), Cell::Batch(1024), Cell::Writers(1), Cell::Writers(64), Cell::Writers(1000)];

impl Cell {
    /// Records in a sample.
    fn records(self, quick: bool) -> usize {
        let records = match self {
            Self::Batch(64) => 128_000,
            Self::Batch(_) => 512_000,
            Self::Writers(1) => 2_000,
            Self::Writers(64) => 64_000,
            Self::Writers(_) => 200_000,
        };
        if quick { (records / 100).max(1) } else { records }
    }
}

/// What came of one sample.
#[derive(Clone, Copy, Debug)]
struct Sample {
    per_second: f64,
    /// What the slowest hundredth waits: for its batch, or its record.
    p99: Duration,
}

/// Sums up a sample.
fn sample(records: usize, took: Duration, waits: &mut [Duration]) -> Sample {
    waits.sort_unstable();
    let p99 = waits[(waits.len() * 99 / 100).min(waits.len() - 1)];
    Sample { per_second: records as f64 / took.as_secs_f64(), p99 }
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let rounds = if options.quick { 1 } else { options.rounds.max(1) };
    let home = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let fresh =
        || tempfile::tempdir_in(&home).map_err(|error| format!("{}: {error}", home.display()));
    let names = stores::NAMES;
    let mut samples = vec![vec![Vec::new(); names.len()]; CELLS.len()];
    let mut fsyncs = Vec::new();
    let mut recoveries = Vec::new();
    for round in 0..rounds {
        for (cell, row) in CELLS.iter().zip(&mut samples) {
            fsyncs.push(fsync(fresh()?.path())?);
            for at in 0..names.len() {
                // Another one begins in each round.
                let at = (at + round) % names.len();
                let dir = fresh()?;
                eprintln!("round {round}: {cell:?} {}", names[at]);
                row[at].push(take(*cell, names[at], dir.path(), options.quick)?);
            }
        }
        let dir = fresh()?;
        recoveries.push(recovery(dir.path(), if options.quick { 10_000 } else { 1_000_000 })?);
    }
    let text = table(rounds, &samples, &fsyncs, &recoveries);
    match &options.md {
        Some(path) => fs::write(path, text).map_err(|error| format!("{}: {error}", path.display())),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

fn take(cell: Cell, name: &str, dir: &Path, quick: bool) -> Result<Sample, String> {
    let records = cell.records(quick);
    match cell {
        Cell::Batch(batch) => {
            let mut store = stores::open(name, dir)?;
            Ok(batches(&mut *store, batch, records))
        }
        Cell::Writers(writers) if name == "journal" => group::by_log(dir, writers, records),
        Cell::Writers(writers) => Ok(group::by_store(stores::open(name, dir)?, writers, records)),
    }
}

fn batches(store: &mut dyn Store, batch: usize, records: usize) -> Sample {
    let record = [0x5a; RECORD_BYTES];
    let mut waits = Vec::new();
    let start = Instant::now();
    let mut done = 0;
    while done < records {
        let began = Instant::now();
        for _ in 0..batch {
            store.put(done as u64, &record);
            done += 1;
        }
        store.commit();
        waits.push(began.elapsed());
    }
    sample(done, start.elapsed(), &mut waits)
}

/// What an fdatasync of 4 KiB takes that were written before: the median and the slowest hundredth.
fn fsync(dir: &Path) -> Result<(Duration, Duration), String> {
    use std::os::unix::fs::FileExt;
    let measure = || -> std::io::Result<_> {
        let file = fs::File::create(dir.join("sync"))?;
        file.write_all_at(&[0; 4096], 0)?;
        file.sync_all()?;
        let mut waits = Vec::new();
        for _ in 0..200 {
            file.write_all_at(&[1; 4096], 0)?;
            let began = Instant::now();
            file.sync_data()?;
            waits.push(began.elapsed());
        }
        waits.sort_unstable();
        Ok((waits[100], waits[198]))
    };
    measure().map_err(|error| error.to_string())
}

/// How long a journal of so many records takes to open after a crash, the pages being in memory and not.
fn recovery(dir: &Path, records: u64) -> Result<(Duration, Duration), String> {
    let text = |error: towpath_journal::Error| error.to_string();
    let mut store = stores::open("journal", dir)?;
    for number in 0..records {
        store.put(number, &[0x5a; RECORD_BYTES]);
        if number % 1024 == 1023 {
            store.commit();
        }
    }
    store.commit();
    drop(store);
    let began = Instant::now();
    let writer = Writer::open(dir).map_err(text)?;
    let opened = began.elapsed();
    if writer.durable() != Lsn(records) {
        return Err(format!("{} of {records} records are there", writer.durable()));
    }
    let mut reader = writer.reader(Lsn::ZERO).map_err(text)?;
    let began = Instant::now();
    let mut read = 0;
    while reader.next().map_err(text)?.is_some() {
        read += 1;
    }
    if read != records {
        return Err(format!("{read} of {records} records were read"));
    }
    Ok((opened, began.elapsed()))
}

fn table(
    rounds: usize,
    samples: &[Vec<Vec<Sample>>],
    fsyncs: &[(Duration, Duration)],
    recoveries: &[(Duration, Duration)],
) -> String {
    let names = stores::NAMES;
    let mut text =
        format!("{}, {rounds} rounds, records of {RECORD_BYTES} bytes\n\n", Machine::here());
    let mut line = |cells: &[String]| {
        writeln!(text, "| {} |", cells.join(" | ")).expect("a string takes all");
    };
    let head = std::iter::once("thousand records/s (p99 in ms)").chain(names.iter().copied());
    line(&head.map(str::to_owned).collect::<Vec<_>>());
    line(&vec!["---".to_owned(); names.len() + 1]);
    for (cell, row) in CELLS.iter().zip(samples) {
        let mut cells = vec![match cell {
            Cell::Batch(batch) => format!("one thread, batches of {batch}"),
            Cell::Writers(1) => "one writer".to_owned(),
            Cell::Writers(writers) => format!("{writers} writers"),
        }];
        for samples in row {
            let speed = middle(samples.iter().map(|sample| sample.per_second));
            let wait = middle(samples.iter().map(|sample| sample.p99));
            cells.push(format!("{:.1} ({:.2})", speed / 1e3, wait.as_secs_f64() * 1e3));
        }
        line(&cells);
    }
    let quick = || fsyncs.iter().map(|(quick, _)| *quick);
    let (least, most) = (quick().min().unwrap_or_default(), quick().max().unwrap_or_default());
    let (quick, slow) = (middle(quick()), middle(fsyncs.iter().map(|(_, slow)| *slow)));
    writeln!(
        text,
        "\nfdatasync of 4 KiB: median {quick:.0?} ({least:.0?} to {most:.0?} over the run), p99 {slow:.0?}"
    )
    .expect("a string takes all");
    let opened = middle(recoveries.iter().map(|(opened, _)| *opened));
    let read = middle(recoveries.iter().map(|(_, read)| *read));
    writeln!(
        text,
        "opening a journal of 1,000,000 records: {opened:.0?}; reading them: {read:.0?}"
    )
    .expect("a string takes all");
    text
}
