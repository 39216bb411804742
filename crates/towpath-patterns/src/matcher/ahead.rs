//! Event time: streams that are merged by what their parts say of their time.
//!
//! What always holds:
//! - An item goes on when every stream has come further than its time, or has ended; so what goes on is in the order of time, then of
//!   the streams, then of sending, whichever stream was faster.
//! - At most `most` items wait. One more, and the oldest goes on.
//! - Time never goes back: what is older than its stream has said goes on as of now.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Duration,
};

pub(super) struct Ahead<X> {
    /// How far each stream is; `None` when it has ended.
    streams: Vec<Option<Duration>>,
    waiting: BinaryHeap<Reverse<Waiting<X>>>,
    most: usize,
    put: u64,
    now: Duration,
    /// How many went on for want of room.
    pub(super) hurried: u64,
}

struct Waiting<X> {
    place: (Duration, usize, u64),
    item: X,
}

impl<X> Ahead<X> {
    pub(super) fn new(streams: usize, most: usize) -> Self {
        let streams = vec![Some(Duration::ZERO); streams];
        Self { streams, waiting: BinaryHeap::new(), most, put: 0, now: Duration::ZERO, hurried: 0 }
    }

    /// A stream has come so far.
    pub(super) fn clock(&mut self, stream: usize, at: Duration) {
        if let Some(so_far) = &mut self.streams[stream] {
            *so_far = at.max(*so_far);
        }
    }

    /// A stream brings something.
    pub(super) fn put(&mut self, stream: usize, at: Duration, item: X) {
        self.clock(stream, at);
        self.put += 1;
        self.waiting.push(Reverse(Waiting { place: (at, stream, self.put), item }));
    }

    /// A stream brings nothing more.
    pub(super) fn end(&mut self, stream: usize) {
        self.streams[stream] = None;
    }

    /// What every stream has reached; `None` when all have ended.
    fn reached(&self) -> Option<Duration> {
        self.streams.iter().flatten().min().copied()
    }

    /// The next item, and the time it is then.
    pub(super) fn next(&mut self) -> Option<(Duration, X)> {
        let Reverse(first) = self.waiting.peek()?;
        let at = first.place.0;
        // A lone stream is in order already.
        let goes = self.reached().is_none_or(|it| at < it || (at == it && self.streams.len() == 1));
        if !goes {
            if self.waiting.len() <= self.most {
                return None;
            }
            self.hurried += 1;
        }
        let Reverse(first) = self.waiting.pop()?;
        self.now = self.now.max(at);
        Some((self.now, first.item))
    }

    /// The time it is, once there is no [`next`](Self::next).
    pub(super) fn now(&mut self) -> Duration {
        self.now = self.reached().unwrap_or(self.now).max(self.now);
        self.now
    }
}

impl<X> PartialEq for Waiting<X> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<X> Eq for Waiting<X> {}

impl<X> PartialOrd for Waiting<X> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<X> Ord for Waiting<X> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What goes on, with the time it is then.
    fn all(ahead: &mut Ahead<&'static str>) -> String {
        let mut told = Vec::new();
        while let Some((now, item)) = ahead.next() {
            told.push(format!("{item}@{}", now.as_secs()));
        }
        told.join(" ")
    }

    #[test]
    fn nothing_goes_on_before_every_stream_has_come_further() {
        let mut ahead = Ahead::new(2, 10);
        ahead.put(1, s(3), "b3");
        ahead.put(1, s(5), "b5");
        assert_eq!(all(&mut ahead), "");
        ahead.put(0, s(3), "a3");
        assert_eq!(all(&mut ahead), "", "another of 3 may come");
        ahead.put(0, s(4), "a4");
        assert_eq!(all(&mut ahead), "a3@3 b3@3");
        assert_eq!(ahead.now(), s(4));
        ahead.clock(0, s(9));
        assert_eq!(all(&mut ahead), "a4@4");
        ahead.end(1);
        assert_eq!(all(&mut ahead), "b5@5");
        ahead.end(0);
        assert_eq!((all(&mut ahead).as_str(), ahead.now()), ("", s(5)));
    }

    #[test]
    fn a_lone_stream_waits_for_nobody_and_what_is_old_is_as_of_now() {
        let mut ahead = Ahead::new(1, 10);
        ahead.put(0, s(5), "a");
        assert_eq!(all(&mut ahead), "a@5");
        ahead.put(0, s(2), "b");
        ahead.put(0, s(5), "c");
        assert_eq!(all(&mut ahead), "b@5 c@5");
    }

    #[test]
    fn who_waits_too_long_for_a_silent_stream_goes_on() {
        let mut ahead = Ahead::new(2, 2);
        for (at, item) in [(1, "a"), (2, "b"), (3, "c")] {
            ahead.put(0, s(at), item);
        }
        assert_eq!((all(&mut ahead).as_str(), ahead.hurried), ("a@1", 1));
        ahead.put(1, s(1), "late");
        ahead.end(1);
        assert_eq!((all(&mut ahead).as_str(), ahead.hurried), ("late@1 b@2", 1));
        ahead.end(0);
        assert_eq!(all(&mut ahead), "c@3");
    }
}
