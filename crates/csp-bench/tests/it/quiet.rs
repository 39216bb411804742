//! Programs run until nothing moves any more, and what is left then: of the families with locks, conditions, counted
//! work, leaks and futures.
//!
//! Nobody waits for a hang here. Tokio's clock is paused and moves on only when every task waits, so an hour is over
//! exactly when nothing can happen any more; that is a proof, no matter how slow the machine is.

use std::{future::Future, panic::AssertUnwindSafe, panic::catch_unwind, time::Duration};

use csp_bench::{Class, Fate, Kernel, Program, Symptom, kernels};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{sleep, timeout},
};

/// Longer than any timer of a kernel.
const HOUR: Duration = Duration::from_secs(3600);

/// Fails a test that would never end; no program takes as long.
const HANG_GUARD: Duration = Duration::from_secs(30);

/// Bugs that need another order of steps than one thread of tokio has, a timer at the wrong moment, or one arm of a select
/// and not another.
const NEED_LUCK: &[&str] = &[
    "kubernetes_11298",
    "etcd_6873",
    "etcd_7492",
    "istio_16224",
    "moby_28462",
    "cockroach_1462",
    "moby_18412",
    "ab_ba",
    "reader_writer_reader",
    "timeout_abandons_sender",
    "futurelock",
    "cancelled_receive",
];

/// Programs that keep a thread or go on for ever when they hang, so that the clock would not move.
const NEVER_QUIET: &[&str] =
    &["blocking_receive_on_worker", "blocking_pool_exhausted", "biased_starves_stop"];

/// Programs with threads, of which tokio's clock knows nothing.
const WITH_THREADS: &[&str] = &["blocking_pool_exhausted"];

/// The kernels that are looked at here.
fn families() -> impl Iterator<Item = &'static Kernel> {
    let classes = [
        Class::ChanCond,
        Class::Cond,
        Class::ChanLock,
        Class::ChanGroup,
        Class::Group,
        Class::Order,
        Class::Lock,
        Class::Leak,
        Class::Rust,
    ];
    kernels::all().filter(move |kernel| classes.contains(&kernel.class))
}

/// The programs of a kernel that have no bug.
fn sound(kernel: &Kernel) -> impl Iterator<Item = Program> {
    let owned = kernel.owned.filter(|_| matches!(kernel.fate, Fate::Value | Fate::Scoped));
    [Some(kernel.fixed), owned].into_iter().flatten()
}

/// Runs `program` until it ends or nothing moves. `None`: it ended, and left nobody behind.
fn symptom(program: Program) -> Option<Symptom> {
    let runtime = quiet();
    let run = runtime.block_on(async {
        let ended = timeout(HOUR, Guarded((program.start)())).await;
        sleep(HOUR).await; // those who are left get as far as they can
        (ended, Handle::current().metrics().num_alive_tasks())
    });
    runtime.shutdown_background();
    match run {
        (Err(_), _) => Some(Symptom::Deadlock),
        (Ok(Err(Panicked)), _) => Some(Symptom::Panic),
        (Ok(Ok(())), 0) => None,
        (Ok(Ok(())), _) => Some(Symptom::Leak),
    }
}

fn quiet() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs no resources but memory")
}

struct Panicked;

/// A program whose panic is a result.
struct Guarded(csp_bench::kernel::Running);

impl Future for Guarded {
    type Output = Result<(), Panicked>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => std::task::Poll::Ready(Err(Panicked)),
        }
    }
}

#[test]
fn what_has_no_bug_ends_on_many_threads() {
    const RUNS: u32 = 50;
    let runtime = Builder::new_multi_thread().enable_time().build().expect("threads can start");
    for kernel in families() {
        for program in sound(kernel) {
            for run in 0..RUNS {
                let ended =
                    runtime.block_on(async { timeout(HANG_GUARD, (program.start)()).await });
                assert!(ended.is_ok(), "{} hangs in run {run}", kernel.name);
            }
        }
    }
}

#[test]
fn what_has_no_bug_leaves_nobody_behind() {
    for kernel in families().filter(|kernel| !WITH_THREADS.contains(&kernel.name)) {
        for program in sound(kernel) {
            assert_eq!(symptom(program), None, "{}", kernel.name);
        }
    }
}

#[test]
fn bugs_that_need_no_luck_show() {
    let left_out = |name| NEED_LUCK.contains(name) || NEVER_QUIET.contains(name);
    for kernel in families().filter(|kernel| !left_out(&kernel.name)) {
        let program = kernel.buggy().unwrap_or_else(|| panic!("{} has no bug", kernel.name));
        // Without a simulator all hangs look alike.
        let expected = match kernel.symptom {
            Symptom::LostWakeup => Symptom::Deadlock,
            symptom => symptom,
        };
        assert_eq!(symptom(program), Some(expected), "{}", kernel.name);
    }
}

/// A name in a list that no kernel has would leave nothing out.
#[test]
fn what_is_left_out_exists() {
    for name in NEED_LUCK.iter().chain(NEVER_QUIET).chain(WITH_THREADS) {
        assert!(families().any(|kernel| kernel.name == *name), "there is no kernel {name}");
    }
}
