//! A channel is used against its rules: closed or cleared under the hands of others who still use it.
//!
//! | kernel | what happens | why it cannot happen to owned ends |
//! |---|---|---|
//! | `grpc_2371` | a close clears the handle that another process sends through | who sends has an end of its own |
//! | `grpc_1687` | a last write closes the channel, a later write sends | the last write takes the end (E0382) |
//! | `istio_8967` | a stop closes `done` and clears the field that a reader looks into | who listens owns its end |
//! | `serving_5865` | the owner closes a channel into which others send | a receiver that leaves is an error of the send |
//! | `serving_3068` | waiting for a pool closes the queue into which others submit | to wait takes the pool (E0382) |
//!
//! With shared handles the end is an `Option` under a lock: that is what closing and clearing come to here.
//!
//! The last write takes the end along:
//!
//! ```compile_fail,E0382
//! async fn write_status(writes: towpath::Sender<&str>) {
//!     drop(writes.send("status").await);
//! }
//!
//! async fn handler(writes: towpath::Sender<&str>) {
//!     write_status(writes).await;
//!     drop(writes.send("body").await); // use of moved value
//! }
//! ```
//!
//! Nobody can take an end out of another's hand:
//!
//! ```compile_fail,E0507
//! struct Conn {
//!     updates: towpath::Sender<u32>,
//! }
//!
//! fn close(conn: &Conn) {
//!     drop(conn.updates); // cannot move out of `conn`
//! }
//! ```

use std::sync::Arc;

use towpath::{
    BoxError, Ctx, Receiver, Sender, SharedReceiver, bounded, rendezvous, rt, scope, select,
    sync::Mutex,
};

use super::go::Chan;
use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    grpc_2371::KERNEL,
    grpc_1687::KERNEL,
    istio_8967::KERNEL,
    serving_5865::KERNEL,
    serving_3068::KERNEL,
];

const SOURCE: &str = include_str!("misuse.rs");

/// What Go says when a channel is closed that somebody sends into.
const CLOSED: &str = "send on closed channel";

mod grpc_2371 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "grpc_2371",
        class: Class::Misuse,
        shape: "Closing a connection clears the handle of its resolver, while another process is about to send through \
                that handle.",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "Who sends has a sender of its own; nobody can take it away (E0507: moving out of what is borrowed).",
        source: SOURCE,
    };

    /// Updates that wait for the resolver.
    const UPDATES: usize = 1;

    struct Conn {
        resolver: Mutex<Option<Sender<u32>>>,
    }

    impl Conn {
        async fn close(&self) {
            *self.resolver.lock().await = None;
        }

        async fn update(&self) {
            if self.resolver.lock().await.is_none() {
                return;
            }
            let resolver = self.resolver.lock().await.clone();
            let resolver = resolver.expect("it was there a moment ago");
            let _ = resolver.send(1).await;
        }

        async fn update_if_open(&self) {
            let resolver = self.resolver.lock().await.clone();
            if let Some(resolver) = resolver {
                let _ = resolver.send(1).await;
            }
        }
    }

    async fn resolve(mut updates: Receiver<u32>) {
        while updates.recv().await.is_some() {}
    }

    async fn shared() {
        let (update, updates) = bounded(UPDATES);
        let conn = Arc::new(Conn { resolver: Mutex::new(Some(update)) });
        let resolver = rt::spawn(resolve(updates));
        let balancer = rt::spawn({
            let conn = conn.clone();
            async move { conn.update().await }
        });
        conn.close().await;
        balancer.await.expect("it sends, or sees that there is nobody");
        resolver.await.expect("the connection was closed");
    }

    async fn fixed() {
        let (update, updates) = bounded(UPDATES);
        let conn = Arc::new(Conn { resolver: Mutex::new(Some(update)) });
        let resolver = rt::spawn(resolve(updates));
        let balancer = rt::spawn({
            let conn = conn.clone();
            async move { conn.update_if_open().await }
        });
        conn.close().await;
        balancer.await.expect("it sends, or sees that there is nobody");
        resolver.await.expect("the connection was closed");
    }
}

mod grpc_1687 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "grpc_1687",
        class: Class::Misuse,
        shape: "Writing the status closes the channel of the writes. A later write sends into it.",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "To close is to give the sender away, and a later write through it does not compile (E0382: use of a \
               moved value).",
        source: SOURCE,
    };

    async fn run(mut writes: SharedReceiver<&'static str>) {
        while writes.recv().await.is_some() {}
    }

    struct Handler {
        writes: Mutex<Option<Sender<&'static str>>>,
    }

    impl Handler {
        async fn write(&self, data: &'static str) {
            let writes = self.writes.lock().await.clone();
            let _ = writes.expect(CLOSED).send(data).await;
        }

        async fn write_status(&self) {
            self.write("status").await;
            *self.writes.lock().await = None; // the close
        }
    }

    async fn shared() {
        let (write, writes) = rendezvous();
        let handler = Arc::new(Handler { writes: Mutex::new(Some(write)) });
        let runner = rt::spawn(run(writes.into_shared()));
        let writer = rt::spawn({
            let handler = handler.clone();
            async move { handler.write("body").await }
        });
        handler.write_status().await;
        writer.await.expect("a write is done, or fails");
        runner.await.expect("there are no more writes");
    }

    /// Says in a context that it is over, and closes nothing.
    #[derive(Clone)]
    struct Quiet {
        writes: Chan<&'static str>,
        over: Ctx,
    }

    impl Quiet {
        /// Whether it was written.
        async fn write(&self, data: &'static str) -> bool {
            select! {
                sent = self.writes.tx.send(data) => sent.is_ok(),
                _ = self.over.done() => false,
            }
        }

        async fn run(self) {
            let mut writes = self.writes.rx.clone();
            loop {
                select! {
                    _ = writes.recv() => {}
                    _ = self.over.done() => return,
                }
            }
        }
    }

    async fn fixed() {
        let (over, end) = Ctx::root().with_cancel();
        let handler = Quiet { writes: Chan::new("writes", rendezvous()), over };
        let runner = rt::spawn(handler.clone().run());
        let later = handler.clone();
        let writer = rt::spawn(async move { later.write("body").await });
        assert!(handler.write("status").await);
        end.cancel("the status was written");
        writer.await.expect("a write is done, or fails");
        runner.await.expect("there are no more writes");
    }
}

mod istio_8967 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "istio_8967",
        class: Class::Misuse,
        shape: "Stopping closes `done` and then clears the field. The reader that looks into the field afterwards finds \
                a nil channel, on which one waits for ever.",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "spawned", object: Some("events") },
            Stuck { process: "main", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "Who listens owns its end, which nobody can clear (E0507), and which is there for as long as it listens.",
        source: SOURCE,
    };

    struct Source {
        events: Chan<&'static str>,
        done: Mutex<Done>,
    }

    /// A channel of Go's, that can be closed (no sender) and nil (no receiver).
    #[derive(Default)]
    struct Done {
        tx: Option<Sender<()>>,
        rx: Option<SharedReceiver<()>>,
    }

    impl Source {
        fn new() -> Arc<Self> {
            let (tx, rx) = rendezvous();
            let done = Mutex::new(Done { tx: Some(tx), rx: Some(rx.into_shared()) });
            Arc::new(Self { events: Chan::new("events", rendezvous()), done })
        }

        async fn read(self: Arc<Self>) {
            let mut events = self.events.rx.clone();
            loop {
                let mut done = self.done.lock().await.rx.clone();
                select! {
                    _ = events.recv() => {} // stuck: spawned
                    _ = done.recv() => return,
                }
            }
        }

        /// Closes `done` and clears it.
        async fn stop(&self) {
            *self.done.lock().await = Done::default();
        }

        /// Closes it.
        async fn close(&self) {
            self.done.lock().await.tx = None;
        }
    }

    async fn shared() {
        let source = Source::new();
        let reader = rt::spawn(source.clone().read());
        let _ = source.events.tx.send("modified").await;
        source.stop().await;
        let _ = reader.await; // stuck: main
    }

    async fn fixed() {
        let source = Source::new();
        let reader = rt::spawn(source.clone().read());
        let _ = source.events.tx.send("modified").await;
        source.close().await;
        reader.await.expect("it was stopped");
    }
}

mod serving_5865 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "serving_5865",
        class: Class::Misuse,
        shape: "A watcher owns a channel of destinations and closes it when it is removed, while somebody else sends into \
                it.",
        fate: Fate::Value,
        owned: Some(program!(owned)),
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "The watcher owns the receiving end. To close is to drop it, and a send gets its destination back.",
        source: SOURCE,
    };

    /// Destinations that wait for the watcher.
    const DESTINATIONS: usize = 1;

    async fn watch(mut destinations: Receiver<u32>, removed: Ctx) {
        loop {
            select! {
                to = destinations.recv() => if to.is_none() { return },
                _ = removed.done() => return,
            }
        }
    }

    async fn owned() {
        let revision = scope(&Ctx::root(), |s| async move {
            let (to, destinations) = bounded(DESTINATIONS);
            let (removed, remove) = s.ctx().with_cancel();
            let watcher = s.spawn("watcher", |_| watch(destinations, removed));
            let informed = to.clone();
            let informer = s.spawn("informer", |_| async move {
                Ok::<_, BoxError>(informed.send(1).await.map_err(|error| error.into_inner()))
            });
            remove.cancel("the revision was removed");
            assert!(matches!(informer.await?, Ok(()) | Err(1)));
            watcher.await?;
            assert_eq!(to.send(2).await.map_err(|error| error.into_inner()), Err(2));
            Ok(())
        });
        revision.await.expect("nobody fails");
    }

    struct Watcher {
        to: Mutex<Option<Sender<u32>>>,
    }

    impl Watcher {
        async fn inform(&self) {
            let to = self.to.lock().await.clone();
            let _ = to.expect(CLOSED).send(1).await;
        }

        async fn remove(&self) {
            *self.to.lock().await = None;
        }
    }

    async fn shared() {
        let (to, destinations) = bounded(DESTINATIONS);
        let watcher = Arc::new(Watcher { to: Mutex::new(Some(to)) });
        let watching = rt::spawn(watch(destinations, Ctx::root()));
        let informer = rt::spawn({
            let watcher = watcher.clone();
            async move { watcher.inform().await }
        });
        watcher.remove().await;
        informer.await.expect("it has informed, or knows that it cannot");
        watching.await.expect("it was removed");
    }

    async fn inform_until(to: Chan<u32>, removed: Ctx) {
        select! {
            _ = to.tx.send(1) => {}
            _ = removed.done() => {}
        }
    }

    async fn watch_shared(to: Chan<u32>, removed: Ctx) {
        let mut destinations = to.rx.clone();
        loop {
            select! {
                _ = destinations.recv() => {}
                _ = removed.done() => return,
            }
        }
    }

    async fn fixed() {
        let to = Chan::new("destinations", bounded(DESTINATIONS));
        let (removed, remove) = Ctx::root().with_cancel();
        let watching = rt::spawn(watch_shared(to.clone(), removed.clone()));
        let informer = rt::spawn(inform_until(to, removed));
        remove.cancel("the revision was removed"); // and nobody closes
        informer.await.expect("it has informed, or knows that it cannot");
        watching.await.expect("it was removed");
    }
}

mod serving_3068 {
    use super::*;

    pub(super) const KERNEL: Kernel = Kernel {
        name: "serving_3068",
        class: Class::Misuse,
        shape: "Waiting for a pool closes its work queue, while others still submit.",
        fate: Fate::Unwritable,
        owned: None,
        shared: Some(program!(shared)),
        fixed: program!(fixed),
        symptom: Symptom::Panic,
        stuck: &[],
        timers: false,
        go_of_100: None,
        note: "To wait takes the pool and its sender, and to submit afterwards does not compile (E0382: use of a moved \
               value). Who submits through a clone keeps the queue open.",
        source: SOURCE,
    };

    /// Jobs that wait for a worker.
    const WORK: usize = 1;

    const WORKERS: usize = 2;

    async fn work(mut jobs: SharedReceiver<u32>) {
        while jobs.recv().await.is_some() {}
    }

    type Workers = [rt::Task<()>; WORKERS];

    /// Starts the workers on a new queue.
    fn workers() -> (Sender<u32>, Workers) {
        let (job, jobs) = bounded(WORK);
        let jobs = jobs.into_shared();
        (job, [(); WORKERS].map(|()| rt::spawn(work(jobs.clone()))))
    }

    async fn joined(workers: Workers) {
        for worker in workers {
            worker.await.expect("the queue has ended");
        }
    }

    struct Pool {
        job: Mutex<Option<Sender<u32>>>,
    }

    impl Pool {
        async fn submit(&self, job: u32) {
            let queue = self.job.lock().await.clone();
            let _ = queue.expect(CLOSED).send(job).await;
        }

        async fn wait(&self, workers: Workers) {
            *self.job.lock().await = None;
            joined(workers).await;
        }
    }

    async fn shared() {
        let (job, workers) = workers();
        let pool = Arc::new(Pool { job: Mutex::new(Some(job)) });
        let submitter = rt::spawn({
            let pool = pool.clone();
            async move { pool.submit(1).await }
        });
        pool.wait(workers).await;
        submitter.await.expect("it has submitted");
    }

    async fn fixed() {
        let (job, workers) = workers();
        let submitter = rt::spawn({
            let queue = job.clone();
            async move { assert!(queue.send(1).await.is_ok()) }
        });
        drop(job); // the queue ends with the last who submits
        joined(workers).await;
        submitter.await.expect("it has submitted");
    }
}
