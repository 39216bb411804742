//! Publishing: who listens is looked up once and remembered until somebody comes or goes.
//!
//! What always holds:
//! - Places that [`Publisher::publish_all`] waits for are taken in the order in which their subscribers came, whatever the
//!   topic: so two publishers never hold a place each that the other waits for.
//! - A kept message becomes the last of its topic and reaches every queue under one lock, which subscribing takes too.
//!   Nothing under that lock waits, and nobody's code runs there.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use towpath::sync::OwnedSemaphorePermit;

use super::{Message, Seat, Shared, WhenFull, queue::Offered, topic, topic::Node};

/// What became of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use = "messages may have been lost; `let _ =` says that it does not matter"]
pub struct Published {
    /// Subscribers whose pattern matched.
    pub listeners: usize,
    /// Those of them that lost a message by it: this one or, with [`WhenFull::DropOldest`], an older one.
    pub lost: usize,
}

/// The way to publish under one topic; from [`Bus::publisher`](super::Bus::publisher). It keeps the bus open.
pub struct Publisher<T> {
    shared: Arc<Shared<T>>,
    topic: Arc<str>,
    keeps_last: bool,
    route: ArcSwap<Route<T>>,
}

/// Who listens to one topic, as of one root of the trie.
struct Route<T> {
    root: Arc<Node<Seat<T>>>,
    seats: Vec<Arc<Seat<T>>>,
}

/// Places taken for one message, by the numbers of their seats.
type Places = Vec<(u64, OwnedSemaphorePermit)>;

impl<T: Send + Sync + 'static> Publisher<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, topic: &str) -> Result<Self, topic::TopicError> {
        let topic: Arc<str> = topic::topic(topic)?.into();
        let route = ArcSwap::from_pointee(Route::find(shared.root.load_full(), &topic));
        Ok(Self { shared, topic, keeps_last: false, route })
    }

    /// From here on its messages are kept, each until the next one of the topic: whoever subscribes
    /// [with the last values](super::Subscribing::with_last) hears it first. Kept messages of all publishers of the topic
    /// reach all subscribers in the same order.
    ///
    /// One message a topic is kept until [`Bus::forget`](super::Bus::forget), so the memory is as large as the publisher has topics.
    ///
    /// ```
    /// use towpath_patterns::bus::Bus;
    ///
    /// # towpath::block_on(async {
    /// let bus = Bus::new();
    /// let gate = bus.publisher("gates.north")?.keeping_last();
    /// let _ = gate.publish("closed");
    /// let _ = gate.publish("open");
    /// let mut late = bus.subscribe("gates.>").with_last().open()?;
    /// assert_eq!(late.recv().await.unwrap().message().unwrap().value, "open");
    /// # Ok::<(), towpath_patterns::bus::TopicError>(()) }).unwrap();
    /// ```
    #[must_use = "the publisher is given back"]
    pub fn keeping_last(mut self) -> Self {
        self.keeps_last = true;
        self
    }

    /// What it publishes under.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Publishes without waiting. A subscriber that is full loses by its [`WhenFull`], and one that said
    /// [`WhenFull::Block`] loses this message.
    ///
    /// It can be called in tasks and on threads alike.
    pub fn publish(&self, value: T) -> Published {
        self.deliver(self.message(value), Places::new())
    }

    /// Publishes when every subscriber that said [`WhenFull::Block`] has room; the others lose by their rule, as with
    /// [`publish`](Self::publish). One that subscribes meanwhile is not waited for.
    ///
    /// # Cancel safety
    /// Dropped before completion, it did nothing: nobody hears the message, which goes with the future.
    pub async fn publish_all(&self, value: T) -> Published {
        let mut places = Places::new();
        let mut waits: Vec<_> =
            self.route().seats.iter().filter(|seat| seat.blocks()).cloned().collect();
        waits.sort_by_key(|seat| seat.number);
        for seat in waits {
            let Some(room) = seat.queue.room() else { continue };
            // An error: the subscriber has left.
            if let Ok(place) = room.clone().acquire_owned(1).await {
                places.push((seat.number, place));
            }
        }
        self.deliver(self.message(value), places)
    }

    /// As [`publish_all`](Self::publish_all), on a thread. Do not call it inside a task: it keeps the runtime's worker.
    pub fn publish_all_blocking(&self, value: T) -> Published {
        towpath::block_on(self.publish_all(value))
    }

    fn message(&self, value: T) -> Arc<Message<T>> {
        Arc::new(Message { topic: self.topic.clone(), value })
    }

    /// Who listens now.
    fn route(&self) -> Arc<Route<T>> {
        let root = self.shared.root.load();
        let route = self.route.load();
        if Arc::ptr_eq(&route.root, &root) {
            return Arc::clone(&route);
        }
        let route = Arc::new(Route::find(Arc::clone(&root), &self.topic));
        self.route.store(route.clone());
        route
    }

    fn deliver(&self, message: Arc<Message<T>>, mut places: Places) -> Published {
        if self.keeps_last {
            return self.deliver_kept(message, places);
        }
        let mut published = Published::default();
        for seat in &self.route().seats {
            let has_place = seat.blocks() && seat.take_place(&mut places);
            published.count(seat, seat.queue.offer(&message, has_place));
        }
        published
    }

    /// As `deliver`, with nobody subscribing between.
    fn deliver_kept(&self, message: Arc<Message<T>>, mut places: Places) -> Published {
        loop {
            let route = self.route();
            // Before the lock: taking a place is an operation.
            for seat in route.seats.iter().filter(|seat| seat.blocks()) {
                if !places.iter().any(|(number, _)| *number == seat.number)
                    && let Some(room) = seat.queue.room()
                    && let Ok(place) = room.clone().try_acquire_owned(1)
                {
                    places.push((seat.number, place));
                }
            }
            let mut offered = Vec::with_capacity(route.seats.len());
            let mut kept = self.shared.kept();
            if !Arc::ptr_eq(&self.shared.root.load(), &route.root) {
                // Somebody came or went. What has a place keeps it.
                continue;
            }
            let before = kept.last.insert(self.topic.clone(), message.clone());
            for seat in &route.seats {
                let place = places.iter().position(|(number, _)| *number == seat.number);
                let place = place.map(|index| places.swap_remove(index).1);
                offered.push((seat.queue.offer(&message, place.is_some()), place));
            }
            drop(kept);
            drop(before);
            let mut published = Published::default();
            for ((offered, place), seat) in offered.into_iter().zip(&route.seats) {
                if let Some(place) = place {
                    // It belongs to the message now.
                    place.forget();
                }
                published.count(seat, offered);
            }
            return published;
        }
    }
}

impl<T> Seat<T> {
    fn blocks(&self) -> bool {
        self.queue.when_full() == WhenFull::Block
    }

    /// A place for a message, from those that were waited for or else if there is one now.
    fn take_place(&self, places: &mut Places) -> bool {
        if let Some(index) = places.iter().position(|(number, _)| *number == self.number) {
            places.swap_remove(index).1.forget();
            return true;
        }
        let Some(place) = self.queue.room().and_then(|room| room.try_acquire(1).ok()) else {
            return false;
        };
        place.forget();
        true
    }
}

impl Published {
    /// Counts one subscriber, wakes it if it sleeps, and drops what it lost. No lock is held here.
    fn count<T>(&mut self, seat: &Seat<T>, offered: Offered<T>) {
        let Offered { wake, lost, evicted } = offered;
        drop(evicted);
        self.listeners += 1;
        self.lost += usize::from(lost);
        if wake {
            // Full: it has been rung already. Closed: the subscriber has left.
            let _ = seat.bell.try_send(());
        }
    }
}

impl<T> Route<T> {
    fn find(root: Arc<Node<Seat<T>>>, topic: &str) -> Self {
        let mut seats = Vec::new();
        root.matching(topic, &mut |seat: &Arc<Seat<T>>| seats.push(seat.clone()));
        Self { root, seats }
    }
}

impl<T> Clone for Publisher<T> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            topic: self.topic.clone(),
            keeps_last: self.keeps_last,
            route: ArcSwap::new(self.route.load_full()),
        }
    }
}

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("topic", &self.topic)
            .field("keeps_last", &self.keeps_last)
            .finish_non_exhaustive()
    }
}
