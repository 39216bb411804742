//! `towpath-bench matcher`: three streams of papers matched by order, beside what shares a map under locks.
//!
//! Three threads send orders, receipts and invoices of the same orders, the second and the third some thousands of orders behind the
//! first, so that as many sets are open. Of fifty orders one has no invoice and is told at its deadline; of a hundred
//! invoices one comes twice. A thread receives what is told. The latency of a match is from just before its last paper is sent until the
//! match has been received; that of a call is how long a stream is held up by one paper.
//!
//! The peers do the same work: duplicates, deadlines, closed sets that are remembered.
//! - `Mutex<HashMap>, scan`: every stream locks the map, and a thread looks at all of it for deadlines, a hundred times a second.
//! - `Mutex<HashMap>, heap`: the same, with the deadlines in a heap under the same lock.
//! - `DashMap, scan`: what somebody would take who finds the lock too coarse; deadlines as in the first.

mod ours;
mod shared;

use std::time::{Duration, Instant};

use clap::Args;

use crate::histogram::{Histogram, Spread, middle};

/// Streams: orders, receipts, invoices.
const STREAMS: usize = 3;
/// Orders of one sample.
const ORDERS: u64 = 60_000;
/// Papers a second in all, when the load is paced.
const RATE: u64 = 60_000;
/// Orders that each stream is behind the one before.
const LAG: u64 = 5_000;
/// Of so many orders one has no invoice.
const UNBILLED: u64 = 50;
/// Of so many invoices one comes twice.
const TWICE: u64 = 100;
/// Until a set is told without its invoice: longer than the streams are apart, and passed within a paced sample.
const DEADLINE: Duration = Duration::from_millis(1_500);
/// Closed sets that are remembered.
const REMEMBERED: usize = 16_384;

#[derive(Args)]
pub(crate) struct Options {
    /// A hundredth of the work, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
}

/// How a stream gives a paper away: the order, which paper it is, and when.
trait Desk: Send + Sync + 'static {
    fn put(&self, stream: usize, order: u64, at: u64);
}

/// What is told, with how many papers it accounts for.
enum Told {
    Matched { last: u64, papers: u64 },
    Other { papers: u64 },
}

/// What one sample says.
struct Figures {
    papers: f64,
    call: Spread,
    age: Spread,
}

type Sample = fn(u64, Option<u64>) -> Result<Figures, String>;

const KINDS: [(&str, Sample); 5] = [
    ("towpath", |orders, rate| ours::sample(orders, rate, 1)),
    ("towpath, 2 shards", |orders, rate| ours::sample(orders, rate, 2)),
    ("Mutex<HashMap>, scan", shared::locked_scan),
    ("Mutex<HashMap>, heap", shared::locked_heap),
    ("DashMap, scan", shared::dashed_scan),
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let orders = if options.quick { ORDERS / 100 } else { ORDERS };
    let repeats = if options.quick { 1 } else { options.repeats };
    println!(
        "| load | kind | papers/s | match p50 | p99 | p99 to the scan | max | call p50 | p99 |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for (load, rate) in [("paced", Some(RATE)), ("ceiling", None)] {
        let mut taken: Vec<Vec<Figures>> = KINDS.iter().map(|_| Vec::new()).collect();
        for _ in 0..repeats {
            for ((_, sample), taken) in KINDS.iter().zip(&mut taken) {
                taken.push(sample(orders, rate)?);
            }
        }
        let p99 = |taken: &[Figures]| middle(taken.iter().map(|it| it.age.p99 as f64));
        let scan = p99(&taken[2]);
        for ((kind, _), taken) in KINDS.iter().zip(&taken) {
            let us = |figure: &dyn Fn(&Figures) -> u64| {
                middle(taken.iter().map(|it| figure(it) as f64)) / 1e3
            };
            println!(
                "| {load} | {kind} | {:.0} | {:.1} us | {:.1} us | {:.2} | {:.0} us | {:.2} us | {:.1} us |",
                middle(taken.iter().map(|it| it.papers)),
                us(&|it| it.age.p50),
                us(&|it| it.age.p99),
                p99(taken) / scan,
                us(&|it| it.age.max),
                us(&|it| it.call.p50),
                us(&|it| it.call.p99),
            );
        }
    }
    Ok(())
}

/// When it is, for all threads of a sample.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// Sends everything by three threads, and hears what is told, which `next` receives until there is no more.
fn measure<D: Desk>(
    desk: impl Fn(usize) -> D,
    clock: Clock,
    mut next: impl FnMut() -> Option<Told> + Send + 'static,
    orders: u64,
    rate: Option<u64>,
) -> Figures {
    let lag = LAG.min(orders / 4);
    let listening = std::thread::spawn(move || {
        let (mut ages, mut papers) = (Histogram::new(), 0);
        while let Some(told) = next() {
            match told {
                Told::Matched { last, papers: more } => {
                    ages.add(clock.now().saturating_sub(last));
                    papers += more;
                }
                Told::Other { papers: more } => papers += more,
            }
        }
        (ages, papers)
    });
    let begun = Instant::now();
    let streams = (0..STREAMS).map(|stream| {
        let desk = desk(stream);
        std::thread::spawn(move || send(&desk, stream, clock, orders, lag, rate))
    });
    // All of them before the first is waited for.
    let streams: Vec<_> = streams.collect();
    drop(desk);
    let (mut calls, mut sent) = (Histogram::new(), 0);
    for stream in streams {
        let (more, papers) = stream.join().expect("a stream sends");
        calls.merge(&more);
        sent += papers;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (ages, papers) = listening.join().expect("the listener listens");
    assert_eq!(papers, sent, "papers were lost, or told twice");
    Figures { papers: sent as f64 / seconds, call: calls.spread(), age: ages.spread() }
}

/// One stream: how long its calls took, and how many papers it has sent.
fn send(
    desk: &impl Desk,
    stream: usize,
    clock: Clock,
    orders: u64,
    lag: u64,
    rate: Option<u64>,
) -> (Histogram, u64) {
    let (mut calls, mut sent) = (Histogram::new(), 0);
    let begun = Instant::now();
    let behind = lag * stream as u64;
    // Every stream is as long as the last, so that their pace is the same; an order has its turn in each.
    for turn in 0..orders + lag * (STREAMS as u64 - 1) {
        if let Some(rate) = rate {
            let due = Duration::from_nanos(turn * STREAMS as u64 * 1_000_000_000 / rate);
            if let Some(early) = due.checked_sub(begun.elapsed()) {
                std::thread::sleep(early);
            }
        }
        let Some(order) = turn.checked_sub(behind).filter(|order| *order < orders) else {
            // At the ceiling a turn without a paper lets the others go on.
            if rate.is_none() && turn % 64 == 0 {
                std::thread::yield_now();
            }
            continue;
        };
        let is_invoice = stream == STREAMS - 1;
        if is_invoice && order % UNBILLED == 0 {
            continue;
        }
        let times = if is_invoice && order % TWICE == 1 { 2 } else { 1 };
        for _ in 0..times {
            let at = clock.now();
            desk.put(stream, order, at);
            calls.add(clock.now() - at);
            sent += 1;
        }
    }
    (calls, sent)
}
