//! How much of its work a stage does, as it follows from limits.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use towpath::sync::Notify;

/// How much of its work a stage does. Less is smaller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Level {
    /// Nothing: it refuses, or lets pass.
    Off = 0,
    /// What cannot be left out.
    Reduced = 1,
    /// Everything.
    Full = 2,
}

/// Said by the limits' end, besides the levels.
const ENDED: u8 = 0x80;

impl Level {
    fn of(byte: u8) -> Self {
        match byte & !ENDED {
            0 => Self::Off,
            1 => Self::Reduced,
            _ => Self::Full,
        }
    }
}

/// What a stage and its limits share.
pub(super) struct Gauge<T> {
    rule: Box<dyn Fn(&T) -> Level + Send + Sync>,
    level: AtomicU8,
    changed: Notify,
}

impl<T> Gauge<T> {
    pub(super) fn new(rule: impl Fn(&T) -> Level + Send + Sync + 'static, now: &T) -> Self {
        let level = AtomicU8::new(rule(now) as u8);
        Self { rule: Box::new(rule), level, changed: Notify::new() }
    }

    /// The limits have changed. Calls follow one another.
    pub(super) fn follow(&self, now: &T) {
        let level = (self.rule)(now) as u8;
        if self.level.swap(level, Ordering::AcqRel) != level {
            self.changed.notify_waiters();
        }
    }

    /// The limits will not change any more.
    pub(super) fn end(&self) {
        self.level.fetch_or(ENDED, Ordering::AcqRel);
        self.changed.notify_waiters();
    }
}

/// How much of its work a stage shall do: from [`Audited::stage`](super::Audited::stage). Each handle remembers which level it has
/// been told of; clone it for every process of the stage.
pub struct Stage<T> {
    gauge: Arc<Gauge<T>>,
    told: Level,
}

impl<T> Stage<T> {
    pub(super) fn new(gauge: Arc<Gauge<T>>) -> Self {
        let told = Level::of(gauge.level.load(Ordering::Acquire));
        Self { gauge, told }
    }

    /// The level now: an atomic load, to be asked at every request.
    pub fn level(&self) -> Level {
        Level::of(self.gauge.level.load(Ordering::Acquire))
    }

    /// Waits until the level is another than this handle was told last (at first: than it was when the handle was made).
    /// Levels that came and went meanwhile are not told. `None`: the limits are gone, it stays as it is.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn changed(&mut self) -> Option<Level> {
        loop {
            // Before the look, so that a change after it is not missed.
            let notified = self.gauge.changed.notified();
            let byte = self.gauge.level.load(Ordering::Acquire);
            let level = Level::of(byte);
            if level != self.told {
                self.told = level;
                return Some(level);
            }
            if byte & ENDED != 0 {
                return None;
            }
            notified.await;
        }
    }
}

impl<T> Clone for Stage<T> {
    fn clone(&self) -> Self {
        Self { gauge: self.gauge.clone(), told: self.told }
    }
}

impl<T> fmt::Debug for Stage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("level", &self.level()).finish_non_exhaustive()
    }
}
