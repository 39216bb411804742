//! Warm instances, lent and given back: connections, sandboxes, processes that take long to make and little to use again.
//!
//! ```text
//!   borrower ──lend──▶ idle instances ◀── dropped lease ── borrower
//!                        ▲        │ nobody idle · broken · old
//!             makes, checks       ▼
//!                      the pool's process ◀── each tick: how many there should be
//! ```
//!
//! ```
//! use towpath::{Ctx, scope};
//! use towpath_patterns::{fault::Failure, pool::{Factory, Options, Pool}};
//!
//! /// What is lent.
//! struct Parser(Vec<u8>);
//!
//! struct Parsers;
//!
//! impl Factory for Parsers {
//!     type Instance = Parser;
//!     type Error = Failure;
//!
//!     async fn make(&self, _ctx: Ctx) -> Result<Parser, Failure> {
//!         Ok(Parser(Vec::with_capacity(4096))) // or start a process, open a connection, …
//!     }
//!
//!     async fn is_healthy(&self, parser: &mut Parser) -> bool {
//!         parser.0.capacity() < 1 << 20
//!     }
//! }
//!
//! # towpath::block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let pool = Pool::start(&s, "parsers", Parsers, Options::new(4));
//!     let mut parser = pool.lend(s.ctx()).await?;
//!     parser.0.extend(b"used as the instance itself");
//!     drop(parser); // and back it goes
//!
//!     let again = pool.lend(s.ctx()).await?;
//!     assert_eq!((again.uses(), pool.snapshot().counts.made), (2, 1));
//!     Ok(())
//! })
//! .await
//! # }).unwrap();
//! ```
//!
//! # What is promised
//! - *One holder*: an instance is lent to one at a time, and comes back when its [`Lease`] is dropped: by return, by panic, by the
//!   holder being cancelled. It is closed instead if it is marked as broken, too old, or was used too often.
//! - *Healthy*: the factory is asked before each loan; what is not healthy, or does not say so in time, is closed and never
//!   lent again, and the borrower gets another.
//! - *Bounded*: never more than [`max`](Options::max) instances, those that are made or closed just now included; never more
//!   than [`waiting_max`](Options::waiting_max) borrowers waiting, each until its own deadline; they are served first come,
//!   first served. Who gets nothing gets a [`Refused`].
//! - *Warm*: at each tick there are as many as [`size`] says, and what has been idle for [`ttl`](Options::ttl) above that
//!   is closed.
//! - *No stampede*: no more are made than there are borrowers waiting or the size asks for, and few at a time; while the factory
//!   fails, one at a time, with growing pauses, and who could only wait in vain is told at once.
//! - *The end*: when the context ends, or every handle and lease is gone, all instances are closed. Leases that are
//!   out then have [`stop_max`](Options::stop_max) to come back; later ones are dropped where they are.
//!
//! Not promised: that an instance is the one from before, or that one is idle: that is what the size is about, and
//! [`Snapshot`] counts.

mod keep;
mod lease;
pub mod replay;
pub mod size;
mod steps;
mod stock;

use std::{
    error, fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use towpath::{
    Cause, Ctx, Scope, Sender, bounded, rt, select,
    sync::{Semaphore, TryAcquireError},
};

use crate::fault::{Class, Classify, Retry};
pub use lease::Lease;
pub use size::{Plan, Policy, Sizing, Tally};
use stock::{Retired, Stock, later};

/// One ring is as good as many: the process looks at everything when it hears one.
const BELL: usize = 1;

/// Makes, checks and closes instances.
///
/// Its futures run in processes of the pool, except for [`is_healthy`](Self::is_healthy), which runs in the borrower's. A panic in
/// one of the pool's is counted as a failure.
pub trait Factory: Send + Sync + 'static {
    /// What is lent.
    type Instance: Send + 'static;
    /// Why one could not be made.
    type Error: Classify + Send + 'static;

    /// Makes one. The context ends with the pool and after [`make_max`](Options::make_max); then the future is dropped.
    fn make(&self, ctx: Ctx) -> impl Future<Output = Result<Self::Instance, Self::Error>> + Send;

    /// Whether it may be lent; asked after it was made and before each loan, so keep it short. By default it may.
    fn is_healthy(&self, instance: &mut Self::Instance) -> impl Future<Output = bool> + Send {
        let _ = instance;
        std::future::ready(true)
    }

    /// Closes one, if dropping it is not enough. After [`close_max`](Options::close_max) the future is dropped.
    fn close(&self, instance: Self::Instance) -> impl Future<Output = ()> + Send {
        drop(instance);
        std::future::ready(())
    }
}

/// How a pool is run. Make it with [`new`](Self::new) and change what is different.
///
/// ```
/// use std::time::Duration;
/// use towpath_patterns::pool::Options;
///
/// let options = Options { uses_max: Some(1_000), wait_max: Duration::from_secs(1), ..Options::new(16) };
/// assert_eq!(options.ttl, Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Instances at most, whatever they are doing.
    pub max: usize,
    /// Instances that are made at once, at most; 4 by default.
    pub making_max: usize,
    /// Borrowers that may wait; 1,024 by default. More are refused.
    pub waiting_max: usize,
    /// How long a borrower waits at most; 30 seconds by default. Its context may end sooner.
    pub wait_max: Duration,
    /// Instances above the size are closed when they have been idle for so long; 30 seconds by default.
    pub ttl: Duration,
    /// Instances are replaced when they are so old; never by default.
    pub age_max: Option<Duration>,
    /// Instances are replaced when they were lent so often; never by default.
    pub uses_max: Option<u64>,
    /// How the size is decided. Its own `max` counts too.
    pub sizing: Policy,
    /// Pauses after the factory has failed. Its attempts are not counted: a pool does not give up.
    pub backoff: Retry,
    /// Making takes no longer; 30 seconds by default.
    pub make_max: Duration,
    /// A health check takes no longer, or the instance is not healthy; one second by default.
    pub check_max: Duration,
    /// Closing takes no longer; 5 seconds by default.
    pub close_max: Duration,
    /// When the pool stops, leases have so long to come back; 10 seconds by default.
    pub stop_max: Duration,
}

impl Options {
    /// At most `max` instances (0 counts as 1), and the defaults.
    pub fn new(max: usize) -> Self {
        Self {
            max: max.max(1),
            making_max: 4,
            waiting_max: 1024,
            wait_max: Duration::from_secs(30),
            ttl: Duration::from_secs(30),
            age_max: None,
            uses_max: None,
            sizing: Policy::default(),
            backoff: Retry::new(u32::MAX),
            make_max: Duration::from_secs(30),
            check_max: Duration::from_secs(1),
            close_max: Duration::from_secs(5),
            stop_max: Duration::from_secs(10),
        }
    }
}

/// Why nothing was lent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Refused {
    /// As many wait already as may.
    Full {
        /// How many.
        waiting: usize,
    },
    /// None came back in time.
    Late {
        /// How long it was waited.
        waited: Duration,
    },
    /// The borrower's context has ended.
    Cancelled(Cause),
    /// The factory fails, and will not be tried again before it is too late.
    Failing(Failing),
    /// The pool has stopped.
    Stopped,
}

/// The factory fails.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failing {
    /// It is not asked before this.
    pub until: Instant,
    /// How often it has failed in a row.
    pub failures: u32,
    /// What it said last.
    pub text: Arc<str>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { waiting } => {
                write!(f, "{waiting} wait for an instance already; try later, or raise `max`")
            }
            Self::Late { waited } => {
                write!(f, "no instance within {waited:?}; hold them shorter, or raise `max`")
            }
            Self::Cancelled(cause) => cause.fmt(f),
            Self::Failing(Failing { failures, text, .. }) => {
                write!(f, "no instance can be made, {failures} times in a row: {text}; mend that")
            }
            Self::Stopped => f.write_str("the pool has stopped; look for why its scope did"),
        }
    }
}

impl error::Error for Refused {}

impl Classify for Refused {
    fn class(&self) -> Class {
        match self {
            Self::Full { .. } | Self::Failing(_) => Class::Transient,
            Self::Late { .. } => Class::Timeout,
            Self::Cancelled(cause) => cause.class(),
            Self::Stopped => Class::Fatal,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failing(failing) => Some(failing.until.saturating_duration_since(rt::now())),
            _ => None,
        }
    }
}

/// How a pool stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Instances that wait to be lent.
    pub idle: usize,
    /// Instances that are lent.
    pub lent: usize,
    /// Instances that are being made.
    pub making: usize,
    /// Instances that are being closed, or will be.
    pub closing: usize,
    /// Borrowers that wait.
    pub waiting: usize,
    /// How many instances there should be, idle or lent.
    pub size: usize,
    /// What happened since the beginning.
    pub counts: Counts,
}

/// What happened in a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Borrowers that found one idle.
    pub hits: u64,
    /// Borrowers that did not.
    pub misses: u64,
    /// Of those, who were refused at once.
    pub refused: u64,
    /// Instances that were made.
    pub made: u64,
    /// Times that the factory failed.
    pub failures: u64,
    /// Closed, since they were not healthy when they were to be lent.
    pub unhealthy: u64,
    /// Closed, since their holder marked them.
    pub broken: u64,
    /// Closed for their age or uses.
    pub old: u64,
    /// Closed, since they were idle and too many.
    pub expired: u64,
}

/// A pool of instances that a [`Factory`] makes. Clones are the same pool; the [module](self) says what is promised.
pub struct Pool<F: Factory>(Arc<Handle<F>>);

/// What handles and leases share; the process hears when the last of them goes.
struct Handle<F: Factory> {
    shared: Arc<Shared<F>>,
    bell: Sender<()>,
}

impl<F: Factory> Handle<F> {
    /// The process looks at everything.
    fn ring(&self) {
        // Full: it is about to look. Closed: it has ended.
        let _ = self.bell.try_send(());
    }
}

struct Shared<F: Factory> {
    factory: F,
    /// A permit for each idle instance; first come, first served.
    available: Semaphore,
    /// Never held over a wait or foreign code.
    stock: Mutex<Stock<F::Instance>>,
    wait_max: Duration,
    backoff: Retry,
    make_max: Duration,
    check_max: Duration,
    close_max: Duration,
    stop_max: Duration,
}

impl<F: Factory> Shared<F> {
    fn stock(&self) -> MutexGuard<'_, Stock<F::Instance>> {
        // Whoever panicked under it has changed nothing by halves: no foreign code runs there.
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sizing(&self) -> Policy {
        let stock = self.stock();
        Policy { max: stock.options.sizing.max.min(stock.options.max), ..stock.options.sizing }
    }
}

impl<F: Factory> Pool<F> {
    /// Starts the pool's process in a scope.
    ///
    /// # Panics
    /// When the tick of the sizing is zero.
    pub fn start(scope: &Scope, name: &'static str, factory: F, options: Options) -> Self {
        assert!(
            !options.sizing.tick.is_zero(),
            "pool `{name}`: a tick must be longer than nothing"
        );
        let (bell, rung) = bounded(BELL);
        let Options { wait_max, make_max, check_max, close_max, stop_max, .. } = options;
        let shared = Arc::new(Shared {
            factory,
            available: Semaphore::new(0),
            wait_max,
            backoff: options.backoff.clone(),
            make_max,
            check_max,
            close_max,
            stop_max,
            stock: Mutex::new(Stock::new(options)),
        });
        let kept = shared.clone();
        scope.spawn(name, move |ctx| keep::keep(ctx, kept, rung));
        Self(Arc::new(Handle { shared, bell: bell.named(name) }))
    }

    /// Lends an instance: an idle one, or, waiting, the next that comes back or is made.
    ///
    /// # Errors
    /// [`Refused`].
    ///
    /// # Cancel safety
    /// Dropped before completion, it leaves the line, and an instance that it had been given goes to the next. One whose health is
    /// being checked is closed, since nobody knows.
    pub async fn lend(&self, ctx: &Ctx) -> Result<Lease<F>, Refused> {
        let shared = &self.0.shared;
        let mut until = None;
        let mut first = true;
        if ctx.is_done() {
            return Err(Refused::Cancelled(ctx.cause()));
        }
        loop {
            let hit = match shared.available.try_acquire(1) {
                Ok(permit) => {
                    permit.forget();
                    true
                }
                Err(TryAcquireError::Closed) => return Err(Refused::Stopped),
                Err(TryAcquireError::NoPermits) => {
                    self.wait(ctx, &mut until, first).await?;
                    false
                }
            };
            // Only a pool that stops takes instances from under the permits.
            let (mut lease, is_old) = self.take(first && hit).ok_or(Refused::Stopped)?;
            first = false;
            if is_old {
                lease.give_up(Retired::Old);
            } else if lease.is_healthy(ctx).await.map_err(Refused::Cancelled)? {
                return Ok(lease);
            } else {
                lease.give_up(Retired::Unhealthy);
            }
        }
    }

    /// Takes an idle instance, for a permit; and whether it is too old.
    fn take(&self, is_hit: bool) -> Option<(Lease<F>, bool)> {
        let now = rt::now();
        let mut stock = self.0.shared.stock();
        let item = stock.take(now, is_hit)?;
        let (is_old, is_short) = (stock.is_aged(&item, now), stock.is_short());
        drop(stock);
        if is_short {
            // Somebody who waits has counted on this one.
            self.0.ring();
        }
        Some((Lease::new(self.0.clone(), item), is_old))
    }

    /// Waits for a permit, which is used up.
    async fn wait(
        &self,
        ctx: &Ctx,
        until: &mut Option<Instant>,
        first: bool,
    ) -> Result<(), Refused> {
        /// Counts who waits.
        struct Waiting<'a, F: Factory>(&'a Shared<F>);
        impl<F: Factory> Drop for Waiting<'_, F> {
            fn drop(&mut self) {
                self.0.stock().waiting -= 1;
            }
        }
        let shared = &self.0.shared;
        let began = rt::now();
        let until = *until.get_or_insert_with(|| later(began, shared.wait_max));
        let end = ctx.deadline().map_or(until, |deadline| deadline.min(until));
        let is_short = shared.stock().wait(began, end, first)?;
        let _waiting = Waiting(shared);
        if is_short {
            self.0.ring();
        }
        select! { biased;
            permit = shared.available.acquire(1) => match permit {
                Ok(permit) => {
                    permit.forget();
                    Ok(())
                }
                Err(_) => Err(Refused::Stopped),
            },
            cause = ctx.done() => Err(Refused::Cancelled(cause)),
            () = towpath::at(until) => {
                Err(Refused::Late { waited: rt::now().saturating_duration_since(began) })
            }
        }
    }

    /// How it stands now.
    pub fn snapshot(&self) -> Snapshot {
        self.0.shared.stock().snapshot()
    }
}

impl<F: Factory> Clone for Pool<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Factory> fmt::Debug for Pool<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.snapshot()).finish()
    }
}
