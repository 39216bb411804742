//! What the tests share: channels of every capacity, futures polled by hand, values that count their drops, a
//! watchdog, a runtime, chance with a seed.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use towpath::{Receiver, Sender};

/// `None` is unbounded. The small ones, the ring of a power of two and beside it, a roomy one.
pub(crate) const CAPACITIES: [Option<usize>; 10] =
    [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(7), Some(8), Some(128), None];

/// The capacities at which a send can be made to wait.
pub(crate) fn bounded_capacities() -> impl Iterator<Item = usize> {
    CAPACITIES.into_iter().flatten()
}

pub(crate) fn channel<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    match capacity {
        Some(capacity) => towpath::bounded(capacity),
        None => towpath::unbounded(),
    }
}

/// A channel that is full of `0, 1, ..`, so that the next send waits.
pub(crate) fn full(capacity: usize) -> (Sender<u64>, Receiver<u64>) {
    let (tx, rx) = towpath::bounded(capacity);
    (0..capacity as u64).for_each(|i| tx.try_send(i).unwrap());
    (tx, rx)
}

/// Runs `f`; should it take longer than `seconds`, the process ends with the test's name.
pub(crate) fn watchdog<R>(seconds: u64, f: impl FnOnce() -> R) -> R {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, wait) = mpsc::channel::<()>();
    let guard = thread::spawn(move || {
        // The sender going away, by return or by panic, is the good news.
        if wait.recv_timeout(Duration::from_secs(seconds)) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name}: still running after {seconds} s, it hangs");
            std::process::abort();
        }
    });
    let result = f();
    drop(done);
    guard.join().unwrap();
    result
}

/// Two workers and timers.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs `future` on two workers, under a watchdog.
pub(crate) fn run<F>(seconds: u64, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    watchdog(seconds, || {
        let runtime = runtime();
        runtime.block_on(async { tokio::spawn(future).await.unwrap() })
    })
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task polled by hand, which counts how often it is woken.
pub(crate) struct Task {
    count: Arc<Count>,
    waker: Waker,
}

impl Task {
    pub(crate) fn new() -> Self {
        let count = Arc::new(Count::default());
        Self { waker: count.clone().into(), count }
    }

    pub(crate) fn poll<F: Future + ?Sized>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker))
    }

    pub(crate) fn wakes(&self) -> usize {
        self.count.0.load(Ordering::SeqCst)
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }
}

/// A pinned future with a task of its own.
pub(crate) struct Polled<F: Future + ?Sized> {
    pub(crate) task: Task,
    future: Pin<Box<F>>,
}

impl<F: Future> Polled<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { task: Task::new(), future: Box::pin(future) }
    }

    /// A future that has been polled once, and waits.
    pub(crate) fn parked(future: F) -> Self {
        let mut this = Self::new(future);
        assert!(this.poll().is_pending(), "should have to wait");
        this
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        self.task.poll(self.future.as_mut())
    }

    /// The output of a future that has been woken.
    pub(crate) fn finish(mut self) -> F::Output {
        assert!(self.woken(), "should have been woken");
        match self.poll() {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("woken, and should be ready"),
        }
    }

    pub(crate) fn woken(&self) -> bool {
        self.task.wakes() > 0
    }
}

/// The output of a future that does not have to wait.
pub(crate) fn ready<F: Future>(future: F) -> F::Output {
    match Polled::new(future).poll() {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("should not have to wait"),
    }
}

/// A future without its type.
pub(crate) type Job<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs `jobs` on this thread, as tasks. Nothing but atomics and parking inside, so that ThreadSanitizer sees all of
/// it (it does not see into the locks of tokio and std).
pub(crate) fn run_tasks(jobs: Vec<Job<'_>>) {
    struct Ring {
        rung: AtomicBool,
        thread: thread::Thread,
    }
    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.rung.store(true, Ordering::SeqCst);
            self.thread.unpark();
        }
    }
    let mut tasks: Vec<_> = jobs
        .into_iter()
        .map(|job| (Arc::new(Ring { rung: AtomicBool::new(true), thread: thread::current() }), job))
        .collect();
    while !tasks.is_empty() {
        let mut idle = true;
        tasks.retain_mut(|(ring, job)| {
            if !ring.rung.swap(false, Ordering::SeqCst) {
                return true;
            }
            idle = false;
            job.as_mut().poll(&mut Context::from_waker(&ring.clone().into())).is_pending()
        });
        if idle {
            thread::park();
        }
    }
}

/// Lets the other tasks of this thread run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls `future` up to `times` more often, yielding in between, and drops it then.
pub(crate) async fn impatiently<F: Future>(future: F, times: u64) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = times;
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

type Drops = Arc<Mutex<BTreeMap<u64, usize>>>;

/// Locks by spinning: ThreadSanitizer sees that, and not how std waits.
fn lock(drops: &Drops) -> MutexGuard<'_, BTreeMap<u64, usize>> {
    loop {
        match drops.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
            Err(TryLockError::Poisoned(_)) => panic!("a census was poisoned"),
        }
    }
}

/// Counts the values it hands out, and their drops.
#[derive(Clone, Default)]
pub(crate) struct Census(Drops);

/// A value whose drops are counted.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) id: u64,
    drops: Drops,
    /// Panics when it is dropped.
    pub(crate) explosive: bool,
}

impl Census {
    pub(crate) fn value(&self, id: u64) -> Counted {
        assert!(lock(&self.0).insert(id, 0).is_none(), "made twice: {id}");
        Counted { id, drops: self.0.clone(), explosive: false }
    }

    pub(crate) fn explosive(&self, id: u64) -> Counted {
        let mut value = self.value(id);
        value.explosive = true;
        value
    }

    /// How many values are still alive.
    pub(crate) fn alive(&self) -> usize {
        lock(&self.0).values().filter(|&&drops| drops == 0).count()
    }

    /// Every value was dropped exactly once.
    #[track_caller]
    pub(crate) fn all_dropped_once(&self) {
        let wrong: Vec<_> =
            lock(&self.0).iter().filter(|&(_, &n)| n != 1).map(|(&id, &n)| (id, n)).collect();
        assert!(wrong.is_empty(), "(value, drops): {wrong:?}");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        lock(&self.drops).entry(self.id).and_modify(|drops| *drops += 1);
        if self.explosive && !thread::panicking() {
            panic!("value {} explodes", self.id);
        }
    }
}

/// Random numbers from a seed (splitmix64).
#[derive(Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A new seed each run, or `TOWPATH_SEED`; printed, so that a failure can be run again.
    pub(crate) fn announced() -> Self {
        let seed = std::env::var("TOWPATH_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(towpath::rt::random);
        println!("run again with TOWPATH_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
