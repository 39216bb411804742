//! The place of a process at its node: the orders it has, and what is counted of it.
//!
//! What always holds: an order is seen by whoever waits at an input, and no message that was taken is lost by it: a wait that an order
//! interrupts is dropped, which a receive allows.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use towpath::{Canceller, Cause, Ctx, Sender, process, rendezvous};
use towpath_observe::span::Tracer;

use crate::{ports::Ports, spans::Spans};

/// What a process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Work.
    Go,
    /// Take nothing until told otherwise.
    Pause,
    /// Take nothing more, finish what was taken, and wait for another order.
    Leave,
    /// Leave the ports behind, and go.
    HandOver,
}

/// The lowest bits of the state are the order; the rest counts changes.
const ORDER_BITS: u32 = 2;

/// Where a process sits.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) name: String,
    /// What it does for messages of traces.
    pub(crate) spans: Spans,
    state: AtomicU64,
    /// Who waits for a change, each once.
    listeners: Mutex<Listeners>,
    /// Times that its body was begun.
    pub(crate) starts: AtomicU64,
    /// Runs that ended with an error, behind which it begins again.
    pub(crate) failures: AtomicU64,
    /// Messages that it has sent.
    pub(crate) sent: AtomicU64,
    /// Messages that it gave up.
    pub(crate) refused: AtomicU64,
    place: Mutex<Place>,
}

/// Who waits for a change.
#[derive(Debug, Default)]
struct Listeners {
    /// By number: nobody who looks for who could bring a process on counts these.
    processes: Vec<u64>,
    /// Who is none.
    others: Vec<Waker>,
}

/// How far the body is.
#[derive(Debug, Default)]
struct Place {
    /// Ends the context of a source; `None` while no source runs.
    stop: Option<Canceller>,
    /// It was told to end, and ends when it begins again.
    stopped: bool,
    /// Having let go, it is to begin again by itself.
    renew: bool,
    /// This run of the body was told to end before it had done all.
    cut: bool,
    at: At,
    /// Who waits for it to leave.
    leaving: Option<Sender<()>>,
    handed: Option<Ports>,
}

/// How far a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum At {
    /// It was not begun yet, or waits to be begun again.
    #[default]
    Door,
    Work,
    /// It has left, as it was told, and can come back.
    Left,
    /// It has returned for good.
    Gone,
}

/// A version of the state; another one later means that something changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version(u64);

impl Version {
    pub(crate) fn order(self) -> Order {
        match self.0 & ((1 << ORDER_BITS) - 1) {
            0 => Order::Go,
            1 => Order::Pause,
            2 => Order::Leave,
            _ => Order::HandOver,
        }
    }
}

impl Seat {
    pub(crate) fn new(name: &str, tracer: Tracer) -> Self {
        let (state, listeners, place) = Default::default();
        let [starts, failures, sent, refused] = [const { AtomicU64::new(0) }; 4];
        let spans = Spans::new(name, tracer);
        let name = name.to_owned();
        Self { name, spans, state, listeners, starts, failures, sent, refused, place }
    }

    #[inline]
    pub(crate) fn version(&self) -> Version {
        // Acquire: who sees a change sees what came with it.
        Version(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn order(&self, order: Order) {
        let order = order as u64;
        let change = |state: u64| Some(((state >> ORDER_BITS) + 1) << ORDER_BITS | order);
        // It gives a value for every state.
        let _ = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        self.wake();
    }

    /// Something at one of its inputs has changed.
    pub(crate) fn ring(&self) {
        self.state.fetch_add(1 << ORDER_BITS, Ordering::AcqRel);
        self.wake();
    }

    fn wake(&self) {
        let Listeners { processes, others } = std::mem::take(&mut *self.listeners());
        for process in processes {
            process::nudge(process);
        }
        others.into_iter().for_each(Waker::wake);
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        // Nothing under this lock panics.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, cx: &Context<'_>) {
        let process = process::current().map(|process| process.id());
        let mut listeners = self.listeners();
        match process {
            Some(id) if listeners.processes.contains(&id) => {}
            Some(id) => listeners.processes.push(id),
            None if listeners.others.iter().any(|waker| waker.will_wake(cx.waker())) => {}
            None => listeners.others.push(cx.waker().clone()),
        }
    }

    /// Waits until the state is another than `version`.
    pub(crate) async fn changed(&self, version: Version) {
        self.unless_changed(version, std::future::pending::<()>()).await;
    }

    /// What `work` gives; `None` when the state became another first, and `work` was dropped.
    pub(crate) async fn unless_changed<T>(
        &self,
        version: Version,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(value) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            // First registered, then looked: a change in between is seen or wakes.
            self.listen(cx);
            if self.version() == version { Poll::Pending } else { Poll::Ready(None) }
        })
        .await
    }

    /// Waits while it is told to pause.
    #[inline]
    pub(crate) async fn while_paused(&self) {
        loop {
            let version = self.version();
            if version.order() != Order::Pause {
                return;
            }
            self.changed(version).await;
        }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        // Nothing under this lock panics.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn at(&self) -> At {
        self.place().at
    }

    /// The body is about to begin. A source gets a context that ends when it is told to.
    pub(crate) fn enter(&self, ctx: &Ctx, is_source: bool) -> Ctx {
        self.starts.fetch_add(1, Ordering::Relaxed);
        // No operation on contexts or channels under the lock.
        let (ctx, canceller) = if is_source {
            let (ctx, canceller) = ctx.with_cancel();
            (ctx, Some(canceller))
        } else {
            (ctx.clone(), None)
        };
        let mut place = self.place();
        place.at = At::Work;
        place.cut = is_source && place.stopped;
        let (now, before) = if place.cut {
            (canceller, place.stop.take())
        } else {
            (None, std::mem::replace(&mut place.stop, canceller))
        };
        drop(place);
        drop(before);
        if let Some(canceller) = now {
            canceller.cancel(Cause::Stopped);
        }
        ctx
    }

    /// Ends the context of a source, of this run and of those to come.
    pub(crate) fn stop(&self) {
        let mut place = self.place();
        place.stopped = true;
        place.cut = true;
        let stop = place.stop.take();
        drop(place);
        if let Some(stop) = stop {
            stop.cancel(Cause::Stopped);
        }
    }

    /// An input has told the body to end although more may come.
    #[cold]
    pub(crate) fn cut(&self) {
        self.place().cut = true;
    }

    /// Whether the body, which has returned, was told to, and may be begun again.
    pub(crate) fn was_cut(&self) -> bool {
        self.place().cut
    }

    /// Whether the process was told to end for good.
    pub(crate) fn is_stopped(&self) -> bool {
        self.place().stopped
    }

    /// Sources may begin again.
    pub(crate) fn unstop(&self) {
        self.place().stopped = false;
    }

    /// Says how far the body is; whoever waits for it to leave is told.
    pub(crate) fn reached(&self, at: At) {
        let mut place = self.place();
        place.at = at;
        let leaving = if at == At::Work { None } else { place.leaving.take() };
        drop(place);
        // Its receiver hears of it by the end of the channel.
        drop(leaving);
    }

    /// As [`reached`](Self::reached), if it is told to let go.
    pub(crate) fn reached_if_told(&self, at: At) {
        if matches!(self.version().order(), Order::Leave | Order::HandOver) {
            self.reached(at);
        }
    }

    /// Lets it begin again, as soon as it has finished what it has taken.
    pub(crate) fn renew(&self, is_source: bool) {
        self.place().renew = true;
        // Told before its context ends: a source that ends without being told to leave goes for good.
        self.order(Order::Leave);
        let mut place = self.place();
        // Unless it has begun again already, and is as it should be.
        if is_source && place.renew {
            place.stopped = true;
            place.cut = true;
            let stop = place.stop.take();
            drop(place);
            if let Some(stop) = stop {
                stop.cancel(Cause::Stopped);
            }
        }
    }

    /// Whether it is to begin again by itself; asked once.
    pub(crate) fn renews(&self) -> bool {
        std::mem::take(&mut self.place().renew)
    }

    /// Waits until the body has left or gone; at once when it is not at work.
    pub(crate) async fn wait_left(&self) {
        // No operation on channels under the lock.
        let (tx, mut left) = rendezvous::<()>();
        let before = {
            let mut place = self.place();
            if matches!(place.at, At::Left | At::Gone) {
                return;
            }
            place.leaving.replace(tx)
        };
        drop(before);
        // It ends without a message.
        let _ = left.recv().await;
    }

    pub(crate) fn hand_over(&self, ports: Ports) {
        let before = self.place().handed.replace(ports);
        drop(before);
    }

    pub(crate) fn take_handed(&self) -> Option<Ports> {
        self.place().handed.take()
    }
}
