//! Scopes: processes that end before their scope does.
//!
//! What always holds:
//! - When [`scope`] has returned, or its future has been dropped, every process that was started in it has ended, and
//!   its future or closure has been dropped.
//! - The first error or panic ends the scope's context; later ones are kept beside it.
//!
//! A process is a task or a thread. It owns what it works with; what it shares with others goes over channels.

mod books;
mod child;
mod join;
mod outcome;

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::Location,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use crate::{
    BoxError, Ctx, Error,
    process::{self, Name},
    raw::slot::Call,
    rt::{Born, Op},
};
#[cfg(feature = "sim")]
pub(crate) use books::Stopping;
pub(crate) use books::is_echo;
use books::{Report, Shared};
use child::Run;
pub(crate) use child::{Child, Job};
pub use join::Join;
pub use outcome::Outcome;

/// The name under which a scope's body fails when no process runs it.
const BODY: &str = "scope";

/// Runs `body`, which may start processes, and waits for it and all of them.
///
/// The body's result is the scope's, unless something failed: the first error or panic, of the body or of a process,
/// ends the scope's context, so that the others stop; the scope waits for them and returns that error with the later
/// ones inside. A process that returns the cause of its context's end is not news and adds nothing, unless the end came
/// from outside and there is no other error; then the scope returns [`Error::Cancelled`].
///
/// Should `ctx` end, the processes see it at their own context; the scope waits for them all the same.
///
/// ```
/// use towpath::{BoxError, Ctx, scope};
///
/// /// Orders that wait for the kitchen: as many as fit on the board.
/// const BOARD: usize = 8;
///
/// # towpath::block_on(async {
/// let (tx, mut rx) = towpath::bounded::<u32>(BOARD);
/// let cooked = scope(&Ctx::root(), |s| async move {
///     s.spawn("waiter", |_| async move {
///         for order in 1..=3 {
///             tx.send(order).await?;
///         }
///         Ok::<_, BoxError>(())
///     });
///     let kitchen = s.spawn_blocking("kitchen", move |_| {
///         let mut cooked = Vec::new();
///         while let Some(order) = rx.recv_blocking() {
///             cooked.push(order);
///         }
///         Ok::<_, BoxError>(cooked)
///     });
///     Ok(kitchen.await?)
/// });
/// assert_eq!(cooked.await.unwrap(), [1, 2, 3]);
/// # });
/// ```
///
/// When a process ends, its receivers are dropped a moment before the scope learns why it has ended, and a neighbour that
/// sends there may return its [`SendError`](crate::SendError) in that moment. If the process turns out to have failed in
/// that very turn (or on its thread), its error goes first and the failed send becomes a later one: the cause before its
/// echo. A process that fails in a turn which began afterwards does not overtake.
///
/// # Errors
/// [`Error`], when the body or a process failed or panicked, or was cut short by the end of `ctx`. A panic of the body
/// is an error like that of a process; its name is that of the process the scope runs in, or `scope`.
///
/// # Cancel safety
/// Dropped before completion, it stops everything before the drop returns: the context ends with
/// [`Cause::Stopped`](crate::Cause::Stopped); the futures of its tasks are dropped there and then, after the poll that
/// may be under way on another thread; threads are waited for, as `std::thread::scope` does, so a thread that does not
/// look at its context keeps the dropping thread. Values and errors are lost. The one exception: a process that drops
/// the very scope it runs in ends as soon as it returns.
pub fn scope<V, F, Fut>(
    ctx: &Ctx,
    body: F,
) -> impl Future<Output = Result<V, Error>> + use<V, F, Fut>
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<V, BoxError>>,
{
    run(ctx.clone(), body)
}

async fn run<V, F, Fut>(ctx: Ctx, body: F) -> Result<V, Error>
where
    F: FnOnce(Scope) -> Fut,
    Fut: Future<Output = Result<V, BoxError>>,
{
    process::install_hook();
    let shared = Shared::new(ctx.child());
    shared.be_seen();
    let guard = StopOnDrop(Some(shared.clone()));
    let scope = Scope { shared: shared.clone() };
    let value = run_body(&shared, || body(scope)).await;
    let Report { failure, cut_short } = shared.joined().await;
    guard.disarm();
    match (failure, value) {
        (Some(failure), _) => Err(failure),
        (None, Some(value)) if !(cut_short && ctx.is_done()) => Ok(value),
        (None, _) => Err(Error::cancelled(shared.ctx.cause())),
    }
}

/// Runs the body; its error goes into the books.
async fn run_body<V, Fut>(shared: &Shared, body: impl FnOnce() -> Fut) -> Option<V>
where
    Fut: Future<Output = Result<V, BoxError>>,
{
    let name = || process::current_name(BODY);
    let body = match process::catch(body) {
        Ok(body) => body,
        Err(panic) => {
            shared.panicked(&name(), panic, false);
            return None;
        }
    };
    let mut body = pin!(body);
    let result = poll_fn(|cx| match process::catch(|| body.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await;
    match result {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(error)) => shared.fail_body(name(), error),
        Err(panic) => shared.panicked(&name(), panic, false),
    };
    None
}

/// Starts processes in a [`scope`]. Cloning copies a pointer; processes may have one and start others.
#[derive(Clone)]
pub struct Scope {
    shared: Arc<Shared>,
}

impl Scope {
    /// Starts a task. `f` is called at once, by the caller; the future it makes is the process.
    ///
    /// It gets the scope's context, and runs on the runtime on which the scope began. Once the scope has ended (the
    /// handle was taken out of it) nothing is started, and the join answers with the cause.
    ///
    /// The process returns `()`, or a `Result` whose error is any error.
    #[track_caller]
    pub fn spawn<F, Fut>(
        &self,
        name: impl Into<Name>,
        f: F,
    ) -> Join<<Fut::Output as Outcome>::Value>
    where
        F: FnOnce(Ctx) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Outcome<Value: Send>,
    {
        let job = f(self.shared.ctx.clone());
        self.start(name.into(), false, job, |run, shared, born| shared.rt.start_task(born, run))
    }

    /// Starts one run of a supervisor's child; `again` unless it is the first.
    #[track_caller]
    pub(crate) fn spawn_run<J>(&self, name: Name, again: bool, job: J) -> Join<()>
    where
        J: Future<Output = ()> + Send + 'static,
    {
        self.start(name, again, job, |run, shared, born| shared.rt.start_task(born, run))
    }

    /// Starts a thread of its own, on which `f` runs and may block. Channels, contexts and `rt` serve it as they serve
    /// a task. Otherwise as [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_blocking<F, O>(&self, name: impl Into<Name>, f: F) -> Join<O::Value>
    where
        F: FnOnce(Ctx) -> O + Send + 'static,
        O: Outcome<Value: Send> + 'static,
    {
        let ctx = self.shared.ctx.clone();
        let job = Call(Some(move || f(ctx)));
        self.start(name.into(), false, job, |run, shared, born| {
            shared.rt.start_thread(born, move || run.call())
        })
    }

    /// The scope's context: a child of the one the scope was given.
    pub fn ctx(&self) -> &Ctx {
        &self.shared.ctx
    }

    /// Asks everybody in the scope to stop, by ending its context with this reason. Not an error: when all have stopped
    /// the scope returns what its body returns. False: the context had ended already.
    ///
    /// ```
    /// # towpath::block_on(async {
    /// use towpath::{Ctx, scope};
    ///
    /// let first = scope(&Ctx::root(), |s| async move {
    ///     s.spawn("slow", |ctx| async move { Err::<(), _>(ctx.done().await) });
    ///     s.cancel("we have an answer");
    ///     Ok(7)
    /// });
    /// assert_eq!(first.await.unwrap(), 7);
    /// # });
    /// ```
    #[track_caller]
    pub fn cancel(&self, reason: impl Into<BoxError>) -> bool {
        self.shared.ctx.begin(Op::Cancel, Location::caller());
        self.shared.ctx.end(crate::Cause::of_reason(reason.into()))
    }

    #[track_caller]
    fn start<J>(
        &self,
        name: Name,
        again: bool,
        job: J,
        go: impl FnOnce(Run<J>, &Shared, Born<'_>) -> std::io::Result<()>,
    ) -> Join<J::Value>
    where
        J: Job + 'static,
        J::Value: Send + 'static,
    {
        let child = Child::new(self.shared.clone(), name.clone(), job);
        let join = Join::new(child.clone());
        let born = Born { name: Some(&name), at: Location::caller() };
        child.tell_spawn(again);
        if !self.shared.enter(child.clone()) {
            child.refuse();
        } else if let Err(error) = go(Run(child), &self.shared, born) {
            self.shared.fail(&name, error.into(), false);
        }
        join
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("ctx", self.ctx()).finish_non_exhaustive()
    }
}

/// Stops a scope whose future is dropped.
struct StopOnDrop(Option<Arc<Shared>>);

impl StopOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            books::stop(shared);
        }
    }
}
