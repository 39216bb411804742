//! Counted work: who counts, who signs off, and who waits for the last.
//!
//! | kernel | the bug, with shared handles | with owned ends and scopes | the twin |
//! |---|---|---|---|
//! | `cockroach_1462` | stopper waits for a producer whose consumer has left | the send answers with its value | the send watches the stop as well |
//! | `moby_25384` | waits for all after starting the first | work is counted where it starts | waits after the loop |
//! | `cockroach_4407` | work is counted in after the count was seen to be zero | a scope starts nothing once it has ended | refuses under the lock that the stop takes |
//! | `kubernetes_13058` | two sign off for one that was counted | a sign-off is a value, used up once | one signs off |
//! | `moby_18412` | reads the output while its writer still runs | the output is the writer's result | waits for the writer |

use std::sync::Arc;

use towpath::{
    BoxError, Ctx, SendError, Sender, SharedReceiver, rendezvous, rt, scope, select,
    sync::{Mutex, Notify, WaitGroup},
};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "cockroach_1462",
        class: Class::ChanGroup,
        shape: "a producer loops over {stopped? else send}; the consumer has left on stop; the stopper waits for the \
                producer",
        fate: Fate::Value,
        owned: Some(program!(cockroach_1462::owned)),
        shared: Some(program!(cockroach_1462::shared)),
        fixed: program!(cockroach_1462::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "spawned", object: Some("events") },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "the consumer's end goes with the consumer: the send gives the event back",
        source: include_str!("group.rs"),
    },
    Kernel {
        name: "moby_25384",
        class: Class::Group,
        shape: "the wait stands inside the loop, while the counter was set for all before it",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(moby_25384::shared)),
        fixed: program!(moby_25384::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "main", object: None }],
        timers: false,
        go_of_100: Some(100),
        note: "a scope has no counter to set: what it waits for is what it has started. `WaitGroup` has no `add(n)` \
               either; the shared form makes all its guards ahead of time",
        source: include_str!("group.rs"),
    },
    Kernel {
        name: "cockroach_4407",
        class: Class::Group,
        shape: "spawn-and-count races with the wait for zero: late work runs on what was closed",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(cockroach_4407::shared)),
        fixed: program!(cockroach_4407::fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "`Scope::spawn` counts and starts in one step, and answers with the cause once the scope has ended; and \
               what a process uses it owns, so nobody closes it under its feet (E0382, use after move)",
        source: include_str!("group.rs"),
    },
    Kernel {
        name: "kubernetes_13058",
        class: Class::Group,
        shape: "more sign-offs than counted: the counter goes below zero",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(kubernetes_13058::shared)),
        fixed: program!(kubernetes_13058::fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "`sync::Working` is the sign-off; it is not `Clone`, and dropping it twice is E0382, use of moved \
               value. The shared form counts by hand",
        source: include_str!("group.rs"),
    },
    Kernel {
        name: "moby_18412",
        class: Class::Order,
        shape: "the output buffer of a command is read while the process that writes it still runs",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(moby_18412::shared)),
        fixed: program!(moby_18412::fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "the buffer belongs to its writer, and comes back with the join; reading it before is E0382, borrow of \
               moved value",
        source: include_str!("group.rs"),
    },
];

mod cockroach_1462 {
    use super::*;

    const EVENTS: u32 = 3;

    pub(super) async fn owned() {
        let (tx, mut rx) = rendezvous();
        let tx = tx.named("events");
        let run = scope(&Ctx::root(), |s| async move {
            let producer = s.spawn("producer", |ctx| async move {
                let mut sent = 0;
                while sent < EVENTS && !ctx.is_done() {
                    match tx.send(sent).await {
                        Ok(()) => sent += 1,
                        Err(SendError(back)) => {
                            // In the place of the hang.
                            assert_eq!(back, sent);
                            break;
                        }
                    }
                }
                Ok::<_, BoxError>(sent)
            });
            let consumer = s.spawn("consumer", |ctx| async move {
                let mut received = 0;
                loop {
                    select! {
                        _ = ctx.done() => break,
                        event = rx.recv() => match event {
                            Some(_) => received += 1,
                            None => break,
                        },
                    }
                }
                Ok::<_, BoxError>(received)
            });
            s.cancel("stop");
            Ok((producer.await?, consumer.await?))
        });
        let (sent, received) = run.await.expect("a stop is no failure");
        assert_eq!(sent, received);
    }

    /// Both ends in one place.
    struct Feed {
        tx: Sender<u32>,
        rx: SharedReceiver<u32>,
    }

    impl Feed {
        fn new() -> Arc<Self> {
            let (tx, rx) = rendezvous();
            Arc::new(Self { tx: tx.named("events"), rx: rx.into_shared() })
        }
    }

    async fn consume(feed: Arc<Feed>, ctx: Ctx) {
        let mut rx = feed.rx.clone();
        loop {
            select! {
                _ = ctx.done() => return,
                _ = rx.recv() => {}
            }
        }
    }

    pub(super) async fn shared() {
        let feed = Feed::new();
        let (ctx, canceller) = Ctx::root().with_cancel();
        let group = WaitGroup::new();
        rt::spawn(consume(feed.clone(), ctx.clone()));
        let working = group.add();
        rt::spawn(async move {
            for event in 0..EVENTS {
                if ctx.is_done() {
                    break;
                }
                feed.tx.send(event).await.expect("the feed has both ends"); // stuck: spawned
            }
            drop(working);
        });
        canceller.cancel("stop");
        group.wait().await; // stuck: main
    }

    pub(super) async fn fixed() {
        let feed = Feed::new();
        let (ctx, canceller) = Ctx::root().with_cancel();
        let group = WaitGroup::new();
        let consumer = rt::spawn(consume(feed.clone(), ctx.clone()));
        let working = group.add();
        let producer = rt::spawn(async move {
            for event in 0..EVENTS {
                select! {
                    _ = ctx.done() => break,
                    sent = feed.tx.send(event) => sent.expect("the feed has both ends"),
                }
            }
            drop(working);
        });
        canceller.cancel("stop");
        group.wait().await;
        producer.await.expect("the producer stops");
        consumer.await.expect("the consumer stops");
    }
}

mod moby_25384 {
    use super::*;

    const PLUGINS: u32 = 3;

    /// Restores one plugin.
    async fn restore(restored: Arc<Mutex<Vec<u32>>>, plugin: u32) {
        restored.lock().await.push(plugin);
    }

    pub(super) async fn shared() {
        let restored = Arc::new(Mutex::new(Vec::new()));
        let group = WaitGroup::new();
        // As many as there are plugins, ahead of the loop.
        let counted: Vec<_> = (0..PLUGINS).map(|_| group.add()).collect();
        for (plugin, working) in (0..).zip(counted) {
            let restored = restored.clone();
            rt::spawn(async move {
                restore(restored, plugin).await;
                drop(working);
            });
            group.wait().await; // stuck: main
        }
    }

    pub(super) async fn fixed() {
        let restored = Arc::new(Mutex::new(Vec::new()));
        let group = WaitGroup::new();
        let mut tasks = Vec::new();
        for plugin in 0..PLUGINS {
            let (restored, working) = (restored.clone(), group.add());
            tasks.push(rt::spawn(async move {
                restore(restored, plugin).await;
                drop(working);
            }));
        }
        group.wait().await;
        assert_eq!(restored.lock().await.len(), PLUGINS as usize);
        for task in tasks {
            task.await.expect("nobody fails");
        }
    }
}

mod cockroach_4407 {
    use super::*;

    /// Runs work on its store until it is stopped.
    struct Server {
        group: WaitGroup,
        state: Mutex<State>,
    }

    struct State {
        draining: bool,
        store: Option<Vec<u32>>,
    }

    impl Server {
        fn new() -> Arc<Self> {
            let state = State { draining: false, store: Some(Vec::new()) };
            Arc::new(Self { group: WaitGroup::new(), state: Mutex::new(state) })
        }

        async fn write(&self, value: u32) {
            let mut state = self.state.lock().await;
            state.store.as_mut().expect("open while there is work").push(value);
        }
    }

    pub(super) async fn shared() {
        let server = Server::new();
        let theirs = server.clone();
        let client = rt::spawn(async move {
            let working = theirs.group.add();
            theirs.write(1).await;
            drop(working);
        });
        // Stop: no work, so the store can be closed.
        server.group.wait().await;
        server.state.lock().await.store = None;
        client.await.expect("work is done on an open store");
    }

    pub(super) async fn fixed() {
        let server = Server::new();
        let theirs = server.clone();
        let client = rt::spawn(async move {
            let state = theirs.state.lock().await;
            if state.draining {
                return;
            }
            let working = theirs.group.add();
            drop(state);
            theirs.write(1).await;
            drop(working);
        });
        server.state.lock().await.draining = true;
        server.group.wait().await;
        server.state.lock().await.store = None;
        client.await.expect("work is done on an open store");
    }
}

mod kubernetes_13058 {
    use super::*;

    /// A wait group counted by hand.
    struct Countdown {
        left: Mutex<u32>,
        zero: Notify,
    }

    impl Countdown {
        fn new(work: u32) -> Arc<Self> {
            Arc::new(Self { left: Mutex::new(work), zero: Notify::new() })
        }

        async fn sign_off(&self) {
            let mut left = self.left.lock().await;
            *left = left.checked_sub(1).expect("no more sign-offs than work");
            if *left == 0 {
                self.zero.notify_waiters();
            }
        }

        async fn wait(&self) {
            loop {
                let told = self.zero.notified();
                if *self.left.lock().await == 0 {
                    return;
                }
                told.await;
            }
        }
    }

    pub(super) async fn shared() {
        let countdown = Countdown::new(1);
        let (worker, handler) = (countdown.clone(), countdown.clone());
        let work = rt::spawn(async move { worker.sign_off().await });
        // Whoever handles the stop signs off as well, for a worker that it takes to be dead.
        let stop = rt::spawn(async move { handler.sign_off().await });
        countdown.wait().await;
        work.await.expect("the worker signs off");
        stop.await.expect("the handler signs off");
    }

    pub(super) async fn fixed() {
        let countdown = Countdown::new(1);
        let worker = countdown.clone();
        let work = rt::spawn(async move { worker.sign_off().await });
        countdown.wait().await;
        work.await.expect("the worker signs off");
    }
}

mod moby_18412 {
    use super::*;

    type Output = Arc<Mutex<String>>;

    /// Copies what a command prints, and says by dropping `exited` that the command itself is through.
    async fn copy(output: Output, exited: Sender<()>) {
        output.lock().await.push_str("hello ");
        drop(exited);
        output.lock().await.push_str("world");
    }

    pub(super) async fn shared() {
        let output = Output::default();
        let (exited_tx, mut exited) = rendezvous();
        let copier = rt::spawn(copy(output.clone(), exited_tx));
        assert_eq!(exited.recv().await, None);
        assert_eq!(*output.lock().await, "hello world");
        copier.await.expect("copying does not fail");
    }

    pub(super) async fn fixed() {
        let output = Output::default();
        let (exited_tx, mut exited) = rendezvous();
        let copier = rt::spawn(copy(output.clone(), exited_tx));
        assert_eq!(exited.recv().await, None);
        copier.await.expect("copying does not fail");
        assert_eq!(*output.lock().await, "hello world");
    }
}
