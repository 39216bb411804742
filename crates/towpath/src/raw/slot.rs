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

use std::pin::Pin;

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
    inside: UnsafeCell<Inside<J>>,
}

struct Inside<J> {
    process: Option<Process>,
    job: Option<J>,
}

// SAFETY: the state lets one thread at a time at what is inside. Attacked by `it::scope_stress` under ThreadSanitizer.
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

impl<J> Slot<J> {
    pub(crate) fn new(process: Process, job: J) -> Self {
        Self {
            state: AtomicUsize::new(IDLE),
            inside: UnsafeCell::new(Inside { process: Some(process), job: Some(job) }),
        }
    }

    /// Gives the job a turn, as its process. `turn` does not unwind; `Some` means that the job is done.
    pub(crate) fn turn<R>(
        self: Pin<&Self>,
        turn: impl FnOnce(Pin<&mut J>) -> Option<R>,
    ) -> Turn<R> {
        let me = thread_number();
        let won = self.state.compare_exchange(IDLE, me, Ordering::Acquire, Ordering::Relaxed);
        if won.is_err() {
            return Turn::Missed;
        }
        let result = self.inside.with_mut(|inside| {
            // SAFETY: the exchange above gave the job to this thread alone; it is pinned because the slot is, and is
            // dropped where it stands. Attacked by `it::scope_stress`.
            let Inside { process, job } = unsafe { &mut *inside };
            let job = job.as_mut()?;
            // SAFETY: as above.
            process::run_as(process, || turn(unsafe { Pin::new_unchecked(job) }))
        });
        match result {
            Some(result) => Turn::Done(result, self.clear()),
            // Release: seen by the Acquire of the next turn, or of the one that empties.
            None => {
                match self.state.compare_exchange(me, IDLE, Ordering::Release, Ordering::Relaxed) {
                    Ok(_) => Turn::Pending,
                    Err(_doomed) => Turn::Doomed(self.clear()),
                }
            }
        }
    }

    /// Whether the job is in somebody's hand just now.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.state.load(Ordering::Acquire), IDLE | EMPTY)
    }

    /// Drops the job now, or at the end of the turn it is having.
    pub(crate) fn empty(&self) -> Emptied {
        let me = thread_number();
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = match state {
                EMPTY => return Emptied::Before,
                IDLE => me,
                running => running | DOOMED,
            };
            match self.state.compare_exchange(state, next, Ordering::Acquire, Ordering::Relaxed) {
                Ok(IDLE) => return Emptied::Now(self.clear()),
                Ok(running) if running & !DOOMED == me => return Emptied::Here,
                Ok(_) => return Emptied::Elsewhere,
                Err(now) => state = now,
            }
        }
    }

    /// Drops the job, which this thread has in hand, as its process.
    fn clear(&self) -> Option<Panic> {
        let panic = self.inside.with_mut(|inside| {
            // SAFETY: the caller has moved the state away from `IDLE`; a job that was pinned is dropped in its place.
            let Inside { process, job } = unsafe { &mut *inside };
            process::run_as(process, || process::catch(|| *job = None).err())
        });
        // Release: the drop happens before whoever sees the job gone goes on.
        self.state.store(EMPTY, Ordering::Release);
        panic
    }
}

/// A number of this thread that no running thread shares, above `DOOMED` and with its bit clear.
fn thread_number() -> usize {
    thread_local! {
        static HERE: u64 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// A closure as a job: it is taken out to be called, so it may be moved although its slot is pinned.
pub(crate) struct Call<F>(pub(crate) Option<F>);

impl<F> Unpin for Call<F> {}
