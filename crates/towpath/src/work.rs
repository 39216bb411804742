//! Lending: how a function runs as a process with ports that stay somebody else's.
//!
//! What always holds: a process gets `&mut` on its ports for one run. They live longer than that run, so a receiver
//! cannot leave with it, and what is queued in the channels survives a crash.
//!
//! Why a trait of our own: the future of such a function borrows from its argument, so for every lifetime it is another
//! type, and all of them must be `Send`. Stable Rust cannot say that of an `async` closure (`AsyncFnOnce` has no way to
//! name the future). [`Work`] can, and holds for every `async fn` and `async` closure that fits. Where it is asked for,
//! `AsyncFnOnce` stands next to it, since that is the bound from which the compiler learns the types of a closure's
//! arguments.

use std::future::Future;

use crate::{BoxError, Ctx, scope::Outcome};

/// An async function or closure that works with ports `P` which it is lent.
///
/// ```
/// use towpath::{Ctx, Receiver, SendError, Sender};
///
/// async fn dispatcher(
///     _ctx: Ctx,
///     (orders, paid): &mut (Receiver<u32>, Sender<u32>),
/// ) -> Result<(), SendError<u32>> {
///     while let Some(order) = orders.recv().await {
///         paid.send(order).await?;
///     }
///     Ok(())
/// }
/// # fn is_work<F: for<'a> towpath::Work<'a, (Receiver<u32>, Sender<u32>)>>(_: F) {}
/// # is_work(dispatcher);
/// ```
///
/// It is called with a context and `&mut` on its ports, and returns `()` or a `Result` without a value. It holds for
/// everything that fits and is not to be implemented.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the work of a process with the ports `{P}`",
    note = "it should be `async fn(ctx: Ctx, ports: &mut {P}) -> Result<(), E>`, or such an `async move` closure",
    note = "what it captures and holds over an `await` must be `Send`"
)]
pub trait Work<'a, P: 'a>: Send + 'static {
    /// What it returns.
    type Output: Outcome<Value = ()>;
    /// The future it makes.
    type Future: Future<Output = Self::Output> + Send + 'a;

    /// Calls it.
    fn begin(self, ctx: Ctx, ports: &'a mut P) -> Self::Future;
}

impl<'a, P, F, Fut> Work<'a, P> for F
where
    P: 'a,
    F: FnOnce(Ctx, &'a mut P) -> Fut + Send + 'static,
    Fut: Future<Output: Outcome<Value = ()>> + Send + 'a,
{
    type Output = Fut::Output;
    type Future = Fut;

    fn begin(self, ctx: Ctx, ports: &'a mut P) -> Fut {
        self(ctx, ports)
    }
}

/// Does `work` with `ports`, which somebody else holds.
pub(crate) async fn work_with<P, F, R>(work: F, ctx: Ctx, ports: &mut P) -> Result<(), BoxError>
where
    F: for<'a> Work<'a, P, Output = R>,
    R: Outcome<Value = ()>,
{
    work.begin(ctx, ports).await.into_result()
}
