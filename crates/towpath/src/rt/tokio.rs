//! The tokio backend: the only file of the crate that names tokio.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use ::tokio::{runtime, time};

use super::TaskError;

#[derive(Clone, Debug)]
pub(super) struct Handle(runtime::Handle);

impl Handle {
    pub(super) fn current() -> Option<Self> {
        runtime::Handle::try_current().ok().map(Self)
    }

    pub(super) fn spawn<F>(&self, future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(self.0.spawn(future))
    }

    pub(super) fn spawn_blocking<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Join<R> {
        Join(self.0.spawn_blocking(f))
    }

    /// Runs `f` as if on a thread of the runtime.
    pub(super) fn inside(&self, f: impl FnOnce()) {
        let _inside = self.0.enter();
        f();
    }

    /// # Panics
    /// When the runtime was built without a timer.
    pub(super) fn sleep_until(&self, deadline: Instant) -> Sleep {
        let _inside = self.0.enter();
        Sleep(Box::pin(time::sleep_until(deadline.into())))
    }
}

/// Tokio's clock, which in tests may be paused, where the caller is inside tokio; else the machine's.
#[inline]
pub(super) fn clock() -> Instant {
    time::Instant::now().into_std()
}

pub(super) struct Sleep(Pin<Box<time::Sleep>>);

impl Sleep {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// A sleep inside its owner, once it is set.
pub(crate) type InlineSleep = Option<time::Sleep>;

/// Sets it at the first call. `None`: not inside tokio.
///
/// # Panics
/// When the runtime was built without a timer.
pub(super) fn poll_inline(
    mut sleep: Pin<&mut InlineSleep>,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Option<Poll<()>> {
    if sleep.is_none() {
        Handle::current()?;
        sleep.set(Some(time::sleep_until(deadline.into())));
    }
    Some(sleep.as_pin_mut()?.poll(cx))
}

/// Tokio's handle of a task.
pub(super) struct Join<R>(::tokio::task::JoinHandle<R>);

impl<R> Join<R> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<R, TaskError>> {
        Pin::new(&mut self.0).poll(cx).map_err(|error| match error.try_into_panic() {
            Ok(payload) => TaskError::Panicked(payload),
            Err(_) => TaskError::Cancelled,
        })
    }
}
