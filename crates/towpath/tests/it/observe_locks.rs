//! What observers see of locks that have a name: who waits, who holds, and who is stuck; and that nobody is called stuck
//! who is not. Every test filters for its own names, since they all run in one program.

use std::{future::Future, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::future::{join, poll_fn};
use towpath::{
    Ctx, Network, Receiver, Sender, bounded,
    observe::snapshot,
    select,
    sync::{Barrier, Mutex, MutexGuard, Notify, RwLock, Semaphore, WaitGroup},
    waitfor::{Arm, Grade, Kind, Options, Resource, Snapshot, Wait},
};

const PLACES: usize = 4;
const HOUR: Duration = Duration::from_secs(3600);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Looks until all of these processes wait.
fn look_until_waiting(names: &[&str]) -> Snapshot {
    loop {
        let seen = snapshot();
        if names.iter().all(|name| wait(&seen, name).is_some()) {
            return seen;
        }
        std::thread::yield_now();
    }
}

fn wait<'a>(seen: &'a Snapshot, name: &str) -> Option<&'a Wait> {
    let process = seen.processes.iter().find(|it| &*it.name == name)?;
    seen.waits.iter().find(|wait| wait.process == process.id)
}

fn resource<'a>(seen: &'a Snapshot, name: &str) -> &'a Resource {
    seen.resources.iter().find(|it| &*it.name == name).expect(name)
}

/// The grades of these processes, and the report in words.
fn grades(seen: &Snapshot, names: &[&str]) -> (Vec<Option<Grade>>, String) {
    let report = seen.clone().analyse(&Options::new());
    let grade = |name: &&str| {
        let process = seen.processes.iter().find(|it| *it.name == **name)?;
        report.grade(process.id)
    };
    (names.iter().map(grade).collect(), report.to_string())
}

/// Runs `scope` in the background while `look` looks at it, then throws it away.
fn with_scope<R>(
    scope: impl Future<Output = Result<(), towpath::Error>> + Send + 'static,
    look: impl FnOnce() -> R,
) -> R {
    let runtime = runtime();
    let running = runtime.spawn(scope);
    let result = look();
    running.abort();
    runtime.block_on(async { drop(running.await) });
    result
}

/// Takes `first`, lets the other do the same, and wants `second`.
async fn greedy(first: Arc<Mutex<()>>, second: Arc<Mutex<()>>, meet: Arc<Barrier>) {
    let _first = first.lock().await;
    meet.wait().await;
    drop(second.lock().await);
}

/// A scope in which two processes take two locks in different order.
fn abba(
    names: [&'static str; 2],
    a: Arc<Mutex<()>>,
    b: Arc<Mutex<()>>,
) -> impl Future<Output = Result<(), towpath::Error>> + Send {
    towpath::scope(&Ctx::root(), move |s| async move {
        let meet = Arc::new(Barrier::new(2));
        let (one, other) = (greedy(a.clone(), b.clone(), meet.clone()), greedy(b, a, meet));
        s.spawn(names[0], |_| one);
        s.spawn(names[1], |_| other);
        Ok(())
    })
}

#[test]
fn two_who_take_two_locks_in_different_order_are_likely_stuck() {
    let names = ["abba-one", "abba-other"];
    let a = Arc::new(Mutex::new(()).named("abba/a"));
    let b = Arc::new(Mutex::new(()).named("abba/b"));
    let seen = with_scope(abba(names, a, b), || look_until_waiting(&names));
    let (grades, words) = grades(&seen, &names);
    assert_eq!(grades, [Some(Grade::Likely); 2], "{words}");
    for word in [
        "LIKELY: abba-one and abba-other wait for each other",
        "abba-one waits for the lock `abba/b` at ",
        "observe_locks.rs",
        "held by abba-other (as last seen)",
    ] {
        assert!(words.contains(word), "{word} in:\n{words}");
    }
}

#[test]
fn a_lock_without_a_name_in_the_circle_keeps_it_from_being_judged() {
    let names = ["half-one", "half-other"];
    let a = Arc::new(Mutex::new(()).named("half/a"));
    let scope = abba(names, a, Arc::new(Mutex::new(())));
    let seen = with_scope(scope, || look_until_waiting(&names[1..]));
    let (grades, words) = grades(&seen, &names);
    assert_eq!(grades, [None; 2], "{words}");
}

#[test]
fn a_lock_and_a_channel_can_make_a_circle_too() {
    type Tx = Sender<u32>;
    type Rx = Receiver<u32>;
    let lock = Arc::new(Mutex::new(()).named("mixed/lock"));
    let mut net = Network::new("mixed");
    let (tx, rx) = net.channel::<u32>("orders", PLACES);
    let meet = Arc::new(Barrier::new(2));
    let (theirs, their_meet) = (lock.clone(), meet.clone());
    net.process("mixed-cook", rx, async move |_, rx: &mut Rx| {
        let _kept = lock.lock().await;
        meet.wait().await;
        rx.recv().await;
    });
    net.process("mixed-waiter", tx, async move |_, tx: &mut Tx| {
        their_meet.wait().await;
        let _lock = theirs.lock().await;
        tx.send(1).await
    });
    let runtime = runtime();
    let running = runtime.block_on(async { net.start(&Ctx::root()).unwrap() });
    let names = ["mixed-cook", "mixed-waiter"];
    let seen = look_until_waiting(&names);
    let (grades, words) = grades(&seen, &names);
    // The port is certain, the guard is where it was last seen.
    assert_eq!(grades, [Some(Grade::Likely); 2], "{words}");
    assert!(words.contains("only mixed-waiter can send"), "{words}");
    assert!(words.contains("held by mixed-cook (as last seen)"), "{words}");
    drop(running);
}

#[test]
fn threads_that_exhaust_a_pool_are_likely_stuck_until_it_is_closed() {
    let pool = Arc::new(Semaphore::new(2).named("pool/links"));
    let meet = Arc::new(Barrier::new(2));
    let shared = pool.clone();
    let runtime = runtime();
    let scope = towpath::scope(&Ctx::root(), |s| async move {
        for name in ["pool-one", "pool-other"] {
            let (pool, meet) = (shared.clone(), meet.clone());
            s.spawn_blocking(name, move |_| {
                let _first = pool.acquire_blocking(1).unwrap();
                meet.wait_blocking();
                assert!(pool.acquire_blocking(1).is_err());
            });
        }
        Ok(())
    });
    let running = runtime.spawn(scope);
    let names = ["pool-one", "pool-other"];
    let seen = look_until_waiting(&names);
    let (grades, words) = grades(&seen, &names);
    assert_eq!(grades, [Some(Grade::Likely); 2], "{words}");
    assert!(words.contains("waits for a permit of `pool/links` (0 free)"), "{words}");
    pool.close();
    runtime.block_on(running).unwrap().unwrap();
}

#[test]
fn whoever_adds_permits_is_not_known_so_nobody_is_stuck_for_want_of_them() {
    let names = ["added-one", "added-other"];
    let [empty, added] = [Semaphore::new(0).named("added/0"), Semaphore::new(1).named("added/1")];
    added.add_permits(1);
    let (empty, added) = (Arc::new(empty), Arc::new(added));
    let scope = towpath::scope(&Ctx::root(), |s| async move {
        s.spawn("added-one", |_| async move {
            drop(empty.acquire(1).await);
        });
        s.spawn("added-other", |_| async move {
            let _held = added.acquire(2).await;
            drop(added.acquire(1).await);
        });
        Ok(())
    });
    let seen = with_scope(scope, || look_until_waiting(&names));
    let (grades, words) = grades(&seen, &names);
    assert_eq!(grades, [None; 2], "{words}");
}

#[test]
fn a_guard_that_owns_its_lock_may_be_anywhere() {
    let lock = Arc::new(Mutex::new(()).named("owned/lock"));
    let scope = towpath::scope(&Ctx::root(), |s| async move {
        s.spawn("owned-one", |_| async move {
            let guard = lock.clone().lock_owned().await;
            let other = towpath::rt::spawn(async move {
                towpath::rt::sleep(HOUR).await;
                drop(guard);
            });
            drop(lock.lock().await);
            drop(other);
        });
        Ok(())
    });
    let seen = with_scope(scope, || look_until_waiting(&["owned-one"]));
    let (grades, words) = grades(&seen, &["owned-one"]);
    assert_eq!(grades, [None], "{words}");
    let Kind::Lock { holders } = &resource(&seen, "owned/lock").kind else { panic!("a lock") };
    assert_eq!((holders.total, holders.unknown()), (1, 1));
}

#[test]
fn once_a_guard_was_dropped_elsewhere_nobody_knows_who_holds_the_lock() {
    let lock: &'static Mutex<()> = Box::leak(Box::new(Mutex::new(()).named("travel/lock")));
    let scope = towpath::scope(&Ctx::root(), move |s| async move {
        let (tx, mut rx) = bounded::<MutexGuard<'static, ()>>(PLACES);
        let (done, mut dones) = bounded::<()>(PLACES);
        s.spawn("travel-drops", |_| async move {
            drop(rx.recv().await);
            done.send(()).await.unwrap();
            while rx.recv().await.is_some() {}
        });
        s.spawn("travel-locks", move |_| async move {
            tx.send(lock.lock().await).await.unwrap();
            dones.recv().await;
            let _held = lock.lock().await;
            drop(lock.lock().await);
        });
        Ok(())
    });
    let seen = with_scope(scope, || look_until_waiting(&["travel-locks"]));
    let (grades, words) = grades(&seen, &["travel-locks"]);
    assert_eq!(grades, [None], "{words}");
}

#[test]
fn a_process_that_does_not_look_after_its_own_place_in_line_is_stuck() {
    // The futurelock: a lock is given to a future of the process, which the process has stopped polling.
    let lock = Arc::new(Mutex::new(()).named("future/lock"));
    let scope = towpath::scope(&Ctx::root(), |s| async move {
        s.spawn("future-lock", |_| async move {
            let held = lock.lock().await;
            let mut waits = pin!(lock.lock());
            let once = poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx).is_pending()));
            assert!(once.await);
            drop(held);
            drop(lock.lock().await);
        });
        Ok(())
    });
    let seen = with_scope(scope, || look_until_waiting(&["future-lock"]));
    let (grades, words) = grades(&seen, &["future-lock"]);
    assert_eq!(grades, [Some(Grade::Likely)], "{words}");
    assert!(words.contains("waits for itself") && words.contains("held by itself"), "{words}");
}

/// One reads twice; between its reads another comes to write, and gives up after a while if it is told to.
fn read_twice(names: [&'static str; 2], lock: RwLock<()>, gives_up: Option<Duration>) -> Snapshot {
    let scope = towpath::scope(&Ctx::root(), move |s| async move {
        let lock = Arc::new(lock);
        let theirs = lock.clone();
        let meet = Arc::new(Barrier::new(2));
        let met = meet.clone();
        s.spawn(names[0], move |_| async move {
            met.wait().await;
            select! {
                _ = theirs.write() => {},
                _ = gives_up.map(towpath::after) => {},
            }
        });
        s.spawn(names[1], |_| async move {
            let _read = lock.read().await;
            meet.wait().await;
            while lock.try_read().is_some() {
                towpath::rt::sleep(Duration::from_millis(1)).await;
            }
            drop(lock.read().await);
        });
        Ok(())
    });
    with_scope(scope, || look_until_waiting(&names))
}

#[test]
fn a_reader_that_reads_again_behind_a_writer_is_likely_stuck() {
    let names = ["again-writes", "again-reads"];
    let seen = read_twice(names, RwLock::new(()).named("again/lock"), None);
    let (grades, words) = grades(&seen, &names);
    assert_eq!(grades, [Some(Grade::Likely); 2], "{words}");
    let Kind::Lock { holders } = &resource(&seen, "again/lock").kind else { panic!("a lock") };
    assert_eq!((holders.total, holders.holders.len()), (1, 1));
}

#[test]
fn a_writer_that_may_give_up_lets_those_behind_it_live() {
    let names = ["give-writes", "give-reads"];
    let seen = read_twice(names, RwLock::new(()).named("give/lock"), Some(HOUR));
    let (grades, words) = grades(&seen, &names);
    assert_eq!(grades, [None; 2], "{words}");
}

#[test]
fn what_is_awaited_besides_a_lock_is_seen_with_it() {
    let lock = Arc::new(Mutex::new(()).named("both/lock"));
    let (tx, mut rx) = bounded::<u32>(PLACES);
    let tx = tx.named("both/orders");
    let held = lock.try_lock().unwrap();
    let shared = lock.clone();
    let scope = towpath::scope(&Ctx::root(), |s| async move {
        s.spawn("both-cook", |_| async move {
            select! {
                _ = shared.lock() => {},
                _ = rx.recv() => {},
            }
        });
        Ok(())
    });
    let seen = with_scope(scope, || look_until_waiting(&["both-cook"]));
    let arms = &wait(&seen, "both-cook").unwrap().arms;
    let both = arms.iter().any(|arm| matches!(arm, Arm::Lock(_)))
        && arms.iter().any(|arm| matches!(arm, Arm::Recv(_)));
    assert!(both && arms.len() == 2, "{arms:?}");
    // The test itself is no process.
    let Kind::Lock { holders } = &resource(&seen, "both/lock").kind else { panic!("a lock") };
    assert_eq!((holders.total, holders.unknown()), (1, 1));
    drop((held, tx));
}

#[test]
fn notices_barriers_and_groups_are_seen_and_somebody_may_always_help() {
    let names = ["help-notified", "help-gathers", "help-finishes"];
    let notify = Notify::new().named("help/notify");
    let barrier = Barrier::new(2).named("help/barrier");
    let group = WaitGroup::with_name("help/group");
    let working = group.add();
    let scope = towpath::scope(&Ctx::root(), move |s| async move {
        s.spawn(names[0], |_| async move { notify.notified().await });
        s.spawn(names[1], |_| async move {
            let _leads = barrier.wait().await;
        });
        s.spawn(names[2], |_| async move { group.wait().await });
        Ok(())
    });
    let seen = with_scope(scope, || look_until_waiting(&names));
    let (grades, words) = grades(&seen, &names);
    assert_eq!(grades, [None; 3], "{words}");
    let id = |name| resource(&seen, name).id;
    assert_eq!(wait(&seen, names[0]).unwrap().arms, [Arm::Notified(id("help/notify"))]);
    assert_eq!(wait(&seen, names[1]).unwrap().arms, [Arm::All(id("help/barrier"))]);
    assert_eq!(wait(&seen, names[2]).unwrap().arms, [Arm::All(id("help/group"))]);
    drop(working);
}

#[test]
fn a_lock_is_seen_as_it_is_until_it_goes() {
    let lock = RwLock::new(()).named("going/first").named("going/lock");
    assert_eq!(lock.name().as_deref(), Some("going/lock"));
    let holders = |seen: &Snapshot| match &resource(seen, "going/lock").kind {
        Kind::Lock { holders } => holders.total,
        other => panic!("{other:?}"),
    };
    assert_eq!(holders(&snapshot()), 0);
    let (one, other) = (lock.try_read(), lock.try_read());
    assert_eq!(holders(&snapshot()), 2);
    drop((one, other));
    let written = lock.try_write();
    assert_eq!(holders(&snapshot()), 1);
    drop(written);
    assert_eq!(holders(&snapshot()), 0);
    drop(lock);
    assert!(snapshot().resources.iter().all(|it| !it.name.starts_with("going/")));
}

#[test]
fn permits_are_counted_while_they_come_and_go() {
    let berths = Semaphore::new(3).named("berths");
    let free = || match &resource(&snapshot(), "berths").kind {
        Kind::Semaphore { free, .. } => *free,
        other => panic!("{other:?}"),
    };
    let convoy = berths.try_acquire(2).unwrap();
    assert_eq!((free(), berths.available_permits()), (1, 1));
    berths.add_permits(2);
    berths.try_acquire(1).unwrap().forget();
    assert_eq!((free(), berths.available_permits()), (2, 2));
    drop(convoy);
    assert_eq!((free(), berths.available_permits()), (4, 4));
}

#[test]
fn whoever_was_woken_and_had_no_turn_yet_does_not_wait() {
    // One thread: the process has no turn before the test lets it.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (orders, mut order) = bounded::<u32>(PLACES);
    let (calls, mut call) = bounded::<u32>(PLACES);
    let (orders, calls) = (orders.named("woken/orders"), calls.named("woken/calls"));
    runtime.block_on(async {
        let scope = towpath::scope(&Ctx::root(), |s| async move {
            s.spawn("woken-cook", move |_| async move {
                join(order.recv(), call.recv()).await;
            });
            while wait(&snapshot(), "woken-cook").is_none() {
                tokio::task::yield_now().await;
            }
            assert_eq!(wait(&snapshot(), "woken-cook").unwrap().arms.len(), 2);
            orders.try_send(1)?;
            // It stands in one line yet, with one waker in it; but its future has news in the other.
            assert!(wait(&snapshot(), "woken-cook").is_none());
            tokio::task::yield_now().await;
            assert_eq!(wait(&snapshot(), "woken-cook").unwrap().arms.len(), 1);
            drop(calls);
            Ok(())
        });
        scope.await.unwrap();
    });
}
