//! The pool's process: makes, closes, asks the [`Sizing`] at each tick, and stops.
//!
//! It is woken by a bell when somebody waits or something is to be closed. Making and closing are processes of their own, in a
//! scope inside this one, so a slow one delays nobody; each runs in a small scope, where a panic is an error like any other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use towpath::{Ctx, Receiver, Scope, Sender, bounded, rt, scope, select};

use super::{
    Factory, Failing, Shared, Sizing,
    stock::{Fate, later},
};
use crate::fault::{Classify, Times};

/// Ends of makings and closings that the process may be behind.
///
/// Whoever has made something has put it on the shelf before it tells, so only the next making waits.
const ENDS: usize = 16;

/// Something that was under way has ended; it counts until this is dropped.
enum End<F: Factory> {
    Made,
    Failed { trouble: Trouble, _making: Making<F> },
    Closed { _closing: Closing<F> },
}

/// Why nothing was made.
struct Trouble {
    text: Arc<str>,
    retry_after: Option<Duration>,
}

impl Trouble {
    fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), retry_after: None }
    }
}

/// One that is being made.
struct Making<F: Factory> {
    shared: Arc<Shared<F>>,
    /// It counts elsewhere by now.
    has_joined: bool,
}

impl<F: Factory> Making<F> {
    /// From here it counts where it is.
    fn joins(mut self) {
        self.has_joined = true;
    }
}

impl<F: Factory> Drop for Making<F> {
    fn drop(&mut self) {
        if !self.has_joined {
            self.shared.stock().making -= 1;
        }
    }
}

/// One that is being closed.
struct Closing<F: Factory>(Arc<Shared<F>>);

impl<F: Factory> Drop for Closing<F> {
    fn drop(&mut self) {
        self.0.stock().closing -= 1;
    }
}

/// Says that nobody closes anything any more, also when the process is dropped.
struct Ending<F: Factory>(Arc<Shared<F>>);

impl<F: Factory> Drop for Ending<F> {
    fn drop(&mut self) {
        self.0.available.close();
        let left = {
            let mut stock = self.0.stock();
            stock.stop();
            stock.end()
        };
        drop(left);
    }
}

struct Keeper<F: Factory> {
    shared: Arc<Shared<F>>,
    scope: Scope,
    ends: Sender<End<F>>,
    sizing: Sizing,
    /// Makings that failed in a row, since when, and when the next may begin.
    failures: u32,
    failing_since: Instant,
    not_before: Option<Instant>,
}

/// Serves until the context ends or every handle and lease is gone; then closes what there is.
pub(super) async fn keep<F: Factory>(ctx: Ctx, shared: Arc<Shared<F>>, bell: Receiver<()>) {
    let _ending = Ending(shared.clone());
    let inner = ctx.clone();
    // Nothing in it fails: what its processes meet they tell as a value. It is cut short by the context, after the closing.
    let _ = scope(&ctx, |scope| async move {
        let (ends, mut told) = bounded(ENDS);
        let sizing = Sizing::new(shared.sizing());
        let failing_since = rt::now();
        let mut keeper =
            Keeper { shared, scope, ends, sizing, failures: 0, failing_since, not_before: None };
        let bell = keeper.serve(&inner, bell, &mut told).await;
        keeper.stop(bell, &mut told).await;
        Ok(())
    })
    .await;
}

impl<F: Factory> Keeper<F> {
    /// Gives the bell back if handles are left.
    async fn serve(
        &mut self,
        ctx: &Ctx,
        mut bell: Receiver<()>,
        told: &mut Receiver<End<F>>,
    ) -> Option<Receiver<()>> {
        let mut tick = towpath::tick(self.sizing.policy().tick);
        loop {
            self.work();
            let again = self.not_before.map(towpath::at);
            select! {
                _ = ctx.done() => return Some(bell),
                rung = bell.recv() => rung?,
                end = told.recv() => self.ended(end),
                _ = tick.recv() => self.tick(),
                () = again => self.not_before = None,
            }
        }
    }

    /// Lends nothing any more, closes everything, and waits a while for what is lent.
    async fn stop(&mut self, mut bell: Option<Receiver<()>>, told: &mut Receiver<End<F>>) {
        self.shared.available.close();
        self.shared.stock().stop();
        self.scope.cancel("the pool stops");
        let over = towpath::at(later(rt::now(), self.shared.stop_max));
        let mut over = std::pin::pin!(over);
        loop {
            self.work();
            if self.shared.stock().is_empty() {
                return;
            }
            select! {
                rung = bell.as_mut().map(Receiver::recv) => if rung.is_none() {
                    bell = None;
                },
                // Counted down; how it went is no matter any more.
                end = told.recv() => drop(end),
                () = select::future(over.as_mut()) => return,
            }
        }
    }

    /// Closes and makes what is to be.
    fn work(&mut self) {
        loop {
            let Some(instance) = self.shared.stock().next_to_close() else { break };
            self.close(instance);
        }
        if self.not_before.is_some() {
            return;
        }
        let count = {
            let mut stock = self.shared.stock();
            let count = stock.to_make(self.failures);
            stock.making += count;
            count
        };
        (0..count).for_each(|_| self.make());
    }

    /// Starts the making of one that counts already.
    fn make(&self) {
        let making = Making { shared: self.shared.clone(), has_joined: false };
        let ends = self.ends.clone();
        self.scope.spawn("make", move |ctx| async move {
            let shared = making.shared.clone();
            let end = match make(&ctx, &shared).await {
                Err(trouble) => End::Failed { trouble, _making: making },
                Ok(instance) => {
                    making.joins();
                    let fate = shared.stock().join(instance, rt::now());
                    match fate {
                        Fate::Idle => shared.available.add_permits(1),
                        Fate::Retired => {}
                        Fate::Left(item) => drop(item),
                    }
                    End::Made
                }
            };
            // Nobody there: the pool has ended.
            let _ = ends.send(end).await;
        });
    }

    fn close(&self, instance: F::Instance) {
        let closing = Closing(self.shared.clone());
        let ends = self.ends.clone();
        self.scope.spawn("close", move |_ctx| async move {
            let shared = closing.0.clone();
            close(&shared, instance).await;
            let _ = ends.send(End::Closed { _closing: closing }).await;
        });
    }

    fn ended(&mut self, end: Option<End<F>>) {
        match end {
            Some(End::Made) => {
                self.failures = 0;
                self.shared.stock().failing = None;
            }
            Some(End::Failed { trouble, .. }) => self.failed(trouble),
            // Counted down by being dropped here. We have a sender, so there is always somebody who could tell.
            Some(End::Closed { .. }) | None => {}
        }
    }

    /// Backs off.
    fn failed(&mut self, trouble: Trouble) {
        let now = rt::now();
        if self.failures == 0 {
            self.failing_since = now;
        }
        self.failures = self.failures.saturating_add(1);
        let backoff = &self.shared.backoff;
        let times = Times { failures: self.failures, began: self.failing_since, now, end: None };
        // A pool never gives up: when the attempts, the time or the budget are used up, it goes on at the slowest pace.
        let until = backoff
            .next_attempt(times, trouble.retry_after, rt::random())
            .unwrap_or_else(|_| later(now, backoff.ceiling(self.failures)));
        self.not_before = Some(until);
        let mut stock = self.shared.stock();
        stock.counts.failures += 1;
        stock.failing = Some(Failing { until, failures: self.failures, text: trouble.text });
    }

    fn tick(&mut self) {
        let now = rt::now();
        let tally = self.shared.stock().next_tally();
        let plan = self.sizing.tick(&tally);
        self.shared.stock().size = plan.size;
        loop {
            if self.shared.stock().first_expired(now).is_none() {
                break;
            }
            // Its permit first, or somebody might count on it; those who wait go before the tidying up.
            let Ok(permit) = self.shared.available.try_acquire(1) else { break };
            permit.forget();
            if !self.shared.stock().expire(now) {
                // Somebody has taken it meanwhile.
                self.shared.available.add_permits(1);
                break;
            }
        }
    }
}

/// Makes one that is healthy.
async fn make<F: Factory>(ctx: &Ctx, shared: &Shared<F>) -> Result<F::Instance, Trouble> {
    let one = ctx.with_timeout(shared.make_max);
    let body = |_| async {
        let mut instance = match shared.factory.make(one.clone()).await {
            Ok(instance) => instance,
            Err(error) => {
                let retry_after = error.retry_after();
                return Ok(Err(Trouble { text: error.to_string().into(), retry_after }));
            }
        };
        if shared.factory.is_healthy(&mut instance).await {
            return Ok(Ok(instance));
        }
        shared.factory.close(instance).await;
        Ok(Err(Trouble::new("it was not healthy when it was made")))
    };
    select! { biased;
        made = select::future(scope(ctx, body)) => match made {
            Ok(made) => made,
            Err(panic) => Err(Trouble::new(panic.to_string())),
        },
        cause = one.done() => Err(Trouble::new(cause.to_string())),
    }
}

/// Closes one, and does not wait for ever.
async fn close<F: Factory>(shared: &Shared<F>, instance: F::Instance) {
    // Under a context of its own: closing goes on when the pool's has ended.
    let closing = scope(&Ctx::root(), |_| async {
        shared.factory.close(instance).await;
        Ok(())
    });
    select! { biased;
        // A panic while closing: there is nothing left to do about it.
        _ = select::future(closing) => {}
        () = towpath::after(shared.close_max) => {}
    }
}
