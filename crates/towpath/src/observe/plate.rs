//! The plate on a lock that has a name: what an observer sees of it. A lock without a name has none.
//!
//! What always holds:
//! - Those who stand in the lock's line are entered and struck out under the line's lock: the plate says who waits there.
//! - A holder is struck out before its permits can be had by another, and entered after they were taken. What the entries
//!   do not account for is held by somebody unknown.
//! - The plate's lock is a leaf: nothing is waited for under it.
//!
//! Why a copy and not the line itself: a lock that nobody waits for may be moved, so an observer can keep no pointer to it.
//!
//! Who holds a lock is known from who took it. A guard can be given away after that, which nobody notices; but it is
//! noticed when somebody drops a guard that was taken elsewhere, and from then on nothing is said about the holders of this
//! lock. A guard that owns its lock is made to be given away, so its holder counts as unknown from the start.

use std::collections::BTreeMap;

use super::registry::name_lock;
use crate::{
    probe::Thing,
    process::{self, Name},
    raw::{
        lock::{Guard, Lock},
        seen::Parked,
    },
    waitfor::{Arm, ResourceId},
};

/// What is known of a lock that has a name.
pub(crate) struct Plate {
    thing: Thing,
    books: Lock<Books>,
}

/// Changes with the lock.
pub(crate) struct Books {
    name: Name,
    /// Whoever takes permits has to give them back.
    keeps: bool,
    /// Permits there were in the beginning; of a barrier, for how many it is.
    made: usize,
    free: usize,
    /// Permits that are out, by whoever took them; 0 for somebody unknown.
    holds: Vec<Hold>,
    /// Guards travel, or permits come from elsewhere: who holds what is not known.
    loose: bool,
    /// By arrival.
    standing: BTreeMap<u32, Standing>,
    /// How often something has changed.
    changes: u64,
}

/// One guard.
#[derive(Clone, Copy)]
struct Hold {
    process: u32,
    permits: usize,
}

/// Somebody who stands in the line.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    want: usize,
    pub(crate) parked: Parked,
}

/// What was seen of a lock at one moment.
pub(super) struct Seen {
    pub(super) name: Name,
    pub(super) thing: Thing,
    pub(super) made: usize,
    pub(super) free: usize,
    /// Of each guard the process that took it, 0 if that is not known.
    pub(super) holders: Vec<u32>,
    pub(super) loose: bool,
    /// In the order of the line.
    pub(super) line: Vec<Standing>,
    pub(super) changes: u64,
}

/// A plate on its lock: it comes down when the lock goes.
pub(crate) struct Mounted(std::sync::Arc<Plate>);

impl Mounted {
    /// A plate for a lock that nobody has or waits for.
    pub(crate) fn new(thing: Thing, made: usize, free: usize, name: Name) -> Self {
        let books = Books {
            name: name.clone(),
            keeps: matches!(thing, Thing::Mutex | Thing::RwLock | Thing::Semaphore),
            made,
            free,
            holds: Vec::new(),
            loose: false,
            standing: BTreeMap::new(),
            changes: 0,
        };
        let plate = std::sync::Arc::new(Plate { thing, books: Lock::new(books) });
        name_lock(&plate, &name);
        Self(plate)
    }

    /// Another name.
    pub(crate) fn rename(&self, name: Name) {
        let old = std::mem::replace(&mut self.0.books.lock().name, name.clone());
        drop(old);
        name_lock(&self.0, &name);
    }

    pub(crate) fn name(&self) -> Name {
        self.0.books.lock().name.clone()
    }

    pub(crate) fn id(&self) -> ResourceId {
        self.0.id()
    }

    pub(crate) fn books(&self) -> Guard<'_, Books> {
        self.0.books.lock()
    }
}

#[cfg(not(towpath_loom))]
impl Drop for Mounted {
    fn drop(&mut self) {
        super::registry::forget_lock(self.id(), &self.name());
    }
}

impl Plate {
    /// How observers name the lock.
    pub(super) fn id(&self) -> ResourceId {
        ResourceId(std::ptr::from_ref(self).addr() as u64)
    }

    pub(super) fn thing(&self) -> Thing {
        self.thing
    }

    /// What there is to see now.
    pub(super) fn look(&self) -> Seen {
        // Room is made outside the lock, as far as can be told.
        let books = self.books.lock();
        let (guards, standing) = (books.holds.len() + 1, books.standing.len() + 1);
        drop(books);
        let (mut holders, mut line) = (Vec::with_capacity(guards), Vec::with_capacity(standing));
        let books = self.books.lock();
        holders.extend(books.holds.iter().map(|hold| hold.process));
        line.extend(books.standing.values().copied());
        Seen {
            name: books.name.clone(),
            thing: self.thing,
            made: books.made,
            free: books.free,
            holders,
            loose: books.loose,
            line,
            changes: books.changes,
        }
    }
}

impl Standing {
    /// What it waits for.
    pub(super) fn arm(&self, lock: ResourceId, thing: Thing) -> Arm {
        thing.arm(lock, self.want)
    }

    /// It waits to read, of a lock which all permits make a writer.
    pub(super) fn reads(&self, made: usize) -> bool {
        self.want < made
    }
}

impl Books {
    /// `process`, as a waiter notes it, has taken so many permits.
    pub(crate) fn took(&mut self, process: u32, permits: usize) {
        self.changes += 1;
        self.free = self.free.saturating_sub(permits);
        if permits > 0 && self.keeps {
            self.holds.push(Hold { process, permits });
        }
    }

    /// Whoever runs here gives so many permits back.
    pub(crate) fn gave(&mut self, permits: usize) {
        self.changes += 1;
        self.free = self.free.saturating_add(permits);
        self.strike_out(permits);
    }

    /// Whoever runs here has taken so many permits, and now nobody knows who has them.
    pub(crate) fn disown(&mut self, permits: usize) {
        let me = process::number();
        let own = |hold: &&mut Hold| hold.process == me && hold.permits == permits;
        match self.holds.iter_mut().find(own) {
            Some(hold) => hold.process = 0,
            None => self.loose |= permits > 0,
        }
    }

    /// Whoever runs here will never give so many permits back.
    pub(crate) fn forgot(&mut self, permits: usize) {
        self.changes += 1;
        self.strike_out(permits);
        self.loose = true;
    }

    /// Permits have come from outside.
    pub(crate) fn added(&mut self, permits: usize) {
        self.changes += 1;
        self.free = self.free.saturating_add(permits);
        self.loose = true;
    }

    /// There is a notice, or none.
    pub(crate) fn set_free(&mut self, free: usize) {
        self.changes += 1;
        self.free = free;
    }

    /// Somebody has come to stand in line, or stands there for somebody else now.
    pub(crate) fn stands(&mut self, want: usize, parked: Parked) {
        self.changes += 1;
        self.standing.insert(parked.place.1, Standing { want, parked });
    }

    /// Whoever came at this time stands there no more.
    pub(crate) fn left(&mut self, ticket: u32) {
        self.changes += 1;
        self.standing.remove(&ticket);
    }

    /// Nobody stands in line any more.
    pub(crate) fn all_left(&mut self) {
        self.changes += 1;
        self.standing.clear();
    }

    /// Takes permits out of the books: from a guard taken by whoever runs here, or by somebody unknown. If there is none,
    /// guards are given away here.
    fn strike_out(&mut self, permits: usize) {
        if permits == 0 {
            return;
        }
        let me = process::number();
        // The guard itself, before one of which this is a part: a writer that goes on as a reader.
        let exact = |hold: &Hold, process| hold.process == process && hold.permits == permits;
        let part = |hold: &Hold, process| hold.process == process && hold.permits > permits;
        let at = (self.holds.iter().position(|hold| exact(hold, me)))
            .or_else(|| self.holds.iter().position(|hold| part(hold, me)))
            .or_else(|| self.holds.iter().position(|hold| exact(hold, 0)))
            .or_else(|| self.holds.iter().position(|hold| part(hold, 0)));
        let at = at.or_else(|| {
            self.loose = true;
            self.holds.iter().position(|hold| hold.permits >= permits)
        });
        if let Some(at) = at {
            self.holds[at].permits -= permits;
            if self.holds[at].permits == 0 {
                self.holds.swap_remove(at);
            }
        }
    }
}
