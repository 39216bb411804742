//! Machines: a program, a disk and a place in the network that crash together.
//!
//! What always holds: when a node has crashed, nothing that it does later reaches its disk or the network, and when the
//! future of [`Cluster::crash`] is ready, everything it owned has been dropped.
//!
//! Why a scope per node: dropping a scope drops its processes, wherever they wait. That is what a crash is.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use towpath::{BoxError, Canceller, Ctx, Join, Outcome, Scope, select};

use crate::{
    chance::{Ask, Kind, Seeded, Source},
    disk::{self, Disk, Latency},
    net::{Host, Net},
};

/// Nodes that start, crash and come back.
///
/// A node whose disk has a plan ([`Disk::crash_during`]) crashes whole when that comes: so a test can crash it at every
/// operation in turn.
///
/// ```
/// use towpath::{BoxError, Ctx, scope};
/// use towpath_sim::{disk, net::{self, Net}, node::Cluster};
///
/// # async fn story() -> Result<(), Box<dyn std::error::Error>> {
/// let net = Net::new(net::Faults::default());
/// let lives = scope(&Ctx::root(), |s| async move {
///     let cluster = Cluster::new(&s, net, disk::Faults::default());
///     let (tx, mut rx) = towpath::unbounded();
///     cluster.start("counter", move |node| {
///         let tx = tx.clone();
///         async move {
///             let file = node.disk().open_or_create("lives")?;
///             file.append(b"I")?;
///             file.sync_data()?;
///             tx.send(file.len()?).await?;
///             towpath::never().await;
///             Ok::<_, BoxError>(())
///         }
///     });
///     assert_eq!(rx.recv().await, Some(1));
///     cluster.crash("counter").await;
///     cluster.restart("counter");
///     let lives = rx.recv().await;
///     cluster.crash("counter").await;
///     Ok(lives)
/// });
/// assert_eq!(lives.await?, Some(2));
/// # Ok(()) }
/// # towpath::block_on(story()).unwrap();
/// ```
pub struct Cluster {
    scope: Scope,
    net: Net,
    faults: disk::Faults,
    /// Nodes' disks have chance of their own, from this seed on.
    seed: Option<u64>,
    source: Mutex<Source>,
    places: Mutex<BTreeMap<Arc<str>, Place>>,
}

/// What a node runs, from the start each time.
type Program = Arc<dyn Fn(Node) -> Body + Send + Sync>;

type Body = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

struct Place {
    disk: Disk,
    program: Option<Program>,
    life: Option<Life>,
}

/// One run of a node.
struct Life {
    power: Canceller,
    off: Arc<AtomicBool>,
    ended: Join<()>,
}

impl Life {
    fn is_off(&self) -> bool {
        // Relaxed: set before the disk and the network fail, under whose locks the other side sees that.
        self.off.load(Ordering::Relaxed)
    }
}

impl Cluster {
    /// No nodes yet. They will run in `scope`, on hosts of `net`, each with a disk of its own on which goes wrong what
    /// `faults` say. A program that returns an error, or panics, before it crashes fails the scope.
    /// When the scope's context ends, the nodes are dropped where they are.
    pub fn new(scope: &Scope, net: Net, faults: disk::Faults) -> Self {
        Self::with_source(scope, net, faults, None)
    }

    /// As [`new`](Self::new), with disks that draw their chance from a seed, each its own.
    pub fn seeded(scope: &Scope, net: Net, faults: disk::Faults, seed: u64) -> Self {
        Self::with_source(scope, net, faults, Some(seed))
    }

    fn with_source(scope: &Scope, net: Net, faults: disk::Faults, seed: Option<u64>) -> Self {
        let source = seed.map_or(Source::Ambient, |seed| Source::Seeded(Seeded::new(seed)));
        let (source, places) = (Mutex::new(source), Mutex::default());
        Self { scope: scope.clone(), net, faults, seed, source, places }
    }

    /// Starts a node. `program` is called with what the node has, now and at each restart.
    ///
    /// # Panics
    /// When a node of this name has been started before: [`restart`](Self::restart) is for that.
    pub fn start<F, Fut>(&self, name: &str, program: F)
    where
        F: Fn(Node) -> Fut + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome<Value: Send>,
    {
        let program: Program = Arc::new(move |node| {
            let body = program(node);
            Box::pin(async move { body.await.into_result().map(drop) })
        });
        let mut places = self.places();
        let place = self.place(&mut places, name);
        assert!(place.program.is_none(), "node `{name}` was started before; restart it");
        place.program = Some(program);
        drop(places);
        self.run(name);
    }

    /// Cuts a node's power, at this very moment: what it had on its disk and not synced may be lost, its connections are
    /// reset or half-open, nothing reaches it. The future is ready when everything it owned has been dropped; the crash
    /// does not wait for that.
    ///
    /// Threads of the node cannot be dropped and are waited for: their disk and network fail from now on.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn crash(&self, name: &str) -> Gone {
        let (life, disk) = self.take(name);
        self.end(life, || {
            self.net.crash(name);
            disk.crash();
        })
    }

    /// Kills a node's program and leaves its machine running: what it wrote stays, synced or not, and its connections are
    /// closed. Otherwise as [`crash`](Self::crash).
    ///
    /// # Panics
    /// When there is no such node.
    pub fn kill(&self, name: &str) -> Gone {
        let (life, disk) = self.take(name);
        self.end(life, || {
            self.net.kill(name);
            disk.kill();
        })
    }

    /// Starts a node again that has crashed, was killed or has ended, from the beginning of its program.
    ///
    /// # Panics
    /// When there is no such node, or it has not crashed.
    pub fn restart(&self, name: &str) {
        let runs = |life: &Life| !life.is_off() && !life.ended.is_finished();
        let running = self.places().get(name).is_some_and(|it| it.life.as_ref().is_some_and(runs));
        assert!(!running, "node `{name}` runs; crash it first");
        self.net.restart(name);
        self.run(name);
    }

    /// Crashes or kills one of these nodes, starts it again, and so on for ever: `calm` says how long all of them run,
    /// `down` how long a node is gone. Chance says which.
    ///
    /// # Cancel safety
    /// Dropped while a node is down, it leaves it: [`recover`](Self::recover).
    ///
    /// # Panics
    /// When one of them was never started.
    pub async fn unrest(&self, nodes: &[&str], calm: Latency, down: Latency) {
        loop {
            let pause = self.ask(|source| source.between(Kind::Crash, calm.shortest, calm.longest));
            towpath::rt::sleep(pause).await;
            let whom = self.ask(|source| source.below(Kind::Crash, 2 * nodes.len() as u64 + 1));
            // 0 is nobody.
            let Some(whom) = (whom as usize).checked_sub(1) else { continue };
            let node = nodes[whom / 2];
            let gone = if whom.is_multiple_of(2) { self.crash(node) } else { self.kill(node) };
            gone.await;
            let pause = self.ask(|source| source.between(Kind::Crash, down.shortest, down.longest));
            towpath::rt::sleep(pause).await;
            self.restart(node);
        }
    }

    /// Ends all trouble that was made: opens the ways of the network and starts the nodes that have crashed or were
    /// killed.
    pub fn recover(&self) {
        self.net.heal();
        let places = self.places();
        let down = places.iter().filter(|(_, place)| {
            place.program.is_some() && place.life.as_ref().is_none_or(Life::is_off)
        });
        let down: Vec<Arc<str>> = down.map(|(name, _)| name.clone()).collect();
        drop(places);
        down.iter().for_each(|name| self.restart(name));
    }

    fn ask<R>(&self, question: impl FnOnce(&mut Source) -> R) -> R {
        question(&mut self.source.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A node's disk, as it is outside of any run; it may be prepared before the start.
    pub fn disk(&self, name: &str) -> Disk {
        self.place(&mut self.places(), name).disk.clone()
    }

    /// The network.
    pub fn net(&self) -> &Net {
        &self.net
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place<'a>(&self, places: &'a mut BTreeMap<Arc<str>, Place>, name: &str) -> &'a mut Place {
        let number = places.len() as u64;
        places.entry(name.into()).or_insert_with(|| {
            let faults = self.faults.clone();
            let disk = match self.seed {
                // Far apart, so that no two seeds give one disk.
                Some(seed) => Disk::seeded(faults, seed.wrapping_add(number << 32)),
                None => Disk::new(faults),
            };
            Place { disk, program: None, life: None }
        })
    }

    fn run(&self, name: &str) {
        let (disk, program) = {
            let places = self.places();
            let place = places.get(name);
            let program =
                place.and_then(|place| Some((place.disk.until_crash(), place.program.clone()?)));
            program.unwrap_or_else(|| panic!("there is no node `{name}`"))
        };
        let host = self.net.host(name);
        let (on, power) = Ctx::root().with_cancel();
        let off = Arc::<AtomicBool>::default();
        let (crashed, net, power_cut) = (off.clone(), self.net.clone(), disk.clone());
        let ended = self.scope.spawn(name.to_owned(), move |ctx| async move {
            let name = host.name().to_owned();
            let body = towpath::scope(&ctx, |scope| program(Node { scope, host, disk }));
            let result = select! {
                biased;
                _ = on.done() => Ok(()),
                cause = ctx.done() => Err(BoxError::from(cause)),
                () = select::future(power_cut.crashed()) => Ok(()),
                result = select::future(body) => result.map_err(BoxError::from),
            };
            // Relaxed: see `Life::is_off`.
            if crashed.load(Ordering::Relaxed) {
                return Ok(());
            }
            if power_cut.is_over() {
                // The disk's own plan: the rest of the machine goes with it.
                crashed.store(true, Ordering::Relaxed);
                net.crash(&name);
                return Ok(());
            }
            result
        });
        if let Some(place) = self.places().get_mut(name) {
            place.life = Some(Life { power, off, ended });
        }
    }

    fn take(&self, name: &str) -> (Option<Life>, Disk) {
        let mut places = self.places();
        match places.get_mut(name) {
            Some(place) => (place.life.take(), place.disk.clone()),
            None => {
                drop(places);
                panic!("there is no node `{name}`")
            }
        }
    }

    /// Ends a run. The outside world goes first: a node that is dropped must not say goodbye.
    fn end(&self, life: Option<Life>, fail: impl FnOnce()) -> Gone {
        if let Some(life) = &life {
            life.off.store(true, Ordering::Relaxed);
        }
        fail();
        Gone(life.map(|life| {
            life.power.cancel("the node has crashed");
            life.ended
        }))
    }
}

/// Ready when everything that a crashed node owned has been dropped; made by [`Cluster::crash`] and [`Cluster::kill`].
/// The node crashes without it being awaited, too.
#[must_use = "await it, or drop it to say that the node may end later"]
#[derive(Debug)]
pub struct Gone(Option<Join<()>>);

impl Future for Gone {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(ended) = &mut self.0 else { return Poll::Ready(()) };
        // Why it has ended was decided before.
        Pin::new(ended).poll(cx).map(|_| self.0 = None)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<Arc<str>> = self.places().keys().cloned().collect();
        f.debug_struct("Cluster").field("nodes", &nodes).finish_non_exhaustive()
    }
}

/// What a program has on its node, until that crashes. Cloning copies pointers.
#[derive(Clone, Debug)]
pub struct Node {
    scope: Scope,
    host: Host,
    disk: Disk,
}

impl Node {
    /// The node's name.
    pub fn name(&self) -> &str {
        self.host.name()
    }

    /// The node's place in the network.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The node's disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The scope for the node's processes.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The context of all that runs on the node.
    pub fn ctx(&self) -> &Ctx {
        self.scope.ctx()
    }
}
