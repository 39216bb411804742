//! A network at work, and the ways to end it.
//!
//! ```text
//!   drain   inputs are sealed, sources are told to stop; what is under way flows out; processes end one after the other
//!   stop    every context ends; processes end when they look
//!   drop    futures of tasks are dropped where they stand; threads are waited for
//! ```

use std::{
    collections::BTreeMap,
    error, fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use super::graph::Graph;
use crate::{
    BoxError, Canceller, Cause, Ctx, Error, Receiver, Sender, after, bounded,
    process::Name,
    rt,
    scope::{Scope, scope},
    select,
    select::future,
};

/// A network has one result.
const RESULT: usize = 1;

/// A network at work; made by [`Network::start`](super::Network::start).
///
/// Dropping it stops the network before the drop returns: the futures of its tasks are dropped, its threads are waited
/// for.
#[must_use = "dropping it stops the network"]
pub struct Running {
    graph: Graph,
    valves: Arc<Valves>,
    /// The context the network was started under; the canceller is for the one below it.
    ctx: Ctx,
    canceller: Canceller,
    work: Arc<Mutex<Option<Job>>>,
    result: Receiver<Result<(), Error>>,
    /// Its drop tells the driving task that nobody waits any more.
    _alive: Sender<()>,
}

/// The network's scope, as a future.
type Job = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

impl Running {
    pub(super) fn new(graph: Graph, ctx: &Ctx, launch: Launch) -> Self {
        let (inner, canceller) = ctx.with_cancel();
        let valves = launch.valves.clone();
        let work: Job = Box::pin(async move { launch.run(&inner).await });
        let work = Arc::new(Mutex::new(Some(work)));
        let (tx, result) = bounded(RESULT);
        let (alive, mut gone) = crate::rendezvous::<()>();
        let shared = work.clone();
        // Detached: it ends with the network, or when this handle has been dropped.
        drop(rt::spawn(async move {
            let driven = poll_fn(|cx| {
                let mut work = lock(&shared);
                let Some(future) = &mut *work else { return Poll::Ready(None) };
                let result = future.as_mut().poll(cx);
                if result.is_ready() {
                    *work = None;
                }
                result.map(Some)
            });
            select! { biased;
                result = future(driven) => {
                    if let Some(result) = result {
                        // There is room; that nobody waits any more does not matter.
                        drop(tx.try_send(result));
                    }
                },
                _ = gone.recv() => {}
            }
        }));
        Self { graph, valves, ctx: ctx.clone(), canceller, work, result, _alive: alive }
    }

    /// The network's graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Waits until all processes have ended.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use towpath::{BoxError, Ctx, Network, Receiver, network::Running, select};
    /// /// Until the service ends by itself, or is told to.
    /// async fn serve(mut running: Running, mut stop: Receiver<()>) -> Result<(), towpath::Error> {
    ///     select! {
    ///         result = select::future(running.join()) => return result,
    ///         _ = stop.recv() => {}
    ///     }
    ///     running.drain(Duration::from_secs(10)).await
    /// }
    /// # towpath::block_on(async {
    /// # let mut net = Network::new("service");
    /// # let (tx, rx) = net.input::<u32>("numbers", 1);
    /// # net.process("reader", rx, async |_, rx: &mut Receiver<u32>| {
    /// #     while rx.recv().await.is_some() {}
    /// # });
    /// # let (stop, stopped) = towpath::rendezvous();
    /// # drop(stop);
    /// # serve(net.start(&Ctx::root())?, stopped).await?;
    /// # drop(tx);
    /// # Ok::<(), BoxError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Network::run`](super::Network::run). The result is told once: after that, the answer is `Ok`.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing; the network goes on.
    pub async fn join(&mut self) -> Result<(), Error> {
        match self.result.recv().await {
            Some(result) => result,
            // Told already; or the runtime was shut down, and everything with it.
            None if lock(&self.work).is_none() => Ok(()),
            None => Err(Error::cancelled(Cause::Stopped)),
        }
    }

    /// Lets the network finish what it has begun, and ends it.
    ///
    /// The inputs are sealed: the outside gets its messages back from here on, also those that wait to be sent (to a
    /// sender it looks as if the receiver had gone), while everything that is queued is still received; then the
    /// receivers see the end. Processes without a receiving port, the sources, are told to stop: their context ends
    /// with [`Cause::Stopped`]. The rest follows by itself: a process that has seen the end of its inputs returns, its
    /// ports are dropped, and the next one sees the end.
    ///
    /// A network whose processes feed each other in a circle does not end like this, nor does one whose outputs are
    /// full and not received from, or a process that has given a clone of a sender away. After `within` the context of
    /// all of them ends. Processes that look at it end then; for those that do not, drop the future of this call, and
    /// everything stops.
    ///
    /// # Errors
    /// [`Error::Cancelled`] with a [`NotDrained`] inside, when it took longer than `within`. Otherwise as
    /// [`join`](Self::join).
    ///
    /// # Cancel safety
    /// Dropped before completion, it stops the network as dropping `Running` does.
    pub async fn drain(mut self, within: Duration) -> Result<(), Error> {
        self.valves.drain();
        let too_late = after(within);
        let in_time = select! { biased;
            result = future(self.join()) => Some(result),
            _ = too_late => None,
        };
        if let Some(result) = in_time {
            return result;
        }
        self.canceller.cancel(NotDrained { within, running: self.valves.alive() });
        match self.join().await {
            Ok(()) => Err(Error::cancelled(self.canceller.ctx().cause())),
            error => error,
        }
    }

    /// Ends the contexts of all processes with this reason, and waits until they have ended. What is queued between
    /// them is dropped.
    ///
    /// # Errors
    /// As [`join`](Self::join), but that processes were cut short is no error.
    ///
    /// # Cancel safety
    /// Dropped before completion, it stops the network as dropping `Running` does.
    pub async fn stop(mut self, reason: impl Into<BoxError>) -> Result<(), Error> {
        self.canceller.cancel(reason);
        match self.join().await {
            Err(error) if error.is_cancelled() && !self.ctx.is_done() => Ok(()),
            result => result,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.canceller.cancel(Cause::Stopped);
        // Taken in a statement of its own: what is dropped may take long, and the driving task must not wait for it.
        let work = lock(&self.work).take();
        drop(work);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("network", &self.graph.name)
            .field("alive", &self.valves.alive())
            .finish_non_exhaustive()
    }
}

/// A network was still at work when its time to drain was over; the reason inside the [`Cause`] then.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotDrained {
    /// The time it had.
    pub within: Duration,
    /// The processes that had not ended, in the order of their declaration.
    pub running: Vec<Name>,
}

impl fmt::Display for NotDrained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the network did not drain within {:?}; still at work:", self.within)?;
        for (index, name) in self.running.iter().enumerate() {
            write!(f, "{} `{name}`", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl error::Error for NotDrained {}

/// A process that is ready to be started.
pub(super) type Starter = Box<dyn FnOnce(&Scope, &Arc<Valves>) + Send>;

/// A checked network that is ready to run.
pub(super) struct Launch {
    pub(super) starters: Vec<Starter>,
    pub(super) valves: Arc<Valves>,
}

impl Launch {
    pub(super) async fn run(self, ctx: &Ctx) -> Result<(), Error> {
        scope(ctx, |scope| async move {
            for start in self.starters {
                start(&scope, &self.valves);
            }
            Ok(())
        })
        .await
    }
}

/// What drains a network, and who is still at work in it.
pub(super) struct Valves {
    seal_inputs: Vec<Box<dyn Fn() + Send + Sync>>,
    state: Mutex<State>,
}

struct State {
    draining: bool,
    /// Contexts of sources.
    sources: Vec<Canceller>,
    /// By declaration.
    alive: BTreeMap<usize, Name>,
}

impl Valves {
    /// Of a network in which all these processes are going to work.
    pub(super) fn new(seal_inputs: Vec<Box<dyn Fn() + Send + Sync>>, graph: &Graph) -> Arc<Self> {
        let names = graph.processes.iter().map(|process| Name::from(process.name.clone()));
        let alive = names.enumerate().collect();
        let state = State { draining: false, sources: Vec::new(), alive };
        Arc::new(Self { seal_inputs, state: Mutex::new(state) })
    }

    /// A context below `ctx` that also ends when the network drains.
    pub(super) fn source(&self, ctx: &Ctx) -> Ctx {
        let (ctx, canceller) = ctx.with_cancel();
        let mut state = lock(&self.state);
        if !state.draining {
            state.sources.push(canceller);
            return ctx;
        }
        drop(state);
        canceller.cancel(Cause::Stopped);
        ctx
    }

    fn drain(&self) {
        self.seal_inputs.iter().for_each(|seal| seal());
        let mut state = lock(&self.state);
        state.draining = true;
        let sources = std::mem::take(&mut state.sources);
        drop(state);
        for source in sources {
            source.cancel(Cause::Stopped);
        }
    }

    fn alive(&self) -> Vec<Name> {
        lock(&self.state).alive.values().cloned().collect()
    }
}

/// Says that a process has ended, when it is dropped with it.
pub(super) struct Alive {
    pub(super) process: usize,
    pub(super) valves: Arc<Valves>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        let name = lock(&self.valves.state).alive.remove(&self.process);
        drop(name);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics and leaves them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
