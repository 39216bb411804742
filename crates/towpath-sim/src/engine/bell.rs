//! Wakers of simulated processes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use super::world;

/// What a waker ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wakes {
    /// The wait of a future that returned `Pending`.
    Poll,
    /// The sleep of a thread.
    Park,
}

/// Wakes one process of one schedule.
struct Bell {
    task: u32,
    wakes: Wakes,
    schedule: u64,
    outside: Arc<Outside>,
}

/// Where a thread of the system, which a simulation should not have, leaves word.
pub(super) struct Outside {
    used: AtomicBool,
    wakes: Mutex<Vec<(u64, u32, Wakes)>>,
}

impl Outside {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { used: AtomicBool::new(false), wakes: Mutex::new(Vec::new()) })
    }

    /// What has come since the last call.
    pub(super) fn take(&self) -> Vec<(u64, u32, Wakes)> {
        if !self.used.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.wakes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) fn waker(outside: &Arc<Outside>, schedule: u64, task: u32, wakes: Wakes) -> Waker {
    Arc::new(Bell { task, wakes, schedule, outside: outside.clone() }).into()
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let home = world::with(|world| {
            let home = Arc::ptr_eq(&world.outside, &self.outside);
            if home {
                world.wake(self.schedule, self.task, self.wakes);
            }
            home
        });
        if home != Some(true) {
            let mut wakes = self.outside.wakes.lock().unwrap_or_else(PoisonError::into_inner);
            wakes.push((self.schedule, self.task, self.wakes));
            self.outside.used.store(true, Ordering::Release);
        }
    }
}
