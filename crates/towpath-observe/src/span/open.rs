//! A span that is under way.

use std::{
    fmt, mem,
    sync::Arc,
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use towpath::{
    Ctx, Headers, Traced,
    process::{self, Name},
    rt,
};

use super::{
    Shared,
    recent::{Link, Record, Status},
};
use crate::trace::{SpanId, TraceContext};

/// A piece of work for a message, from when this was made until it is dropped. Most are of messages that are not sampled and are nothing
/// but the headers that go on.
#[must_use = "a span ends when it is dropped"]
pub struct Span {
    headers: Headers,
    open: Option<Box<Open>>,
}

struct Open {
    shared: Arc<Shared>,
    here: TraceContext,
    parent: Option<SpanId>,
    links: Vec<Link>,
    name: Name,
    process: Option<Name>,
    channel: Option<Name>,
    began: Instant,
    wall: SystemTime,
    /// When it ended, if that was before it is dropped.
    ended: Option<Instant>,
    why: Option<String>,
}

impl Span {
    #[inline]
    pub(super) fn none(headers: Headers) -> Self {
        Self { headers, open: None }
    }

    pub(super) fn begin(
        shared: Arc<Shared>,
        name: Name,
        here: TraceContext,
        parent: Option<SpanId>,
        links: Vec<Link>,
        carried: &Headers,
    ) -> Self {
        let process = process::current().map(|process| process.name().clone());
        let (began, wall) = (rt::now(), rt::wall());
        let headers = here.put_into(carried);
        let (channel, ended, why) = (None, None, None);
        let open =
            Open { shared, here, parent, links, name, process, channel, began, wall, ended, why };
        Self { headers, open: Some(Box::new(open)) }
    }

    /// Whether it is recorded.
    pub fn is_recorded(&self) -> bool {
        self.open.is_some()
    }

    /// Where in which trace, if it is recorded.
    pub fn context(&self) -> Option<&TraceContext> {
        self.open.as_ref().map(|open| &open.here)
    }

    /// What rides along with what is sent from here.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// A message that is sent from here.
    #[inline]
    pub fn traced<T>(&self, value: T) -> Traced<T> {
        Traced::new(self.headers.clone(), value)
    }

    /// A child of `ctx` that carries this span, for what takes a context: a call through a gateway, a saga, a scope.
    pub fn under(&self, ctx: &Ctx) -> Ctx {
        ctx.with_headers(self.headers.clone())
    }

    /// The fields for a request to somebody outside, whose parent is this span: none if no trace goes through here.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let here = TraceContext::from_headers(&self.headers);
        here.map(|here| here.to_fields()).unwrap_or_default()
    }

    /// Says through which channel the message came.
    pub fn on(mut self, channel: impl Into<Name>) -> Self {
        if let Some(open) = &mut self.open {
            open.channel = Some(channel.into());
        }
        self
    }

    /// Says who does the work, where whoever runs this does it for somebody else.
    pub fn by(mut self, process: impl Into<Name>) -> Self {
        if let Some(open) = &mut self.open {
            open.process = Some(process.into());
        }
        self
    }

    /// Says that the work began at `at`, before this was made.
    pub fn since(mut self, at: Instant) -> Self {
        if let Some(open) = &mut self.open {
            let earlier = open.began.saturating_duration_since(at);
            open.began -= earlier;
            open.wall -= earlier;
        }
        self
    }

    /// Ends it as of `at`, for who notices later that it is over.
    pub fn ended(mut self, at: Instant) {
        if let Some(open) = &mut self.open {
            open.ended = Some(at);
        }
    }

    /// Says that this work is also for what came under `headers`.
    pub fn link(&mut self, headers: &Headers) {
        if let Some(open) = &mut self.open
            && let Some(link) = TraceContext::from_headers(headers).as_ref().and_then(Link::to)
        {
            open.links.push(link);
        }
    }

    /// Says that the work has failed, and why. The first reason counts.
    pub fn fail(&mut self, why: impl fmt::Display) {
        if let Some(open) = &mut self.open {
            open.why.get_or_insert_with(|| why.to_string());
        }
    }
}

/// Of what is inside, so that a span which is not recorded has nothing to do when it goes.
impl Drop for Open {
    fn drop(&mut self) {
        let ended = self.ended.unwrap_or_else(rt::now);
        let took = ended.saturating_duration_since(self.began);
        let start = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros =
            |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let why = self.why.take().or_else(|| thread::panicking().then(|| "panicked".to_owned()));
        let record = Record {
            id: self.here.span,
            parent: self.parent,
            links: mem::take(&mut self.links),
            name: self.name.as_str().to_owned(),
            process: self.process.as_ref().map(|process| process.as_str().to_owned()),
            channel: self.channel.as_ref().map(|channel| channel.as_str().to_owned()),
            start_us: micros(start),
            end_us: micros(start + took),
            status: if why.is_some() { Status::Error } else { Status::Ok },
            why,
        };
        self.shared.record(self.here.trace, record);
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.open {
            None => f.write_str("Span(not recorded)"),
            Some(open) => write!(f, "Span({} {}-{})", open.name, open.here.trace, open.here.span),
        }
    }
}
