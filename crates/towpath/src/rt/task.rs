//! A running task as seen by whoever waits for its result.

use std::{
    any::Any,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    task::{Context, Poll},
};

use crate::{
    channel::{Receiver, Sender, bounded},
    select::{ArmContext, SelectArm},
};

/// A task has one result.
const RESULT: usize = 1;

type Payload = Box<dyn Any + Send>;

/// The result of a task that runs elsewhere: await it, [`join`](Self::join) it from a thread, or drop it to detach.
pub struct Task<R> {
    result: Receiver<Result<R, Payload>>,
    outcome: Option<Option<Result<R, Payload>>>,
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
    pub fn join(mut self) -> Result<R, TaskError> {
        outcome(self.result.recv_blocking())
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
        self.result.poll_recv(cx).map(outcome)
    }
}

impl<R> SelectArm for Task<R> {
    type Output = Result<R, TaskError>;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        if self.outcome.is_none() {
            let mut task_cx = Context::from_waker(cx.waker());
            match self.result.poll_recv(&mut task_cx) {
                Poll::Ready(received) => self.outcome = Some(received),
                Poll::Pending => return Poll::Pending,
            }
        }
        if cx.commit() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn complete(mut self: Pin<&mut Self>) -> Self::Output {
        outcome(self.outcome.take().flatten())
    }
}

fn finish<R>(tx: &Sender<Result<R, Payload>>, result: Result<R, Payload>) {
    // Nobody waits any more: the result has no use. Room there is, for it is the only one.
    drop(tx.try_send(result));
}

fn pair<R>() -> (Sender<Result<R, Payload>>, Task<R>) {
    let (tx, result) = bounded(RESULT);
    (tx, Task { result, outcome: None })
}

pub(super) fn of_future<F: Future>(future: F) -> (impl Future<Output = ()>, Task<F::Output>) {
    let (tx, task) = pair();
    let run = async move {
        let mut future = pin!(future);
        let result = std::future::poll_fn(|cx| {
            match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
                Err(payload) => Poll::Ready(Err(payload)),
            }
        })
        .await;
        finish(&tx, result);
    };
    (run, task)
}

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
                let message = payload
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
                write!(f, "the task panicked: {}", message.unwrap_or("no message"))
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
