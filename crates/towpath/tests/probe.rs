//! What a probe is told. A test binary of its own, since a program has one probe; its tests take turns, since they share it.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use towpath::{
    BoxError, Ctx, Receiver, SelectSet, Sender, bounded, observe,
    probe::{
        self, Arm, Attached, Exit, Operation, Parked, Probe, ResourceId, Unpark, Unparked, WaitId,
    },
    process::{Name, Process},
    rendezvous, scope, select, select_blocking,
    sync::{Mutex as Lock, Notify, Semaphore},
    unbounded,
};

/// What was told, and what of it cannot be.
#[derive(Default)]
struct Books {
    parked: BTreeMap<WaitId, (Operation, String)>,
    waits: BTreeMap<(Operation, Unpark), usize>,
    /// In order: process, operation, `file:line`, arms.
    seen: Vec<(Option<String>, Operation, String, Vec<Arm>)>,
    living: BTreeMap<u64, String>,
    spawned: Vec<(String, Option<String>, bool)>,
    exits: Vec<(String, Exit)>,
    channels: BTreeMap<ResourceId, String>,
    attached: Vec<(String, Option<usize>)>,
    detached: Vec<String>,
    wrong: Vec<String>,
}

impl Books {
    fn check(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.wrong.push(what());
        }
    }
}

static BOOKS: Mutex<Option<Books>> = Mutex::new(None);
/// The probe uses channels itself.
static MEDDLES: AtomicBool = AtomicBool::new(false);

struct Keeper;

impl Keeper {
    fn write(f: impl FnOnce(&mut Books)) {
        f(BOOKS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default());
    }
}

impl Probe for Keeper {
    fn attach(&self, channel: &Attached<'_>) {
        Self::write(|books| {
            books.channels.insert(channel.id, channel.name.to_string());
            books.attached.push((channel.name.to_string(), channel.capacity));
        });
    }

    fn detach(&self, channel: ResourceId, name: &Name) {
        Self::write(|books| {
            let known = books.channels.remove(&channel);
            books.check(known.as_deref() == Some(name), || format!("{name} was not attached"));
            books.detached.push(name.to_string());
        });
    }

    fn park(&self, wait: &Parked<'_>) {
        if MEDDLES.load(Ordering::Relaxed) {
            meddle();
        }
        let at = format!("{}:{}", wait.at.file(), wait.at.line());
        let process = wait.process.map(|process| process.name().to_string());
        let arms = wait.arms();
        Self::write(|books| {
            let before = books.parked.insert(wait.id, (wait.operation, at.clone()));
            books.check(before.is_none(), || format!("{wait:?} was parked already, at {before:?}"));
            books.seen.push((process, wait.operation, at, arms));
        });
    }

    fn unpark(&self, wait: &Unparked) {
        let at = format!("{}:{}", wait.at.file(), wait.at.line());
        Self::write(|books| {
            let before = books.parked.remove(&wait.id);
            books.check(before == Some((wait.operation, at)), || {
                format!("{wait:?}, parked {before:?}")
            });
            *books.waits.entry((wait.operation, wait.how)).or_default() += 1;
        });
    }

    fn spawn(&self, spawned: &probe::Spawned<'_>) {
        let (id, name) = (spawned.process.id(), spawned.process.name().to_string());
        let by = spawned.by.map(|process| process.name().to_string());
        Self::write(|books| {
            books.spawned.push((name.clone(), by, spawned.thread));
            let before = books.living.insert(id, name);
            books.check(before.is_none(), || format!("{id} was started already"));
        });
    }

    fn exit(&self, process: &Process, how: Exit) {
        Self::write(|books| {
            let known = books.living.remove(&process.id());
            books.check(known.is_some(), || format!("{process} was not started"));
            books.exits.push((process.name().to_string(), how));
        });
    }
}

/// What is done inside the probe is not told; what began outside and ends here is.
fn meddle() {
    let (tx, mut rx) = rendezvous::<u32>();
    let tx = tx.named("meddler");
    assert!(poll_once(pin!(rx.recv())).is_pending());
    assert!(poll_once(pin!(tx.send(1))).is_pending());
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Empty books, for one test alone.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    drop(probe::install(Keeper));
    *BOOKS.lock().unwrap_or_else(PoisonError::into_inner) = None;
    turn
}

fn read<R>(f: impl FnOnce(&Books) -> R) -> R {
    f(BOOKS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Nothing is open and nothing was wrong.
#[track_caller]
fn all_closed() {
    read(|books| {
        assert_eq!(books.wrong, [""; 0]);
        assert_eq!(books.parked, BTreeMap::new());
        assert_eq!(books.living, BTreeMap::new());
        assert_eq!(books.channels, BTreeMap::new());
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

const PLACES: usize = 4;

#[test]
fn a_program_has_one_probe() {
    let _turn = alone();
    let error = probe::install(Keeper).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a probe is installed already, and a program has one; let one probe tell both"
    );
    let Keeper = error.0;
}

#[test]
fn an_operation_that_does_not_wait_is_not_told() {
    let _turn = alone();
    towpath::block_on(async {
        for (tx, mut rx) in [bounded(1), bounded(PLACES), unbounded()] {
            tx.send(1).await.unwrap();
            assert_eq!(rx.recv().await, Some(1));
            tx.reserve().await.unwrap().send(2);
            select! { two = rx.recv() => assert_eq!(two, Some(2)) }
            assert!(rx.try_recv().is_err());
        }
    });
    assert_eq!(read(|books| books.seen.len()), 0);
}

/// The books say that so many waits of this kind ended so.
#[track_caller]
fn ended(operation: Operation, how: Unpark, times: usize) {
    all_closed();
    assert_eq!(read(|books| books.waits.clone()), BTreeMap::from([((operation, how), times)]));
}

#[test]
fn a_wait_is_told_with_its_place_its_channel_and_its_process() {
    let _turn = alone();
    static LINE: AtomicU32 = AtomicU32::new(0);
    runtime().block_on(async {
        let (tx, mut rx) = rendezvous::<u32>();
        let tx = tx.named("orders");
        let channel =
            observe::snapshot().resources.iter().find(|it| &*it.name == "orders").unwrap().id;
        let cooked = scope(&Ctx::root(), |s| async move {
            let cook = s.spawn("cook", move |_| async move {
                LINE.store(line!() + 1, Ordering::Relaxed);
                rx.recv().await.ok_or(BoxError::from("nothing"))
            });
            while read(|books| books.seen.is_empty()) {
                tokio::task::yield_now().await;
            }
            read(|books| {
                let (process, operation, at, arms) = books.seen[0].clone();
                assert_eq!((process.as_deref(), operation), (Some("cook"), Operation::Recv));
                assert_eq!(at, format!("{}:{}", file!(), LINE.load(Ordering::Relaxed)));
                assert_eq!(arms, [Arm::Recv(channel)]);
            });
            tx.reserve().await?.send(7);
            Ok(cook.await?)
        });
        assert_eq!(cooked.await.unwrap(), 7);
    });
    ended(Operation::Recv, Unpark::Done, 1);
    read(|books| assert_eq!(books.detached, ["orders"]));
}

#[test]
fn what_is_dropped_while_it_waits_is_taken_back() {
    let _turn = alone();
    let (tx, mut rx) = rendezvous::<u32>();
    for _ in 0..3 {
        let mut recv = Box::pin(rx.recv());
        assert!(poll_once(recv.as_mut()).is_pending());
        assert!(poll_once(recv.as_mut()).is_pending());
    }
    ended(Operation::Recv, Unpark::TakenBack, 3);
    drop(tx);
    let _turn = (drop(_turn), alone());
    let (tx, _rx) = bounded(1);
    tx.try_send(1).unwrap();
    {
        assert!(poll_once(pin!(tx.send(2))).is_pending());
        let mut slot = Some(3);
        assert!(poll_once(pin!(tx.send_from(&mut slot))).is_pending());
        assert!(poll_once(pin!(tx.send_all([4, 5]))).is_pending());
        assert!(poll_once(pin!(tx.reserve())).is_pending());
    }
    all_closed();
    read(|books| {
        assert_eq!(books.waits[&(Operation::Send, Unpark::TakenBack)], 3);
        assert_eq!(books.waits[&(Operation::Reserve, Unpark::TakenBack)], 1);
    });
}

#[test]
fn a_wait_for_a_lock_is_told_with_its_place_and_its_lock() {
    let _turn = alone();
    let mutex = Lock::new(()).named("fleet");
    let (tasks, berths) = (Semaphore::new(1).named("tasks"), Semaphore::new(1));
    let id =
        |name: &str| observe::snapshot().resources.iter().find(|it| &*it.name == name).unwrap().id;
    let held = (mutex.try_lock().unwrap(), tasks.try_acquire(1).unwrap());
    let other = berths.try_acquire(1).unwrap();
    {
        let mut locking = pin!(mutex.lock());
        assert!(poll_once(locking.as_mut()).is_pending());
        assert!(poll_once(locking.as_mut()).is_pending());
        let line = line!() + 1;
        let mut acquiring = pin!(tasks.acquire(1));
        assert!(poll_once(acquiring.as_mut()).is_pending());
        assert!(poll_once(pin!(berths.acquire(1))).is_pending());
        read(|books| {
            let seen: Vec<_> = books.seen.iter().map(|it| (it.1, it.3.clone())).collect();
            let permits = Arm::Acquire { semaphore: id("tasks"), permits: 1 };
            assert_eq!(seen[0], (Operation::Lock, vec![Arm::Lock(id("fleet"))]));
            assert_eq!(seen[1], (Operation::Acquire, vec![permits]));
            assert!(matches!(seen[2].1[..], [Arm::Acquire { permits: 1, .. }]));
            assert_eq!(books.seen[1].2, format!("{}:{line}", file!()));
        });
        drop(held);
        assert!(poll_once(locking).is_ready());
        // The other one is dropped as it is: it has been given its permit.
    }
    drop(other);
    drop((mutex, tasks));
    all_closed();
    read(|books| {
        let waits =
            [((Operation::Lock, Unpark::Done), 1), ((Operation::Acquire, Unpark::TakenBack), 2)];
        assert_eq!(books.waits, BTreeMap::from(waits));
        assert_eq!(books.detached, ["fleet", "tasks"]);
    });
}

#[test]
fn a_wait_for_a_lock_that_becomes_an_arm_is_taken_back_first() {
    let _turn = alone();
    let (mutex, notify) = (Lock::new(()), Notify::new());
    let held = mutex.try_lock().unwrap();
    let mut locking = Box::pin(mutex.lock());
    assert!(poll_once(locking.as_mut()).is_pending());
    notify.notify_one();
    towpath::block_on(async {
        select! { biased;
            _ = locking.as_mut() => unreachable!(),
            () = notify.notified() => {}
        }
    });
    drop(held);
    drop(locking);
    ended(Operation::Lock, Unpark::TakenBack, 1);
}

#[test]
fn a_select_is_one_wait_with_several_arms() {
    let _turn = alone();
    static LINE: AtomicU32 = AtomicU32::new(0);
    towpath::block_on(async {
        let (tx, mut rx) = rendezvous::<u32>();
        let (full, _rx) = bounded::<u32>(1);
        full.try_send(0).unwrap();
        let mut closed: Option<Receiver<u32>> = None;
        let mut winner = Some(1);
        {
            let mut waits = Box::pin(async {
                LINE.store(line!() + 1, Ordering::Relaxed);
                select! {
                    value = rx.recv() => value,
                    _ = full.send(1) => None,
                    _ = full.reserve() => None,
                    _ = closed.recv() => None,
                    _ = towpath::after(Duration::from_secs(3600)) => None,
                }
            });
            assert!(poll_once(waits.as_mut()).is_pending());
            read(|books| {
                let (process, operation, at, arms) = &books.seen[0];
                assert_eq!((process, *operation), (&None, Operation::Select));
                assert_eq!(at, &format!("{}:{}", file!(), LINE.load(Ordering::Relaxed)));
                let [Arm::Recv(a), Arm::Send(b), Arm::Reserve(c), Arm::Foreign] = arms[..] else {
                    panic!("{arms:?}")
                };
                assert!(a != b && b == c);
            });
            // Its partner: a task that waits, then a poll of both.
            let mut send = Box::pin(tx.send_from(&mut winner));
            let sent = poll_once(send.as_mut()).is_ready();
            assert_eq!(waits.await, Some(1));
            assert!(sent || send.await.is_ok());
        }
    });
    ended(Operation::Select, Unpark::Done, 1);
}

#[test]
fn a_wait_that_goes_on_as_an_arm_is_over_by_itself() {
    let _turn = alone();
    let (tx, mut rx) = bounded::<u32>(PLACES);
    let mut recv = Box::pin(rx.recv());
    assert!(poll_once(recv.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    towpath::block_on(async {
        select! { one = recv.as_mut() => assert_eq!(one, Some(1)) }
    });
    drop(recv);
    ended(Operation::Recv, Unpark::TakenBack, 1);
}

#[test]
fn threads_are_told_when_they_sleep() {
    let _turn = alone();
    let until = |waits: usize| {
        while read(|books| books.seen.len()) < waits {
            std::thread::yield_now();
        }
    };
    for (tx, mut rx) in [rendezvous::<u32>(), bounded(PLACES), unbounded()] {
        let waits = read(|books| books.seen.len());
        std::thread::scope(|threads| {
            threads.spawn(|| assert_eq!(rx.recv_blocking(), Some(1)));
            until(waits + 1);
            tx.send_blocking(1).unwrap();
        });
    }
    ended(Operation::Recv, Unpark::Done, 3);
    let (tx, mut rx) = rendezvous::<u32>();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            tx.send_blocking(1).unwrap();
            tx.reserve_blocking().unwrap().send(2);
            select_blocking! { sent = tx.send(3) => sent.unwrap() }
            select_blocking! {
                _ = tx.send(4) => unreachable!("nobody receives it"),
                _ = towpath::after(Duration::from_millis(1)) => {}
            }
        });
        // This thread's own waits do not count: a receiver that waits already would spare the sender its wait.
        let senders = |books: &Books| {
            books.seen.iter().filter(|(_, operation, ..)| *operation != Operation::Recv).count()
        };
        for n in 1..=3 {
            while read(|books| senders(books)) < n {
                std::thread::yield_now();
            }
            assert_eq!(rx.recv_blocking(), Some(n as u32));
        }
    });
    all_closed();
    read(|books| {
        assert_eq!(books.waits[&(Operation::Send, Unpark::Done)], 1);
        assert_eq!(books.waits[&(Operation::Reserve, Unpark::Done)], 1);
        // The timer of the second may ring before that select sleeps.
        assert!(matches!(books.waits[&(Operation::Select, Unpark::Done)], 1 | 2));
    });
}

#[test]
fn a_set_waits_as_a_select() {
    let _turn = alone();
    let mut set = SelectSet::new();
    let (txs, rxs): (Vec<_>, Vec<_>) = (0..3).map(|_| bounded::<u32>(PLACES)).unzip();
    let keys: Vec<_> = rxs.into_iter().map(|rx| set.recv(rx)).collect();
    for how in [Unpark::TakenBack, Unpark::Done] {
        let mut next = Box::pin(set.next());
        assert!(poll_once(next.as_mut()).is_pending());
        assert_eq!(read(|books| books.seen.last().unwrap().3.len()), 3);
        if how == Unpark::Done {
            txs[1].try_send(1).unwrap();
            assert_eq!(poll_once(next.as_mut()), Poll::Ready((keys[1], Some(1))));
        }
    }
    std::thread::scope(|threads| {
        threads.spawn(|| assert_eq!(set.next_blocking(), (keys[2], Some(2))));
        while read(|books| books.seen.len()) < 3 {
            std::thread::yield_now();
        }
        txs[2].try_send(2).unwrap();
    });
    all_closed();
    read(|books| {
        assert_eq!(books.waits[&(Operation::Select, Unpark::TakenBack)], 1);
        assert_eq!(books.waits[&(Operation::Select, Unpark::Done)], 2);
    });
}

#[test]
fn a_process_is_told_with_how_it_ends() {
    let _turn = alone();
    runtime().block_on(async {
        let failed = scope(&Ctx::root(), |s| async move {
            s.spawn("good", |_| async {}).await?;
            s.spawn_blocking("thread", |_| ()).await?;
            s.spawn("mother", {
                let s = s.clone();
                move |_| async move {
                    s.spawn("daughter", |_| async {});
                }
            })
            .await?;
            s.spawn("waits", |ctx| async move { Err::<(), _>(ctx.done().await) });
            s.spawn("bad", |_| async { Err::<(), _>(BoxError::from("no coal")) });
            let worse = s.spawn("worse", |ctx| async move {
                assert!(ctx.cause().is_running() && ctx.is_done(), "a fire");
            });
            drop(worse.await);
            Ok(())
        });
        failed.await.unwrap_err();
        let mut late = None;
        scope(&Ctx::root(), |s| {
            late = Some(s);
            async { Ok(()) }
        })
        .await
        .unwrap();
        late.unwrap().spawn("late", |_| async {}).await.unwrap_err();
        let mut dropped = Box::pin(scope(&Ctx::root(), |s| async move {
            s.spawn("asleep", |_| std::future::pending::<()>());
            std::future::pending::<()>().await;
            Ok(())
        }));
        assert!(poll_once(dropped.as_mut()).is_pending());
    });
    all_closed();
    read(|books| {
        let how: BTreeMap<_, _> = books.exits.iter().map(|(name, how)| (&**name, *how)).collect();
        let told = [
            ("asleep", Exit::Dropped),
            ("bad", Exit::Failed),
            ("daughter", Exit::Done),
            ("good", Exit::Done),
            ("late", Exit::Dropped),
            ("mother", Exit::Done),
            ("thread", Exit::Done),
            ("waits", Exit::Cancelled),
            ("worse", Exit::Panicked),
        ];
        assert_eq!(how, BTreeMap::from(told));
        assert!(books.spawned.contains(&("thread".into(), None, true)));
        assert!(books.spawned.contains(&("daughter".into(), Some("mother".into()), false)));
    });
}

#[test]
fn a_named_channel_is_attached_and_detached_with_its_last_end() {
    let _turn = alone();
    let ends = bounded::<u32>(PLACES);
    drop(ends); // no name, no news
    let (tx, rx) = bounded::<u32>(PLACES);
    let tx = tx.named("a");
    let (more, rx) = (tx.clone(), rx.named("b"));
    drop(tx);
    drop(rx);
    assert_eq!(read(|books| books.detached.len()), 0);
    drop(more);
    for _ in 0..1_000 {
        let (tx, rx) = rendezvous::<u32>();
        let tx = tx.named("raced");
        std::thread::scope(|threads| {
            threads.spawn(|| drop(tx));
            drop(rx);
        });
    }
    all_closed();
    read(|books| {
        assert_eq!(books.attached[..2], [("a".into(), Some(PLACES)), ("b".into(), Some(PLACES))]);
        assert_eq!(books.detached[0], "b");
        assert_eq!(books.detached.len(), 1_001);
    });
}

#[test]
fn what_the_probe_does_itself_is_not_told() {
    let _turn = alone();
    MEDDLES.store(true, Ordering::Relaxed);
    let (_tx, mut rx) = rendezvous::<u32>();
    assert!(poll_once(pin!(rx.recv())).is_pending());
    MEDDLES.store(false, Ordering::Relaxed);
    ended(Operation::Recv, Unpark::TakenBack, 1);
    read(|books| assert_eq!(books.attached.len(), 0));
}

/// A small source of chance, one for each worker.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Polls `future` when woken and now and then otherwise, and drops it after `turns` turns if it is not done then.
async fn patiently<F: Future>(turns: u64, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = turns;
    poll_fn(|cx| {
        if let Poll::Ready(done) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

type Link = (Sender<u64>, Receiver<u64>);

fn links() -> [fn() -> Link; 5] {
    [rendezvous, || bounded(1), || bounded(2), || bounded(PLACES), unbounded]
}

async fn sends(tx: Sender<u64>, other: Sender<u64>, mut dice: Dice, rounds: u64) {
    for round in 0..rounds {
        let turns = dice.below(6);
        let mut slot = Some(round);
        match dice.below(7) {
            0 => drop(patiently(turns, tx.send(round)).await),
            1 => drop(patiently(turns, tx.send_from(&mut slot)).await),
            2 => drop(patiently(turns, tx.send_all(0..3)).await),
            3 => {
                if let Some(Ok(permit)) = patiently(turns, tx.reserve()).await {
                    permit.send(round);
                }
            }
            4 => {
                let select = async {
                    select! {
                        _ = tx.send(round) => {}
                        _ = other.reserve() => {}
                    }
                };
                patiently(turns, select).await;
            }
            5 => drop(tx.send(round).await),
            _ => tokio::task::yield_now().await,
        }
    }
}

async fn receives(mut rx: Receiver<u64>, mut other: Receiver<u64>, mut dice: Dice, rounds: u64) {
    let mut batch = Vec::new();
    for _ in 0..rounds {
        let turns = dice.below(6);
        match dice.below(6) {
            0 => drop(patiently(turns, rx.recv()).await),
            1 => drop(patiently(turns, rx.recv_many(&mut batch, 3)).await),
            2 => drop(patiently(turns, poll_fn(|cx| rx.poll_recv(cx))).await),
            3 | 4 => {
                let select = async {
                    select! {
                        _ = rx.recv() => {}
                        _ = other.recv() => {}
                    }
                };
                patiently(turns, select).await;
            }
            _ => {
                if rx.recv().await.is_none() {
                    return;
                }
            }
        }
    }
}

fn on_threads(tx: &Sender<u64>, rx: &mut Receiver<u64>, dice: &mut Dice) {
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for n in 0..50 {
                tx.send_blocking(n).unwrap();
                select_blocking! { sent = tx.send(n) => sent.unwrap() }
                tx.reserve_blocking().unwrap().send(n);
            }
        });
        for _ in 0..150 {
            match dice.below(3) {
                0 => drop(rx.recv_blocking()),
                1 => assert_eq!(rx.recv_many_blocking(&mut Vec::new(), 1), 1),
                _ => select_blocking! { _ = rx.recv() => {} },
            }
        }
    });
}

#[test]
fn stress_every_park_is_followed_by_one_unpark() {
    let _turn = alone();
    let runtime = runtime();
    let rounds = if cfg!(miri) { 1 } else { 12 };
    for seed in 1..=rounds {
        for (i, make) in links().into_iter().enumerate() {
            let dice =
                |n: u64| Dice((seed * 100 + i as u64 * 10 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            // A scope that ends by itself, or is dropped in the middle.
            runtime.block_on(patiently(
                if seed % 3 == 0 { 40 } else { u64::MAX },
                scope(&Ctx::root(), |s| async move {
                    let (tx, rx) = make();
                    let (other_tx, other_rx) = make();
                    let (tx, rx) = (tx.named("stress"), rx);
                    for n in 0..3 {
                        let (tx, other_tx) = (tx.clone(), other_tx.clone());
                        s.spawn("sends", move |_| sends(tx, other_tx, dice(n), 200));
                    }
                    s.spawn("receives", move |_| receives(rx, other_rx, dice(5), 400));
                    Ok(())
                }),
            ));
            let (tx, mut rx) = make();
            on_threads(&tx, &mut rx, &mut dice(7));
        }
    }
    drop(runtime);
    all_closed();
    read(|books| {
        println!("{:?}", books.waits);
        for operation in [Operation::Recv, Operation::Send, Operation::Reserve, Operation::Select] {
            for how in [Unpark::Done, Unpark::TakenBack] {
                let times = books.waits.get(&(operation, how)).copied();
                assert!(times > Some(0), "no {operation:?} {how:?}: {:?}", books.waits);
            }
        }
    });
}
