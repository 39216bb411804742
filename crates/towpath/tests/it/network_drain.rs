//! Ending a network: draining lets everything out that is inside, stopping asks, dropping does not.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use towpath::{
    BoxError, Cause, Ctx, Error, Receiver, ReserveError, SendError, Sender, TryReserveError,
    TrySendError,
    network::{Network, NotDrained, Running},
    rendezvous,
    supervisor::{OnExit, Strategy, Supervisor},
};

use crate::harness::{Polled, Task, run, watchdog};

const LONG: Duration = Duration::from_secs(3600);
const ROOM: usize = 64;

/// A network with one process, which waits for a word from outside and then passes everything on.
fn gated(capacity: usize) -> (Sender<u64>, Sender<()>, Running, Receiver<u64>) {
    let mut net = Network::new("gated");
    let (tx, input) = net.input::<u64>("input", capacity);
    let (out, rx) = net.output("output", ROOM);
    let (go, mut gate) = rendezvous::<()>();
    net.process("gate", (input, out), async move |_, (input, out)| {
        gate.recv().await;
        while let Some(n) = input.recv().await {
            out.send(n).await?;
        }
        Ok::<(), SendError<u64>>(())
    });
    (tx, go, net.start(&Ctx::root()).unwrap(), rx)
}

#[tokio::test]
async fn draining_gives_new_messages_back_and_delivers_what_is_queued() {
    for capacity in [0, 1, 2, 3, 4, 5, 8] {
        let (tx, go, running, mut rx) = gated(capacity);
        for n in 0..capacity as u64 {
            tx.try_send(n).unwrap();
        }
        let waiting = Polled::parked(tx.send(100));
        let reserving = Polled::parked(tx.reserve());
        let mut slot = Some(101);
        let selecting = Polled::parked(async {
            towpath::select! { sent = tx.send_from(&mut slot) => sent }
        });
        let draining = draining(running);
        assert_eq!(waiting.finish(), Err(SendError(100)), "capacity {capacity}");
        assert_eq!(reserving.finish().map(drop), Err(ReserveError));
        assert_eq!(selecting.finish(), Err(SendError(101)));
        assert_eq!(tx.try_send(102), Err(TrySendError::Closed(102)));
        assert_eq!(tx.send(103).await, Err(SendError(103)));
        assert_eq!(tx.try_reserve().map(drop), Err(TryReserveError::Closed));
        assert!(tx.is_closed());
        drop(go);
        draining.await.unwrap();
        for n in 0..capacity as u64 {
            assert_eq!(rx.recv().await, Some(n));
        }
        assert_eq!(rx.recv().await, None, "capacity {capacity}");
        // The sender goes after everything else.
        drop(tx);
    }
}

/// A drain that has begun, and waits.
fn draining(running: Running) -> Pin<Box<impl Future<Output = Result<(), Error>>>> {
    let mut draining = Box::pin(running.drain(LONG));
    assert!(Task::new().poll(draining.as_mut()).is_pending());
    draining
}

#[tokio::test]
async fn a_permit_from_before_gives_its_value_back() {
    for capacity in [1, 2, 3, 4, 5, 8] {
        let (tx, go, running, mut rx) = gated(capacity);
        let permit = tx.try_reserve().unwrap();
        let unused = (capacity > 1).then(|| tx.try_reserve().unwrap());
        let draining = draining(running);
        assert_eq!(permit.try_send(7), Err(SendError(7)), "capacity {capacity}");
        drop(unused);
        drop(go);
        draining.await.unwrap();
        assert_eq!(rx.recv().await, None);
    }
}

#[test]
fn a_blocked_thread_has_its_value_back() {
    watchdog(60, || {
        for capacity in [0, 1, 4] {
            let (tx, go, running, mut rx) = gated(capacity);
            for n in 0..capacity as u64 {
                tx.try_send(n).unwrap();
            }
            let sender = std::thread::spawn(move || tx.send_blocking(100));
            let drainer = std::thread::spawn(move || towpath::block_on(running.drain(LONG)));
            assert_eq!(sender.join().unwrap(), Err(SendError(100)), "capacity {capacity}");
            drop(go);
            drainer.join().unwrap().unwrap();
            let queued = std::iter::from_fn(|| rx.try_recv().ok()).count();
            assert_eq!(queued, capacity);
        }
    });
}

/// Three stages with rendezvous between them, and a source that never ends by itself.
fn busy(ticks: usize) -> (Sender<u64>, Running, Receiver<u64>) {
    let mut net = Network::new("busy");
    let (tx, input) = net.input::<u64>("input", ticks);
    let (ticks_out, ticks) = net.channel::<u64>("ticks", 0);
    let (merged_out, merged) = net.channel::<u64>("merged", 0);
    let (out, rx) = net.output("output", ROOM);
    net.process("source", ticks_out, async |ctx, ticks: &mut Sender<u64>| {
        loop {
            towpath::select! { biased;
                cause = ctx.done() => return Err::<(), BoxError>(cause.into()),
                sent = ticks.send(0) => sent?,
            }
        }
    });
    net.process("merge", (input, ticks, merged_out), async |_, (input, ticks, out)| {
        while let Some(n) = input.recv().await {
            ticks.recv().await;
            out.send(n).await?;
        }
        // Also what the source had begun to send.
        while ticks.recv().await.is_some() {}
        Ok::<(), SendError<u64>>(())
    });
    net.process_blocking("last", (merged, out), |_, (merged, out)| {
        while let Some(n) = merged.recv_blocking() {
            out.send_blocking(n)?;
        }
        Ok::<(), SendError<u64>>(())
    });
    (tx, net.start(&Ctx::root()).unwrap(), rx)
}

#[test]
fn draining_ends_sources_and_goes_from_stage_to_stage() {
    run(60, async {
        let (tx, running, mut rx) = busy(ROOM);
        for n in 0..ROOM as u64 {
            tx.try_send(n).unwrap();
        }
        // The source may be gone before the last message asks it for a tick: then there is none, and that is all right.
        running.drain(LONG).await.unwrap();
        for n in 0..ROOM as u64 {
            assert_eq!(rx.recv().await, Some(n));
        }
        assert_eq!(rx.recv().await, None);
    });
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_not_begun_is_told_too() {
    let mut net = Network::new("net");
    let (out, mut rx) = net.output::<()>("output", 1);
    net.process("task", out, async |ctx, _: &mut Sender<()>| Err::<(), Cause>(ctx.done().await));
    let calm = Supervisor::new("calm", Strategy::OneForOne);
    net.supervised(calm, |group| {
        group.child("child", OnExit::Restart, (), async |ctx, ()| {
            Err::<(), Cause>(ctx.done().await)
        });
    });
    // On one thread nothing of it has run yet.
    net.start(&Ctx::root()).unwrap().drain(LONG).await.unwrap();
    assert_eq!(rx.recv().await, None);
}

#[test]
fn a_thread_is_a_source_too() {
    run(60, async {
        let mut net = Network::new("net");
        net.process_blocking("thread", (), |ctx, ()| Err::<(), Cause>(ctx.done_blocking()));
        net.start(&Ctx::root()).unwrap().drain(LONG).await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_slow_to_end_was_cut_short_and_did_not_fail() {
    let mut net = Network::new("net");
    net.process("slow", (), async |ctx, ()| {
        let cause = ctx.done().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        Err::<(), Cause>(cause)
    });
    let error = net.start(&Ctx::root()).unwrap().drain(Duration::from_secs(1)).await.unwrap_err();
    let Error::Cancelled { cause: Cause::Cancelled(why), .. } = &error else { panic!("{error:?}") };
    assert!(why.downcast_ref::<NotDrained>().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_has_not_ended_in_time_is_named_and_told() {
    let mut net = Network::new("net");
    let (tx, input) = net.input::<u64>("input", ROOM);
    let (a_out, a_in) = net.channel::<u64>("a", ROOM);
    let (b_out, b_in) = net.channel::<u64>("b", ROOM);
    net.process(
        "ends",
        input,
        async |_, rx: &mut Receiver<u64>| {
            while rx.recv().await.is_some() {}
        },
    );
    // These two keep each other going.
    for (name, ports) in [("ping", (a_in, b_out)), ("pong", (b_in, a_out))] {
        net.process(name, ports, async |ctx, (rx, tx)| {
            loop {
                towpath::select! {
                    cause = ctx.done() => return Err::<(), BoxError>(cause.into()),
                    n = rx.recv() => match n {
                        Some(n) => tx.send(n).await?,
                        None => return Ok(()),
                    },
                }
            }
        });
    }
    let running = net.start(&Ctx::root()).unwrap();
    let begin = tokio::time::Instant::now();
    let error = running.drain(Duration::from_secs(7)).await.unwrap_err();
    assert_eq!(begin.elapsed().as_secs(), 7);
    let Error::Cancelled { cause: Cause::Cancelled(why), .. } = &error else { panic!("{error:?}") };
    let not_drained: &NotDrained = why.downcast_ref().unwrap();
    assert_eq!(
        not_drained.to_string(),
        "the network did not drain within 7s; still at work: `ping`, `pong`"
    );
    drop(tx);
}

#[tokio::test(start_paused = true)]
async fn who_ends_well_but_too_late_is_too_late() {
    let mut net = Network::new("net");
    let (_tx, input) = net.input::<u64>("input", 1);
    net.process("slow", input, async |ctx, _: &mut Receiver<u64>| {
        ctx.done().await;
    });
    let error = net.start(&Ctx::root()).unwrap().drain(Duration::from_secs(1)).await.unwrap_err();
    assert!(error.is_cancelled(), "{error:?}");
}

#[tokio::test]
async fn a_failure_while_draining_is_what_counts() {
    let mut net = Network::new("net");
    let (tx, input) = net.input::<u64>("input", 1);
    net.process("fails", input, async |_, rx: &mut Receiver<u64>| {
        while rx.recv().await.is_some() {}
        Err::<(), _>("the books do not balance")
    });
    let error = net.start(&Ctx::root()).unwrap().drain(LONG).await.unwrap_err();
    assert_eq!(error.process().unwrap(), &"fails");
    drop(tx);
}

#[tokio::test]
async fn a_network_that_has_ended_drains_at_once() {
    let (tx, go, mut running, _rx) = gated(1);
    drop((tx, go));
    running.join().await.unwrap();
    running.join().await.unwrap();
    running.drain(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn stopping_tells_the_reason_and_is_no_error() {
    let mut net = Network::new("net");
    let (why_out, mut why) = net.output::<String>("why", 1);
    net.process("waits", why_out, async |ctx, why: &mut Sender<String>| {
        let cause = ctx.done().await;
        why.send(cause.to_string()).await?;
        Err::<(), BoxError>(cause.into())
    });
    let running = net.start(&Ctx::root()).unwrap();
    running.stop("closing time").await.unwrap();
    assert_eq!(why.recv().await.as_deref(), Some("cancelled: closing time"));
}

#[tokio::test]
async fn stopping_what_the_context_has_stopped_tells_that() {
    let mut net = Network::new("net");
    net.process("waits", (), async |ctx, ()| Err::<(), Cause>(ctx.done().await));
    let (ctx, canceller) = Ctx::root().with_cancel();
    let running = net.start(&ctx).unwrap();
    canceller.cancel("fire");
    let error = running.stop("closing time").await.unwrap_err();
    assert!(
        matches!(&error, Error::Cancelled { cause: Cause::Cancelled(why), .. }
        if why.to_string() == "fire"),
        "{error:?}"
    );
}

#[test]
fn dropping_a_running_network_ends_it_there_and_then() {
    run(60, async {
        let alive = Arc::new(());
        let mut net = Network::new("net");
        let (ready, mut is_ready) = net.output::<()>("ready", 2);
        let kept = alive.clone();
        net.process("task", ready.clone(), async move |_, ready: &mut Sender<()>| {
            let _alive = kept;
            ready.send(()).await.unwrap();
            std::future::pending::<()>().await;
        });
        let kept = alive.clone();
        net.process_blocking("thread", ready, move |ctx, ready| {
            let _alive = kept;
            ready.send_blocking(()).unwrap();
            ctx.done_blocking();
        });
        let running = net.start(&Ctx::root()).unwrap();
        is_ready.recv().await;
        is_ready.recv().await;
        assert_eq!(Arc::strong_count(&alive), 3);
        drop(running);
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

#[tokio::test]
async fn a_network_that_is_dropped_before_it_began_never_begins() {
    let mut net = Network::new("net");
    net.process("never", (), async |_, ()| -> () { panic!("it began") });
    drop(net.start(&Ctx::root()).unwrap());
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn dropping_the_future_of_a_drain_stops_the_network() {
    let (tx, _go, running, rx) = gated(1);
    tx.try_send(1).unwrap();
    drop(draining(running));
    // The process was dropped with its ports, and what was queued with them.
    assert_eq!(rx.len(), 0);
    assert!(rx.is_closed() && tx.is_closed());
}

#[test]
fn a_running_network_dies_with_its_runtime() {
    let runtime = crate::harness::runtime();
    let mut net = Network::new("net");
    net.process("waits", (), async |_, ()| std::future::pending::<()>().await);
    let mut running = runtime.block_on(async { net.start(&Ctx::root()).unwrap() });
    drop(runtime);
    let error = towpath::block_on(running.join()).unwrap_err();
    assert!(!error.is_panic(), "{error:?}");
}

#[test]
fn what_is_accepted_while_it_drains_is_delivered() {
    watchdog(120, || {
        let runtime = crate::harness::runtime();
        for round in 0..200 {
            let mut net = Network::new("net");
            let (tx, input) = net.input::<u64>("input", [0, 1, 4][round % 3]);
            let (out, mut rx) = net.output("output", 4_096);
            net.process("pass", (input, out), async |_, (rx, tx)| {
                while let Some(n) = rx.recv().await {
                    tx.send(n).await?;
                }
                Ok::<(), SendError<u64>>(())
            });
            let senders: Vec<_> = (0..3)
                .map(|_| {
                    let tx = tx.clone();
                    std::thread::spawn(move || {
                        (0..1_000).find(|n| tx.send_blocking(*n).is_err()).unwrap_or(1_000)
                    })
                })
                .collect();
            runtime.block_on(async {
                let running = net.start(&Ctx::root()).unwrap();
                for _ in 0..round % 7 {
                    tokio::task::yield_now().await;
                }
                running.drain(LONG).await.unwrap();
            });
            let sent: u64 = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
            let received = std::iter::from_fn(|| rx.try_recv().ok()).count();
            assert_eq!(received as u64, sent, "round {round}");
        }
    });
}
