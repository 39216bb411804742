//! `towpath-bench machine`: transitions per second, what an idle instance takes, and how long recovery does.
//!
//! Each line is one measurement in this process; memory is what the system says is resident, so it is measured first, before anything
//! else has grown. The machine is the one that ships, `machine::order`, whose instances have a price, a payment, a parcel and a timeout.
//!
//! The journalled lines send through a channel to a thread with a journal on a real disk, one sync for each batch, and everything that
//! is decided comes out again and is confirmed; the disk's share is in the line of the bare journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use towpath::{BoxError, Ctx, Receiver, scope};
use towpath_journal::{Entry, Lsn, Writer};
use towpath_patterns::machine::keyed::{Applied, Input, Output, Store};
use towpath_patterns::machine::order::{Data, Event, Order, YAML};
use towpath_patterns::machine::{Keyed, Machine, Table, Verdict};

/// Events that may wait for the process, and outputs that may wait for their reader: some batches.
const MAILBOX: usize = 16_384;

/// Runs all of it. `dir` holds the journals and is left empty.
pub(crate) fn run(dir: Option<&Path>, quick: bool) -> Result<(), String> {
    let keys: u64 = if quick { 1_000 } else { 1_000_000 };
    let dir = dir.map_or_else(std::env::temp_dir, Path::to_owned);
    println!("| what | by the clock | per second of a processor | |\n|---|---|---|---|");
    let bytes = idle(keys);
    println!("| idle instance, {keys} of them | {bytes} bytes | | |");
    let orders = Order;
    let rate = one_key(&orders, keys);
    println!("| one instance, the macro's `match` | {rate} | |");
    let table = Table::from_yaml("order", YAML).map_err(|error| error.to_string())?;
    let bound = Order::bindings().bind(table).map_err(|error| error.to_string())?;
    println!("| one instance, a table from YAML | {} | |", one_key(&bound, keys));
    println!("| 1 key in a store | {} | |", in_store(1, keys));
    println!("| {keys} keys in a store | {} | |", in_store(keys, keys));
    let of_process = towpath::block_on(process(keys)).map_err(|error| error.to_string())?;
    println!("| {keys} keys, process with mailbox and outputs | {of_process} | |");
    let bare = Journal::new(&dir).and_then(|journal| bare_journal(&journal, 3 * keys));
    println!("| bare journal, one append for each event, 4,096 to a sync | {} | |", text(bare)?);
    let journal = Journal::new(&dir).map_err(|error| error.to_string())?;
    println!(
        "| {keys} keys, journalled, decisions confirmed | {} | |",
        text(journalled(&journal, keys))?
    );
    println!("| recovery by replay | {} |", text(recovery(&journal))?);
    let snapshot = text(snapshot(&journal))?;
    println!("| snapshot of {keys} instances | {snapshot} | |");
    println!("| recovery by snapshot | {} |", text(recovery(&journal))?);
    Ok(())
}

fn text(result: Result<String, BoxError>) -> Result<String, String> {
    result.map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })
}

/// When something began: by the clock, and by what this process has used of the processors.
struct Began {
    at: Instant,
    cpu: Duration,
}

impl Began {
    fn now() -> Self {
        Self { at: Instant::now(), cpu: cpu() }
    }

    /// So many since then, per second.
    fn per_second(&self, count: u64, what: &str) -> String {
        let rate = |took: Duration| count as f64 / took.as_secs_f64().max(1e-9) / 1e6;
        let (by_clock, by_cpu) = (rate(self.at.elapsed()), rate(cpu().saturating_sub(self.cpu)));
        format!("{by_clock:.2} M {what}/s | {by_cpu:.2} M")
    }

    fn seconds(&self) -> String {
        let cpu = cpu().saturating_sub(self.cpu);
        format!("{:.2} s | {:.2} s", self.at.elapsed().as_secs_f64(), cpu.as_secs_f64())
    }
}

/// What all threads of this process have used of the processors. Where others keep the machine busy, that says more than the clock.
fn cpu() -> Duration {
    /// Ticks of the kernel's accounts in a second, on every Linux that we know.
    const TICKS: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything; user and system time are the 14th and 15th field.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

const TRANSITIONS: &str = "transitions";

const START: SystemTime = SystemTime::UNIX_EPOCH;

/// What becomes of every order here: three handled events, two of which decide something.
fn life(key: u64) -> [Event; 3] {
    [Event::Create { price_cents: 100 }, Event::Pay { cents: 100 + key % 2 }, Event::Confirm]
}

fn idle(keys: u64) -> u64 {
    let resident = || {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096_u64
    };
    let before = resident();
    let mut store: Store<u64, Order> = Store::new(Order);
    for key in 0..keys {
        store.apply(&key, None, &Event::Create { price_cents: 100 }, START);
    }
    let after = resident();
    assert_eq!(store.len() as u64, keys, "each key has its instance");
    after.saturating_sub(before) / keys
}

/// A machine alone: the same instance lives again and again.
fn one_key<M>(machine: &M, rounds: u64) -> String
where
    M: Machine<Event = Event, Data = Data>,
{
    let mut out = Vec::new();
    let mut confirmed = 0;
    let began = Began::now();
    for round in 0..rounds {
        let (mut state, mut data) = (machine.table().initial(), Data::default());
        for event in &life(round) {
            out.clear();
            if let Verdict::Go(to) =
                machine.decide(state, &mut data, std::hint::black_box(event), START, &mut out)
            {
                state = to;
            }
        }
        confirmed += u64::from(std::hint::black_box(state).0 == 2);
    }
    assert_eq!(confirmed, rounds, "each is confirmed");
    began.per_second(3 * rounds, TRANSITIONS)
}

/// Look-up, decision and timeout, without channels.
fn in_store(keys: u64, rounds: u64) -> String {
    let mut store: Store<u64, Order> = Store::new(Order);
    let mut handled = 0;
    let began = Began::now();
    if keys == 1 {
        store.apply(&0, None, &Event::Create { price_cents: 100 }, START);
        store.apply(&0, None, &Event::Pay { cents: 100 }, START);
        for _ in 0..3 * rounds {
            let applied =
                store.apply(&0, None, std::hint::black_box(&Event::Pay { cents: 1 }), START);
            handled += u64::from(matches!(applied, Applied::Moved { .. }));
        }
    } else {
        for step in 0..3 {
            for index in 0..keys {
                let key = scattered(index, keys);
                let applied = store.apply(&key, None, &life(key)[step], START);
                handled += u64::from(matches!(applied, Applied::Moved { .. }));
            }
        }
    }
    assert_eq!(handled, 3 * rounds, "everything is handled");
    began.per_second(handled, TRANSITIONS)
}

/// Keys in an order that no cache can guess; each once.
fn scattered(index: u64, keys: u64) -> u64 {
    // 7,919 is prime and divides none of the numbers of keys here.
    index * 7_919 % keys
}

/// Sends the lives of all keys, step by step.
async fn send(keys: u64, mailbox: towpath::Sender<Input<u64, Event>>) {
    for step in 0..3 {
        let inputs = (0..keys).map(|index| {
            let key = scattered(index, keys);
            let [create, pay, confirm] = life(key);
            Input::from((
                key,
                [create, pay, confirm].into_iter().nth(step).unwrap_or(Event::Confirm),
            ))
        });
        if mailbox.send_all(inputs).await.is_err() {
            return;
        }
    }
}

/// How many outputs decide something.
async fn count(mut told: Receiver<Output<u64, Order>>, mut seen: impl FnMut(Lsn)) -> u64 {
    let (mut batch, mut count) = (Vec::new(), 0);
    while told.recv_many(&mut batch, MAILBOX).await > 0 {
        count += batch.len() as u64;
        if let Some(last) = batch.last() {
            seen(last.lsn);
        }
        batch.clear();
    }
    count
}

async fn process(keys: u64) -> Result<String, BoxError> {
    let began = Began::now();
    let told = scope(&Ctx::root(), |s| async move {
        let (events, mailbox) = towpath::bounded(MAILBOX);
        let (outputs, told) = towpath::bounded(MAILBOX);
        s.spawn("shop", move |_| send(keys, events));
        s.spawn("orders", move |ctx| Keyed::new(Order).run(ctx, mailbox, outputs));
        Ok(count(told, |_| {}).await)
    });
    let told = told.await?;
    // Half of the payments are too much, and every confirmation reserves.
    assert_eq!(told, keys + keys / 2, "every decision came out");
    Ok(began.per_second(3 * keys, TRANSITIONS))
}

/// A folder for a journal, removed at the end.
struct Journal(PathBuf);

impl Journal {
    fn new(dir: &Path) -> Result<Self, BoxError> {
        let path = dir.join(format!("towpath-bench-machine-{}", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        Ok(Self(path))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // What is left in a temporary folder is somebody else's to sweep.
        drop(fs::remove_dir_all(&self.0));
    }
}

fn bare_journal(journal: &Journal, records: u64) -> Result<String, BoxError> {
    let mut writer = Writer::open(&journal.0)?;
    let began = Began::now();
    for record in 1..=records {
        writer.append(Entry { kind: 2, key: &record.to_le_bytes()[..4], payload: &[7; 11] })?;
        if record % 4096 == 0 {
            writer.commit()?;
        }
    }
    writer.commit()?;
    Ok(began.per_second(records, "records"))
}

fn journalled(journal: &Journal, keys: u64) -> Result<String, BoxError> {
    let (orders, outbox) = Keyed::new(Order).journalled(Writer::open(&journal.0)?)?;
    let began = Began::now();
    let told = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (events, mailbox) = towpath::bounded(MAILBOX);
        let (outputs, told) = towpath::bounded(MAILBOX);
        s.spawn("shop", move |_| send(keys, events));
        let orders = orders.snapshot_every(0);
        s.spawn_blocking("orders", move |ctx| orders.run(ctx, mailbox, outputs));
        Ok(count(told, move |lsn| outbox.confirm(lsn)).await)
    }))?;
    assert_eq!(told, keys + keys / 2, "every decision came out");
    Ok(began.per_second(3 * keys, TRANSITIONS))
}

fn recovery(journal: &Journal) -> Result<String, BoxError> {
    let began = Began::now();
    let (orders, _) = Keyed::<u64, _>::new(Order).journalled(Writer::open(&journal.0)?)?;
    let (took, found) = (began.seconds(), orders.recovery());
    let from =
        found.snapshot.map_or_else(String::new, |lsn| format!("snapshot of record {lsn} and "));
    let (instances, events) = (orders.store().len(), found.events);
    Ok(format!("{took} | {instances} instances from {from}{events} events"))
}

/// One more event, and then a snapshot.
fn snapshot(journal: &Journal) -> Result<String, BoxError> {
    let (orders, _) = Keyed::<u64, _>::new(Order).journalled(Writer::open(&journal.0)?)?;
    let began = Began::now();
    towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (events, mailbox) = towpath::bounded(MAILBOX);
        let (outputs, _told) = towpath::bounded(MAILBOX);
        let orders = orders.snapshot_every(1);
        let process = s.spawn_blocking("orders", move |ctx| orders.run(ctx, mailbox, outputs));
        events.send((0, Event::Pay { cents: 1 }).into()).await?;
        drop(events);
        process.await?;
        Ok(())
    }))?;
    Ok(began.seconds())
}
