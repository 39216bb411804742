//! Several matchers beside each other, each for its share of the keys.
//!
//! What always holds: a key belongs to one of them, the same one for every stream and in every run. So the order that a stream keeps
//! for a key is that of sending.

use std::{
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
    time::Duration,
};

use towpath::{Scope, SendError, Sender, bounded};

use super::{Input, Key, Kind, Matcher, Output, Part};

/// Parts of one stream that wait for one shard.
///
/// Each takes below a microsecond, so these are gone within a tenth of a millisecond; a stream that is ahead by more should wait.
const FEED_CAPACITY: usize = 256;

/// A stream's way into a sharded matcher. The stream ends when it and its clones are gone.
pub struct Feed<K, T, B = ()> {
    shards: Arc<[Sender<Input<K, T, B>>]>,
}

impl<K: Key, T: Kind> Matcher<K, T> {
    /// Starts several of these in a scope, at least one, each for its share of the keys, and gives the ways in for so many streams. All
    /// tell to `out`: of one key in order, of several in any. Each has its own clock, and its own [bounds](Matcher::open_max).
    ///
    /// When a matcher ends with an error, so does the scope.
    #[must_use = "streams that nobody holds have ended"]
    pub fn start<B: Send + 'static>(
        self,
        scope: &Scope,
        name: &'static str,
        shards: usize,
        streams: usize,
        out: &Sender<Output<K, T, B>>,
    ) -> Vec<Feed<K, T, B>> {
        let mut ways: Vec<Vec<_>> = (0..streams).map(|_| Vec::new()).collect();
        for _ in 0..shards.max(1) {
            let mut receivers = Vec::new();
            for way in &mut ways {
                let (tx, rx) = bounded(FEED_CAPACITY);
                way.push(tx.named(name));
                receivers.push(rx);
            }
            let (matcher, out) = (self.clone(), out.clone());
            scope.spawn(name, move |ctx| matcher.run(ctx, receivers, out));
        }
        ways.into_iter().map(|shards| Feed { shards: shards.into() }).collect()
    }
}

impl<K: Key, T: Kind, B> Feed<K, T, B> {
    /// Sends a part to the matcher that its key belongs to.
    ///
    /// # Errors
    /// The part comes back when that matcher has ended; its scope knows why.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, nothing was sent, and the part goes with the future.
    pub async fn send(&self, part: Part<K, T, B>) -> Result<(), SendError<Part<K, T, B>>> {
        self.shard(&part.key).send(part.into()).await.map_err(back)
    }

    /// As [`send`](Self::send), on a thread.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_blocking(&self, part: Part<K, T, B>) -> Result<(), SendError<Part<K, T, B>>> {
        self.shard(&part.key).send_blocking(part.into()).map_err(back)
    }

    /// Tells all matchers that nothing older will come by this stream.
    ///
    /// # Errors
    /// The time comes back when one of the matchers has ended.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, some have been told and others not, which does no harm.
    pub async fn clock(&self, at: Duration) -> Result<(), SendError<Duration>> {
        for shard in self.shards.iter() {
            shard.send(Input::Clock(at)).await.map_err(|_| SendError(at))?;
        }
        Ok(())
    }

    fn shard(&self, key: &K) -> &Sender<Input<K, T, B>> {
        let many = self.shards.len();
        if many == 1 {
            return &self.shards[0];
        }
        // The same hash in every run.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        &self.shards[(hash % many as u64) as usize]
    }
}

/// What was sent was a part.
fn back<K, T, B>(SendError(input): SendError<Input<K, T, B>>) -> SendError<Part<K, T, B>> {
    match input {
        Input::Part(part) => SendError(part),
        Input::Clock(_) => unreachable!("a part was sent"),
    }
}

impl<K, T, B> Clone for Feed<K, T, B> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards) }
    }
}

impl<K, T, B> fmt::Debug for Feed<K, T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("shards", &self.shards.len()).finish()
    }
}
