//! What waits for one subscriber: messages in order, and in their midst how many were lost there.
//!
//! What always holds:
//! - What the subscriber takes is, in order, everything that was offered: each message itself, or one more in the number of
//!   a [`Heard::Lagged`] at its place. So the messages taken, the numbers told and what still waits add up to what was offered.
//! - No more than `capacity` messages wait, besides those that were replayed when it subscribed.
//! - Nobody's code runs under the lock: what is thrown away is handed out and dropped by the caller.
//!
//! [`State`] decides and neither waits nor wakes. A short lock of the standard library is around it, and no operation that
//! could wait or be interrupted by the simulator is under that.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use towpath::sync::Semaphore;

use super::{Heard, Message, WhenFull};

/// What waits for one subscriber.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    when_full: WhenFull,
    /// Places that are free, for those who wait for one: [`WhenFull::Block`].
    room: Option<Arc<Semaphore>>,
}

pub(super) struct State<T> {
    waiting: VecDeque<Entry<T>>,
    /// Lost before the first that waits.
    lost_first: u64,
    /// Lost behind the last that waits.
    lost_last: u64,
    /// Since it subscribed.
    lost: u64,
    /// The subscriber has found nothing and is told of the next message.
    asleep: bool,
    /// The subscriber has left.
    gone: bool,
}

struct Entry<T> {
    /// Lost between the one before and this one.
    lost_before: u64,
    /// It has a place of the [`Queue::room`].
    has_place: bool,
    message: Arc<Message<T>>,
}

/// What became of a message that was offered.
pub(super) struct Offered<T> {
    /// Somebody sleeps and must be told.
    pub(super) wake: bool,
    /// One message was lost: this one or an older one.
    pub(super) lost: bool,
    /// To be dropped where no lock is held.
    pub(super) evicted: Option<Arc<Message<T>>>,
}

impl<T> Queue<T> {
    /// With what is replayed, which is on top of the capacity.
    pub(super) fn new(
        capacity: usize,
        when_full: WhenFull,
        replayed: impl Iterator<Item = Arc<Message<T>>>,
    ) -> Self {
        let entry = |message| Entry { lost_before: 0, has_place: false, message };
        let state = State {
            waiting: replayed.map(entry).collect(),
            lost_first: 0,
            lost_last: 0,
            lost: 0,
            asleep: false,
            gone: false,
        };
        let room = (when_full == WhenFull::Block).then(|| Arc::new(Semaphore::new(capacity)));
        Self { state: Mutex::new(state), capacity, when_full, room }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn when_full(&self) -> WhenFull {
        self.when_full
    }

    /// Where to wait for a place, if one waits for that here.
    pub(super) fn room(&self) -> Option<&Arc<Semaphore>> {
        self.room.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing under the lock panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in, or decides who is lost. With [`WhenFull::Block`] the caller says whether it has a place, which
    /// goes over to the message.
    pub(super) fn offer(&self, message: &Arc<Message<T>>, has_place: bool) -> Offered<T> {
        let mut state = self.state();
        if state.gone {
            return Offered { wake: false, lost: false, evicted: None };
        }
        let is_full = match self.when_full {
            WhenFull::Block => !has_place,
            WhenFull::DropNewest | WhenFull::DropOldest => state.waiting.len() >= self.capacity,
        };
        let evicted = match self.when_full {
            WhenFull::DropOldest if is_full => state.evict(),
            _ if is_full => {
                state.lost_last += 1;
                state.lost += 1;
                // There is something to tell, which matters when a capacity is kept by others' places.
                let wake = std::mem::take(&mut state.asleep);
                return Offered { wake, lost: true, evicted: None };
            }
            _ => None,
        };
        let lost_before = std::mem::take(&mut state.lost_last);
        state.waiting.push_back(Entry { lost_before, has_place, message: message.clone() });
        Offered { wake: std::mem::take(&mut state.asleep), lost: is_full, evicted }
    }

    /// Takes what is next, and gives its place to the next who waits for one. `None`: nothing, and from now on the
    /// subscriber is asleep.
    pub(super) fn take(&self) -> Option<Heard<T>> {
        let mut state = self.state();
        let taken = state.take();
        state.asleep = taken.is_none();
        drop(state);
        let (heard, had_place) = taken?;
        self.give_back(usize::from(had_place));
        Some(heard)
    }

    /// Takes up to `limit` of what is there into `batch`; returns how many.
    pub(super) fn take_many(&self, batch: &mut Vec<Heard<T>>, limit: usize) -> usize {
        let before = batch.len();
        let mut places = 0;
        let mut state = self.state();
        // The vector may grow under the lock, which costs time but runs nobody's code.
        while batch.len() - before < limit
            && let Some((heard, had_place)) = state.take()
        {
            batch.push(heard);
            places += usize::from(had_place);
        }
        drop(state);
        self.give_back(places);
        batch.len() - before
    }

    /// Whether there is something to take; if not, the subscriber is asleep from now on.
    pub(super) fn has_news(&self) -> bool {
        let mut state = self.state();
        let has_news = !state.waiting.is_empty() || state.lost_first + state.lost_last > 0;
        state.asleep = !has_news;
        has_news
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Messages lost since the beginning.
    pub(super) fn lost(&self) -> u64 {
        self.state().lost
    }

    /// The subscriber has left: whoever waits for room need not.
    pub(super) fn leave(&self) {
        let mut state = self.state();
        state.gone = true;
        let left = std::mem::take(&mut state.waiting);
        drop(state);
        drop(left);
        if let Some(room) = &self.room {
            room.close();
        }
    }

    fn give_back(&self, places: usize) {
        if let Some(room) = &self.room
            && places > 0
        {
            room.add_permits(places);
        }
    }
}

impl<T> State<T> {
    fn evict(&mut self) -> Option<Arc<Message<T>>> {
        let first = self.waiting.pop_front()?;
        self.lost_first += first.lost_before + 1;
        self.lost += 1;
        Some(first.message)
    }

    /// What is next, and whether it had a place.
    fn take(&mut self) -> Option<(Heard<T>, bool)> {
        let lost = match self.waiting.front_mut() {
            Some(first) => {
                std::mem::take(&mut self.lost_first) + std::mem::take(&mut first.lost_before)
            }
            None => std::mem::take(&mut self.lost_first) + std::mem::take(&mut self.lost_last),
        };
        if lost > 0 {
            return Some((Heard::Lagged(lost), false));
        }
        let first = self.waiting.pop_front()?;
        Some((Heard::Message(first.message), first.has_place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u32) -> Arc<Message<u32>> {
        Arc::new(Message { topic: "n".into(), value: number })
    }

    /// Offers 1, 2, … where a digit stands for so many, and takes at each `t`; what was taken, in words.
    fn check(capacity: usize, when_full: WhenFull, script: &str, expected: &str) {
        let queue = Queue::new(capacity, when_full, std::iter::empty());
        let mut next = 1;
        let mut heard = Vec::new();
        let tell = |heard: Option<Heard<u32>>| match heard {
            Some(Heard::Message(message)) => message.value.to_string(),
            Some(Heard::Lagged(lost)) => format!("-{lost}"),
            None => "nothing".into(),
        };
        for step in script.chars() {
            match step.to_digit(10) {
                Some(count) => {
                    for _ in 0..count {
                        let place = queue.room().and_then(|room| room.try_acquire(1).ok());
                        let has_place = place.is_some();
                        if let Some(place) = place {
                            place.forget();
                        }
                        queue.offer(&message(next), has_place);
                        next += 1;
                    }
                }
                None => heard.push(tell(queue.take())),
            }
        }
        assert_eq!(heard.join(" "), expected, "{when_full:?} {capacity}: {script}");
    }

    #[test]
    fn what_is_lost_is_told_at_its_place() {
        use WhenFull::{Block, DropNewest, DropOldest};
        check(2, DropNewest, "2ttt", "1 2 nothing");
        check(2, DropNewest, "5tttt", "1 2 -3 nothing");
        check(2, DropNewest, "5t1tttt", "1 2 -3 6 nothing");
        check(2, DropNewest, "3t3ttttt", "1 2 -1 4 -2 nothing");
        check(2, Block, "5t1tttt", "1 2 -3 6 nothing");
        check(2, DropOldest, "5tttt", "-3 4 5 nothing");
        check(2, DropOldest, "3t2tttt", "-1 -2 4 5 nothing");
        check(1, DropOldest, "3t1tt", "-2 -1 4");
        check(1, DropOldest, "3tt1tt", "-2 3 4 nothing");
    }

    #[test]
    fn a_replay_is_on_top_of_the_capacity() {
        let replayed = [10, 11, 12].map(message).into_iter();
        let queue = Queue::new(1, WhenFull::Block, replayed);
        assert_eq!(queue.len(), 3);
        let room = queue.room().unwrap();
        assert_eq!(room.available_permits(), 1);
        assert!(matches!(queue.take(), Some(Heard::Message(message)) if message.value == 10));
        assert_eq!(room.available_permits(), 1, "it had no place to give back");
    }

    #[test]
    fn whoever_sleeps_is_woken_once() {
        let queue = Queue::new(4, WhenFull::DropOldest, std::iter::empty());
        assert!(!queue.offer(&message(1), false).wake);
        assert!(queue.take().is_some() && queue.take().is_none());
        assert!(queue.offer(&message(2), false).wake);
        assert!(!queue.offer(&message(3), false).wake);
    }

    #[test]
    fn nothing_is_kept_for_who_has_left() {
        let queue = Queue::new(4, WhenFull::Block, std::iter::empty());
        let kept = message(1);
        queue.offer(&kept, true);
        queue.leave();
        queue.offer(&kept, true);
        assert_eq!(Arc::strong_count(&kept), 1);
        assert!(queue.room().unwrap().is_closed());
    }
}
