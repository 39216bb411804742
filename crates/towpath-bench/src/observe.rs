//! `towpath-bench observe`: what it costs to be watched, beside what others take for it.
//!
//! Two tasks on one thread: one sends to the other (*stream*, 128 places), or a message goes there and back (*ping*, nobody waits but for
//! it, so that every message parks somebody). A sample is a process of its own, since a program has one probe, and counts the time that its
//! threads had a core, as the machine may be shared. Variants take turns; what is compared is the ratio within a round.
//!
//! With `--instructions` callgrind counts instead. The probe goes by the clock, which runs fifty times faster than the program there, so
//! its variants are left out.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::mpsc;
use towpath::{Ctx, Receiver, Sender, Traced, bounded, rendezvous, scope};
use towpath_observe::metrics::Metrics;
use towpath_observe::span::{Sampling, Tracer};

use crate::histogram::middle;
use crate::instructions;

/// Places of the stream's channels.
const PLACES: usize = 128;

/// The peers' closest to a rendezvous.
const ONE: usize = 1;

/// Messages of a sample: about a second of ping-pong, a third of that for a stream.
const OPS: usize = 2_000_000;

/// Messages in callgrind's smaller run.
const COUNTED: usize = 20_000;

#[derive(Args)]
pub(crate) struct Options {
    /// A hundredth of the work, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 9)]
    repeats: usize,
    /// Counts instructions with callgrind.
    #[arg(long)]
    instructions: bool,
}

#[derive(Args)]
pub(crate) struct WorkOptions {
    variant: String,
    case: String,
    ops: usize,
}

/// A way to be watched, or not, and what it is compared with.
struct Variant {
    name: &'static str,
    base: &'static str,
    /// Goes by the clock.
    timed: bool,
}

const VARIANTS: &[Variant] = &[
    Variant { name: "off", base: "off", timed: false },
    Variant { name: "probe", base: "off", timed: true },
    Variant { name: "scrape", base: "off", timed: true },
    Variant { name: "traced", base: "off", timed: false },
    Variant { name: "trace 1%", base: "off", timed: false },
    Variant { name: "tokio", base: "tokio", timed: false },
    Variant { name: "tokio-metrics", base: "tokio", timed: true },
    Variant { name: "tokio, counters by hand", base: "tokio", timed: false },
    Variant { name: "tokio, counters and times by hand", base: "tokio", timed: false },
];

const CASES: [&str; 2] = ["stream", "ping"];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    if options.instructions {
        return count(options.quick);
    }
    let (ops, repeats) = if options.quick { (OPS / 100, 1) } else { (OPS, options.repeats) };
    println!("| case | variant | ns of a core a message | to what | ratio |");
    println!("|---|---|---:|---|---:|");
    for case in CASES {
        let mut taken: Vec<Vec<f64>> = VARIANTS.iter().map(|_| Vec::new()).collect();
        for _ in 0..repeats {
            for (variant, taken) in VARIANTS.iter().zip(&mut taken) {
                taken.push(sample(variant.name, case, ops)?);
            }
        }
        for (variant, samples) in VARIANTS.iter().zip(&taken) {
            let base = VARIANTS.iter().position(|other| other.name == variant.base);
            let base = &taken[base.expect("a variant")];
            let ratios = samples.iter().zip(base).map(|(ours, base)| ours / base);
            let (name, base) = (variant.name, variant.base);
            let ns = middle(samples.iter().copied());
            println!("| {case} | {name} | {ns:.1} | {base} | {:.3} |", middle(ratios));
        }
    }
    Ok(())
}

/// Nanoseconds a message, in a process of its own.
fn sample(variant: &str, case: &str, ops: usize) -> Result<f64, String> {
    let own = std::env::current_exe().map_err(|error| format!("this binary: {error}"))?;
    let output = Command::new(own)
        .args(["observe-work", variant, case, &ops.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{variant} {case}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.trim().parse::<f64>().ok().filter(|_| output.status.success());
    number.ok_or_else(|| format!("{variant} {case}: {}: `{}`", output.status, text.trim()))
}

fn count(quick: bool) -> Result<(), String> {
    let ops = if quick { COUNTED / 20 } else { COUNTED };
    println!("| case | variant | instructions | to what | ratio |");
    println!("|---|---|---:|---|---:|");
    for case in CASES {
        let mut counted: Vec<(&str, f64)> = Vec::new();
        for variant in VARIANTS.iter().filter(|variant| !variant.timed) {
            let of = |ops: usize| {
                instructions::of_child(&["observe-work", variant.name, case, &ops.to_string()])
            };
            let each = (of(2 * ops)? as f64 - of(ops)? as f64) / ops as f64;
            counted.push((variant.name, each));
            let base = counted.iter().find(|(name, _)| *name == variant.base);
            let ratio = each / base.expect("the base comes first").1;
            let (name, base) = (variant.name, variant.base);
            println!("| {case} | {name} | {each:.1} | {base} | {ratio:.3} |");
        }
    }
    Ok(())
}

/// Nanoseconds that the threads of this program have had a core.
fn on_core() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let stat = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    threads.filter_map(stat).sum()
}

/// The child: does the work, prints nanoseconds a message.
pub(crate) fn work(options: &WorkOptions) -> Result<(), String> {
    let WorkOptions { variant, case, ops } = options;
    let metrics = Metrics::new("bench");
    if matches!(variant.as_str(), "probe" | "scrape") {
        metrics.install().map_err(|error| error.to_string())?;
    }
    if variant == "scrape" {
        let metrics = metrics.clone();
        std::thread::spawn(move || {
            loop {
                black_box(metrics.scrape());
                std::thread::sleep(Duration::from_secs(1));
            }
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let begun = on_core();
    let sum = runtime.block_on(run_variant(variant, case, *ops as u64))?;
    let took = on_core() - begun;
    let want = (*ops as u64 * (*ops as u64 - 1)) / 2;
    if sum != want {
        return Err(format!("{variant} {case}: received {sum}, sent {want}"));
    }
    println!("{}", took as f64 / *ops as f64);
    Ok(())
}

async fn run_variant(variant: &str, case: &str, ops: u64) -> Result<u64, String> {
    let ratio = |ratio: f64| Tracer::new(Sampling::ratio(ratio));
    match (variant, case) {
        ("off" | "probe" | "scrape", "stream") => plain_stream(ops).await,
        ("off" | "probe" | "scrape", "ping") => plain_ping(ops).await,
        ("traced", "stream") => traced_stream(ops, ratio(0.0)).await,
        ("trace 1%", "stream") => traced_stream(ops, ratio(0.01)).await,
        ("traced", "ping") => traced_ping(ops, ratio(0.0)).await,
        ("trace 1%", "ping") => traced_ping(ops, ratio(0.01)).await,
        ("tokio", _) => tokio_pair(case, ops, false, Watch::None).await,
        ("tokio-metrics", _) => tokio_pair(case, ops, true, Watch::None).await,
        ("tokio, counters by hand", _) => tokio_pair(case, ops, false, Watch::counters()).await,
        ("tokio, counters and times by hand", _) => {
            tokio_pair(case, ops, false, Watch::times()).await
        }
        _ => Err(format!("`{variant}` `{case}` names nothing")),
    }
}

type Ends<T> = (Sender<T>, Receiver<T>);

fn named<T: Send + 'static>((tx, rx): Ends<T>, name: &'static str) -> Ends<T> {
    (tx.named(name), rx)
}

const GONE: &str = "the other side stays";

async fn plain_stream(ops: u64) -> Result<u64, String> {
    let (tx, mut rx) = named(bounded::<u64>(PLACES), "orders");
    let done = scope(&Ctx::root(), |s| async move {
        s.spawn("sender", move |_| async move {
            for n in 0..ops {
                tx.send(black_box(n)).await.expect(GONE);
            }
        });
        let receiver = s.spawn("receiver", move |_| async move {
            let mut sum = 0;
            while let Some(n) = rx.recv().await {
                sum += n;
            }
            Ok::<_, towpath::Cause>(sum)
        });
        Ok(receiver.await?)
    });
    done.await.map_err(|error| error.to_string())
}

async fn plain_ping(ops: u64) -> Result<u64, String> {
    let (there, mut questions) = named(rendezvous::<u64>(), "questions");
    let (back, mut answers) = named(rendezvous::<u64>(), "answers");
    let done = scope(&Ctx::root(), |s| async move {
        s.spawn("answering", move |_| async move {
            while let Some(n) = questions.recv().await {
                back.send(n).await.expect(GONE);
            }
        });
        let asking = s.spawn("asking", move |_| async move {
            let mut sum = 0;
            for n in 0..ops {
                there.send(black_box(n)).await.expect(GONE);
                sum += answers.recv().await.expect(GONE);
            }
            Ok::<_, towpath::Cause>(sum)
        });
        Ok(asking.await?)
    });
    done.await.map_err(|error| error.to_string())
}

async fn traced_stream(ops: u64, tracer: Tracer) -> Result<u64, String> {
    let (tx, mut rx) = named(bounded::<Traced<u64>>(PLACES), "orders");
    let done = scope(&Ctx::root(), |s| async move {
        let sending = tracer.clone();
        s.spawn("sender", move |_| async move {
            for n in 0..ops {
                let span = sending.root("send");
                tx.send(span.traced(black_box(n))).await.expect(GONE);
            }
        });
        let receiver = s.spawn("receiver", move |_| async move {
            let mut sum = 0;
            while let Some(message) = rx.recv().await {
                let (_span, n) = tracer.receive("receive", message);
                sum += n;
            }
            Ok::<_, towpath::Cause>(sum)
        });
        Ok(receiver.await?)
    });
    done.await.map_err(|error| error.to_string())
}

async fn traced_ping(ops: u64, tracer: Tracer) -> Result<u64, String> {
    let (there, mut questions) = named(rendezvous::<Traced<u64>>(), "questions");
    let (back, mut answers) = named(rendezvous::<Traced<u64>>(), "answers");
    let done = scope(&Ctx::root(), |s| async move {
        let answering = tracer.clone();
        s.spawn("answering", move |_| async move {
            while let Some(question) = questions.recv().await {
                let (span, n) = answering.receive("answer", question);
                back.send(span.traced(n)).await.expect(GONE);
            }
        });
        let asking = s.spawn("asking", move |_| async move {
            let mut sum = 0;
            for n in 0..ops {
                let span = tracer.root("ask");
                there.send(span.traced(black_box(n))).await.expect(GONE);
                sum += answers.recv().await.expect(GONE).into_inner();
            }
            Ok::<_, towpath::Cause>(sum)
        });
        Ok(asking.await?)
    });
    done.await.map_err(|error| error.to_string())
}

/// What is done by hand around an operation.
#[derive(Clone)]
enum Watch {
    None,
    Counter(Counter),
    Times(Counter, Histogram),
}

impl Watch {
    fn counters() -> Self {
        Self::Counter(Counter::default())
    }

    fn times() -> Self {
        Self::Times(Counter::default(), Histogram::new(exponential_buckets(1e-6, 4.0, 12)))
    }

    async fn around<R>(&self, operation: impl Future<Output = R>) -> R {
        match self {
            Self::None => operation.await,
            Self::Counter(counter) => {
                let result = operation.await;
                counter.inc();
                result
            }
            Self::Times(counter, histogram) => {
                let begun = std::time::Instant::now();
                let result = operation.await;
                histogram.observe(begun.elapsed().as_secs_f64());
                counter.inc();
                result
            }
        }
    }
}

async fn tokio_pair(case: &str, ops: u64, monitored: bool, watch: Watch) -> Result<u64, String> {
    if case == "stream" {
        let (tx, mut rx) = mpsc::channel(PLACES);
        let (sends, receives) = (watch.clone(), watch);
        let sending = async move {
            for n in 0..ops {
                sends.around(tx.send(black_box(n))).await.expect(GONE);
            }
            0
        };
        let receiving = async move {
            let mut sum = 0;
            while let Some(n) = receives.around(rx.recv()).await {
                sum += n;
            }
            sum
        };
        return both(monitored, sending, receiving).await;
    }
    let (there, mut questions) = mpsc::channel(ONE);
    let (back, mut answers) = mpsc::channel(ONE);
    let other = watch.clone();
    let answering = async move {
        while let Some(n) = other.around(questions.recv()).await {
            other.around(back.send(n)).await.expect(GONE);
        }
        0
    };
    let asking = async move {
        let mut sum = 0;
        for n in 0..ops {
            watch.around(there.send(black_box(n))).await.expect(GONE);
            sum += watch.around(answers.recv()).await.expect(GONE);
        }
        sum
    };
    both(monitored, answering, asking).await
}

/// Runs two tasks, and gives what both found.
async fn both(
    monitored: bool,
    one: impl Future<Output = u64> + Send + 'static,
    other: impl Future<Output = u64> + Send + 'static,
) -> Result<u64, String> {
    let (one, other) = if monitored {
        let monitor = tokio_metrics::TaskMonitor::new();
        let tasks =
            (tokio::spawn(monitor.instrument(one)), tokio::spawn(monitor.instrument(other)));
        black_box(monitor.cumulative());
        tasks
    } else {
        (tokio::spawn(one), tokio::spawn(other))
    };
    let failed = |error: tokio::task::JoinError| error.to_string();
    Ok(one.await.map_err(failed)? + other.await.map_err(failed)?)
}
