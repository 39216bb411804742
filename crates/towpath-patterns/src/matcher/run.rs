//! The matcher's process: streams in, outputs out, and a clock for deadlines.
//!
//! Streams, timer and context are polled by hand: the streams take turns, and of one that has something some more is taken without looking
//! at the others. So what a wait costs is shared by a burst.

use std::{
    error, fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::{Duration, Instant},
};

use towpath::{Cause, Ctx, Receiver, Sender, TryRecvError, TrySendError, rt, select};

use super::{Counters, Input, Key, Kind, Matcher, Output, ahead::Ahead, state::State};

/// Inputs that are taken from one stream before the others, the clock and the context are looked at again.
///
/// Some tens of microseconds of work: what comes by another stream meanwhile waits no longer than that.
const BURST: usize = 32;

/// Bursts after which other tasks of the same thread have a turn, however much there is to do.
const TURN: usize = 64;

/// Why a matcher ended before its streams did. Sets that were open are gone; feed the streams again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// Its context has ended.
    Ended(Cause),
    /// Nobody receives its outputs any more.
    OutputsGone,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended(_) => {
                "stopped by its context; feed the streams again from where they come from"
            }
            Self::OutputsGone => {
                "nobody receives the outputs any more; keep their receiver as long as the streams"
            }
        })
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Ended(cause) => Some(cause),
            Self::OutputsGone => None,
        }
    }
}

/// Looks at what a matcher has done so far: of all its shards together. Cheap; cloning copies a pointer.
#[derive(Clone, Debug)]
pub struct Watch {
    shared: Arc<Shared>,
}

impl Watch {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The counters as they are about now; each is right by itself, and they need not be of the same moment.
    pub fn snapshot(&self) -> Counters {
        let mut counters = Counters::default();
        for (field, count) in fields(&mut counters).into_iter().zip(&self.shared.counts) {
            *field = count.load(Relaxed);
        }
        counters
    }
}

/// Counters that several processes add to.
#[derive(Debug, Default)]
pub(super) struct Shared {
    counts: [AtomicU64; FIELDS],
}

/// Fields of [`Counters`].
const FIELDS: usize = 10;

fn fields(counters: &mut Counters) -> [&mut u64; FIELDS] {
    let Counters {
        parts,
        matched,
        unmatched,
        void,
        evicted,
        late,
        duplicates,
        refused,
        hurried,
        open,
    } = counters;
    [parts, matched, unmatched, void, evicted, late, duplicates, refused, hurried, open]
}

impl Shared {
    /// What a process has counted since it said so last.
    fn add(&self, mut before: Counters, mut now: Counters) {
        let (before, now) = (fields(&mut before), fields(&mut now));
        for ((count, now), before) in self.counts.iter().zip(now).zip(before) {
            if *now != *before {
                // Relaxed: a number for people. It wraps downwards when fewer sets are open than before.
                count.fetch_add(now.wrapping_sub(*before), Relaxed);
            }
        }
    }
}

/// Takes back what it has added of open sets, however the process ends.
struct Telling {
    shared: Arc<Shared>,
    told: Counters,
}

impl Telling {
    fn tell(&mut self, now: Counters) {
        self.shared.add(self.told, now);
        self.told = now;
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.tell(Counters { open: 0, ..self.told });
    }
}

impl<K: Key, T: Kind> Matcher<K, T> {
    /// Runs until all streams have ended and everything was told. A stream is known by its place in `streams`.
    ///
    /// That the outputs end says nothing by itself: they also do when it was stopped. Whether everything was told is what this returns.
    ///
    /// When `out` is full it waits, and then so do the streams. So whoever receives the outputs must not wait for room in a stream.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::OutputsGone`].
    ///
    /// # Cancel safety
    /// Dropped, open sets are gone, and with them what waits in the streams.
    pub async fn run<B>(
        self,
        ctx: Ctx,
        streams: Vec<Receiver<Input<K, T, B>>>,
        out: Sender<Output<K, T, B>>,
    ) -> Result<Counters, Error> {
        let mut telling = Telling { shared: self.shared, told: Counters::default() };
        let mut streams = Streams::new(streams);
        let mut ahead = self.ahead_max.map(|most| Ahead::new(streams.all.len(), most));
        let mut state = State::new(self.rules, self.choose, self.limits);
        let begun = rt::now();
        while streams.open > 0 {
            let due = if ahead.is_none() { state.next_due() } else { None };
            let timer = due.and_then(|due| begun.checked_add(due));
            let first = streams.wait(&ctx, timer).await?;
            let now = rt::now().saturating_duration_since(begun);
            if ahead.is_none() {
                expire(&mut state, now, &ctx, &out).await?;
            }
            let mut left = BURST;
            let mut next = first;
            while let Some((stream, news)) = next {
                match (news, &mut ahead) {
                    (Some(Input::Part(mut part)), None) => {
                        part.at = now;
                        state.take(now, part);
                    }
                    (Some(Input::Part(part)), Some(ahead)) => ahead.put(stream, part.at, part),
                    (Some(Input::Clock(at)), Some(ahead)) => ahead.clock(stream, at),
                    (Some(Input::Clock(_)), None) => {}
                    (None, ahead) => {
                        streams.end(stream);
                        if let Some(ahead) = ahead {
                            ahead.end(stream);
                        }
                    }
                }
                if let Some(ahead) = &mut ahead {
                    merged(&mut state, ahead, &ctx, &out).await?;
                }
                tell(&mut state, &ctx, &out).await?;
                left -= 1;
                next = if left > 0 { streams.more(stream) } else { None };
            }
            let hurried = ahead.as_ref().map_or(0, |ahead| ahead.hurried);
            telling.tell(Counters { hurried, ..state.counters() });
        }
        while state.end() {
            tell(&mut state, &ctx, &out).await?;
        }
        telling.tell(Counters { hurried: telling.told.hurried, ..state.counters() });
        Ok(telling.told)
    }
}

/// What a stream brings; `None` at its end.
type News<X> = Option<X>;

/// The streams, each in its place until it ends.
struct Streams<X> {
    all: Vec<Option<Receiver<X>>>,
    open: usize,
    /// Who is looked at first.
    first: usize,
    /// Bursts since others had a turn.
    bursts: usize,
}

impl<X> Streams<X> {
    fn new(streams: Vec<Receiver<X>>) -> Self {
        let open = streams.len();
        Self { all: streams.into_iter().map(Some).collect(), open, first: 0, bursts: 0 }
    }

    fn end(&mut self, stream: usize) {
        self.open -= usize::from(self.all[stream].take().is_some());
    }

    /// What else a stream has; `None`: nothing now.
    fn more(&mut self, stream: usize) -> Option<(usize, News<X>)> {
        match self.all[stream].as_mut()?.try_recv() {
            Ok(input) => Some((stream, Some(input))),
            Err(TryRecvError::Closed) => Some((stream, None)),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// Waits for any stream; `None` when it is time.
    async fn wait(
        &mut self,
        ctx: &Ctx,
        timer: Option<Instant>,
    ) -> Result<Option<(usize, News<X>)>, Error> {
        let (mut done, mut timer) = (pin!(ctx.done()), pin!(timer.map(towpath::at)));
        poll_fn(|cx| {
            if ctx.is_done()
                && let Poll::Ready(cause) = done.as_mut().poll(cx)
            {
                return Poll::Ready(Err(Error::Ended(cause)));
            }
            if self.bursts >= TURN {
                self.bursts = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let many = self.all.len();
            for stream in (self.first..many).chain(0..self.first) {
                let Some(receiver) = &mut self.all[stream] else { continue };
                if let Poll::Ready(news) = receiver.poll_recv(cx) {
                    self.first = (stream + 1) % many;
                    self.bursts += 1;
                    return Poll::Ready(Ok(Some((stream, news))));
                }
            }
            self.bursts = 0;
            if let Some(timer) = timer.as_mut().as_pin_mut()
                && timer.poll(cx).is_ready()
            {
                return Poll::Ready(Ok(None));
            }
            done.as_mut().poll(cx).map(|cause| Err(Error::Ended(cause)))
        })
        .await
    }
}

/// Closes all sets whose time has come.
async fn expire<K: Key, T: Kind, B>(
    state: &mut State<K, T, B>,
    now: Duration,
    ctx: &Ctx,
    out: &Sender<Output<K, T, B>>,
) -> Result<(), Error> {
    while state.expire(now) {
        tell(state, ctx, out).await?;
    }
    Ok(())
}

/// Takes what may go on, each at its time.
async fn merged<K: Key, T: Kind, B>(
    state: &mut State<K, T, B>,
    ahead: &mut Ahead<super::Part<K, T, B>>,
    ctx: &Ctx,
    out: &Sender<Output<K, T, B>>,
) -> Result<(), Error> {
    while let Some((now, part)) = ahead.next() {
        expire(state, now, ctx, out).await?;
        state.take(now, part);
        tell(state, ctx, out).await?;
    }
    expire(state, ahead.now(), ctx, out).await
}

/// Sends what is to be told, unless the context ends first.
async fn tell<K: Key, T: Kind, B>(
    state: &mut State<K, T, B>,
    ctx: &Ctx,
    out: &Sender<Output<K, T, B>>,
) -> Result<(), Error> {
    while let Some(output) = state.told.pop_front() {
        let full = match out.try_send(output) {
            Ok(()) => continue,
            Err(TrySendError::Full(output)) => output,
            Err(TrySendError::Closed(_)) => return Err(Error::OutputsGone),
        };
        select! {
            cause = ctx.done() => return Err(Error::Ended(cause)),
            sent = out.send(full) => sent.map_err(|_| Error::OutputsGone)?,
        }
    }
    Ok(())
}
