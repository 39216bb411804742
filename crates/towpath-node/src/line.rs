//! What a node keeps of a channel of its file: who counts, who listens in, what was put in from outside.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use towpath::{Receiver, Sender, TrySendError, bounded};

use crate::{
    file::{Full, Trace},
    ports::Message,
    seat::Seat,
};

/// Messages that were put in from outside and not yet received: people's, so few.
const INJECTED_MAX: usize = 1024;

/// Messages that a tap remembers, for whoever asks what came instead.
const SEEN: usize = 5;

/// A channel, as all who have to do with it share it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) full: Full,
    pub(crate) trace: Trace,
    /// Messages that found no room, of all who send there; only those of a channel that drops are lost.
    pub(crate) dropped: AtomicU64,
    pub(crate) received: AtomicU64,
    /// One for each sending end, so that senders do not meet at a counter.
    sent: Mutex<Vec<Arc<AtomicU64>>>,
    tapped: AtomicBool,
    taps: Mutex<Vec<Arc<TapEnd>>>,
    looks: Mutex<Vec<Look>>,
    has_injected: AtomicBool,
    injected: Mutex<Injected>,
    /// Messages that were put in from outside, or counted before this had its place.
    put: AtomicU64,
    /// Who receives.
    reader: Mutex<Option<Arc<Seat>>>,
}

/// What was put in from outside.
#[derive(Debug, Default)]
struct Injected {
    queue: VecDeque<Message>,
    /// Nobody receives any more.
    ended: bool,
}

/// Why nothing can be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotInjected {
    /// Too much was, and was not received.
    Full,
    /// Nobody receives any more.
    Ended,
}

#[derive(Debug)]
struct TapEnd {
    tx: Sender<Message>,
    missed: AtomicU64,
}

/// Sees messages where they are sent.
#[derive(Clone)]
struct Look(Arc<dyn Fn(&Message) + Send + Sync>);

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

impl Line {
    pub(crate) fn new(name: &str, full: Full, trace: Trace) -> Self {
        Self {
            name: name.to_owned(),
            full,
            trace,
            dropped: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: Mutex::default(),
            tapped: AtomicBool::new(false),
            taps: Mutex::default(),
            looks: Mutex::default(),
            has_injected: AtomicBool::new(false),
            injected: Mutex::default(),
            put: AtomicU64::new(0),
            reader: Mutex::default(),
        }
    }

    /// The same channel, with another answer to what becomes of a message that finds no room, or traced in another way. Its counts go on, and what was put in is
    /// there; who listens in has to do so anew.
    pub(crate) fn successor(&self, full: Full, trace: Trace) -> Self {
        let next = Self::new(&self.name, full, trace);
        next.put.store(self.sent(), Ordering::Relaxed);
        next.received.store(self.received.load(Ordering::Relaxed), Ordering::Relaxed);
        next.dropped.store(self.dropped.load(Ordering::Relaxed), Ordering::Relaxed);
        let injected = std::mem::take(&mut lock(&self.injected).queue);
        next.has_injected.store(!injected.is_empty(), Ordering::Relaxed);
        lock(&next.injected).queue = injected;
        next
    }

    /// A counter for one more sending end.
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        let counter = Arc::<AtomicU64>::default();
        lock(&self.sent).push(counter.clone());
        counter
    }

    /// Messages that were sent through it, and put in from outside.
    pub(crate) fn sent(&self) -> u64 {
        let sent: u64 =
            lock(&self.sent).iter().map(|counter| counter.load(Ordering::Relaxed)).sum();
        sent + self.put.load(Ordering::Relaxed)
    }

    pub(crate) fn read_by(&self, seat: &Arc<Seat>) {
        *lock(&self.reader) = Some(seat.clone());
    }

    /// Lets who listens in see a message.
    #[inline]
    pub(crate) fn pass(&self, message: &Message) {
        // Relaxed: a tap begins with some message near the one that was under way.
        if self.tapped.load(Ordering::Relaxed) {
            self.tell(message);
        }
    }

    #[cold]
    fn tell(&self, message: &Message) {
        let looks = lock(&self.looks).clone();
        looks.iter().for_each(|look| look.0(message));
        // No operation on channels under the lock.
        let taps = lock(&self.taps).clone();
        let mut gone = Vec::new();
        for tap in taps {
            match tap.tx.try_send(message.clone()) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => drop(tap.missed.fetch_add(1, Ordering::Relaxed)),
                Err(TrySendError::Closed(_)) => gone.push(tap),
            }
        }
        if !gone.is_empty() {
            let mut taps = lock(&self.taps);
            taps.retain(|tap| !gone.iter().any(|gone| Arc::ptr_eq(gone, tap)));
            let is_watched = !taps.is_empty() || !lock(&self.looks).is_empty();
            self.tapped.store(is_watched, Ordering::Relaxed);
        }
    }

    /// Has each message seen from now on, by whoever sends it and before it is received; so it is to be quick, and waits for nobody.
    pub(crate) fn look(&self, look: impl Fn(&Message) + Send + Sync + 'static) {
        lock(&self.looks).push(Look(Arc::new(look)));
        self.tapped.store(true, Ordering::Relaxed);
    }

    /// Listens in from now on, with room for so many messages; what does not fit is missed and counted.
    pub(crate) fn tap(&self, room: usize) -> Tap {
        let (tx, messages) = bounded(room);
        let end = Arc::new(TapEnd { tx, missed: AtomicU64::new(0) });
        let mut taps = lock(&self.taps);
        taps.push(end.clone());
        self.tapped.store(true, Ordering::Relaxed);
        Tap { messages, end, seen: VecDeque::new() }
    }

    /// Puts a message in, past those that wait.
    pub(crate) fn inject(&self, message: Message) -> Result<(), NotInjected> {
        let mut injected = lock(&self.injected);
        if injected.ended {
            return Err(NotInjected::Ended);
        }
        if injected.queue.len() == INJECTED_MAX {
            return Err(NotInjected::Full);
        }
        injected.queue.push_back(message.clone());
        self.has_injected.store(true, Ordering::Release);
        drop(injected);
        self.pass(&message);
        self.put.fetch_add(1, Ordering::Relaxed);
        let reader = lock(&self.reader).clone();
        if let Some(reader) = reader {
            reader.ring();
        }
        Ok(())
    }

    /// Gives back a message that was received and not taken: it is the next.
    pub(crate) fn put_back(&self, message: Message) {
        let mut injected = lock(&self.injected);
        injected.queue.push_front(message);
        self.has_injected.store(true, Ordering::Release);
    }

    /// Messages that were put in, or given back, and not yet received.
    pub(crate) fn put_in(&self) -> usize {
        lock(&self.injected).queue.len()
    }

    #[inline]
    pub(crate) fn injected(&self) -> Option<Message> {
        if !self.has_injected.load(Ordering::Acquire) {
            return None;
        }
        let mut injected = lock(&self.injected);
        let message = injected.queue.pop_front();
        self.has_injected.store(!injected.queue.is_empty(), Ordering::Release);
        message
    }

    /// Nothing will be received any more: no, if something was put in meanwhile.
    pub(crate) fn end(&self) -> bool {
        let mut injected = lock(&self.injected);
        injected.ended = injected.queue.is_empty();
        injected.ended
    }

    /// Whoever received has gone, and takes nothing any more.
    pub(crate) fn abandon(&self) {
        let mut injected = lock(&self.injected);
        injected.ended = true;
        let left = std::mem::take(&mut injected.queue);
        drop(injected);
        // What a message does when it is dropped is done outside of the lock.
        drop(left);
    }
}

/// Copies of the messages of a channel, from when it was made.
#[derive(Debug)]
pub struct Tap {
    messages: Receiver<Message>,
    end: Arc<TapEnd>,
    /// The latest that were fetched.
    seen: VecDeque<Message>,
}

impl Tap {
    /// The next message; it waits for one for ever.
    ///
    /// # Cancel safety
    /// Dropped before completion, no message is lost.
    pub async fn recv(&mut self) -> Option<Message> {
        let message = self.messages.recv().await?;
        if self.seen.len() == SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(message.clone());
        Some(message)
    }

    /// The latest of those that went by, fetched or not.
    pub(crate) fn passed(&mut self) -> Vec<Message> {
        let more = std::iter::from_fn(|| self.messages.try_recv().ok());
        let mut seen: Vec<_> = self.seen.drain(..).chain(more).collect();
        seen.drain(..seen.len().saturating_sub(SEEN));
        seen
    }

    /// Messages that went by while nobody fetched those before them.
    pub fn missed(&self) -> u64 {
        self.end.missed.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics and leaves them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
