//! Supervisors: children crash and come back, their channels stay, and nothing outlives its supervisor.
//!
//! On tokio with its clock stopped: time passes only when everybody waits, and then to the next timer exactly.

use std::{
    error::Error as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use towpath::{
    BoxError, Cause, Ctx, Error, Receiver, Sender, bounded, process, scope,
    supervisor::{Backoff, GaveUp, Intensity, OnExit, Strategy, Supervisor},
    unbounded,
};

const SECOND: Duration = Duration::from_secs(1);
const MANY: usize = 64;

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn supervisor(strategy: Strategy) -> Supervisor {
    Supervisor::new("test", strategy)
        .with_backoff(Backoff::NONE)
        .with_intensity(Intensity::new(100, SECOND))
}

/// A child that says when it starts and stops, and for each word on its channel does what it says.
async fn worker(ctx: Ctx, (log, rx): &mut (Log, Receiver<&'static str>)) -> Result<(), BoxError> {
    let name = process::current().map(|it| it.name().to_string()).unwrap_or_default();
    log.note(format!("{name} starts"));
    loop {
        let word = towpath::select! { biased;
            cause = ctx.done() => {
                log.note(format!("{name} stops: {cause}"));
                return Err(cause.into());
            }
            word = rx.recv() => word,
        };
        match word {
            None => return Ok(()),
            Some("fail") => return Err("it was told to fail".into()),
            Some("panic") => panic!("told to panic"),
            Some("end") => return Ok(()),
            Some(other) => log.note(format!("{name}: {other}")),
        }
    }
}

/// Three workers and the channels to them.
fn workers(supervisor: &mut Supervisor, log: &Log, on_exit: OnExit) -> [Sender<&'static str>; 3] {
    ["a", "b", "c"].map(|name| {
        let (tx, rx) = bounded(MANY);
        supervisor.child(name, on_exit, (log.clone(), rx), worker);
        tx
    })
}

/// Lets everybody run until all wait for something other than time.
async fn settle() {
    // A timer later than now rings when nobody else can run.
    tokio::time::sleep(Duration::from_nanos(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_no_message_that_is_queued() {
    let mut supervisor = supervisor(Strategy::OneForOne);
    let (tx, rx) = bounded(MANY);
    let (sent, mut received) = bounded(MANY);
    for word in [1, 2, 0, 3, 0, 0, 4] {
        tx.try_send(word).unwrap();
    }
    drop(tx);
    supervisor.child(
        "adder",
        OnExit::RestartOnFailure,
        (rx, sent, 0),
        async |_, (rx, sent, sum): &mut (Receiver<u32>, Sender<u32>, u32)| {
            while let Some(word) = rx.recv().await {
                assert_ne!(word, 0, "a zero");
                *sum += word;
                sent.send(*sum).await?;
            }
            Ok::<(), BoxError>(())
        },
    );
    supervisor.run(&Ctx::root()).await.unwrap();
    let mut sums = Vec::new();
    while let Some(sum) = received.recv().await {
        sums.push(sum);
    }
    assert_eq!(sums, [1, 3, 6, 10], "what is kept in the ports survives too");
}

#[tokio::test(start_paused = true)]
async fn each_strategy_restarts_whom_it_names() {
    let failed = "process `b` failed: it was told to fail";
    for (strategy, expected) in [
        (Strategy::OneForOne, vec!["b starts".to_owned()]),
        (
            Strategy::RestForOne,
            vec![format!("c stops: {failed}"), "b starts".into(), "c starts".into()],
        ),
        (
            Strategy::OneForAll,
            vec![
                format!("a stops: {failed}"),
                format!("c stops: {failed}"),
                "a starts".into(),
                "b starts".into(),
                "c starts".into(),
            ],
        ),
    ] {
        let log = Log::default();
        let mut supervisor = supervisor(strategy);
        let [a, b, c] = workers(&mut supervisor, &log, OnExit::RestartOnFailure);
        let test = async {
            settle().await;
            assert_eq!(log.take(), ["a starts", "b starts", "c starts"]);
            b.send("fail").await.unwrap();
            settle().await;
            assert_eq!(log.take(), expected, "{strategy:?}");
            // All of them are there.
            for tx in [a, b, c] {
                tx.send("hello").await.unwrap();
                settle().await;
            }
            assert_eq!(log.take(), ["a: hello", "b: hello", "c: hello"]);
        };
        let ctx = Ctx::root();
        let (result, ()) = tokio::join!(supervisor.run(&ctx), test);
        result.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_with_a_list_of_what_happened() {
    let log = Log::default();
    let mut supervisor =
        supervisor(Strategy::OneForOne).with_intensity(Intensity::new(2, 60 * SECOND));
    let [a, b, c] = workers(&mut supervisor, &log, OnExit::Restart);
    let test = async {
        for (tx, word) in [(&a, "fail"), (&c, "end"), (&a, "panic")] {
            tx.send(word).await.unwrap();
            settle().await;
            tokio::time::sleep(SECOND).await;
        }
        // Its siblings were stopped, and the ports of all are gone.
        assert!(a.is_closed() && b.is_closed() && c.is_closed());
    };
    let ctx = Ctx::root();
    let (result, ()) = tokio::join!(supervisor.run(&ctx), test);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "process `test` failed");
    let gave_up: &GaveUp = error.source().unwrap().downcast_ref().unwrap();
    assert_eq!(
        gave_up.to_string(),
        "gave up: process `a` failed once more after 2 restarts within 60s"
    );
    let last = gave_up.last.as_ref().unwrap().to_string();
    assert!(
        last.starts_with("process `a` panicked at crates/towpath/tests/it/supervisor.rs:"),
        "{last}"
    );
    assert!(last.ends_with(": told to panic"));
    assert_eq!(gave_up.source().unwrap().to_string(), last);
    let earlier: Vec<_> = gave_up
        .earlier
        .iter()
        .map(|it| (it.process.as_str(), it.ago.as_secs(), it.error.is_some()))
        .collect();
    assert_eq!(earlier, [("a", 2, true), ("c", 1, false)]);
    assert!(error.later().is_empty(), "those who stopped when asked to add nothing");
    let stopped = log.take().into_iter().filter(|it| it.contains("stops")).collect::<Vec<_>>();
    let told = "stops: process `a` failed: panicked: told to panic";
    assert_eq!(stopped, [format!("b {told}"), format!("c {told}")]);
}

#[tokio::test(start_paused = true)]
async fn restarts_wait_longer_each_time() {
    let mut supervisor = supervisor(Strategy::OneForOne)
        .with_intensity(Intensity::new(4, 60 * SECOND))
        .with_backoff(Backoff::new(SECOND, 4 * SECOND).with_jitter(0.0));
    let starts = Log::default();
    let begin = Instant::now();
    supervisor.child("child", OnExit::Restart, starts.clone(), async move |_, starts: &mut Log| {
        starts.note(begin.elapsed().as_secs().to_string());
        Err::<(), _>("at once")
    });
    supervisor.run(&Ctx::root()).await.unwrap_err();
    assert_eq!(starts.take(), ["0", "1", "3", "7", "11"]);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_restarts() {
    let mut supervisor = supervisor(Strategy::OneForOne)
        .with_intensity(Intensity::new(49, 3600 * SECOND))
        .with_backoff(Backoff::new(SECOND, SECOND).with_jitter(0.5));
    let starts = Arc::new(Mutex::new(vec![Instant::now()]));
    supervisor.child(
        "child",
        OnExit::Restart,
        starts.clone(),
        async |_, starts: &mut Arc<Mutex<Vec<Instant>>>| {
            starts.lock().unwrap().push(Instant::now());
            Err::<(), _>("at once")
        },
    );
    supervisor.run(&Ctx::root()).await.unwrap_err();
    let starts = starts.lock().unwrap();
    let mut delays: Vec<_> = starts[1..].windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(delays.len(), 49);
    // Timers of tokio are exact to a millisecond.
    let millisecond = Duration::from_millis(1);
    assert!(delays.iter().all(|it| (SECOND / 2..=SECOND + millisecond).contains(it)), "{delays:?}");
    delays.sort();
    delays.dedup();
    assert!(delays.len() > 10, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_done_lets_its_ports_go() {
    let log = Log::default();
    let mut supervisor = supervisor(Strategy::OneForOne);
    let [a, b, c] = workers(&mut supervisor, &log, OnExit::RestartOnFailure);
    let ctx = Ctx::root();
    let (result, ()) = tokio::join!(supervisor.run(&ctx), async {
        b.send("end").await.unwrap();
        settle().await;
        assert!(b.is_closed() && !a.is_closed() && !c.is_closed());
        drop((a, c));
    });
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_end_of_a_child_means_is_its_own_choice() {
    for (on_exit, word, starts, ends_all) in [
        (OnExit::Restart, "end", 2, false),
        (OnExit::Restart, "fail", 2, false),
        (OnExit::RestartOnFailure, "end", 1, false),
        (OnExit::RestartOnFailure, "panic", 2, false),
        (OnExit::Leave, "end", 1, false),
        (OnExit::Leave, "fail", 1, false),
        (OnExit::Stop, "end", 1, true),
        (OnExit::Stop, "fail", 1, true),
        (OnExit::Stop, "panic", 1, true),
    ] {
        let log = Log::default();
        let mut supervisor = supervisor(Strategy::OneForOne);
        let (tx, rx) = bounded(MANY);
        supervisor.child("child", on_exit, (log.clone(), rx), worker);
        let (other, rx) = bounded(MANY);
        supervisor.child("other", OnExit::RestartOnFailure, (Log::default(), rx), worker);
        let (ctx, canceller) = Ctx::root().with_cancel();
        let (result, ()) = tokio::join!(supervisor.run(&ctx), async {
            tx.send(word).await.unwrap();
            settle().await;
            assert_eq!(log.take().len(), starts, "{on_exit:?} {word}");
            assert_eq!(other.is_closed(), ends_all, "{on_exit:?} {word}");
            canceller.cancel("enough");
        });
        match (ends_all, word, result) {
            (true, "end", Ok(())) => {}
            (true, "fail", Err(Error::Failed { process, .. })) => assert_eq!(process, "child"),
            (true, "panic", Err(Error::Panicked { process, .. })) => assert_eq!(process, "child"),
            (false, _, Err(Error::Cancelled { cause: Cause::Cancelled(_), .. })) => {}
            (_, _, other) => panic!("{on_exit:?} {word}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn children_that_end_well_when_asked_make_a_good_end() {
    let mut supervisor = supervisor(Strategy::OneForOne);
    supervisor.child("child", OnExit::Restart, (), async |ctx, ()| {
        ctx.done().await;
    });
    let (ctx, canceller) = Ctx::root().with_cancel();
    canceller.cancel("evening");
    // Whoever was not started yet is not missed either.
    supervisor.run(&ctx).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_error_on_the_way_out_is_not_lost() {
    let mut supervisor = supervisor(Strategy::OneForOne);
    for name in ["one", "two"] {
        supervisor.child(name, OnExit::Restart, (), async |ctx, ()| {
            ctx.done().await;
            Err::<(), _>("the ledger does not add up")
        });
    }
    let (ctx, canceller) = Ctx::root().with_cancel();
    let (result, _) = tokio::join!(supervisor.run(&ctx), async {
        settle().await;
        canceller.cancel("evening")
    });
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Failed { .. }));
    assert_eq!(error.later().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stop_in_time_is_dropped() {
    let mut supervisor = supervisor(Strategy::OneForAll).with_grace(7 * SECOND);
    let (tx, rx) = bounded(MANY);
    let log = Log::default();
    supervisor.child("child", OnExit::RestartOnFailure, (log.clone(), rx), worker);
    supervisor.child("deaf", OnExit::RestartOnFailure, (), async |_, ()| {
        std::future::pending::<()>().await;
    });
    let (ctx, canceller) = Ctx::root().with_cancel();
    let (result, ()) = tokio::join!(supervisor.run(&ctx), async {
        settle().await;
        tx.send("fail").await.unwrap();
        tokio::time::sleep(6 * SECOND).await;
        assert_eq!(log.take(), ["child starts"]);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(log.take(), ["child starts"], "its sibling is gone, so it can");
        canceller.cancel("evening");
    });
    assert!(matches!(result, Err(Error::Cancelled { .. })));
}

#[tokio::test(start_paused = true)]
async fn no_two_runs_of_a_child_are_ever_alive() {
    struct Alive(Arc<AtomicUsize>);
    impl Alive {
        fn new(count: &Arc<AtomicUsize>) -> Self {
            assert_eq!(count.fetch_add(1, Ordering::SeqCst), 0, "another one is alive");
            Self(count.clone())
        }
    }
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let mut supervisor =
        supervisor(Strategy::OneForOne).with_intensity(Intensity::new(99, 3600 * SECOND));
    let count = Arc::new(AtomicUsize::new(0));
    let runs = Arc::new(AtomicUsize::new(0));
    supervisor.child(
        "child",
        OnExit::Restart,
        runs.clone(),
        async move |_, runs: &mut Arc<AtomicUsize>| {
            let _alive = Alive::new(&count);
            tokio::task::yield_now().await;
            if runs.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                panic!("every other time");
            }
        },
    );
    supervisor.run(&Ctx::root()).await.unwrap_err();
    assert_eq!(runs.load(Ordering::SeqCst), 100);
}

#[tokio::test(start_paused = true)]
async fn what_a_closure_captured_begins_anew_with_each_run() {
    let mut supervisor = supervisor(Strategy::OneForOne);
    let (tx, mut rx) = unbounded();
    let mut here = 0;
    supervisor.child("child", OnExit::RestartOnFailure, 0, async move |_, there: &mut u32| {
        (here, *there) = (here + 1, *there + 1);
        tx.try_send((here, *there)).unwrap();
        if *there < 3 { Err("not yet") } else { Ok(()) }
    });
    supervisor.run(&Ctx::root()).await.unwrap();
    let seen: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
    assert_eq!(seen, [(1, 1), (1, 2), (1, 3)]);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_supervisor_drops_its_children_there_and_then() {
    let mut supervisor = supervisor(Strategy::OneForOne);
    let alive = Arc::new(());
    for name in ["one", "two"] {
        supervisor.child(name, OnExit::Restart, alive.clone(), async |_, _: &mut Arc<()>| {
            std::future::pending::<()>().await;
        });
    }
    let ctx = Ctx::root();
    let mut running = Box::pin(supervisor.run(&ctx));
    tokio::select! {
        _ = &mut running => panic!("nobody ends"),
        () = settle() => {}
    }
    assert_eq!(Arc::strong_count(&alive), 3);
    drop(running);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_is_a_process_like_any_other() {
    let result = scope(&Ctx::root(), |s| async move {
        s.spawn("outer", |ctx| async move {
            let mut outer =
                supervisor(Strategy::OneForOne).with_intensity(Intensity::new(1, SECOND));
            outer.child("inner", OnExit::Restart, (), async |ctx, ()| {
                let mut inner =
                    supervisor(Strategy::OneForOne).with_intensity(Intensity::new(1, SECOND));
                inner.child("child", OnExit::Restart, (), async |_, ()| Err::<(), _>("no"));
                inner.run(&ctx).await
            });
            outer.run(&ctx).await
        });
        Ok(())
    });
    let error = result.await.unwrap_err();
    let mut chain = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        chain.push(error.to_string());
        next = error.source();
    }
    assert_eq!(
        chain,
        [
            "process `outer` failed",
            "process `test` failed",
            "gave up: process `inner` failed once more after 1 restarts within 1s",
            "process `inner` failed",
            "process `test` failed",
            "gave up: process `child` failed once more after 1 restarts within 1s",
            "process `child` failed",
            "no",
        ]
    );
}

#[test]
fn without_tokio_children_are_threads_that_poll() {
    let mut supervisor = supervisor(Strategy::OneForOne);
    let (tx, rx) = bounded(MANY);
    for n in 0..10 {
        tx.try_send(n).unwrap();
    }
    drop(tx);
    supervisor.child(
        "child",
        OnExit::RestartOnFailure,
        (rx, 0),
        async |_, (rx, sum): &mut (Receiver<u32>, u32)| {
            while let Some(n) = rx.recv().await {
                *sum += n;
                if n % 3 == 0 {
                    return Err("a third");
                }
            }
            assert_eq!(*sum, 45);
            Ok(())
        },
    );
    towpath::block_on(supervisor.run(&Ctx::root())).unwrap();
}
