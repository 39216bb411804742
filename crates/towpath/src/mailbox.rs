//! The place of one value, between the one who waits for it and the one who has it in the end: a process of a scope and its
//! join, a task and its handle.
//!
//! What always holds: it is filled at most once, and collected at most once; no foreign code runs under the lock.

use std::task::{Poll, Waker};

use crate::raw::lock::Lock;

pub(crate) struct Mailbox<T>(Lock<Post<T>>);

enum Post<T> {
    /// Nothing yet; whoever waits for it.
    Awaited(Option<Waker>),
    Here(T),
    /// It was collected, or nobody will.
    Closed,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Self {
        Self(Lock::new(Post::Awaited(None)))
    }

    /// Puts the value in place and wakes who waits for it.
    ///
    /// # Errors
    /// The value, if there was one before or nobody will ask for it.
    pub(crate) fn post(&self, value: T) -> Result<(), T> {
        let mut post = self.0.lock();
        let Post::Awaited(waker) = &mut *post else { return Err(value) };
        let waker = mutant!(join_woken_by_nobody, waker.take(), None);
        *post = Post::Here(value);
        drop(post);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// The value if it is there; if not, and with a waker, arranges to be woken.
    ///
    /// # Panics
    /// With `twice`, when it has been collected.
    pub(crate) fn poll(&self, waker: Option<&Waker>, twice: &str) -> Poll<T> {
        // Cloned before and dropped after: foreign code, not for the lock.
        let mut fresh = waker.cloned();
        let mut post = self.0.lock();
        let taken = match &mut *post {
            Post::Awaited(slot) => {
                if fresh.is_some() {
                    std::mem::swap(slot, &mut fresh);
                }
                None
            }
            Post::Here(_) => Some(std::mem::replace(&mut *post, Post::Closed)),
            Post::Closed => panic!("{twice}"),
        };
        drop(post);
        match taken {
            Some(Post::Here(value)) => Poll::Ready(value),
            _ => Poll::Pending,
        }
    }

    /// Whether the value is still to come.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(*self.0.lock(), Post::Awaited(_))
    }

    /// Nobody waits in this place any more.
    pub(crate) fn forget_waker(&self) {
        let mut post = self.0.lock();
        let waker = if let Post::Awaited(waker) = &mut *post { waker.take() } else { None };
        drop(post);
        drop(waker);
    }

    /// Nobody will ask any more; the value, if it was there.
    pub(crate) fn close(&self) -> Option<T> {
        let mut post = self.0.lock();
        let left = std::mem::replace(&mut *post, Post::Closed);
        drop(post);
        if let Post::Here(value) = left { Some(value) } else { None }
    }
}
