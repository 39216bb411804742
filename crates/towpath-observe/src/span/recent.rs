//! The last traces.
//!
//! What always holds: at most [`TRACES_KEPT`] traces of at most [`SPANS_MAX`] spans; a trace goes as a whole, the one that began first to
//! be recorded before the others.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::trace::{SpanId, TraceContext, TraceId};

/// Traces kept to be looked at.
///
/// At one in a hundred of 2,000 requests a second these are the last twelve seconds; a person reads ten.
const TRACES_KEPT: usize = 256;

/// Spans kept of one trace; who batches without end would fill the memory with one.
const SPANS_MAX: usize = 512;

/// Work that was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// Its own id.
    pub id: SpanId,
    /// The span it was done for, which may be another program's.
    pub parent: Option<SpanId>,
    /// What else it was done for.
    pub links: Vec<Link>,
    /// What was done.
    pub name: String,
    /// Who did it, if a scope, supervisor or network knows who runs there.
    pub process: Option<String>,
    /// Through which channel the message came, if that was [said](super::Span::on).
    pub channel: Option<String>,
    /// When it began, in microseconds since 1970.
    pub start_us: u64,
    /// When it ended. By a clock that does not jump, so never before it began.
    pub end_us: u64,
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A span of any trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[non_exhaustive]
pub struct Link {
    /// Which trace.
    pub trace: TraceId,
    /// Which span of it.
    pub span: SpanId,
}

impl Link {
    /// To a place that is recorded.
    pub(super) fn to(place: &TraceContext) -> Option<Self> {
        place.flags.is_sampled().then_some(Self { trace: place.trace, span: place.span })
    }
}

/// How work ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody said otherwise.
    Ok,
    /// It failed, or panicked.
    Error,
}

/// A trace, as far as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Trace {
    /// Which one.
    pub trace: TraceId,
    /// Its spans, those that began first in front.
    pub spans: Vec<Record>,
}

#[derive(Default)]
pub(super) struct Recent {
    /// In the order in which they ended.
    traces: BTreeMap<TraceId, Vec<Record>>,
    /// The one that was recorded first in front.
    order: VecDeque<TraceId>,
    dropped: u64,
}

impl Recent {
    pub(super) fn put(&mut self, trace: TraceId, span: Record) {
        let spans = self.traces.entry(trace).or_insert_with(|| {
            self.order.push_back(trace);
            Vec::new()
        });
        if spans.len() < SPANS_MAX {
            spans.push(span);
        } else {
            self.dropped += 1;
        }
        if self.order.len() > TRACES_KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.traces.remove(&oldest);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn list(&self, limit: usize) -> Vec<Trace> {
        self.order.iter().rev().take(limit).filter_map(|id| self.get(*id)).collect()
    }

    pub(super) fn get(&self, id: TraceId) -> Option<Trace> {
        let mut spans = self.traces.get(&id)?.clone();
        spans.sort_by_key(|span| span.start_us);
        Some(Trace { trace: id, spans })
    }
}
