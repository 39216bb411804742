//! Borrowing from a warm pool, beside the pools that people use.

use std::{
    future::Future,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::histogram::{Histogram, Spread, middle};

/// Instances, all of them there from the beginning.
const INSTANCES: usize = 64;

/// Tasks that borrow: one alone, as many as there are instances, many more.
const BORROWERS: [usize; 3] = [1, 64, 1_000];

/// Workers of the runtime: the cores of the machine that this was written for.
const WORKERS: usize = 2;

/// What is lent.
#[derive(Debug)]
struct Instance(u64);

/// A pool of some kind.
trait Lender: Clone + Send + Sync + 'static {
    /// Borrows, looks, lets others run, gives back; how long the borrowing took, in nanoseconds.
    fn turn(&self) -> impl Future<Output = u64> + Send;
}

/// What one sample says.
struct Figures {
    rate: f64,
    time: Spread,
}

pub(super) fn run(quick: bool, repeats: usize) -> Result<(), String> {
    let lasts = Duration::from_millis(if quick { 20 } else { 400 });
    println!("| borrowers | pool | loans/s | to the best other | p50 | p99 | max |");
    println!("|---:|---|---:|---:|---:|---:|---:|");
    for borrowers in BORROWERS {
        let mut taken: Vec<(&str, Vec<Figures>)> =
            ["towpath", "deadpool", "bb8", "mobc"].map(|name| (name, Vec::new())).into();
        for _ in 0..repeats {
            for (name, figures) in &mut taken {
                figures.push(sample(name, borrowers, lasts)?);
            }
        }
        let rate = |figures: &[Figures]| middle(figures.iter().map(|it| it.rate));
        let best = taken.iter().skip(1).map(|(_, it)| rate(it)).fold(0.0, f64::max);
        for (name, figures) in &taken {
            let time = |part: fn(&Spread) -> u64| {
                middle(figures.iter().map(|it| part(&it.time))) as f64 / 1e3
            };
            println!(
                "| {borrowers} | {name} | {:.0} | {:.2} | {:.2} us | {:.2} us | {:.1} us |",
                rate(figures),
                rate(figures) / best,
                time(|it| it.p50),
                time(|it| it.p99),
                time(|it| it.max),
            );
        }
    }
    Ok(())
}

fn sample(name: &str, borrowers: usize, lasts: Duration) -> Result<Figures, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_time()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        match name {
            "towpath" => ours::sample(borrowers, lasts).await,
            "deadpool" => Ok(measure(deadpools::make()?, borrowers, lasts).await),
            "bb8" => Ok(measure(bb8s::make().await?, borrowers, lasts).await),
            _ => Ok(measure(mobcs::make().await?, borrowers, lasts).await),
        }
    })
}

async fn measure<L: Lender>(lender: L, borrowers: usize, lasts: Duration) -> Figures {
    // Every instance is made before the time is taken.
    let warm: Vec<_> = (0..INSTANCES).map(|_| tokio::spawn(borrow_once(lender.clone()))).collect();
    for one in warm {
        one.await.expect("a borrower borrows");
    }
    let over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..borrowers)
        .map(|_| {
            let (lender, over) = (lender.clone(), over.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    times.push(lender.turn().await);
                }
                times
            })
        })
        .collect();
    tokio::time::sleep(lasts).await;
    over.store(true, Ordering::Relaxed);
    let (mut all, mut loans) = (Histogram::new(), 0_u64);
    for task in tasks {
        for time in task.await.expect("a borrower borrows") {
            all.add(time);
            loans += 1;
        }
    }
    Figures { rate: loans as f64 / begun.elapsed().as_secs_f64(), time: all.spread() }
}

async fn borrow_once<L: Lender>(lender: L) {
    lender.turn().await;
}

/// The same for all, with an instance in hand.
async fn hold(instance: &mut Instance) {
    instance.0 = instance.0.wrapping_add(1);
    tokio::task::yield_now().await;
}

fn nanos(since: Instant) -> u64 {
    since.elapsed().as_nanos() as u64
}

mod ours {
    use towpath::{Ctx, scope};
    use towpath_patterns::{
        fault::Failure,
        pool::{Factory, Options, Policy, Pool},
    };

    use super::*;

    struct Makes;

    impl Factory for Makes {
        type Instance = Instance;
        type Error = Failure;

        async fn make(&self, _ctx: Ctx) -> Result<Instance, Failure> {
            Ok(Instance(0))
        }

        async fn is_healthy(&self, instance: &mut Instance) -> bool {
            instance.0 < u64::MAX
        }
    }

    #[derive(Clone)]
    struct Ours(Pool<Makes>, Ctx);

    impl Lender for Ours {
        async fn turn(&self) -> u64 {
            let begun = Instant::now();
            let mut lease = self.0.lend(&self.1).await.expect("the pool lends");
            let took = nanos(begun);
            hold(&mut lease).await;
            took
        }
    }

    pub(super) async fn sample(borrowers: usize, lasts: Duration) -> Result<Figures, String> {
        let done = scope(&Ctx::root(), |s| async move {
            let sizing = Policy { min: INSTANCES, ..Policy::default() };
            let options = Options { sizing, waiting_max: usize::MAX, ..Options::new(INSTANCES) };
            let pool = Pool::start(&s, "instances", Makes, options);
            while pool.snapshot().idle < INSTANCES {
                towpath::rt::sleep(Duration::from_millis(1)).await;
            }
            Ok(measure(Ours(pool, s.ctx().clone()), borrowers, lasts).await)
        });
        done.await.map_err(|error| error.to_string())
    }
}

mod deadpools {
    use deadpool::managed::{Manager, Metrics, Pool, RecycleResult};

    use super::*;

    #[derive(Debug)]
    pub(super) struct Makes;

    impl Manager for Makes {
        type Type = Instance;
        type Error = String;

        async fn create(&self) -> Result<Instance, String> {
            Ok(Instance(0))
        }

        async fn recycle(&self, instance: &mut Instance, _: &Metrics) -> RecycleResult<String> {
            if instance.0 < u64::MAX { Ok(()) } else { Err("used up".to_owned().into()) }
        }
    }

    pub(super) fn make() -> Result<Pool<Makes>, String> {
        Pool::builder(Makes).max_size(INSTANCES).build().map_err(|error| error.to_string())
    }

    impl Lender for Pool<Makes> {
        async fn turn(&self) -> u64 {
            let begun = Instant::now();
            let mut lease = self.get().await.expect("the pool lends");
            let took = nanos(begun);
            hold(&mut lease).await;
            took
        }
    }
}

mod bb8s {
    use bb8::{ManageConnection, Pool};

    use super::*;

    #[derive(Debug)]
    pub(super) struct Makes;

    impl ManageConnection for Makes {
        type Connection = Instance;
        type Error = String;

        async fn connect(&self) -> Result<Instance, String> {
            Ok(Instance(0))
        }

        async fn is_valid(&self, instance: &mut Instance) -> Result<(), String> {
            if instance.0 < u64::MAX { Ok(()) } else { Err("used up".to_owned()) }
        }

        fn has_broken(&self, _: &mut Instance) -> bool {
            false
        }
    }

    pub(super) async fn make() -> Result<Pool<Makes>, String> {
        let size = INSTANCES as u32;
        Pool::builder().max_size(size).min_idle(size).build(Makes).await
    }

    impl Lender for Pool<Makes> {
        async fn turn(&self) -> u64 {
            let begun = Instant::now();
            let mut lease = self.get().await.expect("the pool lends");
            let took = nanos(begun);
            hold(&mut lease).await;
            took
        }
    }
}

mod mobcs {
    use mobc::{Manager, Pool, async_trait};

    use super::*;

    pub(super) struct Makes;

    #[async_trait]
    impl Manager for Makes {
        type Connection = Instance;
        type Error = std::fmt::Error;

        async fn connect(&self) -> Result<Instance, std::fmt::Error> {
            Ok(Instance(0))
        }

        async fn check(&self, instance: Instance) -> Result<Instance, std::fmt::Error> {
            if instance.0 < u64::MAX { Ok(instance) } else { Err(std::fmt::Error) }
        }
    }

    pub(super) async fn make() -> Result<Pool<Makes>, String> {
        let size = INSTANCES as u64;
        Ok(Pool::builder().max_open(size).max_idle(size).build(Makes))
    }

    impl Lender for Pool<Makes> {
        async fn turn(&self) -> u64 {
            let begun = Instant::now();
            let mut lease = self.get().await.expect("the pool lends");
            let took = nanos(begun);
            hold(&mut lease).await;
            took
        }
    }
}
