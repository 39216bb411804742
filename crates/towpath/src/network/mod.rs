//! Networks: a graph of processes that is declared before it runs.
//!
//! What always holds:
//! - Nothing runs before the whole graph is known: every name, every channel with its capacity, who holds which end.
//! - A process is lent its ports: `&mut` for as long as it runs. When it returns they are dropped, and its neighbours
//!   see their channels end.
//! - Nothing outlives the network: when [`Network::run`] has returned, or a [`Running`] has been dropped, every process
//!   has ended.
//!
//! A channel is declared with a name and gives two tokens, [`Out`] and [`In`]; whoever gets the token gets that end. A
//! port of the wrong type or direction does not compile. What the compiler cannot see, a name that occurs twice or a
//! port that nobody got, [`Network::check`] says.
//!
//! What is not promised: a [`Sender`] can be cloned, and a clone can be sent out of the network. Its
//! channel then stays open as long as the clone lives, and the graph does not show it.

mod check;
mod cycles;
mod graph;
mod group;
mod port;
mod promela;
mod running;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

pub use check::{Problem, WiringError};
pub use cycles::{Cycle, CycleStep};
pub use graph::{ChannelEdge, Direction, Graph, Outside, Port, ProcessKind, ProcessNode};
pub use group::Group;
pub use port::{In, Out, Ports, SharedIn, Wiring};
pub use promela::Behaviour;
pub use running::{NotDrained, Running};

use crate::{
    BoxError, Ctx, Error, Receiver, Sender, Work, bounded,
    observe::Loan,
    process::Name,
    scope::{Outcome, is_echo},
    unbounded,
    work::work_with,
};
use port::Ends;
use running::{Alive, Launch, Starter, Valves};

/// A graph of processes, to be declared, looked at and then run.
///
/// ```
/// use towpath::network::Network;
/// use towpath::{Ctx, Receiver, SendError, Sender};
///
/// /// Orders that wait for a driver.
/// const ORDERS: usize = 16;
/// /// Receipts that wait for the till.
/// const RECEIPTS: usize = 4;
///
/// async fn dispatcher(
///     _ctx: Ctx,
///     (orders, paid): &mut (Receiver<u32>, Sender<u32>),
/// ) -> Result<(), SendError<u32>> {
///     while let Some(order) = orders.recv().await {
///         paid.send(order * 100).await?;
///     }
///     Ok(())
/// }
///
/// # towpath::block_on(async {
/// let mut net = Network::new("rides");
/// let (tx, orders) = net.input("orders", ORDERS);
/// let (paid_out, paid_in) = net.channel::<u32>("paid", RECEIPTS);
/// let (total_out, mut total) = net.output("total", 1);
/// net.process("dispatcher", (orders, paid_out), dispatcher);
/// net.process("till", (paid_in, total_out), async |_, (paid, total)| {
///     let mut sum = 0;
///     while let Some(amount) = paid.recv().await {
///         sum += amount;
///     }
///     total.send(sum).await
/// });
/// assert!(net.check()?.is_empty());
/// println!("{}", net.graph().to_mermaid());
///
/// tx.send(1).await?;
/// tx.send(2).await?;
/// drop(tx);
/// net.run(&Ctx::root()).await?;
/// assert_eq!(total.recv().await, Some(300));
/// # Ok::<(), towpath::BoxError>(()) }).unwrap();
/// ```
#[must_use = "a network does nothing until it is run or started"]
pub struct Network {
    name: Name,
    /// Tells its tokens from those of others.
    id: u64,
    graph: Graph,
    /// By channel.
    ends: Vec<Ends>,
    starters: Vec<Starter>,
    seal_inputs: Vec<Box<dyn Fn() + Send + Sync>>,
    /// What was seen to be wrong on the way.
    problems: Vec<Problem>,
}

impl Network {
    /// A network without processes.
    pub fn new(name: impl Into<Name>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = name.into();
        Self {
            // Relaxed: only that each number is given once matters.
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            graph: Graph::new(&*name),
            name,
            ends: Vec::new(),
            starters: Vec::new(),
            seal_inputs: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Declares a channel between processes, in which up to `capacity` messages wait; 0 is a rendezvous.
    ///
    /// # Panics
    /// As [`bounded`], for capacities beyond any machine.
    pub fn channel<T: Send + 'static>(
        &mut self,
        name: impl Into<Name>,
        capacity: usize,
    ) -> (Out<T>, In<T>) {
        let (tx, rx) = bounded(capacity);
        self.declare(name.into(), Some(capacity), None, Some(tx), Some(rx))
    }

    /// Declares a channel between processes from ends that are there already, with the messages in it: what an earlier network has left, and
    /// this one goes on with. `capacity` is what the graph says of it.
    ///
    /// ```
    /// use towpath::{Ctx, Network, Receiver, bounded};
    ///
    /// # const PLACES: usize = 4;
    /// # towpath::block_on(async {
    /// let (tx, rx) = bounded(PLACES);
    /// tx.send("left over").await?;
    /// let mut net = Network::new("the next");
    /// let (out, into) = net.adopt("orders", PLACES, tx, rx);
    /// net.process("source", out, async |_, out: &mut towpath::Sender<_>| out.send("new").await);
    /// net.process("reader", into, async |_, orders: &mut Receiver<&str>| {
    ///     assert_eq!(orders.recv().await, Some("left over"));
    ///     assert_eq!(orders.recv().await, Some("new"));
    /// });
    /// net.run(&Ctx::root()).await?;
    /// # Ok::<(), towpath::BoxError>(()) }).unwrap();
    /// ```
    pub fn adopt<T: Send + 'static>(
        &mut self,
        name: impl Into<Name>,
        capacity: usize,
        tx: Sender<T>,
        rx: Receiver<T>,
    ) -> (Out<T>, In<T>) {
        self.declare(name.into(), Some(capacity), None, Some(tx), Some(rx))
    }

    /// Declares a channel between processes whose sends never wait. For traffic that something else bounds.
    pub fn unbounded<T: Send + 'static>(&mut self, name: impl Into<Name>) -> (Out<T>, In<T>) {
        let (tx, rx) = unbounded();
        self.declare(name.into(), None, None, Some(tx), Some(rx))
    }

    /// Declares a channel into which the outside sends. When all senders are dropped the input ends;
    /// [`Running::drain`] ends it earlier, and further sends give their values back.
    ///
    /// # Panics
    /// As [`bounded`], for capacities beyond any machine.
    pub fn input<T: Send + 'static>(
        &mut self,
        name: impl Into<Name>,
        capacity: usize,
    ) -> (Sender<T>, In<T>) {
        let (tx, rx) = bounded(capacity);
        self.seal_inputs.push(Box::new(rx.sealer()));
        let (_, rx) =
            self.declare(name.into(), Some(capacity), Some(Outside::Sends), None, Some(rx));
        (tx, rx)
    }

    /// Declares a channel from which the outside receives. It may take its time: what is queued when the network ends
    /// can still be received.
    ///
    /// # Panics
    /// As [`bounded`], for capacities beyond any machine.
    pub fn output<T: Send + 'static>(
        &mut self,
        name: impl Into<Name>,
        capacity: usize,
    ) -> (Out<T>, Receiver<T>) {
        let (tx, rx) = bounded(capacity);
        let (tx, _) =
            self.declare(name.into(), Some(capacity), Some(Outside::Receives), Some(tx), None);
        (tx, rx)
    }

    /// Declares a process that is a task: an async function or an `async move` closure of a [`Ctx`] and `&mut` on its
    /// ports, as [`Ports::Lent`] names them.
    ///
    /// It returns `()` or a `Result`. An error or a panic ends the network: the contexts of the others end, and `run`
    /// returns that error.
    pub fn process<P, F, R>(&mut self, name: impl Into<Name>, ports: P, work: F) -> &mut Self
    where
        P: Ports,
        F: AsyncFnOnce(Ctx, &mut P::Lent) -> R + for<'a> Work<'a, P::Lent, Output = R>,
        R: Outcome<Value = ()>,
    {
        let name = name.into();
        let (process, mut ports, loan) = self.connect(&name, ProcessKind::Task, ports);
        let is_source = self.is_source(process);
        self.starters.push(Box::new(move |scope, valves| {
            let alive = Alive { process, valves: valves.clone() };
            let outer = scope.ctx().clone();
            let ctx = if is_source { valves.source(&outer) } else { outer.clone() };
            scope.spawn(name, move |_| async move {
                let _alive = alive;
                let _lending = loan.lend();
                let result = work_with(work, ctx.clone(), &mut ports).await;
                unless_drained(result, &ctx, &outer)
            });
        }));
        self
    }

    /// Declares a process that is a thread of its own and may block. Otherwise as [`process`](Self::process).
    pub fn process_blocking<P, F, R>(
        &mut self,
        name: impl Into<Name>,
        ports: P,
        work: F,
    ) -> &mut Self
    where
        P: Ports,
        F: FnOnce(Ctx, &mut P::Lent) -> R + Send + 'static,
        R: Outcome<Value = ()>,
    {
        let name = name.into();
        let (process, mut ports, loan) = self.connect(&name, ProcessKind::Thread, ports);
        let is_source = self.is_source(process);
        self.starters.push(Box::new(move |scope, valves| {
            let alive = Alive { process, valves: valves.clone() };
            let outer = scope.ctx().clone();
            let ctx = if is_source { valves.source(&outer) } else { outer.clone() };
            scope.spawn_blocking(name, move |_| {
                let _alive = alive;
                let _lending = loan.lend();
                let result = work(ctx.clone(), &mut ports).into_result();
                unless_drained(result, &ctx, &outer)
            });
        }));
        self
    }

    /// The graph as declared so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Whether the network can run, and which [buffer-free cycles](Graph::buffer_free_cycles) it has. A cycle is a
    /// warning, not an error: a question and its answer are one, too. A test that wants none says so:
    ///
    /// ```
    /// # use towpath::network::Network;
    /// let mut net = Network::new("round");
    /// let (questions, asked) = net.channel::<u32>("questions", 0);
    /// let (answers, told) = net.channel::<u32>("answers", 0);
    /// net.process("pupil", (questions, told), async |_, _| {});
    /// net.process("teacher", (asked, answers), async |_, _| {});
    /// let cycles = net.check().unwrap();
    /// assert_eq!(cycles[0].to_string(), "pupil -(questions)-> teacher -(answers)-> pupil");
    /// ```
    ///
    /// # Errors
    /// [`WiringError`] names everything that keeps the network from running, and says what to do.
    pub fn check(&self) -> Result<Vec<Cycle>, WiringError> {
        let problems = [check::problems(&self.graph), self.problems.clone()].concat();
        if problems.is_empty() {
            Ok(self.graph.buffer_free_cycles())
        } else {
            Err(WiringError { network: self.name.clone(), problems })
        }
    }

    /// Runs the network until all its processes have ended.
    ///
    /// # Errors
    /// - [`Error::Failed`] with a [`WiringError`] as its source, when it cannot run.
    /// - The first error or panic of a process, with the later ones inside.
    /// - [`Error::Cancelled`], when `ctx` ended and a process was cut short.
    ///
    /// # Cancel safety
    /// Dropped before completion, it stops everything before the drop returns: the futures of tasks are dropped,
    /// threads are waited for.
    pub async fn run(self, ctx: &Ctx) -> Result<(), Error> {
        let name = self.name.clone();
        let (_, launch) = self.launch().map_err(|error| Error::failed(name, error))?;
        launch.run(ctx).await
    }

    /// Starts the network in the background, on the runtime of the caller.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use towpath::{Ctx, network::Network};
    /// # const PLACES: usize = 8;
    /// # towpath::block_on(async {
    /// let mut net = Network::new("echo");
    /// let (tx, words) = net.input("words", PLACES);
    /// let (back, mut rx) = net.output("back", PLACES);
    /// net.process("echo", (words, back), async |_, (words, back)| {
    ///     while let Some(word) = words.recv().await {
    ///         back.send(word).await?;
    ///     }
    ///     Ok::<(), towpath::SendError<&str>>(())
    /// });
    /// let running = net.start(&Ctx::root())?;
    /// tx.send("hello").await?;
    /// running.drain(Duration::from_secs(5)).await?;
    ///
    /// assert_eq!(rx.recv().await, Some("hello"));
    /// assert!(tx.send("too late").await.is_err());
    /// # Ok::<(), towpath::BoxError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`WiringError`], when it cannot run.
    pub fn start(self, ctx: &Ctx) -> Result<Running, WiringError> {
        let (graph, launch) = self.launch()?;
        Ok(Running::new(graph, ctx, launch))
    }

    /// Checked and ready; the ends that no process was given are dropped here.
    fn launch(self) -> Result<(Graph, Launch), WiringError> {
        self.check()?;
        let valves = Valves::new(self.seal_inputs, &self.graph);
        Ok((self.graph, Launch { starters: self.starters, valves }))
    }

    fn declare<T: Send + 'static>(
        &mut self,
        name: Name,
        capacity: Option<usize>,
        outside: Option<Outside>,
        tx: Option<Sender<T>>,
        rx: Option<Receiver<T>>,
    ) -> (Out<T>, In<T>) {
        let channel = self.graph.add_channel(&*name, capacity);
        self.graph.channels[channel].outside = outside;
        let seen_as = Name::from(format!("{}/{name}", self.name));
        let tx = tx.map(|tx| tx.named(seen_as.clone()));
        let rx = rx.map(|rx| rx.named(seen_as));
        let (ends, tx, rx) = Ends::new(self.id, channel, tx, rx);
        self.ends.push(ends);
        (tx, rx)
    }

    /// Enters a process into the graph and takes its ports out of the network.
    fn connect<P: Ports>(
        &mut self,
        name: &Name,
        kind: ProcessKind,
        ports: P,
    ) -> (usize, P::Lent, Loan) {
        let mut loan = Loan::default();
        let process = self.graph.add_process(&**name, kind);
        let mut wiring = Wiring {
            network: self.id,
            process,
            graph: &mut self.graph,
            ends: &mut self.ends,
            problems: &mut self.problems,
            loan: &mut loan,
        };
        let ports = ports.connect(&mut wiring);
        (process, ports, loan)
    }

    /// Whether a process has no receiving port, so that no end of an input would ever reach it.
    fn is_source(&self, process: usize) -> bool {
        let ports = &self.graph.processes[process].ports;
        ports.iter().all(|port| port.direction == Direction::Out)
    }
}

/// That a source stopped because the network drains is no error. If meanwhile the network has ended it was cut short by
/// that, whichever of the two it has seen.
fn unless_drained(result: Result<(), BoxError>, ctx: &Ctx, outer: &Ctx) -> Result<(), BoxError> {
    match result {
        Err(error) if is_echo(&*error, &ctx.cause()) => Ok(outer.check()?),
        result => result,
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("graph", &self.graph).finish_non_exhaustive()
    }
}
