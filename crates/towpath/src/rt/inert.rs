//! The simulator's seam (`sim.rs`) in a program without the simulator: nothing happens, and nothing is left of the hooks.

use std::{
    panic::{Location, PanicHookInfo},
    sync::Arc,
    task::Waker,
    time::{Instant, SystemTime},
};

use super::point::{Born, Object, Op};
use crate::probe::{Arm, Probe};

/// A timer that a world would ring.
pub(crate) trait Ring {
    fn ring(&self);
    #[expect(dead_code, reason = "the seam is the same with and without a world")]
    fn is_awaited(&self) -> bool;
}

#[inline(always)]
pub(crate) fn is_active() -> bool {
    false
}

#[inline(always)]
pub(crate) fn world_number() -> Option<u64> {
    None
}

#[inline(always)]
pub(crate) fn has_locals() {}

#[inline(always)]
pub(crate) fn point(_: Op, _: usize, _: Option<&'static Location<'static>>) {}

#[inline(always)]
pub(crate) fn give_way() -> bool {
    false
}

#[inline(always)]
pub(crate) fn now() -> Option<Instant> {
    None
}

#[inline(always)]
pub(crate) fn wall() -> Option<SystemTime> {
    None
}

#[inline(always)]
pub(crate) fn arm(_: usize) -> Option<usize> {
    None
}

#[inline(always)]
pub(crate) fn random() -> Option<u64> {
    None
}

pub(crate) fn spawn(_: Born<'_>, _: impl Future<Output = ()> + Send + 'static) {
    unreachable!("there is no world")
}

pub(crate) fn spawn_thread(_: Born<'_>, _: impl FnOnce() + Send + 'static) {
    unreachable!("there is no world")
}

#[inline(always)]
pub(crate) fn park(_: Option<Instant>) -> Option<bool> {
    None
}

#[inline(always)]
pub(crate) fn waker() -> Option<Waker> {
    None
}

#[cfg(not(towpath_loom))]
#[inline]
pub(crate) fn put_back(_: Waker) {}

#[inline(always)]
pub(crate) fn ring_at(_: Instant, _: &Arc<impl Ring>) -> bool {
    false
}

#[inline(always)]
pub(crate) fn process_number() -> Option<u64> {
    None
}

#[inline(always)]
pub(crate) fn stack_number() -> Option<usize> {
    None
}

#[inline(always)]
pub(crate) fn made(_: usize, _: Object, _: &'static Location<'static>) {}

#[inline(always)]
pub(crate) fn gone(_: usize) {}

#[inline(always)]
pub(crate) fn pending(_: Op, _: usize, _: Option<&'static Location<'static>>) {}

#[inline(always)]
pub(crate) fn pending_arms(_: &'static Location<'static>, _: impl Fn(&mut dyn FnMut(Arm))) {}

#[inline(always)]
pub(crate) fn recorder() -> Option<Arc<dyn Probe>> {
    None
}

#[inline(always)]
pub(crate) fn unseen_panic(_: &str) {}

#[inline(always)]
pub(crate) fn panicked(_: &PanicHookInfo<'_>) -> bool {
    false
}
