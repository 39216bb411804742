//! Where a caller and its call meet: the place of the answer, and the call's context, which is made when somebody asks for it.
//!
//! What always holds:
//! - There is one answer at most, and the caller collects it once.
//! - When [`leave`](Slot::leave) has returned, the call's context has ended, also one that is asked for later.
//! - Nothing is woken, cancelled or dropped under the lock that others have written.
//!
//! Why not a channel and a context for each call: that is four allocations, two places in lines and two more locks, for what most handlers
//! never look at. This is one allocation, in which the caller's waker lies from the beginning.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use towpath::{Canceller, Cause, Ctx};

use super::call::Answer;

pub(super) struct Slot<Resp> {
    /// The caller's, or a child of it that ends with the gateway's timeout.
    ctx: Ctx,
    /// The call's, a child of that, if somebody has asked for it.
    own: OnceLock<Canceller>,
    /// As `State::left`, for a look without the lock.
    is_left: AtomicBool,
    state: Mutex<State<Resp>>,
}

struct State<Resp> {
    post: Post<Resp>,
    /// Why the caller waits no more, if it has left.
    left: Option<Cause>,
}

enum Post<Resp> {
    /// Nothing yet; whoever waits for it.
    Awaited(Waker),
    /// An answer, or that there will be none.
    Here(Option<Answer<Resp>>),
    /// It was collected, or nobody will.
    Closed,
}

impl<Resp> Slot<Resp> {
    /// `waker`: of the task that is to call [`poll`](Self::poll).
    pub(super) fn new(ctx: Ctx, waker: Waker) -> Self {
        Self {
            ctx,
            own: OnceLock::new(),
            is_left: AtomicBool::new(false),
            state: Mutex::new(State { post: Post::Awaited(waker), left: None }),
        }
    }

    /// Until when the caller waits.
    pub(super) fn waits(&self) -> &Ctx {
        &self.ctx
    }

    /// The call's own context.
    pub(super) fn ctx(&self) -> &Ctx {
        if let Some(own) = self.own.get() {
            return own.ctx();
        }
        let own = self.ctx.with_cancel().1;
        let state = self.lock();
        let Some(left) = state.left.clone() else {
            // Before the lock is released: whoever leaves now finds it.
            return self.own.get_or_init(|| own).ctx();
        };
        drop(state);
        own.cancel(left);
        self.own.get_or_init(|| own).ctx()
    }

    /// Why nobody waits for it any more, if so.
    pub(super) fn over(&self) -> Option<Cause> {
        if self.ctx.is_done() {
            return Some(self.ctx.cause());
        }
        // Acquire: what the caller did before it left is seen by who finds that it has.
        self.is_left.load(Ordering::Acquire).then(|| self.lock().left.clone())?
    }

    /// Puts the answer in place, or that there is none, and wakes the caller. The first is what counts.
    pub(super) fn give(&self, answer: Option<Answer<Resp>>) {
        let mut state = self.lock();
        let Post::Awaited(_) = state.post else {
            drop(state);
            return drop(answer);
        };
        let before = std::mem::replace(&mut state.post, Post::Here(answer));
        drop(state);
        if let Post::Awaited(waker) = before {
            waker.wake();
        }
    }

    /// The answer, once: `None`: there is none. If nothing is known yet, `waker` will be woken.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Option<Answer<Resp>>> {
        let mut state = self.lock();
        if let Post::Awaited(known) = &state.post {
            if known.will_wake(waker) {
                return Poll::Pending;
            }
            drop(state);
            let fresh = waker.clone();
            state = self.lock();
            if let Post::Awaited(known) = &mut state.post {
                let stale = std::mem::replace(known, fresh);
                drop(state);
                drop(stale);
                return Poll::Pending;
            }
        }
        let post = std::mem::replace(&mut state.post, Post::Closed);
        drop(state);
        match post {
            Post::Here(answer) => Poll::Ready(answer),
            Post::Awaited(_) | Post::Closed => Poll::Ready(None),
        }
    }

    /// The caller has left: ends the call's context.
    pub(super) fn leave(&self, cause: Cause) {
        let mut state = self.lock();
        state.left = Some(cause.clone());
        let post = std::mem::replace(&mut state.post, Post::Closed);
        // Release: as in `over`.
        self.is_left.store(true, Ordering::Release);
        drop(state);
        drop(post);
        if let Some(own) = self.own.get() {
            own.cancel(cause);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Resp>> {
        // Nothing panics under it but what would be our own mistake.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::{super::Refused, *};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Woken {
        fn new() -> (Arc<Self>, Waker) {
            let woken = Arc::new(Self::default());
            (woken.clone(), woken.into())
        }

        fn times(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn left() -> Cause {
        Cause::Cancelled(Arc::from(Box::<dyn std::error::Error + Send + Sync>::from("gone")))
    }

    #[test]
    fn the_first_answer_is_collected_once_by_the_task_that_looked_last() {
        let ((first, one), (second, two)) = (Woken::new(), Woken::new());
        let slot = Slot::<u32>::new(Ctx::root(), one.clone());
        assert!(slot.poll(&one).is_pending());
        assert!(slot.poll(&two).is_pending());
        slot.give(Some(Ok(1)));
        slot.give(Some(Err(Refused::Stopped)));
        slot.give(None);
        assert_eq!((first.times(), second.times()), (0, 1));
        assert_eq!(slot.poll(&one), Poll::Ready(Some(Ok(1))));
        slot.give(Some(Ok(2)));
        assert_eq!(slot.poll(&one), Poll::Ready(None));
    }

    #[test]
    fn who_leaves_ends_the_context_that_was_asked_for_and_the_one_that_will_be() {
        let cause = |slot: &Slot<u32>| slot.ctx().cause().to_string();
        for early in [false, true] {
            let (woken, waker) = Woken::new();
            let slot = Slot::<u32>::new(Ctx::root(), waker);
            if early {
                assert!(!slot.ctx().is_done());
            }
            assert!(slot.over().is_none());
            slot.leave(left());
            assert_eq!(cause(&slot), "cancelled: gone");
            assert_eq!(slot.over().map(|cause| cause.to_string()), Some(cause(&slot)));
            assert!(!slot.waits().is_done(), "the caller's own goes on");
            slot.give(Some(Ok(1)));
            assert_eq!(woken.times(), 0, "nobody waits");
        }
    }

    #[test]
    fn an_answer_that_nobody_collects_is_dropped_with_the_caller() {
        let kept = Arc::new(());
        let slot = Slot::new(Ctx::root(), Woken::new().1);
        slot.give(Some(Ok(kept.clone())));
        assert_eq!(Arc::strong_count(&kept), 2);
        slot.leave(left());
        assert_eq!(Arc::strong_count(&kept), 1);
        slot.give(Some(Ok(kept.clone())));
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
