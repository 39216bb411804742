//! `towpath-bench gateway`: our reverse proxy beside nginx, HAProxy and Pingora, in front of the same backend.
//!
//! The backend is nginx with one worker and answers 128 bytes from memory; every proxy has two threads or workers, keeps connections to
//! it, and adds `X-Forwarded-For`. Ours checks more (`Host`, lengths, deadlines) and adds `Via` and `X-Forwarded-Proto`. Load, proxy and backend
//! share the machine, so beside requests a second stands what the proxy itself used: microseconds of processor time for each
//! request, which another load on the machine changes less.
//!
//! - *64* and *1,000*: wrk, HTTP/1.1, as fast as so many connections can. *h2*: h2load, 64 connections with ten streams.
//! - *p99*: at 80 % of the own peak at 64 connections, from when a request was due. Requests fall due in batches, each millisecond.
//! - *overload*: three times the own peak offered over 1,000 connections; how much of the peak came back as 200, and the p99 from
//!   when a request was sent.
//! - *idle*: private memory for each of 10,000 connections that were used once, three seconds later.

mod load;
mod peers;
mod serve;

use std::time::Duration;

use clap::Args;

use crate::{beside, histogram::middle};
use peers::Peer;
pub(crate) use serve::{Options as ServeOptions, run as serve};

#[derive(Args)]
pub(crate) struct Options {
    /// Short, and with fewer connections: shows that everything still runs.
    #[arg(long)]
    quick: bool,
    /// Samples of requests a second, interleaved.
    #[arg(long, default_value_t = 2)]
    repeats: usize,
    /// Also measures Pingora. Builds it first, which needs cmake and some minutes.
    #[arg(long)]
    pingora: bool,
    /// Threads or workers of each proxy.
    #[arg(long, default_value_t = 2)]
    cores: usize,
}

/// What was found out about one proxy; `None`: it could not be measured.
#[derive(Default)]
struct Row {
    name: &'static str,
    /// Requests a second and microseconds each.
    few: Option<(f64, f64)>,
    many: Option<(f64, f64)>,
    two: Option<(f64, f64)>,
    p99_ms: Option<f64>,
    /// Share of the peak, and the p99.
    overload: Option<(f64, f64)>,
    idle_bytes: Option<f64>,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let dir = std::env::temp_dir().join(format!("towpath-gateway-{}", std::process::id()));
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let done = measure(&dir, options);
    drop(std::fs::remove_dir_all(&dir));
    done
}

fn measure(dir: &std::path::Path, options: &Options) -> Result<(), String> {
    let backend = match peers::backend(dir) {
        Ok(backend) => backend,
        Err(why) => {
            println!("nothing was measured: the backend is nginx, which is {why}");
            return Ok(());
        }
    };
    let lasts = Duration::from_secs(if options.quick { 1 } else { 2 });
    let repeats = if options.quick { 1 } else { options.repeats };
    let (many, idle, rest) = if options.quick { (200, 500, 1) } else { (1000, 10_000, 3) };

    let pingora = if options.pingora { Some(beside::build("proxy")?) } else { None };
    let mut peers = Vec::new();
    for (name, started) in peers::all(dir, backend.at, options.cores, pingora.as_deref(), false) {
        match started {
            Ok(peer) => peers.push(peer),
            Err(why) => println!("{name} was not measured: {why}"),
        }
    }
    let mut rows: Vec<Row> =
        peers.iter().map(|peer| Row { name: peer.name, ..Row::default() }).collect();
    // First, while nobody has memory of earlier clients to use again.
    for (peer, row) in peers.iter().zip(&mut rows) {
        let (before, mut after) = (peer.memory(), 0);
        let held = load::hold(peer.at, idle, Duration::from_secs(rest), || after = peer.memory());
        row.idle_bytes = said(peer, held)
            .filter(|&held| held > 0)
            .map(|held| after.saturating_sub(before) as f64 / held as f64);
    }
    let h1 = |connections| move |peer: &Peer| load::wrk(peer.at, connections, lasts);
    let few = sampled(&peers, repeats, h1(64));
    let many_of = sampled(&peers, repeats, h1(many));
    for (i, row) in rows.iter_mut().enumerate() {
        (row.few, row.many) = (few[i], many_of[i]);
    }
    for (peer, row) in peers.iter().zip(&mut rows) {
        let Some((peak, _)) = row.few else { continue };
        row.p99_ms = said(peer, load::offer(peer.at, 64, 0.8 * peak, lasts + lasts / 2))
            .map(|it| it.since_due.spread().p99 as f64 / 1e6);
        let peak = row.many.map_or(peak, |(many, _)| many.max(peak));
        row.overload = said(peer, load::offer(peer.at, many, 3.0 * peak, lasts + lasts / 2))
            .map(|it| (it.good / peak, it.since_sent.spread().p99 as f64 / 1e6));
    }
    drop(peers);

    // Pingora would need TLS for it.
    let all = peers::all(dir, backend.at, options.cores, None, true);
    let peers: Vec<Peer> =
        all.into_iter().filter_map(|(_, started)| started.ok().filter(|peer| peer.h2)).collect();
    let two = sampled(&peers, repeats, |peer| load::h2load(peer.at, 64, lasts));
    for (peer, two) in peers.iter().zip(two) {
        if let Some(row) = rows.iter_mut().find(|row| row.name == peer.name) {
            row.two = two;
        }
    }
    print(&rows);
    Ok(())
}

/// Says why something is missing.
fn said<T>(peer: &Peer, found: Result<T, String>) -> Option<T> {
    found.map_err(|why| println!("{} was not measured: {why}", peer.name)).ok()
}

/// Medians of interleaved samples: requests a second, and microseconds of the proxy's for each.
fn sampled(
    peers: &[Peer],
    repeats: usize,
    load: impl Fn(&Peer) -> Result<(u64, f64), String>,
) -> Vec<Option<(f64, f64)>> {
    let mut samples: Vec<Vec<(f64, f64)>> = peers.iter().map(|_| Vec::new()).collect();
    for _ in 0..repeats {
        for (peer, samples) in peers.iter().zip(&mut samples) {
            let before = peer.cpu_us();
            if let Some((count, rate)) = said(peer, load(peer)) {
                samples.push((rate, (peer.cpu_us() - before) as f64 / count as f64));
            }
        }
    }
    let medians = samples.into_iter().map(|it| {
        (!it.is_empty())
            .then(|| (middle(it.iter().map(|it| it.0)), middle(it.iter().map(|it| it.1))))
    });
    medians.collect()
}

fn print(rows: &[Row]) {
    println!(
        "| proxy | 64 | us each | 1,000 | us each | h2 | us each | p99 at 80 % | overload: of peak | p99 | idle |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        let rate = |it: Option<(f64, f64)>| {
            it.map_or("- | -".to_owned(), |(rate, us)| format!("{:.1} k | {us:.1}", rate / 1e3))
        };
        let ms = |it: Option<f64>| it.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            rate(row.few),
            rate(row.many),
            rate(row.two),
            ms(row.p99_ms),
            row.overload.map_or("-".to_owned(), |(share, _)| format!("{:.0} %", 100.0 * share)),
            ms(row.overload.map(|(_, p99)| p99)),
            row.idle_bytes.map_or("-".to_owned(), |bytes| format!("{:.1} KiB", bytes / 1024.0)),
        );
    }
}
