//! A job in a shared place: run by its task or thread, emptied by its scope.
//!
//! ```text
//!            poll                       done, or doomed
//!   IDLE ────────────► thread (doomed?) ───────────────► EMPTY
//!     ▲                   │                                ▲
//!     └────── pending ────┘                                │
//!     └──────────────────── emptied by the scope ──────────┘
//! ```
//!
//! What always holds: whoever moves the word away from `IDLE` has the job alone, and whoever brings it to `EMPTY` has
//! dropped the job and sees to what follows, once.

use std::{cell::Cell, pin::Pin, ptr};

use crate::{
    process::{self, Panic, Process},
    sync::{AtomicUsize, Ordering, UnsafeCell},
};

const IDLE: usize = 0;
const EMPTY: usize = 1;
/// Added to the running thread's number: the job is to be dropped when this poll ends.
const DOOMED: usize = 2;

pub(crate) struct Slot<J> {
    /// One of the above, or the number of the thread that has the job in hand.
    state: AtomicUsize,
    job: UnsafeCell<Option<J>>,
}

// SAFETY: the state lets one thread at a time at what is inside. Attacked by `loom::slot_*`, and
// by `it::scope_stress` under ThreadSanitizer.
unsafe impl<J: Send> Send for Slot<J> {}
// SAFETY: as above.
unsafe impl<J: Send> Sync for Slot<J> {}

/// How a turn of the job has ended.
pub(crate) enum Turn<R> {
    /// The job was gone before, or is in hand elsewhere.
    Missed,
    /// It goes on later.
    Pending,
    /// It is done, and gone; the panic of its drop, if any.
    Done(R, Option<Panic>),
    /// It was dropped at the scope's wish.
    Doomed(Option<Panic>),
}

/// How an emptying went.
pub(crate) enum Emptied {
    /// The job was dropped, by this call; the panic of its drop, if any.
    Now(Option<Panic>),
    /// It was gone before.
    Before,
    /// Another thread has it in hand, and will drop it at the end of its turn.
    Elsewhere,
    /// This very thread has it in hand further up its stack.
    Here,
}

impl<J> std::fmt::Debug for Slot<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot(..)")
    }
}

impl<J> Slot<J> {
    pub(crate) fn new(job: J) -> Self {
        Self { state: AtomicUsize::new(IDLE), job: UnsafeCell::new(Some(job)) }
    }

    /// Gives the job a turn, as `process`. `turn` does not unwind; `Some` means that the job is done.
    pub(crate) fn turn<R>(
        self: Pin<&Self>,
        process: &Process,
        turn: impl FnOnce(Pin<&mut J>) -> Option<R>,
    ) -> Turn<R> {
        let me = thread_number();
        let won = self.state.compare_exchange(IDLE, me, Ordering::Acquire, Ordering::Relaxed);
        if won.is_err() {
            return Turn::Missed;
        }
        let result = self.job.with_mut(|job| {
            // SAFETY: the exchange above gave the job to this thread alone; it is pinned because the slot is, and is
            // dropped where it stands. Attacked by `it::scope_stress`.
            let job = unsafe { (*job).as_mut().map(|job| Pin::new_unchecked(job))? };
            run_as(process, || turn(job))
        });
        match result {
            Some(result) => Turn::Done(result, self.clear(process)),
            // Release: seen by the Acquire of the next turn, or of the one that empties.
            None => {
                let order = mutant!(slot_turn_relaxed, Ordering::Release, Ordering::Relaxed);
                match self.state.compare_exchange(me, IDLE, order, Ordering::Relaxed) {
                    Ok(_) => Turn::Pending,
                    Err(_doomed) => Turn::Doomed(self.clear(process)),
                }
            }
        }
    }

    /// Whether the job is in somebody's hand just now.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.state.load(Ordering::Acquire), IDLE | EMPTY)
    }

    /// Drops the job now, or at the end of the turn it is having.
    pub(crate) fn empty(&self, process: &Process) -> Emptied {
        let me = thread_number();
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = match state {
                EMPTY => return Emptied::Before,
                IDLE => me,
                running => running | DOOMED,
            };
            match self.state.compare_exchange(state, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(IDLE) => return Emptied::Now(self.clear(process)),
                Ok(running) if running & !DOOMED == me => return Emptied::Here,
                Ok(_) => return Emptied::Elsewhere,
                Err(now) => state = now,
            }
        }
    }

    /// Drops the job, which this thread has in hand, as its process.
    fn clear(&self, process: &Process) -> Option<Panic> {
        let panic = self.job.with_mut(|job| {
            // SAFETY: the caller has moved the state away from `IDLE`; a job that was pinned is dropped in its place.
            run_as(process, || process::catch(|| unsafe { *job = None }).err())
        });
        self.say_empty();
        panic
    }

    fn say_empty(&self) {
        // Release: the drop happens before whoever sees the job gone goes on.
        #[cfg(not(towpath_loom))]
        self.state.store(EMPTY, Ordering::Release);
        // Loom lets an exchange overlook a store that came before it.
        #[cfg(towpath_loom)]
        self.state.swap(EMPTY, Ordering::Release);
    }
}

thread_local! {
    /// Whom this thread runs. Set in `run_as` only, for as long as that call lasts.
    static HERE: Cell<*const Process> = const { Cell::new(ptr::null()) };
}

/// Runs `f` as `process`, in place of whom the thread ran before.
fn run_as<R>(process: &Process, f: impl FnOnce() -> R) -> R {
    struct Back(*const Process);
    impl Drop for Back {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _back = Back(HERE.replace(ptr::from_ref(process)));
    f()
}

/// Lends the process that this thread runs.
pub(crate) fn with_current<R>(f: impl FnOnce(Option<&Process>) -> R) -> R {
    let process = HERE.get();
    // SAFETY: not null only while a `run_as` further up this stack borrows the process.
    f(unsafe { process.as_ref() })
}

/// Whom a stack runs, while another stack runs on the thread.
#[cfg(feature = "sim")]
#[derive(Debug)]
pub(crate) struct Here(*const Process);

#[cfg(feature = "sim")]
impl Default for Here {
    fn default() -> Self {
        Self(ptr::null())
    }
}

#[cfg(feature = "sim")]
impl Here {
    /// What is put in place is of the `run_as` further up the stack that runs next.
    #[inline]
    pub(crate) fn exchange(&mut self) {
        self.0 = HERE.replace(self.0);
    }
}

/// The threads of a model are one to the standard library.
#[cfg(towpath_loom)]
fn thread_number() -> usize {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    crate::sync::thread::current().id().hash(&mut hasher);
    (hasher.finish() as usize | 2 * DOOMED) & !(2 * DOOMED - 1)
}

/// A number of this thread that no running thread shares, above `DOOMED` and with its bit clear.
#[cfg(not(towpath_loom))]
fn thread_number() -> usize {
    if let Some(stack) = crate::rt::sim::stack_number() {
        return stack;
    }
    thread_local! {
        static NUMBER: u64 = const { 0 };
    }
    NUMBER.with(|here| ptr::from_ref(here).addr())
}

/// A closure as a job: it is taken out to be called, so it may be moved although its slot is pinned.
pub(crate) struct Call<F>(pub(crate) Option<F>);

impl<F> Unpin for Call<F> {}
