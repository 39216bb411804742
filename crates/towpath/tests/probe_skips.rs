//! A probe that wants to know of some waits only, and what it is told of starts. A test binary of its own, since a program has one probe.

use std::{
    collections::BTreeMap,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
};

use towpath::{
    BoxError, Ctx, bounded,
    probe::{self, Finished, Parked, Probe, Spawned, Unparked, WaitId},
    rendezvous,
    supervisor::{Backoff, OnExit, Strategy, Supervisor},
    unbounded,
};

const PLACES: usize = 8;

/// What was told.
#[derive(Default)]
struct Books {
    open: BTreeMap<WaitId, String>,
    ended: usize,
    wrong: usize,
    /// Name, sent, received.
    finished: Vec<(String, u64, u64)>,
    /// Name, and whether it was a start after the first.
    starts: Vec<(String, bool)>,
}

static BOOKS: Mutex<Option<Books>> = Mutex::new(None);
/// After each wait it is told of, the probe passes over so many.
static SKIPS: AtomicU32 = AtomicU32::new(0);

fn books<R>(f: impl FnOnce(&mut Books) -> R) -> R {
    f(BOOKS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

struct Keeper;

impl Probe for Keeper {
    fn park(&self, wait: &Parked<'_>) {
        probe::skip_waits(SKIPS.load(Ordering::Relaxed));
        books(|books| books.open.insert(wait.id, wait.at.to_string()));
    }

    fn unpark(&self, wait: &Unparked) {
        books(|books| match books.open.remove(&wait.id) {
            Some(at) if at == wait.at.to_string() => books.ended += 1,
            _ => books.wrong += 1,
        });
    }

    fn finish(&self, channel: &Finished<'_>) {
        let Finished { name, sent, received, .. } = channel;
        books(|books| books.finished.push((name.to_string(), *sent, *received)));
    }

    fn spawn(&self, spawned: &Spawned<'_>) {
        books(|books| books.starts.push((spawned.process.name().to_string(), spawned.again)));
    }
}

/// Empty books, for one test alone.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    drop(probe::install(Keeper));
    books(|books| *books = Books::default());
    turn
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Waits of one thread, each of which ends.
fn waits(times: usize) {
    let (tx, mut rx) = rendezvous::<usize>();
    for _ in 0..times {
        let mut receiving = pin!(rx.recv());
        assert!(poll_once(receiving.as_mut()).is_pending());
        tx.try_send(1).unwrap();
        assert_eq!(poll_once(receiving), Poll::Ready(Some(1)));
    }
}

#[track_caller]
fn ended(times: usize) {
    books(|books| assert_eq!((books.ended, books.open.len(), books.wrong), (times, 0, 0)));
}

#[test]
fn a_probe_that_counts_one_wait_for_many_is_told_of_one_in_many() {
    let _turn = alone();
    SKIPS.store(4, Ordering::Relaxed);
    waits(20);
    ended(4);
    // Another thread has a count of its own.
    std::thread::spawn(|| waits(1)).join().unwrap();
    ended(5);
    SKIPS.store(0, Ordering::Relaxed);
    probe::skip_waits(0);
    waits(3);
    ended(8);
}

#[test]
fn a_wait_that_began_before_is_told_when_it_ends() {
    let _turn = alone();
    let (tx, mut rx) = rendezvous::<usize>();
    let mut receiving = pin!(rx.recv());
    assert!(poll_once(receiving.as_mut()).is_pending());
    probe::skip_waits(u32::MAX);
    waits(3);
    ended_with_one_open();
    tx.try_send(1).unwrap();
    assert_eq!(poll_once(receiving), Poll::Ready(Some(1)));
    ended(1);
    probe::skip_waits(0);
}

#[track_caller]
fn ended_with_one_open() {
    books(|books| assert_eq!((books.ended, books.open.len(), books.wrong), (0, 1, 0)));
}

#[test]
fn a_start_after_the_first_is_told_as_such() {
    let _turn = alone();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let body = move |_: Ctx, (): &mut ()| {
        let run = counted.fetch_add(1, Ordering::Relaxed);
        async move { if run < 2 { Err(BoxError::from("again")) } else { Ok(()) } }
    };
    let keeper = Supervisor::new("keeper", Strategy::OneForOne);
    let mut keeper = keeper.with_backoff(Backoff::NONE);
    keeper.child("fragile", OnExit::RestartOnFailure, (), body);
    towpath::block_on(async move { keeper.run(&Ctx::root()).await }).unwrap();
    let fragile = |again| ("fragile".to_owned(), again);
    books(|books| assert_eq!(books.starts, [fragile(false), fragile(true), fragile(true)]));
    assert_eq!(runs.load(Ordering::Relaxed), 3);
}

#[test]
fn a_channel_that_goes_says_what_went_through_it() {
    let _turn = alone();
    for (tx, mut rx) in [rendezvous::<u32>(), bounded(PLACES), unbounded()] {
        let tx = tx.named("orders");
        let sender =
            std::thread::spawn(move || (0..3).for_each(|order| tx.send_blocking(order).unwrap()));
        while rx.recv_blocking().is_some() {}
        sender.join().unwrap();
    }
    books(|books| assert_eq!(books.finished, ["orders"; 3].map(|name| (name.to_owned(), 3, 3))));
}
