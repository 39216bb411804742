//! Real load against policies, in virtual time.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, Instant},
};

use flate2::read::MultiGzDecoder;
use towpath_patterns::pool::{
    Policy, Sizing,
    replay::{Bill, KeepAlive, Request, Sized, replay},
};

/// Making an instance takes so long: a small container, or a large WASM module.
const MAKING: Duration = Duration::from_secs(1);

/// Idle instances above the size live so long.
const TTL: Duration = Duration::from_secs(30);

/// Of so many requests one is replayed: pools of a dozen instances, and of a hundred, in the mean.
const THIN: [u64; 2] = [1_000, 100];

/// Minutes of a quick run: a week.
const WEEK: usize = 7 * 24 * 60;

pub(super) fn run(quick: bool, data: Option<&Path>) -> Result<(), String> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let named = || env::var_os("TOWPATH_DATA").map_or_else(beside, PathBuf::from);
    let folder = data.map_or_else(named, Path::to_owned).join("functions");
    let minutes_file = folder.join("worldcup98-per-minute.csv.gz");
    if !minutes_file.exists() {
        println!(
            "No real load: {} is not there; name its folder in TOWPATH_DATA.",
            minutes_file.display()
        );
        return Ok(());
    }
    let mut minutes: Vec<u64> = column(&unpack(&minutes_file)?)?;
    let durations: Vec<f64> = column(&read(&folder.join("azure2021-200.csv"))?)?;
    let thins = if quick {
        minutes.truncate(WEEK);
        &THIN[..1]
    } else {
        &THIN[..]
    };
    println!("| of | policy | requests | cold | cold/request | held/used | peak | made | took |");
    println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    for &thin in thins {
        for minutes_kept in [10, 20, 60] {
            let mut keeper = KeepAlive(Duration::from_secs(60 * minutes_kept));
            let name = format!("kept for {minutes_kept} minutes");
            row(thin, &name, || replay(requests(&minutes, &durations, thin), MAKING, &mut keeper));
        }
        let ours = |misses| Policy { misses: Some(misses), ..Policy::default() };
        for (name, policy) in [
            ("P95 x rate x 1.5".to_owned(), Policy::formula()),
            (
                "histogram alone".to_owned(),
                Policy { misses: None, margin: 0.0, ..Policy::default() },
            ),
            ("pool, 1 % misses".to_owned(), ours(0.01)),
            ("pool, 0.5 % misses, the default".to_owned(), Policy::default()),
            ("pool, 0.1 % misses".to_owned(), ours(0.001)),
        ] {
            let mut keeper = Sized::new(Sizing::new(policy), TTL);
            row(thin, &name, || replay(requests(&minutes, &durations, thin), MAKING, &mut keeper));
        }
    }
    Ok(())
}

fn row(thin: u64, name: &str, replay: impl FnOnce() -> Bill) {
    let begun = Instant::now();
    let bill = replay();
    println!(
        "| {thin} | {name} | {} | {} | {:.4} % | {:.3} | {} | {} | {:.1} s |",
        bill.requests,
        bill.cold,
        100.0 * bill.cold_share(),
        bill.held_per_used(),
        bill.peak,
        bill.made,
        begun.elapsed().as_secs_f64(),
    );
}

/// The requests, minute by minute: each somewhere in its own, with the duration of some function. The same ones every time.
fn requests<'a>(
    minutes: &'a [u64],
    durations: &'a [f64],
    thin: u64,
) -> impl Iterator<Item = Request> + 'a {
    let mut seed = 0x7079_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut carry = 0;
    (0_u64..).zip(minutes).flat_map(move |(minute, count)| {
        carry += count;
        let mut of_minute = Vec::new();
        for _ in 0..carry / thin {
            let at = minute * 60_000_000 + random() % 60_000_000;
            let lasts = durations[(random() % durations.len() as u64) as usize];
            let (at, lasts) = (Duration::from_micros(at), Duration::from_secs_f64(lasts));
            of_minute.push(Request { at, lasts });
        }
        carry %= thin;
        of_minute.sort_by_key(|it| it.at);
        of_minute
    })
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("read {}: {error}", file.display()))
}

fn unpack(file: &Path) -> Result<String, String> {
    let failed = |error| format!("read {}: {error}", file.display());
    let mut text = String::new();
    let packed = fs::File::open(file).map_err(failed)?;
    MultiGzDecoder::new(packed).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// The last column of a table with a heading.
fn column<T: FromStr>(text: &str) -> Result<Vec<T>, String> {
    let last = |line: &str| {
        let word = line.rsplit(',').next().unwrap_or(line).trim();
        word.parse().map_err(|_| format!("`{word}` is no number"))
    };
    text.lines().skip(1).map(last).collect()
}
