//! Spans: what was done for one message on its way through the network, for those that are sampled.
//!
//! ```
//! use towpath::{Traced, bounded};
//! use towpath_observe::span::{Sampling, Tracer};
//!
//! # const ORDERS: usize = 4;
//! # towpath::block_on(async {
//! let tracer = Tracer::new(Sampling::ratio(1.0));
//! let (orders, mut at_cook) = bounded(ORDERS);
//!
//! // Where work enters, a trace may begin.
//! let span = tracer.root("intake");
//! orders.send(span.traced("soup")).await.unwrap();
//! drop(span);
//!
//! // Behind the channel it goes on, if it began.
//! let (span, order) = tracer.receive("cook", at_cook.recv().await.unwrap());
//! assert_eq!(order, "soup");
//! drop(span.on("orders"));
//!
//! let traces = tracer.recent(10);
//! let [intake, cook] = &traces[0].spans[..] else { panic!("two spans") };
//! assert_eq!((&*intake.name, &*cook.name), ("intake", "cook"));
//! assert_eq!(cook.parent, Some(intake.id));
//! # });
//! ```
//!
//! # Which kind of relation
//! | work for | made by | relation |
//! |---|---|---|
//! | one message, in this program | [`receive`](Tracer::receive), [`span`](Tracer::span) | the sender's span is the parent |
//! | a request from outside | [`serve`](Tracer::serve) | the caller's span is the parent |
//! | several messages at once: a batch, a fan-in | [`linked`](Tracer::linked) | a trace of its own with a link to each |
//! | a message that was kept: from another host, a journal, a dead letter | [`linked`](Tracer::linked) | a trace of its own with a link |
//!
//! # What is promised
//! - *Sampled or not* is decided once, where a trace begins, by its id; everybody behind follows. A trace is recorded whole.
//! - *Nothing for the others*: a message that is not sampled carries no headers and makes no span. Where work enters that costs one random
//!   number, and behind a channel one look at a pointer.
//! - A span is recorded when it is dropped, by whoever drops it, also in a panic. What was begun and never dropped is not recorded.
//! - The last traces are kept ([`recent`](Tracer::recent)), the oldest goes when there are too many. What did not fit is counted.
//!
//! Headers of others that ride with a message (a tenant, say) go on with it.

mod open;
mod recent;
mod sampling;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use towpath::{Ctx, Headers, Traced, process::Name, rt};

use self::recent::Recent;
pub use self::{
    open::Span,
    recent::{Link, Record, Status, Trace},
    sampling::Sampling,
};
use crate::{
    metrics::{Samples, Source, families},
    trace::{Flags, SpanId, TraceContext, TraceId, TraceState},
};

/// Is given each span that has ended, besides the ring.
pub trait Export: Send + Sync {
    /// Takes a copy if it wants one. Called by whoever ends a span, so it does not wait.
    fn export(&self, trace: TraceId, span: &Record);
}

impl<E: Export + ?Sized> Export for Arc<E> {
    fn export(&self, trace: TraceId, span: &Record) {
        (**self).export(trace, span);
    }
}

/// Begins spans, and keeps the last. Cloning copies a pointer.
#[derive(Clone)]
pub struct Tracer {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    sampling: Sampling,
    recent: Mutex<Recent>,
    export: Option<Box<dyn Export>>,
    recorded: AtomicU64,
    /// Numbers given.
    numbers: AtomicU64,
}

impl Tracer {
    /// A tracer that records what `sampling` says.
    pub fn new(sampling: Sampling) -> Self {
        Self::make(sampling, None)
    }

    /// As [`new`](Self::new), and every span that is recorded is also given to `export`.
    pub fn exporting(sampling: Sampling, export: impl Export + 'static) -> Self {
        Self::make(sampling, Some(Box::new(export)))
    }

    fn make(sampling: Sampling, export: Option<Box<dyn Export>>) -> Self {
        let (recent, recorded, numbers) = Default::default();
        Self { shared: Arc::new(Shared { sampling, recent, export, recorded, numbers }) }
    }

    /// Begins a trace, where work enters; what is not sampled costs a random number.
    #[inline]
    pub fn root(&self, name: impl Into<Name>) -> Span {
        match self.shared.sampling.draw() {
            None => Span::none(Headers::none()),
            Some(low) => self.begin_trace(name.into(), low, Vec::new()),
        }
    }

    /// Work for a message that was received, and the message. Its parent is what it was sent under.
    #[inline]
    pub fn receive<T>(&self, name: impl Into<Name>, message: Traced<T>) -> (Span, T) {
        let (headers, value) = message.into_parts();
        (self.below(name.into(), headers), value)
    }

    /// Work under a context. Its parent is what the context carries.
    pub fn span(&self, name: impl Into<Name>, ctx: &Ctx) -> Span {
        self.below(name.into(), ctx.headers())
    }

    /// Work for a request that came with these fields. The caller decides whether it is sampled, unless
    /// [told otherwise](Sampling::ignoring_callers); without a caller it is as [`root`](Self::root).
    pub fn serve<'a, V: AsRef<[u8]>>(
        &self,
        name: impl Into<Name>,
        fields: impl IntoIterator<Item = (&'a str, V)>,
    ) -> Span {
        match TraceContext::extract(fields) {
            Ok(Some(caller)) if self.shared.sampling.follows(&caller) => {
                let caller = TraceContext { flags: caller.flags.sampled(true), ..caller };
                self.begin_below(name.into(), caller, &Headers::none())
            }
            // It goes on as it came, so that whom we call belongs to the caller's trace.
            Ok(Some(caller)) => {
                let here = TraceContext { flags: caller.flags.sampled(false), ..caller };
                Span::none(here.to_headers())
            }
            Ok(None) | Err(_) => self.root(name),
        }
    }

    /// Work for what came under each of these headers, in a trace of its own: for a batch, a fan-in, a message from another host or one
    /// that was kept. Recorded if one of them was.
    ///
    /// ```
    /// # use towpath_observe::span::{Sampling, Tracer};
    /// # let tracer = Tracer::new(Sampling::ratio(1.0));
    /// let batch = [tracer.root("one").traced(1), tracer.root("other").traced(2)];
    /// let span = tracer.linked("store", batch.iter().map(|order| order.headers()));
    /// drop(span);
    /// assert_eq!(tracer.recent(1)[0].spans[0].links.len(), 2);
    /// ```
    pub fn linked<'a>(
        &self,
        name: impl Into<Name>,
        headers: impl IntoIterator<Item = &'a Headers>,
    ) -> Span {
        let links: Vec<Link> = headers
            .into_iter()
            .filter(|headers| !headers.is_empty())
            .filter_map(|headers| Link::to(&TraceContext::from_headers(headers)?))
            .collect();
        if links.is_empty() {
            return Span::none(Headers::none());
        }
        self.begin_trace(name.into(), rt::random(), links)
    }

    /// The last `limit` traces, the newest first. Copies them.
    pub fn recent(&self, limit: usize) -> Vec<Trace> {
        self.shared.recent().list(limit)
    }

    /// The trace with this id, if it is still kept.
    pub fn trace(&self, id: TraceId) -> Option<Trace> {
        self.shared.recent().get(id)
    }

    #[inline]
    fn below(&self, name: Name, headers: Headers) -> Span {
        // Nearly always.
        if headers.is_empty() {
            return Span::none(headers);
        }
        self.below_headers(name, headers)
    }

    #[cold]
    fn below_headers(&self, name: Name, headers: Headers) -> Span {
        match TraceContext::from_headers(&headers) {
            Some(parent) if parent.flags.is_sampled() => self.begin_below(name, parent, &headers),
            _ => Span::none(headers),
        }
    }

    fn begin_below(&self, name: Name, parent: TraceContext, headers: &Headers) -> Span {
        let span = parent.span;
        let here = TraceContext { span: self.shared.span_id(), ..parent };
        Span::begin(self.shared.clone(), name, here, Some(span), Vec::new(), headers)
    }

    /// `low` is the end of its id.
    #[cold]
    fn begin_trace(&self, name: Name, low: u64, links: Vec<Link>) -> Span {
        let here = TraceContext {
            trace: TraceId::of_halves(self.shared.number(), low),
            span: self.shared.span_id(),
            flags: Flags::from_byte(0b11),
            state: TraceState::default(),
        };
        Span::begin(self.shared.clone(), name, here, None, links, &Headers::none())
    }
}

impl Shared {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By chance, and never twice from one tracer, however often chance gives the same, as the simulator may.
    fn number(&self) -> u64 {
        // An odd factor: no two products are the same.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        rt::random() ^ (number + 1).wrapping_mul(SPREAD)
    }

    fn span_id(&self) -> SpanId {
        SpanId::of_number(self.number())
    }

    /// A span has ended.
    fn record(&self, trace: TraceId, span: Record) {
        if let Some(export) = &self.export {
            export.export(trace, &span);
        }
        self.recorded.fetch_add(1, Ordering::Relaxed);
        self.recent().put(trace, span);
    }
}

/// Tells how many spans were recorded ([`families::SPANS`]).
impl Source for Tracer {
    fn collect(&self, to: &mut Samples<'_>) {
        let dropped = self.shared.recent().dropped();
        let recorded = self.shared.recorded.load(Ordering::Relaxed);
        to.put(&families::SPANS, &["recorded"], recorded);
        to.put(&families::SPANS, &["too_many_in_trace"], dropped);
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("sampling", &self.shared.sampling).finish_non_exhaustive()
    }
}
