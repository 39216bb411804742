//! The control API: what people, the dashboard and the command line ask of a running node, over HTTP.
//!
//! ```text
//!   towpath ps ──▶ <data>/towpath.sock ─┐                              ┌─▶ Node (look, pause, put in, reload)
//!                                       ├─▶ admit (access) ─▶ handlers ┤
//!   browser ─────▶ 127.0.0.1:PORT ──────┘                              └─▶ facets of processes
//!                        ▲                                 Watch: one look in a while ─▶ all who follow
//!                        └───────────────── server-sent events ◀──────────┘
//! ```
//!
//! What always holds:
//! - Nothing is answered, but the page itself and whether the node lives, before `access` has let the request in.
//! - Every input has a limit: the head, the body and their times (`real::door`), how many follow, how long a list may be.
//! - However many follow, the node is looked at once in a period.
//! - Who does not read what he asked for is dropped; nobody waits for him.
//!
//! It names no runtime: sockets are in `real::door`.

mod access;
mod act;
mod delta;
mod page;
mod read;
mod refusal;
mod stream;
mod tap;
mod watch;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::{Request, State as Shared},
    http::{
        HeaderName, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};

pub(crate) use access::{Door, Keys, Rights};
use refusal::Refusal;
use serde::Serialize;
use towpath::BoxError;
pub(crate) use watch::Watching;

use crate::{Node, home::Again, node::Reloaded};

/// Streams that are open at once: a handful of people with a few windows each.
const STREAMS_MAX: usize = 64;

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Api {
    node: Node,
    keys: Arc<Keys>,
    watch: watch::Watch,
    streams: Arc<AtomicUsize>,
}

impl Api {
    /// The API of a node. What comes back second looks at the node for those who follow it, and has to be [run](Watching::run).
    pub(crate) fn new(node: Node, keys: Keys) -> (Self, Watching) {
        let (watch, watching) = watch::new(node.clone());
        let api = Self { node, keys: Arc::new(keys), watch, streams: Arc::default() };
        (api, watching)
    }

    /// The routes, for those who come by this door.
    pub(crate) fn routes(&self, door: Door) -> Router {
        let inner = Router::new()
            .route("/graph", get(read::graph))
            .route("/state", get(read::state))
            .route("/events", get(watch::events))
            .route("/why/{process}", get(read::why))
            .route("/stuck", get(read::stuck))
            .route("/dump", get(read::dump))
            .route("/errors", get(read::errors))
            .route("/traces", get(read::traces))
            .route("/config", get(read::config))
            .route("/facets", get(read::facets))
            .route("/facets/{process}", get(read::facet))
            .route("/facets/{process}/{verb}", post(act::facet))
            .route("/tap/{channel}", get(tap::tap))
            .route("/channels/{channel}/inject", post(act::inject))
            .route("/processes/{process}/pause", post(act::pause))
            .route("/processes/{process}/resume", post(act::resume))
            .route("/reload", post(act::reload))
            .fallback(nothing)
            .method_not_allowed_fallback(wrong_method);
        let guarded = Router::new()
            .nest("/api/v1", inner)
            .route("/metrics", get(read::metrics))
            .layer(middleware::from_fn_with_state(self.clone(), admit));
        Router::new()
            .merge(guarded)
            .route("/healthz", get(read::healthz))
            .route("/readyz", get(read::readyz))
            .fallback(page::page)
            .layer(middleware::from_fn(dress))
            .layer(Extension(door))
            .with_state(self.clone())
    }

    /// A place among those who follow something.
    fn place(&self) -> Result<Place, Refusal> {
        let place = Place(self.streams.clone());
        // The place counts itself, and gives itself back if it is one too many.
        if place.0.fetch_add(1, Ordering::Relaxed) < STREAMS_MAX {
            return Ok(place);
        }
        Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{STREAMS_MAX} streams are open already: close one, or come again"),
        ))
    }
}

/// One who follows something; given back when it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn admit(
    Shared(api): Shared<Api>,
    Extension(door): Extension<Door>,
    request: Request,
    next: Next,
) -> Response {
    let (mut head, body) = request.into_parts();
    let admitted =
        api.keys.check_host(door, &head.headers).and_then(|()| api.keys.admit(door, &head));
    match admitted {
        Ok(rights) => {
            head.extensions.insert(rights);
            next.run(Request::from_parts(head, body)).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// What every answer says of itself, unless it knows better.
async fn dress(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let said: [(HeaderName, &str); 3] = [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in said {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What a reload has changed.
#[derive(Debug, Serialize)]
pub(crate) struct Changed {
    #[serde(flatten)]
    network: Reloaded,
    /// What else was read again, in words: certificates.
    renewed: Vec<String>,
}

/// Changes a network to another text, or to what its file has on disk by now, and reads its certificates again; or only says what would
/// change.
///
/// # Errors
/// A file cannot be read, or is wrong, and nothing has changed; or the network has ended.
pub(crate) async fn reload(
    node: &Node,
    text: Option<String>,
    plan_only: bool,
    within: Duration,
) -> Result<Changed, BoxError> {
    let text = match text {
        Some(text) => text,
        None => {
            let path = node.file().path;
            fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?
        }
    };
    if plan_only {
        let network = Reloaded { changes: node.plan(&text)?, done: false, rolled_back: None };
        return Ok(Changed { network, renewed: Vec::new() });
    }
    let again = node.shared().read_again()?;
    let network = node.reload(&text, within).await?;
    let renewed = again.into_iter().map(|Again { told, change }| {
        change();
        told
    });
    Ok(Changed { network, renewed: renewed.collect() })
}

async fn nothing(uri: Uri) -> Refusal {
    let told = format!(
        "there is nothing at {}; the book's chapter \"Operating a node\" lists what there is",
        uri.path()
    );
    Refusal::new(StatusCode::NOT_FOUND, told)
}

async fn wrong_method() -> Refusal {
    let told = "what looks is asked by GET, what changes by POST";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, told)
}

/// The names and values of a query, decoded; what is no UTF-8 is left out.
fn query(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    })
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, more) = rest.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = more;
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let uri: Uri = "/a?x=1&where=it.a+%3E+1&flag&bad=%f&=&y=%ff".parse().unwrap();
        let read: Vec<_> = query(&uri).collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read,
            [pair("x", "1"), pair("where", "it.a > 1"), pair("flag", ""), pair("", "")]
        );
    }
}
