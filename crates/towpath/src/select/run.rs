//! Running a select: try every arm, register every arm, wait.

use std::{
    cell::Cell,
    future::Future,
    panic::Location,
    pin::{Pin, pin},
    ptr,
    task::{Context, Poll, Waker},
    time::Instant,
};

use super::{
    ArmContext, Arms,
    arm::{Shared, Shuffle},
};
use crate::{
    probe::{self, Each, Operation, Unpark},
    raw::{
        backoff::{Backoff, SelectLinger},
        claim::OPEN,
        pin,
        wait::Core,
    },
    rt::{self, Op, sim},
};

const ALL_DISABLED: &str = "every arm of this select is disabled (`None`, or a guard that is false) and it has no \
                            `default`: it would wait for ever";

/// One select that waits: its arms, and what it shares with them. Arms that are only borrowed live longer than the
/// core, so its `Drop` (`raw/pin.rs`) takes all of them out of their lines first.
pub(crate) struct Selecting<L: Arms> {
    pub(crate) arms: L,
    pub(crate) core: Core,
    pub(crate) exposed: Cell<bool>,
    pub(crate) foreign: Cell<bool>,
    pub(crate) started: Cell<bool>,
    /// Every arm stands in its line.
    pub(crate) registered: Cell<bool>,
    pub(crate) finished: Cell<bool>,
    /// The probe knows that it waits.
    pub(crate) told: Cell<bool>,
    pub(crate) biased: bool,
    /// Where the program began it.
    pub(crate) at: &'static Location<'static>,
}

impl<L: Arms> Selecting<L> {
    #[track_caller]
    pub(crate) fn new(arms: L, biased: bool) -> Self {
        Self {
            arms,
            core: Core::new(OPEN),
            exposed: Cell::new(false),
            foreign: Cell::new(false),
            started: Cell::new(false),
            registered: Cell::new(false),
            finished: Cell::new(false),
            told: Cell::new(false),
            biased,
            at: Location::caller(),
        }
    }

    /// Polls the arms that may be ready, in random (or the given) order, until one wins.
    fn look(
        arms: &mut Pin<&mut L>,
        shared: &Shared<'_>,
        biased: bool,
        waker: Option<&Waker>,
    ) -> Option<u32> {
        let mut shuffle = Shuffle::new();
        if biased {
            let all = 0..arms.count();
            return arms.as_mut().sweep(0, &all, &mut |arm| ArmContext::new(shared, arm, waker));
        }
        if shared.insists {
            // Not waiting, it must leave its demand with every arm that wants one.
            (0..arms.count()).for_each(|arm| shuffle.add(arm));
        } else {
            arms.worth_a_look(0, &mut |arm| shuffle.add(arm));
        }
        shuffle.find(|&arm| Self::poll(arms, shared, arm, waker))
    }

    /// The first look: a guess, and if that brings nothing, a look at all.
    fn first_look(
        arms: &mut Pin<&mut L>,
        shared: &Shared<'_>,
        biased: bool,
        waker: &Waker,
    ) -> FirstLook {
        let mut shuffle = Shuffle::new();
        match Self::guess(arms, shared, biased, &mut shuffle) {
            Guess::Won(winner) => FirstLook::Won(winner),
            Guess::Named(arm) => Self::look_at_all(arms, shared, biased, waker, &mut shuffle, arm),
        }
    }

    /// Tries one arm that chance names and that may be ready, before the others are even considered.
    #[inline]
    fn guess(
        arms: &mut Pin<&mut L>,
        shared: &Shared<'_>,
        biased: bool,
        shuffle: &mut Shuffle,
    ) -> Guess {
        if biased {
            return Guess::Named(None);
        }
        let named = shuffle.guess(arms.count(), |arm| arms.may_be_ready(arm));
        match named {
            Some(arm) if Self::poll(arms, shared, arm, None) => Guess::Won(arm),
            named => Guess::Named(named),
        }
    }

    /// What follows a guess that brought nothing. `waker` is for the case that chance picks an arm whose other side is a
    /// task that must run before it can hand over: then the select stands in that one line, and the other arms, which may
    /// be ready all the time, wait for a round.
    fn look_at_all(
        arms: &mut Pin<&mut L>,
        shared: &Shared<'_>,
        biased: bool,
        waker: &Waker,
        shuffle: &mut Shuffle,
        guess: Option<u32>,
    ) -> FirstLook {
        if biased {
            return Self::look(arms, shared, biased, None)
                .map_or(FirstLook::Nothing, FirstLook::Won);
        }
        arms.worth_a_look(0, &mut |arm| shuffle.add(arm));
        // Chance has already named the first.
        let mut next = guess.filter(|&arm| shuffle.remove(arm));
        while let Some(arm) = next.take().or_else(|| shuffle.next()) {
            if Self::poll(arms, shared, arm, None) {
                return FirstLook::Won(arm);
            }
            if shuffle.is_empty() || !arms.is_promised(arm) {
                continue;
            }
            shared.core.arm(waker);
            if Self::poll(arms, shared, arm, Some(waker)) {
                return FirstLook::Won(arm);
            }
            if shared.exposed.get() {
                return FirstLook::GiveARound;
            }
        }
        FirstLook::Nothing
    }

    /// Polls every arm, so that each stands in its line afterwards, until one wins.
    fn register(
        arms: &mut Pin<&mut L>,
        shared: &Shared<'_>,
        biased: bool,
        waker: &Waker,
    ) -> Option<u32> {
        let count = arms.count();
        // Nothing was ready a moment ago: a random start is fair enough for what has come since.
        let start = if biased { 0 } else { rt::random_arm(count.max(1) as usize) as u32 };
        let mut context = |arm| ArmContext::new(shared, arm, Some(waker));
        let late = arms.as_mut().sweep(0, &(start..count), &mut context);
        late.or_else(|| arms.as_mut().sweep(0, &(0..start), &mut context))
    }

    #[inline]
    fn poll(arms: &mut Pin<&mut L>, shared: &Shared<'_>, arm: u32, waker: Option<&Waker>) -> bool {
        arms.as_mut().poll_one(arm, &mut ArmContext::new(shared, arm, waker)).is_ready()
    }
}

enum Guess {
    Won(u32),
    /// Nothing yet; the arm that was tried, if any.
    Named(Option<u32>),
}

enum FirstLook {
    Won(u32),
    GiveARound,
    Nothing,
}

impl<L: Arms> Future for Selecting<L> {
    type Output = L::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<L::Output> {
        let pin::SelectingParts {
            mut arms,
            core,
            exposed,
            foreign,
            started,
            registered,
            finished,
            told,
            biased,
            at,
        } = pin::selecting(self);
        let meets = Cell::new(false);
        let shared = Shared {
            core,
            arms: arms.enabled(),
            exposed,
            foreign,
            meets: &meets,
            thread: None,
            insists: false,
        };
        let won = |arms: Pin<&mut L>, winner| {
            finished.set(true);
            Poll::Ready(arms.finish(winner))
        };
        if !started.replace(true) {
            assert!(shared.arms > 0, "{ALL_DISABLED}");
            sim::point(Op::Select, 0, Some(at));
            match Self::first_look(&mut arms, &shared, biased, cx.waker()) {
                FirstLook::Won(winner) => return won(arms, winner),
                FirstLook::GiveARound => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                FirstLook::Nothing => {}
            }
        }
        if let Some(winner) = core.won_arm() {
            if told.get() {
                tell_unpark(core, told, at, Unpark::Done);
            }
            return won(arms, winner);
        }
        core.arm(cx.waker());
        let mut winner = None;
        if registered.get() || exposed.get() {
            winner = Self::look(&mut arms, &shared, biased, Some(cx.waker()));
        }
        if winner.is_none() && !registered.replace(true) {
            winner = Self::register(&mut arms, &shared, biased, cx.waker());
        }
        match winner.or_else(|| core.won_arm()) {
            Some(winner) => {
                if told.get() {
                    tell_unpark(core, told, at, Unpark::Done);
                }
                won(arms, winner)
            }
            None => {
                if probe::wants_wait() {
                    tell_park(core, told, at, &|each| arms.waits_for(each));
                }
                sim::pending_arms(at, |each| arms.waits_for(each));
                Poll::Pending
            }
        }
    }
}

/// Says that a select is about to wait, unless that is known. `told` stays true until `tell_unpark`.
#[cold]
#[inline(never)]
pub(super) fn tell_park(
    core: &Core,
    told: &Cell<bool>,
    at: &'static Location<'static>,
    arms: Each<'_>,
) {
    if !told.get() {
        told.set(probe::park(waiting(core, at), arms));
    }
}

/// Says that it waits no more, which is known to be news.
#[cold]
#[inline(never)]
pub(crate) fn tell_unpark(
    core: &Core,
    told: &Cell<bool>,
    at: &'static Location<'static>,
    how: Unpark,
) {
    told.set(false);
    probe::unpark(waiting(core, at), how);
}

fn waiting(core: &Core, at: &'static Location<'static>) -> probe::Waiting {
    probe::Waiting { address: ptr::from_ref(core).addr(), operation: Operation::Select, at }
}

/// Waits for one of `arms`, each as likely as the others when several are ready.
#[track_caller]
pub fn run<L: Arms>(arms: L) -> impl Future<Output = L::Output> {
    Selecting::new(arms, false)
}

/// Waits for one of `arms`, the first of those that are ready.
#[track_caller]
pub fn run_biased<L: Arms>(arms: L) -> impl Future<Output = L::Output> {
    Selecting::new(arms, true)
}

/// Does one of `arms` if one is ready now.
#[track_caller]
pub fn now<L: Arms>(arms: L, biased: bool) -> Option<L::Output> {
    sim::point(Op::Select, 0, Some(Location::caller()));
    let mut arms = pin!(arms);
    let core = Core::new(OPEN);
    let (exposed, foreign, meets) = (Cell::new(false), Cell::new(false), Cell::new(false));
    let shared = Shared {
        core: &core,
        arms: arms.enabled(),
        exposed: &exposed,
        foreign: &foreign,
        meets: &meets,
        thread: None,
        insists: true,
    };
    let winner = Selecting::look(&mut arms, &shared, biased, None)?;
    Some(arms.as_mut().finish(winner))
}

/// As [`run`], on a thread.
#[track_caller]
pub fn run_blocking<L: Arms>(arms: L) -> L::Output {
    blocking(arms, false)
}

/// As [`run_biased`], on a thread.
#[track_caller]
pub fn run_blocking_biased<L: Arms>(arms: L) -> L::Output {
    blocking(arms, true)
}

/// Takes the arms out of their lines when it goes without one having won.
struct Retracting<'a, L: Arms> {
    arms: Pin<&'a mut L>,
    finished: bool,
    core: &'a Core,
    told: Cell<bool>,
    at: &'static Location<'static>,
}

impl<L: Arms> Retracting<'_, L> {
    fn finish(&mut self, winner: u32) -> L::Output {
        self.finished = true;
        self.arms.as_mut().finish(winner)
    }
}

impl<L: Arms> Drop for Retracting<'_, L> {
    fn drop(&mut self) {
        if !self.finished {
            if self.told.get() {
                tell_unpark(self.core, &self.told, self.at, Unpark::TakenBack);
            }
            self.arms.as_mut().retract();
        }
    }
}

thread_local! {
    /// Whether this thread's selects see a stream.
    pub(super) static LINGER: SelectLinger = const { SelectLinger::new() };
}

#[track_caller]
fn blocking<L: Arms>(arms: L, biased: bool) -> L::Output {
    let core = Core::new(OPEN);
    let (exposed, foreign, meets) = (Cell::new(false), Cell::new(false), Cell::new(false));
    let look_again: Cell<Option<Instant>> = Cell::new(None);
    let shared = Shared {
        core: &core,
        arms: arms.enabled(),
        exposed: &exposed,
        foreign: &foreign,
        meets: &meets,
        thread: Some(&look_again),
        insists: false,
    };
    // After the core, so that the arms go first, also when a panic passes through.
    let mut arms = pin!(arms);
    assert!(shared.arms > 0, "{ALL_DISABLED}");
    let at = Location::caller();
    sim::point(Op::Select, 0, Some(at));
    // In a stream most selects end here, so what waiting needs is not made yet.
    let mut shuffle = Shuffle::new();
    match Selecting::guess(&mut arms, &shared, biased, &mut shuffle) {
        Guess::Won(winner) => {
            LINGER.with(SelectLinger::found);
            arms.finish(winner)
        }
        Guess::Named(guess) => {
            let told = Cell::new(false);
            let running = Retracting { arms, finished: false, core: &core, told, at };
            blocking_on(running, &shared, &look_again, biased, &mut shuffle, guess)
        }
    }
}

/// Goes on after a guess.
#[inline(never)]
fn blocking_on<L: Arms>(
    mut running: Retracting<'_, L>,
    shared: &Shared<'_>,
    look_again: &Cell<Option<Instant>>,
    biased: bool,
    shuffle: &mut Shuffle,
    guess: Option<u32>,
) -> L::Output {
    let (core, at) = (shared.core, running.at);
    rt::with_thread_waker(|waker| {
        // Standing in every line and leaving it again costs more than a few more looks, if looking is enough.
        let mut backoff = Backoff::new();
        let arms = &mut running.arms;
        let mut looked = Selecting::look_at_all(arms, shared, biased, waker, shuffle, guess);
        loop {
            match looked {
                FirstLook::Won(winner) => {
                    if backoff.is_new() {
                        LINGER.with(SelectLinger::found);
                    }
                    return running.finish(winner);
                }
                FirstLook::Nothing
                    if !shared.meets.get()
                        && backoff.is_new()
                        && LINGER.with(SelectLinger::gather) => {}
                FirstLook::Nothing if !shared.meets.get() && backoff.spin_or_yield() => {}
                FirstLook::Nothing => break,
                FirstLook::GiveARound => {
                    while core.won_arm().is_none() && backoff.spin_or_yield() {}
                    break;
                }
            }
            looked = Selecting::first_look(&mut running.arms, shared, biased, waker);
        }
        let mut registered = false;
        loop {
            if let Some(winner) = core.won_arm() {
                if running.told.get() {
                    tell_unpark(core, &running.told, at, Unpark::Done);
                }
                return running.finish(winner);
            }
            core.begin_thread();
            look_again.set(None);
            let mut winner = None;
            if registered || shared.exposed.get() {
                winner = Selecting::look(&mut running.arms, shared, biased, Some(waker));
            }
            if winner.is_none() && !std::mem::replace(&mut registered, true) {
                winner = Selecting::register(&mut running.arms, shared, biased, waker);
            }
            if let Some(winner) = winner.or_else(|| core.won_arm()) {
                if running.told.get() {
                    tell_unpark(core, &running.told, at, Unpark::Done);
                }
                return running.finish(winner);
            }
            if probe::wants_wait() {
                tell_park(core, &running.told, at, &|each| running.arms.waits_for(each));
            }
            sim::pending_arms(at, |each| running.arms.waits_for(each));
            core.wait_thread_until(waker, look_again.get(), shared.foreign.get());
        }
    })
}
