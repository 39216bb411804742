//! Spans of a process: what it does for the messages that it has received from traced channels.
//!
//! What always holds:
//! - A message of a trace that is recorded has in its headers the span of the process in whose hands it is, and so has what the process makes
//!   of it. On its way through a channel it has the span of who sent it.
//! - A span lasts from when its message was received until the process has let go of it and of all that carries its headers: sent, refused
//!   or dropped. So bodies know nothing of spans.
//! - Where nothing is traced that is one look at a flag, behind a receive and before a send.
//!
//! How it is known that a process has let go: the table holds the same bytes that the headers hold, and counts who else does. What is sent
//! gets a copy of its own.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use indexmap::IndexMap;
use towpath::{Headers, Traced, process::Name, rt};
use towpath_observe::span::{Span, Tracer};

use crate::{file::Trace, ports::Message};

/// Spans that are open at once in a process; of further messages only what others do is recorded.
///
/// 4,096 are a second of what is sampled of 40,000 messages a second, in a process that holds each for as long.
const OPEN_MAX: usize = 4096;

/// Spans that are looked at when a process comes for its next message: all, in a process that has one message at a time.
const LOOKED_AT: usize = 64;

/// The spans of a process.
pub(crate) struct Spans {
    tracer: Tracer,
    process: Name,
    /// Something is in the table.
    any: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    /// By the place of the bytes that their headers are.
    open: IndexMap<usize, Open>,
    /// Where to look next.
    next: usize,
}

struct Open {
    held: Arc<[u8]>,
    span: Span,
    /// When something was sent under it the last time.
    sent: Option<Instant>,
}

impl Open {
    fn is_over(&self) -> bool {
        Arc::strong_count(&self.held) == 1
    }

    fn end(self, now: Instant) {
        self.span.ended(self.sent.unwrap_or(now));
    }
}

fn place(headers: &Headers) -> usize {
    headers.as_bytes().as_ptr() as usize
}

/// As a message on its way has them: nobody else has these.
fn copy(headers: &Headers) -> Headers {
    Headers::new(headers.as_bytes())
}

impl Spans {
    pub(crate) fn new(process: &str, tracer: Tracer) -> Self {
        let process = Name::from(process.to_owned());
        Self { tracer, process, any: AtomicBool::new(false), table: Mutex::default() }
    }

    /// A message was received from a channel that is traced so.
    #[inline]
    pub(crate) fn received(&self, message: Message, trace: Trace, channel: &str) -> Message {
        if trace == Trace::Off || message.headers().is_empty() {
            return message;
        }
        self.begin(message, trace, channel)
    }

    #[cold]
    fn begin(&self, message: Message, trace: Trace, channel: &str) -> Message {
        let headers = message.headers().clone();
        let span = match trace {
            Trace::Link => self.tracer.linked(self.process.clone(), [&headers]),
            _ => self.below(&headers),
        };
        let headers = self.hold(span.on(Name::from(channel.to_owned())), headers);
        let (_, body) = message.into_parts();
        Traced::new(headers, body)
    }

    /// Work for one message more, under the headers of an earlier one: what time has brought about, say.
    pub(crate) fn go_on(&self, headers: &Headers) -> Headers {
        if headers.is_empty() {
            return Headers::none();
        }
        self.hold(self.below(headers), headers.clone())
    }

    /// Work for what came under all of these: in a trace of its own, with a link to each. Without one that is recorded, the headers of the
    /// first.
    pub(crate) fn gather<'a>(&self, all: impl IntoIterator<Item = &'a Headers> + Clone) -> Headers {
        let first = all.clone().into_iter().next().cloned().unwrap_or_default();
        if all.clone().into_iter().all(Headers::is_empty) {
            return first;
        }
        self.hold(self.tracer.linked(self.process.clone(), all), first)
    }

    fn below(&self, headers: &Headers) -> Span {
        self.tracer.receive(self.process.clone(), Traced::new(headers.clone(), ())).0
    }

    /// The headers of a span, which ends when nobody has them any more. `carried` are those that it came with.
    fn hold(&self, span: Span, carried: Headers) -> Headers {
        let Some(here) = span.context() else { return carried };
        let headers = here.put_into(&carried);
        let held: Arc<[u8]> = headers.as_bytes().into();
        let span = span.by(self.process.clone());
        let mut table = self.lock();
        if table.open.len() >= OPEN_MAX {
            drop(table);
            // It is recorded as one that took no time.
            drop(span);
            return headers;
        }
        let headers = Headers::new(held.clone());
        table.open.insert(place(&headers), Open { held, span, sent: None });
        self.any.store(true, Ordering::Relaxed);
        headers
    }

    /// A message that is about to be sent. What comes back second is to be given to [`sent`](Self::sent).
    #[inline]
    pub(crate) fn leaving(&self, message: Message) -> (Message, Leaving) {
        // Relaxed: who has a message that was received has seen what its receiver wrote.
        if !self.any.load(Ordering::Relaxed) || message.headers().is_empty() {
            return (message, Leaving::default());
        }
        let key = place(message.headers());
        if !self.lock().open.contains_key(&key) {
            return (message, Leaving::default());
        }
        let (headers, body) = message.into_parts();
        (Traced::new(copy(&headers), body), Leaving { key: Some(key), span: None })
    }

    /// As [`leaving`](Self::leaving), from a process in which traces begin, or come in from outside: it has a span of its own for the
    /// message, since it was asked for it.
    pub(crate) fn entering(&self, message: Message, since: Option<Instant>) -> (Message, Leaving) {
        let (message, leaving) = self.leaving(message);
        if leaving.key.is_some() {
            return (message, leaving);
        }
        let (headers, body) = message.into_parts();
        let span = if headers.is_empty() {
            self.tracer.root(self.process.clone())
        } else {
            self.below(&headers)
        };
        let Some(here) = span.context() else {
            return (Traced::new(headers, body), leaving);
        };
        let headers = here.put_into(&headers);
        let span = span.by(self.process.clone());
        let span = match since {
            Some(since) => span.since(since),
            None => span,
        };
        (Traced::new(headers, body), Leaving { key: None, span: Some(span) })
    }

    /// A message was sent, or could not be.
    #[inline]
    pub(crate) fn sent(&self, leaving: Leaving) {
        if let Some(key) = leaving.key {
            self.let_go(key);
        }
    }

    #[cold]
    fn let_go(&self, key: usize) {
        let now = rt::now();
        let mut table = self.lock();
        let Some(open) = table.open.get_mut(&key) else { return };
        open.sent = Some(now);
        let over = if open.is_over() { table.open.swap_remove(&key) } else { None };
        self.any.store(!table.open.is_empty(), Ordering::Relaxed);
        // It is recorded, and handed to an exporter, outside of the lock.
        drop(table);
        if let Some(open) = over {
            open.end(now);
        }
    }

    /// Ends the spans whose messages are in nobody's hands any more.
    #[inline]
    pub(crate) fn settle(&self) {
        if self.any.load(Ordering::Relaxed) {
            self.look(LOOKED_AT);
        }
    }

    /// As [`settle`](Self::settle), of all.
    pub(crate) fn settle_all(&self) {
        self.look(usize::MAX);
    }

    #[cold]
    fn look(&self, most: usize) {
        let now = rt::now();
        let mut over = Vec::new();
        let mut table = self.lock();
        let Table { open, next } = &mut *table;
        for _ in 0..most.min(open.len()) {
            if *next >= open.len() {
                *next = 0;
            }
            match open.get_index(*next) {
                Some((_, it)) if it.is_over() => over.extend(open.swap_remove_index(*next)),
                _ => *next += 1,
            }
        }
        self.any.store(!open.is_empty(), Ordering::Relaxed);
        drop(table);
        over.into_iter().for_each(|(_, open)| open.end(now));
    }

    /// The work under these headers has failed.
    pub(crate) fn fail(&self, headers: &Headers, why: &str) {
        if !headers.is_empty()
            && let Some(open) = self.lock().open.get_mut(&place(headers))
        {
            open.span.fail(why);
        }
    }

    /// A run of the process has failed, and with it what was in its hands alone.
    pub(crate) fn fail_all(&self, why: &str) {
        for open in self.lock().open.values_mut().filter(|open| open.is_over()) {
            open.span.fail(why);
        }
        self.settle_all();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing under this lock panics.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").field("open", &self.lock().open.len()).finish_non_exhaustive()
    }
}

/// A message on its way out of a process.
#[derive(Default)]
#[must_use = "whoever sends says when it is sent"]
pub(crate) struct Leaving {
    /// The span under which it was made.
    key: Option<usize>,
    /// One of its own, which ends with the send.
    span: Option<Span>,
}

impl Leaving {
    /// It could not be sent.
    pub(crate) fn failed(&mut self, why: &str) {
        if let Some(span) = &mut self.span {
            span.fail(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use towpath_observe::span::{Sampling, Status};

    use super::*;

    fn spans() -> Spans {
        Spans::new("cook", Tracer::new(Sampling::ratio(1.0)))
    }

    /// A message with a trace of its own, as it comes out of a channel.
    fn order(spans: &Spans) -> Message {
        let (message, leaving) = spans.entering(Traced::from(json!(1)), None);
        spans.sent(leaving);
        message
    }

    #[test]
    fn a_span_ends_when_all_that_carries_it_has_gone() {
        let spans = spans();
        let first = spans.received(order(&spans), Trace::Parent, "orders");
        let again = first.clone();
        let recorded = || spans.tracer.recent(1)[0].spans.len();
        let (sent, leaving) = spans.leaving(first);
        assert_eq!(sent.headers(), again.headers(), "they say the same");
        spans.sent(leaving);
        assert_eq!(recorded(), 1, "one is still in its hands");
        drop(again);
        spans.settle();
        assert_eq!(recorded(), 2, "what is on its way is another's");
        let trace = &spans.tracer.recent(1)[0];
        assert_eq!(trace.spans[1].parent, Some(trace.spans[0].id));
        assert_eq!(trace.spans[1].channel.as_deref(), Some("orders"));
        assert_eq!(trace.spans[1].process.as_deref(), Some("cook"));
        assert!(!spans.any.load(Ordering::Relaxed));
    }

    #[test]
    fn a_link_begins_another_trace() {
        let spans = spans();
        let order = order(&spans);
        let sender = spans.tracer.recent(1)[0].trace;
        let linked = spans.received(order, Trace::Link, "orders");
        spans.fail(linked.headers(), "burnt");
        drop(linked);
        spans.settle_all();
        let traces = spans.tracer.recent(2);
        let cook = traces.iter().find(|it| it.trace != sender).unwrap();
        assert_eq!(cook.spans[0].links[0].trace, sender);
        assert_eq!((cook.spans[0].status, cook.spans[0].parent), (Status::Error, None));
    }

    #[test]
    fn what_is_not_recorded_goes_on_as_it_came() {
        let spans = Spans::new("cook", Tracer::new(Sampling::NONE));
        for text in [
            "",
            "tenant: a",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
        ] {
            let headers = Headers::new(text.as_bytes());
            let message = Traced::new(headers.clone(), json!(1));
            for trace in [Trace::Off, Trace::Parent, Trace::Link] {
                let received = spans.received(message.clone(), trace, "orders");
                assert_eq!(received.headers(), &headers, "{text:?} {trace:?}");
                let (sent, leaving) = spans.entering(received, None);
                spans.sent(leaving);
                assert_eq!(sent.headers(), &headers, "{text:?} {trace:?}");
            }
            assert_eq!(spans.gather([&headers, &headers]), headers);
        }
        assert!(spans.tracer.recent(1).is_empty());
    }

    #[test]
    fn too_many_are_recorded_and_not_held() {
        let spans = spans();
        let held: Vec<_> = (0..OPEN_MAX + 10)
            .map(|_| spans.received(order(&spans), Trace::Parent, "orders"))
            .collect();
        assert_eq!(spans.lock().open.len(), OPEN_MAX);
        drop(held);
        for _ in 0..OPEN_MAX / LOOKED_AT {
            spans.settle();
        }
        assert_eq!(spans.lock().open.len(), 0, "each was looked at");
    }
}
