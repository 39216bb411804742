//! `http_out`: posts messages to a URL.
//!
//! ```yaml
//! tell: {uses: http_out, in: paid, url: "http://127.0.0.1:9000/rides", batch: 50, concurrency: 4, on_error: dead}
//! ```
//!
//! | option | what |
//! |---|---|
//! | `url` | where to: `http://host:port/path`, or `https` |
//! | `tls` | `{roots: FILE}`: whom to believe with `https`, as a PEM file of certificates; without it the system's roots |
//! | `batch` | so many messages in one request at most, of what has come, as a list; 1, if not said, sends the message itself |
//! | `key` | an expression for the header `Idempotency-Key` of a message, when `batch` is 1; without it a new one for each request |
//! | `token` | goes with each request: `authorization: Bearer …` |
//! | `attempts`, `first`, `most` | a request is tried so often (5), with delays of anything up to `first` (100 ms), doubling up to `most` (10 s) |
//! | `timeout` | what an attempt may take, 10 s if not said |
//! | `concurrency` | connections, each with a request at a time; 1, if not said, keeps the order of messages |
//!
//! An attempt that is answered with 2xx has gone well. 408, 429 and 5xx, a connection that breaks and a time that runs out are tried again,
//! under the same key, not before a `Retry-After` of at most a minute. Any other answer, or the last attempt, refuses the messages, with the
//! status and the beginning of the answer. When its input has ended, it ends when all of them are answered or refused.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http::{HeaderValue, Uri};
use serde::Deserialize;
use towpath::Ctx;
use towpath_patterns::{
    fault::Retry,
    yaml::{At, Place, Problem, Span},
};

use crate::{
    component::{Component, Need, Port},
    expr::{Expr, Written},
    home::Site,
    ports::Ports,
    real,
};

/// Connections at most: more are an attack on whoever answers.
const CONCURRENCY_MAX: usize = 64;

/// Messages of one request at most.
const BATCH_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    url: At<String>,
    tls: Option<Tls>,
    batch: Option<At<usize>>,
    key: Option<Written>,
    token: Option<At<String>>,
    attempts: Option<u32>,
    first: Option<Span>,
    most: Option<Span>,
    timeout: Option<Span>,
    concurrency: Option<At<usize>>,
}

/// A path, as the file says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    roots: At<String>,
}

/// Whom to believe.
pub(crate) struct Trust {
    /// The file of the roots; without it the system's.
    pub(crate) roots: Option<PathBuf>,
}

/// The options, checked.
pub(crate) struct Target {
    /// What is connected to, as `host:port`.
    pub(crate) address: String,
    /// It speaks TLS.
    pub(crate) tls: Option<Trust>,
    pub(crate) host: HeaderValue,
    pub(crate) path: Uri,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) batch: usize,
    pub(crate) key: Option<Arc<Expr>>,
    pub(crate) retry: Retry,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
}

pub(super) fn component() -> Component {
    Component::new("http_out", "posts messages to a URL, tried again until it goes well")
        .input(Port::new("in").need(Need::Some))
        .refuses()
        .outside()
        .makes(|options: Options, site: &Site| {
            let target = Arc::new(target(options, site)?);
            Ok(async move |_: Ctx, ports: &mut Ports| {
                let ([messages], outputs) = ports.split(["in"]);
                real::http_out::send(&target, messages, outputs).await
            })
        })
}

fn within(what: &str, value: Option<At<usize>>, most: usize) -> Result<usize, Problem> {
    let Some(At { place, value }) = value else { return Ok(1) };
    let is_right = (1..=most).contains(&value);
    is_right
        .then_some(value)
        .ok_or_else(|| Problem::new(place, format!("`{what}` is 1 to {most}, and not {value}")))
}

fn target(options: Options, site: &Site) -> Result<Target, Problem> {
    let At { place, value } = &options.url;
    let wrong =
        |why: &str| Problem::new(*place, format!("`{value}` is no URL of this kind: {why}"));
    let url: Uri = value.parse().map_err(|_| wrong("write http://host:port/path"))?;
    let is_tls = match url.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong("it begins with http:// or https://")),
    };
    if let Some(Tls { roots }) = options.tls.as_ref().filter(|_| !is_tls) {
        return Err(Problem::new(roots.place, "`tls` is for a URL that begins with https://"));
    }
    let roots = options.tls.map(|tls| site.reads(tls.roots.value));
    let tls = is_tls.then_some(Trust { roots });
    let authority = url.authority().ok_or_else(|| wrong("it names no host"))?;
    let address = format!(
        "{}:{}",
        authority.host(),
        authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 })
    );
    let host =
        HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("its host cannot be sent"))?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let path = path.parse().map_err(|_| wrong("its path cannot be sent"))?;
    let authorization = options.token.as_ref().map(|token| {
        let header = HeaderValue::from_str(&format!("Bearer {}", token.value));
        header.map_err(|_| Problem::new(token.place, "this token cannot be sent in a header"))
    });
    let batch = within("batch", options.batch, BATCH_MAX)?;
    if let Some(key) = options.key.as_ref().filter(|_| batch > 1) {
        return Err(Problem::new(
            key.0.place,
            "a key is of one message: leave out `batch`, or `key`",
        ));
    }
    let span = |span: Option<Span>, otherwise| span.map_or(otherwise, |span| span.0);
    let first = span(options.first, Duration::from_millis(100));
    let most = span(options.most, Duration::from_secs(10));
    if most < first {
        return Err(Problem::new(Place::default(), "`most` is less than `first`"));
    }
    Ok(Target {
        address,
        tls,
        host,
        path,
        authorization: authorization.transpose()?,
        batch,
        key: options.key.map(|key| key.compile()).transpose()?,
        retry: Retry::new(options.attempts.unwrap_or(5)).with_delays(first, most),
        timeout: span(options.timeout, Duration::from_secs(10)),
        concurrency: within("concurrency", options.concurrency, CONCURRENCY_MAX)?,
    })
}
