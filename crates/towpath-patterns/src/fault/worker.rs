//! A process that handles messages one after the other, and for which no message is the end.
//!
//! ```text
//!                ┌──────────── again, after a delay ◀──────────┐
//!   messages ─▶ in hand ─▶ handler ── Ok ──▶ settled(Handled)  │
//!                ▲            └───── Err, panic, too late ─▶ policy ─┬▶ dead letter (durable) ─▶ settled(Dead)
//!                │                                                   ├▶ settled(GivenUp)
//!                └── restarted, still in hand ◀── panic              └▶ stop, not settled
//! ```
//!
//! What always holds:
//! - A message is settled once, after it was handled, or is durable among the dead letters, or was given up by the policy. What is
//!   not settled is still in hand or in the channel; a source that acknowledges what was settled loses nothing.
//! - The message in hand survives a panic of its handler: the run ends, the supervisor starts the next one, and that goes on with
//!   it.
//! - One message keeps the stream for as long as its rule allows (attempts, limits of time), and no longer.

use std::{
    error, fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use towpath::{
    BoxError, Cause, Ctx, Headers, Receiver, Sender,
    process::Name,
    rt, scope, select,
    supervisor::{Backoff, Intensity, OnExit, Strategy, Supervisor},
};

use super::{
    Breaker, Class, Classify, Errors, Fault, Policy, Report, Source, Then, Times, Verdict,
    breaker::Call,
    dead::{DeadLetters, Letter, LetterId},
    retry::{Attempted, attempt, wait_until},
};

/// Failures of one message that are kept for its dead letter: the first half of them, and the last.
const FAULTS_MAX: usize = 16;

/// Restarts that are still taken for bad messages: a poison message makes three of them. Sixty in a minute, and it is the code.
const INTENSITY: Intensity = Intensity::new(60, Duration::from_secs(60));

/// Restarts come quickly: it is the message that is bad, and the next one waits.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));

/// An async function, or closure, that handles messages of type `T`.
///
/// It holds for every `async fn(Ctx, &T) -> Result<(), E>` and every such `async move` closure, with an error that knows its
/// [class](Classify), and is not to be implemented. Each attempt gets a clone of it, so what a closure has captured begins anew;
/// what is to last goes behind a pointer or a channel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle messages of type `{T}`",
    note = "it should be `async fn(ctx: Ctx, message: &{T}) -> Result<(), E>` with `E: Classify`, or such an `async move` closure",
    note = "what it captures and holds over an `await` must be `Send`"
)]
pub trait Handle<'a, T: 'a>: Send + 'static {
    /// Its error.
    type Error: Classify + Send + 'static;
    /// The future it makes.
    type Future: Future<Output = Result<(), Self::Error>> + Send + 'a;

    /// Calls it.
    fn handle(self, ctx: Ctx, message: &'a T) -> Self::Future;
}

impl<'a, T, F, Fut, E> Handle<'a, T> for F
where
    T: 'a,
    F: FnOnce(Ctx, &'a T) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'a,
    E: Classify + Send + 'static,
{
    type Error = E;
    type Future = Fut;

    fn handle(self, ctx: Ctx, message: &'a T) -> Fut {
        self(ctx, message)
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// It was handled.
    Handled,
    /// It is a dead letter, durable.
    Dead(LetterId),
    /// It was given up: by the policy, or because there are no dead letters.
    GivenUp,
}

/// A message that its source may forget.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled<T> {
    /// The message.
    pub message: T,
    /// What became of it.
    pub how: Settlement,
}

/// Handles messages; see the [module](super) for a program.
#[must_use = "a worker does nothing until it is run"]
pub struct Worker<T> {
    desk: Desk<T>,
    intensity: Intensity,
    backoff: Backoff,
}

impl<T: Send + Sync + 'static> Worker<T> {
    /// Handles what comes from `messages` with `handler`, under the [default policy](Policy). The name is that of the process, and
    /// the source of what it tells.
    pub fn new<F, E>(name: impl Into<Name>, messages: Receiver<T>, handler: F) -> Self
    where
        F: AsyncFnOnce(Ctx, &T) -> Result<(), E> + for<'a> Handle<'a, T, Error = E> + Clone,
        E: Classify + Send + 'static,
    {
        let call: Handler<T> = Box::new(move |ctx, message, process| {
            let handling = handler.clone().handle(ctx, message);
            Box::pin(async move { handling.await.map_err(|error| Problem::of(process, &error)) })
        });
        let desk = Desk {
            name: name.into(),
            messages,
            handler: call,
            policy: Policy::default(),
            breaker: None,
            source: None,
            dead: None,
            headers: None,
            settled: None,
            in_hand: None,
            ended: Arc::default(),
        };
        Self { desk, intensity: INTENSITY, backoff: BACKOFF }
    }

    /// Under another policy. The limits of time for an attempt, and in total, are those of its rule for
    /// [`Timeout`](Class::Timeout).
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.desk.policy = policy;
        self
    }

    /// Tells of failures there, under its own name, and counts what went well.
    pub fn with_errors(mut self, errors: &Errors) -> Self {
        self.desk.source = Some(errors.of(&self.desk.name));
        self
    }

    /// Puts messages there that are not tried again, as the letters that `to_letter` makes of them; the worker adds the failures and
    /// the headers. Without this they are given up.
    pub fn with_dead_letters(
        mut self,
        dead: DeadLetters,
        to_letter: impl Fn(&T) -> Letter + Send + 'static,
    ) -> Self {
        self.desk.dead = Some((dead, Box::new(to_letter)));
        self
    }

    /// Handles messages under the headers that came with them: so the handler's context, the failures and the dead letter have
    /// their trace.
    pub fn with_headers(mut self, headers: impl Fn(&T) -> Headers + Send + 'static) -> Self {
        self.desk.headers = Some(Box::new(headers));
        self
    }

    /// Sends every message there once it is settled, for its source to acknowledge.
    pub fn with_settled(mut self, settled: Sender<Settled<T>>) -> Self {
        self.desk.settled = Some(settled);
        self
    }

    /// While the breaker is open nothing is taken from the channel and nothing is tried: when whoever is called is down, messages
    /// wait where they are and do not become dead letters. Transient failures and timeouts open it.
    pub fn with_breaker(mut self, breaker: Breaker) -> Self {
        self.desk.breaker = Some(breaker);
        self
    }

    /// Gives up after more panics than this; by default more than sixty within a minute.
    pub fn with_intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// How long it stays down after a panic; by default from ten milliseconds to a second.
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Handles messages until there are no more: every sender is gone and everything queued is settled.
    ///
    /// # Errors
    /// - [`Stopped`], when the policy says so, or the dead letters cannot be kept.
    /// - [`towpath::Error`], when it panicked too often ([`GaveUp`](towpath::supervisor::GaveUp)), or `ctx` has ended.
    ///
    /// In each case the message in hand is not settled.
    ///
    /// # Cancel safety
    /// Dropped before it finishes, it drops the handler where it waits, and what is still in its channel.
    pub async fn run(self, ctx: Ctx) -> Result<(), BoxError> {
        let Self { desk, intensity, backoff } = self;
        let (name, ended) = (desk.name.clone(), desk.ended.clone());
        let mut supervisor = Supervisor::new(&name, Strategy::OneForOne)
            .with_intensity(intensity)
            .with_backoff(backoff);
        supervisor.child(&name, OnExit::RestartOnFailure, desk, serve::<T>);
        supervisor.run(&ctx).await?;
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Nobody was there to be cut short, if the context ended between a panic and the restart.
        ended.unwrap_or_else(|| Err(ctx.cause().into()))
    }
}

impl<T> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.desk.name).finish_non_exhaustive()
    }
}

/// Why a worker stopped although there is more to do. The message in hand was not settled.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// The worker.
    pub process: Name,
    /// The failure over which it stopped.
    pub fault: Fault,
    /// Why it could not go on, if it was not the policy that said so.
    pub source: Option<BoxError>,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, fault, source } = self;
        let why = if source.is_some() { "could not keep a dead letter of" } else { "stopped over" };
        write!(f, "worker `{process}` {why} a {} failure: {}", fault.class, fault.message)
    }
}

impl error::Error for Stopped {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

// ---- one run -------------------------------------------------------------------------------------------------------

/// A failure of an attempt.
struct Problem {
    fault: Fault,
    retry_after: Option<Duration>,
}

impl Problem {
    fn of(process: Name, error: &impl Classify) -> Self {
        Self { retry_after: error.retry_after(), fault: Fault::of(process, error) }
    }
}

type Handling<'a> = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send + 'a>>;
type Handler<T> = Box<dyn for<'a> Fn(Ctx, &'a T, Name) -> Handling<'a> + Send>;
type Of<T, R> = Box<dyn Fn(&T) -> R + Send>;

/// What a worker works with. It outlives every single run.
struct Desk<T> {
    name: Name,
    messages: Receiver<T>,
    handler: Handler<T>,
    policy: Policy,
    breaker: Option<Breaker>,
    source: Option<Source>,
    dead: Option<(DeadLetters, Of<T, Letter>)>,
    headers: Option<Of<T, Headers>>,
    settled: Option<Sender<Settled<T>>>,
    /// The message that is being handled. Still here in the next run: then the last one panicked over it.
    in_hand: Option<InHand<T>>,
    /// How it ended for good.
    ended: Arc<Mutex<Option<Result<(), BoxError>>>>,
}

struct InHand<T> {
    message: T,
    /// Asked for at the first attempt.
    headers: Option<Headers>,
    began: Instant,
    attempts: u32,
    /// When the next attempt may begin.
    due: Option<Instant>,
    faults: Vec<Fault>,
}

/// Why a run ends before the messages do.
enum Halt {
    Cancelled(Cause),
    Stopped(Stopped),
}

impl From<Cause> for Halt {
    fn from(cause: Cause) -> Self {
        Self::Cancelled(cause)
    }
}

/// One run. The scope is there for its panics, which it gives as values that know their place.
fn serve<T: Send + Sync + 'static>(
    ctx: Ctx,
    desk: &mut Desk<T>,
) -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + '_>> {
    Box::pin(async move {
        let work = {
            let (ctx, desk) = (&ctx, &mut *desk);
            scope(ctx, move |_| async move { Ok(desk.work(ctx).await) })
        };
        let (worked, panic) = match work.await {
            Ok(worked) => (worked, None),
            Err(panic) => match &panic {
                towpath::Error::Panicked { message, at, .. } => {
                    let fault = Fault::panicked(desk.name.clone(), message, at.as_deref());
                    let problem = Problem { fault, retry_after: None };
                    (desk.failed(&ctx, problem).await, Some(panic))
                }
                _ => return Err(panic.into()),
            },
        };
        let ended = match (worked, panic) {
            (Err(Halt::Cancelled(cause)), _) => return Err(cause.into()),
            (Ok(()), Some(panic)) => return Err(panic.into()),
            (Err(Halt::Stopped(stopped)), _) => Err(stopped.into()),
            (Ok(()), None) => Ok(()),
        };
        // Well, for the supervisor, in either case: it is not to be started again.
        *desk.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        Ok(())
    })
}

impl<T: Send + Sync + 'static> Desk<T> {
    async fn work(&mut self, ctx: &Ctx) -> Result<(), Halt> {
        loop {
            if self.in_hand.is_none() {
                // Nothing is taken from the channel that could not be tried.
                if let Some(until) = self.breaker.as_ref().and_then(Breaker::open_until) {
                    wait_until(ctx, until).await?;
                }
                let message = select! { biased;
                    cause = ctx.done() => return Err(cause.into()),
                    message = self.messages.recv() => message,
                };
                let Some(message) = message else { return Ok(()) };
                let (headers, began, faults) = (None, rt::now(), Vec::new());
                let hand = InHand { message, headers, began, attempts: 0, due: None, faults };
                self.in_hand = Some(hand);
                self.policy.called();
            }
            match self.attempt(ctx).await? {
                Ok(()) => {
                    if let Some(source) = &self.source {
                        source.handled();
                    }
                    self.settle(ctx, Settlement::Handled).await?;
                }
                Err(problem) => self.failed(ctx, problem).await?,
            }
        }
    }

    /// Makes an attempt at the message in hand, when it is due.
    async fn attempt(&mut self, ctx: &Ctx) -> Result<Result<(), Problem>, Cause> {
        let Some(hand) = &mut self.in_hand else { unreachable!("there is a message in hand") };
        if let Some(due) = hand.due.take() {
            wait_until(ctx, due).await?;
        }
        let mut call = None;
        while let Some(breaker) = &mut self.breaker {
            match breaker.may_call(rt::now()) {
                Ok(permit) => {
                    call = Some(permit);
                    break;
                }
                Err(refused) => wait_until(ctx, refused.until).await?,
            }
        }
        hand.attempts += 1;
        let headers = match (&hand.headers, &self.headers) {
            (Some(headers), _) => headers.clone(),
            (None, Some(headers)) => hand.headers.insert(headers(&hand.message)).clone(),
            (None, None) => hand.headers.insert(ctx.headers()).clone(),
        };
        let limits = &self.policy.rule(Class::Timeout).retry;
        let all = limits.total_ctx(ctx, hand.began);
        let one = limits.attempt_ctx(&all).with_headers(headers);
        let handling = (self.handler)(one.clone(), &hand.message, self.name.clone());
        let result = match attempt(ctx, &one, handling).await {
            // What a handler says that was told to stop is no news of its message.
            Attempted::Ended(Err(_)) if ctx.is_done() => return Err(ctx.cause()),
            Attempted::Ended(result) => result,
            Attempted::TimedOut => {
                Err(Problem { fault: Fault::timed_out(self.name.clone()), retry_after: None })
            }
            Attempted::Cancelled(cause) => return Err(cause),
        };
        self.tell_breaker(call, &result);
        Ok(result)
    }

    /// Who answers that a message is wrong is not down.
    fn tell_breaker(&mut self, call: Option<Call>, result: &Result<(), Problem>) {
        if let (Some(breaker), Some(call)) = (&mut self.breaker, call) {
            let class = result.as_ref().err().map(|problem| problem.fault.class);
            let well = !matches!(class, Some(Class::Transient | Class::Timeout));
            breaker.ended(call, well, rt::now());
        }
    }

    /// Decides what is done about a failure of the message in hand, and does it.
    async fn failed(&mut self, ctx: &Ctx, problem: Problem) -> Result<(), Halt> {
        let Problem { fault, retry_after } = problem;
        let rule = self.policy.rule(fault.class).clone();
        let Some(hand) = &mut self.in_hand else {
            // Between two messages: nobody's message, so there is nothing to decide.
            self.report(fault, Verdict::Told, rule.alert);
            return Ok(());
        };
        hand.remember(fault.clone());
        let (failures, began, now) = (hand.attempts, hand.began, rt::now());
        let times = Times { failures, began, now, end: ctx.deadline() };
        if let Ok(at) = rule.retry.next_attempt(times, retry_after, rt::random()) {
            hand.due = Some(at);
            let again = if fault.class == Class::Panic { Verdict::Restart } else { Verdict::Retry };
            self.report(fault, again, false);
            return Ok(());
        }
        if rule.then == Then::Stop {
            self.report(fault.clone(), Verdict::Stopped, rule.alert);
            return Err(self.stop(fault, None));
        }
        let letter = self.dead.as_ref().filter(|_| rule.then == Then::DeadLetter).map(
            |(dead, to_letter)| {
                let mut letter = to_letter(&hand.message);
                letter.faults.extend(hand.faults.iter().cloned());
                if letter.headers.is_empty() {
                    letter.headers = hand.headers.clone().unwrap_or_default();
                }
                (dead.clone(), letter)
            },
        );
        let how = match letter {
            None => Settlement::GivenUp,
            Some((dead, letter)) => match dead.put(letter).await {
                Ok(id) => Settlement::Dead(id),
                Err(error) => {
                    // Better not at all than not kept: it stays in hand.
                    self.report(fault.clone(), Verdict::Stopped, true);
                    return Err(self.stop(fault, Some(error.into())));
                }
            },
        };
        let verdict = match how {
            Settlement::Dead(id) => Verdict::DeadLetter(id),
            _ => Verdict::GivenUp,
        };
        self.report(fault, verdict, rule.alert);
        self.settle(ctx, how).await
    }

    fn stop(&self, fault: Fault, source: Option<BoxError>) -> Halt {
        Halt::Stopped(Stopped { process: self.name.clone(), fault, source })
    }

    fn report(&self, fault: Fault, verdict: Verdict, alert: bool) {
        let Some(source) = &self.source else { return };
        let hand = self.in_hand.as_ref();
        let headers = hand.and_then(|hand| hand.headers.clone()).unwrap_or_default();
        let attempt = hand.map_or(0, |hand| hand.attempts);
        source.report(Report { fault, verdict, attempt, headers, alert });
    }

    /// Lets go of the message in hand.
    async fn settle(&mut self, ctx: &Ctx, how: Settlement) -> Result<(), Halt> {
        let Some(InHand { message, .. }) = self.in_hand.take() else { return Ok(()) };
        if let Some(settled) = &self.settled {
            select! { biased;
                // Nobody there: nobody wants to know.
                _ = settled.send(Settled { message, how }) => {}
                cause = ctx.done() => return Err(cause.into()),
            }
        }
        Ok(())
    }
}

impl<T> InHand<T> {
    fn remember(&mut self, fault: Fault) {
        if self.faults.len() == FAULTS_MAX {
            self.faults.remove(FAULTS_MAX / 2);
        }
        self.faults.push(fault);
    }
}
