//! Limits whose changes are accounted for: first the trail, then the change, then the stages that it degrades.
//!
//! ```text
//!   change ──▶ a place in the trail ──▶ in force for readers ──▶ levels of stages ──▶ the trail
//!                                                                                       └─▶ auditor: log, journal, alert
//! ```
//!
//! What always holds:
//! - No change is in force of which the trail does not have a record: a place is taken first, and used at once.
//! - Records are numbered without a gap and arrive in the order in which the changes came into force.
//! - Readers know nothing of all this: they follow a pointer.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use towpath::{Permit, Sender, TryReserveError, rt, sync::Mutex};

use super::{Level, Limit, NotChanged, Stage, Why, stage::Gauge};

/// A record of one change.
#[derive(Debug)]
pub struct Change<T> {
    /// Counted from 1.
    pub number: u64,
    /// Who changed it.
    pub author: Arc<str>,
    /// The time of day.
    pub at: SystemTime,
    /// What was in force.
    pub before: Arc<T>,
    /// What is in force now.
    pub after: Arc<T>,
}

// By hand: the values are shared, so `T` need not be `Clone`.
impl<T> Clone for Change<T> {
    fn clone(&self) -> Self {
        let Self { number, author, at, before, after } = self;
        Self {
            number: *number,
            author: author.clone(),
            at: *at,
            before: before.clone(),
            after: after.clone(),
        }
    }
}

/// Limits whose every change is in a trail, which somebody must read. Clones are the same limits.
///
/// ```
/// use towpath_patterns::limit::{Audited, Level, Limit};
///
/// # towpath::block_on(async {
/// /// Changes that the auditor may be behind: more than an operator makes in a minute.
/// const TRAIL: usize = 16;
///
/// let (trail, mut audit) = towpath::bounded(TRAIL);
/// let orders_max = Audited::new(100_u32, trail).by("operator");
/// let stage = orders_max.stage(|max| if *max < 50 { Level::Reduced } else { Level::Full });
///
/// orders_max.change(20)?;
/// assert_eq!((orders_max.get(), stage.level()), (20, Level::Reduced)); // at once
/// let change = audit.recv().await.unwrap();
/// assert_eq!((&*change.author, *change.before, *change.after), ("operator", 100, 20));
///
/// drop(audit);
/// assert!(orders_max.change(0).is_err()); // nobody would know
/// assert_eq!(orders_max.get(), 20);
/// # Ok::<(), towpath_patterns::limit::NotChanged<u32>>(()) }).unwrap();
/// ```
pub struct Audited<T> {
    shared: Arc<Shared<T>>,
    trail: Sender<Change<T>>,
    author: Arc<str>,
}

struct Shared<T> {
    now: ArcSwap<T>,
    /// Held by whoever changes something, never over a wait.
    books: Mutex<Books<T>>,
}

struct Books<T> {
    changes: u64,
    stages: Vec<Weak<Gauge<T>>>,
}

impl<T: Send + Sync + 'static> Audited<T> {
    /// Begins with these values; changes go to `trail`. Its capacity is how many changes the auditor may be behind.
    pub fn new(values: T, trail: Sender<Change<T>>) -> Self {
        let books = Mutex::new(Books { changes: 0, stages: Vec::new() });
        let shared = Shared { now: ArcSwap::from_pointee(values), books };
        Self { shared: Arc::new(shared), trail, author: "unknown".into() }
    }

    /// The same limits, changed under this name.
    #[must_use = "this handle is another one"]
    pub fn by(&self, author: impl Into<Arc<str>>) -> Self {
        Self { author: author.into(), ..self.clone() }
    }

    /// The values, to keep for a while.
    pub fn snapshot(&self) -> Arc<T> {
        self.shared.now.load_full()
    }

    /// How many changes there were.
    pub fn changes(&self) -> u64 {
        self.shared.books.lock_blocking().changes
    }

    /// A stage whose level follows from the limits: `rule` is asked at every change, before the change returns. It must be
    /// short and only look: other changes wait for it.
    pub fn stage(&self, rule: impl Fn(&T) -> Level + Send + Sync + 'static) -> Stage<T> {
        let mut books = self.shared.books.lock_blocking();
        let gauge = Arc::new(Gauge::new(rule, &self.shared.now.load()));
        books.stages.push(Arc::downgrade(&gauge));
        Stage::new(gauge)
    }

    /// As [`change`](Limit::change), waiting for room in the trail.
    ///
    /// # Errors
    /// [`NotChanged`] gives the values back when nobody reads the trail any more.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn change_audited(&self, values: T) -> Result<u64, NotChanged<T>> {
        match self.trail.reserve().await {
            Ok(place) => Ok(self.put_in_force(values, place)),
            Err(_) => Err(NotChanged { value: values, why: Why::AuditorGone }),
        }
    }

    /// Makes the change and records it; gives its number.
    fn put_in_force(&self, values: T, place: Permit<'_, Change<T>>) -> u64 {
        let after = Arc::new(values);
        // Nobody waits under this lock, so a task that waits for it like a thread waits for a few instructions.
        let mut books = self.shared.books.lock_blocking();
        books.changes += 1;
        let number = books.changes;
        let before = self.shared.now.swap(after.clone());
        books.stages.retain(|stage| match stage.upgrade() {
            Some(gauge) => {
                gauge.follow(&after);
                true
            }
            None => false,
        });
        let author = self.author.clone();
        place.send(Change { number, author, at: rt::wall(), before, after });
        number
    }
}

impl<T: Clone + Send + Sync + 'static> Limit for Audited<T> {
    type Value = T;

    fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.shared.now.load())
    }

    fn change(&self, value: T) -> Result<(), NotChanged<T>> {
        match self.trail.try_reserve() {
            Ok(place) => {
                self.put_in_force(value, place);
                Ok(())
            }
            Err(TryReserveError::Full) => Err(NotChanged { value, why: Why::TrailFull }),
            Err(TryReserveError::Closed) => Err(NotChanged { value, why: Why::AuditorGone }),
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        for stage in self.books.get_mut().stages.drain(..) {
            if let Some(gauge) = stage.upgrade() {
                gauge.end();
            }
        }
    }
}

impl<T> Clone for Audited<T> {
    fn clone(&self) -> Self {
        let Self { shared, trail, author } = self;
        Self { shared: shared.clone(), trail: trail.clone(), author: author.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Audited<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audited")
            .field("now", &*self.shared.now.load())
            .field("author", &self.author)
            .finish_non_exhaustive()
    }
}
