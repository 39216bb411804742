//! Leaks that large code bases keep making: the program goes on, and somebody is left behind who waits for ever.
//!
//! | kernel | who is left | with owned ends | the twin |
//! |---|---|---|---|
//! | `queue_never_closed` | workers, for more jobs | the queue ends with its producer | the producer ends the queue |
//! | `start_without_stop` | a service's loop, for its next order | the loop ends with the last handle | the stop is called |
//! | `send_twice` | sender, in its second send | the value comes back | returns after the first |
//! | `early_return` | sender, for a caller that has left | the value comes back | room for the answer |
//! | `racers_and_one_reader` | all racers but one | the values come back | room for all answers |
//! | `timeout_abandons_sender` | sender, for a caller whose time is over | the value comes back | room for the answer |
//!
//! All six have one cause: whoever is left holds a handle that also keeps the other side alive.

use std::{sync::Arc, time::Duration};

use towpath::{
    BoxError, Ctx, SendError, Sender, SharedReceiver, after, bounded, rendezvous, rt, scope, select,
};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "queue_never_closed",
        class: Class::Leak,
        shape: "workers range over a queue that is never closed",
        fate: Fate::Value,
        owned: Some(program!(queue_never_closed::owned)),
        shared: Some(program!(queue_never_closed::shared)),
        fixed: program!(queue_never_closed::fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("jobs") }],
        timers: false,
        go_of_100: None,
        note: "the receive yields `None` when the producer has gone",
        source: include_str!("leaks.rs"),
    },
    Kernel {
        name: "start_without_stop",
        class: Class::Leak,
        shape: "a service is started, used, and never stopped",
        fate: Fate::Value,
        owned: Some(program!(start_without_stop::owned)),
        shared: Some(program!(start_without_stop::shared)),
        fixed: program!(start_without_stop::fixed),
        symptom: Symptom::Leak,
        stuck: &[
            Stuck { process: "spawned", object: Some("orders") },
            Stuck { process: "spawned", object: Some("stops") },
        ],
        timers: false,
        go_of_100: None,
        note: "the drop of the service's handle is the stop: the loop's receive yields `None`",
        source: include_str!("leaks.rs"),
    },
    Kernel {
        name: "send_twice",
        class: Class::Leak,
        shape: "after sending an error a return is missing, so a second answer is sent to somebody who reads one",
        fate: Fate::Value,
        owned: Some(program!(send_twice::owned)),
        shared: Some(program!(send_twice::shared)),
        fixed: program!(send_twice::fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("answers") }],
        timers: false,
        go_of_100: None,
        note: "the second send gives its value back",
        source: include_str!("leaks.rs"),
    },
    Kernel {
        name: "early_return",
        class: Class::Leak,
        shape: "a function starts work, and returns early before it receives the result",
        fate: Fate::Value,
        owned: Some(program!(early_return::owned)),
        shared: Some(program!(early_return::shared)),
        fixed: program!(early_return::fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("prices") }],
        timers: false,
        go_of_100: None,
        note: "the send gives its value back",
        source: include_str!("leaks.rs"),
    },
    Kernel {
        name: "racers_and_one_reader",
        class: Class::Leak,
        shape: "several race to answer by rendezvous, and one answer is read",
        fate: Fate::Value,
        owned: Some(program!(racers_and_one_reader::owned)),
        shared: Some(program!(racers_and_one_reader::shared)),
        fixed: program!(racers_and_one_reader::fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("race") }],
        timers: false,
        go_of_100: None,
        note: "the sends of those who lose give their values back",
        source: include_str!("leaks.rs"),
    },
    Kernel {
        name: "timeout_abandons_sender",
        class: Class::Leak,
        shape: "a caller gives up after a timeout; the worker then sends by rendezvous to nobody",
        fate: Fate::Value,
        owned: Some(program!(timeout_abandons_sender::owned)),
        shared: Some(program!(timeout_abandons_sender::shared)),
        fixed: program!(timeout_abandons_sender::fixed),
        symptom: Symptom::Leak,
        stuck: &[Stuck { process: "spawned", object: Some("results") }],
        timers: true,
        go_of_100: None,
        note: "the send gives its value back",
        source: include_str!("leaks.rs"),
    },
];

/// Both ends of a channel in one struct, as everybody in a Go program has them.
struct Chan<T> {
    tx: Sender<T>,
    rx: SharedReceiver<T>,
}

impl<T: Send + 'static> Chan<T> {
    /// A rendezvous.
    fn new(name: &'static str) -> Self {
        let (tx, rx) = rendezvous();
        Self { tx: tx.named(name), rx: rx.into_shared() }
    }

    /// With room for `capacity` messages.
    fn with_room(name: &'static str, capacity: usize) -> Self {
        let (tx, rx) = bounded(capacity);
        Self { tx: tx.named(name), rx: rx.into_shared() }
    }
}

/// Nobody drops an end while somebody has the struct.
const BOTH_ENDS: &str = "both ends are in one struct";

mod queue_never_closed {
    use super::*;

    const WORKERS: u32 = 2;
    const JOBS: u32 = 3;
    /// Results that wait for the reader: all of them, which reads when it has handed out the jobs.
    const RESULTS: usize = JOBS as usize;

    pub(super) async fn owned() {
        let (jobs, queue) = rendezvous();
        let (results_tx, mut results) = bounded(RESULTS);
        let queue = queue.named("jobs").into_shared();
        let run = scope(&Ctx::root(), |s| async move {
            let mut workers = Vec::new();
            for _ in 0..WORKERS {
                let (mut queue, results) = (queue.clone(), results_tx.clone());
                workers.push(s.spawn("worker", move |_| async move {
                    let mut done = 0;
                    while let Some(job) = queue.recv().await {
                        results.send(job).await?;
                        done += 1;
                    }
                    Ok::<_, BoxError>(done)
                }));
            }
            drop((queue, results_tx));
            for job in 0..JOBS {
                jobs.send(job).await?;
            }
            drop(jobs);
            let mut sum = 0;
            while let Some(result) = results.recv().await {
                sum += result;
            }
            let mut done = 0;
            for worker in workers {
                done += worker.await?;
            }
            Ok((sum, done))
        });
        assert_eq!(run.await.expect("nobody fails"), ((0..JOBS).sum(), JOBS));
    }

    struct Pool {
        jobs: Chan<Option<u32>>,
        results: Chan<u32>,
    }

    impl Pool {
        fn new() -> Arc<Self> {
            let results = Chan::with_room("pool results", RESULTS);
            Arc::new(Self { jobs: Chan::new("jobs"), results })
        }

        /// Works until it gets `None` in the place of a job.
        async fn work(self: Arc<Self>) {
            let mut queue = self.jobs.rx.clone();
            loop {
                let job = queue.recv().await; // stuck: spawned
                let Some(job) = job.expect(BOTH_ENDS) else { return };
                self.results.tx.send(job).await.expect(BOTH_ENDS);
            }
        }

        /// Hands the jobs out and adds the results up.
        async fn run(&self) -> u32 {
            for job in 0..JOBS {
                self.jobs.tx.send(Some(job)).await.expect(BOTH_ENDS);
            }
            let (mut results, mut sum) = (self.results.rx.clone(), 0);
            for _ in 0..JOBS {
                sum += results.recv().await.expect(BOTH_ENDS);
            }
            sum
        }
    }

    pub(super) async fn shared() {
        let pool = Pool::new();
        for _ in 0..WORKERS {
            rt::spawn(pool.clone().work());
        }
        assert_eq!(pool.run().await, (0..JOBS).sum());
    }

    pub(super) async fn fixed() {
        let pool = Pool::new();
        let workers: Vec<_> = (0..WORKERS).map(|_| rt::spawn(pool.clone().work())).collect();
        assert_eq!(pool.run().await, (0..JOBS).sum());
        for _ in 0..WORKERS {
            pool.jobs.tx.send(None).await.expect(BOTH_ENDS);
        }
        for worker in workers {
            worker.await.expect("nobody fails");
        }
    }
}

mod start_without_stop {
    use super::*;

    pub(super) async fn owned() {
        let (orders_tx, mut orders) = rendezvous::<u32>();
        let run = scope(&Ctx::root(), |s| async move {
            let service = s.spawn("service", |_| async move {
                let mut served = 0;
                while let Some(order) = orders.recv().await {
                    served += order;
                }
                Ok::<_, BoxError>(served)
            });
            orders_tx.send(3).await?;
            drop(orders_tx);
            Ok(service.await?)
        });
        assert_eq!(run.await.expect("nobody fails"), 3);
    }

    struct Service {
        orders: Chan<u32>,
        stops: Chan<()>,
    }

    impl Service {
        fn start() -> (Arc<Self>, rt::Task<u32>) {
            let service = Arc::new(Self { orders: Chan::new("orders"), stops: Chan::new("stops") });
            let serving = rt::spawn(service.clone().serve());
            (service, serving)
        }

        async fn serve(self: Arc<Self>) -> u32 {
            let (mut orders, mut stops) = (self.orders.rx.clone(), self.stops.rx.clone());
            let mut served = 0;
            loop {
                select! { // stuck: spawned
                    order = orders.recv() => served += order.expect(BOTH_ENDS), // stuck: spawned
                    _ = stops.recv() => return served, // stuck: spawned
                }
            }
        }
    }

    pub(super) async fn shared() {
        let (service, _serving) = Service::start();
        service.orders.tx.send(3).await.expect(BOTH_ENDS);
    }

    pub(super) async fn fixed() {
        let (service, serving) = Service::start();
        service.orders.tx.send(3).await.expect(BOTH_ENDS);
        service.stops.tx.send(()).await.expect(BOTH_ENDS);
        assert_eq!(serving.await.expect("nobody fails"), 3);
    }
}

mod send_twice {
    use super::*;

    type Answer = Result<u32, &'static str>;

    fn check(order: u32) -> Answer {
        if order == 0 { Err("nothing is ordered") } else { Ok(order) }
    }

    pub(super) async fn owned() {
        let (tx, mut answers) = rendezvous::<Answer>();
        let run = scope(&Ctx::root(), |s| async move {
            let shop = s.spawn("shop", |_| async move {
                if let Err(error) = check(0) {
                    tx.send(Err(error)).await?;
                    // Here a return is missing.
                }
                Ok::<_, BoxError>(tx.send(Ok(0)).await)
            });
            let answer = answers.recv().await;
            drop(answers);
            Ok((answer, shop.await?))
        });
        let (answer, second) = run.await.expect("nobody fails");
        assert_eq!(answer, Some(Err("nothing is ordered")));
        // In the place of the hang.
        assert_eq!(second, Err(SendError(Ok(0))));
    }

    pub(super) async fn shared() {
        let answers = Arc::new(Chan::<Answer>::new("answers"));
        let theirs = answers.clone();
        rt::spawn(async move {
            if let Err(error) = check(0) {
                theirs.tx.send(Err(error)).await.expect(BOTH_ENDS);
                // Here a return is missing.
            }
            theirs.tx.send(Ok(0)).await.expect(BOTH_ENDS); // stuck: spawned
        });
        assert_eq!(answers.rx.clone().recv().await, Some(Err("nothing is ordered")));
    }

    pub(super) async fn fixed() {
        let answers = Arc::new(Chan::<Answer>::new("answers"));
        let theirs = answers.clone();
        let shop = rt::spawn(async move {
            if let Err(error) = check(0) {
                theirs.tx.send(Err(error)).await.expect(BOTH_ENDS);
                return;
            }
            theirs.tx.send(Ok(0)).await.expect(BOTH_ENDS);
        });
        assert_eq!(answers.rx.clone().recv().await, Some(Err("nothing is ordered")));
        shop.await.expect("nobody fails");
    }
}

mod early_return {
    use super::*;

    /// One price is asked for.
    const PRICES: usize = 1;

    fn in_stock(article: u32) -> Result<(), &'static str> {
        if article > 9 { Err("no such article") } else { Ok(()) }
    }

    pub(super) async fn owned() {
        let run = scope(&Ctx::root(), |s| async move {
            let (tx, mut prices) = rendezvous();
            let pricing =
                s.spawn("pricing", |_| async move { Ok::<_, BoxError>(tx.send(7).await) });
            let order = async move {
                in_stock(12)?;
                Ok::<_, &str>(prices.recv().await)
            };
            Ok((order.await, pricing.await?))
        });
        // The second in the place of the hang.
        assert_eq!(run.await.expect("nobody fails"), (Err("no such article"), Err(SendError(7))));
    }

    fn start_pricing(prices: &Arc<Chan<u32>>) -> rt::Task<()> {
        let prices = prices.clone();
        rt::spawn(async move {
            prices.tx.send(7).await.expect(BOTH_ENDS); // stuck: spawned
        })
    }

    async fn order(article: u32, prices: &Chan<u32>) -> Result<u32, &'static str> {
        in_stock(article)?;
        prices.rx.clone().recv().await.ok_or(BOTH_ENDS)
    }

    pub(super) async fn shared() {
        let prices = Arc::new(Chan::new("prices"));
        drop(start_pricing(&prices));
        assert_eq!(order(12, &prices).await, Err("no such article"));
    }

    pub(super) async fn fixed() {
        let prices = Arc::new(Chan::with_room("prices", PRICES));
        let pricing = start_pricing(&prices);
        assert_eq!(order(12, &prices).await, Err("no such article"));
        pricing.await.expect("nobody fails");
    }
}

mod racers_and_one_reader {
    use super::*;

    const RACERS: u32 = 3;
    /// Answers that nobody may ever read: all.
    const ANSWERS: usize = RACERS as usize;

    pub(super) async fn owned() {
        let (tx, mut race) = rendezvous();
        let run = scope(&Ctx::root(), |s| async move {
            let mut racers = Vec::new();
            for racer in 0..RACERS {
                let tx = tx.clone();
                racers.push(s.spawn("racer", move |_| async move {
                    Ok::<_, BoxError>(tx.send(racer).await)
                }));
            }
            let first = race.recv().await;
            drop(race);
            let mut back = 0;
            for (number, racer) in (0..).zip(racers) {
                match racer.await? {
                    Ok(()) => assert_eq!(first, Some(number)),
                    Err(SendError(value)) => {
                        // In the place of the hang.
                        assert_eq!(value, number);
                        back += 1;
                    }
                }
            }
            Ok(back)
        });
        assert_eq!(run.await.expect("nobody fails"), RACERS - 1);
    }

    fn start(race: &Arc<Chan<u32>>) -> Vec<rt::Task<()>> {
        let racer = |number| {
            let race = race.clone();
            rt::spawn(async move {
                race.tx.send(number).await.expect(BOTH_ENDS); // stuck: spawned
            })
        };
        (0..RACERS).map(racer).collect()
    }

    pub(super) async fn shared() {
        let race = Arc::new(Chan::new("race"));
        drop(start(&race));
        assert!(race.rx.clone().recv().await.is_some());
    }

    pub(super) async fn fixed() {
        let race = Arc::new(Chan::with_room("race", ANSWERS));
        let racers = start(&race);
        assert!(race.rx.clone().recv().await.is_some());
        for racer in racers {
            racer.await.expect("nobody fails");
        }
    }
}

mod timeout_abandons_sender {
    use super::*;

    /// How long the caller waits.
    const PATIENCE: Duration = Duration::from_millis(1);
    /// One result is asked for.
    const RESULTS: usize = 1;

    pub(super) async fn owned() {
        let (tx, mut results) = rendezvous();
        let run = scope(&Ctx::root(), |s| async move {
            let worker = s.spawn("worker", |_| async move { Ok::<_, BoxError>(tx.send(42).await) });
            let result = select! {
                result = results.recv() => result,
                _ = after(PATIENCE) => None,
            };
            drop(results);
            Ok((result, worker.await?))
        });
        match run.await.expect("nobody fails") {
            (Some(result), sent) => assert_eq!((result, sent), (42, Ok(()))),
            // In the place of the hang.
            (None, sent) => assert_eq!(sent, Err(SendError(42))),
        }
    }

    fn start(results: &Arc<Chan<u32>>) -> rt::Task<()> {
        let results = results.clone();
        rt::spawn(async move {
            results.tx.send(42).await.expect(BOTH_ENDS); // stuck: spawned
        })
    }

    async fn call(results: &Chan<u32>) {
        select! {
            _ = results.rx.clone().recv() => {}
            _ = after(PATIENCE) => {}
        }
    }

    pub(super) async fn shared() {
        let results = Arc::new(Chan::new("results"));
        drop(start(&results));
        call(&results).await;
    }

    pub(super) async fn fixed() {
        let results = Arc::new(Chan::with_room("results", RESULTS));
        let worker = start(&results);
        call(&results).await;
        worker.await.expect("nobody fails");
    }
}
