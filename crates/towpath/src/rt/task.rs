//! A running task as seen by whoever waits for its result.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use super::{point::Object, sim};
use crate::{
    TrySendError,
    channel::{Receiver, Sender, bounded},
    select::{ArmContext, SelectArm},
};

/// A task has one result.
const RESULT: usize = 1;

type Payload = Box<dyn Any + Send>;

/// The result of a task that runs elsewhere: await it, [`join`](Self::join) it from a thread, or drop it to detach.
pub struct Task<R> {
    source: Source<R>,
    /// As an arm of a select: the outcome that waits to be collected.
    outcome: Option<Result<R, TaskError>>,
}

/// Where the result comes from.
enum Source<R> {
    /// The runtime's own handle.
    #[cfg(feature = "tokio")]
    Tokio(super::tokio::Join<R>),
    /// A channel from the thread it runs on.
    Channel(Receiver<Result<R, Payload>>),
}

/// Nothing in it is pinned.
impl<R> Unpin for Task<R> {}

/// Why a task has no result.
pub enum TaskError {
    /// It panicked, with this payload.
    Panicked(Payload),
    /// Its runtime was shut down before it finished.
    Cancelled,
}

impl TaskError {
    /// Goes on with the task's panic on this thread; panics also if it was cancelled.
    pub fn resume(self) -> ! {
        match self {
            Self::Panicked(payload) => resume_unwind(payload),
            Self::Cancelled => panic!("{self}"),
        }
    }
}

impl<R> Task<R> {
    /// Waits for the result on this thread.
    ///
    /// # Errors
    /// [`TaskError`] when the task panicked or was cancelled.
    pub fn join(self) -> Result<R, TaskError> {
        super::block_on(self)
    }

    #[cfg(feature = "tokio")]
    pub(super) fn of_tokio(join: super::tokio::Join<R>) -> Self {
        Self { source: Source::Tokio(join), outcome: None }
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, TaskError>> {
        match &mut self.source {
            #[cfg(feature = "tokio")]
            Source::Tokio(join) => join.poll(cx),
            Source::Channel(result) => result.poll_recv(cx).map(outcome),
        }
    }
}

fn outcome<R>(received: Option<Result<R, Payload>>) -> Result<R, TaskError> {
    match received {
        Some(Ok(result)) => Ok(result),
        Some(Err(payload)) => Err(TaskError::Panicked(payload)),
        None => Err(TaskError::Cancelled),
    }
}

impl<R> Future for Task<R> {
    type Output = Result<R, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_outcome(cx)
    }
}

impl<R> SelectArm for Task<R> {
    type Output = Result<R, TaskError>;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        if self.outcome.is_none() {
            let mut task_cx = Context::from_waker(cx.waker());
            match self.poll_outcome(&mut task_cx) {
                Poll::Ready(outcome) => self.outcome = Some(outcome),
                Poll::Pending => return Poll::Pending,
            }
        }
        if cx.commit() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn complete(mut self: Pin<&mut Self>) -> Self::Output {
        match self.outcome.take() {
            Some(outcome) => outcome,
            None => unreachable!("completed without having been ready"),
        }
    }
}

fn message(payload: &Payload) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn finish<R>(tx: &Sender<Result<R, Payload>>, result: Result<R, Payload>) {
    // Nobody waits any more: the result has no use. Room there is, for it is the only one.
    if let Err(TrySendError::Closed(Err(payload)) | TrySendError::Full(Err(payload))) =
        tx.try_send(result)
    {
        sim::unseen_panic(message(&payload));
    }
}

#[track_caller]
fn pair<R>() -> (Sender<Result<R, Payload>>, Task<R>) {
    let (tx, result) = bounded(RESULT);
    // In a simulation's report it is the value of a task, and not a channel that nobody has ever seen.
    sim::made(result.id().0 as usize, Object::Task, Location::caller());
    (tx, Task { source: Source::Channel(result), outcome: None })
}

/// A task that catches its own panic.
#[track_caller]
pub(super) fn of_future<R>(future: impl Future<Output = R>) -> (impl Future<Output = ()>, Task<R>) {
    let (tx, task) = pair();
    let run = async move {
        let mut future = pin!(future);
        let result =
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(polled) => polled.map(Ok),
                Err(payload) => Poll::Ready(Err(payload)),
            });
        finish(&tx, result.await);
    };
    (run, task)
}

#[track_caller]
pub(super) fn of_call<R>(f: impl FnOnce() -> R) -> (impl FnOnce(), Task<R>) {
    let (tx, task) = pair();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(f));
        finish(&tx, result);
    };
    (run, task)
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Panicked(_) => "Panicked(..)",
            Self::Cancelled => "Cancelled",
        })
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(payload) => {
                write!(f, "the task panicked: {}", message(payload))
            }
            Self::Cancelled => f.write_str("the task's runtime was shut down before it finished"),
        }
    }
}

impl std::error::Error for TaskError {}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Task(..)")
    }
}
