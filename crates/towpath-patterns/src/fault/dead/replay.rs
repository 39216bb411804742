//! Replays: dead letters go back to whoever handles them, at a pace, and one at a time.
//!
//! ```text
//!   begun ─▶ taken ─▶ handler ─▶ outcome ─▶ taken ─▶ … ─▶ ended        each arrow into the journal is durable
//!              │                    │
//!              └── killed here: ────┘   in doubt; resumed, the same letter goes first, under the same key
//! ```
//!
//! A replay looks at letters in the order of their numbers, at each once, up to the one that was the last when it began. So what
//! fails again, or comes new, waits for the next replay.

use std::{fmt, time::Duration};

use towpath::{Ctx, Headers, rt, scope};

use super::{
    DeadLetters, Error, Group,
    letter::{LetterId, Pick, ReplayId, Summary},
    store::{Lease, Outcome, Request, Taken},
};
use crate::fault::{
    Classify, Fault,
    retry::{Attempted, attempt, wait_until},
};

/// How many letters of each group a dry run shows.
const DRY_RUN_SHOWN: usize = 20;

/// How fast letters are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace(Duration);

impl Pace {
    /// As fast as they are handled.
    pub const UNLIMITED: Self = Self(Duration::ZERO);

    /// No more than so many begin in a second. A number that is not above 0 counts as one a day.
    pub fn per_second(letters: f64) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let between = Duration::try_from_secs_f64(letters.recip()).unwrap_or(DAY);
        Self(if letters > 0.0 { between.min(DAY) } else { DAY })
    }
}

/// A letter that is being replayed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replay {
    /// The letter.
    pub id: LetterId,
    /// The idempotency key, the same in every attempt at this content. A message that is sent on carries it, so that it finds
    /// its history should it fail again.
    pub key: Vec<u8>,
    /// The content.
    pub payload: Vec<u8>,
    /// The headers it came with; the handler's context has them too.
    pub headers: Headers,
    /// How often it has failed before.
    pub failures: u32,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("id", &self.id)
            .field("key", &format_args!("\"{}\"", self.key.escape_ascii()))
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// What a replay has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// Which replay it was.
    pub replay: ReplayId,
    /// Letters that were handled and are closed.
    pub went_well: u64,
    /// Letters that failed again and wait, with one more failure in their history.
    pub failed: u64,
}

/// What a replay would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DryRun {
    /// Letters that it would take.
    pub letters: u64,
    /// Bytes of their contents.
    pub payload_bytes: u64,
    /// How long it would take at least, at the pace.
    pub at_least: Duration,
    /// The first of them, twenty at most.
    pub first: Vec<Summary>,
    /// The groups that wait, some of whose letters it may take.
    pub groups: Vec<Group>,
}

impl DeadLetters {
    /// What [`replay`](Self::replay) would do. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Journal`], [`Error::Gone`].
    pub async fn dry_run(&self, pick: Pick, pace: Pace) -> Result<DryRun, Error> {
        let first = self.list(pick.clone(), LetterId(0), DRY_RUN_SHOWN).await?;
        let groups = self.groups().await?;
        let (letters, payload_bytes) = self.ask(|reply| Request::Count(pick, reply)).await?;
        let waits = u32::try_from(letters.saturating_sub(1)).unwrap_or(u32::MAX);
        Ok(DryRun { letters, payload_bytes, at_least: pace.0.saturating_mul(waits), first, groups })
    }

    /// Hands letters to `handler`, one after the other, in the order of their numbers. `Ok` closes a letter; an error becomes
    /// the newest failure in its history, and so does a panic of the handler. An error of a handler whose context has ended is
    /// neither: the letter is in doubt.
    ///
    /// `Ok` has to mean that the message is handled, or durable with whoever handles it next. A handler that sends it into a
    /// channel waits until the other side says so; else a kill between the two loses it.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `ctx` has ended: the replay can be [resumed](Self::resume). [`Error::Busy`],
    /// [`Error::Unknown`] and [`Error::Closed`] of a single letter; [`Error::Journal`], [`Error::Unreadable`],
    /// [`Error::Gone`].
    ///
    /// # Cancel safety
    /// Dropped before it finishes, it drops the handler where it waits; that letter is in doubt, and the replay can be
    /// resumed.
    pub async fn replay<F, Fut, E>(
        &self,
        ctx: &Ctx,
        pick: Pick,
        pace: Pace,
        handler: F,
    ) -> Result<Replayed, Error>
    where
        F: FnMut(Ctx, Replay) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Classify,
    {
        let (replay, lease) = self.ask(|reply| Request::Begin(pick, reply)).await?;
        self.go_on(ctx, replay, lease, pace, handler).await
    }

    /// Goes on with a replay that was cut short, by a kill or a cancellation, as [`replay`](Self::replay) would have: the letter
    /// that was in hand comes first, under the same idempotency key.
    ///
    /// # Errors
    /// [`Error::Running`], [`Error::Ended`], and those of [`replay`](Self::replay).
    ///
    /// # Cancel safety
    /// As [`replay`](Self::replay).
    pub async fn resume<F, Fut, E>(
        &self,
        ctx: &Ctx,
        replay: ReplayId,
        pace: Pace,
        handler: F,
    ) -> Result<Replayed, Error>
    where
        F: FnMut(Ctx, Replay) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Classify,
    {
        let (replay, lease) = self.ask(|reply| Request::Resume(replay, reply)).await?;
        self.go_on(ctx, replay, lease, pace, handler).await
    }

    /// Ends a replay that was cut short, where it is. What it did not take waits; a letter that was in hand stays in doubt until
    /// another replay has handled it.
    ///
    /// # Errors
    /// [`Error::Running`], [`Error::Ended`], [`Error::Journal`], [`Error::Gone`].
    pub async fn abandon(&self, replay: ReplayId) -> Result<Replayed, Error> {
        let progress = self.ask(|reply| Request::Abandon(replay, reply)).await?;
        Ok(Replayed { replay, went_well: progress.went_well, failed: progress.failed })
    }

    async fn go_on<F, Fut, E>(
        &self,
        ctx: &Ctx,
        replay: ReplayId,
        lease: Lease,
        pace: Pace,
        mut handler: F,
    ) -> Result<Replayed, Error>
    where
        F: FnMut(Ctx, Replay) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Classify,
    {
        let mut due = rt::now();
        let mut before: Option<Outcome> = None;
        loop {
            // What is known waits neither for the pace nor for a context that has ended: a kill would make it a doubt.
            let waits = due > rt::now() || ctx.is_done();
            if waits && let Some(outcome) = before.take() {
                self.ask(|reply| Request::Outcome(replay, outcome, reply)).await?;
            }
            if waits {
                wait_until(ctx, due).await.map_err(|cause| Error::Cancelled(replay, cause))?;
            }
            let outcome = before.take();
            let taken = self.ask(|reply| Request::Take(replay, outcome, reply)).await?;
            let Some(taken) = taken else { break };
            let now = rt::now();
            due = now.checked_add(pace.0).unwrap_or(now);
            let id = taken.id;
            let Some(result) = self.hand_over(ctx, &taken, &mut handler).await else {
                return Err(Error::Cancelled(replay, ctx.cause()));
            };
            before = Some(Outcome { id, result });
        }
        let progress = self.ask(|reply| Request::End(replay, reply)).await?;
        drop(lease);
        Ok(Replayed { replay, went_well: progress.went_well, failed: progress.failed })
    }

    /// Calls the handler; `None` if the context ended first. The scope is there for its panics, which it gives as values.
    async fn hand_over<F, Fut, E>(
        &self,
        ctx: &Ctx,
        taken: &Taken,
        handler: &mut F,
    ) -> Option<Result<(), Fault>>
    where
        F: FnMut(Ctx, Replay) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Classify,
    {
        let Taken { id, key, headers, payload, failures, .. } = taken;
        let headers = Headers::new(headers.as_slice());
        let (key, payload) = (key.clone(), payload.clone());
        let replay =
            Replay { id: *id, key, payload, headers: headers.clone(), failures: *failures };
        let process =
            towpath::process::current().map_or_else(|| self.name.clone(), |it| it.name().clone());
        let one = ctx.with_headers(headers);
        let source = process.clone();
        let handled = scope(&one, |_| {
            let handled = handler(one.clone(), replay);
            let one = &one;
            async move {
                let result = attempt(ctx, one, handled).await;
                Ok(match result {
                    Attempted::Ended(Ok(())) => Some(Ok(())),
                    // What a handler says that was told to stop is no news of its letter.
                    Attempted::Ended(Err(_)) if ctx.is_done() => None,
                    Attempted::Ended(Err(error)) => Some(Err(Fault::of(source, &error))),
                    Attempted::TimedOut | Attempted::Cancelled(_) => None,
                })
            }
        });
        match handled.await {
            Ok(outcome) => outcome,
            Err(towpath::Error::Panicked { message, at, .. }) => {
                Some(Err(Fault::panicked(process, &message, at.as_deref())))
            }
            // Nothing else can go wrong in a scope without processes.
            Err(_) => None,
        }
    }
}
