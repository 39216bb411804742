//! What is tied to a channel: values that go with it, each exactly once, whichever end goes first.
//!
//! ```text
//!   the last sender goes      receivers are told ─────────────────────────────────┐
//!   the last receiver goes    senders are told ──▶ what is queued is dropped ─────┼──▶ while open ──▶ if both have gone: to the end
//!   a network shuts it        both are told ──────────────────────────────────────┘
//! ```
//!
//! What always holds:
//! - A side says that it has gone in `gone` after it has done everything else; who completes both sides releases what is tied
//!   to the end. So that happens once, and after the last message.
//! - Who ties makes the place first and then looks at `gone`; who goes writes `gone` first and then looks for the place. The
//!   fences between make one of them see the other (`loom::tied_*`).
//! - Resources are foreign code: dropped with no lock held, the youngest first, all of them even when a drop panics.
//!
//! No unsafe code here.

use super::{chan::Chan, drain::drain, lock::Lock, turnstile::Turnstile};
use crate::sync::{Ordering, fence};

/// No sender is left.
pub(super) const SENDERS: u8 = 1;
/// No receiver is left, and what was queued has been dropped.
pub(super) const RECEIVERS: u8 = 2;
/// The senders were shut out by a network that drains.
pub(super) const SEALED: u8 = 4;

const BOTH: u8 = SENDERS | RECEIVERS;

type Resource = Box<dyn Send>;

/// What few channels need; made for the first who does.
pub(super) struct Aside {
    /// Senders that wait for the receivers' end, for nothing else.
    pub(super) leaving: Turnstile,
    tied: Lock<Tied>,
}

/// Resources of a channel; there only if it has had any.
#[derive(Default)]
struct Tied {
    while_open: Vec<Resource>,
    to_the_end: Vec<Resource>,
}

impl<T> Chan<T> {
    pub(super) fn aside(&self) -> &Aside {
        self.aside.get_or_init(|| {
            Box::new(Aside { leaving: Turnstile::new(0), tied: Lock::new(Tied::default()) })
        })
    }

    pub(super) fn aside_if_any(&self) -> Option<&Aside> {
        self.aside.get().map(|aside| &**aside)
    }

    /// Keeps `resource` until both sides have gone.
    pub(crate) fn tie<R: Send + 'static>(&self, resource: R) {
        // Whoever calls has an end, so the end is yet to come and will look here.
        let resource: Resource = Box::new(resource);
        self.tied().lock().to_the_end.push(resource);
    }

    /// Keeps `resource` until one side goes or the senders are shut out; gives it back if that has happened.
    pub(crate) fn tie_while_open<R: Send + 'static>(&self, resource: R) -> Result<(), R> {
        let resource = Box::new(resource);
        let mut tied = self.tied().lock();
        // Acquire, as in `has_left`: who gets it back sees what came before the end.
        if self.gone.load(Ordering::Acquire) != 0 || self.has_left() {
            drop(tied);
            return Err(*resource);
        }
        tied.while_open.push(resource);
        Ok(())
    }

    /// The place of what is tied.
    fn tied(&self) -> &Lock<Tied> {
        let tied = &self.aside().tied;
        // With the one in `has_gone`: a place that was made too late to be found is made by one who sees the end.
        fence(Ordering::SeqCst);
        tied
    }

    /// This side has gone and is done with the channel: releases what was tied until then.
    fn has_gone(&self, side: u8) {
        // AcqRel: who completes both has seen everything that the other side did.
        let before = self.gone.fetch_or(side, Ordering::AcqRel);
        mutant!(tied_without_fence, fence(Ordering::SeqCst), ());
        let Some(aside) = self.aside_if_any() else { return };
        let mut tied = aside.tied.lock();
        let mut first = std::mem::take(&mut tied.while_open);
        let is_end = before & BOTH != BOTH && (before | side) & BOTH == BOTH;
        let mut last = if is_end { std::mem::take(&mut tied.to_the_end) } else { Vec::new() };
        drop(tied);
        drain(|| first.pop().or_else(|| last.pop()));
    }
}

/// Says that a side has gone once it is dropped: also when a message panics while it is dropped.
pub(super) struct Going<'a, T> {
    pub(super) chan: &'a Chan<T>,
    pub(super) side: u8,
}

impl<T> Drop for Going<'_, T> {
    fn drop(&mut self) {
        self.chan.has_gone(self.side);
    }
}
