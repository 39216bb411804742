//! What a program says about itself: what always holds, what comes true in the end, and that nothing is lost or doubled.
//!
//! Each of these is about the schedule in which it is said, and is forgotten with it.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug},
    sync::{Arc, Mutex, PoisonError},
};

use crate::engine::{self, When};

/// Says that `holds` is true after every step from here on. A schedule in which it is not fails with `name`.
///
/// `holds` looks at what the program shares (an `Arc` of an atomic, a lock of the standard library); what it does with
/// channels is no step of the program.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicUsize, Ordering::Relaxed}};
/// use towpath_sim::Sim;
///
/// let report = Sim::new().schedules(50).explore(|| async {
///     let drivers = Arc::new(AtomicUsize::new(1));
///     let free = drivers.clone();
///     towpath_sim::always("there is at most one driver", move || free.load(Relaxed) <= 1);
///     let more = drivers.clone();
///     let task = towpath::rt::spawn(async move {
///         more.fetch_add(1, Relaxed);
///         towpath_sim::yield_point();
///         more.fetch_sub(1, Relaxed);
///     });
///     task.await.unwrap();
/// });
/// assert!(report.finding().unwrap().summary.contains("at most one driver"));
/// ```
///
/// # Panics
/// Outside a simulation.
pub fn always(name: impl Into<String>, holds: impl Fn() -> bool + 'static) {
    add(name.into(), When::Always, Box::new(holds));
}

/// Says that `holds` becomes true at some step from here on; it may be false again later. A schedule that ends before
/// fails with `name`.
///
/// # Panics
/// Outside a simulation.
pub fn eventually(name: impl Into<String>, holds: impl Fn() -> bool + 'static) {
    add(name.into(), When::Eventually, Box::new(holds));
}

fn add(name: String, when: When, holds: Box<dyn Fn() -> bool>) {
    let added = engine::with(|world| world.laws.add(name, when, holds));
    assert!(added.is_some(), "laws are said inside a simulation: in `#[towpath::test]` or `Sim`");
}

/// Books of what is under way: whatever is entered is struck off once, or the schedule fails. Conservation of messages,
/// orders, money.
///
/// ```
/// use towpath_sim::{Ledger, Sim};
///
/// Sim::new().schedules(50).test("orders", || async {
///     let orders = Ledger::new("orders");
///     let (tx, mut rx) = towpath::rendezvous();
///     let theirs = orders.clone();
///     let kitchen = towpath::rt::spawn(async move {
///         while let Some(order) = rx.recv().await {
///             theirs.leave(order);
///         }
///     });
///     for order in 1..=3 {
///         orders.enter(order);
///         tx.send(order).await.unwrap();
///     }
///     drop(tx);
///     kitchen.await.unwrap();
/// });
/// ```
///
/// Cloning copies a pointer. Outside a simulation nobody looks at the books when the program ends, but entering or leaving
/// twice panics all the same.
pub struct Ledger<T> {
    name: Arc<str>,
    books: Arc<Mutex<BTreeMap<T, Entry>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    UnderWay,
    Left,
}

impl<T: Ord + Debug + 'static> Ledger<T> {
    /// Empty books, called `name`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let this = Self { name: name.into(), books: Arc::default() };
        let watched = this.clone();
        let nothing_lost = move || watched.under_way() == 0;
        if engine::with(|_| ()).is_some() {
            let law = format!("nothing of the {} is lost", this.name);
            add(law, When::AtTheEnd, Box::new(nothing_lost));
        }
        this
    }

    /// `what` is under way from here on.
    ///
    /// # Panics
    /// When it was entered before.
    pub fn enter(&self, what: T) {
        let words = format!("{what:?}");
        let before = self.with(|books| books.insert(what, Entry::UnderWay));
        assert!(before.is_none(), "{words} is entered into the {} a second time", self.name);
    }

    /// `what` has arrived.
    ///
    /// # Panics
    /// When it has left before (it was doubled), or was never entered (it was invented).
    pub fn leave(&self, what: T) {
        let words = format!("{what:?}");
        match self
            .with(|books| books.get_mut(&what).map(|entry| std::mem::replace(entry, Entry::Left)))
        {
            Some(Entry::UnderWay) => {}
            Some(Entry::Left) => panic!("{words} of the {} has arrived twice", self.name),
            None => panic!("{words} of the {} has arrived and was never entered", self.name),
        }
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.with(|books| books.values().filter(|entry| **entry == Entry::UnderWay).count())
    }

    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<T, Entry>) -> R) -> R {
        f(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Clone for Ledger<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), books: self.books.clone() }
    }
}

impl<T> Debug for Ledger<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("name", &self.name).finish_non_exhaustive()
    }
}
