//! Spans to an OpenTelemetry collector: OTLP as protobuf over HTTP, from a process with a thread of its own.
//!
//! ```no_run
//! use towpath::{Ctx, scope};
//! use towpath_observe::{otlp::{self, Options}, span::{Sampling, Tracer}};
//!
//! # towpath::block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let (exporter, pump) = otlp::exporter(Options::new("rides"));
//!     s.spawn_blocking("otlp", move |ctx| pump.run(&ctx));
//!     let tracer = Tracer::exporting(Sampling::ratio(0.01), exporter);
//!     drop(tracer.root("intake"));
//!     Ok(())
//! })
//! .await
//! # }).unwrap();
//! ```
//!
//! # What is promised
//! - Whoever ends a span never waits: a span that finds the queue full is dropped, and counted.
//! - Spans go in batches, one request at a time. What the collector is too busy for, or is not there for, is sent again for a while, with growing
//!   pauses; what it refuses is not. Both are counted when they are given up.
//! - At the end, when the tracer has gone or the context ends, what is queued is sent once more, within [`Options::timeout`] for each batch.
//!
//! Not promised: that a span arrives once. A collector that answers too late gets it again.
//!
//! Only `http://`: a collector is asked on the same host or pod, as is the custom, and speaks TLS to the world. So nothing here brings a TLS
//! library that a node may not want.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status},
};
use prost::Message;
use towpath::{Ctx, Receiver, Sender, after, at, bounded, rt, select_blocking};

use crate::{
    metrics::{Samples, Source, families},
    span::{self as spans, Export, Record},
    trace::TraceId,
};

/// Spans that wait to be sent.
///
/// 2,048 is the specification's default for a batch processor: some seconds of a collector that is away, half a megabyte.
const QUEUE: usize = 2048;

/// Spans in a request, at most; the specification's default.
const BATCH: usize = 512;

/// For how long a batch is filled.
const EVERY: Duration = Duration::from_secs(2);

/// How long a request may take, by the specification.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often a batch is sent before it is given up.
const ATTEMPTS: u32 = 5;

/// The pause before a batch is sent again; doubled each time.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause that a collector may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read; it says how many spans were rejected, and why.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Where spans go, and how.
#[derive(Clone, Debug)]
#[must_use = "these only say what is wanted"]
pub struct Options {
    service: String,
    endpoint: String,
    fields: Vec<(String, String)>,
    queue: usize,
    batch: usize,
    every: Duration,
    timeout: Duration,
    pause: Duration,
}

impl Options {
    /// Spans of this service, to a collector on this host (`http://127.0.0.1:4318/v1/traces`).
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            service: service.into(),
            endpoint: "http://127.0.0.1:4318/v1/traces".to_owned(),
            fields: Vec::new(),
            queue: QUEUE,
            batch: BATCH,
            every: EVERY,
            timeout: TIMEOUT,
            pause: PAUSE,
        }
    }

    /// To this URL, which begins with `http://` and is whole: nothing is put behind it.
    pub fn endpoint(self, url: impl Into<String>) -> Self {
        Self { endpoint: url.into(), ..self }
    }

    /// With this field in each request, such as a token.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// So many spans wait at most, 1 or more; 2,048 without this.
    pub fn queue(self, spans: usize) -> Self {
        Self { queue: spans.max(1), ..self }
    }

    /// A batch goes when it has so many spans, 512 without this, or when its first has waited for `every`, 2 seconds without this.
    pub fn batch(self, spans: usize, every: Duration) -> Self {
        Self { batch: spans.max(1), every, ..self }
    }

    /// A request may take so long, 10 seconds without this.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The pause before a batch is sent again for the first time, half a second without this; doubled each time.
    pub fn pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }
}

/// What became of spans.
#[derive(Default, Debug)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
}

/// Puts spans into the queue. Cloning makes another that does the same.
#[derive(Clone, Debug)]
pub struct Exporter {
    queue: Sender<(TraceId, Record)>,
    counts: Arc<Counts>,
}

/// The other end of the queue: the process that sends.
#[must_use = "spans are sent by `run`"]
pub struct Pump {
    queue: Receiver<(TraceId, Record)>,
    counts: Arc<Counts>,
    options: Options,
    agent: ureq::Agent,
}

/// An exporter for a tracer, and the process that sends what it is given.
pub fn exporter(options: Options) -> (Exporter, Pump) {
    let (tx, rx) = bounded(options.queue);
    let counts = Arc::new(Counts::default());
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(options.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("towpath/", env!("CARGO_PKG_VERSION")))
        .build();
    let exporter = Exporter { queue: tx, counts: counts.clone() };
    (exporter, Pump { queue: rx, counts, options, agent: config.into() })
}

impl Export for Exporter {
    fn export(&self, trace: TraceId, span: &Record) {
        if self.queue.try_send((trace, span.clone())).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Tells what became of spans ([`families::SPANS_EXPORTED`]).
impl Source for Exporter {
    fn collect(&self, to: &mut Samples<'_>) {
        let Counts { sent, dropped, refused, given_up } = &*self.counts;
        let outcomes =
            [("sent", sent), ("dropped", dropped), ("refused", refused), ("given_up", given_up)];
        for (outcome, count) in outcomes {
            to.put(&families::SPANS_EXPORTED, &[outcome], count.load(Ordering::Relaxed));
        }
    }
}

/// What becomes of a request.
enum Answer {
    /// Taken, but for so many.
    Taken {
        rejected: u64,
    },
    /// To be sent again, after so long if the collector has said so.
    Again(Option<Duration>),
    Refused,
}

impl Pump {
    /// Sends until the last [`Exporter`] has gone or `ctx` ends. Blocks: for a thread of its own, as a scope's `spawn_blocking` gives it.
    pub fn run(mut self, ctx: &Ctx) {
        let mut batch = Vec::new();
        while self.fill(&mut batch, ctx) {
            self.deliver(&mut batch, ctx);
        }
        // What is left, once: nobody waits for a collector that is not there.
        loop {
            while batch.len() < self.options.batch
                && let Ok(span) = self.queue.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.deliver(&mut batch, ctx);
        }
    }

    /// True: there is a batch, and more may come.
    fn fill(&mut self, batch: &mut Vec<(TraceId, Record)>, ctx: &Ctx) -> bool {
        let first = select_blocking! {
            span = self.queue.recv() => span,
            _ = ctx.done() => None,
        };
        let Some(first) = first else { return false };
        batch.push(first);
        let until: Instant = rt::now() + self.options.every;
        while batch.len() < self.options.batch {
            select_blocking! {
                span = self.queue.recv() => match span {
                    Some(span) => batch.push(span),
                    None => return false,
                },
                () = at(until) => return true,
                _ = ctx.done() => return false,
            }
        }
        true
    }

    /// Sends a batch until it is taken or given up. Empty afterwards.
    fn deliver(&self, batch: &mut Vec<(TraceId, Record)>, ctx: &Ctx) {
        let spans = batch.len() as u64;
        let bytes = request(&self.options.service, batch.drain(..)).encode_to_vec();
        let mut pause = self.options.pause;
        for attempt in 1..=ATTEMPTS {
            match self.post(&bytes) {
                Answer::Taken { rejected } => {
                    let rejected = rejected.min(spans);
                    self.counts.sent.fetch_add(spans - rejected, Ordering::Relaxed);
                    self.counts.refused.fetch_add(rejected, Ordering::Relaxed);
                    return;
                }
                Answer::Refused => {
                    self.counts.refused.fetch_add(spans, Ordering::Relaxed);
                    return;
                }
                Answer::Again(_) if attempt == ATTEMPTS || ctx.is_done() => break,
                Answer::Again(asked) => {
                    let pause_now = asked.unwrap_or(pause).min(PAUSE_MAX);
                    select_blocking! {
                        () = after(pause_now) => {},
                        _ = ctx.done() => {},
                    }
                    pause *= 2;
                }
            }
        }
        self.counts.given_up.fetch_add(spans, Ordering::Relaxed);
    }

    fn post(&self, bytes: &[u8]) -> Answer {
        let mut request = self.agent.post(&self.options.endpoint);
        request = request.header("content-type", "application/x-protobuf");
        for (name, value) in &self.options.fields {
            request = request.header(name, value);
        }
        let mut response = match request.send(bytes) {
            Ok(response) => response,
            // A URL or field that cannot be used will not get better.
            Err(
                ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::RequireHttpsOnly(_),
            ) => {
                return Answer::Refused;
            }
            Err(_) => return Answer::Again(None),
        };
        match response.status().as_u16() {
            200..=299 => {
                let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
                let answer =
                    body.ok().and_then(|body| ExportTraceServiceResponse::decode(&*body).ok());
                let partial = answer.and_then(|answer| answer.partial_success);
                let rejected = partial.map_or(0, |partial| partial.rejected_spans.max(0) as u64);
                Answer::Taken { rejected }
            }
            429 | 502 | 503 | 504 => {
                let after =
                    response.headers().get("retry-after").and_then(|after| after.to_str().ok());
                Answer::Again(after.and_then(|after| after.parse().ok()).map(Duration::from_secs))
            }
            _ => Answer::Refused,
        }
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").field("options", &self.options).finish_non_exhaustive()
    }
}

/// As the specification writes it.
fn request(
    service: &str,
    batch: impl Iterator<Item = (TraceId, Record)>,
) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "towpath".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans =
        ScopeSpans { scope: Some(scope), spans: batch.map(one).collect(), ..ScopeSpans::default() };
    let resource =
        Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let of_service = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![of_service] }
}

fn one((trace, record): (TraceId, Record)) -> Span {
    let kind =
        if record.channel.is_some() { span::SpanKind::Consumer } else { span::SpanKind::Internal };
    let link = |link: &spans::Link| span::Link {
        trace_id: link.trace.as_bytes().to_vec(),
        span_id: link.span.as_bytes().to_vec(),
        ..span::Link::default()
    };
    let code = match record.status {
        spans::Status::Ok => status::StatusCode::Unset,
        spans::Status::Error => status::StatusCode::Error,
    };
    let attributes = [("towpath.process", &record.process), ("towpath.channel", &record.channel)];
    Span {
        trace_id: trace.as_bytes().to_vec(),
        span_id: record.id.as_bytes().to_vec(),
        parent_span_id: record.parent.map(|parent| parent.as_bytes().to_vec()).unwrap_or_default(),
        kind: kind.into(),
        start_time_unix_nano: record.start_us * 1000,
        end_time_unix_nano: record.end_us * 1000,
        attributes: attributes
            .iter()
            .filter_map(|(key, value)| Some(text(key, value.as_deref()?)))
            .collect(),
        links: record.links.iter().map(link).collect(),
        status: Some(Status { code: code.into(), message: record.why.unwrap_or_default() }),
        flags: 1,
        name: record.name,
        ..Span::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
