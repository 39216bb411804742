//! A lasting select over many receivers: registration stays across calls.

use std::{
    cell::Cell,
    collections::VecDeque,
    fmt,
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use super::run::{tell_park, tell_unpark};
use crate::{
    Receiver,
    probe::{self, Unpark},
    raw::watch::{Member, SetCore},
    rt::{Op, sim},
    sync::Arc,
};

/// Names a receiver in a [`SelectSet`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    index: u32,
    /// Which tenant of that place it is.
    generation: u32,
}

/// Many receivers, of which each call yields the next message: a message among thousands of channels costs the same
/// as one among two, since registration lasts across calls and only receivers with news are looked at.
///
/// Receivers with messages take turns, so none starves. A receiver whose channel has ended is reported once with
/// `None` and removed.
///
/// ```
/// use towpath::select::SelectSet;
/// # towpath::block_on(async {
/// let (tx, rx) = towpath::bounded(4);
/// let (tx2, rx2) = towpath::bounded(4);
/// let mut set = SelectSet::new();
/// let (a, b) = (set.recv(rx), set.recv(rx2));
/// tx.send(1).await.unwrap();
/// assert_eq!(set.next().await, (a, Some(1)));
/// drop(tx2);
/// assert_eq!(set.next().await, (b, None)); // ended, and gone from the set
/// # });
/// ```
pub struct SelectSet<T> {
    core: Arc<SetCore>,
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// Members to look at, in turn.
    ready: VecDeque<u32>,
    len: usize,
}

struct Place<T> {
    generation: u32,
    member: Option<Pin<Box<Member<T>>>>,
    /// It is in `ready`.
    listed: bool,
}

impl<T> Default for SelectSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> SelectSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self {
            core: Arc::new(SetCore::new()),
            places: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            len: 0,
        }
    }

    /// Adds a receiver.
    #[track_caller]
    pub fn recv(&mut self, receiver: Receiver<T>) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, member: None, listed: false });
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.member = Some(Member::new(receiver, self.core.clone(), index));
        self.len += 1;
        let key = Key { index, generation: place.generation };
        self.list(index);
        key
    }

    /// Takes a receiver out again. `None`: its channel has ended, or it was taken out before.
    pub fn remove(&mut self, key: Key) -> Option<Receiver<T>> {
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let member = place.member.take()?;
        self.vacate(key.index);
        member.into_receiver()
    }

    /// How many receivers it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no receivers.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next message of any receiver, or the news that one has ended and is removed.
    ///
    /// # Panics
    /// When the set is empty: it would wait for ever.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: no message is lost.
    #[expect(clippy::should_implement_trait, reason = "async; the word every stream uses")]
    #[track_caller]
    pub fn next(&mut self) -> Next<'_, T> {
        Next { set: self, told: false, at: Location::caller() }
    }

    /// As [`next`](Self::next), on a thread.
    ///
    /// # Panics
    /// When the set is empty: it would wait for ever.
    #[track_caller]
    pub fn next_blocking(&mut self) -> (Key, Option<T>) {
        let mut next = self.next();
        loop {
            // A note that comes from here on is either seen by the look or ends the wait.
            next.set.core.core.begin_thread();
            if let Some(news) = next.set.look() {
                next.unpark(Unpark::Done);
                return news;
            }
            next.park();
            next.set.core.core.wait_thread();
        }
    }

    /// As [`next`](Self::next), if there is one now.
    pub fn try_next(&mut self) -> Option<(Key, Option<T>)> {
        if self.is_empty() { None } else { self.look() }
    }

    fn list(&mut self, index: u32) {
        if let Some(place) = self.places.get_mut(index as usize)
            && !std::mem::replace(&mut place.listed, true)
        {
            self.ready.push_back(index);
        }
    }

    fn vacate(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        self.len -= 1;
    }

    /// Looks at the members that have news; those without any wait in their lines afterwards.
    fn look(&mut self) -> Option<(Key, Option<T>)> {
        sim::point(Op::Select, 0, None);
        assert!(!self.is_empty(), "`next` on an empty `SelectSet` would wait for ever");
        let core = self.core.clone();
        core.take_noted(|index| self.list(index));
        while let Some(index) = self.ready.pop_front() {
            let place = &mut self.places[index as usize];
            place.listed = false;
            let key = Key { index, generation: place.generation };
            let Some(member) = &mut place.member else { continue };
            match member.as_mut().try_recv() {
                Ok(Some(value)) => {
                    self.list(index);
                    return Some((key, Some(value)));
                }
                Ok(None) => {
                    place.member = None;
                    self.vacate(index);
                    return Some((key, None));
                }
                Err(()) => {
                    if !member.as_mut().watch() {
                        self.list(index);
                    }
                }
            }
        }
        None
    }
}

/// The next message of a set; made by [`SelectSet::next`].
#[must_use = "a receive does nothing until it is awaited"]
#[derive(Debug)]
pub struct Next<'a, T> {
    set: &'a mut SelectSet<T>,
    /// The probe knows that it waits.
    told: bool,
    at: &'static Location<'static>,
}

impl<T> Next<'_, T> {
    /// Tells the probe that it is about to wait.
    #[inline]
    fn park(&mut self) {
        self.pending();
        if !probe::is_on() {
            return;
        }
        let Self { set, told, at } = self;
        let members = || set.places.iter().filter_map(|place| place.member.as_ref());
        tell_park(&set.core.core, Cell::from_mut(told), at, &|each| {
            members().for_each(|member| each(member.arm()));
        });
    }

    fn pending(&self) {
        let members = || self.set.places.iter().filter_map(|place| place.member.as_ref());
        sim::pending_arms(self.at, |each| members().for_each(|member| each(member.arm())));
    }

    /// Tells the probe that it waits no more.
    #[inline]
    fn unpark(&mut self, how: Unpark) {
        if self.told {
            tell_unpark(&self.set.core.core, Cell::from_mut(&mut self.told), self.at, how);
        }
    }
}

impl<T> Drop for Next<'_, T> {
    fn drop(&mut self) {
        self.unpark(Unpark::TakenBack);
    }
}

impl<T> Future for Next<'_, T> {
    type Output = (Key, Option<T>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Some(next) = self.set.look() {
                self.unpark(Unpark::Done);
                return Poll::Ready(next);
            }
            // A note that came before the waker was in place is seen here, a later one wakes.
            if !self.set.core.core.arm(cx.waker()) && !self.set.core.has_noted() {
                self.park();
                return Poll::Pending;
            }
        }
    }
}

impl<T> fmt::Debug for SelectSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectSet").field("len", &self.len).finish_non_exhaustive()
    }
}
