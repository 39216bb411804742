//! `towpath-bench fault`: what a worker costs while nothing goes wrong, and how fast what went wrong becomes durable and is
//! handled again.
//!
//! The work on a message is next to nothing, so that what is left is the price of the worker: its policy, its counts, its care for a
//! panic. Beside it stands a loop that calls the same handler and drops what fails. Dead letters are measured with so many
//! processes that put them at once, each waiting until its own is durable, and with a replay of all of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use towpath::{BoxError, Ctx, Receiver, bounded, scope};
use towpath_journal::Writer;
use towpath_patterns::fault::{
    Failure, Worker,
    dead::{DeadLetters, Letter, Pace, Pick, Replay},
};

use crate::histogram::middle;

/// Messages for one sample of a worker.
const MESSAGES: u64 = 1_000_000;

/// Dead letters for one sample.
const LETTERS: usize = 5_000;

/// Messages that wait for the worker.
const QUEUE: usize = 1024;

/// Processes that put letters at once.
const PUTTERS: [usize; 3] = [1, 64, 1000];

/// A letter's payload, in bytes.
const PAYLOAD: usize = 256;

/// What is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// A hundredth of the work, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// A folder on the disk that is meant; that for temporary files without it.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    let part = if options.quick { 100 } else { 1 };
    let repeats = if options.quick { 1 } else { options.repeats };
    let (messages, letters) = (MESSAGES / part as u64, LETTERS / part);

    println!("| messages that are handled | ns a message |");
    println!("|---|---:|");
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        plain.push(runtime.block_on(handled(messages, Kind::Loop)).map_err(said)?);
        ours.push(runtime.block_on(handled(messages, Kind::Worker)).map_err(said)?);
    }
    println!("| a loop | {:.0} |", middle(plain));
    println!("| `fault::Worker` | {:.0} |", middle(ours));

    let dir = options.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = dir.join(format!("fault-{}", std::process::id()));
    println!("\n| putting at once | durable letters/s | all groups | replayed letters/s |");
    println!("|---:|---:|---:|---:|");
    for at_once in PUTTERS {
        // Alone, each letter waits for the disk: a tenth says the same.
        let letters = if at_once == 1 { letters / 10 } else { letters };
        let mut samples = [Vec::new(), Vec::new(), Vec::new()];
        for repeat in 0..repeats {
            let path = dir.join(format!("{at_once}-{repeat}"));
            let took = runtime.block_on(dead(letters.max(at_once), at_once, &path));
            for (all, one) in samples.iter_mut().zip(took.map_err(said)?) {
                all.push(one);
            }
        }
        let [put, groups, replayed] = samples.map(middle);
        println!(
            "| {at_once} | {put:.0} | {:.2?} | {replayed:.0} |",
            Duration::from_secs_f64(groups)
        );
    }
    std::fs::remove_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))
}

fn said(error: BoxError) -> String {
    error.to_string()
}

#[derive(Clone, Copy)]
enum Kind {
    Loop,
    Worker,
}

/// The business: the message is a number, and is not the one that is refused.
async fn handle(_ctx: Ctx, message: &u64) -> Result<(), Failure> {
    if *std::hint::black_box(message) == u64::MAX {
        return Err(Failure::schema("not a number of ours"));
    }
    Ok(())
}

/// Nanoseconds a message.
async fn handled(messages: u64, kind: Kind) -> Result<f64, BoxError> {
    let (tx, rx) = bounded(QUEUE);
    let start = Instant::now();
    scope(&Ctx::root(), |s| async move {
        s.spawn("source", move |_| async move {
            for message in 0..messages {
                tx.send(message).await?;
            }
            Ok::<_, BoxError>(())
        });
        match kind {
            Kind::Loop => s.spawn("loop", |ctx| plain(ctx, rx)).await,
            Kind::Worker => {
                let worker = Worker::new("worker", rx, handle);
                s.spawn("worker", |ctx| worker.run(ctx)).await
            }
        }
        .map_err(BoxError::from)
    })
    .await?;
    Ok(start.elapsed().as_nanos() as f64 / messages as f64)
}

/// What is written when nothing is to go wrong.
async fn plain(ctx: Ctx, mut messages: Receiver<u64>) -> Result<(), BoxError> {
    while let Some(message) = messages.recv().await {
        let _lost = handle(ctx.clone(), &message).await;
    }
    Ok(())
}

/// Letters a second put, seconds to group them by cause, letters a second replayed.
async fn dead(letters: usize, at_once: usize, path: &Path) -> Result<[f64; 3], BoxError> {
    let writer = Writer::open(path)?;
    let took = scope(&Ctx::root(), |s| async move {
        let dead = DeadLetters::open(&s, "bench", writer)?;
        let start = Instant::now();
        let mut putters = Vec::new();
        for _ in 0..at_once {
            let dead = dead.clone();
            putters.push(s.spawn("putter", move |_| async move {
                for _ in 0..letters / at_once {
                    dead.put(Letter::new(vec![7; PAYLOAD])).await?;
                }
                Ok::<_, BoxError>(())
            }));
        }
        for putter in putters {
            putter.await?;
        }
        let put = start.elapsed();
        let start = Instant::now();
        dead.groups().await?;
        let grouped = start.elapsed();
        let start = Instant::now();
        let replay = dead.replay(s.ctx(), Pick::all(), Pace::UNLIMITED, again).await?;
        let replayed = start.elapsed();
        let letters = replay.went_well as f64;
        Ok::<_, BoxError>([
            letters / put.as_secs_f64(),
            grouped.as_secs_f64(),
            letters / replayed.as_secs_f64(),
        ])
    })
    .await?;
    Ok(took)
}

async fn again(_ctx: Ctx, letter: Replay) -> Result<(), Failure> {
    std::hint::black_box(letter.payload);
    Ok(())
}
