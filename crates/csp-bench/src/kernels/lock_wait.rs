//! A channel and a lock: somebody receives while it holds the lock that the sender needs first.
//!
//! | kernel | waits under the lock | needs the lock to send | the twin |
//! |---|---|---|---|
//! | `grpc_1460` | keepalive, for a stream to awake it | whoever opens a stream | lets go of the lock before it sleeps |
//! | `etcd_7902` | follower, for the next round | leader, who opens the round | lets go of the lock before it waits |
//! | `etcd_6873` | stopper, for the worker to be done | worker, for the update in its hands | closes the input under the lock, waits without |
//! | `kubernetes_26980` | pop, for the stop alone | adder, after whom the stop comes | looks under the lock, waits for both without |
//!
//! Ownership does not help: who waits holds its own end of the channel, rightly, and the lock as well.

use std::sync::Arc;

use towpath::{BoxError, Ctx, Receiver, Sender, bounded, rendezvous, scope, select, sync::Mutex};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "grpc_1460",
        class: Class::ChanLock,
        shape: "keepalive parks on `awaken` holding the lock that a new stream needs before it can send `awaken`",
        fate: Fate::Detect,
        owned: Some(program!(grpc_1460::owned)),
        shared: None,
        fixed: program!(grpc_1460::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "keepalive", object: Some("awaken") },
            Stuck { process: "caller", object: None },
        ],
        timers: false,
        go_of_100: Some(100),
        note: "",
        source: include_str!("lock_wait.rs"),
    },
    Kernel {
        name: "etcd_7902",
        class: Class::ChanLock,
        shape: "a follower waits for the next round under a lock; the leader needs the lock to open the round",
        fate: Fate::Detect,
        owned: Some(program!(etcd_7902::owned)),
        shared: None,
        fixed: program!(etcd_7902::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "follower", object: Some("rounds") },
            Stuck { process: "leader", object: None },
        ],
        timers: false,
        go_of_100: Some(100),
        note: "",
        source: include_str!("lock_wait.rs"),
    },
    Kernel {
        name: "etcd_6873",
        class: Class::ChanLock,
        shape: "stop() holds a lock and waits for the worker's `done`; the worker wants the lock before it can finish",
        fate: Fate::Detect,
        owned: Some(program!(etcd_6873::owned)),
        shared: None,
        fixed: program!(etcd_6873::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "stopper", object: Some("done") },
            Stuck { process: "broadcaster", object: None },
        ],
        timers: false,
        go_of_100: Some(9),
        note: "",
        source: include_str!("lock_wait.rs"),
    },
    Kernel {
        name: "kubernetes_26980",
        class: Class::ChanLock,
        shape: "pop() keeps the lock while it selects on stop alone; the adder wants the lock",
        fate: Fate::Detect,
        owned: Some(program!(kubernetes_26980::owned)),
        shared: None,
        fixed: program!(kubernetes_26980::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "pop", object: Some("stop") },
            Stuck { process: "adder", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "",
        source: include_str!("lock_wait.rs"),
    },
];

mod grpc_1460 {
    use super::*;

    /// One call to awake is as good as many.
    const AWAKEN: usize = 1;

    /// Opens a stream; keepalive may be asleep.
    async fn open(streams: Arc<Mutex<Vec<u32>>>, awaken: Sender<()>) {
        let mut streams = streams.lock().await; // stuck: caller
        streams.push(1);
        // Nobody there: keepalive has seen a stream already.
        awaken.send(()).await.ok();
    }

    pub(super) async fn owned() {
        let (awaken, mut awoken) = bounded(AWAKEN);
        let awaken = awaken.named("awaken");
        let streams = Arc::new(Mutex::new(Vec::new()));
        let run = scope(&Ctx::root(), |s| async move {
            let watched = streams.clone();
            s.spawn("keepalive", |_| async move {
                let streams = watched.lock().await;
                if streams.is_empty() {
                    awoken.recv().await; // stuck: keepalive
                }
            });
            s.spawn("caller", |_| open(streams, awaken));
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (awaken, mut awoken) = bounded(AWAKEN);
        let awaken = awaken.named("awaken");
        let streams = Arc::new(Mutex::new(Vec::new()));
        let run = scope(&Ctx::root(), |s| async move {
            let watched = streams.clone();
            s.spawn("keepalive", |_| async move {
                let dormant = watched.lock().await.is_empty();
                if dormant {
                    awoken.recv().await;
                }
            });
            s.spawn("caller", |_| open(streams, awaken));
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod etcd_7902 {
    use super::*;

    /// A round that is open and that nobody has entered yet.
    const ROUNDS: usize = 1;
    /// Rounds that are played.
    const PLAYED: u32 = 2;

    async fn lead(validated: Arc<Mutex<u32>>, rounds: Sender<u32>) -> Result<(), BoxError> {
        for round in 0..PLAYED {
            let seen = *validated.lock().await; // stuck: leader
            assert!(seen <= PLAYED);
            rounds.send(round).await?;
        }
        Ok(())
    }

    pub(super) async fn owned() {
        let (open, mut rounds) = bounded(ROUNDS);
        let open = open.named("rounds");
        let validated = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let counted = validated.clone();
            s.spawn("follower", |_| async move {
                for _ in 0..PLAYED {
                    let mut validated = counted.lock().await;
                    *validated += 1;
                    rounds.recv().await; // stuck: follower
                }
            });
            s.spawn("leader", |_| lead(validated, open));
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (open, mut rounds) = bounded(ROUNDS);
        let open = open.named("rounds");
        let validated = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let counted = validated.clone();
            s.spawn("follower", |_| async move {
                for _ in 0..PLAYED {
                    *counted.lock().await += 1;
                    rounds.recv().await;
                }
            });
            s.spawn("leader", |_| lead(validated, open));
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod etcd_6873 {
    use super::*;

    /// Passes updates on to the watchers until there are no more. That it is done is said by the drop of `done`.
    async fn broadcast(watchers: Arc<Mutex<u32>>, mut updates: Receiver<u32>, done: Sender<()>) {
        while let Some(update) = updates.recv().await {
            let mut watchers = watchers.lock().await; // stuck: broadcaster
            *watchers += update;
        }
        drop(done);
    }

    pub(super) async fn owned() {
        let (updates_tx, updates) = rendezvous();
        let (done_tx, mut done) = rendezvous::<()>();
        let done_tx = done_tx.named("done");
        let watchers = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let told = watchers.clone();
            s.spawn("broadcaster", |_| broadcast(told, updates, done_tx));
            updates_tx.send(1).await?;
            s.spawn("stopper", |_| async move {
                let watchers = watchers.lock().await;
                drop(updates_tx);
                done.recv().await; // stuck: stopper
                drop(watchers);
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (updates_tx, updates) = rendezvous();
        let (done_tx, mut done) = rendezvous::<()>();
        let done_tx = done_tx.named("done");
        let watchers = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let told = watchers.clone();
            s.spawn("broadcaster", |_| broadcast(told, updates, done_tx));
            updates_tx.send(1).await?;
            s.spawn("stopper", |_| async move {
                let held = watchers.lock().await;
                drop(updates_tx);
                drop(held);
                done.recv().await;
                assert_eq!(*watchers.lock().await, 1);
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod kubernetes_26980 {
    use super::*;

    /// One word that there is something new is as good as many.
    const ADDED: usize = 1;

    /// Adds an item, says so, and with `stop` gone the whole thing stops.
    async fn add(pending: Arc<Mutex<Vec<u32>>>, added: Sender<()>, stop: Sender<()>) {
        let mut pending = pending.lock().await; // stuck: adder
        pending.push(1);
        drop(pending);
        // Nobody there: it has been popped.
        added.send(()).await.ok();
        drop(stop);
    }

    pub(super) async fn owned() {
        let (added, news) = bounded(ADDED);
        let (stop_tx, mut stop) = rendezvous::<()>();
        let stop_tx = stop_tx.named("stop");
        let pending = Arc::new(Mutex::new(Vec::new()));
        let run = scope(&Ctx::root(), |s| async move {
            let popped = pending.clone();
            s.spawn("pop", |_| async move {
                let mut pending = popped.lock().await;
                if pending.pop().is_none() {
                    select! { // stuck: pop
                        _ = stop.recv() => {} // stuck: pop
                    }
                }
                drop(news);
            });
            s.spawn("adder", |_| add(pending, added, stop_tx));
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (added, mut news) = bounded(ADDED);
        let (stop_tx, mut stop) = rendezvous::<()>();
        let stop_tx = stop_tx.named("stop");
        let pending = Arc::new(Mutex::new(Vec::new()));
        let run = scope(&Ctx::root(), |s| async move {
            let popped = pending.clone();
            s.spawn("pop", |_| async move {
                loop {
                    let item = popped.lock().await.pop();
                    if item.is_some() {
                        return;
                    }
                    select! {
                        _ = stop.recv() => return,
                        _ = news.recv() => {}
                    }
                }
            });
            s.spawn("adder", |_| add(pending, added, stop_tx));
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}
