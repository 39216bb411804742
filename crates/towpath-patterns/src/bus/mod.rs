//! A bus: topics between processes. Who publishes need not know who listens, and who is slow loses by its own rule.
//!
//! ```text
//!   publisher "rides.42.paid" ──┐                    ┌─▶ queue ─▶ subscriber "rides.*.paid"   (DropOldest)
//!                               ├─▶ trie of patterns ┼─▶ queue ─▶ subscriber "rides.>"        (Block)
//!   publisher "rides.43.paid" ──┘                    └─▶ queue ─▶ subscriber ">"              (DropNewest)
//! ```
//!
//! ```
//! use towpath_patterns::bus::{Bus, Heard, WhenFull};
//!
//! # towpath::block_on(async {
//! /// Rides that the till may be behind: what it needs to print one receipt.
//! const RECEIPTS: usize = 2;
//!
//! let bus = Bus::new();
//! let mut till = bus.subscribe("rides.*.paid").capacity(RECEIPTS).open()?;
//! for ride in 1..=3 {
//!     bus.publish(&format!("rides.{ride}.paid"), ride * 10)?; // never waits
//! }
//! drop(bus); // the end, after what waits
//!
//! let mut heard = Vec::new();
//! while let Some(news) = till.recv().await {
//!     heard.push(match news {
//!         Heard::Message(message) => format!("{} {}", message.topic, message.value),
//!         Heard::Lagged(lost) => format!("{lost} lost"),
//!     });
//! }
//! assert_eq!(heard, ["1 lost", "rides.2.paid 20", "rides.3.paid 30"]);
//! # Ok::<(), towpath_patterns::bus::TopicError>(()) }).unwrap();
//! ```
//!
//! # Topics
//! A topic is words between dots. Subscribers give a pattern, where `*` is exactly one word and `>`, at the end, one or more:
//! `rides.*.paid`, `rides.>`, `>`. It is the language of NATS.
//!
//! # What is lost, and who hears of it
//! [`Publisher::publish`] never waits. Each subscriber has a queue of its own and says with [`WhenFull`] what becomes of a message
//! that finds it full. What is lost is counted ([`Subscriber::lost`], [`Published::lost`], [`Bus::listeners`]), and the subscriber
//! is told among its messages, at the place where they are missing: [`Heard::Lagged`]. Subscribers of [`WhenFull::Block`]
//! lose nothing to a publisher that waits for them, with [`Publisher::publish_all`]; to one that does not wait, they lose
//! as with [`WhenFull::DropNewest`].
//!
//! # What is promised
//! - A subscriber hears the messages of one publisher in the order they were published, across topics too if the publisher
//!   awaits or returns from one before it begins the next. Of two publishers there is no order, and two
//!   subscribers may hear them differently; but of a topic whose publishers [keep the last](Publisher::keeping_last) all hear the
//!   same order.
//! - Messages heard, numbers told by `Lagged`, and messages that still wait add up to the messages published to the subscriber.
//! - A subscriber [with the last values](Subscribing::with_last) hears, for each topic, the last that was kept before it
//!   subscribed and then every later one: none is missing between them, none comes twice.
//! - A message is one allocation that all its subscribers share.
//!
//! Not promised: that a message is heard at all by who subscribes while it is published.
//!
//! # The end
//! There is no `close`. When every [`Bus`] and [`Publisher`] is gone, subscribers hear what waits and then `None`. A
//! subscriber that is dropped is forgotten, and whoever waits for room in its queue goes on. Whoever keeps a `Bus` keeps the
//! subscriptions open, its own too: subscribe first and drop it.
//!
//! # Cost
//! Publishing reads who listens without a lock, and takes a short lock for each queue. Subscribing and leaving copy the
//! nodes of the trie on the pattern's path, so their cost grows with the words beside it: 10,000 subscribers to
//! `device.<n>` cost each newcomer 10,000 counted pointers.

mod publish;
mod queue;
mod subscriber;
mod topic;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use towpath::process::Name;

pub use publish::{Published, Publisher};
use queue::Queue;
pub use subscriber::{Hearing, Subscriber, Subscribing};
pub use topic::TopicError;
use topic::{Node, matches};

/// What becomes of a message for a subscriber whose queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum WhenFull {
    /// [`Publisher::publish_all`] waits for room. To [`Publisher::publish`], which does not wait, it is `DropNewest`.
    Block,
    /// The message is lost: what happened first counts.
    DropNewest,
    /// The oldest message in the queue is lost: what happened last counts.
    #[default]
    DropOldest,
}

/// What was published: shared by all who hear it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<T> {
    /// The topic, in full.
    pub topic: Arc<str>,
    /// What was published under it.
    pub value: T,
}

/// What a subscriber hears.
#[derive(PartialEq, Eq, Debug)]
pub enum Heard<T> {
    /// A message, in its order.
    Message(Arc<Message<T>>),
    /// Here so many messages are missing, since the queue was full.
    Lagged(u64),
}

// By hand: the message is shared, so `T` need not be `Clone`.
impl<T> Clone for Heard<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Message(message) => Self::Message(message.clone()),
            Self::Lagged(lost) => Self::Lagged(*lost),
        }
    }
}

impl<T> Heard<T> {
    /// The message, if it is one.
    pub fn message(&self) -> Option<&Message<T>> {
        match self {
            Self::Message(message) => Some(message),
            Self::Lagged(_) => None,
        }
    }
}

/// A subscriber as its bus sees it; from [`Bus::listeners`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// Its name, if it was given one.
    pub name: Option<Name>,
    /// What it subscribed to.
    pub pattern: Arc<str>,
    /// What becomes of messages that find it full.
    pub when_full: WhenFull,
    /// Messages that wait for it now.
    pub waiting: usize,
    /// Messages that may wait for it.
    pub capacity: usize,
    /// Messages lost since it subscribed.
    pub lost: u64,
}

/// Topics between processes; the [module](self) says what is promised. Clones are the same bus.
pub struct Bus<T> {
    shared: Arc<Shared<T>>,
}

/// What the handles of a bus share. Subscribers do not own it: it ends with the last handle.
struct Shared<T> {
    /// Who listens where; replaced under the lock of `kept`.
    root: ArcSwap<Node<Seat<T>>>,
    kept: Mutex<Kept<T>>,
}

/// The last messages of topics that keep them.
struct Kept<T> {
    last: BTreeMap<Arc<str>, Arc<Message<T>>>,
    /// Subscriptions so far.
    subscriptions: u64,
}

/// A subscriber, as the trie knows it. Its bell is dropped with the bus, which is how the subscriber hears of the end.
struct Seat<T> {
    number: u64,
    name: Option<Name>,
    pattern: Arc<str>,
    queue: Arc<Queue<T>>,
    bell: towpath::Sender<()>,
}

impl<T> Shared<T> {
    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        // Nothing under the lock panics.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Bus<T> {
    /// A bus without topics and subscribers; both come by being named.
    pub fn new() -> Self {
        let kept = Kept { last: BTreeMap::new(), subscriptions: 0 };
        let root = ArcSwap::from_pointee(Node::default());
        Self { shared: Arc::new(Shared { root, kept: Mutex::new(kept) }) }
    }

    /// Publishes once under a topic. Whoever does so again and again makes a [`publisher`](Self::publisher), which remembers
    /// who listens.
    ///
    /// # Errors
    /// [`TopicError`] when `topic` is none.
    pub fn publish(&self, topic: &str, value: T) -> Result<Published, TopicError> {
        Ok(self.publisher(topic)?.publish(value))
    }

    /// The way to publish under a topic.
    ///
    /// # Errors
    /// [`TopicError`] when `topic` is none.
    pub fn publisher(&self, topic: &str) -> Result<Publisher<T>, TopicError> {
        Publisher::new(self.shared.clone(), topic)
    }

    /// Begins a subscription to all topics that match `pattern`; [`Subscribing::open`] finishes it.
    pub fn subscribe(&self, pattern: &str) -> Subscribing<T> {
        Subscribing::new(self.shared.clone(), pattern)
    }

    /// Keeps the last message of a topic no longer; who subscribes from now on does not hear it. Gives it back.
    pub fn forget(&self, topic: &str) -> Option<Arc<Message<T>>> {
        self.shared.kept().last.remove(topic)
    }

    /// The message a topic has kept last.
    pub fn last(&self, topic: &str) -> Option<Arc<Message<T>>> {
        self.shared.kept().last.get(topic).cloned()
    }

    /// Who listens now, in the order in which they subscribed.
    pub fn listeners(&self) -> Vec<Listener> {
        let root = self.shared.root.load_full();
        let mut seats = Vec::new();
        root.all(&mut |seat: &Arc<Seat<T>>| seats.push(seat.clone()));
        seats.sort_by_key(|seat| seat.number);
        let listener = |seat: Arc<Seat<T>>| Listener {
            name: seat.name.clone(),
            pattern: seat.pattern.clone(),
            when_full: seat.queue.when_full(),
            waiting: seat.queue.len(),
            capacity: seat.queue.capacity(),
            lost: seat.queue.lost(),
        };
        seats.into_iter().map(listener).collect()
    }
}

impl<T: Send + Sync + 'static> Default for Bus<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Bus<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Bus<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("listeners", &self.listeners()).finish_non_exhaustive()
    }
}
