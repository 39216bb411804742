//! A yard of barges that knows what each is doing, and complains.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use towpath::{Ctx, rt};
use towpath_patterns::{
    fault::Failure,
    pool::{Factory, Lease},
};
use towpath_sim::choose;

/// What all barges of a yard share.
#[derive(Default)]
pub(crate) struct Books {
    /// Barges that are there, from the first moment of their making.
    pub(crate) afloat: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) made: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    /// Makings that have not succeeded for some time: how many are made at once then.
    pub(crate) attempts: AtomicUsize,
    pub(crate) lent: Mutex<BTreeSet<usize>>,
    /// Those that were found to leak, or were marked.
    pub(crate) sunk: Mutex<BTreeSet<usize>>,
}

/// How a yard works.
#[derive(Clone, Copy, Default)]
pub(crate) struct Habits {
    /// Making takes up to three milliseconds.
    pub(crate) slow: bool,
    /// Makings fail or panic, now and then.
    pub(crate) fails: bool,
    /// Barges leak, now and then.
    pub(crate) leaks: bool,
}

pub(crate) struct Yard {
    pub(crate) books: Arc<Books>,
    pub(crate) habits: Habits,
    /// No more than this may be afloat.
    pub(crate) max: usize,
}

pub(crate) struct Barge {
    pub(crate) id: usize,
    books: Arc<Books>,
}

impl Barge {
    fn new(books: &Arc<Books>, max: usize) -> Self {
        let afloat = books.afloat.fetch_add(1, SeqCst) + 1;
        assert!(afloat <= max, "{afloat} afloat, {max} may be");
        books.most.fetch_max(afloat, SeqCst);
        Self { id: books.attempts.fetch_add(1, SeqCst), books: books.clone() }
    }
}

impl Drop for Barge {
    fn drop(&mut self) {
        assert!(!self.books.lent.lock().unwrap().contains(&self.id), "{} is out", self.id);
        self.books.afloat.fetch_sub(1, SeqCst);
    }
}

impl Factory for Yard {
    type Instance = Barge;
    type Error = Failure;

    async fn make(&self, _ctx: Ctx) -> Result<Barge, Failure> {
        let barge = Barge::new(&self.books, self.max);
        if self.habits.slow {
            rt::sleep(Duration::from_millis(choose(4))).await;
        }
        if self.habits.fails {
            match choose(6) {
                1 => return Err(Failure::transient("no wood")),
                2 => panic!("expected by this test"),
                _ => {}
            }
        }
        self.books.made.fetch_add(1, SeqCst);
        Ok(barge)
    }

    async fn is_healthy(&self, barge: &mut Barge) -> bool {
        let sunk = self.books.sunk.lock().unwrap().contains(&barge.id);
        assert!(!sunk, "{} was given up and is looked at again", barge.id);
        if !self.habits.leaks {
            return true;
        }
        if choose(3) == 1 {
            rt::sleep(Duration::from_millis(1)).await;
        }
        let healthy = choose(4) != 1;
        if !healthy {
            self.books.sunk.lock().unwrap().insert(barge.id);
        }
        healthy
    }

    async fn close(&self, barge: Barge) {
        if self.habits.slow {
            rt::sleep(Duration::from_millis(choose(3))).await;
        }
        self.books.closed.fetch_add(1, SeqCst);
        drop(barge);
    }
}

/// A barge that is out: notes that, and that it is back.
pub(crate) struct Trip(Option<Lease<Yard>>, Arc<Books>);

impl Trip {
    pub(crate) fn new(lease: Lease<Yard>, books: &Arc<Books>) -> Self {
        let id = lease.id;
        assert!(books.lent.lock().unwrap().insert(id), "{id} is lent to two");
        assert!(!books.sunk.lock().unwrap().contains(&id), "{id} leaks");
        Self(Some(lease), books.clone())
    }

    pub(crate) fn sink(&mut self) {
        let Some(lease) = &mut self.0 else { return };
        lease.mark_broken();
        self.1.sunk.lock().unwrap().insert(lease.id);
    }

    pub(crate) fn uses(&self) -> u64 {
        self.0.as_ref().map_or(0, Lease::uses)
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        if let Some(lease) = self.0.take() {
            self.1.lent.lock().unwrap().remove(&lease.id);
            drop(lease);
        }
    }
}
