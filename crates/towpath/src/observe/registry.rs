//! What can be seen: channels that have a name, and scopes. Both are held weakly.
//!
//! What always holds: a channel's entry is taken out when its last end goes, a scope's when it does. A channel keeps no
//! room for its name.
//!
//! Why the standard library's lock: this is not on the way of any message, and tables may be long.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    probe,
    process::Name,
    raw::{gate::Side, seen::Visible},
    waitfor::ResourceId,
};

/// A channel, as an observer keeps it.
pub(crate) type Shown = Arc<dyn Visible>;

/// A scope, as an observer visits it.
pub(crate) trait Visitable: Send + Sync {
    /// Shows each process that lives in it.
    fn visit(&self, each: &mut dyn FnMut(Living));
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

/// Whose an end is, for good: a network lends it to this process.
#[derive(Clone, Copy)]
pub(crate) struct Lent {
    pub(crate) side: Side,
    pub(crate) process: u64,
}

/// A channel that has a name.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: Name,
    pub(super) lent: Vec<Lent>,
    /// The probe knows of it.
    attached: bool,
}

/// By address, which nothing else has while the entry is there: a weak pointer keeps the allocation.
type Table<V, I> = BTreeMap<usize, (Weak<V>, I)>;

static CHANNELS: Mutex<Table<dyn Visible, Named>> = Mutex::new(Table::new());
static SCOPES: Mutex<Table<dyn Visitable, ()>> = Mutex::new(Table::new());

fn living<V: ?Sized, I>(table: &Table<V, I>) -> impl Iterator<Item = (Arc<V>, &I)> {
    table.values().filter_map(|(thing, info)| Some((thing.upgrade()?, info)))
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
        (Arc::downgrade(channel), Named { name: name.clone(), lent: Vec::new(), attached: false })
    };
    table(&CHANNELS).entry(key).or_insert_with(new).1.name = name.clone();
    if probe::is_on() && probe::attach(resource_id(channel), &name, channel.filling().capacity) {
        table(&CHANNELS).entry(key).or_insert_with(new).1.attached = true;
    }
}

/// The last end of a channel that may have a name has gone.
#[cfg(not(towpath_loom))]
#[cold]
pub(crate) fn forget_channel(id: ResourceId) {
    let entry = table(&CHANNELS).remove(&(id.0 as usize));
    if let Some((_, named)) = entry
        && named.attached
    {
        probe::detach(id, &named.name);
    }
}

/// Says for good whose an end of a named channel is.
pub(crate) fn lend(channel: &Shown, lent: Lent) {
    if let Some((_, named)) = table(&CHANNELS).get_mut(&address(channel)) {
        named.lent.push(lent);
    }
}

/// The name of a channel, if it has one.
pub(crate) fn name_of(channel: &Shown) -> Option<Name> {
    table(&CHANNELS).get(&address(channel)).map(|(_, named)| named.name.clone())
}

/// Lets a scope be seen until it leaves.
pub(crate) fn enter_scope(scope: &Arc<dyn Visitable>) {
    table(&SCOPES).insert(address(scope), (Arc::downgrade(scope), ()));
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

/// The scopes there are.
pub(super) fn scopes() -> Vec<Arc<dyn Visitable>> {
    living(&table(&SCOPES)).map(|(scope, ())| scope).collect()
}
