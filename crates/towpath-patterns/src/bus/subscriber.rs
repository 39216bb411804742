//! The listening end: a queue, and a bell that is rung when the queue had been found empty.
//!
//! What always holds:
//! - The queue says what there is; the bell says only "look again". One ring too many does no harm, and none is missing: whoever
//!   has found the queue empty is marked asleep under its lock, and the next message rings.
//! - The bell's other end is dropped with the bus, after the last message is in the queue; so an end that is heard is looked
//!   behind once more.
//!
//! The bell is a channel, so observers, the simulator and the report of a hang see a subscriber wait as they see any receiver,
//! under the name it was given.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use towpath::{
    Receiver, TryRecvError,
    process::Name,
    select::{ArmContext, SelectArm},
    waitfor::Arm,
};

use super::{Heard, Seat, Shared, TopicError, WhenFull, matches, queue::Queue, topic};

/// Messages that may wait for a subscriber that says nothing else.
///
/// At 10,000 messages a second it may sleep for 25 ms, longer than a busy scheduler keeps a task waiting; and a queue
/// of pointers that is full holds 6 KB.
const CAPACITY: usize = 256;

/// One ring says everything: look again.
const BELL_CAPACITY: usize = 1;

/// A subscription to be; from [`Bus::subscribe`](super::Bus::subscribe).
#[must_use = "nobody listens before `open`"]
pub struct Subscribing<T> {
    shared: Arc<Shared<T>>,
    pattern: String,
    name: Option<Name>,
    capacity: usize,
    when_full: WhenFull,
    with_last: bool,
}

impl<T: Send + Sync + 'static> Subscribing<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, pattern: &str) -> Self {
        let (pattern, when_full) = (pattern.to_owned(), WhenFull::default());
        Self { shared, pattern, name: None, capacity: CAPACITY, when_full, with_last: false }
    }

    /// How many messages may wait; 256 if nothing is said.
    ///
    /// # Panics
    /// When it is 0: a bus keeps messages until they are heard. For hand-overs there is [`towpath::rendezvous`].
    pub fn capacity(mut self, messages: usize) -> Self {
        assert!(messages > 0, "a subscriber of capacity 0 would hear nothing; give it at least 1");
        self.capacity = messages;
        self
    }

    /// What becomes of a message that finds the queue full; [`WhenFull::DropOldest`] if nothing is said.
    pub fn when_full(mut self, rule: WhenFull) -> Self {
        self.when_full = rule;
        self
    }

    /// First hears the message that each matching topic has kept last, in the order of the topics' names; see
    /// [`keeping_last`](super::Publisher::keeping_last). They are on top of the capacity.
    pub fn with_last(mut self) -> Self {
        self.with_last = true;
        self
    }

    /// Gives it a name, for observers and [`Bus::listeners`](super::Bus::listeners).
    pub fn named(mut self, name: impl Into<Name>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Subscribes: it hears every message whose publishing begins after this has returned.
    ///
    /// # Errors
    /// [`TopicError`] when the pattern is none.
    pub fn open(self) -> Result<Subscriber<T>, TopicError> {
        let Self { shared, pattern, name, capacity, when_full, with_last } = self;
        let pattern: Arc<str> = topic::pattern(&pattern)?.into();
        let (bell, mut rings) = towpath::bounded(BELL_CAPACITY);
        let bell = match &name {
            Some(name) => bell.named(name.clone()),
            None => bell,
        };
        let mut waits_for = Arm::Foreign;
        SelectArm::waits_for(&rings.recv(), &mut |arm| waits_for = arm);

        let mut kept = shared.kept();
        kept.subscriptions += 1;
        let last = kept.last.values().filter(|last| with_last && matches(&pattern, &last.topic));
        let queue = Arc::new(Queue::new(capacity, when_full, last.cloned()));
        let number = kept.subscriptions;
        let seat = Arc::new(Seat { number, name, pattern, queue: queue.clone(), bell });
        let before = shared.root.load_full();
        shared.root.store(Arc::new(before.with(&seat.pattern, seat.clone())));
        drop(kept);

        Ok(Subscriber {
            shared: Arc::downgrade(&shared),
            seat: Arc::downgrade(&seat),
            pattern: seat.pattern.clone(),
            queue,
            rings,
            waits_for,
            ended: false,
        })
    }
}

/// The listening end of a bus, with one owner, like a [`Receiver`]: what it hears, and how much it has missed.
///
/// When it is dropped it is forgotten, with what waits for it.
pub struct Subscriber<T> {
    shared: Weak<Shared<T>>,
    seat: Weak<Seat<T>>,
    pattern: Arc<str>,
    queue: Arc<Queue<T>>,
    rings: Receiver<()>,
    /// For observers.
    waits_for: Arm,
    /// Nothing will come but what is in the queue.
    ended: bool,
}

impl<T> Subscriber<T> {
    /// What is next, waiting for it. `None`: the bus is gone and everything has been heard; it stays so.
    ///
    /// It can be awaited, and is an arm for [`select!`](towpath::select!).
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: no message is lost by it, and no number.
    pub fn recv(&mut self) -> Hearing<'_, T> {
        Hearing { subscriber: self, stands: false }
    }

    /// As [`recv`](Self::recv), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    pub fn recv_blocking(&mut self) -> Option<Heard<T>> {
        if let Some(heard) = self.queue.take() {
            return Some(heard);
        }
        towpath::select_blocking! { heard = self.recv() => heard }
    }

    /// What is next, if it is there now.
    ///
    /// # Errors
    /// `Empty`, or `Closed` when the bus is gone and everything has been heard.
    pub fn try_recv(&mut self) -> Result<Heard<T>, TryRecvError> {
        if let Some(heard) = self.queue.take() {
            return Ok(heard);
        }
        if !self.has_ended() {
            return Err(TryRecvError::Empty);
        }
        // The last message may have come between the two looks.
        self.queue.take().ok_or(TryRecvError::Closed)
    }

    /// Waits until there is something and appends up to `limit` of what is there to `batch`. Returns how many; 0 means that
    /// the bus is gone and everything has been heard (or that `limit` is 0).
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing.
    pub async fn recv_many(&mut self, batch: &mut Vec<Heard<T>>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        let ready = self.queue.take_many(batch, limit);
        if ready > 0 {
            return ready;
        }
        match self.recv().await {
            Some(first) => {
                batch.push(first);
                1 + self.queue.take_many(batch, limit - 1)
            }
            None => 0,
        }
    }

    /// What it subscribed to.
    pub fn pattern(&self) -> &Arc<str> {
        &self.pattern
    }

    /// How many messages wait now.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no message waits now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages may wait, besides those that were replayed.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Messages lost since it subscribed, also those of which it has not been told yet.
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Whether nothing will come but what is in the queue. When it is true, what was published last is in there.
    fn has_ended(&mut self) -> bool {
        self.ended = self.ended || self.rings.is_closed();
        self.ended
    }
}

impl<T> Drop for Subscriber<T> {
    fn drop(&mut self) {
        if let (Some(shared), Some(seat)) = (self.shared.upgrade(), self.seat.upgrade()) {
            let kept = shared.kept();
            let before = shared.root.load_full();
            shared.root.store(Arc::new(before.without(&self.pattern, &seat)));
            drop(kept);
        }
        self.queue.leave();
    }
}

/// The wait for what is next; from [`Subscriber::recv`].
#[must_use = "a receive does nothing until it is awaited or selected on"]
pub struct Hearing<'a, T> {
    subscriber: &'a mut Subscriber<T>,
    /// It may stand in the bell's line.
    stands: bool,
}

impl<T> Hearing<'_, T> {
    /// Takes it out of the bell's line.
    fn leave(&mut self) {
        if std::mem::take(&mut self.stands) {
            // A ring that is swallowed here is not missed: the queue is looked at first next time.
            let _ = self.subscriber.rings.try_recv();
        }
    }

    /// Ready when there is something, or nothing will be any more.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // First whether it has ended: what comes before that is in the queue then.
            let ended = self.subscriber.has_ended();
            if self.subscriber.queue.has_news() || ended {
                return Poll::Ready(());
            }
            self.stands = true;
            match self.subscriber.rings.poll_recv(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => self.subscriber.ended = true,
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<T> Future for Hearing<'_, T> {
    type Output = Option<Heard<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Heard<T>>> {
        if let Some(heard) = self.subscriber.queue.take() {
            return Poll::Ready(Some(heard));
        }
        self.poll_news(cx).map(|()| self.subscriber.queue.take())
    }
}

impl<T> SelectArm for Hearing<'_, T> {
    type Output = Option<Heard<T>>;

    fn poll_arm(mut self: Pin<&mut Self>, cx: &mut ArmContext<'_>) -> Poll<()> {
        let ended = self.subscriber.has_ended();
        if !self.subscriber.queue.has_news() && !ended {
            if !cx.may_wait() {
                return Poll::Pending;
            }
            let waker = cx.waker();
            if self.poll_news(&mut Context::from_waker(waker)).is_pending() {
                return Poll::Pending;
            }
        }
        if cx.commit() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn complete(self: Pin<&mut Self>) -> Option<Heard<T>> {
        self.get_mut().subscriber.queue.take()
    }

    fn retract(mut self: Pin<&mut Self>) {
        self.leave();
    }

    // `may_be_ready` stays true: a stale ring must be answered by standing in line again.

    fn waits_for(&self, each: &mut dyn FnMut(Arm)) {
        each(self.subscriber.waits_for);
    }
}

impl<T> Drop for Hearing<'_, T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T> fmt::Debug for Subscribing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribing").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("pattern", &self.pattern)
            .field("waiting", &self.len())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Hearing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hearing").field(self.subscriber).finish()
    }
}
