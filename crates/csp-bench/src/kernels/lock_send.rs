//! A channel and a lock: somebody sends while it holds the lock that the receiver wants before it receives again.
//!
//! | kernel | sends under the lock | wants the lock | the twin |
//! |---|---|---|---|
//! | `grpc_1353` | source of updates | receiver, for the update before | sends without the lock |
//! | `etcd_7492` | each who assigns a token | keeper, when its timer rings | sends without the lock |
//! | `istio_16224` | handler of an event | owner, before it receives | sends without the lock |
//! | `kubernetes_10182` | two setters of a status | syncer, after each receive | send without the lock |
//! | `kubernetes_1321` | distributor of events | watcher that wants to leave | the watcher drops its end first |
//! | `moby_28462` | change of a state | monitor, for its probe | sends without the lock |
//!
//! In all of them the message is made under the lock and need not be sent there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use towpath::{
    BoxError, Ctx, Receiver, Sender, bounded, rendezvous, scope, select, sync::Mutex, tick,
};

use crate::{Class, Fate, Kernel, Stuck, Symptom, program};

pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "grpc_1353",
        class: Class::ChanLock,
        shape: "an update source sends by rendezvous under a lock; the receiver, still in the previous update, wants \
                that lock",
        fate: Fate::Detect,
        owned: Some(program!(grpc_1353::owned)),
        shared: None,
        fixed: program!(grpc_1353::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "resolver", object: Some("addresses") },
            Stuck { process: "balancer", object: None },
        ],
        timers: false,
        go_of_100: Some(100),
        note: "",
        source: include_str!("lock_send.rs"),
    },
    Kernel {
        name: "etcd_7492",
        class: Class::ChanLock,
        shape: "a token assigner sends into a channel of capacity 1 to the keeper under a lock; the keeper's timer \
                branch wants the lock",
        fate: Fate::Detect,
        owned: Some(program!(etcd_7492::owned)),
        shared: None,
        fixed: program!(etcd_7492::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "assigner", object: Some("tokens") },
            Stuck { process: "keeper", object: None },
        ],
        timers: true,
        go_of_100: Some(40),
        note: "an assigner may also be found in line for the lock, behind the one that sends",
        source: include_str!("lock_send.rs"),
    },
    Kernel {
        name: "istio_16224",
        class: Class::ChanLock,
        shape: "a handler sends by rendezvous under a lock that the receiver takes before it receives",
        fate: Fate::Detect,
        owned: Some(program!(istio_16224::owned)),
        shared: None,
        fixed: program!(istio_16224::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "handler", object: Some("events") },
            Stuck { process: "owner", object: None },
        ],
        timers: false,
        go_of_100: None,
        note: "",
        source: include_str!("lock_send.rs"),
    },
    Kernel {
        name: "kubernetes_10182",
        class: Class::ChanLock,
        shape: "two setters send by rendezvous under a lock; the syncer takes the lock after each receive",
        fate: Fate::Detect,
        owned: Some(program!(kubernetes_10182::owned)),
        shared: None,
        fixed: program!(kubernetes_10182::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "setter", object: Some("statuses") },
            Stuck { process: "syncer", object: None },
        ],
        timers: false,
        go_of_100: Some(15),
        note: "",
        source: include_str!("lock_send.rs"),
    },
    Kernel {
        name: "kubernetes_1321",
        class: Class::ChanLock,
        shape: "a distributor sends to watchers under a lock; a watcher's stop needs the lock",
        fate: Fate::Detect,
        owned: Some(program!(kubernetes_1321::owned)),
        shared: None,
        fixed: program!(kubernetes_1321::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "distributor", object: Some("watch") },
            Stuck { process: "watcher", object: None },
        ],
        timers: false,
        go_of_100: Some(1),
        note: "",
        source: include_str!("lock_send.rs"),
    },
    Kernel {
        name: "moby_28462",
        class: Class::ChanLock,
        shape: "a state change sends `stop` by rendezvous under a lock; the monitor's default branch takes the lock",
        fate: Fate::Detect,
        owned: Some(program!(moby_28462::owned)),
        shared: None,
        fixed: program!(moby_28462::fixed),
        symptom: Symptom::Deadlock,
        stuck: &[
            Stuck { process: "changer", object: Some("stop") },
            Stuck { process: "monitor", object: None },
        ],
        timers: false,
        go_of_100: Some(69),
        note: "the monitor probes a few times only, so that the twin ends under every scheduler",
        source: include_str!("lock_send.rs"),
    },
];

mod grpc_1353 {
    use super::*;

    const UPDATES: u32 = 2;

    /// Takes each update in, under the lock.
    async fn balance(state: Arc<Mutex<u32>>, mut addresses: Receiver<u32>) {
        while let Some(address) = addresses.recv().await {
            let mut state = state.lock().await; // stuck: balancer
            *state = address;
        }
    }

    pub(super) async fn owned() {
        let (found, addresses) = rendezvous();
        let found = found.named("addresses");
        let state = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let balanced = state.clone();
            s.spawn("balancer", |_| balance(balanced, addresses));
            s.spawn("resolver", |_| async move {
                for update in 0..UPDATES {
                    let state = state.lock().await;
                    found.send(*state + update).await?; // stuck: resolver
                }
                Ok::<_, BoxError>(())
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (found, addresses) = rendezvous();
        let found = found.named("addresses");
        let state = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let balanced = state.clone();
            s.spawn("balancer", |_| balance(balanced, addresses));
            s.spawn("resolver", |_| async move {
                for update in 0..UPDATES {
                    let address = *state.lock().await + update;
                    found.send(address).await?;
                }
                Ok::<_, BoxError>(())
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod etcd_7492 {
    use super::*;

    /// A token that waits for the keeper to note it.
    const TOKENS: usize = 1;
    const USERS: u32 = 3;
    /// How often the keeper looks for tokens that are too old.
    const LOOK: Duration = Duration::from_millis(1);

    type Store = Arc<Mutex<Vec<u32>>>;

    async fn keep(store: Store, mut tokens: Receiver<u32>) {
        let mut looks = tick(LOOK);
        let mut known = Vec::new();
        loop {
            select! {
                token = tokens.recv() => match token {
                    Some(token) => known.push(token),
                    None => break,
                },
                _ = looks.recv() => {
                    let mut store = store.lock().await; // stuck: keeper
                    store.retain(|token| *token < USERS);
                }
            }
        }
        assert_eq!(known.len(), USERS as usize);
    }

    pub(super) async fn owned() {
        let (noted, tokens) = bounded(TOKENS);
        let noted = noted.named("tokens");
        let store = Store::default();
        let run = scope(&Ctx::root(), |s| async move {
            for user in 0..USERS {
                let (store, noted) = (store.clone(), noted.clone());
                s.spawn("assigner", move |_| async move {
                    let mut store = store.lock().await;
                    store.push(user);
                    noted.send(user).await // stuck: assigner
                });
            }
            drop(noted);
            s.spawn("keeper", |_| keep(store, tokens));
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (noted, tokens) = bounded(TOKENS);
        let noted = noted.named("tokens");
        let store = Store::default();
        let run = scope(&Ctx::root(), |s| async move {
            for user in 0..USERS {
                let (store, noted) = (store.clone(), noted.clone());
                s.spawn("assigner", move |_| async move {
                    store.lock().await.push(user);
                    noted.send(user).await
                });
            }
            drop(noted);
            s.spawn("keeper", |_| keep(store, tokens));
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod istio_16224 {
    use super::*;

    /// Creates an entry, and waits until its event was handled.
    async fn create(store: Arc<Mutex<u32>>, mut events: Receiver<u32>) {
        let mut entries = store.lock().await; // stuck: owner
        *entries += 1;
        drop(entries);
        events.recv().await;
    }

    pub(super) async fn owned() {
        let (handled, events) = rendezvous();
        let handled = handled.named("events");
        let store = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let created = store.clone();
            s.spawn("owner", |_| create(created, events));
            s.spawn("handler", |_| async move {
                let entries = store.lock().await;
                handled.send(*entries).await // stuck: handler
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (handled, events) = rendezvous();
        let handled = handled.named("events");
        let store = Arc::new(Mutex::new(0));
        let run = scope(&Ctx::root(), |s| async move {
            let created = store.clone();
            s.spawn("owner", |_| create(created, events));
            s.spawn("handler", |_| async move {
                let entries = *store.lock().await;
                handled.send(entries).await
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod kubernetes_10182 {
    use super::*;

    const SETTERS: u32 = 2;

    type Statuses = Arc<Mutex<BTreeMap<u32, bool>>>;

    /// Writes each status back, and forgets it.
    async fn sync(statuses: Statuses, mut changed: Receiver<u32>) {
        while let Some(pod) = changed.recv().await {
            let mut statuses = statuses.lock().await; // stuck: syncer
            statuses.remove(&pod);
        }
    }

    pub(super) async fn owned() {
        let (changes, changed) = rendezvous();
        let changes = changes.named("statuses");
        let statuses = Statuses::default();
        let run = scope(&Ctx::root(), |s| async move {
            for pod in 0..SETTERS {
                let (statuses, changes) = (statuses.clone(), changes.clone());
                s.spawn("setter", move |_| async move {
                    let mut statuses = statuses.lock().await;
                    statuses.insert(pod, true);
                    changes.send(pod).await // stuck: setter
                });
            }
            drop(changes);
            s.spawn("syncer", |_| sync(statuses, changed));
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (changes, changed) = rendezvous();
        let changes = changes.named("statuses");
        let statuses = Statuses::default();
        let run = scope(&Ctx::root(), |s| async move {
            for pod in 0..SETTERS {
                let (statuses, changes) = (statuses.clone(), changes.clone());
                s.spawn("setter", move |_| async move {
                    statuses.lock().await.insert(pod, true);
                    changes.send(pod).await
                });
            }
            drop(changes);
            let left = statuses.clone();
            s.spawn("syncer", |_| sync(statuses, changed)).await?;
            assert!(left.lock().await.is_empty());
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod kubernetes_1321 {
    use super::*;

    const EVENTS: u32 = 2;
    /// The watcher's key.
    const WATCHER: u32 = 7;

    type Watchers = Arc<Mutex<BTreeMap<u32, Sender<u32>>>>;

    async fn distribute(watchers: Watchers) {
        for event in 0..EVENTS {
            let watchers = watchers.lock().await;
            for watcher in watchers.values() {
                // One that has left does not count.
                watcher.send(event).await.ok(); // stuck: distributor
            }
        }
    }

    pub(super) async fn owned() {
        let (watch_tx, mut watch) = rendezvous();
        let watchers = BTreeMap::from([(WATCHER, watch_tx.named("watch"))]);
        let watchers = Arc::new(Mutex::new(watchers));
        let run = scope(&Ctx::root(), |s| async move {
            let told = watchers.clone();
            s.spawn("distributor", |_| distribute(told));
            s.spawn("watcher", |_| async move {
                assert_eq!(watch.recv().await, Some(0));
                // That is enough for this one.
                let mut watchers = watchers.lock().await; // stuck: watcher
                watchers.remove(&WATCHER);
                drop(watch);
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (watch_tx, mut watch) = rendezvous();
        let watchers = BTreeMap::from([(WATCHER, watch_tx.named("watch"))]);
        let watchers = Arc::new(Mutex::new(watchers));
        let run = scope(&Ctx::root(), |s| async move {
            let told = watchers.clone();
            s.spawn("distributor", |_| distribute(told));
            s.spawn("watcher", |_| async move {
                assert_eq!(watch.recv().await, Some(0));
                drop(watch);
                watchers.lock().await.remove(&WATCHER);
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}

mod moby_28462 {
    use super::*;

    const PROBES: u32 = 3;

    #[derive(Default)]
    struct Container {
        running: bool,
        probes: u32,
    }

    /// Probes the container's health until it is told to stop.
    async fn monitor(container: Arc<Mutex<Container>>, mut stop: Receiver<()>) {
        for _ in 0..PROBES {
            select! {
                _ = stop.recv() => return,
                default => {
                    let mut container = container.lock().await; // stuck: monitor
                    container.probes += 1;
                }
            }
        }
        stop.recv().await;
    }

    pub(super) async fn owned() {
        let (stop_tx, stop) = rendezvous();
        let stop_tx = stop_tx.named("stop");
        let container = Arc::new(Mutex::new(Container::default()));
        let run = scope(&Ctx::root(), |s| async move {
            let watched = container.clone();
            s.spawn("monitor", |_| monitor(watched, stop));
            s.spawn("changer", |_| async move {
                let mut container = container.lock().await;
                container.running = false;
                stop_tx.send(()).await // stuck: changer
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }

    pub(super) async fn fixed() {
        let (stop_tx, stop) = rendezvous();
        let stop_tx = stop_tx.named("stop");
        let container = Arc::new(Mutex::new(Container::default()));
        let run = scope(&Ctx::root(), |s| async move {
            let watched = container.clone();
            s.spawn("monitor", |_| monitor(watched, stop));
            s.spawn("changer", |_| async move {
                container.lock().await.running = false;
                stop_tx.send(()).await
            });
            Ok(())
        });
        run.await.expect("nobody fails");
    }
}
