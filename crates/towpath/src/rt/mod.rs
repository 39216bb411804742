//! The ambient runtime: the only place that asks for the time, for chance, or for a task.
//!
//! Nothing else in the crate, and no user code, names a runtime. A task spawned here runs on tokio when the caller is
//! inside a tokio runtime (feature `tokio`, on by default), else on a thread of its own; sleeping asks tokio's timer
//! or our own timer thread. Channels and select need neither: their futures run under any executor.
//!
//! ```
//! use std::time::Duration;
//!
//! // On plain threads, without any runtime:
//! let answer = towpath::block_on(async {
//!     let task = towpath::rt::spawn(async {
//!         towpath::rt::sleep(Duration::from_millis(1)).await;
//!         42
//!     });
//!     task.await
//! });
//! assert_eq!(answer.unwrap(), 42);
//! ```

mod point;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(not(feature = "sim"))]
#[path = "inert.rs"]
pub(crate) mod sim;
mod task;
mod threads;
#[cfg(feature = "tokio")]
mod tokio;

use std::{
    fmt,
    future::Future,
    io,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use crate::raw::pin;
pub(crate) use point::{Born, Object, Op};
pub use task::{Task, TaskError};
#[cfg(not(feature = "tokio"))]
use threads::{clock, poll_inline};
#[cfg(feature = "tokio")]
use tokio::{clock, poll_inline};

#[cfg(not(feature = "tokio"))]
pub(crate) use threads::InlineSleep;
pub(crate) use threads::{Timer as ThreadTimer, with_thread_waker};
#[cfg(feature = "tokio")]
pub(crate) use tokio::InlineSleep;

/// The runtime that serves the caller.
#[derive(Clone, Debug)]
pub struct Handle(Kind);

#[derive(Clone, Debug)]
enum Kind {
    #[cfg(feature = "tokio")]
    Tokio(tokio::Handle),
    Threads,
    /// The simulation this thread is in.
    Sim,
}

impl Handle {
    /// The runtime the caller is in: the simulator or tokio if it is inside one, else plain threads.
    pub fn current() -> Self {
        if sim::is_active() {
            return Self(Kind::Sim);
        }
        #[cfg(feature = "tokio")]
        if let Some(handle) = tokio::Handle::current() {
            return Self(Kind::Tokio(handle));
        }
        Self(Kind::Threads)
    }

    /// Plain threads, also inside another runtime.
    pub fn threads() -> Self {
        Self(Kind::Threads)
    }

    /// Starts a task. Dropping the [`Task`] detaches it.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.0 {
            Kind::Sim => {
                let (run, task) = task::of_future(future);
                sim::spawn(Born { name: None, at: Location::caller() }, run);
                task
            }
            #[cfg(feature = "tokio")]
            Kind::Tokio(handle) => Task::of_tokio(handle.spawn(future)),
            Kind::Threads => {
                let (run, task) = task::of_call(move || block_on(future));
                threads::spawn(run);
                task
            }
        }
    }

    /// Runs `f` on a thread where it may block. Dropping the [`Task`] detaches it.
    #[track_caller]
    pub fn spawn_blocking<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> Task<R> {
        match &self.0 {
            Kind::Sim => {
                let (run, task) = task::of_call(f);
                sim::spawn_thread(Born { name: None, at: Location::caller() }, run);
                task
            }
            #[cfg(feature = "tokio")]
            Kind::Tokio(handle) => Task::of_tokio(handle.spawn_blocking(f)),
            Kind::Threads => {
                let (run, task) = task::of_call(f);
                threads::spawn(run);
                task
            }
        }
    }

    /// Starts a task whose result nobody asks for. `Err`: there was no thread for it, and it has been dropped.
    pub(crate) fn start_task(
        &self,
        born: Born<'_>,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        match &self.0 {
            Kind::Sim => {
                sim::spawn(born, future);
                Ok(())
            }
            #[cfg(feature = "tokio")]
            Kind::Tokio(handle) => {
                drop(handle.spawn(future));
                Ok(())
            }
            Kind::Threads => {
                threads::start(born.name.unwrap_or_default(), move || block_on(future))
            }
        }
    }

    /// Starts a thread of its own inside this runtime. `Err`: there was none, and `f` has been dropped.
    pub(crate) fn start_thread(
        &self,
        born: Born<'_>,
        f: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        match &self.0 {
            Kind::Sim => {
                sim::spawn_thread(born, f);
                Ok(())
            }
            #[cfg(feature = "tokio")]
            Kind::Tokio(handle) => {
                let handle = handle.clone();
                threads::start(born.name.unwrap_or_default(), move || handle.inside(f))
            }
            Kind::Threads => threads::start(born.name.unwrap_or_default(), f),
        }
    }

    /// Waits until `deadline`.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep {
            deadline,
            kind: match &self.0 {
                #[cfg(feature = "tokio")]
                Kind::Tokio(handle) => SleepKind::Tokio(handle.sleep_until(deadline)),
                Kind::Threads | Kind::Sim => SleepKind::Threads(threads::Timer::default()),
            },
        }
    }
}

/// Starts a task on the current runtime; see [`Handle::spawn`].
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Handle::current().spawn(future)
}

/// Runs `f` where it may block; see [`Handle::spawn_blocking`].
#[track_caller]
pub fn spawn_blocking<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Task<R> {
    Handle::current().spawn_blocking(f)
}

/// The time now, by the clock of the current runtime (tokio's may be paused in tests; the simulator's is virtual).
pub fn now() -> Instant {
    sim::now().unwrap_or_else(clock)
}

/// The time of day by the machine's clock, for what must outlive the process: a timer in a journal, a deadline on the wire.
/// The simulator's goes on with [`now`] from 2026-01-01T00:00:00Z.
///
/// It may jump when somebody sets the clock. For waiting and measuring, use [`now`].
pub fn wall() -> SystemTime {
    sim::wall().unwrap_or_else(threads::wall)
}

/// Waits for `duration`.
///
/// # Cancel safety
/// Dropped before completion, nothing happened.
pub fn sleep(duration: Duration) -> Sleep {
    Handle::current().sleep_until(later(now(), duration))
}

/// A random number. Not for secrets: it is fast, and seeded in the simulator.
pub fn random() -> u64 {
    // A model must go the same way twice: there the arms of a select are tried in the order written.
    if cfg!(towpath_loom) { 0 } else { sim::random().unwrap_or_else(threads::random) }
}

/// A random number below `n`, which is above 0, for the arms of a select.
pub(crate) fn random_arm(n: usize) -> usize {
    sim::arm(n).unwrap_or_else(|| (random() % n as u64) as usize)
}

/// Runs a future on this thread and waits for it, under no runtime but the one the caller is in.
///
/// For plain threads, tests and examples; inside a task it would keep the worker.
pub fn block_on<F: Future>(future: F) -> F::Output {
    threads::block_on(future)
}

/// `start + duration`, or a time that never comes (30 years) when that cannot be represented.
pub(crate) fn later(start: Instant, duration: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    start.checked_add(duration).unwrap_or_else(|| start + NEVER)
}

/// A thread that waits for a lock whose holder does not run gives it time to.
#[cfg_attr(towpath_loom, expect(dead_code, reason = "models do not sleep"))]
pub(crate) fn nap() {
    std::thread::sleep(Duration::from_micros(50));
}

/// Parks the thread until its waker ([`with_thread_waker`]) is woken, or for no reason at all.
pub(crate) fn park() {
    if sim::park(None).is_none() {
        crate::sync::thread::park();
    }
}

/// Parks the thread until unparked or until `deadline`; false once that is over.
pub(crate) fn park_until(deadline: Option<Instant>) -> bool {
    if let Some(timely) = sim::park(deadline) {
        return timely;
    }
    match deadline {
        None => crate::sync::thread::park(),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return false;
            }
            std::thread::park_timeout(left);
        }
    }
    true
}

/// A timer that lives inside its owner, which pins it, so that under tokio it allocates nothing.
#[derive(Default)]
pub(crate) struct Timer {
    /// Set at the first poll inside a runtime.
    runtime: InlineSleep,
    threads: threads::Timer,
}

impl Timer {
    /// Ready once `deadline` has passed. All polls name the same deadline.
    pub(crate) fn poll(self: Pin<&mut Self>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let (runtime, threads) = pin::timer(self);
        if sim::is_active() {
            return threads.poll(deadline, cx.waker());
        }
        match poll_inline(runtime, deadline, cx) {
            Some(rung) => rung,
            None => threads.poll(deadline, cx.waker()),
        }
    }

    /// For `raw/pin.rs`.
    pub(crate) fn parts_mut(&mut self) -> (&mut InlineSleep, &mut threads::Timer) {
        (&mut self.runtime, &mut self.threads)
    }
}

/// A wait for a moment; made by [`sleep`].
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    deadline: Instant,
    kind: SleepKind,
}

enum SleepKind {
    #[cfg(feature = "tokio")]
    Tokio(tokio::Sleep),
    Threads(threads::Timer),
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        match &mut self.kind {
            #[cfg(feature = "tokio")]
            SleepKind::Tokio(sleep) => sleep.poll(cx),
            SleepKind::Threads(timer) => {
                let polled = timer.poll(deadline, cx.waker());
                if polled.is_pending() {
                    sim::pending(Op::Sleep, 0, None);
                }
                polled
            }
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
