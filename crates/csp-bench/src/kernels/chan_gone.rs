//! Somebody sends, again and again, to a receiver that has left.
//!
//! | kernel | who sends | to whom, and why it left | what ends it here |
//! |---|---|---|---|
//! | `etcd_6857` | an asker, late | a server that was stopped | the send gives the question back |
//! | `istio_17860` | one waiter for each restart | a supervisor that was cancelled | the send fails |
//! | `cockroach_35073` | pushers of rows | an outbox that failed at its start | the send gives the row back |
//! | `kubernetes_38669` | a watcher with its first events | a client that has stopped it | dropping the scope drops the watcher, send and all |
//! | `moby_21233` | three producers | a printer that has seen enough | the send fails |

use std::sync::Arc;

use towpath::{
    BoxError, Ctx, Receiver, Sender, bounded, rendezvous, rt, scope, select, select::future,
};

use super::go::Chan;
use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    etcd_6857::KERNEL,
    istio_17860::KERNEL,
    cockroach_35073::KERNEL,
    kubernetes_38669::KERNEL,
    moby_21233::KERNEL,
];

const SOURCE: &str = include_str!("chan_gone.rs");

mod etcd_6857 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "etcd_6857",
        class: Class::Chan,
        shape: "A server selects between a question about its status and the word to stop. It stops; who asks late \
                waits at a rendezvous with it, without looking whether it is over.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "spawned", object: Some("status") },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: Some(19),
        note: "The server owns the receiving end. A late question comes back as an error.",
        source: SOURCE,
    };

    /// A question: where the answer goes.
    type Question = Sender<u32>;

    const STATUS: u32 = 7;

    async fn serve(mut questions: Receiver<Question>, mut stop: Receiver<()>) {
        loop {
            select! {
                question = questions.recv() => match question {
                    Some(answer) => {
                            let _ = answer.send(STATUS).await;
                        }
                    None => return,
                },
                _ = stop.recv() => return,
            }
        }
    }

    async fn ask(questions: Sender<Question>) -> Option<u32> {
        let (answer, mut answered) = rendezvous();
        questions.send(answer).await.ok()?;
        answered.recv().await
    }

    async fn owned() {
        let node = scope(&Ctx::root(), |s| async move {
            let (questions, asked) = rendezvous();
            let (stop, stopped) = rendezvous();
            let server = s.spawn("server", |_| serve(asked, stopped));
            let status = ask(questions.clone());
            let asker = s.spawn("asker", |_| async { Ok::<_, BoxError>(status.await) });
            stop.send(()).await?;
            server.await?;
            assert!(matches!(asker.await?, Some(STATUS) | None), "before or after the stop");
            assert_eq!(ask(questions).await, None, "after it");
            Ok(())
        });
        node.await.expect("nobody fails");
    }

    struct Node {
        status: Chan<Question>,
        stop: Chan<()>,
    }

    impl Node {
        fn new() -> Arc<Self> {
            let status = Chan::new("status", rendezvous());
            Arc::new(Self { status, stop: Chan::new("stop", rendezvous()) })
        }

        async fn serve(self: Arc<Self>) {
            let (mut questions, mut stop) = (self.status.rx.clone(), self.stop.rx.clone());
            loop {
                select! {
                    question = questions.recv() => match question {
                        Some(answer) => {
                            let _ = answer.send(STATUS).await;
                        }
                        None => return,
                    },
                    _ = stop.recv() => return,
                }
            }
        }

        async fn ask(self: Arc<Self>) -> Option<u32> {
            let (answer, mut answered) = rendezvous();
            let asked = self.status.tx.send(answer).await; // stuck: spawned
            asked.ok()?;
            answered.recv().await
        }

        async fn ask_while_it_serves(self: Arc<Self>, over: Ctx) -> Option<u32> {
            let (answer, mut answered) = rendezvous();
            select! {
                asked = self.status.tx.send(answer) => asked.ok()?,
                _ = over.done() => return None,
            }
            answered.recv().await
        }
    }

    async fn shared() {
        let node = Node::new();
        let server = rt::spawn(node.clone().serve());
        let asker = rt::spawn(node.clone().ask());
        assert!(node.stop.tx.send(()).await.is_ok());
        let _ = server.await;
        let _ = asker.await; // stuck: main
    }

    async fn fixed() {
        let node = Node::new();
        let (over, is_over) = Ctx::root().with_cancel();
        let serving = node.clone().serve();
        let server = rt::spawn(async move {
            serving.await;
            is_over.cancel("the server has stopped");
        });
        let asker = rt::spawn(node.clone().ask_while_it_serves(over));
        assert!(node.stop.tx.send(()).await.is_ok());
        server.await.expect("it was stopped");
        let status = asker.await.expect("it has an answer, or knows that there is none");
        assert!(matches!(status, Some(STATUS) | None));
    }
}

mod istio_17860 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "istio_17860",
        class: Class::Chan,
        shape: "Every restart starts a waiter, which reports the exit to the supervisor. The supervisor has left when \
                it was cancelled.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("exits") }],
        timers: false,
        go_of_100: None,
        note: "The supervisor owns the receiving end. A report that it will not read comes back as an error.",
        source: SOURCE,
    };

    const RESTARTS: u32 = 2;

    async fn supervise(mut exits: Receiver<u32>, ctx: Ctx) -> Result<u32, BoxError> {
        let mut seen = 0;
        loop {
            select! {
                exit = exits.recv() => match exit {
                    Some(_) => seen += 1,
                    None => return Ok(seen),
                },
                _ = ctx.done() => return Ok(seen),
            }
        }
    }

    async fn owned() {
        let agent = scope(&Ctx::root(), |s| async move {
            let (exit, exits) = rendezvous();
            let supervisor = s.spawn("supervisor", |ctx| supervise(exits, ctx));
            let waiters: Vec<_> = (0..RESTARTS)
                .map(|epoch| {
                    let exit = exit.clone();
                    s.spawn("waiter", move |_| async move {
                        Ok::<_, BoxError>(exit.send(epoch).await.is_ok())
                    })
                })
                .collect();
            s.cancel("the agent shuts down");
            let seen = supervisor.await?;
            let mut reported = 0;
            for waiter in waiters {
                reported += u32::from(waiter.await?);
            }
            assert_eq!(reported, seen, "a report is read, or its waiter knows that it is not");
            assert!(exit.send(RESTARTS).await.is_err());
            Ok(())
        });
        agent.await.expect("nobody fails");
    }

    async fn supervise_shared(exits: Chan<u32>, ctx: Ctx) {
        let mut exits = exits.rx.clone();
        loop {
            select! {
                _ = exits.recv() => {}
                _ = ctx.done() => return,
            }
        }
    }

    async fn wait(exits: Chan<u32>, epoch: u32) {
        let _ = exits.tx.send(epoch).await; // stuck: spawned
    }

    async fn wait_as_long_as(exits: Chan<u32>, epoch: u32, ctx: Ctx) {
        select! {
            _ = exits.tx.send(epoch) => {}
            _ = ctx.done() => {}
        }
    }

    async fn shared() {
        let exits = Chan::new("exits", rendezvous());
        let (ctx, canceller) = Ctx::root().with_cancel();
        let supervisor = rt::spawn(supervise_shared(exits.clone(), ctx));
        for epoch in 0..RESTARTS {
            rt::spawn(wait(exits.clone(), epoch));
        }
        canceller.cancel("the agent shuts down");
        let _ = supervisor.await;
    }

    async fn fixed() {
        let exits = Chan::new("exits", rendezvous());
        let (ctx, canceller) = Ctx::root().with_cancel();
        let mut all = vec![rt::spawn(supervise_shared(exits.clone(), ctx.clone()))];
        for epoch in 0..RESTARTS {
            all.push(rt::spawn(wait_as_long_as(exits.clone(), epoch, ctx.clone())));
        }
        canceller.cancel("the agent shuts down");
        for task in all {
            task.await.expect("it was cancelled");
        }
    }
}

mod cockroach_35073 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "cockroach_35073",
        class: Class::Chan,
        shape: "An outbox fails at its start and returns, neither draining nor closing its input. Those who push rows \
                into it wait for room.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "spawned", object: Some("rows") },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "The outbox owns its input. When it returns, a push gives the row back.",
        source: SOURCE,
    };

    /// Rows that wait for the outbox, as many as in the original.
    const INPUT: usize = 16;

    const PUSHERS: usize = 2;

    /// Together more than there is room for.
    const ROWS_EACH: usize = INPUT / PUSHERS + 1;

    /// It has no connection, so it starts nothing.
    async fn outbox(rows: Receiver<usize>) -> Result<(), BoxError> {
        drop(rows);
        Ok(())
    }

    /// How many rows went in.
    async fn push(rows: Sender<usize>) -> Result<usize, BoxError> {
        for row in 0..ROWS_EACH {
            if rows.send(row).await.is_err() {
                return Ok(row);
            }
        }
        Ok(ROWS_EACH)
    }

    async fn owned() {
        let flow = scope(&Ctx::root(), |s| async move {
            let (push_row, rows) = bounded(INPUT);
            let outbox = s.spawn("outbox", |_| outbox(rows));
            let pushers: Vec<_> =
                (0..PUSHERS).map(|_| s.spawn("pusher", |_| push(push_row.clone()))).collect();
            let mut pushed = 0;
            for pusher in pushers {
                pushed += pusher.await?;
            }
            assert!(pushed <= INPUT, "for the rest there was an error");
            outbox.await?;
            assert!(push_row.send(0).await.is_err());
            Ok(())
        });
        flow.await.expect("nobody fails");
    }

    enum Row {
        Data,
        /// The last of one pusher.
        Last,
    }

    async fn push_shared(rows: Chan<Row>) {
        for _ in 1..ROWS_EACH {
            assert!(rows.tx.send(Row::Data).await.is_ok()); // stuck: spawned
        }
        assert!(rows.tx.send(Row::Last).await.is_ok()); // stuck: spawned
    }

    /// Fails at the first thing it does.
    fn start() -> Result<(), &'static str> {
        Err("no connection")
    }

    async fn run(rows: Chan<Row>) -> Result<(), &'static str> {
        start()?;
        drain(rows).await;
        Ok(())
    }

    async fn run_and_drain(rows: Chan<Row>) -> Result<(), &'static str> {
        let started = start();
        drain(rows).await;
        started
    }

    async fn drain(rows: Chan<Row>) {
        let mut rows = rows.rx.clone();
        for _ in 0..PUSHERS {
            while let Some(Row::Data) = rows.recv().await {}
        }
    }

    async fn shared() {
        let rows = Chan::new("rows", bounded(INPUT));
        let outbox = rt::spawn(run(rows.clone()));
        let pushers = [(); PUSHERS].map(|()| rt::spawn(push_shared(rows.clone())));
        for pusher in pushers {
            let _ = pusher.await; // stuck: main
        }
        let _ = outbox.await;
    }

    async fn fixed() {
        let rows = Chan::new("rows", bounded(INPUT));
        let outbox = rt::spawn(run_and_drain(rows.clone()));
        let pushers = [(); PUSHERS].map(|()| rt::spawn(push_shared(rows.clone())));
        for pusher in pushers {
            pusher.await.expect("its rows were drained");
        }
        assert!(outbox.await.expect("all have pushed").is_err());
    }
}

mod kubernetes_38669 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "kubernetes_38669",
        class: Class::Chan,
        shape: "A watcher hands over its first events by rendezvous before it enters its loop. Stopping it closes \
                nothing but its input.",
        fate: Fate::Scoped,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("result") }],
        timers: false,
        go_of_100: None,
        note: "To stop the watcher is to drop its scope. That reaches a send that waits, and the client, which still \
               has its receiver, gets `None`.",
        source: SOURCE,
    };

    /// Events that wait for the watcher.
    const INPUT: usize = 1;

    const INITIAL: [&str; 2] = ["added", "modified"];

    async fn watch(result: Sender<&'static str>, mut input: Receiver<&'static str>) {
        for event in INITIAL {
            let _ = result.send(event).await;
        }
        while let Some(event) = input.recv().await {
            let _ = result.send(event).await;
        }
    }

    async fn owned() {
        let client = scope(&Ctx::root(), |s| async move {
            let (result, mut results) = rendezvous();
            let (_input, inputs) = bounded(INPUT);
            let (stop, mut stopped) = rendezvous();
            s.spawn("stopper", |_| async move { stop.send(()).await });
            let watching = scope(s.ctx(), |watching| async move {
                watching.spawn("watcher", |_| watch(result, inputs));
                Ok(())
            });
            select! {
                _ = future(watching) => unreachable!("nobody takes its events"),
                _ = stopped.recv() => {}
            }
            assert_eq!(results.recv().await, None);
            Ok(())
        });
        client.await.expect("nobody fails");
    }

    /// `None` is the close.
    type Input = Option<&'static str>;

    #[derive(Clone)]
    struct Watcher {
        input: Chan<Input>,
        result: Chan<&'static str>,
    }

    impl Watcher {
        fn new() -> Self {
            let input = Chan::new("input", bounded(INPUT));
            Self { input, result: Chan::new("result", rendezvous()) }
        }

        async fn process(self) {
            for event in INITIAL {
                let _ = self.result.tx.send(event).await; // stuck: spawned
            }
            let mut input = self.input.rx.clone();
            while let Some(Some(event)) = input.recv().await {
                let _ = self.result.tx.send(event).await;
            }
        }

        async fn process_until(self, stopped: Ctx) {
            for event in INITIAL {
                select! {
                    _ = self.result.tx.send(event) => {}
                    _ = stopped.done() => return,
                }
            }
            let mut input = self.input.rx.clone();
            while let Some(Some(event)) = input.recv().await {
                select! {
                    _ = self.result.tx.send(event) => {}
                    _ = stopped.done() => return,
                }
            }
        }

        async fn stop(&self) {
            assert!(self.input.tx.send(None).await.is_ok());
        }
    }

    async fn shared() {
        let watcher = Watcher::new();
        rt::spawn(watcher.clone().process());
        watcher.stop().await;
    }

    async fn fixed() {
        let watcher = Watcher::new();
        let (ctx, stopped) = Ctx::root().with_cancel();
        let processing = rt::spawn(watcher.clone().process_until(ctx));
        watcher.stop().await;
        stopped.cancel("the client has stopped it");
        processing.await.expect("it was stopped");
    }
}

mod moby_21233 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "moby_21233",
        class: Class::Chan,
        shape: "Three producers report their progress to one printer, which has enough early. Whoever releases the \
                producers waits for their end.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "spawned", object: Some("progress") },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: Some(100),
        note: "The printer owns the receiving end. When it has enough, a report comes back as an error.",
        source: SOURCE,
    };

    const PRODUCERS: usize = 3;

    /// Each producer's reports; together more than are printed.
    const STEPS: usize = 2;

    const PRINTED: usize = 2;

    async fn print(mut progress: Receiver<usize>) {
        for _ in 0..PRINTED {
            progress.recv().await;
        }
    }

    /// How many of its reports were printed.
    async fn produce(progress: Sender<usize>) -> Result<usize, BoxError> {
        for step in 0..STEPS {
            if progress.send(step).await.is_err() {
                return Ok(step);
            }
        }
        Ok(STEPS)
    }

    async fn owned() {
        let printed = scope(&Ctx::root(), |s| async move {
            let (report, progress) = rendezvous();
            s.spawn("printer", |_| print(progress));
            let producers =
                [(); PRODUCERS].map(|()| s.spawn("producer", |_| produce(report.clone())));
            let mut printed = 0;
            for producer in producers {
                printed += producer.await?;
            }
            Ok(printed)
        });
        assert_eq!(printed.await.expect("nobody fails"), PRINTED);
    }

    async fn print_shared(progress: Chan<usize>) {
        let mut progress = progress.rx.clone();
        for _ in 0..PRINTED {
            progress.recv().await;
        }
    }

    async fn produce_shared(progress: Chan<usize>) {
        for step in 0..STEPS {
            let _ = progress.tx.send(step).await; // stuck: spawned
        }
    }

    async fn produce_until(progress: Chan<usize>, released: Ctx) {
        for step in 0..STEPS {
            select! {
                _ = progress.tx.send(step) => {}
                _ = released.done() => return,
            }
        }
    }

    async fn shared() {
        let progress = Chan::new("progress", rendezvous());
        let printer = rt::spawn(print_shared(progress.clone()));
        let producers = [(); PRODUCERS].map(|()| rt::spawn(produce_shared(progress.clone())));
        let _ = printer.await;
        for producer in producers {
            let _ = producer.await; // stuck: main
        }
    }

    async fn fixed() {
        let progress = Chan::new("progress", rendezvous());
        let (ctx, release) = Ctx::root().with_cancel();
        let printer = rt::spawn(print_shared(progress.clone()));
        let producers =
            [(); PRODUCERS].map(|()| rt::spawn(produce_until(progress.clone(), ctx.clone())));
        printer.await.expect("there was enough to print");
        release.cancel("nobody looks any more");
        for producer in producers {
            producer.await.expect("it was released");
        }
    }
}
