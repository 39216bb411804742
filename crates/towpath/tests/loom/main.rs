//! Loom models: two or three threads, a handful of operations, every order in which they can meet.
//!
//! `RUSTFLAGS="--cfg towpath_loom" cargo test -p towpath --release --test loom`, or `cargo xtask loom`. Without the cfg
//! this crate is empty. Each model says in one sentence which promise it is.
#![cfg(towpath_loom)]

mod lines;
mod list;
mod meet;
mod order;
mod ring;
mod select;

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
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    let t = std::time::Instant::now();
    let n = Arc::new(AtomicIsize::new(0));
    let n2 = n.clone();
    builder.check(move || {
        n2.fetch_add(1, Std::Relaxed);
        f()
    });
    eprintln!("DBG {:?} {:?}", t.elapsed(), n);
}

/// Runs a model that would take too long otherwise with `preemptions` at most.
fn model_up_to(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    let bound = builder.preemption_bound.unwrap_or(PREEMPTIONS).min(preemptions);
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
