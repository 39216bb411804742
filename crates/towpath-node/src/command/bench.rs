//! `towpath bench`: a network under a load, and how long messages take to its channels.
//!
//! ```text
//!   load ── HTTP, or into a channel ──▶ the network ──▶ channel ──▶ channel
//!    └ when each was due                                  └ when each was sent there first ┘
//! ```
//!
//! The network runs in this process, by real time, with its journals on the disk; the load has a thread of its own, whose time on a
//! processor is told apart. Percentiles are exact: every message has its moment. Where a message comes to a channel is noted by who sends
//! it there, so measuring it costs its network a look at a key.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use towpath::{Ctx, after, rt, select};
use towpath_patterns::yaml::{Kind, Node as Yaml};

use super::{Exit, Failure, Source, table::Table};
use crate::{
    Node, Setup,
    assemble::plan,
    component::Registry,
    expr::Expr,
    file::NetworkFile,
    real::{
        self,
        load::{self, Load, Marks},
    },
};

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(50);

/// How long it is waited before something is put again into a channel that is full.
const AGAIN: Duration = Duration::from_millis(1);

#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// A channel, the field of its messages that has the key, and perhaps an expression for those that count:
    /// `matches:ride`, `events:key:it.to == 'Paid'`. The last one is waited for.
    #[arg(long = "to", value_name = "CHANNEL:FIELD[:WHEN]", required = true, value_parser = to)]
    to: Vec<To>,
    /// What is sent: an expression of `it.n`, which is 0, 1, 2 and so on.
    #[arg(long, value_name = "EXPRESSION", required_unless_present = "send")]
    message: Option<String>,
    /// What is sent: a file with a message a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["message", "requests"])]
    send: Option<PathBuf>,
    /// How many messages.
    #[arg(long, default_value_t = 10_000)]
    requests: u32,
    /// The field by which a message is known.
    #[arg(long, value_name = "FIELD", default_value = "id")]
    key: String,
    /// Messages a second; unless said as many as are answered.
    #[arg(long, value_parser = rate)]
    rate: Option<f64>,
    /// Connections, each of which waits for its answer before it asks again.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Messages in a request.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    batch: u16,
    /// Puts them into a channel, and not in by HTTP.
    #[arg(long, value_name = "CHANNEL")]
    into: Option<String>,
    /// What is put into a channel before: so many messages, each an expression of `it.n`.
    #[arg(long, value_name = "CHANNEL=COUNT=EXPRESSION", value_parser = first)]
    first: Vec<First>,
    /// How long the network runs before the load begins, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    warm: u64,
    /// How long nothing may come before the rest is given up, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    patience: u64,
    /// An empty directory on the disk that is measured, in place of one that is removed afterwards.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone)]
struct To {
    text: String,
    channel: String,
    field: String,
    when: Option<Arc<Expr>>,
}

fn to(text: &str) -> Result<To, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(channel), Some(field)) = (parts.next(), parts.next()) else {
        return Err("write it as CHANNEL:FIELD".to_owned());
    };
    let when = parts.next().map(Expr::compile).transpose().map_err(|error| error.to_string())?;
    let (channel, field) = (channel.to_owned(), field.to_owned());
    Ok(To { text: text.to_owned(), channel, field, when: when.map(Arc::new) })
}

#[derive(Clone)]
struct First {
    channel: String,
    count: u32,
    message: Arc<Expr>,
}

fn first(text: &str) -> Result<First, String> {
    let mut parts = text.splitn(3, '=');
    let (Some(channel), Some(count), Some(message)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("write it as CHANNEL=COUNT=EXPRESSION".to_owned());
    };
    let count = count.parse().map_err(|_| format!("`{count}` is no number of messages"))?;
    let message = Expr::compile(message).map_err(|error| error.to_string())?;
    Ok(First { channel: channel.to_owned(), count, message: Arc::new(message) })
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1e7).contains(rate));
    rate.ok_or_else(|| "a number of messages a second".to_owned())
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let file = options.source.read()?;
    plan(&file, registry)?;
    let messages = messages(options)?;
    let place = Place::new(options.data.clone())?;
    let registry = registry.clone();
    let measured = real::block_on(async move {
        let setup = Setup::new(place.path());
        let (node, work) = Node::start(file.clone(), registry, &setup, &Ctx::root())?;
        let mut work = pin!(work.run());
        let mut signals = real::Signals::new()?;
        select! { biased;
            ended = select::future(work.as_mut()) => {
                ended?;
                Err::<_, Failure>("the network has ended before everything was measured".into())
            }
            _ = select::future(signals.next()) => Err(Exit::not("stopped".to_owned()).into()),
            measured = select::future(measure(options, &node, messages)) => measured,
        }
        // What is still under way goes with the directory.
    })??;
    if options.json {
        println!("{}", measured.as_json());
    } else {
        measured.tell();
    }
    match measured.is_whole() {
        true => Ok(()),
        false => Err("not everything has arrived".into()),
    }
}

/// A message that is sent: what it is known by, and itself as JSON.
type Sent = (String, Box<str>);

fn messages(options: &Options) -> Result<Vec<Sent>, Failure> {
    let keyed = |message: Value| {
        let key = message.get(&options.key).and_then(key_text);
        let key = key.ok_or_else(|| {
            format!("a message has no field `{}`, a word or a number: {message}", options.key)
        })?;
        Ok((key, message.to_string().into()))
    };
    if let Some(path) = &options.send {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        return lines.map(|line| keyed(serde_json::from_str(line)?)).collect();
    }
    let message = Expr::compile(options.message.as_deref().unwrap_or_default())?;
    (0..options.requests).map(|n| keyed(message.value(&json!({"n": n}))?)).collect()
}

fn key_text(key: &Value) -> Option<String> {
    match key {
        Value::String(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The directory of a run.
enum Place {
    Own(PathBuf),
    Given(PathBuf),
}

impl Place {
    fn new(given: Option<PathBuf>) -> Result<Self, Failure> {
        let place = match given {
            Some(path) => Self::Given(path),
            None => Self::Own(
                std::env::temp_dir().join(format!("towpath-bench-{}", std::process::id())),
            ),
        };
        fs::create_dir_all(place.path())?;
        if fs::read_dir(place.path())?.next().is_some() {
            let path = place.path();
            let path = path.display();
            return Err(format!("{path} is not empty: what it holds would be measured too").into());
        }
        Ok(place)
    }

    fn path(&self) -> PathBuf {
        let (Self::Own(path) | Self::Given(path)) = self;
        path.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Own(path) = self {
            // What cannot be removed is in the directory for such things.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Where messages come to.
struct Goal {
    text: String,
    marks: Marks,
    arrived: AtomicU32,
}

async fn measure(options: &Options, node: &Node, messages: Vec<Sent>) -> Result<Measured, Failure> {
    for First { channel, count, message } in &options.first {
        for n in 0..*count {
            put(node, channel, &message.value(&json!({"n": n}))?).await?;
        }
    }
    rt::sleep(Duration::from_secs(options.warm)).await;
    let count = messages.len();
    let (keys, messages): (Vec<String>, Vec<Box<str>>) = messages.into_iter().unzip();
    let numbers: HashMap<String, usize> =
        keys.into_iter().enumerate().map(|(number, key)| (key, number)).collect();
    if numbers.len() < count {
        return Err(
            "two messages have the same key: then nobody knows which of them arrives".into()
        );
    }
    let numbers = Arc::new(numbers);
    let (address, path, token) = match options.into {
        None => intake(&node.file())?,
        Some(_) => (([0, 0, 0, 0], 0).into(), String::new(), None),
    };
    let goals: Vec<Arc<Goal>> =
        options.to.iter().map(|to| Arc::new(Goal::new(to, count))).collect();
    let (before, cpu_before) = (load::memory()?, load::process_cpu());
    let start = rt::now();
    for (to, goal) in options.to.iter().zip(&goals) {
        let (goal, numbers, to_see) = (goal.clone(), numbers.clone(), to.clone());
        node.look(&to.channel, move |message| {
            if to_see.when.as_ref().is_some_and(|when| !when.test(message).unwrap_or(false)) {
                return;
            }
            let key = message.get(&to_see.field).and_then(key_text);
            if let Some(number) = key.and_then(|key| numbers.get(&key))
                && goal.marks.mark(*number, start.elapsed())
            {
                goal.arrived.fetch_add(1, Relaxed);
            }
        })?;
    }
    let load = Arc::new(Load {
        address,
        path,
        token,
        messages,
        connections: options.connections.into(),
        batch: options.batch.into(),
        rate: options.rate,
        start,
        next: AtomicU32::new(0),
        sent: Marks::new(count),
        answered: Marks::new(count),
        refused: AtomicU32::new(0),
    });
    let sending = match &options.into {
        None => Some(load::start(load.clone())),
        Some(channel) => {
            let (load, node, channel) = (load.clone(), node.clone(), channel.clone());
            drop(rt::spawn(async move { put_all(&node, &channel, &load).await }));
            None
        }
    };
    let most = wait(options, &load, &goals).await?;
    let load_cpu = match sending {
        Some(thread) if thread.is_finished() => {
            thread.join().map_err(|_| "the load has failed")??
        }
        // Given up: it is stuck with what it waits for.
        _ => Duration::ZERO,
    };
    let cpu = load::process_cpu().saturating_sub(cpu_before).saturating_sub(load_cpu);
    let after = load::memory()?;
    let goals = goals.iter().map(|goal| Figures::of(&goal.text, &load, &goal.marks));
    Ok(Measured {
        network: node.file().name.text.clone(),
        messages: count,
        refused: load.refused.load(Relaxed) as usize,
        took: start.elapsed(),
        taken: options.into.is_none().then(|| Figures::of("answered", &load, &load.answered)),
        goals: goals.collect(),
        cpu,
        load_cpu,
        memory: [before.0, most.max(after.0), after.0],
    })
}

/// Until everything has arrived, or nothing comes any more; the most memory that was seen.
async fn wait(options: &Options, load: &Load, goals: &[Arc<Goal>]) -> Result<u64, Failure> {
    let count = load.messages.len();
    let bar = ProgressBar::new(count as u64).with_style(ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {pos}/{len} {msg}",
    )?);
    let last = goals.last().map_or("", |goal| &goal.text);
    bar.set_message(last.to_owned());
    let patience = Duration::from_secs(options.patience);
    let (mut seen, mut since, mut most) = (0, rt::now(), 0);
    loop {
        after(LOOK).await;
        most = most.max(load::memory()?.0);
        let arrived: usize = goals.iter().map(|goal| goal.arrived.load(Relaxed) as usize).sum();
        let refused = load.refused.load(Relaxed) as usize;
        let last = goals.last().map_or(0, |goal| goal.arrived.load(Relaxed) as usize);
        bar.set_position((last + refused) as u64);
        let sent = load.next.load(Relaxed) as usize;
        if last + refused >= count || (seen == arrived + sent && since.elapsed() > patience) {
            bar.finish_and_clear();
            return Ok(most);
        }
        if seen != arrived + sent {
            (seen, since) = (arrived + sent, rt::now());
        }
    }
}

/// Puts a message into a channel, when there is room.
async fn put(node: &Node, channel: &str, message: &Value) -> Result<(), Failure> {
    let room = |node: &Node| {
        let state = node.state();
        state.channels.iter().find(|it| it.name == channel).map(|it| it.length)
    };
    loop {
        match node.inject(channel, message.clone()) {
            Ok(()) => return Ok(()),
            Err(why) if room(node).is_none() => return Err(why.to_string().into()),
            Err(_) => after(AGAIN).await,
        }
    }
}

async fn put_all(node: &Node, channel: &str, load: &Load) -> Result<(), Failure> {
    for (number, message) in load.messages.iter().enumerate() {
        let mut now = load.start.elapsed();
        if let Some(rate) = load.rate {
            now = Duration::from_secs_f64(number as f64 / rate);
            towpath::at(load.start + now).await;
        }
        load.sent.mark(number, now);
        load.next.fetch_add(1, Relaxed);
        put(node, channel, &serde_json::from_str(message)?).await?;
    }
    Ok(())
}

impl Goal {
    fn new(to: &To, count: usize) -> Self {
        Self { text: to.text.clone(), marks: Marks::new(count), arrived: AtomicU32::new(0) }
    }
}

/// Where the network takes messages in by HTTP.
fn intake(file: &NetworkFile) -> Result<(std::net::SocketAddr, String, Option<String>), Failure> {
    let process = file.processes.iter().find(|process| process.uses.text == "http");
    let process =
        process.ok_or("the network has no process that uses `http`: say --into CHANNEL")?;
    let option = |name: &str| word(&process.options, name);
    let listen = option("listen").ok_or("its `http` does not say where it listens")?;
    let address = listen.parse().map_err(|_| format!("`{listen}` is no address and port"))?;
    Ok((address, option("path").unwrap_or_else(|| "/".to_owned()), option("token")))
}

fn word(options: &Yaml, name: &str) -> Option<String> {
    let Kind::Mapping(entries) = &options.kind else { return None };
    entries.iter().find_map(|(key, value)| match &value.kind {
        Kind::Scalar(text, _) if key.text == name => Some(text.clone()),
        _ => None,
    })
}

/// What a run has shown.
struct Measured {
    network: String,
    messages: usize,
    refused: usize,
    took: Duration,
    taken: Option<Figures>,
    goals: Vec<Figures>,
    cpu: Duration,
    load_cpu: Duration,
    /// Bytes: before the load, the most, and at the end.
    memory: [u64; 3],
}

/// Of one way: how many have come, how many a second, and how long they took, in microseconds.
struct Figures {
    what: String,
    count: usize,
    per_second: f64,
    percentiles: [u32; 4],
}

const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)];

impl Figures {
    fn of(what: &str, load: &Load, marks: &Marks) -> Self {
        let ends: Vec<(u32, u32)> = (0..load.messages.len())
            .filter_map(|number| Some((load.sent.at(number)?, marks.at(number)?)))
            .collect();
        let last = ends.iter().map(|(_, end)| *end).max().unwrap_or(0);
        let mut took: Vec<u32> = ends.iter().map(|(sent, end)| end.saturating_sub(*sent)).collect();
        took.sort_unstable();
        // The least that is no less than such a part of all.
        let at = |part: f64| (took.len() as f64 * part).ceil() as usize;
        let percentiles =
            PERCENTILES.map(|(_, part)| took.get(at(part).saturating_sub(1)).copied().unwrap_or(0));
        let per_second = if last == 0 { 0.0 } else { took.len() as f64 * 1e6 / f64::from(last) };
        Self { what: what.to_owned(), count: took.len(), per_second, percentiles }
    }

    fn as_json(&self) -> Value {
        let mut told = json!({"to": self.what, "count": self.count, "per_second": self.per_second});
        for ((name, _), micros) in PERCENTILES.iter().zip(self.percentiles) {
            told[format!("{name}_us")] = micros.into();
        }
        told
    }
}

impl Measured {
    fn is_whole(&self) -> bool {
        self.refused == 0 && self.goals.last().is_none_or(|goal| goal.count == self.messages)
    }

    fn per_message(&self) -> Duration {
        self.cpu / u32::try_from(self.messages.max(1)).unwrap_or(u32::MAX)
    }

    fn as_json(&self) -> Value {
        let [before, most, after] = self.memory;
        json!({
            "network": self.network,
            "messages": self.messages,
            "refused": self.refused,
            "seconds": self.took.as_secs_f64(),
            "answered": self.taken.as_ref().map(Figures::as_json),
            "to": self.goals.iter().map(Figures::as_json).collect::<Vec<_>>(),
            "cpu_seconds": self.cpu.as_secs_f64(),
            "cpu_us_per_message": self.per_message().as_secs_f64() * 1e6,
            "load_cpu_seconds": self.load_cpu.as_secs_f64(),
            "memory_bytes": {"before": before, "most": most, "after": after},
        })
    }

    fn tell(&self) {
        println!("{}: {} messages in {:.1?}", self.network, self.messages, self.took);
        if self.refused > 0 {
            println!("{} were not taken", self.refused);
        }
        let mut table =
            Table::new(&["to", ">messages", ">a second", ">p50", ">p90", ">p99", ">max"]);
        for figures in self.taken.iter().chain(&self.goals) {
            let mut row = vec![
                figures.what.clone(),
                figures.count.to_string(),
                format!("{:.0}", figures.per_second),
            ];
            row.extend(
                figures
                    .percentiles
                    .map(|micros| format!("{:.1?}", Duration::from_micros(micros.into()))),
            );
            table.row(row);
        }
        table.print();
        let mb = self.memory.map(|bytes| bytes / 1_000_000);
        println!(
            "CPU: {:.2?} ({:.1?} a message), and {:.2?} for the load; memory: {} MB before, {} MB at most, {} MB after",
            self.cpu,
            self.per_message(),
            self.load_cpu,
            mb[0],
            mb[1],
            mb[2]
        );
    }
}
