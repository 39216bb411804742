//! Somebody sends to a receiver that has left because a context ended, or because it was told to stop.
//!
//! | kernel | who sends | who has left | what ends it here |
//! |---|---|---|---|
//! | `cockroach_18101` | a splitter of work | an importer that was cancelled | the importer owned its input; the send fails |
//! | `kubernetes_25331` | a watcher with its error | a reader that the watcher has cancelled | the same |
//! | `moby_33781` | a health probe | a monitor that was stopped | the same |

use towpath::{BoxError, Canceller, Ctx, Receiver, Sender, bounded, rendezvous, rt, scope, select};

use super::go::Chan;
use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] =
    &[cockroach_18101::KERNEL, kubernetes_25331::KERNEL, moby_33781::KERNEL];

const SOURCE: &str = include_str!("chan_ctx_gone.rs");

mod cockroach_18101 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "cockroach_18101",
        class: Class::ChanCtx,
        shape: "An importer takes chunks until it is cancelled. The splitter that sends them into a bounded channel does \
                not look whether it was.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("ready") }],
        timers: false,
        go_of_100: Some(100),
        note: "The importer owns its input. When it leaves, the splitter's send gives the chunk back.",
        source: SOURCE,
    };

    /// Chunks that are split and wait to be imported.
    const READY: usize = 1;

    const CHUNKS: usize = 3;

    /// How many chunks it imported.
    async fn import(ctx: Ctx, mut ready: Receiver<usize>) -> Result<usize, BoxError> {
        let mut imported = 0;
        loop {
            select! {
                chunk = ready.recv() => match chunk {
                    Some(_) => imported += 1,
                    None => return Ok(imported),
                },
                _ = ctx.done() => return Ok(imported),
            }
        }
    }

    /// How many chunks it got rid of.
    async fn split(ready: Sender<usize>) -> Result<usize, BoxError> {
        for chunk in 0..CHUNKS {
            if ready.send(chunk).await.is_err() {
                return Ok(chunk);
            }
        }
        Ok(CHUNKS)
    }

    async fn owned() {
        let restore = scope(&Ctx::root(), |s| async move {
            let (chunk, ready) = bounded(READY);
            let importer = s.spawn("importer", |ctx| import(ctx, ready));
            let splitter = s.spawn("splitter", |_| split(chunk.clone()));
            s.cancel("the job was cancelled");
            let imported = importer.await?;
            assert!(chunk.send(CHUNKS).await.is_err());
            let split = splitter.await?;
            assert!(imported <= split && split <= imported + READY, "for the rest, an error");
            Ok(())
        });
        restore.await.expect("nobody fails");
    }

    async fn import_shared(ctx: Ctx, ready: Chan<usize>) {
        let mut ready = ready.rx.clone();
        loop {
            select! {
                _ = ready.recv() => {}
                _ = ctx.done() => return,
            }
        }
    }

    async fn split_shared(ready: Chan<usize>) {
        for chunk in 0..CHUNKS {
            let _ = ready.tx.send(chunk).await; // stuck: spawned
        }
    }

    async fn split_until(ctx: Ctx, ready: Chan<usize>) {
        for chunk in 0..CHUNKS {
            select! {
                _ = ready.tx.send(chunk) => {}
                _ = ctx.done() => return,
            }
        }
    }

    async fn shared() {
        let ready = Chan::new("ready", bounded(READY));
        let (ctx, canceller) = Ctx::root().with_cancel();
        rt::spawn(split_shared(ready.clone()));
        let importer = rt::spawn(import_shared(ctx, ready));
        canceller.cancel("the job was cancelled");
        let _ = importer.await;
    }

    async fn fixed() {
        let ready = Chan::new("ready", bounded(READY));
        let (ctx, canceller) = Ctx::root().with_cancel();
        let splitter = rt::spawn(split_until(ctx.clone(), ready.clone()));
        let importer = rt::spawn(import_shared(ctx, ready));
        canceller.cancel("the job was cancelled");
        importer.await.expect("it was cancelled");
        splitter.await.expect("it was cancelled");
    }
}

mod kubernetes_25331 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "kubernetes_25331",
        class: Class::ChanCtx,
        shape: "A watcher that gets an error cancels its context, and then hands the error over by rendezvous. The \
                reader has stopped with the context.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("result") }],
        timers: false,
        go_of_100: Some(100),
        note: "The reader owns the receiving end. When it has stopped, the watcher gets its error back.",
        source: SOURCE,
    };

    type Event = Result<u32, &'static str>;

    async fn watch(end: Canceller, result: Sender<Event>) -> Result<bool, BoxError> {
        end.cancel("the watch has failed");
        Ok(result.send(Err("compacted")).await.is_ok())
    }

    async fn read(ctx: Ctx, mut results: Receiver<Event>) -> Option<Event> {
        select! {
            event = results.recv() => event,
            _ = ctx.done() => None,
        }
    }

    async fn owned() {
        let watching = scope(&Ctx::root(), |s| async move {
            let (result, results) = rendezvous();
            let (ctx, end) = s.ctx().with_cancel();
            let watcher = s.spawn("watcher", |_| watch(end, result));
            let event = read(ctx, results).await;
            assert_eq!(watcher.await?, event.is_some(), "the watcher knows whether it was heard");
            Ok(())
        });
        watching.await.expect("nobody fails");
    }

    async fn watch_shared(end: Canceller, result: Chan<Event>) {
        end.cancel("the watch has failed");
        let _ = result.tx.send(Err("compacted")).await; // stuck: spawned
    }

    /// The error first, unless the reader has stopped.
    async fn watch_until(end: Canceller, result: Chan<Event>) {
        select! {
            _ = result.tx.send(Err("compacted")) => {}
            _ = end.ctx().done() => {}
        }
        end.cancel("the watch has failed");
    }

    async fn read_shared(ctx: Ctx, result: Chan<Event>) {
        let mut results = result.rx.clone();
        select! {
            _ = results.recv() => {}
            _ = ctx.done() => {}
        }
    }

    async fn shared() {
        let result = Chan::new("result", rendezvous());
        let (ctx, end) = Ctx::root().with_cancel();
        rt::spawn(watch_shared(end, result.clone()));
        read_shared(ctx, result).await;
    }

    async fn fixed() {
        let result = Chan::new("result", rendezvous());
        let (ctx, end) = Ctx::root().with_cancel();
        let watcher = rt::spawn(watch_until(end.clone(), result.clone()));
        let reader = rt::spawn(read_shared(ctx, result));
        end.cancel("the reader is stopped"); // before or after it has heard of the error
        watcher.await.expect("it was heard or cancelled");
        reader.await.expect("it was stopped");
    }
}

mod moby_33781 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "moby_33781",
        class: Class::ChanCtx,
        shape: "A monitor starts a health probe, which hands its result over by rendezvous, and selects between that \
                and the word to stop. It stops, and the probe waits.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("results") }],
        timers: false,
        go_of_100: Some(25),
        note: "The monitor owns the receiving end of each probe. When it stops, the probe's send fails.",
        source: SOURCE,
    };

    /// How often it looks; after that it only waits to be stopped.
    const PROBES: usize = 2;

    async fn owned() {
        let container = scope(&Ctx::root(), |s| async move {
            let (stop, mut stopped) = rendezvous();
            let inner = s.clone();
            let monitor = s.spawn("monitor", |_| async move {
                for _ in 0..PROBES {
                    let (result, mut results) = rendezvous();
                    let probe = inner.spawn("probe", |_| async move {
                        Ok::<_, BoxError>(result.send("healthy").await.is_ok())
                    });
                    let health = select! {
                        health = results.recv() => health,
                        _ = stopped.recv() => None,
                    };
                    drop(results);
                    assert_eq!(probe.await?, health.is_some());
                    if health.is_none() {
                        return Ok(());
                    }
                }
                stopped.recv().await;
                Ok::<_, BoxError>(())
            });
            stop.send(()).await?;
            Ok(monitor.await?)
        });
        container.await.expect("nobody fails");
    }

    async fn probe(results: Chan<&'static str>) {
        let _ = results.tx.send("healthy").await; // stuck: spawned
    }

    async fn monitor(stop: Chan<()>) {
        let mut stop = stop.rx.clone();
        for _ in 0..PROBES {
            let results = Chan::new("results", rendezvous());
            rt::spawn(probe(results.clone()));
            let mut results = results.rx.clone();
            select! {
                _ = results.recv() => {}
                _ = stop.recv() => return,
            }
        }
        stop.recv().await;
    }

    /// Hears what the probe has to say also when it is stopped.
    async fn monitor_to_the_end(stop: Chan<()>) {
        let mut stop = stop.rx.clone();
        for _ in 0..PROBES {
            let results = Chan::new("results", rendezvous());
            let probe = rt::spawn(probe(results.clone()));
            let mut results = results.rx.clone();
            let stopped = select! {
                _ = results.recv() => false,
                _ = stop.recv() => true,
            };
            if stopped {
                results.recv().await;
            }
            probe.await.expect("it was heard");
            if stopped {
                return;
            }
        }
        stop.recv().await;
    }

    async fn shared() {
        let stop = Chan::new("stop", rendezvous());
        let monitor = rt::spawn(monitor(stop.clone()));
        assert!(stop.tx.send(()).await.is_ok());
        let _ = monitor.await;
    }

    async fn fixed() {
        let stop = Chan::new("stop", rendezvous());
        let monitor = rt::spawn(monitor_to_the_end(stop.clone()));
        assert!(stop.tx.send(()).await.is_ok());
        monitor.await.expect("it was stopped");
    }
}
