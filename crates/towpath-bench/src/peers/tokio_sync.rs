//! tokio's locks, for tasks.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, Notify, RwLock, Semaphore};

use crate::workloads::lock::{TaskLock, TaskNotice, give_way, sample};
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
        let permit = self.0.acquire().await.expect("it is open");
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

pub(crate) fn locks(job: Job) -> Outcome {
    sample::<Locked, Held, Read, Permits, Notice>(job)
}
