//! `towpath-bench shadow`: 100,000 devices, and how long a wish takes to become a diff on its way to the device.
//!
//! Each device has reported four fields. Then one thread sends reports at the pace of the load, and after each twentieth it
//! wishes something of that device; from just before the wish is sent until its diff has been received is the latency. The
//! devices take the diff and report it, so that everything goes round. Beside it stands what would otherwise be written: a
//! `Mutex<HashMap>` of the same fields that every caller locks, with a channel for the diffs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use clap::Args;

use crate::histogram::{Histogram, Spread, middle};

/// Devices, as in the goal.
const DEVICES: u64 = 100_000;

/// Reports for each wish.
const REPORTS: u64 = 20;

/// Reports a second: every device once in five seconds.
const RATE: u64 = 20_000;

/// Fields of a device.
const FIELDS: [&str; 4] = ["battery", "firmware", "setpoint", "temperature"];

#[derive(Args)]
pub(crate) struct Options {
    /// A hundredth of the work, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
}

/// What one sample says.
struct Figures {
    fill: f64,
    updates: f64,
    age: Spread,
    bytes: f64,
}

/// Something that keeps shadows.
trait Keeper: Send + Sync + 'static {
    fn report(&self, device: u64, number: u64, field: &'static str, value: u64);
    fn desire(&self, device: u64, field: &'static str, value: u64);
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let devices = if options.quick { DEVICES / 100 } else { DEVICES };
    let updates = if options.quick { RATE / 100 } else { 2 * RATE };
    let repeats = if options.quick { 1 } else { options.repeats };
    println!(
        "| load | kind | filled, devices/s | updates/s | p50 | p95 | p99 | max | bytes/device |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for (load, rate) in [("paced", Some(RATE)), ("ceiling", None)] {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..repeats {
            ours.push(ours::sample(devices, updates, rate)?);
            theirs.push(locked(devices, updates, rate));
        }
        for (kind, samples) in [("towpath", &ours), ("Mutex<HashMap>", &theirs)] {
            if !samples.is_empty() {
                println!("| {load} | {kind} | {} |", row(samples));
            }
        }
    }
    Ok(())
}

/// Medians, each figure by itself.
fn row(samples: &[Figures]) -> String {
    let median = |figure: &dyn Fn(&Figures) -> f64| middle(samples.iter().map(figure));
    let us = |figure: &dyn Fn(&Figures) -> u64| median(&|it| figure(it) as f64) / 1e3;
    format!(
        "{:.0} | {:.0} | {:.1} us | {:.1} us | {:.1} us | {:.1} us | {:.0}",
        median(&|it| it.fill),
        median(&|it| it.updates),
        us(&|it| it.age.p50),
        us(&|it| it.age.p95),
        us(&|it| it.age.p99),
        us(&|it| it.age.max),
        // What an earlier sample has freed is used again: the first of all shows what is needed.
        samples.iter().map(|it| it.bytes).fold(0.0, f64::max),
    )
}

/// A device's diff has arrived: which, and the value, which is when it was wished.
type Arrived = (u64, u64);

/// Fills, sends the load, and hears of the diffs, which `next` receives until there are no more.
fn measure<K: Keeper>(
    keeper: K,
    settled: impl Fn(&K),
    mut next: impl FnMut() -> Option<Arrived> + Send + 'static,
    devices: u64,
    updates: u64,
    rate: Option<u64>,
) -> Figures {
    let before = crate::machine::resident_bytes();
    let start = Instant::now();
    let now = move || start.elapsed().as_nanos() as u64;
    let listening = std::thread::spawn(move || {
        let (mut ages, mut diffs) = (Histogram::new(), 0_u64);
        while let Some((_, wished)) = next() {
            ages.add(now().saturating_sub(wished));
            diffs += 1;
        }
        (ages, diffs)
    });
    for device in 0..devices {
        for (field, number) in FIELDS.into_iter().zip(1..) {
            keeper.report(device, number, field, 0);
        }
    }
    settled(&keeper);
    let fill = devices as f64 / start.elapsed().as_secs_f64();
    let bytes = crate::machine::resident_bytes().saturating_sub(before) as f64 / devices as f64;
    let begun = Instant::now();
    for update in 0..updates {
        if let Some(rate) = rate {
            let due = Duration::from_nanos(update * 1_000_000_000 / rate);
            if let Some(early) = due.checked_sub(begun.elapsed()) {
                std::thread::sleep(early);
            }
        }
        // A step that meets every device before any twice.
        let device = update.wrapping_mul(7_919) % devices;
        let number = FIELDS.len() as u64 + 1 + update;
        keeper.report(device, number, "temperature", update);
        if update % REPORTS == 0 {
            keeper.desire(device, "setpoint", now());
        }
    }
    settled(&keeper);
    let seconds = begun.elapsed().as_secs_f64();
    drop(keeper);
    let (ages, diffs) = listening.join().expect("the listener listens");
    assert!(diffs > 0, "nothing differed");
    Figures { fill, updates: updates as f64 / seconds, age: ages.spread(), bytes }
}

mod ours {
    use towpath::{Ctx, bounded, scope};
    use towpath_patterns::shadow::{Event, Patch, Shadows};

    use super::*;

    /// Events that the way to the devices may be behind.
    const EVENTS: usize = 1024;

    /// Used from threads.
    struct Ours(Shadows<u64, u64>);

    impl Keeper for Ours {
        fn report(&self, device: u64, number: u64, field: &'static str, value: u64) {
            let report = self.0.report(device, number, Patch::new().set(field, value));
            towpath::block_on(report).expect("the shadows live");
        }
        fn desire(&self, device: u64, field: &'static str, value: u64) {
            let desire = self.0.desire(device, None, Patch::new().set(field, value));
            towpath::block_on(desire).expect("nobody else wishes");
        }
    }

    pub(super) fn sample(devices: u64, updates: u64, rate: Option<u64>) -> Result<Figures, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let figures = runtime.block_on(scope(&Ctx::root(), |s| async move {
            let (out, mut events) = bounded(EVENTS);
            let shadows = Shadows::start(&s, "shadows", Duration::from_secs(3600), out);
            let next = move || loop {
                if let Event::Diff(diff) = events.recv_blocking()? {
                    let wished = diff.patch.fields().find_map(|(_, value)| value.copied());
                    return Some((diff.device, wished.unwrap_or(0)));
                }
            };
            let measured = s.spawn_blocking("load", move |_| {
                // An answer says that everything before it is done.
                let settled = |keeper: &Ours| {
                    towpath::block_on(keeper.0.get(0)).expect("the shadows live");
                };
                Ok::<_, towpath::BoxError>(measure(
                    Ours(shadows),
                    settled,
                    next,
                    devices,
                    updates,
                    rate,
                ))
            });
            Ok(measured.await?)
        }));
        figures.map_err(|error| error.to_string())
    }
}

/// A device, as somebody would write it down first.
#[derive(Default)]
struct Device {
    version: u64,
    last: u64,
    reported: BTreeMap<Arc<str>, u64>,
    desired: BTreeMap<Arc<str>, u64>,
}

struct Locked(Mutex<HashMap<u64, Device>>, mpsc::Sender<Arrived>);

impl Keeper for Locked {
    fn report(&self, device: u64, number: u64, field: &'static str, value: u64) {
        let mut all = self.0.lock().expect("nobody panics");
        let it = all.entry(device).or_default();
        if number > it.last {
            it.last = number;
            it.version += 1;
            it.reported.insert(field.into(), value);
        }
    }

    fn desire(&self, device: u64, field: &'static str, value: u64) {
        let mut all = self.0.lock().expect("nobody panics");
        let it = all.entry(device).or_default();
        it.version += 1;
        it.desired.insert(field.into(), value);
        for (field, &value) in &it.desired {
            if it.reported.get(field) != Some(&value) {
                let _ = self.1.send((device, value));
            }
        }
    }
}

fn locked(devices: u64, updates: u64, rate: Option<u64>) -> Figures {
    let (diffs, arrived) = mpsc::channel();
    let keeper = Locked(Mutex::default(), diffs);
    measure(keeper, |_| {}, move || arrived.recv().ok(), devices, updates, rate)
}
