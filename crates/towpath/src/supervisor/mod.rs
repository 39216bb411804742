//! Supervisors: processes that are started again when they crash.
//!
//! What always holds:
//! - The supervisor owns the ports of each child and lends them to one run after the other. A channel survives the
//!   crash of its user, with everything that is queued in it.
//! - At most one run of a child is alive at a time; a run's future is gone before the next one starts.
//! - Nothing outlives the supervisor: when its future has completed, or was dropped, so have all its children.
//!
//! What to do next is decided in `plan.rs`, a value that does no I/O; this file carries the orders out. A child's run is
//! a process of a scope that never fails: whatever happens in it is told to the supervisor and becomes its decision.
//!
//! A message that a run had already taken from a channel when it crashed is lost with it. A child that cannot afford
//! that takes the message only when it is done with it: it keeps it in its ports, which may be any struct.

mod child;
mod plan;
mod policy;
mod run;

use std::{error, fmt, time::Duration};

pub use policy::{Backoff, Intensity, OnExit, Strategy};

use crate::{
    Ctx, Error, Work,
    observe::Loan,
    process::Name,
    scope::{Outcome, scope},
};
pub(crate) use child::{Child, Start};
use run::Run;

/// How long a child that was asked to stop may take, unless [`Supervisor::with_grace`] says otherwise.
const GRACE: Duration = Duration::from_secs(5);

/// Runs children and starts them again when they crash.
///
/// ```
/// # towpath::block_on(async {
/// use towpath::{Ctx, Receiver, Sender};
/// use towpath::supervisor::{Backoff, OnExit, Strategy, Supervisor};
///
/// /// Orders that wait for the cook.
/// const ORDERS: usize = 8;
/// let (tx, orders) = towpath::bounded(ORDERS);
/// let (plates, mut served) = towpath::bounded(ORDERS);
/// for order in ["soup", "fire", "salad"] {
///     tx.try_send(order).unwrap();
/// }
/// drop(tx);
///
/// let mut kitchen =
///     Supervisor::new("kitchen", Strategy::OneForOne).with_backoff(Backoff::NONE);
/// kitchen.child("cook", OnExit::RestartOnFailure, (orders, plates), async |_ctx, (orders, plates)| {
///     while let Some(order) = orders.recv().await {
///         if order == "fire" {
///             return Err("the kitchen burns");
///         }
///         plates.send(order).await.map_err(|_| "nobody eats")?;
///     }
///     Ok(())
/// });
/// kitchen.run(&Ctx::root()).await?;
///
/// assert_eq!(served.recv().await, Some("soup"));
/// assert_eq!(served.recv().await, Some("salad")); // the second run went on where the first had crashed
/// # Ok::<(), towpath::Error>(()) }).unwrap();
/// ```
#[must_use = "a supervisor does nothing until it is run"]
pub struct Supervisor {
    name: Name,
    strategy: Strategy,
    intensity: Intensity,
    backoff: Backoff,
    grace: Duration,
    children: Vec<(Name, OnExit, Box<dyn Start>)>,
}

impl Supervisor {
    /// A supervisor without children.
    pub fn new(name: impl Into<Name>, strategy: Strategy) -> Self {
        Self {
            name: name.into(),
            strategy,
            intensity: Intensity::default(),
            backoff: Backoff::default(),
            grace: GRACE,
            children: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Gives up after more restarts than this; by default more than three within five seconds. What is restarted
    /// together counts once.
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Waits like this before it restarts; by default from a tenth of a second to half a minute.
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Children that were asked to stop may take so long, by default five seconds; then their futures are dropped.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Adds a child. It is started with the others by [`run`](Self::run), in the order in which they were added.
    ///
    /// `work` is an async function or an `async move` closure of a [`Ctx`] and `&mut P`. Each run gets its own clone of
    /// it, so what a closure has captured begins anew with each run; what is to survive belongs into `ports`. The
    /// context ends when the child is to stop: because a sibling takes it along, or all end.
    ///
    /// When the child will not be started again its ports are dropped, so its channels close.
    pub fn child<P, F, R>(
        &mut self,
        name: impl Into<Name>,
        on_exit: OnExit,
        ports: P,
        work: F,
    ) -> &mut Self
    where
        P: Send + 'static,
        F: AsyncFnOnce(Ctx, &mut P) -> R + for<'a> Work<'a, P, Output = R> + Clone,
        R: Outcome<Value = ()>,
    {
        self.add(name.into(), on_exit, Child::new(ports, work, Loan::default()));
        self
    }

    pub(crate) fn add(&mut self, name: Name, on_exit: OnExit, child: impl Start + 'static) {
        self.children.push((name, on_exit, Box::new(child)));
    }

    /// Runs the children until none is left.
    ///
    /// # Errors
    /// - [`Error::Failed`] with [`GaveUp`] as its source, when there were more restarts than [`Intensity`] allows.
    /// - The error of a child with [`OnExit::Stop`].
    /// - [`Error::Cancelled`] when `ctx` has ended and a child did not end well on its own then.
    ///
    /// In each case all children were asked to stop and have ended; errors they had meanwhile are in
    /// [`Error::later`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it drops the futures of its children.
    pub async fn run(self, ctx: &Ctx) -> Result<(), Error> {
        scope(ctx, |scope| async move { Ok(Run::new(self, scope).run().await) }).await?
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("name", &self.name)
            .field("strategy", &self.strategy)
            .field("children", &self.children.iter().map(|(name, ..)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Why a supervisor gave up: the source of its [`Error::Failed`].
#[derive(Debug)]
#[non_exhaustive]
pub struct GaveUp {
    /// The child whose end was one too many.
    pub process: Name,
    /// How many restarts there had been within the window, of this child and others.
    pub restarts: u32,
    /// The window.
    pub within: Duration,
    /// How the child ended the last time; `None` if it returned `Ok` where it should never have ended.
    pub last: Option<Error>,
    /// How children had ended before within the window, oldest first.
    pub earlier: Vec<Ended>,
}

/// The end of one run of a child, in [`GaveUp::earlier`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended {
    /// The child.
    pub process: Name,
    /// How long before the supervisor gave up.
    pub ago: Duration,
    /// `None` if it returned `Ok`.
    pub error: Option<Error>,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, restarts, within, last, .. } = self;
        let ended = if last.is_some() { "failed" } else { "ended" };
        write!(
            f,
            "gave up: process `{process}` {ended} once more after {restarts} restarts within {within:?}"
        )
    }
}

impl error::Error for GaveUp {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.last.as_ref().map(|last| last as _)
    }
}
