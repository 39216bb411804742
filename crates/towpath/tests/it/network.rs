//! Networks: declared, checked, run to their end; what their processes are lent, and how they fail.

use std::{error::Error as _, sync::Arc, time::Duration};

use towpath::{
    BoxError, Cause, Ctx, Error, Receiver, SendError, Sender, SharedReceiver,
    network::{Cycle, In, Network, Out, Ports, Problem, Wiring, WiringError},
    process, rt, scope,
    supervisor::{Backoff, GaveUp, Intensity, OnExit, Strategy, Supervisor},
};

use crate::harness::{run, watchdog};

const ROOM: usize = 8;

type Doubled = Result<(), SendError<u64>>;

async fn double(_: Ctx, (rx, tx): &mut (Receiver<u64>, Sender<u64>)) -> Doubled {
    while let Some(n) = rx.recv().await {
        tx.send(2 * n).await?;
    }
    Ok(())
}

fn double_on_a_thread(_: Ctx, (rx, tx): &mut (Receiver<u64>, Sender<u64>)) -> Doubled {
    while let Some(n) = rx.recv_blocking() {
        tx.send_blocking(2 * n)?;
    }
    Ok(())
}

async fn all<T>(rx: &mut Receiver<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(message) = rx.recv().await {
        all.push(message);
    }
    all
}

#[test]
fn a_process_may_be_a_loop_without_a_way_out() {
    run(60, async {
        let mut net = Network::new("endless");
        let (out, mut rx) = net.output("numbers", 0);
        net.process("server", out, async |_, tx| {
            let mut n = 0_u64;
            loop {
                if tx.send(n).await.is_err() {
                    rt::sleep(Duration::from_millis(1)).await; // nobody wants it; still no way out
                }
                n += 1;
            }
        });
        let running = net.start(&Ctx::root()).unwrap();
        assert_eq!((rx.recv().await, rx.recv().await), (Some(0), Some(1)));
        drop(running); // the only end it can have
        assert_eq!(rx.recv().await, None);
    });
}

#[test]
fn messages_flow_through_functions_closures_and_threads() {
    run(60, async {
        for capacity in [0, 1, ROOM] {
            let mut net = Network::new("line");
            let (tx, first) = net.input("first", capacity);
            let (out, second) = net.channel("second", capacity);
            net.process("function", (first, out), double);
            let (out, third) = net.unbounded("third");
            let factor = Arc::new(3);
            net.process("closure", (second, out), async move |_, (rx, tx)| {
                while let Some(n) = rx.recv().await {
                    tx.send(*factor * n).await?;
                }
                Ok::<(), SendError<u64>>(())
            });
            let (out, mut rx) = net.output("fourth", capacity);
            net.process_blocking("thread", (third, out), double_on_a_thread);
            assert_eq!(net.check(), Ok(Vec::new()));
            let result = scope(&Ctx::root(), |s| async move {
                s.spawn("net", |ctx| async move { net.run(&ctx).await });
                s.spawn("tx", |_| async move {
                    for n in 0..100 {
                        tx.send(n).await?;
                    }
                    Ok::<(), SendError<u64>>(())
                });
                Ok(all(&mut rx).await)
            });
            assert_eq!(result.await.unwrap(), (0..100).map(|n| 12 * n).collect::<Vec<_>>());
        }
    });
}

#[test]
fn many_send_into_one_channel_and_many_share_its_messages() {
    run(60, async {
        let mut net = Network::new("pool");
        let (jobs_out, jobs) = net.channel::<u64>("jobs", ROOM);
        let (done_out, mut done) = net.output::<u64>("done", ROOM);
        let jobs = jobs.into_shared();
        for n in 0..3 {
            net.process(
                format!("source {n}"),
                jobs_out.clone(),
                async move |_, jobs: &mut Sender<u64>| jobs.send_all(n * 100..n * 100 + 50).await,
            );
            net.process(
                format!("worker {n}"),
                (jobs.clone(), done_out.clone()),
                async |_, (jobs, done): &mut (SharedReceiver<u64>, Sender<u64>)| {
                    while let Some(job) = jobs.recv().await {
                        done.send(job).await?;
                    }
                    Ok::<(), SendError<u64>>(())
                },
            );
        }
        let ctx = Ctx::root();
        let (result, mut seen) = tokio::join!(net.run(&ctx), all(&mut done));
        result.unwrap();
        seen.sort_unstable();
        assert!(seen.into_iter().eq((0..3).flat_map(|n| n * 100..n * 100 + 50)));
        // The tokens are still here, and have kept nothing open.
        let _tokens = (jobs_out, jobs, done_out);
    });
}

#[test]
fn ports_may_come_as_a_vec_a_struct_or_not_at_all() {
    struct Merge {
        from: Vec<In<u64>>,
        to: Out<u64>,
        log: Option<Out<String>>,
    }
    struct Merging {
        from: Vec<Receiver<u64>>,
        to: Sender<u64>,
        log: Option<Sender<String>>,
    }
    impl Ports for Merge {
        type Lent = Merging;
        fn connect(self, wiring: &mut Wiring<'_>) -> Merging {
            Merging {
                from: self.from.connect(wiring),
                to: self.to.connect(wiring),
                log: self.log.connect(wiring),
            }
        }
    }
    run(60, async {
        let mut net = Network::new("merge");
        let mut from = Vec::new();
        for n in 0..3_u64 {
            let (out, rx) = net.channel(format!("from {n}"), 0);
            from.push(rx);
            net.process(format!("p{n}"), (out,), async move |_, (out,)| out.send(n).await);
        }
        let (to, mut merged) = net.output("merged", ROOM);
        net.process("nothing to do", (), async |_, ()| {});
        net.process("merge", Merge { from, to, log: None }, async |_, ports: &mut Merging| {
            assert!(ports.log.is_none());
            for from in &mut ports.from {
                while let Some(n) = from.recv().await {
                    ports.to.send(n).await?;
                }
            }
            Ok::<(), SendError<u64>>(())
        });
        net.run(&Ctx::root()).await.unwrap();
        assert_eq!(all(&mut merged).await, [0, 1, 2]);
    });
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let problems = |net: Network| {
        let checked = net.check().unwrap_err();
        // The same whichever way it is asked.
        let started = net.start(&Ctx::root()).map(drop).unwrap_err();
        assert_eq!(checked, started);
        started.to_string()
    };
    assert_eq!(
        problems(Network::new("void")),
        "network `void` cannot run: it has no process: declare one with `process`"
    );

    let mut net = Network::new("loose");
    let (a_out, _a_in) = net.channel::<u32>("a", ROOM);
    let (_b_out, b_in) = net.channel::<u32>("b", ROOM);
    let (_tx, _c_in) = net.input::<u32>("c", ROOM);
    let (_d_out, _rx) = net.output::<u32>("d", ROOM);
    net.process("p", (a_out, b_in), async |_, _| -> () { panic!("must not run") });
    assert_eq!(
        problems(net),
        "network `loose` cannot run: \
         nobody receives from channel `a`: give its `In` to a process, or declare it with `output`; \
         nobody sends into channel `b`: give its `Out` to a process, or declare it with `input`; \
         nobody receives from channel `c`: give its `In` to a process, or declare it with `output`; \
         nobody sends into channel `d`: give its `Out` to a process, or declare it with `input`"
    );

    let mut net = Network::new("twins");
    for _ in 0..3 {
        let (tx, rx) = net.channel::<u32>("same", ROOM);
        net.process("p", (tx, rx), async |_, _| {});
    }
    assert_eq!(
        problems(net),
        "network `twins` cannot run: two processes are called `p`: rename one; \
         two channels are called `same`: rename one"
    );

    let mut net = Network::new("north");
    let mut other = Network::new("south");
    let (tx, rx) = other.channel::<u32>("river", ROOM);
    net.process("ferry", (tx, rx.into_shared()), async |_, _| -> () { panic!("must not run") });
    let error = net.check().unwrap_err();
    let ferry = || Problem::Foreign { process: "ferry".into() };
    assert_eq!(error.problems, [ferry(), ferry()]);
    assert!(error.to_string().ends_with("join the two by an `output` and an `input`"), "{error}");
}

#[test]
fn run_says_what_is_wrong_too() {
    let error = towpath::block_on(Network::new("void").run(&Ctx::root())).unwrap_err();
    assert_eq!(error.to_string(), "process `void` failed");
    let wiring: &WiringError = error.source().unwrap().downcast_ref().unwrap();
    assert_eq!(wiring.problems, [Problem::Empty]);
}

#[test]
fn a_cycle_is_a_warning_and_the_network_runs() {
    run(60, async {
        let mut net = Network::new("quiz");
        let (ask, asked) = net.channel::<u32>("questions", 0);
        let (answer, told) = net.channel::<u32>("answers", 0);
        net.process("pupil", (ask, told), async |_, (ask, told)| {
            for n in 0..10 {
                ask.send(n).await?;
                assert_eq!(told.recv().await, Some(n + 1));
            }
            Ok::<(), SendError<u32>>(())
        });
        net.process("teacher", (asked, answer), async |_, (asked, answer)| {
            while let Some(n) = asked.recv().await {
                answer.send(n + 1).await?;
            }
            Ok::<(), SendError<u32>>(())
        });
        let cycles: Vec<_> = net.check().unwrap().iter().map(Cycle::to_string).collect();
        assert_eq!(cycles, ["pupil -(questions)-> teacher -(answers)-> pupil"]);
        net.run(&Ctx::root()).await.unwrap();
    });
}

#[test]
fn the_graph_is_known_before_it_runs_and_while_it_does() {
    run(60, async {
        let mut net = Network::new("shop");
        let (tx, orders) = net.input::<u64>("orders", 3);
        let (out, paid) = net.channel::<u64>("paid", 0);
        let (receipts, rx) = net.output::<u64>("receipts", 5);
        net.process("desk", (orders, out), double);
        net.process_blocking("till", (paid, receipts), double_on_a_thread);
        let before = net.graph().clone();
        assert_eq!(
            before.to_mermaid(),
            "---\ntitle: \"shop\"\n---\nflowchart LR\n    \
             p0[\"desk\"]\n    p1[[\"till\"]]\n    s0([\"outside\"])\n    r2([\"outside\"])\n    \
             s0 -->|\"orders (3)\"| p0\n    p0 -->|\"paid (rendezvous)\"| p1\n    \
             p1 -->|\"receipts (5)\"| r2\n"
        );
        let mut running = net.start(&Ctx::root()).unwrap();
        assert_eq!(*running.graph(), before);
        drop((tx, rx));
        running.join().await.unwrap();
    });
}

#[test]
fn the_first_failure_ends_the_others_and_is_returned() {
    run(60, async {
        let mut net = Network::new("net");
        let (tx, rx) = net.input::<u64>("in", ROOM);
        net.process("fails", rx, async |_, rx: &mut Receiver<u64>| {
            rx.recv().await;
            Err::<(), _>("a bad message")
        });
        net.process("waits", (), async |ctx, ()| Err::<(), Cause>(ctx.done().await));
        net.process_blocking("blocks", (), |ctx, ()| Err::<(), Cause>(ctx.done_blocking()));
        tx.send(1).await.unwrap();
        let error = net.run(&Ctx::root()).await.unwrap_err();
        assert_eq!(error.to_string(), "process `fails` failed");
        assert_eq!(error.source().unwrap().to_string(), "a bad message");
        assert!(error.later().is_empty());
        assert!(tx.is_closed());
    });
}

#[test]
fn a_panic_names_its_process_and_place() {
    run(60, async {
        let mut net = Network::new("net");
        net.process("jumpy", (), async |_, ()| -> () {
            assert_eq!(process::current().unwrap().name(), &"jumpy");
            panic!("a mouse")
        });
        let error = net.run(&Ctx::root()).await.unwrap_err();
        let Error::Panicked { process, message, at, .. } = error else { panic!("{error}") };
        assert_eq!((process.as_str(), message.as_str()), ("jumpy", "a mouse"));
        assert!(at.unwrap().contains("network.rs:"));
    });
}

#[test]
fn when_the_context_ends_the_processes_see_it() {
    run(60, async {
        let mut net = Network::new("net");
        let (ready, mut is_ready) = net.output::<()>("ready", 1);
        net.process("waits", ready, async |ctx, ready: &mut Sender<()>| {
            ready.send(()).await?;
            Err::<(), BoxError>(ctx.done().await.into())
        });
        let (ctx, canceller) = Ctx::root().with_cancel();
        let (result, _) = tokio::join!(net.run(&ctx), async {
            is_ready.recv().await;
            canceller.cancel("closing time")
        });
        let error = result.unwrap_err();
        assert!(
            matches!(&error, Error::Cancelled { cause: Cause::Cancelled(why), .. }
            if why.to_string() == "closing time"),
            "{error:?}"
        );
    });
}

#[test]
fn dropping_its_future_drops_the_processes_there_and_then() {
    run(60, async {
        let alive = Arc::new(());
        let mut net = Network::new("net");
        let (ready, mut is_ready) = net.output::<()>("ready", 2);
        for name in ["one", "two"] {
            let alive = alive.clone();
            net.process(name, ready.clone(), async move |_, ready: &mut Sender<()>| {
                let _alive = alive;
                ready.send(()).await.unwrap();
                std::future::pending::<()>().await;
            });
        }
        let ctx = Ctx::root();
        let mut running = Box::pin(net.run(&ctx));
        tokio::select! {
            _ = &mut running => panic!("nobody ends"),
            _ = async { is_ready.recv().await; is_ready.recv().await } => {}
        }
        assert_eq!(Arc::strong_count(&alive), 3);
        drop(running);
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

#[test]
fn a_supervised_process_crashes_and_its_network_goes_on() {
    run(60, async {
        let mut net = Network::new("net");
        let (tx, first) = net.input::<u64>("first", ROOM);
        let (out, second) = net.channel("second", 0);
        let (last, mut rx) = net.output("last", ROOM);
        let calm = Supervisor::new("calm", Strategy::OneForOne).with_backoff(Backoff::NONE);
        net.supervised(calm, |group| {
            group.child(
                "picky",
                OnExit::RestartOnFailure,
                (first, out),
                async |_, (rx, tx): &mut (Receiver<u64>, Sender<u64>)| {
                    while let Some(n) = rx.recv().await {
                        assert!(n % 4 != 0, "not that one");
                        tx.send(n).await?;
                    }
                    Ok::<(), SendError<u64>>(())
                },
            );
        });
        net.process("double", (second, last), double);
        tx.send_all(1..=8).await.unwrap();
        drop(tx);
        net.run(&Ctx::root()).await.unwrap();
        assert_eq!(all(&mut rx).await, [2, 4, 6, 10, 12, 14]);
    });
}

#[test]
fn when_a_supervisor_gives_up_so_does_the_network() {
    run(60, async {
        let mut net = Network::new("net");
        let strict = Supervisor::new("strict", Strategy::OneForAll)
            .with_backoff(Backoff::NONE)
            .with_intensity(Intensity::new(1, Duration::from_secs(3600)));
        net.supervised(strict, |group| {
            group.child("bad", OnExit::Restart, (), async |_, ()| Err::<(), _>("always")).child(
                "good",
                OnExit::Restart,
                (),
                async |ctx, ()| {
                    ctx.done().await;
                },
            );
        });
        net.process("waits", (), async |ctx, ()| Err::<(), Cause>(ctx.done().await));
        let error = net.run(&Ctx::root()).await.unwrap_err();
        assert_eq!(error.process().unwrap(), &"strict");
        let gave_up: Option<&GaveUp> = error.source().unwrap().downcast_ref();
        assert_eq!(gave_up.unwrap().process, "bad");
    });
}

#[test]
fn networks_are_processes_of_scopes_and_of_networks() {
    run(60, async {
        fn inner(tx: Sender<u64>) -> Network {
            let mut net = Network::new("inner");
            let (out, mut rx) = net.output::<u64>("numbers", ROOM);
            net.process("source", out, async |_, out: &mut Sender<u64>| out.send_all(0..5).await);
            net.process("sink", (), async move |_, ()| {
                while let Some(n) = rx.recv().await {
                    tx.send(n).await?;
                }
                Ok::<(), SendError<u64>>(())
            });
            net
        }
        let mut net = Network::new("outer");
        let (out, mut rx) = net.output::<u64>("numbers", ROOM);
        net.process("net", out, async |ctx, out: &mut Sender<u64>| {
            inner(out.clone()).run(&ctx).await
        });
        net.run(&Ctx::root()).await.unwrap();
        assert_eq!(all(&mut rx).await, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn without_tokio_every_process_is_a_thread() {
    watchdog(60, || {
        let mut net = Network::new("net");
        let (tx, first) = net.input("first", 1);
        let (out, second) = net.channel("second", 0);
        let (last, mut rx) = net.output("last", ROOM);
        net.process("task", (first, out), double);
        net.process_blocking("thread", (second, last), double_on_a_thread);
        let mut running = net.start(&Ctx::root()).unwrap();
        for n in 0..5 {
            tx.send_blocking(n).unwrap();
        }
        drop(tx);
        towpath::block_on(running.join()).unwrap();
        assert_eq!(towpath::block_on(all(&mut rx)), [0, 4, 8, 12, 16]);
    });
}

#[test]
fn a_network_can_be_sent_and_shown() {
    fn is_send<T: Send>(_: &T) {}
    let mut net = Network::new("net");
    let (tx, rx) = net.channel::<u32>("numbers", 1);
    assert!(format!("{net:?} {tx:?} {rx:?} {:?}", rx).contains("numbers"));
    is_send(&net);
    is_send(&net.run(&Ctx::root()));
}
