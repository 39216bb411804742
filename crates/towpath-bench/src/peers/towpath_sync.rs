//! Our locks, for tasks and threads.

use std::sync::atomic::{AtomicU64, Ordering};

use towpath::sync::{Mutex, Notify, RwLock, Semaphore};

use crate::cells::{Cell, Mode};
use crate::workloads::lock::{self, BlockLock, TaskLock, TaskNotice, give_way};
use crate::workloads::{Job, Outcome};

struct Locked(Mutex<u64>);
struct Held(Mutex<u64>);
struct Read(RwLock<AtomicU64>);
struct Permits(Semaphore, AtomicU64);
struct Notice(Notify);

impl TaskLock for Locked {
    fn make(_: usize) -> Self {
        Self(Mutex::new(0))
    }
    async fn step(&self) {
        *self.0.lock().await += 1;
    }
    fn count(&self) -> u64 {
        *self.0.try_lock().expect("nobody has it")
    }
}

impl TaskLock for Held {
    fn make(_: usize) -> Self {
        Self(Mutex::new(0))
    }
    async fn step(&self) {
        let mut guard = self.0.lock().await;
        *guard += 1;
        give_way().await;
    }
    fn count(&self) -> u64 {
        *self.0.try_lock().expect("nobody has it")
    }
}

impl TaskLock for Read {
    fn make(_: usize) -> Self {
        Self(RwLock::new(AtomicU64::new(0)))
    }
    async fn step(&self) {
        self.0.read().await.fetch_add(1, Ordering::Relaxed);
    }
    fn count(&self) -> u64 {
        self.0.try_read().expect("nobody writes").load(Ordering::Relaxed)
    }
}

impl TaskLock for Permits {
    fn make(parties: usize) -> Self {
        Self(Semaphore::new(parties.div_ceil(4)), AtomicU64::new(0))
    }
    async fn step(&self) {
        let permit = self.0.acquire(1).await.expect("it is open");
        self.1.fetch_add(1, Ordering::Relaxed);
        drop(permit);
    }
    fn count(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }
}

impl TaskNotice for Notice {
    fn make() -> Self {
        Self(Notify::new())
    }
    async fn wait(&self) {
        self.0.notified().await;
    }
    fn tell(&self) {
        self.0.notify_one();
    }
}

impl BlockLock for Locked {
    fn make(_: usize) -> Self {
        Self(Mutex::new(0))
    }
    fn step(&self) {
        *self.0.lock_blocking() += 1;
    }
    fn count(&self) -> u64 {
        *self.0.lock_blocking()
    }
}

impl BlockLock for Read {
    fn make(_: usize) -> Self {
        Self(RwLock::new(AtomicU64::new(0)))
    }
    fn step(&self) {
        self.0.read_blocking().fetch_add(1, Ordering::Relaxed);
    }
    fn count(&self) -> u64 {
        self.0.read_blocking().load(Ordering::Relaxed)
    }
}

pub(crate) fn locks(job: Job) -> Outcome {
    match job.cell {
        Cell::Lock { mode: Mode::Block, .. } => lock::sample_threads::<Locked, Read>(job),
        _ => lock::sample::<Locked, Held, Read, Permits, Notice>(job),
    }
}
