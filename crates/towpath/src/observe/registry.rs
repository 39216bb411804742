//! What can be seen: channels and locks that have a name, and scopes. All are held weakly.
//!
//! What always holds: a channel's entry is taken out when its last end goes, a lock's and a scope's when they do. A channel keeps no
//! room for its name.
//! What was named first comes first: an order by address would be another in each run, also of one simulation.
//!
//! Why the standard library's lock: this is not on the way of any message, and tables may be long.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::plate::Plate;
use crate::{
    probe::{self, Thing},
    process::{self, Name},
    raw::{
        gate::Side,
        seen::{Filling, Visible},
    },
    rt::sim,
    waitfor::ResourceId,
};

/// A channel, as an observer keeps it.
pub(crate) type Shown = Arc<dyn Visible>;

/// A scope, as an observer visits it.
pub(crate) trait Visitable: Send + Sync {
    /// Shows each process that lives in it.
    fn visit(&self, each: &mut dyn FnMut(Living));

    /// Gives one of its processes another turn; no, if it is not there.
    fn nudge(&self, process: u64) -> bool;
}

/// A process of a scope, as an observer sees it.
pub(crate) struct Living {
    pub(crate) id: u64,
    pub(crate) name: Name,
    /// It has a turn just now.
    pub(crate) running: bool,
    pub(crate) wakers: Wakers,
}

/// Who can wake a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakers {
    /// A thread: only whoever it waits for.
    OneThread,
    /// A task: so many have its waker.
    Counted(usize),
    /// A task: nobody knows.
    Unknown,
}

/// Whose an end is, until it is taken back: a network lends it to this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Lent {
    pub(super) side: Side,
    pub(super) process: u64,
}

/// The ends that the runs of a process are lent, one after the other.
#[derive(Clone, Default)]
pub(crate) struct Loan(Vec<(Weak<dyn Visible>, Side)>);

impl Loan {
    /// One end more. The channel is not kept by it.
    pub(crate) fn add(&mut self, channel: &Shown, side: Side) {
        self.0.push((Arc::downgrade(channel), side));
    }

    /// Says that the process which runs now has them, and nobody else, until what is returned is dropped.
    pub(crate) fn lend(&self) -> Option<Lending> {
        let process = process::current()?.id();
        let mut channels = table(&CHANNELS);
        for (channel, side) in &self.0 {
            if let Some((_, named)) = channels.get_mut(&channel.as_ptr().addr()) {
                named.lent.push(Lent { side: *side, process });
            }
        }
        Some(Lending { loan: self.clone(), process })
    }
}

/// Ends in the hands of one run.
pub(crate) struct Lending {
    loan: Loan,
    process: u64,
}

impl Drop for Lending {
    fn drop(&mut self) {
        let mut channels = table(&CHANNELS);
        for (channel, side) in &self.loan.0 {
            if let Some((_, named)) = channels.get_mut(&channel.as_ptr().addr()) {
                let lent = Lent { side: *side, process: self.process };
                if let Some(at) = named.lent.iter().position(|it| *it == lent) {
                    named.lent.swap_remove(at);
                }
            }
        }
    }
}

/// What was seen, and which look was the first to see it.
#[derive(Clone, Copy)]
struct Unchanged<S> {
    state: S,
    since: u32,
}

/// What `now` is seen as in `look`; the answer is the look that saw it like this first, with none in between that did not.
fn unchanged<S: PartialEq>(seen_as: &mut Option<Unchanged<S>>, state: S, look: u32) -> u32 {
    match seen_as {
        Some(before) if before.state == state => before.since,
        _ => {
            *seen_as = Some(Unchanged { state, since: look });
            look
        }
    }
}

/// Where something was made: in a simulation, or in the world.
///
/// Other simulations are neither seen nor held on to, nor what an earlier one of this thread has left: who holds the last pointer to
/// something drops it, and in another simulation that would be an operation of nobody there.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Realm(Option<u64>);

impl Realm {
    fn here() -> Self {
        Self(sim::world_number())
    }
}

/// Where something was made, and before what else.
#[derive(Clone, Copy)]
struct Birth {
    realm: Realm,
    number: u64,
}

impl Birth {
    fn now() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only the number itself is looked at.
        Self { realm: Realm::here(), number: NUMBERS.fetch_add(1, Ordering::Relaxed) }
    }
}

/// What is kept of a thing that may be seen.
trait Kept {
    fn birth(&self) -> Birth;
}

impl Kept for Birth {
    fn birth(&self) -> Birth {
        *self
    }
}

impl Kept for Named {
    fn birth(&self) -> Birth {
        self.birth
    }
}

impl Kept for Hung {
    fn birth(&self) -> Birth {
        self.birth
    }
}

/// A channel that has a name.
#[derive(Clone)]
pub(super) struct Named {
    birth: Birth,
    pub(super) name: Name,
    pub(super) lent: Vec<Lent>,
    seen_as: Option<Unchanged<Filling>>,
    /// The probe knows of it.
    attached: bool,
}

/// What is kept of a lock that has a name.
struct Hung {
    birth: Birth,
    /// The probe knows of it.
    attached: bool,
    seen_as: Option<Unchanged<u64>>,
}

/// By address, which nothing else has while the entry is there: a weak pointer keeps the allocation.
type Table<V, I> = BTreeMap<usize, (Weak<V>, I)>;

static CHANNELS: Mutex<Table<dyn Visible, Named>> = Mutex::new(Table::new());
static LOCKS: Mutex<Table<Plate, Hung>> = Mutex::new(Table::new());
static SCOPES: Mutex<Table<dyn Visitable, Birth>> = Mutex::new(Table::new());

/// Those of this realm that there are, the oldest first.
fn living<V: ?Sized, I: Kept>(table: &Table<V, I>) -> impl Iterator<Item = (Arc<V>, &I)> {
    let here = Realm::here();
    let ours = table.values().filter(move |(_, info)| info.birth().realm == here);
    let mut ours: Vec<_> = ours.collect();
    ours.sort_unstable_by_key(|(_, info)| info.birth().number);
    ours.into_iter().filter_map(|(thing, info)| Some((thing.upgrade()?, info)))
}

fn address<V: ?Sized>(thing: &Arc<V>) -> usize {
    Arc::as_ptr(thing).addr()
}

/// How observers name a channel.
pub(super) fn resource_id(channel: &Arc<dyn Visible>) -> ResourceId {
    ResourceId(address(channel) as u64)
}

/// A panic under the lock leaves the table as it was or with one entry more.
fn table<V: ?Sized, I>(table: &Mutex<Table<V, I>>) -> MutexGuard<'_, Table<V, I>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a channel a name, or another one. Whoever calls this holds one of its ends.
pub(crate) fn name_channel(channel: &Shown, name: Name) {
    let key = address(channel);
    let new = || {
        (
            Arc::downgrade(channel),
            Named {
                birth: Birth::now(),
                name: name.clone(),
                lent: Vec::new(),
                seen_as: None,
                attached: false,
            },
        )
    };
    table(&CHANNELS).entry(key).or_insert_with(new).1.name = name.clone();
    if probe::is_on() && name_told(channel, &name) {
        table(&CHANNELS).entry(key).or_insert_with(new).1.attached = true;
    }
}

fn name_told(channel: &Shown, name: &Name) -> bool {
    probe::attach(resource_id(channel), name, Thing::Channel, channel.filling().capacity)
}

/// Lets a lock be seen until it goes; again when it gets another name. Whoever calls this holds the lock's only handle.
pub(crate) fn name_lock(plate: &Arc<Plate>, name: &Name) {
    let key = address(plate);
    let told = probe::is_on() && probe::attach(plate.id(), name, plate.thing(), None);
    let mut locks = table(&LOCKS);
    let new =
        || (Arc::downgrade(plate), Hung { birth: Birth::now(), attached: false, seen_as: None });
    locks.entry(key).or_insert_with(new).1.attached |= told;
}

/// A lock that has a name goes away.
#[cfg(not(towpath_loom))]
pub(super) fn forget_lock(id: ResourceId, name: &Name) {
    let entry = table(&LOCKS).remove(&(id.0 as usize));
    if let Some((_, hung)) = entry
        && hung.attached
    {
        probe::detach(id, name);
    }
}

/// The last end of a channel that may have a name has gone.
#[cfg(not(towpath_loom))]
#[cold]
pub(crate) fn forget_channel(id: ResourceId, (sent, received): (u64, u64)) {
    let entry = table(&CHANNELS).remove(&(id.0 as usize));
    if let Some((_, named)) = entry
        && named.attached
    {
        probe::finish(id, &named.name, sent, received);
        probe::detach(id, &named.name);
    }
}

/// The name of a channel, if it has one.
pub(crate) fn name_of(channel: &Shown) -> Option<Name> {
    table(&CHANNELS).get(&address(channel)).map(|(_, named)| named.name.clone())
}

/// Lets a scope be seen until it leaves.
pub(crate) fn enter_scope(scope: &Arc<dyn Visitable>) {
    table(&SCOPES).insert(address(scope), (Arc::downgrade(scope), Birth::now()));
}

/// The scope at `address` goes away.
pub(crate) fn leave_scope(address: usize) {
    let gone = table(&SCOPES).remove(&address);
    drop(gone);
}

/// The channels there are.
pub(super) fn channels() -> Vec<(Shown, Named)> {
    living(&table(&CHANNELS)).map(|(channel, named)| (channel, named.clone())).collect()
}

/// Since which look channels and locks are as they are now; `look` is this one. They are named as in a snapshot.
pub(super) fn since(
    look: u32,
    channels: impl Iterator<Item = (ResourceId, Filling)>,
    locks: impl Iterator<Item = (ResourceId, u64)>,
) -> BTreeMap<ResourceId, u32> {
    let mut since = BTreeMap::new();
    let mut table_of_channels = table(&CHANNELS);
    for (id, filling) in channels {
        if let Some((_, named)) = table_of_channels.get_mut(&(id.0 as usize)) {
            since.insert(id, unchanged(&mut named.seen_as, filling, look));
        }
    }
    drop(table_of_channels);
    let mut table_of_locks = table(&LOCKS);
    for (id, changes) in locks {
        if let Some((_, hung)) = table_of_locks.get_mut(&(id.0 as usize)) {
            since.insert(id, unchanged(&mut hung.seen_as, changes, look));
        }
    }
    since
}

/// The locks there are.
pub(super) fn locks() -> Vec<Arc<Plate>> {
    living(&table(&LOCKS)).map(|(lock, _)| lock).collect()
}

/// The scopes there are.
pub(crate) fn scopes() -> Vec<Arc<dyn Visitable>> {
    living(&table(&SCOPES)).map(|(scope, _)| scope).collect()
}
