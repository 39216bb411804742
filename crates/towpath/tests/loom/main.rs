//! Loom models: two or three threads, a handful of operations, every order in which they can meet.
//!
//! `cargo xtask loom`, or `RUSTFLAGS="--cfg towpath_loom" cargo test -p towpath --release --test loom`. Without the cfg
//! this crate is empty. Each model says in one sentence which promise it is, and takes seconds with two interruptions
//! per execution, the default (`LOOM_MAX_PREEMPTIONS` sets another number).
//!
//! In the models blocks have two slots, rings begin at two places instead of four, chance is fixed (the arms of a select
//! are tried in the order `0, n-1, n-2, …`), and nobody looks before parking (so `Patience` is not seen).
//!
//! What loom cannot say, and who says it instead:
//! - Sequentially consistent accesses count as acquire-release ones. `sync::fence_in_models` puts a fence where the
//!   waiting lines need more (`raw/gate.rs`); loom's fence also synchronizes like a lock, so an ordering that is too
//!   weak could hide behind it once both sides have passed there. ThreadSanitizer on `it::stress` does not have it.
//! - Accesses to what is no loom type, a node's links or a freed block, are not checked: ThreadSanitizer, Miri.
//! - Long lines (first come, first served among many), fairness of a select's choice, liveness under spinning: a wait
//!   for another thread is cut after three rounds. `it::order`, `it::select`, `it::stress`.
//! - Timers and foreign futures as arms, and time: the models have no clock.
//! - Loom takes an unpark that is left over for the end of a join. So a thread that waits in a channel operation joins
//!   nobody afterwards, unless its waker cannot come late.
#![cfg(towpath_loom)]

mod ctx;
mod lines;
mod list;
mod locks;
mod meet;
mod order;
mod ring;
mod seal;
mod select;
mod slot;
mod tied;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicIsize, Ordering as Std},
    },
    task::{Context, Poll, Wake, Waker},
};

use loom::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use towpath::{Receiver, Sender, bounded, unbounded};

/// Interruptions per execution unless `LOOM_MAX_PREEMPTIONS` says otherwise.
const PREEMPTIONS: usize = 2;

/// Runs `f` in every order.
fn model(f: impl Fn() + Send + Sync + 'static) {
    model_at_least(0, f);
}

/// Runs a model that shows what it is for only with so many interruptions.
fn model_at_least(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    let bound = builder.preemption_bound.unwrap_or(PREEMPTIONS).max(preemptions);
    builder.preemption_bound = Some(bound);
    builder.check(f);
}

/// Rendezvous, one place, a ring of two, a list: each queue there is.
const KINDS: [Option<usize>; 4] = [Some(0), Some(1), Some(2), None];

fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    capacity.map_or_else(unbounded, bounded)
}

/// Loom loses an unpark that comes while the thread yields, so a task's waker also raises a flag. (Channels that park
/// a thread look at a word of their own.)
struct Alarm {
    rung: AtomicBool,
    thread: thread::Thread,
}

impl Alarm {
    fn new() -> Arc<Self> {
        Arc::new(Self { rung: AtomicBool::new(false), thread: thread::current() })
    }

    fn wait(&self) {
        while !self.rung.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        // Not a store, which loom would let an exchange overlook.
        self.rung.swap(true, Ordering::AcqRel);
        self.thread.unpark();
    }
}

/// Polls once, with `alarm` as the task.
fn poll<F: Future>(future: Pin<&mut F>, alarm: &Arc<Alarm>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(alarm.clone())))
}

/// A task on this thread. Not loom's own, which prints and wakes spuriously.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let alarm = Alarm::new();
    loop {
        if let Poll::Ready(output) = poll(future.as_mut(), &alarm) {
            return output;
        }
        alarm.wait();
    }
}

/// Messages that count themselves: dropped or received exactly once each, or the model fails at its end.
struct Parcel {
    number: u32,
    tally: Arc<Tally>,
}

struct Tally(AtomicIsize);

impl Tally {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicIsize::new(0)))
    }

    fn parcel(self: &Arc<Self>, number: u32) -> Parcel {
        self.0.fetch_add(1, Std::Relaxed);
        Parcel { number, tally: self.clone() }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let left = self.tally.0.fetch_sub(1, Std::Relaxed);
        assert!(left > 0, "parcel {} was dropped twice", self.number);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        assert_eq!(*self.0.get_mut(), 0, "a parcel was lost or doubled");
    }
}
