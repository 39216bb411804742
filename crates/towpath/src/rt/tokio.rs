//! The tokio backend: the only file of the crate that names tokio.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use ::tokio::{runtime, time};

#[derive(Clone, Debug)]
pub(super) struct Handle(runtime::Handle);

impl Handle {
    pub(super) fn current() -> Option<Self> {
        runtime::Handle::try_current().ok().map(Self)
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(future));
    }

    pub(super) fn spawn_blocking(&self, f: impl FnOnce() + Send + 'static) {
        drop(self.0.spawn_blocking(f));
    }

    /// # Panics
    /// When the runtime was built without a timer.
    pub(super) fn sleep_until(&self, deadline: Instant) -> Sleep {
        let _inside = self.0.enter();
        Sleep(Box::pin(time::sleep_until(deadline.into())))
    }
}

/// Tokio's clock, which may be paused, if the caller is inside tokio.
pub(super) fn now() -> Option<Instant> {
    runtime::Handle::try_current().ok().map(|_| time::Instant::now().into_std())
}

pub(super) struct Sleep(Pin<Box<time::Sleep>>);

impl Sleep {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
