//! One process of a scope: its job in a slot, its value in a mailbox, its line in the scope's books.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{
    books::Shared,
    join::{Deliver, Mailbox},
    outcome::Outcome,
};
use crate::{
    BoxError, Cause,
    observe::{Living, Wakers},
    probe::{self, Exit},
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
    /// It runs on a thread of its own, which waits in one place at a time.
    const THREAD: bool;

    fn advance(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Value, BoxError>>;
}

impl<F> Job for F
where
    F: Future + Send,
    F::Output: Outcome,
{
    type Value = <F::Output as Outcome>::Value;
    const THREAD: bool = false;

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
    const THREAD: bool = true;

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
    /// A task's; set at its first turn.
    bell: OnceLock<Bell>,
    /// It was polled with another waker too.
    uncounted: AtomicBool,
    /// The probe knows of its start, and not of its end.
    told: AtomicBool,
    mailbox: Mailbox<J::Value>,
}

/// A process as its scope sees it.
pub(super) trait Live: Send + Sync {
    /// Drops the job, at the latest at the end of the turn it is having. True: that turn is this thread's own, further
    /// up its stack.
    fn stop(&self) -> bool;

    fn set_place(&self, place: usize);

    /// For observers.
    fn living(&self) -> Living;

    /// Its number.
    fn id(&self) -> u64;

    /// Gives a task another turn, as if somebody had woken it.
    fn nudge(&self);
}

/// A task's waker in a wrapping that counts its clones: an observer who sees as many waits as clones knows that nobody
/// else can wake the task.
struct Bell {
    counter: Arc<Counted>,
    waker: Waker,
}

/// The runtime's own waker.
struct Counted {
    runtime: Waker,
    /// It was woken, and has not had its turn yet.
    woken: AtomicBool,
}

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: seen in `answer`, and, with the drop of this clone, by an observer who does not find the clone any more.
        // Before the runtime knows, so that the turn that follows answers it.
        self.woken.store(true, Ordering::Release);
        self.runtime.wake_by_ref();
    }
}

impl Bell {
    fn new(runtime: Waker) -> Self {
        let counter = Arc::new(Counted { runtime, woken: AtomicBool::new(false) });
        Self { waker: counter.clone().into(), counter }
    }

    /// Clones that are out, and whether it has rung since the last turn.
    fn clones(&self) -> (usize, bool) {
        let clones = Arc::strong_count(&self.counter) - 2;
        // Pairs with the Release of the drop of a clone, which `strong_count` has counted.
        fence(Ordering::Acquire);
        (clones, self.counter.woken.load(Ordering::Acquire))
    }
}

impl<J: Job> Child<J> {
    pub(super) fn new(scope: Arc<Shared>, name: Name, job: J) -> Pin<Arc<Self>> {
        Arc::pin(Self {
            scope,
            place: AtomicUsize::new(0),
            process: Process::new(name),
            slot: Slot::new(job),
            bell: OnceLock::new(),
            uncounted: AtomicBool::new(false),
            told: AtomicBool::new(false),
            mailbox: Mailbox::new(),
        })
    }

    /// For `raw/pin.rs`.
    pub(crate) fn slot(&self) -> &Slot<J> {
        &self.slot
    }

    /// Tells the probe that it is about to start; before anybody else can see it.
    pub(super) fn tell_spawn(&self, again: bool) {
        if probe::is_on() {
            let told = probe::spawn(&self.process, J::THREAD, again);
            // Relaxed: the books and the runtime publish it.
            self.told.store(told, Ordering::Relaxed);
        }
    }

    /// Tells the probe how it has ended.
    fn tell_exit(&self, how: Exit) {
        if self.told.load(Ordering::Relaxed) {
            probe::exit(&self.process, how);
        }
    }

    /// Answers for a process that may not begin.
    pub(super) fn refuse(&self) {
        if let Emptied::Now(panic) = self.slot.empty(&self.process) {
            self.tell_exit(if panic.is_some() { Exit::Panicked } else { Exit::Dropped });
            self.post(Err(self.scope.ctx.cause()));
            if let Some(panic) = panic {
                panic.resume();
            }
        }
    }

    fn turn(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<()> {
        let unaware = !self.scope.has_failed();
        let turn = pin::slot(self).turn(&self.process, |job| {
            self.answer();
            // Hung up by whoever has the job in hand, so whoever empties the slot later sees it.
            let waker = if J::THREAD { cx.waker() } else { self.get_ref().bell(cx.waker()) };
            let cx = &mut Context::from_waker(waker);
            match process::catch(|| job.advance(cx)) {
                Ok(Poll::Pending) => None,
                Ok(Poll::Ready(result)) => Some(Ok(result)),
                Err(panic) => Some(Err(panic)),
            }
        });
        match turn {
            Turn::Missed => {}
            Turn::Pending => return Poll::Pending,
            Turn::Done(result, after) => {
                let (how, result) = match result {
                    Ok(Ok(value)) => (Exit::Done, Ok(value)),
                    Ok(Err(error)) => {
                        let (how, cause) = self.scope.fail(self.process.name(), error, unaware);
                        (how, Err(cause))
                    }
                    Err(panic) => (
                        Exit::Panicked,
                        Err(self.scope.panicked(self.process.name(), panic, unaware)),
                    ),
                };
                self.finish(how, result, after);
            }
            Turn::Doomed(panic) => {
                self.finish(Exit::Dropped, Err(self.scope.ctx.cause()), panic);
            }
        }
        Poll::Ready(())
    }

    /// The bell has been heard; from here the turn itself shows. Whoever rang before finds the job looking after it.
    #[inline]
    fn answer(&self) {
        if let Some(bell) = self.bell.get() {
            let woken = &bell.counter.woken;
            // Acquire: the look that follows sees what those did who rang. Release: who sees the bell answered sees the
            // turn.
            if woken.load(Ordering::Relaxed) {
                woken.swap(false, Ordering::AcqRel);
            }
        }
    }

    /// The waker to poll the job with.
    fn bell<'a>(&'a self, runtime: &'a Waker) -> &'a Waker {
        let bell = self.bell.get_or_init(|| Bell::new(runtime.clone()));
        if bell.counter.runtime.will_wake(runtime) {
            &bell.waker
        } else {
            // No runtime that we know of changes a task's waker.
            self.uncounted.store(true, Ordering::Relaxed);
            runtime
        }
    }

    /// The runtime will give it no other turn.
    fn give_up(&self) {
        if let Emptied::Now(panic) = self.slot.empty(&self.process) {
            let (_, cause) = self.scope.fail(self.process.name(), GIVEN_UP.into(), false);
            self.finish(Exit::Dropped, Err(cause), panic);
        }
    }

    /// The last act: the job is gone and its error in the books; `panic` is that of the job's drop.
    fn finish(&self, how: Exit, result: Result<J::Value, Cause>, panic: Option<Panic>) {
        self.tell_exit(if panic.is_some() { Exit::Panicked } else { how });
        let mut result = result;
        if let Some(panic) = panic {
            let cause = self.scope.panicked(self.process.name(), panic, false);
            // A value beside a panic is none.
            let value = std::mem::replace(&mut result, Err(cause));
            self.guarded(|| drop(value));
        }
        self.guarded(|| self.post(result));
        self.scope.leave(self.place.load(Ordering::Relaxed));
    }

    /// Puts the result in place, or drops it if nobody will ask for it.
    fn post(&self, result: Result<J::Value, Cause>) {
        drop(self.mailbox.post(result.map_err(Box::new)));
    }

    /// Runs what may drop a value of the user's, whose panic belongs into the books.
    fn guarded(&self, f: impl FnOnce()) {
        if let Err(panic) = process::catch(f) {
            self.scope.panicked(self.process.name(), panic, false);
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
                self.finish(Exit::Dropped, Err(self.scope.ctx.cause()), panic);
                // The wakers went with the job. Without a last turn the runtime would keep its task, empty, for as long
                // as it lives itself. No bell: the first turn is still to come.
                if let Some(bell) = self.bell.get() {
                    bell.counter.runtime.wake_by_ref();
                }
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

    fn living(&self) -> Living {
        let (clones, woken) = self.bell.get().map_or((0, false), Bell::clones);
        Living {
            id: self.process.id(),
            name: self.process.name().clone(),
            // A thread has its turn from beginning to end; whether it rests is seen from where it waits.
            running: !J::THREAD && (woken || self.slot.is_running()),
            wakers: if J::THREAD {
                Wakers::OneThread
            } else if self.uncounted.load(Ordering::Relaxed) {
                Wakers::Unknown
            } else {
                Wakers::Counted(clones)
            },
        }
    }

    fn id(&self) -> u64 {
        self.process.id()
    }

    fn nudge(&self) {
        if let Some(bell) = self.bell.get() {
            bell.counter.wake_by_ref();
        }
    }
}

impl<J: Job> Deliver<J::Value> for Child<J>
where
    J::Value: Send,
{
    fn mailbox(&self) -> &Mailbox<J::Value> {
        &self.mailbox
    }

    fn stop_job(&self) {
        let _on_our_stack = self.stop();
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
