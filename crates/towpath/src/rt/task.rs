//! A running task as seen by whoever waits for its result.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Object, Op, sim};
use crate::{
    mailbox::Mailbox,
    process,
    select::{ArmContext, SelectArm},
};

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
    /// Whoever runs it puts it there.
    Place(Asks<R>),
}

/// The place of the result; `None`: there will be none.
type Place<R> = Mailbox<Option<Result<R, Payload>>>;

const POLLED_AFTER_DONE: &str = "a task's result was polled again after it had come";

/// Who asks.
struct Asks<R>(Arc<Place<R>>);

impl<R> Asks<R> {
    fn poll(&self, waker: Option<&Waker>) -> Poll<Result<R, TaskError>> {
        self.0.poll(waker, POLLED_AFTER_DONE).map(|result| match result {
            Some(result) => result.map_err(TaskError::Panicked),
            None => Err(TaskError::Cancelled),
        })
    }
}

impl<R> Drop for Asks<R> {
    fn drop(&mut self) {
        if let Some(Some(result)) = self.0.close() {
            unseen(result);
        }
    }
}

/// Who has the result, in the end.
struct Answers<R>(Arc<Place<R>>);

impl<R> Answers<R> {
    fn finish(self, result: Result<R, Payload>) {
        if let Err(Some(result)) = self.0.post(Some(result)) {
            unseen(result);
        }
    }
}

impl<R> Drop for Answers<R> {
    fn drop(&mut self) {
        // After `finish` this is too late; without it there is no result.
        let _late = self.0.post(None);
    }
}

/// Nobody asks for this.
fn unseen<R>(result: Result<R, Payload>) {
    if let Err(payload) = result {
        sim::unseen_panic(message(&payload));
    }
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

    /// Names it in a simulation.
    fn address(&self) -> usize {
        match &self.source {
            #[cfg(feature = "tokio")]
            Source::Tokio(_) => 0,
            Source::Place(asks) => Arc::as_ptr(&asks.0).addr(),
        }
    }

    fn poll_outcome(&mut self, waker: Option<&Waker>) -> Poll<Result<R, TaskError>> {
        match &mut self.source {
            #[cfg(feature = "tokio")]
            Source::Tokio(join) => {
                join.poll(&mut Context::from_waker(waker.unwrap_or(Waker::noop())))
            }
            Source::Place(asks) => asks.poll(waker),
        }
    }
}

impl<R> Future for Task<R> {
    type Output = Result<R, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        sim::point(Op::Join, self.address(), None);
        let polled = self.poll_outcome(Some(cx.waker()));
        if polled.is_pending() {
            sim::pending(Op::Join, self.address(), None);
        }
        polled
    }
}

impl<R> SelectArm for Task<R> {
    type Output = Result<R, TaskError>;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        if self.outcome.is_none() {
            let waker = cx.may_wait().then(|| cx.waker());
            match self.poll_outcome(waker) {
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

    fn retract(self: Pin<&mut Self>) {
        if let Source::Place(asks) = &self.source
            && self.outcome.is_none()
        {
            asks.0.forget_waker();
        }
    }
}

fn message(payload: &Payload) -> &str {
    process::panic_text(&**payload).unwrap_or("no message")
}

#[track_caller]
fn pair<R>() -> (Answers<R>, Task<R>) {
    let place = Arc::new(Place::new());
    sim::made(Arc::as_ptr(&place).addr(), Object::Result, Location::caller());
    let asks = Asks(place.clone());
    (Answers(place), Task { source: Source::Place(asks), outcome: None })
}

/// A task that catches its own panic.
#[track_caller]
pub(super) fn of_future<R>(future: impl Future<Output = R>) -> (impl Future<Output = ()>, Task<R>) {
    let (answers, task) = pair();
    let run = async move {
        let mut future = pin!(future);
        let result =
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(polled) => polled.map(Ok),
                Err(payload) => Poll::Ready(Err(payload)),
            });
        answers.finish(result.await);
    };
    (run, task)
}

#[track_caller]
pub(super) fn of_call<R>(f: impl FnOnce() -> R) -> (impl FnOnce(), Task<R>) {
    let (answers, task) = pair();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(f));
        answers.finish(result);
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
