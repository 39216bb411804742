//! The plain-thread backend: a waker that unparks, a timer thread, a random number for each thread.

use std::{
    cell::Cell,
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    pin::pin,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread as os,
    time::{Instant, SystemTime},
};

use super::sim::{self, Ring};
use crate::sync::thread;

/// Wakes by unparking. A thread that parks looks at its own condition before and after, so a token left over from
/// an earlier wait does no harm.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn thread_waker() -> Waker {
    Arc::new(Unpark(thread::current())).into()
}

/// Lends this thread's waker.
#[cfg(not(towpath_loom))]
pub(crate) fn with_thread_waker<R>(f: impl FnOnce(&Waker) -> R) -> R {
    if let Some(waker) = sim::waker() {
        let result = f(&waker);
        sim::put_back(waker);
        return result;
    }
    thread_local! {
        static WAKER: Waker = thread_waker();
    }
    let mut f = Some(f);
    let mut call = |waker: &Waker| f.take().map(|f| f(waker));
    // While the thread ends its locals may be gone; then a fresh waker serves.
    match WAKER.try_with(&mut call).ok().flatten() {
        Some(result) => result,
        None => match call(&thread_waker()) {
            Some(result) => result,
            None => unreachable!("called at most once"),
        },
    }
}

/// Lends this thread's waker; loom's threads each get a fresh one.
#[cfg(towpath_loom)]
pub(crate) fn with_thread_waker<R>(f: impl FnOnce(&Waker) -> R) -> R {
    f(&thread_waker())
}

pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    // Its own waker, not the thread's: a channel operation that blocks inside the future must not swallow its wakes.
    let (thread, simulated) = (os::current(), sim::waker());
    let signal = Arc::new(Signal { thread, simulated, woken: AtomicBool::new(false) });
    let waker = Waker::from(signal.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        signal.wait();
    }
}

struct Signal {
    thread: os::Thread,
    /// Wakes it instead, in a simulation.
    simulated: Option<Waker>,
    woken: AtomicBool,
}

impl Signal {
    fn wait(&self) {
        if self.woken.swap(false, Ordering::Acquire) {
            // It is polled again at once. In a simulation that is a step: else one that wakes itself would never be seen.
            sim::give_way();
            return;
        }
        // A token that an operation inside the future has swallowed does no harm: the flag says it too.
        while !self.woken.swap(false, Ordering::Acquire) {
            if sim::park(None).is_none() {
                os::park();
            }
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            match &self.simulated {
                Some(waker) => waker.wake_by_ref(),
                None => self.thread.unpark(),
            }
        }
    }
}

/// Starts a detached thread. Its failure to start is a panic, as with `std::thread::spawn`.
pub(super) fn spawn(f: impl FnOnce() + Send + 'static) {
    drop(os::spawn(f));
}

/// As `spawn`, with a name for debuggers, and its failure as an error.
pub(super) fn start(name: &str, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // The operating system's names end at a zero byte, and the standard library refuses it.
    let name = name.replace('\0', "");
    os::Builder::new().name(name).spawn(f).map(drop)
}

/// Marsaglia's xorshift64* (2003), seeded for each thread from the standard library's hasher.
pub(super) fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish() | 1);
    }
    STATE
        .try_with(|state| {
            let mut x = state.get();
            x ^= x >> 12;
            x ^= x << 25;
            x ^= x >> 27;
            state.set(x);
            x.wrapping_mul(0x2545_F491_4F6C_DD1D)
        })
        .unwrap_or_default()
}

/// One waiter of the timer thread.
#[derive(Default)]
pub(crate) struct Timer {
    entry: Option<Arc<Entry>>,
}

struct Entry {
    waker: Mutex<Option<Waker>>,
}

impl Timer {
    pub(super) fn poll(&mut self, deadline: Instant, waker: &Waker) -> Poll<()> {
        let disturbed = mutant!(timer_rings_with_others, false, self.entry.is_some());
        if super::now() >= deadline || disturbed {
            return Poll::Ready(());
        }
        match &self.entry {
            Some(entry) => {
                let mut slot = entry.waker.lock().unwrap_or_else(PoisonError::into_inner);
                // Taken by the timer thread means: it has rung, and a look at the clock above was a little early.
                if slot.as_ref().is_some_and(|old| old.will_wake(waker)) {
                    return Poll::Pending;
                }
                if slot.replace(waker.clone()).is_some() {
                    return Poll::Pending;
                }
                drop(slot);
                ring_at(deadline, entry);
            }
            None => {
                let entry = Arc::new(Entry { waker: Mutex::new(Some(waker.clone())) });
                let entry = self.entry.insert(entry);
                ring_at(deadline, entry);
            }
        }
        Poll::Pending
    }
}

fn ring_at(deadline: Instant, entry: &Arc<Entry>) {
    if !mutant!(timer_never_rings, sim::ring_at(deadline, entry), true) {
        TimerThread::get().add(deadline, entry.clone());
    }
}

impl Ring for Entry {
    fn ring(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_awaited(&self) -> bool {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// The machine's time of day.
pub(super) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The machine's clock.
#[cfg(not(feature = "tokio"))]
#[inline]
pub(super) fn clock() -> Instant {
    Instant::now()
}

/// Without a runtime there is no timer but the thread's.
#[cfg(not(feature = "tokio"))]
pub(crate) type InlineSleep = ();

#[cfg(not(feature = "tokio"))]
pub(super) fn poll_inline(
    _: std::pin::Pin<&mut InlineSleep>,
    _: Instant,
    _: &mut Context<'_>,
) -> Option<Poll<()>> {
    None
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            // The heap keeps the entry until its time; the task's waker must go now.
            *entry.waker.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// The thread that rings: a heap of deadlines, started at first use.
struct TimerThread {
    heap: Mutex<Heap>,
    earlier: Condvar,
}

#[derive(Default)]
struct Heap {
    entries: BinaryHeap<Reverse<Deadline>>,
    count: u64,
    /// How many entries at the last sweep of those whose timer was dropped.
    swept_len: usize,
}

struct Deadline {
    when: Instant,
    /// Equal times ring in the order in which they were set.
    count: u64,
    entry: Arc<Entry>,
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Self) -> bool {
        (self.when, self.count) == (other.when, other.count)
    }
}

impl Eq for Deadline {}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.when, self.count).cmp(&(other.when, other.count))
    }
}

impl TimerThread {
    fn get() -> &'static Self {
        static THREAD: OnceLock<&'static TimerThread> = OnceLock::new();
        THREAD.get_or_init(|| {
            let this: &'static Self = Box::leak(Box::new(Self {
                heap: Mutex::new(Heap::default()),
                earlier: Condvar::new(),
            }));
            let started =
                os::Builder::new().name("towpath-timer".to_owned()).spawn(move || this.run());
            if let Err(error) = started {
                panic!("cannot start the timer thread: {error}");
            }
            this
        })
    }

    fn add(&self, when: Instant, entry: Arc<Entry>) {
        let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        let count = heap.count;
        heap.count += 1;
        let earliest = heap.entries.peek().is_none_or(|Reverse(first)| when < first.when);
        heap.entries.push(Reverse(Deadline { when, count, entry }));
        // Dropped timers leave entries behind: swept whenever the heap has doubled, so they are at most half of it.
        if heap.entries.len() > 64 && heap.entries.len() > 2 * heap.swept_len {
            heap.entries.retain(|Reverse(deadline)| Arc::strong_count(&deadline.entry) > 1);
            heap.swept_len = heap.entries.len();
        }
        drop(heap);
        if earliest {
            self.earlier.notify_one();
        }
    }

    fn run(&self) {
        let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(Reverse(first)) = heap.entries.peek() else {
                heap = self.earlier.wait(heap).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = first.when.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                heap =
                    self.earlier.wait_timeout(heap, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let Some(Reverse(due)) = heap.entries.pop() else { continue };
            drop(heap);
            due.entry.ring();
            heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}
