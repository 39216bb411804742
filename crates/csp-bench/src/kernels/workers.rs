//! Workers, theirs and the runtime's: kept by a blocking call, all waiting for each other, buried in work, or deaf.
//!
//! | kernel | the bug | the twin |
//! |---|---|---|
//! | `blocking_receive_on_worker` | a task blocks the thread on which its sender would run | awaits instead |
//! | `blocking_pool_exhausted` | every worker waits for a job that no worker is left to do | inner jobs have a pool of their own |
//! | `unbounded_cycle` | an unbounded queue in place of a deadlock: it grows with the work | bounded, read and written in one select, and sheds |
//! | `biased_starves_stop` | a biased select never comes to its stop arm | the stop arm is on top |
//!
//! None of these is about who owns an end, and all are to be detected.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use towpath::{
    BoxError, Ctx, Receiver, Scope, Sender, SharedReceiver, bounded, rendezvous, scope, select,
    unbounded,
};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "blocking_receive_on_worker",
        class: Class::Rust,
        shape: "a blocking receive on an async worker thread, which the sender would need to run",
        fate: Fate::Detect,
        owned: Some(program!(blocking_receive_on_worker::owned)),
        shared: None,
        fixed: program!(blocking_receive_on_worker::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "kitchen", object: Some("orders") }],
        timers: false,
        go_of_100: None,
        note: "how many workers a runtime has is not the program's to say, so the worker here is a task that polls \
               both sides itself; with spawned tasks the shape needs a runtime of one worker",
        source: include_str!("workers.rs"),
    },
    Kernel {
        name: "blocking_pool_exhausted",
        class: Class::Rust,
        shape: "a blocking pool exhausted by jobs that wait for other jobs of the same pool",
        fate: Fate::Detect,
        owned: Some(program!(blocking_pool_exhausted::owned)),
        shared: None,
        fixed: program!(blocking_pool_exhausted::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[Stuck { process: "worker", object: Some("picture") }],
        timers: false,
        go_of_100: None,
        note: "the pool is the kernel's own, of two threads: a runtime's has hundreds, or no bound",
        source: include_str!("workers.rs"),
    },
    Kernel {
        name: "unbounded_cycle",
        class: Class::Rust,
        shape: "an unbounded queue that \"fixes\" a cycle: memory instead of a hang",
        fate: Fate::Detect,
        owned: Some(program!(unbounded_cycle::owned)),
        shared: None,
        fixed: program!(unbounded_cycle::fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "nobody waits for ever, so the bound has to be said: the kernel asserts how long the queue may become",
        source: include_str!("workers.rs"),
    },
    Kernel {
        name: "biased_starves_stop",
        class: Class::Rust,
        shape: "a biased select whose job arm is always ready starves the stop arm below it",
        fate: Fate::Detect,
        owned: Some(program!(biased_starves_stop::owned)),
        shared: None,
        fixed: program!(biased_starves_stop::fixed),
        symptom: Symptom::Livelock,
        stuck: &[Stuck { process: "retrier", object: None }],
        timers: false,
        go_of_100: None,
        note: "the one that starves runs, so it waits for nothing; each round goes through the operator, so that the \
               twin ends under every scheduler",
        source: include_str!("workers.rs"),
    },
];

mod blocking_receive_on_worker {
    use super::*;

    /// Orders that wait for the kitchen: the rail holds one.
    const ORDERS: usize = 1;
    const ORDERED: u32 = 3;

    /// Runs two futures under one task, as a runtime with one worker runs two tasks.
    async fn both(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
        let (mut one, mut other) = (pin!(one), pin!(other));
        let (mut one_ended, mut other_ended) = (false, false);
        let ended = poll_fn(|cx| {
            one_ended = one_ended || one.as_mut().poll(cx).is_ready();
            other_ended = other_ended || other.as_mut().poll(cx).is_ready();
            if one_ended && other_ended { Poll::Ready(()) } else { Poll::Pending }
        });
        ended.await;
    }

    async fn order(orders: Sender<u32>) {
        orders.send_all(0..ORDERED).await.expect("the kitchen is open");
    }

    pub(super) async fn owned() {
        let (tx, mut orders) = bounded(ORDERS);
        let tx = tx.named("orders");
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("kitchen", |_| async move {
                let cook = async move {
                    for number in 0..ORDERED {
                        let order = orders.recv_blocking(); // stuck: kitchen
                        assert_eq!(order, Some(number));
                    }
                };
                both(order(tx), cook).await;
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (tx, mut orders) = bounded(ORDERS);
        let tx = tx.named("orders");
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("kitchen", |_| async move {
                let cook = async move {
                    for number in 0..ORDERED {
                        assert_eq!(orders.recv().await, Some(number));
                    }
                };
                both(order(tx), cook).await;
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod blocking_pool_exhausted {
    use super::*;

    type Job = Box<dyn FnOnce() + Send>;

    const WORKERS: u32 = 2;
    const PAGES: u32 = 2;
    /// Jobs that wait for a worker: every page and its picture, so that handing in a job never waits.
    const JOBS: usize = 2 * PAGES as usize;

    fn start(s: &Scope, name: &'static str, queue: &SharedReceiver<Job>) {
        for _ in 0..WORKERS {
            let mut queue = queue.clone();
            s.spawn_blocking(name, move |_| {
                while let Some(job) = queue.recv_blocking() {
                    job();
                }
            });
        }
    }

    /// Makes a page, for which somebody in the pool behind `pictures` has to draw.
    fn page(number: u32, pictures: Sender<Job>) -> Job {
        Box::new(move || {
            let (tx, mut picture) = rendezvous();
            let tx = tx.named("picture");
            let draw: Job = Box::new(move || tx.send_blocking(number).expect("the page waits"));
            pictures.send_blocking(draw).expect("the pool works");
            let drawn = picture.recv_blocking(); // stuck: worker
            assert_eq!(drawn, Some(number));
        })
    }

    pub(super) async fn owned() {
        let (jobs, queue) = bounded::<Job>(JOBS);
        let (jobs, queue) = (jobs.named("jobs"), queue.into_shared());
        let run = scope(&Ctx::root(), |s| async move {
            start(&s, "worker", &queue);
            drop(queue);
            for number in 0..PAGES {
                jobs.send(page(number, jobs.clone())).await.map_err(|_| "no workers")?;
            }
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (jobs, queue) = bounded::<Job>(JOBS);
        let (pictures, drawings) = bounded::<Job>(JOBS);
        let (queue, drawings) = (queue.into_shared(), drawings.into_shared());
        let run = scope(&Ctx::root(), |s| async move {
            start(&s, "worker", &queue);
            start(&s, "artist", &drawings);
            drop((queue, drawings));
            for number in 0..PAGES {
                jobs.send(page(number, pictures.clone())).await.map_err(|_| "no workers")?;
            }
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod unbounded_cycle {
    use super::*;

    /// Pages with a number below this have two links each; the others have none.
    const WITH_LINKS: u32 = 16;
    /// Pages that wait for the fetcher.
    const PAGES: usize = 2;
    /// Fetched pages that wait for the crawler: what memory is meant for.
    const FETCHED: usize = 4;
    /// Links that the crawler keeps for later; what is above is not followed.
    const FRONTIER: usize = 8;

    /// Fetches pages, and answers each with its links.
    async fn fetch(mut pages: Receiver<u32>, links: Sender<Vec<u32>>) -> Result<(), BoxError> {
        while let Some(page) = pages.recv().await {
            let found = if page < WITH_LINKS { vec![2 * page, 2 * page + 1] } else { Vec::new() };
            links.send(found).await?;
            assert!(links.len() <= FETCHED, "the backlog outgrows what memory is meant for");
        }
        Ok(())
    }

    pub(super) async fn owned() {
        let (pages, to_fetch) = bounded(PAGES);
        // With a bound, both would wait for each other.
        let (found, mut links) = unbounded::<Vec<u32>>();
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("fetcher", |_| fetch(to_fetch, found.named("links")));
            s.spawn("crawler", |_| async move {
                pages.send(1).await?;
                let mut under_way = 1;
                while under_way > 0 {
                    let found = links.recv().await.ok_or("the fetcher has left")?;
                    under_way -= 1;
                    for link in found {
                        pages.send(link).await?;
                        under_way += 1;
                    }
                }
                Ok::<_, BoxError>(())
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (pages, to_fetch) = bounded(PAGES);
        let (found, mut links) = bounded::<Vec<u32>>(FETCHED);
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("fetcher", |_| fetch(to_fetch, found.named("links")));
            s.spawn("crawler", |_| async move {
                let (mut next, mut frontier, mut under_way) = (Some(1), Vec::new(), 0);
                while next.is_some() || under_way > 0 {
                    select! {
                        sent = pages.send_from(&mut next) => {
                            sent?;
                            under_way += 1;
                        }
                        found = links.recv() => {
                            under_way -= 1;
                            let room = FRONTIER - frontier.len();
                            frontier.extend(found.ok_or("the fetcher has left")?.into_iter().take(room));
                        }
                    }
                    next = next.or_else(|| frontier.pop());
                }
                Ok::<_, BoxError>(())
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod biased_starves_stop {
    use super::*;

    /// The job that is tried again: there is one.
    const JOBS: usize = 1;
    /// One stop is as good as many.
    const STOPS: usize = 1;
    /// Attempts after which the operator has seen enough.
    const ENOUGH: u32 = 3;

    /// Sees every attempt, and orders the stop.
    async fn operate(mut attempts: Receiver<u32>, stop: Sender<()>) {
        while let Some(attempt) = attempts.recv().await {
            if attempt == ENOUGH {
                // Nobody there: it has stopped by itself.
                stop.send(()).await.ok();
            }
        }
    }

    /// The queue with its first job, for one who puts every failed job back into it.
    async fn first_job() -> (Sender<u32>, Receiver<u32>) {
        let (again, jobs) = bounded(JOBS);
        again.send(1).await.expect("the queue has its receiver");
        (again, jobs)
    }

    pub(super) async fn owned() {
        let (report, attempts) = rendezvous();
        let (stop_tx, mut stop) = bounded(STOPS);
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("operator", |_| operate(attempts, stop_tx.named("stop")));
            let (again, mut jobs) = first_job().await;
            s.spawn("retrier", |_| async move {
                loop {
                    select! { biased; // stuck: retrier
                        job = jobs.recv() => {
                            let attempt = job.ok_or("the queue has ended")?;
                            report.send(attempt).await?;
                            again.send(attempt + 1).await?;
                        }
                        _ = stop.recv() => return Ok::<_, BoxError>(()), // stuck: retrier
                    }
                }
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (report, attempts) = rendezvous();
        let (stop_tx, mut stop) = bounded(STOPS);
        let run = scope(&Ctx::root(), |s| async move {
            s.spawn("operator", |_| operate(attempts, stop_tx.named("stop")));
            let (again, mut jobs) = first_job().await;
            s.spawn("retrier", |_| async move {
                loop {
                    select! { biased;
                        _ = stop.recv() => return Ok::<_, BoxError>(()),
                        job = jobs.recv() => {
                            let attempt = job.ok_or("the queue has ended")?;
                            report.send(attempt).await?;
                            again.send(attempt + 1).await?;
                        }
                    }
                }
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}
