//! `towpath-bench bus`: one publisher, three subscribers, beside tokio's broadcast channel and, if asked for, NATS and etcd.
//!
//! Three kinds of work. *Paced*: 10,000 events a second, each stamped just before it is published; how old is it when it is heard,
//! and how much memory does it take. Most of that is waking a worker that sleeps; *tasks* is the same without it, with publisher
//! and subscribers on one worker, ten events a millisecond. *Ceiling*: as fast as the publisher can; how many are published,
//! how many are heard. The payload is 64 bytes with the stamp in it.
//!
//! Each sample is a process of its own, and the libraries take turns. In-process buses run three tasks on a tokio runtime with
//! two workers, and a thread that publishes. The servers run on this machine and are spoken to over loopback by a client that
//! writes the protocol itself and does nothing else; their memory is the server's.

mod etcd;
mod memory;
mod nats;
mod server;

use std::process::Command;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::histogram::{Histogram, Spread, middle};

/// Listeners, as in the goal: 10,000 events/s to 3 subscribers.
const SUBSCRIBERS: usize = 3;

/// Events a second when paced.
const RATE: u64 = 10_000;

/// What etcd is offered: each put is written to the disk, and it does not reach 10,000.
const RATE_ETCD: u64 = 500;

/// A subscriber that is behind by more is slow: what tokio's users take, and a tenth of a second at 10,000/s.
const CAPACITY: usize = 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// A hundredth of the work, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Measures the servers too: Debian's `nats-server` and `etcd-server`, where they are installed.
    #[arg(long)]
    servers: bool,
    /// Takes one sample in this process and prints it as JSON.
    #[arg(long, hide = true, requires = "work")]
    sample: Option<Subject>,
    /// What the sample does.
    #[arg(long, hide = true)]
    work: Option<Work>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// `publish`, subscribers lose by `DropOldest`.
    Towpath,
    /// `publish_all`, subscribers say `Block`.
    TowpathBlock,
    /// `tokio::sync::broadcast`.
    TokioBroadcast,
    /// nats-server.
    Nats,
    /// etcd's watch.
    Etcd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// So many a second.
    Paced,
    /// The same, on one worker.
    Tasks,
    /// As fast as it goes.
    Ceiling,
}

/// What a sample says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Figures {
    published: u64,
    heard: u64,
    lost: u64,
    seconds: f64,
    /// From just before publishing to having heard.
    age: Spread,
    /// Resident bytes that came with the bus; of a server: all it has.
    memory: u64,
}

/// 64 bytes, as large as a position of a car with its names.
#[derive(Clone, Copy)]
struct Event {
    stamp: u64,
    _body: [u64; 7],
}

/// What a subscriber hears.
enum News {
    Event(u64),
    Lost(u64),
    End,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    if let (Some(subject), Some(work)) = (options.sample, options.work) {
        let figures = sample(subject, work, options.quick)?;
        println!("{}", serde_json::to_string(&figures).map_err(|error| error.to_string())?);
        return Ok(());
    }
    let mut subjects = vec![Subject::Towpath, Subject::TowpathBlock, Subject::TokioBroadcast];
    if options.servers {
        subjects.extend([Subject::Nats, Subject::Etcd]);
    }
    let repeats = if options.quick { 1 } else { options.repeats };
    println!("| work | bus | events/s | heard/s | lost | p50 | p99 | max | memory |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for work in [Work::Paced, Work::Tasks, Work::Ceiling] {
        let subjects: Vec<_> = subjects.iter().copied().filter(|it| does(*it, work)).collect();
        let mut taken: Vec<Vec<Figures>> = vec![Vec::new(); subjects.len()];
        for _ in 0..repeats {
            for (subject, taken) in subjects.iter().zip(&mut taken) {
                match child(*subject, work, options.quick) {
                    Ok(figures) => taken.push(figures),
                    Err(why) => eprintln!("{}: {why}", name(subject)),
                }
            }
        }
        for (subject, taken) in subjects.iter().zip(taken) {
            if !taken.is_empty() {
                println!("{}", row(*subject, work, taken));
            }
        }
    }
    Ok(())
}

/// A server has no part in our worker, and who waits for room must not do so on the only one.
fn does(subject: Subject, work: Work) -> bool {
    work != Work::Tasks || matches!(subject, Subject::Towpath | Subject::TokioBroadcast)
}

fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// One sample, in a process of its own.
fn child(subject: Subject, work: Work, quick: bool) -> Result<Figures, String> {
    let exe = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(exe);
    command.args(["bus", "--sample", &name(&subject), "--work", &name(&work)]);
    if quick {
        command.arg("--quick");
    }
    let output = command.output().map_err(|error| format!("did not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// Medians, each figure by itself.
fn row(subject: Subject, work: Work, samples: Vec<Figures>) -> String {
    let median = |figure: &dyn Fn(&Figures) -> f64| middle(samples.iter().map(figure));
    let time = |ns: f64| {
        if ns < 1e6 { format!("{:.1} us", ns / 1e3) } else { format!("{:.1} ms", ns / 1e6) }
    };
    format!(
        "| {} | {} | {:.0} | {:.0} | {:.1} % | {} | {} | {} | {:.2} MB |",
        name(&work),
        name(&subject),
        median(&|it| it.published as f64 / it.seconds),
        median(&|it| it.heard as f64 / it.seconds),
        median(&|it| 100.0 * it.lost as f64 / (it.lost + it.heard).max(1) as f64),
        time(median(&|it| it.age.p50 as f64)),
        time(median(&|it| it.age.p99 as f64)),
        time(median(&|it| it.age.max as f64)),
        median(&|it| it.memory as f64) / 1e6,
    )
}

/// How many events a sample has.
fn events(subject: Subject, work: Work, quick: bool) -> u64 {
    let events = match (subject, work) {
        (Subject::Etcd, Work::Paced) => 2 * RATE_ETCD,
        (Subject::Etcd, Work::Ceiling) => 2_000,
        (_, Work::Paced | Work::Tasks) => 2 * RATE,
        (Subject::Nats, Work::Ceiling) => 500_000,
        (_, Work::Ceiling) => 2_000_000,
    };
    if quick { events / 100 } else { events }
}

fn sample(subject: Subject, work: Work, quick: bool) -> Result<Figures, String> {
    let events = events(subject, work, quick);
    match subject {
        Subject::Towpath => in_process::<ours::Lossy>(work, events),
        Subject::TowpathBlock => in_process::<ours::Waiting>(work, events),
        Subject::TokioBroadcast => in_process::<Broadcast>(work, events),
        Subject::Nats => nats::sample(work, events),
        Subject::Etcd => etcd::sample(work, events),
    }
}

/// A bus in this process.
trait Local: Send + Sync + 'static {
    type Subscriber: Send + 'static;
    fn new() -> Self;
    fn subscribe(&self) -> Self::Subscriber;
    fn publish(&self, event: Event);
    fn next(subscriber: &mut Self::Subscriber) -> impl Future<Output = News> + Send;
}

/// Nanoseconds since some moment of this process.
fn now(start: Instant) -> u64 {
    start.elapsed().as_nanos() as u64
}

/// Calls `publish` at the pace of the work; says how long it took.
fn at_pace(
    work: Work,
    rate: u64,
    events: u64,
    start: Instant,
    mut publish: impl FnMut(u64),
) -> f64 {
    let begun = Instant::now();
    for number in 0..events {
        if work == Work::Paced {
            let due = Duration::from_nanos(number * 1_000_000_000 / rate);
            if let Some(early) = due.checked_sub(begun.elapsed()) {
                std::thread::sleep(early);
            }
        }
        publish(now(start));
    }
    begun.elapsed().as_secs_f64()
}

fn in_process<B: Local>(work: Work, events: u64) -> Result<Figures, String> {
    use tokio::runtime::Builder;
    let mut builder = match work {
        Work::Tasks => Builder::new_current_thread(),
        Work::Paced | Work::Ceiling => Builder::new_multi_thread(),
    };
    let runtime =
        builder.worker_threads(2).enable_time().build().map_err(|error| error.to_string())?;
    // The threads are there and have run before memory is looked at.
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
    let start = Instant::now();
    let mut ages: Vec<_> = (0..=SUBSCRIBERS).map(|_| Histogram::new()).collect();
    let mut total = ages.remove(0);
    let before = memory::resident(std::process::id());
    let bus = B::new();
    let subscribers: Vec<_> = ages
        .into_iter()
        .map(|ages| runtime.spawn(hear::<B>(bus.subscribe(), ages, start)))
        .collect();
    let (seconds, after) = if work == Work::Tasks {
        runtime
            .block_on(runtime.spawn(by_the_millisecond(bus, events, start)))
            .map_err(|error| error.to_string())?
    } else {
        let publishing = std::thread::spawn(move || {
            let publish = |stamp| bus.publish(Event { stamp, _body: [0; 7] });
            let seconds = at_pace(work, RATE, events, start, publish);
            (seconds, memory::resident(std::process::id()))
        });
        publishing.join().map_err(|_| "the publisher has panicked")?
    };
    let (mut heard, mut lost) = (0, 0);
    for subscriber in subscribers {
        let (ages, its, missed) =
            runtime.block_on(subscriber).map_err(|error| error.to_string())?;
        if its + missed != events {
            return Err(format!("of {events} events one heard {its} and lost {missed}"));
        }
        total.merge(&ages);
        heard += its;
        lost += missed;
    }
    let memory = after.saturating_sub(before);
    Ok(Figures { published: events, heard, lost, seconds, age: total.spread(), memory })
}

/// Hears everything; the ages, how many, and how many were lost.
async fn hear<B: Local>(
    mut subscriber: B::Subscriber,
    mut ages: Histogram,
    start: Instant,
) -> (Histogram, u64, u64) {
    let (mut heard, mut lost) = (0, 0);
    loop {
        match B::next(&mut subscriber).await {
            News::Event(stamp) => {
                ages.add(now(start).saturating_sub(stamp));
                heard += 1;
            }
            News::Lost(count) => lost += count,
            News::End => return (ages, heard, lost),
        }
    }
}

/// Publishes as a task, a thousandth of a second's events at each tick; the seconds it took, and the memory then.
async fn by_the_millisecond<B: Local>(bus: B, events: u64, start: Instant) -> (f64, u64) {
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut left = events;
    while left > 0 {
        ticks.tick().await;
        let now_due = left.min(RATE / 1000);
        for _ in 0..now_due {
            bus.publish(Event { stamp: now(start), _body: [0; 7] });
        }
        left -= now_due;
    }
    (begun.elapsed().as_secs_f64(), memory::resident(std::process::id()))
}

mod ours {
    use towpath_patterns::bus::{Bus, Heard, Publisher, Subscriber, WhenFull};

    use super::{CAPACITY, Event, Local, News};

    pub(super) struct Lossy(Bus<Event>, Publisher<Event>);
    pub(super) struct Waiting(Bus<Event>, Publisher<Event>);

    async fn next(subscriber: &mut Subscriber<Event>) -> News {
        match subscriber.recv().await {
            Some(Heard::Message(message)) => News::Event(message.value.stamp),
            Some(Heard::Lagged(lost)) => News::Lost(lost),
            None => News::End,
        }
    }

    fn subscribe(bus: &Bus<Event>, rule: WhenFull) -> Subscriber<Event> {
        let subscribing = bus.subscribe("cars.*.position").capacity(CAPACITY).when_full(rule);
        subscribing.open().expect("the pattern is right")
    }

    fn both() -> (Bus<Event>, Publisher<Event>) {
        let bus = Bus::new();
        let publisher = bus.publisher("cars.42.position").expect("the topic is right");
        (bus, publisher)
    }

    impl Local for Lossy {
        type Subscriber = Subscriber<Event>;
        fn new() -> Self {
            let (bus, publisher) = both();
            Self(bus, publisher)
        }
        fn subscribe(&self) -> Subscriber<Event> {
            subscribe(&self.0, WhenFull::DropOldest)
        }
        fn publish(&self, event: Event) {
            let _ = self.1.publish(event);
        }
        async fn next(subscriber: &mut Subscriber<Event>) -> News {
            next(subscriber).await
        }
    }

    impl Local for Waiting {
        type Subscriber = Subscriber<Event>;
        fn new() -> Self {
            let (bus, publisher) = both();
            Self(bus, publisher)
        }
        fn subscribe(&self) -> Subscriber<Event> {
            subscribe(&self.0, WhenFull::Block)
        }
        fn publish(&self, event: Event) {
            let _ = self.1.publish_all_blocking(event);
        }
        async fn next(subscriber: &mut Subscriber<Event>) -> News {
            next(subscriber).await
        }
    }
}

struct Broadcast(tokio::sync::broadcast::Sender<Event>);

impl Local for Broadcast {
    type Subscriber = tokio::sync::broadcast::Receiver<Event>;
    fn new() -> Self {
        Self(tokio::sync::broadcast::channel(CAPACITY).0)
    }
    fn subscribe(&self) -> Self::Subscriber {
        self.0.subscribe()
    }
    fn publish(&self, event: Event) {
        let _ = self.0.send(event);
    }
    async fn next(subscriber: &mut Self::Subscriber) -> News {
        use tokio::sync::broadcast::error::RecvError;
        match subscriber.recv().await {
            Ok(event) => News::Event(event.stamp),
            Err(RecvError::Lagged(lost)) => News::Lost(lost),
            Err(RecvError::Closed) => News::End,
        }
    }
}
