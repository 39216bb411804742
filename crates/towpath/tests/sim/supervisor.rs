//! Supervisors: children crash and come back, what is in their ports stays, and nothing outlives them.

use std::time::Duration;

use towpath::{
    BoxError, Ctx, Receiver, Sender, bounded,
    rt::spawn,
    supervisor::{Backoff, Intensity, OnExit, Strategy, Supervisor},
    unbounded,
};
use towpath_sim::choose;

use crate::tools::all;

fn supervisor(strategy: Strategy) -> Supervisor {
    Supervisor::new("boss", strategy)
        .with_backoff(Backoff::NONE)
        .with_intensity(Intensity::new(100, Duration::from_secs(1)))
}

type AdderPorts = (Receiver<u32>, Sender<u32>, u32);

/// Adds up; a zero is too much for it.
async fn adder(_: Ctx, (rx, tx, sum): &mut AdderPorts) -> Result<(), BoxError> {
    while let Some(word) = rx.recv().await {
        if word == 0 {
            return Err("a zero".into());
        }
        *sum += word;
        tx.send(*sum).await?;
    }
    Ok(())
}

#[towpath::test]
async fn a_crash_loses_no_message_that_is_queued() {
    let mut supervisor = supervisor(Strategy::OneForOne);
    let (tx, rx) = bounded(2);
    let (sums, mut got) = unbounded();
    supervisor.child("adder", OnExit::RestartOnFailure, (rx, sums, 0), adder);
    let source = spawn(async move { tx.send_all([1, 0, 2, 0, 0, 3]).await });
    supervisor.run(&Ctx::root()).await.unwrap();
    assert_eq!(all(&mut got).await, [1, 3, 6], "what is kept in the ports survives too");
    source.await.unwrap().unwrap();
}

/// A panic in the middle, in whichever of its messages: the next one is not lost.
#[towpath::test]
async fn a_panic_is_survived() {
    let mut supervisor = supervisor(Strategy::OneForAll);
    let (tx, rx) = bounded::<u32>(1);
    let (echo, mut got) = unbounded();
    let bad = choose(3) as u32;
    supervisor.child(
        "echo",
        OnExit::RestartOnFailure,
        (rx, echo),
        async move |_, (rx, echo): &mut (Receiver<u32>, Sender<u32>)| {
            while let Some(n) = rx.recv().await {
                assert_ne!(n, bad, "unlucky");
                echo.send(n).await?;
            }
            Ok::<(), BoxError>(())
        },
    );
    let source = spawn(async move { tx.send_all(0..3).await });
    supervisor.run(&Ctx::root()).await.unwrap();
    let expected: Vec<_> = (0..3).filter(|n| *n != bad).collect();
    assert_eq!(all(&mut got).await, expected);
    source.await.unwrap().unwrap();
}

#[towpath::test]
async fn all_are_restarted_when_one_fails() {
    let mut supervisor = supervisor(Strategy::OneForAll);
    let (log, mut lines) = unbounded();
    let (tx, rx) = bounded::<()>(1);
    supervisor.child(
        "fails",
        OnExit::RestartOnFailure,
        (rx, log.clone()),
        async |_, (rx, log): &mut (Receiver<()>, Sender<&str>)| {
            log.send("fails").await?;
            rx.recv().await.map_or(Ok::<(), BoxError>(()), |()| Err("told to".into()))
        },
    );
    supervisor.child("other", OnExit::Restart, log, async |ctx, log: &mut Sender<&str>| {
        log.send("other").await?;
        Err::<(), BoxError>(ctx.done().await.into())
    });
    let (ctx, canceller) = Ctx::root().with_cancel();
    let boss = spawn(async move { supervisor.run(&ctx).await });
    let mut first = [lines.recv().await, lines.recv().await].map(Option::unwrap_or_default);
    first.sort_unstable();
    assert_eq!(first, ["fails", "other"]);
    tx.send(()).await.unwrap();
    let mut again = [lines.recv().await, lines.recv().await].map(Option::unwrap_or_default);
    again.sort_unstable();
    assert_eq!(again, ["fails", "other"]);
    canceller.cancel("home");
    // The first child waits for its channel, and ends with it.
    drop(tx);
    drop(boss.await.unwrap());
    assert_eq!(lines.recv().await, None);
}

#[towpath::test]
async fn it_gives_up_and_takes_everybody_along() {
    let mut supervisor =
        supervisor(Strategy::OneForOne).with_intensity(Intensity::new(1, Duration::from_secs(60)));
    let (tx, rx) = bounded::<()>(1);
    supervisor.child("hopeless", OnExit::Restart, (), async |_, (): &mut ()| {
        Err::<(), BoxError>("again".into())
    });
    supervisor.child("sound", OnExit::Restart, rx, async |ctx, rx: &mut Receiver<()>| {
        towpath::select! {
            cause = ctx.done() => Err::<(), BoxError>(cause.into()),
            _ = rx.recv() => Ok(()),
        }
    });
    let error = supervisor.run(&Ctx::root()).await.unwrap_err();
    assert_eq!(error.to_string(), "process `boss` failed");
    assert!(tx.is_closed(), "its sibling is gone, and its port");
}
