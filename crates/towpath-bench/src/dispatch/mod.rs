//! `towpath-bench dispatch`: 20,000 drivers, 5,000 requests a second, and how long until a rider has one.
//!
//! One thread is the city: it sends requests and positions at their pace, each driver once in four seconds. Another hears the
//! decisions, and frees each driver where the ride ends, two seconds after the match; so half of the drivers are busy. From just before a
//! request is sent until its match is heard is the latency. *Asked* is the same with an answer of the driver between; then the time
//! is until the offer is heard. *Scarce* has a tenth of the drivers: most riders are late, and must be told so by their deadline of 1.2 s.
//!
//! Beside it stands what would be written otherwise: drivers behind one mutex, in a `HashMap` that is looked through or in an R-tree
//! (`rstar`), and a tokio task for each request, which looks near at once, in the wider circle after 300 ms, and then again every 50 ms.
//! They know no geofence, no repeated or late reports and no cancellation.
//!
//! The second table is the index alone: the nearest of 20,000 within 1 km, nobody within 5 km, and a driver who moves.

mod index;
mod peers;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Args;
use towpath_patterns::dispatch::Point;

use crate::histogram::{Histogram, Spread, middle};

/// Drivers, as in the goal.
const DRIVERS: u32 = 20_000;

/// Requests a second, as in the goal.
const RATE: u64 = 5_000;

/// How long a ride takes: short, so that half of the drivers are free.
const RIDE: Duration = Duration::from_secs(2);

/// How often each driver says where he is.
const REPORT_EVERY: Duration = Duration::from_secs(4);

/// Half of the city's width, in metres.
const HALF_CITY_M: f64 = 15_000.0;

/// The rules that all follow.
const NEAR_M: f64 = 1000.0;
const WIDE_M: f64 = 5000.0;
const WINDOW: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_millis(1200);
/// How long before the deadline the search ends.
const MARGIN: Duration = Duration::from_millis(25);

#[derive(Args)]
pub(crate) struct Options {
    /// A tenth of the time and of the city, once.
    #[arg(long)]
    quick: bool,
    /// Samples of each.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
}

/// How much there is to do.
#[derive(Clone, Copy)]
struct Load {
    drivers: u32,
    requests: u64,
    rate: u64,
}

/// What is heard of one request.
enum Heard {
    /// A driver for the request with this stamp, who was near or not.
    Driver { driver: u32, stamp: u64, is_near: bool },
    /// Nobody, for the request with this stamp.
    Late { stamp: u64 },
}

/// Whatever decides. Used from the city's thread and from the listener's.
trait Dispatcher: Send + Sync + 'static {
    /// A rider asks; `stamp` comes back with the answer.
    fn request(&self, stamp: u64, pickup: Point);
    /// A driver is free there, after a ride or moving about.
    fn free(&self, driver: u32, at: Point);
}

/// What one sample says.
struct Figures {
    /// Riders who had a near driver.
    near: Spread,
    /// The others who had one.
    far: Spread,
    matched: f64,
    late: f64,
    late_max: u64,
    /// Answers after the deadline.
    missed: u64,
    /// Of the process, per second.
    cpu: f64,
}

/// What both threads know.
struct City {
    begun: Instant,
    answered: AtomicU64,
    /// Drivers who have a rider do not say that they are free.
    is_riding: Vec<AtomicBool>,
}

impl City {
    fn new(load: Load) -> Arc<Self> {
        let is_riding = (0..load.drivers).map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self { begun: Instant::now(), answered: AtomicU64::new(0), is_riding })
    }

    fn stamp(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }
}

/// A place for a number, the same in every run.
fn place(number: u64) -> Point {
    let mut hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^= hash >> 27;
    let part = |bits: u64| (bits as u32 as f64 / f64::from(u32::MAX) * 2.0 - 1.0) * HALF_CITY_M;
    let center = Point::new(40.75, -73.98).expect("a place");
    center.moved(part(hash), part(hash >> 32))
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let scale = if options.quick { 10 } else { 1 };
    let repeats = if options.quick { 1 } else { options.repeats };
    let full = Load {
        drivers: DRIVERS / scale,
        requests: if options.quick { 500 } else { 4 * RATE },
        rate: RATE / u64::from(scale),
    };
    let scarce = Load { drivers: full.drivers / 10, ..full };
    println!(
        "| load | kind | near p50 | p99 | max | others p50 | p99 | matched | late | told by | missed | cores |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    type Sample = fn(Load) -> Result<Figures, String>;
    let kinds: [(&str, Sample); 4] = [
        ("towpath", ours::sample),
        ("towpath, asked", ours::asked),
        ("Mutex, rstar", |load| peers::sample::<peers::Tree>(load)),
        ("Mutex, HashMap", |load| peers::sample::<peers::Map>(load)),
    ];
    for (name, load) in [("full", full), ("scarce", scarce)] {
        let mut taken: Vec<Vec<Figures>> = kinds.iter().map(|_| Vec::new()).collect();
        for _ in 0..repeats {
            for ((_, sample), taken) in kinds.iter().zip(&mut taken) {
                taken.push(sample(load)?);
            }
        }
        for ((kind, _), taken) in kinds.iter().zip(&taken) {
            println!("| {name} | {kind} | {} |", row(taken));
        }
    }
    println!();
    index::run(full.drivers, repeats);
    Ok(())
}

/// Medians, each figure by itself; but of late answers all.
fn row(samples: &[Figures]) -> String {
    let median = |figure: &dyn Fn(&Figures) -> f64| middle(samples.iter().map(figure));
    let time = |figure: &dyn Fn(&Figures) -> u64| {
        let ns = median(&|it| figure(it) as f64);
        if ns == 0.0 {
            return "-".to_owned();
        }
        if ns < 1e6 { format!("{:.0} us", ns / 1e3) } else { format!("{:.1} ms", ns / 1e6) }
    };
    format!(
        "{} | {} | {} | {} | {} | {:.1} % | {:.1} % | {} | {} | {:.2}",
        time(&|it| it.near.p50),
        time(&|it| it.near.p99),
        time(&|it| it.near.max),
        time(&|it| it.far.p50),
        time(&|it| it.far.p99),
        100.0 * median(&|it| it.matched),
        100.0 * median(&|it| it.late),
        time(&|it| it.late_max),
        samples.iter().map(|it| it.missed).sum::<u64>(),
        median(&|it| it.cpu),
    )
}

/// Sends the load; returns when every request was answered.
fn send(city: &City, dispatcher: &impl Dispatcher, load: Load) {
    for driver in 0..load.drivers {
        dispatcher.free(driver, place(u64::from(driver)));
    }
    // The first requests find them all.
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    let reports_a_request = f64::from(load.drivers) / REPORT_EVERY.as_secs_f64() / load.rate as f64;
    let (mut next, mut owed) = (0_u32, 0.0);
    for number in 0..load.requests {
        let due = Duration::from_nanos(number * 1_000_000_000 / load.rate);
        if let Some(early) = due.checked_sub(begun.elapsed()) {
            std::thread::sleep(early);
        }
        dispatcher.request(city.stamp(), place(1_000_000 + number));
        owed += reports_a_request;
        while owed >= 1.0 {
            owed -= 1.0;
            next = (next + 1) % load.drivers;
            if !city.is_riding[next as usize].load(Ordering::Relaxed) {
                dispatcher.free(next, place(2_000_000 + number));
            }
        }
    }
    let begun = Instant::now();
    while city.answered.load(Ordering::Relaxed) < load.requests
        && begun.elapsed() < Duration::from_secs(20)
    {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Hears the answers, and lets rides end.
struct Listener {
    city: Arc<City>,
    near: Histogram,
    far: Histogram,
    late: u64,
    late_max: u64,
    missed: u64,
    rides: VecDeque<(Instant, u32, u64)>,
}

impl Listener {
    fn new(city: Arc<City>) -> Self {
        let (near, far) = (Histogram::new(), Histogram::new());
        Self { city, near, far, late: 0, late_max: 0, missed: 0, rides: VecDeque::new() }
    }

    fn took(&mut self, stamp: u64) -> u64 {
        let took = self.city.stamp() - stamp;
        self.missed += u64::from(took > DEADLINE.as_nanos() as u64);
        took
    }

    /// The decision is heard.
    fn decided(&mut self, stamp: u64, is_near: bool) {
        let took = self.took(stamp);
        let times = if is_near { &mut self.near } else { &mut self.far };
        times.add(took);
    }

    /// The driver has a rider.
    fn rides(&mut self, driver: u32, stamp: u64) {
        self.city.is_riding[driver as usize].store(true, Ordering::Relaxed);
        self.rides.push_back((Instant::now() + RIDE, driver, stamp));
        self.city.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn late(&mut self, stamp: u64) {
        let took = self.took(stamp);
        self.late += 1;
        self.late_max = self.late_max.max(took);
        self.city.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Driver { driver, stamp, is_near } => {
                self.decided(stamp, is_near);
                self.rides(driver, stamp);
            }
            Heard::Late { stamp } => self.late(stamp),
        }
    }

    /// The rides that are over.
    fn end_rides(&mut self, mut free: impl FnMut(u32, Point)) {
        let now = Instant::now();
        while let Some(&(ends, driver, stamp)) = self.rides.front()
            && ends <= now
        {
            self.rides.pop_front();
            self.city.is_riding[driver as usize].store(false, Ordering::Relaxed);
            free(driver, place(stamp));
        }
    }

    /// Requests without an answer are counted as missed.
    fn figures(&self, load: Load, seconds: f64, cpu: f64) -> Figures {
        let answered = self.city.answered.load(Ordering::Relaxed);
        let part = |count: u64| count as f64 / load.requests as f64;
        Figures {
            near: self.near.spread(),
            far: self.far.spread(),
            matched: part(answered - self.late),
            late: part(self.late),
            late_max: self.late_max,
            missed: self.missed + load.requests - answered,
            cpu: cpu / seconds,
        }
    }
}

/// Seconds of a core that this process has had.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

mod ours {
    use towpath::{Ctx, Receiver, bounded, scope};
    use towpath_patterns::dispatch::{Dispatch, Event, Policy, Report, Says, Stage};

    use super::*;

    /// Decisions that the listener may be behind: a fifth of a second.
    const EVENTS: usize = 1024;

    /// Drivers count what they say, and remember the lease that they have seen.
    struct Ours {
        dispatch: Dispatch<u64, u32>,
        numbers: Vec<AtomicU64>,
        seen: Vec<AtomicU64>,
    }

    impl Ours {
        fn say(&self, driver: u32, at: Point, says: Says) {
            let number = self.numbers[driver as usize].fetch_add(1, Ordering::Relaxed) + 1;
            let seen = self.seen[driver as usize].load(Ordering::Relaxed);
            // When the last rider has his answer, the dispatcher ends.
            let report = self.dispatch.report(Report { driver, number, seen, at, says });
            let _ = towpath::block_on(report);
        }
    }

    impl Dispatcher for Ours {
        fn request(&self, stamp: u64, pickup: Point) {
            let request = self.dispatch.request(stamp, pickup);
            towpath::block_on(request).expect("the dispatcher lives");
        }
        fn free(&self, driver: u32, at: Point) {
            self.say(driver, at, Says::Free);
        }
    }

    pub(super) fn sample(load: Load) -> Result<Figures, String> {
        measure(load, Policy { lease: None, ..policy() })
    }

    pub(super) fn asked(load: Load) -> Result<Figures, String> {
        measure(load, policy())
    }

    fn policy() -> Policy {
        Policy {
            near_m: NEAR_M,
            wide_m: WIDE_M,
            window: WINDOW,
            deadline: DEADLINE,
            margin: MARGIN,
            ..Policy::default()
        }
    }

    fn measure(load: Load, policy: Policy) -> Result<Figures, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let (begun, cpu) = (Instant::now(), cpu_seconds());
        let listener = runtime.block_on(scope(&Ctx::root(), |s| async move {
            let (out, events) = bounded(EVENTS);
            let dispatch = Dispatch::start(&s, "dispatch", policy, out)?;
            let none = |_| AtomicU64::new(0);
            let ours = Arc::new(Ours {
                dispatch,
                numbers: (0..load.drivers).map(none).collect(),
                seen: (0..load.drivers).map(none).collect(),
            });
            let city = City::new(load);
            let (their_city, theirs) = (city.clone(), ours.clone());
            let listening = s.spawn_blocking("listener", move |_| {
                Ok::<_, towpath::BoxError>(listen(Listener::new(their_city), &theirs, events, load))
            });
            s.spawn_blocking("city", move |_| send(&city, &*ours, load));
            Ok(listening.await?)
        }));
        let listener = listener.map_err(|error| error.to_string())?;
        Ok(listener.figures(load, begun.elapsed().as_secs_f64(), cpu_seconds() - cpu))
    }

    fn listen(
        mut listener: Listener,
        ours: &Ours,
        mut events: Receiver<Event<u64, u32>>,
        load: Load,
    ) -> Listener {
        let mut is_asked = std::collections::HashSet::new();
        while listener.city.answered.load(Ordering::Relaxed) < load.requests {
            let Some(event) = events.recv_blocking() else { break };
            match event {
                Event::Offered(offer) => {
                    // The first offer is the decision; later ones are after a lease that has passed.
                    if is_asked.insert(offer.rider) {
                        listener.decided(offer.rider, offer.stage == Stage::Near);
                    }
                    ours.seen[offer.driver as usize].store(offer.lease, Ordering::Relaxed);
                    ours.say(offer.driver, place(offer.rider), Says::Accept);
                }
                Event::Matched(offer) => {
                    ours.seen[offer.driver as usize].store(offer.lease, Ordering::Relaxed);
                    if is_asked.is_empty() {
                        listener.decided(offer.rider, offer.stage == Stage::Near);
                    }
                    listener.rides(offer.driver, offer.rider);
                }
                Event::Ended { rider, .. } => listener.late(rider),
                _ => {}
            }
            listener.end_rides(|driver, at| ours.free(driver, at));
        }
        listener
    }
}
