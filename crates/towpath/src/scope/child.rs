//! One process of a scope: its job in a slot, its value in a mailbox, its line in the scope's books.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{
    books::Shared,
    join::{Deliver, Mailbox},
    outcome::Outcome,
};
use crate::{
    BoxError, Cause,
    process::{self, Name, Panic, Process},
    raw::{
        pin,
        slot::{Call, Emptied, Slot, Turn},
    },
};

const GIVEN_UP: &str =
    "its runtime gave it up before it had finished: shut down, or out of threads";

/// What a process has to do: a future to poll, or a closure to call.
pub(crate) trait Job: Send {
    type Value;

    fn advance(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Value, BoxError>>;
}

impl<F> Job for F
where
    F: Future + Send,
    F::Output: Outcome,
{
    type Value = <F::Output as Outcome>::Value;

    fn advance(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Value, BoxError>> {
        self.poll(cx).map(Outcome::into_result)
    }
}

impl<F, O> Job for Call<F>
where
    F: FnOnce() -> O + Send,
    O: Outcome,
{
    type Value = O::Value;

    fn advance(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<O::Value, BoxError>> {
        self.0.take().map_or(Poll::Pending, |call| Poll::Ready(call().into_result()))
    }
}

/// A process as its scope and its runtime share it.
pub(crate) struct Child<J: Job> {
    scope: Arc<Shared>,
    /// Its place in the books; set on registration.
    place: AtomicUsize,
    process: Process,
    slot: Slot<J>,
    mailbox: Mailbox<J::Value>,
}

/// A process as its scope sees it.
pub(super) trait Live: Send + Sync {
    /// Drops the job, at the latest at the end of the turn it is having. True: that turn is this thread's own, further
    /// up its stack.
    fn stop(&self) -> bool;

    fn set_place(&self, place: usize);
}

impl<J: Job> Child<J> {
    pub(super) fn new(scope: Arc<Shared>, name: Name, job: J) -> Pin<Arc<Self>> {
        Arc::pin(Self {
            scope,
            place: AtomicUsize::new(0),
            process: Process::new(name),
            slot: Slot::new(job),
            mailbox: Mailbox::new(),
        })
    }

    /// For `raw/pin.rs`.
    pub(crate) fn slot(&self) -> &Slot<J> {
        &self.slot
    }

    /// Answers for a process that may not begin.
    pub(super) fn refuse(&self) {
        if let Emptied::Now(panic) = self.slot.empty(&self.process) {
            self.mailbox.post(Err(self.scope.ctx.cause()));
            if let Some(panic) = panic {
                panic.resume();
            }
        }
    }

    fn turn(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<()> {
        let turn =
            pin::slot(self).turn(&self.process, |job| match process::catch(|| job.advance(cx)) {
                Ok(Poll::Pending) => None,
                Ok(Poll::Ready(result)) => Some(Ok(result)),
                Err(panic) => Some(Err(panic)),
            });
        match turn {
            Turn::Missed => {}
            Turn::Pending => return Poll::Pending,
            Turn::Done(result, after) => {
                let result = match result {
                    Ok(result) => {
                        result.map_err(|error| self.scope.fail(self.process.name(), error))
                    }
                    Err(panic) => Err(self.scope.panicked(self.process.name(), panic)),
                };
                self.finish(result, after);
            }
            Turn::Doomed(panic) => self.finish(Err(self.scope.ctx.cause()), panic),
        }
        Poll::Ready(())
    }

    /// The runtime will give it no other turn.
    fn give_up(&self) {
        if let Emptied::Now(panic) = self.slot.empty(&self.process) {
            let cause = self.scope.fail(self.process.name(), GIVEN_UP.into());
            self.finish(Err(cause), panic);
        }
    }

    /// The last act: the job is gone and its error in the books; `panic` is that of the job's drop.
    fn finish(&self, result: Result<J::Value, Cause>, panic: Option<Panic>) {
        let mut result = result;
        if let Some(panic) = panic {
            let cause = self.scope.panicked(self.process.name(), panic);
            // A value beside a panic is none.
            let value = std::mem::replace(&mut result, Err(cause));
            self.guarded(|| drop(value));
        }
        self.guarded(|| self.mailbox.post(result));
        self.scope.leave(self.place.load(Ordering::Relaxed));
    }

    /// Runs what may drop a value of the user's, whose panic belongs into the books.
    fn guarded(&self, f: impl FnOnce()) {
        if let Err(panic) = process::catch(f) {
            self.scope.panicked(self.process.name(), panic);
        }
    }
}

impl<J: Job> Live for Child<J>
where
    J::Value: Send,
{
    fn stop(&self) -> bool {
        match self.slot.empty(&self.process) {
            Emptied::Now(panic) => {
                self.finish(Err(self.scope.ctx.cause()), panic);
                false
            }
            Emptied::Before | Emptied::Elsewhere => false,
            Emptied::Here => true,
        }
    }

    fn set_place(&self, place: usize) {
        // Relaxed: set under the books' lock before the runtime gets it.
        self.place.store(place, Ordering::Relaxed);
    }
}

impl<J: Job> Deliver<J::Value> for Child<J>
where
    J::Value: Send,
{
    fn mailbox(&self) -> &Mailbox<J::Value> {
        &self.mailbox
    }
}

/// What the runtime runs. Dropped unfinished, it tells the scope.
pub(super) struct Run<J: Job>(pub(super) Pin<Arc<Child<J>>>);

impl<J: Job> Future for Run<J> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_ref().turn(cx)
    }
}

impl<J: Job> Run<J> {
    /// Runs a job that finishes in one turn.
    pub(super) fn call(self) {
        let ended = self.0.as_ref().turn(&mut Context::from_waker(Waker::noop()));
        debug_assert!(ended.is_ready(), "a call takes one turn");
    }
}

impl<J: Job> Drop for Run<J> {
    fn drop(&mut self) {
        self.0.give_up();
    }
}
