//! `towpath-bench gateway-core`: calls through the gateway, beside what people build of tokio's channels and of tower's layers.
//!
//! *Closed*: so many callers, each with its next call when it has the answer to the last; the handler answers at once, so what is measured
//! is the way there and back. *Overload*: handlers that take five milliseconds, three times as many calls as were answered at the peak, each
//! given up by its caller after a tenth of a second; what counts is how many are answered in time, and how late.
//!
//! The peers: `mpsc` is a bounded tokio channel of requests with a oneshot for each answer, shared by workers behind a tokio mutex, and
//! refuses when it is full; `tower` is `load_shed`, `buffer` and `concurrency_limit`. All run on one tokio runtime, as many at once
//! and with as much room to wait. The kinds take turns.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use towpath::{Ctx, Scope, scope};
use towpath_patterns::gateway::{Call, Gateway, Patience, Refused};

use crate::histogram::{Histogram, Spread, middle, time};

/// Calls that are worked on at once.
const WORKERS: usize = 32;

/// Room to wait where callers wait for each other: nobody is refused there.
const ROOM: usize = 1024;

/// What a call takes in an overload.
const WORK: Duration = Duration::from_millis(5);

/// After which a caller gives up, in an overload.
const PATIENCE: Duration = Duration::from_millis(100);

/// Times what can be done.
const OVERLOAD: f64 = 3.0;

#[derive(Args)]
pub(crate) struct Options {
    /// A tenth of the time, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
}

/// What a caller is told.
#[derive(PartialEq, Eq)]
enum Told {
    Answer,
    Refused,
}

/// A way to have calls answered.
trait Kind: Clone + Send + Sync + 'static {
    fn start(scope: &Scope, queue: usize, work: Option<Duration>) -> Self;
    fn call(&self, ctx: &Ctx, request: u64) -> impl Future<Output = Told> + Send;
}

async fn work(takes: Option<Duration>) {
    if let Some(takes) = takes {
        tokio::time::sleep(takes).await;
    }
}

/// `FIFO`: first come, first served, whatever happens; else as it is unless something else is said.
#[derive(Clone)]
struct Ours<const FIFO: bool>(Gateway<u64, u64>);

impl<const FIFO: bool> Kind for Ours<FIFO> {
    fn start(scope: &Scope, queue: usize, takes: Option<Duration>) -> Self {
        let patience = (!FIFO).then(Patience::default);
        let options = towpath_patterns::gateway::Options::new(WORKERS)
            .with_queue(queue)
            .with_patience(patience);
        Self(Gateway::start(scope, "gateway", options, move |call: Call<u64, u64>| async move {
            work(takes).await;
            let answer = call.request() + 1;
            call.answer(answer);
        }))
    }

    async fn call(&self, ctx: &Ctx, request: u64) -> Told {
        match self.0.call(ctx, request).await {
            Ok(answer) => {
                assert_eq!(answer, request + 1);
                Told::Answer
            }
            Err(Refused::Overloaded { .. } | Refused::Late) => Told::Refused,
            Err(other) => panic!("{other}"),
        }
    }
}

#[derive(Clone)]
struct Mpsc(tokio::sync::mpsc::Sender<(u64, tokio::sync::oneshot::Sender<u64>)>);

impl Kind for Mpsc {
    fn start(_scope: &Scope, queue: usize, takes: Option<Duration>) -> Self {
        let (tx, rx) = tokio::sync::mpsc::channel(queue);
        let rx = Arc::new(tokio::sync::Mutex::new(rx));
        for _ in 0..WORKERS {
            let rx: Arc<tokio::sync::Mutex<tokio::sync::mpsc::Receiver<_>>> = rx.clone();
            tokio::spawn(async move {
                loop {
                    let next = rx.lock().await.recv().await;
                    let Some((request, reply)) = next else { return };
                    work(takes).await;
                    let reply: tokio::sync::oneshot::Sender<u64> = reply;
                    let _ = reply.send(request + 1);
                }
            });
        }
        Self(tx)
    }

    async fn call(&self, ctx: &Ctx, request: u64) -> Told {
        let (tx, rx) = tokio::sync::oneshot::channel();
        if self.0.try_send((request, tx)).is_err() {
            return Told::Refused;
        }
        let answer = in_time(ctx, rx).await;
        if answer.is_some_and(|answer| answer.is_ok()) { Told::Answer } else { Told::Refused }
    }
}

/// As people write it: a timeout if there is a deadline.
async fn in_time<F: Future>(ctx: &Ctx, future: F) -> Option<F::Output> {
    match ctx.remaining() {
        None => Some(future.await),
        Some(left) => tokio::time::timeout(left, future).await.ok(),
    }
}

type Boxed = tower::util::BoxCloneSyncService<u64, u64, tower::BoxError>;

#[derive(Clone)]
struct Tower(Boxed);

impl Kind for Tower {
    fn start(_scope: &Scope, queue: usize, takes: Option<Duration>) -> Self {
        let service = tower::ServiceBuilder::new()
            .load_shed()
            .buffer(queue)
            .concurrency_limit(WORKERS)
            .service_fn(move |request: u64| async move {
                work(takes).await;
                Ok::<_, std::convert::Infallible>(request + 1)
            });
        Self(Boxed::new(service))
    }

    async fn call(&self, ctx: &Ctx, request: u64) -> Told {
        let answer = in_time(ctx, tower::ServiceExt::oneshot(self.0.clone(), request)).await;
        if answer.is_some_and(|answer| answer.is_ok()) { Told::Answer } else { Told::Refused }
    }
}

/// What one sample says.
struct Figures {
    /// Answers a second, in time.
    answers: f64,
    /// Of the answers.
    time: Spread,
}

type Sample = fn(&tokio::runtime::Runtime, &Job) -> Figures;

/// What to do.
enum Job {
    Closed {
        callers: u64,
        lasts: Duration,
    },
    /// As many callers as workers, and work that takes its time.
    Peak {
        lasts: Duration,
    },
    Overload {
        queue: usize,
        lasts: Duration,
        peak: f64,
    },
}

fn sample<K: Kind>(runtime: &tokio::runtime::Runtime, job: &Job) -> Figures {
    let figures = runtime.block_on(scope(&Ctx::root(), |s| {
        let job = match *job {
            Job::Closed { callers, lasts } => {
                let kind = K::start(&s, ROOM, None);
                tokio::spawn(closed(kind, callers, lasts))
            }
            Job::Peak { lasts } => {
                let kind = K::start(&s, ROOM, Some(WORK));
                tokio::spawn(closed(kind, WORKERS as u64, lasts))
            }
            Job::Overload { queue, lasts, peak } => {
                let kind = K::start(&s, queue, Some(WORK));
                tokio::spawn(overload(kind, lasts, peak))
            }
        };
        async move { Ok(job.await?) }
    }));
    figures.expect("nobody fails")
}

async fn closed<K: Kind>(kind: K, callers: u64, lasts: Duration) -> Figures {
    let begun = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            let kind = kind.clone();
            tokio::spawn(async move {
                let (ctx, mut times) = (Ctx::root(), Histogram::new());
                let mut answers = 0_u64;
                while begun.elapsed() < lasts {
                    let asked = Instant::now();
                    assert!(
                        kind.call(&ctx, answers).await == Told::Answer,
                        "there is room for all"
                    );
                    times.add(asked.elapsed().as_nanos() as u64);
                    answers += 1;
                }
                (answers, times)
            })
        })
        .collect();
    let (mut answers, mut times) = (0, Histogram::new());
    for caller in callers {
        let (its, its_times) = caller.await.expect("a caller calls");
        answers += its;
        times.merge(&its_times);
    }
    let answers = answers as f64 / begun.elapsed().as_secs_f64();
    Figures { answers, time: times.spread() }
}

async fn overload<K: Kind>(kind: K, lasts: Duration, peak: f64) -> Figures {
    /// Calls come in small groups.
    const GROUP: Duration = Duration::from_millis(1);
    let (begun, rate) = (Instant::now(), peak * OVERLOAD);
    let answered = Arc::new(AtomicU64::new(0));
    let (mut callers, mut made) = (tokio::task::JoinSet::new(), 0_u64);
    let mut times = Histogram::new();
    let mut note = |took: Option<u64>| took.into_iter().for_each(|took| times.add(took));
    let mut groups = tokio::time::interval(GROUP);
    while begun.elapsed() < lasts {
        groups.tick().await;
        while (made as f64) < begun.elapsed().as_secs_f64() * rate {
            made += 1;
            let (kind, answered, request) = (kind.clone(), answered.clone(), made);
            callers.spawn(async move {
                let asked = Instant::now();
                let ctx = Ctx::root().with_timeout(PATIENCE);
                let told = kind.call(&ctx, request).await;
                let took = asked.elapsed();
                (told == Told::Answer).then(|| {
                    answered.fetch_add(1, Ordering::Relaxed);
                    took.as_nanos() as u64
                })
            });
        }
        // Those that have ended take no memory.
        while let Some(caller) = callers.try_join_next() {
            note(caller.expect("a caller calls"));
        }
    }
    let answers = answered.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    while let Some(caller) = callers.join_next().await {
        note(caller.expect("a caller calls"));
    }
    Figures { answers, time: times.spread() }
}

/// Calls that may wait, in an overload: as many as are done in a fifth of a second, twice as long as callers wait, and as many as
/// are done in a fiftieth.
const QUEUES: [usize; 2] = [1024, 128];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let lasts = Duration::from_millis(if options.quick { 50 } else { 500 });
    let repeats = if options.quick { 1 } else { options.repeats };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let runtime = runtime.map_err(|error| format!("tokio's runtime: {error}"))?;
    let kinds: [(&str, Sample); 4] = [
        ("towpath", sample::<Ours<false>>),
        ("towpath, fifo", sample::<Ours<true>>),
        ("mpsc + oneshot", sample::<Mpsc>),
        ("tower", sample::<Tower>),
    ];

    println!("| callers | kind | calls/s | to the best peer | p50 | p99 |");
    println!("|---:|---|---:|---:|---:|---:|");
    for callers in [1, 64, 1000] {
        let job = Job::Closed { callers, lasts };
        let taken = interleaved(&runtime, &kinds, repeats, &job);
        let answers: Vec<f64> = taken.iter().map(|it| median(it, |it| it.answers)).collect();
        let best = answers[2].max(answers[3]);
        for (((kind, _), taken), answers) in kinds.iter().zip(&taken).zip(answers) {
            println!(
                "| {callers} | {kind} | {:.0} k | {:.2} | {} | {} |",
                answers / 1e3,
                answers / best,
                time(median(taken, |it| it.time.p50 as f64)),
                time(median(taken, |it| it.time.p99 as f64)),
            );
        }
    }

    println!(
        "\n| queue | kind | peak, answers/s | at {OVERLOAD} times: answers/s | of the peak | p50 | p99 | max |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|");
    for queue in QUEUES {
        // What can be done: as many callers as workers.
        let lasts = lasts * 4;
        let peak = Job::Peak { lasts: lasts / 4 };
        let peaks = interleaved(&runtime, &kinds, 1, &peak);
        // The work is the same, and so is what could be done at best: all are asked for as much.
        let peak = peaks.iter().map(|it| it[0].answers).fold(0.0, f64::max);
        let job = Job::Overload { queue, lasts, peak };
        let taken = interleaved(&runtime, &kinds, repeats.div_ceil(2), &job);
        for ((kind, _), taken) in kinds.iter().zip(&taken) {
            let answers = median(taken, |it| it.answers);
            println!(
                "| {queue} | {kind} | {peak:.0} | {answers:.0} | {:.2} | {} | {} | {} |",
                answers / peak,
                time(median(taken, |it| it.time.p50 as f64)),
                time(median(taken, |it| it.time.p99 as f64)),
                time(median(taken, |it| it.time.max as f64)),
            );
        }
    }
    Ok(())
}

/// So many samples of each kind, one after the other.
fn interleaved(
    runtime: &tokio::runtime::Runtime,
    kinds: &[(&str, Sample)],
    repeats: usize,
    job: &Job,
) -> Vec<Vec<Figures>> {
    let mut taken: Vec<Vec<Figures>> = kinds.iter().map(|_| Vec::new()).collect();
    for _ in 0..repeats {
        for ((_, sample), taken) in kinds.iter().zip(&mut taken) {
            taken.push(sample(runtime, job));
        }
    }
    taken
}

fn median(samples: &[Figures], figure: impl Fn(&Figures) -> f64) -> f64 {
    middle(samples.iter().map(figure))
}
