//! std's locks, for threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};

use crate::workloads::lock::{BlockLock, sample_threads};
use crate::workloads::{Job, Outcome};

const POISON: &str = "nobody panics";

struct Locked(Mutex<u64>);
struct Read(RwLock<AtomicU64>);

impl BlockLock for Locked {
    fn make(_: usize) -> Self {
        Self(Mutex::new(0))
    }
    fn step(&self) {
        *self.0.lock().expect(POISON) += 1;
    }
    fn count(&self) -> u64 {
        *self.0.lock().expect(POISON)
    }
}

impl BlockLock for Read {
    fn make(_: usize) -> Self {
        Self(RwLock::new(AtomicU64::new(0)))
    }
    fn step(&self) {
        self.0.read().expect(POISON).fetch_add(1, Ordering::Relaxed);
    }
    fn count(&self) -> u64 {
        self.0.read().expect(POISON).load(Ordering::Relaxed)
    }
}

pub(crate) fn sample(job: Job) -> Outcome {
    sample_threads::<Locked, Read>(job)
}
