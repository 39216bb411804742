//! The simulator's seam: how `towpath-sim` runs a program in place of threads, runtimes and clocks. Feature `sim`.
//!
//! What always holds:
//! - Outside [`enter`] every hook is one look at a flag of this thread.
//! - A hook is called with none of our locks held, so the [`World`] may let anybody else run inside it.
//! - Inside, nothing of this crate reads a clock, spins, parks a thread of the system or starts one.
//!
//! Why a feature and not a cfg: whoever depends on `towpath-sim`, usually for tests, turns it on, and the same user code runs
//! under it unchanged; a program built without the simulator has nothing of it (`inert.rs`).

use std::{
    cell::Cell,
    future::Future,
    panic::{Location, PanicHookInfo},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    time::{Instant, SystemTime},
};

pub use super::point::{Born, Object, Op};
use crate::{
    probe::{Arm, Probe},
    process, raw, scope,
};

/// The place in front of an operation, at which others may go first.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// What comes next.
    pub op: Op,
    /// The channel, lock or context that it touches, by an address of its own; 0 if that is not one thing.
    pub object: usize,
    /// Where the program does it, if that is known.
    pub at: Option<&'static Location<'static>>,
}

/// Something that waits was made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Its address. One that has gone may have had the same.
    pub object: usize,
    /// What it is.
    pub what: Object,
    /// Where the program made it.
    pub at: &'static Location<'static>,
}

/// A timer that the world rings.
pub trait Ring: Send + Sync {
    /// It is time.
    fn ring(&self);
    /// Somebody still waits for it.
    fn is_awaited(&self) -> bool;
}

/// A task of the simulation.
pub type BoxTask = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A thread of the simulation.
pub type BoxCall = Box<dyn FnOnce() + Send>;

/// What stands in for threads, runtimes, clocks and chance. One thread of the system at a time calls it.
pub trait World {
    /// An operation is next: others may go first.
    fn point(&self, point: Point);
    /// Like `point`, and somebody else must go first, if there is anybody: the caller waits for another's few instructions.
    fn give_way(&self);
    /// The time.
    fn now(&self) -> Instant;
    /// The time of day, which goes on with `now`.
    fn wall(&self) -> SystemTime;
    /// A number below `n`, which decides between the arms of a select.
    fn arm(&self, n: usize) -> usize;
    /// A random number for the program.
    fn random(&self) -> u64;
    /// Starts a task.
    fn spawn(&self, born: Born<'_>, task: BoxTask);
    /// Starts a thread.
    fn spawn_thread(&self, born: Born<'_>, call: BoxCall);
    /// The caller goes on when `waker` has been woken since the last park, or at the deadline: then false.
    fn park(&self, deadline: Option<Instant>) -> bool;
    /// Ends the caller's `park`.
    fn waker(&self) -> Waker;
    /// The caller needs its waker no more: the next may be the same.
    fn put_back(&self, waker: Waker);
    /// Rings `timer` at `deadline`.
    fn ring_at(&self, deadline: Instant, timer: Arc<dyn Ring>);
    /// The number of a new process.
    fn process_number(&self) -> u64;
    /// Names the stack the caller runs on: a multiple of 4, above 4.
    fn stack_number(&self) -> usize;
    /// A channel, lock or context was made.
    fn made(&self, made: Made);
    /// A channel, lock or context is freed: what comes to lie at its address is another one.
    fn gone(&self, object: usize);
    /// The caller's turn may end in a wait for this, among others.
    fn pending(&self, point: Point);
    /// The same of a select.
    fn pending_arm(&self, arm: Arm, at: &'static Location<'static>);
    /// Whoever wants to be told what happens, if anybody does just now.
    fn recorder(&self) -> Option<Arc<dyn Probe>>;
    /// A task panicked and nobody will ask for its result.
    fn unseen_panic(&self, message: &str);
    /// A panic has begun, with this message, here. Nothing is printed of it.
    fn panicked(&self, message: &str, at: Option<&Location<'_>>);
}

/// How many there were.
static WORLDS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static WORLD: Cell<Option<&'static dyn World>> = const { Cell::new(None) };
    /// Which of all worlds that is: no two have one number.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    /// Something in place here is not as in [`Locals::new`], besides the process.
    static UNCOMMON: Cell<bool> = const { Cell::new(false) };
}

/// From here until the guard is dropped this thread is in `world`.
///
/// Why for ever: each operation looks for the world, and would have to count itself among its holders.
///
/// # Panics
/// When it is in one already.
pub fn enter(world: &'static dyn World) -> Entered {
    process::install_hook();
    let before = WORLD.replace(Some(world));
    assert!(before.is_none(), "a simulation inside a simulation");
    // Relaxed: nothing else comes with the number.
    NUMBER.set(WORLDS.fetch_add(1, Ordering::Relaxed));
    Entered(())
}

/// This thread is in a world; made by [`enter`].
#[derive(Debug)]
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        WORLD.set(None);
    }
}

/// Whether this thread is in a simulation.
#[inline]
pub fn is_active() -> bool {
    WORLD.get().is_some()
}

/// The number of the simulation that this thread is in.
pub(crate) fn world_number() -> Option<u64> {
    is_active().then(|| NUMBER.get())
}

/// What this crate keeps for each thread and belongs to who runs on it. The world exchanges it whenever it lets another
/// stack run.
#[derive(Debug, Default)]
pub struct Locals {
    process: raw::slot::Here,
    /// What few have.
    uncommon: Option<Box<Uncommon>>,
}

#[derive(Debug, Default)]
struct Uncommon {
    place: Option<String>,
    stopping: scope::Stopping,
}

impl Locals {
    /// Those of whoever begins on a new stack.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts these in place; those that were there are in `self` afterwards.
    pub fn exchange(&mut self) {
        self.process.exchange();
        if UNCOMMON.get() || self.uncommon.is_some() {
            self.exchange_uncommon();
        }
    }

    #[cold]
    fn exchange_uncommon(&mut self) {
        let others = UNCOMMON.replace(self.uncommon.is_some());
        let mut uncommon = self.uncommon.take().unwrap_or_default();
        process::exchange_place(&mut uncommon.place);
        uncommon.stopping.exchange();
        self.uncommon = others.then_some(uncommon);
    }
}

/// A place for others to go first, for code that shares data in its own way: the simulator may switch here. Outside a
/// simulation it does nothing.
#[track_caller]
pub fn yield_point() {
    point(Op::Yield, 0, Some(Location::caller()));
}

// ---- hooks for the rest of the crate; `inert.rs` has the same without a world ------------------------------------------

/// Whoever runs here has put something into what [`Locals`] exchanges.
#[inline]
pub(crate) fn has_locals() {
    UNCOMMON.set(true);
}

#[inline]
fn world() -> &'static dyn World {
    WORLD.get().unwrap_or_else(|| unreachable!("active without a world"))
}

#[inline]
pub(crate) fn point(op: Op, object: usize, at: Option<&'static Location<'static>>) {
    if let Some(world) = WORLD.get() {
        world.point(Point { op, object, at });
    }
}

#[inline]
pub(crate) fn give_way() -> bool {
    is_active() && {
        world().give_way();
        true
    }
}

#[inline]
pub(crate) fn now() -> Option<Instant> {
    is_active().then(|| world().now())
}

#[inline]
pub(crate) fn wall() -> Option<SystemTime> {
    is_active().then(|| world().wall())
}

#[inline]
pub(crate) fn arm(n: usize) -> Option<usize> {
    is_active().then(|| world().arm(n))
}

#[inline]
pub(crate) fn random() -> Option<u64> {
    is_active().then(|| world().random())
}

pub(crate) fn spawn(born: Born<'_>, task: impl Future<Output = ()> + Send + 'static) {
    let world = world();
    world.spawn(born, Box::pin(task));
    world.point(Point { op: Op::Spawn, object: 0, at: Some(born.at) });
}

pub(crate) fn spawn_thread(born: Born<'_>, call: impl FnOnce() + Send + 'static) {
    let world = world();
    world.spawn_thread(born, Box::new(call));
    world.point(Point { op: Op::Spawn, object: 0, at: Some(born.at) });
}

#[inline]
pub(crate) fn park(deadline: Option<Instant>) -> Option<bool> {
    is_active().then(|| world().park(deadline))
}

#[inline]
pub(crate) fn waker() -> Option<Waker> {
    is_active().then(|| world().waker())
}

/// The waker that was asked for last is needed no more.
#[inline]
pub(crate) fn put_back(waker: Waker) {
    if is_active() {
        world().put_back(waker);
    }
}

pub(crate) fn ring_at(deadline: Instant, timer: &Arc<impl Ring + 'static>) -> bool {
    is_active() && {
        world().ring_at(deadline, timer.clone());
        true
    }
}

#[inline]
pub(crate) fn process_number() -> Option<u64> {
    is_active().then(|| world().process_number())
}

#[inline]
pub(crate) fn stack_number() -> Option<usize> {
    is_active().then(|| world().stack_number())
}

#[inline]
pub(crate) fn made(object: usize, what: Object, at: &'static Location<'static>) {
    if is_active() {
        world().made(Made { object, what, at });
    }
}

/// Where memory is used again depends on the allocator, which is no part of a schedule.
#[inline]
pub(crate) fn gone(object: usize) {
    if is_active() {
        world().gone(object);
    }
}

#[inline]
pub(crate) fn pending(op: Op, object: usize, at: Option<&'static Location<'static>>) {
    if is_active() {
        world().pending(Point { op, object, at });
    }
}

#[inline]
pub(crate) fn pending_arms(at: &'static Location<'static>, arms: impl Fn(&mut dyn FnMut(Arm))) {
    if is_active() {
        let world = world();
        arms(&mut |arm| world.pending_arm(arm, at));
    }
}

#[inline]
pub(crate) fn recorder() -> Option<Arc<dyn Probe>> {
    if is_active() { world().recorder() } else { None }
}

/// True: the world takes note, and nobody else need.
pub(crate) fn panicked(info: &PanicHookInfo<'_>) -> bool {
    is_active() && {
        let message = info.payload_as_str().unwrap_or("a panic without a message");
        world().panicked(message, info.location());
        true
    }
}

pub(crate) fn unseen_panic(message: &str) {
    if is_active() {
        world().unseen_panic(message);
    }
}
