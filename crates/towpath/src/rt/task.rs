//! A running task as seen by whoever waits for its result.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Op, sim};
use crate::{
    raw::lock::Lock,
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

/// The place of one result, between who asks for it and who has it.
struct Place<R>(Lock<Post<R>>);

enum Post<R> {
    /// Nothing yet; whoever waits for it.
    Awaited(Option<Waker>),
    /// `None`: there will be none.
    Here(Option<Result<R, Payload>>),
    /// It was collected, or nobody will.
    Closed,
}

impl<R> Place<R> {
    /// Puts `result` there, unless nobody will ask: then it is given back.
    fn post(&self, result: Option<Result<R, Payload>>) -> Option<Result<R, Payload>> {
        let mut post = self.0.lock();
        if let Post::Awaited(waker) = &mut *post {
            let waker = waker.take();
            *post = Post::Here(result);
            drop(post);
            if let Some(waker) = waker {
                waker.wake();
            }
            return None;
        }
        drop(post);
        result
    }
}

/// Who asks.
struct Asks<R>(Arc<Place<R>>);

impl<R> Asks<R> {
    fn poll(&self, waker: Option<&Waker>) -> Poll<Result<R, TaskError>> {
        // Cloned before and dropped after: foreign code, not for the lock.
        let mut fresh = waker.cloned();
        let mut post = self.0.0.lock();
        let taken = match &mut *post {
            Post::Awaited(slot) => {
                if fresh.is_some() {
                    mem::swap(slot, &mut fresh);
                }
                None
            }
            Post::Here(_) => Some(mem::replace(&mut *post, Post::Closed)),
            Post::Closed => panic!("a task's result was polled again after it had come"),
        };
        drop(post);
        match taken {
            Some(Post::Here(Some(Ok(result)))) => Poll::Ready(Ok(result)),
            Some(Post::Here(Some(Err(payload)))) => Poll::Ready(Err(TaskError::Panicked(payload))),
            Some(_) => Poll::Ready(Err(TaskError::Cancelled)),
            None => Poll::Pending,
        }
    }

    /// Nobody waits in this place any more.
    fn forget_waker(&self) {
        let mut post = self.0.0.lock();
        let waker = if let Post::Awaited(waker) = &mut *post { waker.take() } else { None };
        drop(post);
        drop(waker);
    }
}

impl<R> Drop for Asks<R> {
    fn drop(&mut self) {
        let mut post = self.0.0.lock();
        let left = mem::replace(&mut *post, Post::Closed);
        drop(post);
        if let Post::Here(Some(result)) = left {
            unseen(result);
        }
    }
}

/// Who has the result, in the end.
struct Answers<R>(Arc<Place<R>>);

impl<R> Answers<R> {
    fn finish(self, result: Result<R, Payload>) {
        if let Some(result) = self.0.post(Some(result)) {
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
        sim::point(Op::Join, 0, None);
        let polled = self.poll_outcome(Some(cx.waker()));
        if polled.is_pending() {
            sim::pending(Op::Join, 0, None);
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
            asks.forget_waker();
        }
    }
}

fn message(payload: &Payload) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn pair<R>() -> (Answers<R>, Task<R>) {
    let place = Arc::new(Place(Lock::new(Post::Awaited(None))));
    let asks = Asks(place.clone());
    (Answers(place), Task { source: Source::Place(asks), outcome: None })
}

/// A task that catches its own panic.
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
