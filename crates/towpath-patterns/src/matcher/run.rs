//! The matcher's process: streams in, outputs out, and a clock for deadlines.
//!
//! Messages, the timer and the context are polled by hand and not as arms of a `select!`: what the set of streams has taken is then
//! handled, and cannot lose against another arm.

use std::{
    error, fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use towpath::{
    Cause, Ctx, Receiver, Sender, TrySendError, rt, select,
    select::{Key as StreamKey, SelectSet},
};

use super::{Counters, Input, Key, Kind, Matcher, Output, ahead::Ahead, state::State};

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
        let mut set = SelectSet::new();
        let keys: Vec<StreamKey> = streams.into_iter().map(|stream| set.recv(stream)).collect();
        let mut ahead = self.ahead_max.map(|most| Ahead::new(keys.len(), most));
        let mut state = State::new(self.rules, self.choose, self.limits);
        let begun = rt::now();
        let arrival = || rt::now().saturating_duration_since(begun);
        while !set.is_empty() {
            let due = if ahead.is_none() { state.next_due() } else { None };
            let timer = due.and_then(|due| begun.checked_add(due)).map(towpath::at);
            let news = next(&ctx, &mut set, timer).await?;
            let stream = |key| keys.iter().position(|it| *it == key).unwrap_or_default();
            match (news, &mut ahead) {
                (Some((_, Some(Input::Part(mut part)))), None) => {
                    part.at = arrival();
                    expire(&mut state, part.at, &ctx, &out).await?;
                    state.take(part.at, part);
                }
                (Some((key, Some(Input::Part(part)))), Some(ahead)) => {
                    ahead.put(stream(key), part.at, part);
                    merged(&mut state, ahead, &ctx, &out).await?;
                }
                (Some((key, Some(Input::Clock(at)))), Some(ahead)) => {
                    ahead.clock(stream(key), at);
                    merged(&mut state, ahead, &ctx, &out).await?;
                }
                (Some((key, None)), Some(ahead)) => {
                    ahead.end(stream(key));
                    merged(&mut state, ahead, &ctx, &out).await?;
                }
                (Some((_, Some(Input::Clock(_)) | None)) | None, None) => {
                    expire(&mut state, arrival(), &ctx, &out).await?;
                }
                (None, Some(_)) => {}
            }
            tell(&mut state, &ctx, &out).await?;
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

type News<K, T, B> = Option<(StreamKey, Option<Input<K, T, B>>)>;

/// The next message or end of a stream; `None` when it is time.
async fn next<K, T, B>(
    ctx: &Ctx,
    set: &mut SelectSet<Input<K, T, B>>,
    timer: Option<towpath::After>,
) -> Result<News<K, T, B>, Error> {
    let (mut done, mut news, mut timer) = (pin!(ctx.done()), pin!(set.next()), pin!(timer));
    poll_fn(|cx| {
        if ctx.is_done()
            && let Poll::Ready(cause) = done.as_mut().poll(cx)
        {
            return Poll::Ready(Err(Error::Ended(cause)));
        }
        if let Poll::Ready(news) = news.as_mut().poll(cx) {
            return Poll::Ready(Ok(Some(news)));
        }
        if let Some(timer) = timer.as_mut().as_pin_mut()
            && timer.poll(cx).is_ready()
        {
            return Poll::Ready(Ok(None));
        }
        done.as_mut().poll(cx).map(|cause| Err(Error::Ended(cause)))
    })
    .await
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
