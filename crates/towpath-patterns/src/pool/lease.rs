//! An instance on loan, and the way back.

use std::{
    fmt,
    future::poll_fn,
    ops::{Deref, DerefMut},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use towpath::{Cause, Ctx, rt, select};

use super::{
    Factory, Handle,
    stock::{Fate, Item, Retired},
};

/// An instance on loan from a [`Pool`](super::Pool): used like the instance itself, and given back when it is dropped, also by
/// a panic or because its holder was cancelled.
///
/// An instance that was cut off in the middle of something may be in a state that a health check does not find: half a
/// request on a connection. Around such a stretch, [`mark_broken`](Self::mark_broken) and then [`mark_sound`](Self::mark_sound):
/// who is cancelled between the two gives back something that is closed instead of lent again.
///
/// Tied to a channel ([`Sender::tie`](towpath::Sender::tie)), it comes back when the channel closes.
#[must_use = "dropped, the instance goes back at once"]
pub struct Lease<F: Factory> {
    handle: Arc<Handle<F>>,
    /// `None` only inside `drop` and when it was given up.
    item: Option<Item<F::Instance>>,
    is_broken: bool,
}

impl<F: Factory> Lease<F> {
    pub(super) fn new(handle: Arc<Handle<F>>, item: Item<F::Instance>) -> Self {
        Self { handle, item: Some(item), is_broken: false }
    }

    /// It is closed instead of lent again.
    pub fn mark_broken(&mut self) {
        self.is_broken = true;
    }

    /// Takes [`mark_broken`](Self::mark_broken) back.
    pub fn mark_sound(&mut self) {
        self.is_broken = false;
    }

    /// Whether it is marked as broken.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// How often it was lent, this time included.
    pub fn uses(&self) -> u64 {
        self.item.as_ref().map_or(0, |item| item.uses)
    }

    /// When it was made.
    pub fn born(&self) -> Instant {
        self.item().born
    }

    fn item(&self) -> &Item<F::Instance> {
        match &self.item {
            Some(item) => item,
            None => unreachable!("a lease has its instance until it is dropped"),
        }
    }

    fn item_mut(&mut self) -> &mut Item<F::Instance> {
        match &mut self.item {
            Some(item) => item,
            None => unreachable!("a lease has its instance until it is dropped"),
        }
    }

    /// Asks the factory whether the instance may be lent. Dropped meanwhile, nobody knows, so it is closed.
    ///
    /// # Errors
    /// The context has ended.
    pub(super) async fn is_healthy(&mut self, ctx: &Ctx) -> Result<bool, Cause> {
        self.mark_broken();
        let Self { handle, item, .. } = self;
        let Some(item) = item else { return Ok(false) };
        let check_max = handle.shared.check_max;
        let healthy = {
            let mut check = pin!(handle.shared.factory.is_healthy(&mut item.instance));
            // Mostly it is known at once, and a select with a timer would cost more than the check.
            match poll_fn(|cx| Poll::Ready(check.as_mut().poll(cx))).await {
                Poll::Ready(healthy) => healthy,
                Poll::Pending => select! { biased;
                    healthy = select::future(check) => healthy,
                    cause = ctx.done() => return Err(cause),
                    () = towpath::after(check_max) => false,
                },
            }
        };
        if healthy {
            self.mark_sound();
        }
        Ok(healthy)
    }

    /// It is not lent again, for this reason.
    pub(super) fn give_up(mut self, why: Retired) {
        if let Some(item) = self.item.take() {
            let fate = self.handle.shared.stock().give_up(item, why);
            self.settle(fate);
        }
    }

    fn settle(&self, fate: Fate<F::Instance>) {
        match fate {
            Fate::Idle => self.handle.shared.available.add_permits(1),
            Fate::Retired => self.handle.ring(),
            Fate::Left(item) => drop(item),
        }
    }
}

impl<F: Factory> Drop for Lease<F> {
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            let now = rt::now();
            let fate = self.handle.shared.stock().give_back(item, now, self.is_broken);
            self.settle(fate);
        }
    }
}

impl<F: Factory> Deref for Lease<F> {
    type Target = F::Instance;

    fn deref(&self) -> &F::Instance {
        &self.item().instance
    }
}

impl<F: Factory> DerefMut for Lease<F> {
    fn deref_mut(&mut self) -> &mut F::Instance {
        &mut self.item_mut().instance
    }
}

impl<F: Factory> fmt::Debug for Lease<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("uses", &self.uses())
            .field("is_broken", &self.is_broken)
            .finish_non_exhaustive()
    }
}
