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

use super::run::{LINGER, tell_park, tell_unpark};
use crate::{
    Receiver,
    probe::{self, Unpark},
    raw::{
        backoff::{Backoff, SelectLinger},
        watch::{Member, SetCore},
    },
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
/// Receivers with messages take turns, so none starves: one that was found empty is looked at again after 32 messages of
/// others at the latest, or as many as there are such receivers. A receiver whose channel has ended is reported once with
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
    /// Members that had nothing, and stand in no line; and the messages of others since.
    resting: VecDeque<u32>,
    served: usize,
    len: usize,
}

struct Place<T> {
    generation: u32,
    member: Option<Pin<Box<Member<T>>>>,
    /// It is in `ready` or `resting`.
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
            resting: VecDeque::new(),
            served: 0,
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
        list(&mut self.places, &mut self.ready, index);
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
        if let Some(news) = next.set.watch_out() {
            return news;
        }
        loop {
            // A note that comes from here on is either seen by the look or ends the wait.
            next.set.core.core.begin_thread();
            if let Some(news) = next.set.look(Then::Stand) {
                next.unpark(Unpark::Done);
                return news;
            }
            next.park();
            next.set.core.core.wait_thread();
        }
    }

    /// As [`next`](Self::next), if there is one now.
    pub fn try_next(&mut self) -> Option<(Key, Option<T>)> {
        if self.is_empty() { None } else { self.look_and_stand() }
    }

    fn vacate(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        self.len -= 1;
    }

    /// Looks for a while on this thread: standing in every line and leaving it again costs more, on both sides.
    fn watch_out(&mut self) -> Option<(Key, Option<T>)> {
        sim::point(Op::Select, 0, None);
        let mut backoff = Backoff::new();
        loop {
            let news = self.look(Then::Rest);
            if news.is_some() {
                if backoff.is_new() {
                    LINGER.with(SelectLinger::found);
                }
                return news;
            }
            // Those that stand in their lines tell.
            if self.ready.is_empty() && self.resting.is_empty() {
                return None;
            }
            let lingered = backoff.is_new() && LINGER.with(SelectLinger::gather);
            if !lingered && !backoff.spin_or_yield() {
                return None;
            }
        }
    }

    /// A look, and if there is nothing another one after which all stand in their lines.
    fn look_and_stand(&mut self) -> Option<(Key, Option<T>)> {
        sim::point(Op::Select, 0, None);
        let news = self.look(Then::Rest);
        if news.is_some() { news } else { self.look(Then::Stand) }
    }

    /// Looks at the members that may have news, each in its turn.
    fn look(&mut self, then: Then) -> Option<(Key, Option<T>)> {
        assert!(!self.is_empty(), "`next` on an empty `SelectSet` would wait for ever");
        let Self { core, places, ready, resting, served, .. } = self;
        core.take_noted(|index| list(places, ready, index));
        if then == Then::Stand || *served >= resting.len().max(RESTING_FOR) {
            *served = 0;
            ready.append(resting);
        }
        let mut left = ready.len() + resting.len();
        let then = if left > RESTING_MAX { Then::Stand } else { then };
        while left > 0 || then == Then::Stand {
            if ready.is_empty() {
                ready.append(resting);
            }
            let Some(index) = ready.pop_front() else { break };
            left = left.saturating_sub(1);
            let place = &mut places[index as usize];
            let key = Key { index, generation: place.generation };
            let looked = place.member.as_mut().map(|member| member.as_mut().try_recv());
            if let Some(Ok(Some(value))) = looked {
                *served += 1;
                ready.push_back(index);
                return Some((key, Some(value)));
            }
            place.listed = false;
            match (looked, &mut place.member) {
                (Some(Err(())), Some(member)) if then == Then::Rest && member.may_rest() => {
                    place.listed = true;
                    resting.push_back(index);
                }
                (Some(Err(())), Some(member)) => {
                    if !member.as_mut().watch() {
                        list(places, ready, index);
                    }
                }
                (None, _) | (_, None) => {}
                (Some(Ok(_)), _) => {
                    place.member = None;
                    self.vacate(index);
                    return Some((key, None));
                }
            }
        }
        None
    }
}

/// Lists member `index` as one to look at, unless it is.
fn list<T>(places: &mut [Place<T>], ready: &mut VecDeque<u32>, index: u32) {
    if let Some(place) = places.get_mut(index as usize)
        && !std::mem::replace(&mut place.listed, true)
    {
        ready.push_back(index);
    }
}

/// What becomes of a member that has nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It rests, and is looked at again: at the latest when the others have nothing either.
    Rest,
    /// It stands in its line from here.
    Stand,
}

/// A member that had nothing rests while so many messages of others are served, or as many as there are resting: looking
/// at an empty queue while its sender writes there costs both of them more than a message.
const RESTING_FOR: usize = 32;

/// With more members than this to look at, those without news stand in their lines at once.
const RESTING_MAX: usize = 128;

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
        if !probe::wants_wait() {
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
            if let Some(next) = self.set.look_and_stand() {
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
