//! Wakers of simulated processes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
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

/// Wakes one process of one schedule; of another one, once nobody has it any more.
struct Bell {
    task: u32,
    wakes: Wakes,
    schedule: AtomicU64,
    outside: Arc<Outside>,
}

/// The bell for one way to wake one process, kept from schedule to schedule: they are alike, and most have the same
/// number of processes.
#[derive(Default)]
pub(super) struct Kept {
    bell: Option<Arc<Bell>>,
    /// To be lent.
    waker: Option<Waker>,
}

impl Kept {
    /// The waker, which the caller puts back if it lives.
    #[inline]
    pub(super) fn take(
        &mut self,
        outside: &Arc<Outside>,
        schedule: u64,
        task: u32,
        wakes: Wakes,
    ) -> Waker {
        let bell = self.bell.get_or_insert_with(|| {
            let schedule = AtomicU64::new(schedule);
            Arc::new(Bell { task, wakes, schedule, outside: outside.clone() })
        });
        // Relaxed: in the hands of this thread alone until now, or the same number already.
        bell.schedule.store(schedule, Ordering::Relaxed);
        self.waker.take().unwrap_or_else(|| bell.clone().into())
    }

    #[inline]
    pub(super) fn put_back(&mut self, waker: Waker) {
        self.waker = Some(waker);
    }

    /// The schedule is over. If somebody still has a clone, which may be woken at any time, the next has another bell.
    #[inline]
    pub(super) fn end(&mut self) {
        let own = 1 + usize::from(self.waker.is_some());
        if self.bell.as_ref().is_some_and(|bell| Arc::strong_count(bell) != own) {
            *self = Self::default();
        }
    }
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

    /// Whether something may have come since the last `take`.
    #[inline]
    pub(super) fn has_some(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// What has come since the last call.
    pub(super) fn take(&self) -> Vec<(u64, u32, Wakes)> {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        self.used.store(false, Ordering::Relaxed);
        std::mem::take(&mut *wakes)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Relaxed: whoever has a clone has it from a schedule in which it stays as it is.
        let schedule = self.schedule.load(Ordering::Relaxed);
        let home = world::with(|world| {
            let home = Arc::ptr_eq(&world.outside, &self.outside);
            if home {
                world.wake(schedule, self.task, self.wakes);
            }
            home
        });
        if home != Some(true) {
            let mut wakes = self.outside.wakes.lock().unwrap_or_else(PoisonError::into_inner);
            wakes.push((schedule, self.task, self.wakes));
            // Under the lock, which also orders what was pushed.
            self.outside.used.store(true, Ordering::Relaxed);
        }
    }
}
