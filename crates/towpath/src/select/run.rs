//! Running a select: try every arm, register every arm, wait.

use std::{
    cell::Cell,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::{
    ArmContext, Arms,
    arm::{Shared, Shuffle},
};
use crate::{
    raw::{backoff::Backoff, claim::OPEN, pin, wait::Core},
    rt,
};

const ALL_DISABLED: &str = "every arm of this select is disabled (`None`, or a guard that is false) and it has no \
                            `default`: it would wait for ever";

/// One select that waits: its arms, then what it shares with them (dropped in this order).
pub(crate) struct Selecting<L> {
    pub(crate) arms: L,
    pub(crate) core: Core,
    pub(crate) exposed: Cell<bool>,
    pub(crate) foreign: Cell<bool>,
    pub(crate) started: Cell<bool>,
    pub(crate) biased: bool,
}

impl<L: Arms> Selecting<L> {
    pub(crate) fn new(arms: L, biased: bool) -> Self {
        Self {
            arms,
            core: Core::new(OPEN),
            exposed: Cell::new(false),
            foreign: Cell::new(false),
            started: Cell::new(false),
            biased,
        }
    }

    /// Polls the arms in a fair (or the given) order until one wins. With a waker they stay registered.
    fn pass(
        arms: &mut Pin<&mut L>,
        shared: &Shared<'_>,
        biased: bool,
        waker: Option<&Waker>,
    ) -> Option<u32> {
        let count = arms.count();
        let mut poll = |arm: u32| {
            arms.as_mut().poll_one(arm, &mut ArmContext::new(shared, arm, waker)).is_ready()
        };
        if biased {
            (0..count).find(|&arm| poll(arm))
        } else {
            Shuffle::new(count).find(|&arm| poll(arm))
        }
    }
}

impl<L: Arms> Future for Selecting<L> {
    type Output = L::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<L::Output> {
        let pin::SelectingParts { mut arms, core, exposed, foreign, started, biased } =
            pin::selecting(self);
        let meets = Cell::new(false);
        let shared = Shared { core, exposed, foreign, meets: &meets, thread: None, insists: false };
        if !started.replace(true) {
            assert!(arms.any_enabled(), "{ALL_DISABLED}");
            if let Some(winner) = Self::pass(&mut arms, &shared, biased, None) {
                return Poll::Ready(arms.finish(winner));
            }
        }
        if let Some(winner) = core.won_arm() {
            return Poll::Ready(arms.finish(winner));
        }
        core.arm(cx.waker());
        let winner = Self::pass(&mut arms, &shared, biased, Some(cx.waker()));
        match winner.or_else(|| core.won_arm()) {
            Some(winner) => Poll::Ready(arms.finish(winner)),
            None => Poll::Pending,
        }
    }
}

/// Waits for one of `arms`, each as likely as the others when several are ready.
pub fn run<L: Arms>(arms: L) -> impl Future<Output = L::Output> {
    Selecting::new(arms, false)
}

/// Waits for one of `arms`, the first of those that are ready.
pub fn run_biased<L: Arms>(arms: L) -> impl Future<Output = L::Output> {
    Selecting::new(arms, true)
}

/// Does one of `arms` if one is ready now.
pub fn now<L: Arms>(arms: L, biased: bool) -> Option<L::Output> {
    let mut arms = pin!(arms);
    let core = Core::new(OPEN);
    let (exposed, foreign, meets) = (Cell::new(false), Cell::new(false), Cell::new(false));
    let shared = Shared {
        core: &core,
        exposed: &exposed,
        foreign: &foreign,
        meets: &meets,
        thread: None,
        insists: true,
    };
    let winner = Selecting::pass(&mut arms, &shared, biased, None)?;
    Some(arms.as_mut().finish(winner))
}

/// As [`run`], on a thread.
pub fn run_blocking<L: Arms>(arms: L) -> L::Output {
    blocking(arms, false)
}

/// As [`run_biased`], on a thread.
pub fn run_blocking_biased<L: Arms>(arms: L) -> L::Output {
    blocking(arms, true)
}

fn blocking<L: Arms>(arms: L, biased: bool) -> L::Output {
    // The core is declared first, so that the arms go before it also when a panic passes through.
    let core = Core::new(OPEN);
    let (exposed, foreign, meets) = (Cell::new(false), Cell::new(false), Cell::new(false));
    let look_again: Cell<Option<Instant>> = Cell::new(None);
    let shared = Shared {
        core: &core,
        exposed: &exposed,
        foreign: &foreign,
        meets: &meets,
        thread: Some(&look_again),
        insists: false,
    };
    let mut arms = pin!(arms);
    assert!(arms.any_enabled(), "{ALL_DISABLED}");
    // Standing in every line and leaving it again costs more than a few more looks, if looking is enough.
    let mut backoff = Backoff::new();
    loop {
        if let Some(winner) = Selecting::pass(&mut arms, &shared, biased, None) {
            return arms.as_mut().finish(winner);
        }
        if meets.get() || !backoff.spin_or_yield() {
            break;
        }
    }
    rt::with_thread_waker(|waker| {
        loop {
            if let Some(winner) = core.won_arm() {
                return arms.as_mut().finish(winner);
            }
            core.forget_notice();
            look_again.set(None);
            let winner = Selecting::pass(&mut arms, &shared, biased, Some(waker));
            if let Some(winner) = winner.or_else(|| core.won_arm()) {
                return arms.as_mut().finish(winner);
            }
            core.wait_thread_until(waker, look_again.get(), foreign.get());
        }
    })
}
