//! `towpath-bench limit`: readers of limits while somebody changes them, beside what people use instead.
//!
//! Four threads read, sixty-four reads to a request, on a machine with fewer cores than that; one changes the limits, *seldom* (a
//! thousand times a second) or in a *storm* (again and again). What counts is how many reads there were and how long one took at
//! worst: of each sixty-four one is timed. The value is one number, or six that belong together (48 bytes), of
//! which a read looks at two.
//!
//! All kinds take turns within one process. Reads are counted by the second that their thread had a core, as the machine may be
//! shared: a reader that waits for a lock has none, so for locks this flatters.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use clap::Args;
use towpath_patterns::limit::{Audited, Limit, Number, Numbers, Together};

use crate::histogram::{Histogram, Spread, middle, time};

/// Readers: twice the cores of a small machine, so that one may be stopped inside its read.
const READERS: usize = 4;

/// Reads of one request; one of them is timed.
const READS: u64 = 64;

#[derive(Args)]
pub(crate) struct Options {
    /// A twentieth of the time, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
}

/// Six numbers, as a gateway has them.
#[derive(Clone, Copy)]
struct Six([u64; 6]);

/// A value under some protection: how it is read and changed.
trait Kind: Sync {
    /// Reads, and gives something that depends on it.
    fn read(&self) -> u64;
    fn change(&self, value: u64);
}

/// What one sample says.
struct Figures {
    reads: f64,
    changes: f64,
    time: Spread,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let lasts = Duration::from_millis(if options.quick { 20 } else { 400 });
    let repeats = if options.quick { 1 } else { options.repeats };
    println!(
        "| value | changes | kind | reads/s of a core | to the best lock | changes/s | p50 | p99 | max |"
    );
    println!("|---|---|---|---:|---:|---:|---:|---:|---:|");
    for (value, kinds) in [("one", kinds_of_one()), ("six", kinds_of_six())] {
        for (name, pause) in [("seldom", Duration::from_millis(1)), ("storm", Duration::ZERO)] {
            let mut taken: Vec<Vec<Figures>> = kinds.iter().map(|_| Vec::new()).collect();
            for _ in 0..repeats {
                for ((_, kind), taken) in kinds.iter().zip(&mut taken) {
                    taken.push(sample(kind.as_ref(), lasts, pause));
                }
            }
            let reads: Vec<f64> = taken.iter().map(|it| median(it, |it| it.reads)).collect();
            let locks = kinds.iter().zip(&reads).filter(|((name, _), _)| name.starts_with("std"));
            let best_lock = locks.map(|(_, &reads)| reads).fold(0.0, f64::max);
            for (((kind, _), taken), reads) in kinds.iter().zip(&taken).zip(reads) {
                println!(
                    "| {value} | {name} | {kind} | {:.1} M | {:.2} | {:.0} | {} | {} | {} |",
                    reads / 1e6,
                    reads / best_lock,
                    median(taken, |it| it.changes),
                    time(median(taken, |it| it.time.p50 as f64)),
                    time(median(taken, |it| it.time.p99 as f64)),
                    time(median(taken, |it| it.time.max as f64)),
                );
            }
        }
    }
    Ok(())
}

fn median(samples: &[Figures], figure: impl Fn(&Figures) -> f64) -> f64 {
    middle(samples.iter().map(figure))
}

fn sample(kind: &dyn Kind, lasts: Duration, pause: Duration) -> Figures {
    let over = AtomicBool::new(false);
    let (mut times, mut reads, mut changes) = (Histogram::new(), 0.0, 0);
    let begun = Instant::now();
    std::thread::scope(|s| {
        let readers: Vec<_> = (0..READERS).map(|_| s.spawn(|| read_on(kind, &over))).collect();
        while begun.elapsed() < lasts {
            changes += 1;
            kind.change(changes);
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            let (its, count) = reader.join().expect("a reader reads");
            times.merge(&its);
            reads += count / READERS as f64;
        }
    });
    let seconds = begun.elapsed().as_secs_f64();
    Figures { reads, changes: changes as f64 / seconds, time: times.spread() }
}

/// Nanoseconds that this thread has had a core.
fn on_core() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

fn read_on(kind: &dyn Kind, over: &AtomicBool) -> (Histogram, f64) {
    let begun = on_core();
    let (mut times, mut reads, mut sum) = (Histogram::new(), 0_u64, 0_u64);
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        sum = sum.wrapping_add(kind.read());
        times.add(start.elapsed().as_nanos() as u64);
        for _ in 1..READS {
            sum = sum.wrapping_add(kind.read());
        }
        reads += READS;
    }
    std::hint::black_box(sum);
    (times, reads as f64 * 1e9 / (on_core() - begun).max(1) as f64)
}

type Kinds = Vec<(&'static str, Box<dyn Kind>)>;

fn kinds_of_one() -> Kinds {
    vec![
        ("Number", Box::new(Number::new(0))),
        ("std RwLock", Box::new(RwLock::new(0_u64))),
        ("std Mutex", Box::new(Mutex::new(0_u64))),
        ("tokio watch", Box::new(tokio::sync::watch::channel(0_u64).0)),
    ]
}

fn kinds_of_six() -> Kinds {
    let six = Six([0; 6]);
    vec![
        ("Numbers", Box::new(Numbers::new(six.0))),
        ("Together", Box::new(Together::new(six))),
        ("Audited", Box::new(ours::Recorded::new(six))),
        ("std RwLock", Box::new(RwLock::new(six))),
        ("std Mutex", Box::new(Mutex::new(six))),
        ("tokio watch", Box::new(tokio::sync::watch::channel(six).0)),
    ]
}

impl Six {
    fn of(value: u64) -> Self {
        Self([value; 6])
    }

    fn look(&self) -> u64 {
        self.0[0] ^ self.0[5]
    }
}

mod ours {
    use super::{Audited, Kind, Limit, Number, Numbers, Six, Together};

    /// Changes that the auditor may be behind; in a storm it is.
    const TRAIL: usize = 1024;

    /// With an auditor on a thread of its own, as it would be.
    pub(super) struct Recorded(Audited<Six>);

    impl Recorded {
        pub(super) fn new(six: Six) -> Self {
            let (trail, mut audit) = towpath::bounded(TRAIL);
            // It ends with the limits.
            std::thread::spawn(move || while audit.recv_blocking().is_some() {});
            Self(Audited::new(six, trail))
        }
    }

    impl Kind for Number {
        fn read(&self) -> u64 {
            Limit::read(self, |value| *value)
        }
        fn change(&self, value: u64) {
            let _ = Limit::change(self, value);
        }
    }

    impl Kind for Numbers<6> {
        fn read(&self) -> u64 {
            Limit::read(self, |six| six[0] ^ six[5])
        }
        fn change(&self, value: u64) {
            let _ = Limit::change(self, [value; 6]);
        }
    }

    impl Kind for Together<Six> {
        fn read(&self) -> u64 {
            Limit::read(self, Six::look)
        }
        fn change(&self, value: u64) {
            let _ = Limit::change(self, Six::of(value));
        }
    }

    impl Kind for Recorded {
        fn read(&self) -> u64 {
            self.0.read(Six::look)
        }
        fn change(&self, value: u64) {
            // Full: the next change comes at once.
            let _ = self.0.change(Six::of(value));
        }
    }
}

macro_rules! locked {
    ($lock:ident, $read:ident, $write:ident) => {
        impl Kind for $lock<u64> {
            fn read(&self) -> u64 {
                *self.$read().expect("nobody panics")
            }
            fn change(&self, value: u64) {
                *self.$write().expect("nobody panics") = value;
            }
        }

        impl Kind for $lock<Six> {
            fn read(&self) -> u64 {
                self.$read().expect("nobody panics").look()
            }
            fn change(&self, value: u64) {
                *self.$write().expect("nobody panics") = Six::of(value);
            }
        }
    };
}

locked!(RwLock, read, write);
locked!(Mutex, lock, lock);

impl Kind for tokio::sync::watch::Sender<u64> {
    fn read(&self) -> u64 {
        *self.borrow()
    }
    fn change(&self, value: u64) {
        self.send_replace(value);
    }
}

impl Kind for tokio::sync::watch::Sender<Six> {
    fn read(&self) -> u64 {
        self.borrow().look()
    }
    fn change(&self, value: u64) {
        self.send_replace(Six::of(value));
    }
}
