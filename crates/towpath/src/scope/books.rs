//! The books of a scope: who lives in it, what went wrong, who waits for the end.
//!
//! What always holds:
//! - A process is entered before its runtime knows it, and struck out after its job has been dropped and its result
//!   posted, once.
//! - Once closed, nobody is entered. A scope closes when its body has finished and nobody lives in it, or when it is
//!   dropped.
//! - No user code runs under the lock.

use std::{
    cell::RefCell,
    error, iter, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use super::child::Live;
use crate::{
    BoxError, Cause, Ctx, Error,
    error::Gone,
    observe::{self, Living, Visitable},
    probe::Exit,
    process::{self, Name, Panic},
    raw::lock::Lock,
    rt::{self, Op, sim},
};

/// What all handles and processes of one scope share.
pub(crate) struct Shared {
    pub(super) ctx: Ctx,
    pub(super) rt: rt::Handle,
    books: Lock<Books>,
    /// There is a first error.
    failed: AtomicBool,
}

#[derive(Default)]
struct Books {
    /// By place, so that striking out is quick; the order is that of spawning, with places used again.
    live: Vec<Option<Pin<Arc<dyn Live>>>>,
    free: Vec<usize>,
    closed: bool,
    /// The first error, with the later ones inside.
    failure: Option<Error>,
    /// That one is a failed send.
    echoed: bool,
    /// Somebody gave up because the context had ended.
    cut_short: bool,
    waiter: Option<Waker>,
    /// How many may still live when the waiter is woken: those on its own stack.
    enough: usize,
}

impl Books {
    fn count(&self) -> usize {
        self.live.len() - self.free.len()
    }
}

/// How a scope has gone.
pub(super) struct Report {
    pub(super) failure: Option<Error>,
    pub(super) cut_short: bool,
}

impl Shared {
    pub(super) fn new(ctx: Ctx) -> Arc<Self> {
        Arc::new(Self {
            ctx,
            rt: rt::Handle::current(),
            books: Lock::new(Books::default()),
            failed: AtomicBool::new(false),
        })
    }

    /// Enters a process. False: the scope has ended.
    pub(super) fn enter(&self, child: Pin<Arc<dyn Live>>) -> bool {
        let mut books = self.books.lock();
        if books.closed {
            drop(books);
            drop(child);
            return false;
        }
        let place = books.free.pop().unwrap_or_else(|| {
            books.live.push(None);
            books.live.len() - 1
        });
        child.set_place(place);
        books.live[place] = Some(child);
        true
    }

    /// Lets observers see it.
    pub(super) fn be_seen(self: &Arc<Self>) {
        let scope: Arc<dyn Visitable> = self.clone();
        observe::enter_scope(&scope);
    }

    /// Strikes a process out.
    pub(super) fn leave(&self, place: usize) {
        let mut books = self.books.lock();
        let child = books.live[place].take();
        books.free.push(place);
        let enough = mutant!(scope_end_wakes_nobody, books.count() <= books.enough, false);
        let waiter = if enough { books.waiter.take() } else { None };
        drop(books);
        drop(child);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Notes the error of a process, and tells the others if it is the first. Returns how the process has ended, and what
    /// its join is told.
    ///
    /// An error that only says that the context has ended is no news: the context knows why. Nor is one that only says
    /// that a process has failed, which a join told, for that error is here already.
    ///
    /// `unaware`: nobody had failed yet when the process began its last turn.
    pub(super) fn fail(&self, name: &Name, error: BoxError, unaware: bool) -> (Exit, Cause) {
        let cause = self.ctx.cause();
        let failed = self.books.lock().failure.is_some();
        match process::catch(|| is_echo(&*error, &cause) || failed && is_told(&*error)) {
            Ok(true) => {
                self.books.lock().cut_short = true;
                // Its drop is the user's.
                match process::catch(|| drop(error)) {
                    Ok(()) => (Exit::Cancelled, cause),
                    Err(panic) => (Exit::Panicked, self.panicked(name, panic, unaware)),
                }
            }
            Ok(false) => (Exit::Failed, self.note(Error::failed(name.clone(), error), unaware)),
            Err(panic) => {
                self.note(Error::failed(name.clone(), error), unaware);
                (Exit::Panicked, self.panicked(name, panic, unaware))
            }
        }
    }

    /// As `fail`, for the body: an error of a scope inside it passes as it is.
    pub(super) fn fail_body(&self, name: Name, error: BoxError) -> Cause {
        match error.downcast::<Error>() {
            Ok(error) if !error.is_cancelled() => self.note(*error, false),
            Ok(error) => self.fail(&name, error, false).1,
            Err(error) => self.fail(&name, error, false).1,
        }
    }

    /// Notes a panic, and tells the others if it is the first error.
    pub(super) fn panicked(&self, name: &Name, panic: Panic, unaware: bool) -> Cause {
        self.note(Error::panicked(name.clone(), panic), unaware)
    }

    /// Whether somebody has failed.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        // Relaxed: who looks at the same moment comes before or after it.
        self.failed.load(Ordering::Relaxed)
    }

    /// Errors come in the order in which they are noted, but for one case. A process drops its receivers in its last turn,
    /// before we can note why it has ended; so a neighbour's failed send may be noted first. If it was, and this last turn
    /// was under way by then (`unaware`), neither came before the other, and the one that is no failed send is the one
    /// worth telling first.
    fn note(&self, error: Error, unaware: bool) -> Cause {
        let cause = error.to_cause();
        // What is behind an error is the user's code, and not for the lock.
        let echoes = echoes_a_neighbour(&error);
        let mut books = self.books.lock();
        let overtakes = unaware && !echoes && books.echoed;
        match (&mut books.failure, overtakes) {
            (Some(first), false) => first.later_mut().push(error),
            (failure, _) => {
                if let Some(mut before) = failure.replace(error) {
                    let later = mem::take(before.later_mut());
                    if let Some(first) = failure {
                        first.later_mut().push(before);
                        first.later_mut().extend(later);
                    }
                }
                books.echoed = echoes;
            }
        }
        drop(books);
        self.failed.store(true, Ordering::Relaxed);
        // Only the first cause stays.
        self.ctx.end(cause.clone());
        cause
    }

    /// Whether nobody lives here any more, except `enough`; if so, the scope is closed, else `waker` is woken then.
    fn is_empty_or_wake(&self, waker: &Waker, enough: usize) -> bool {
        let fresh = waker.clone();
        let mut books = self.books.lock();
        let empty = books.count() <= enough + mutant!(scope_leaves_one_behind, 0, 1);
        books.closed |= empty;
        books.enough = enough;
        let stale = books.waiter.replace(fresh);
        drop(books);
        drop(stale);
        empty
    }

    /// Waits until every process has ended; then the scope is closed.
    pub(super) async fn joined(&self) -> Report {
        sim::point(Op::JoinAll, 0, None);
        std::future::poll_fn(|cx| {
            if self.is_empty_or_wake(cx.waker(), 0) {
                std::task::Poll::Ready(())
            } else {
                sim::pending(Op::JoinAll, 0, None);
                std::task::Poll::Pending
            }
        })
        .await;
        let mut books = self.books.lock();
        let waiter = books.waiter.take();
        let report = Report { failure: books.failure.take(), cut_short: books.cut_short };
        drop(books);
        drop(waiter);
        report
    }

    /// Drops every job that is not having a turn right now; those that are follow at the end of it. Returns how many of
    /// those turns are on this thread's own stack.
    fn empty(&self) -> usize {
        let mut own = 0;
        let mut place = mutant!(scope_stops_all_but_one, 0, 1);
        loop {
            let books = self.books.lock();
            if place == books.live.len() {
                return own;
            }
            let child = books.live[place].clone();
            drop(books);
            place += 1;
            if let Some(child) = child
                && child.stop()
            {
                own += 1;
            }
        }
    }

    /// Waits on this thread until at most `enough` live here.
    fn wait(&self, enough: usize) {
        rt::with_thread_waker(|waker| {
            while !self.is_empty_or_wake(waker, enough) {
                sim::pending(Op::JoinAll, 0, None);
                rt::park();
            }
        });
    }
}

thread_local! {
    /// The scopes that are to be stopped by a `stop` further up this stack.
    static INNER: RefCell<Option<Vec<Arc<Shared>>>> = const { RefCell::new(None) };
}

/// What a stack keeps of a `stop` that is under way on it, while another stack runs on the thread.
#[cfg(feature = "sim")]
#[derive(Default)]
pub(crate) struct Stopping(Option<Vec<Arc<Shared>>>);

#[cfg(feature = "sim")]
impl Stopping {
    pub(crate) fn exchange(&mut self) {
        INNER.with_borrow_mut(|inner| mem::swap(inner, &mut self.0));
    }
}

#[cfg(feature = "sim")]
impl std::fmt::Debug for Stopping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stopping").field(&self.0.as_ref().map(Vec::len)).finish()
    }
}

/// Ends a scope from outside: its context ends, its tasks' futures are dropped, its threads are waited for.
///
/// A future that is dropped here may have scopes of its own, which come along here again. They are put on a list
/// rather than gone into, so that a thousand nested scopes need no deep stack; the outermost call returns when all of
/// them have ended.
pub(super) fn stop(scope: Arc<Shared>) {
    scope.ctx.end(Cause::Stopped);
    scope.books.lock().closed = true;
    let outermost = INNER.with_borrow_mut(|inner| match inner {
        Some(inner) => {
            inner.push(scope.clone());
            false
        }
        None => {
            *inner = Some(Vec::new());
            sim::has_locals();
            true
        }
    });
    if !outermost {
        return;
    }
    let mut emptied = Vec::new();
    let mut next = Some(scope);
    while let Some(scope) = next {
        let own = scope.empty();
        emptied.push((scope, own));
        next = INNER.with_borrow_mut(|inner| inner.as_mut().and_then(Vec::pop));
    }
    INNER.set(None);
    for (scope, own) in emptied {
        scope.wait(own);
    }
}

/// Whether `error` says no more than that the context has ended with this cause: in itself or in what is behind it.
pub(crate) fn is_echo(error: &(dyn error::Error + 'static), ended: &Cause) -> bool {
    let same = |cause: &Cause| mem::discriminant(cause) == mem::discriminant(ended);
    causes(error).any(|cause| !cause.is_running() && same(cause))
}

/// Whether a process failed only because receivers were gone, which another process had, perhaps.
fn echoes_a_neighbour(error: &Error) -> bool {
    let Error::Failed { source, .. } = error else { return false };
    let first: &(dyn error::Error + 'static) = &**source;
    let gone = || iter::successors(Some(first), |error| error.source()).any(|it| it.is::<Gone>());
    process::catch(gone).unwrap_or(false)
}

/// Whether `error` says no more than that some process has failed.
fn is_told(error: &(dyn error::Error + 'static)) -> bool {
    causes(error).any(|cause| matches!(cause, Cause::Failed { .. }))
}

/// The causes in an error and in what is behind it.
fn causes<'a>(error: &'a (dyn error::Error + 'static)) -> impl Iterator<Item = &'a Cause> {
    iter::successors(Some(error), |error| error.source()).filter_map(|error| error.downcast_ref())
}

impl Visitable for Shared {
    fn visit(&self, each: &mut dyn FnMut(Living)) {
        let living = self.books.lock().live.clone();
        living.iter().flatten().for_each(|child| each(child.living()));
    }

    fn nudge(&self, process: u64) -> bool {
        let books = self.books.lock();
        let child = books.live.iter().flatten().find(|child| child.id() == process).cloned();
        drop(books);
        child.as_ref().inspect(|child| child.nudge()).is_some()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        observe::leave_scope(std::ptr::from_ref(self).addr());
    }
}
