//! The reverse proxy: a request goes to one of several hosts, and its answer comes back.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, Version};
use hyper::body::Body as _;
use towpath::{Ctx, rt};

use super::{
    answer,
    body::{Body, Inbound},
    handler::{Asked, Handler},
    head,
    hosts::{Hosts, Pick},
    pool::{Home, Pool},
    upstream::{Failed, Link, Streamed},
};

/// Requests that a host has at once: what a service on a few cores can have under way without being slower for each.
const REQUESTS_MAX: u32 = 1024;
/// Connections at rest, of each host: enough for the next burst to find one each, where requests take milliseconds.
const REST_MAX: usize = 256;
/// When clients that found all hosts full may come again.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How a proxy treats its hosts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyOptions {
    /// Requests that a host has at once; with all hosts full, a client gets 503.
    pub requests_max: u32,
    /// Connections at rest, of each host.
    pub rest_max: usize,
    /// How long a connection may rest: less than the hosts keep them, which is often a minute.
    pub rest_time: Duration,
    /// How long a connection may take to be made.
    pub connect_time: Duration,
    /// How long a host may be silent inside an answer.
    pub silence_max: Duration,
    /// Bytes of the head of a host's answer.
    pub header_bytes_max: usize,
    /// What the proxy is called in `Via`; empty: there is none.
    pub via: String,
    /// Whether what clients say about whom they speak for (`X-Forwarded-For`) is passed on: only behind another proxy of ours.
    pub trust_forwarded: bool,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            requests_max: REQUESTS_MAX,
            rest_max: REST_MAX,
            rest_time: Duration::from_secs(30),
            connect_time: Duration::from_secs(2),
            silence_max: Duration::from_secs(30),
            header_bytes_max: 64 * 1024,
            via: "towpath".to_owned(),
            trust_forwarded: false,
        }
    }
}

/// Passes requests on to one of several hosts over HTTP/1.1, on connections that are kept.
///
/// What is promised:
/// - A request reaches one host. It is sent to a second one only if it did not leave, or if the connection ended without a byte of
///   an answer and asking twice asks for no more than asking once (RFC 9110 section 9.2.2) and it had no body.
/// - A host that does not answer costs 502, one that is late 504, and no room at any of them 503 with `Retry-After`. A host that fails
///   five times in a row is left alone for ten seconds, as long as there are others.
/// - A client that leaves ends its request at the host, by the end of its connection.
///
/// Clones share hosts and connections.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    hosts: Arc<Hosts>,
    pool: Arc<Pool>,
    options: ProxyOptions,
    via: HeaderValue,
}

impl Proxy {
    /// To these hosts, each `address:port` or `name:port`.
    ///
    /// # Panics
    /// When [`ProxyOptions::via`] has characters that no header may have.
    #[track_caller]
    pub fn new(hosts: impl IntoIterator<Item = impl Into<String>>, options: ProxyOptions) -> Self {
        let hosts = Hosts::new(hosts.into_iter().map(Into::into), options.requests_max);
        Self::with(Arc::new(hosts), options)
    }

    #[track_caller]
    fn with(hosts: Arc<Hosts>, options: ProxyOptions) -> Self {
        let pool = Arc::new(Pool::new(hosts.len(), options.rest_max, options.rest_time));
        let via = match options.via.as_str() {
            "" => HeaderValue::from_static(""),
            name => HeaderValue::from_str(&format!("1.1 {name}"))
                .unwrap_or_else(|_| panic!("`{name}` cannot stand in a header: use visible ASCII")),
        };
        Self { inner: Arc::new(Inner { hosts, pool, options, via }) }
    }

    /// Another proxy to the same hosts, with connections of its own: for a server of another core.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::with(self.inner.hosts.clone(), self.inner.options.clone())
    }

    /// Connections at rest.
    pub fn at_rest(&self) -> usize {
        self.inner.pool.len()
    }

    /// Closes connections that rested too long or whose host has closed them, again and again until `ctx` ends. Without it, that
    /// happens when the next requests come.
    pub async fn sweep(&self, ctx: &Ctx) {
        let every = self.inner.options.rest_time / 2;
        loop {
            towpath::select! {
                _ = ctx.done() => return,
                () = towpath::after(every) => self.inner.pool.sweep(),
            }
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("hosts", &self.inner.hosts)
            .field("pool", &self.inner.pool)
            .finish_non_exhaustive()
    }
}

impl Handler for Proxy {
    async fn handle(&self, asked: Asked) -> Response<Body> {
        let Asked { mut request, deadline, is_deadline_named, client, .. } = asked;
        let Inner { options, via, .. } = &*self.inner;
        head::outbound(&mut request, &client, via, options.trust_forwarded);
        let named = is_deadline_named.then_some(deadline);
        match within(deadline, self.inner.ask(request, named)).await {
            Some(response) => response,
            None => answer::late(),
        }
    }
}

/// Runs work until a moment; the timer is set when it first waits.
async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut timer: Option<rt::Sleep> = None;
    poll_fn(|cx| {
        if let Poll::Ready(value) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        let timer =
            timer.get_or_insert_with(|| rt::sleep(deadline.saturating_duration_since(rt::now())));
        Pin::new(timer).poll(cx).map(|()| None)
    })
    .await
}

/// What is kept of a request, so that it can be asked again.
struct Again(Request<()>);

impl Again {
    /// `None`: it must not be.
    fn of(request: &Request<Inbound>) -> Option<Self> {
        if !request.body().is_end_stream() || !head::may_repeat(request.method()) {
            return None;
        }
        let mut copy = Request::new(());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        Some(Self(copy))
    }
}

impl Inner {
    /// Asks one host, and a second one if the first did not get the request or may be asked again.
    async fn ask(&self, mut request: Request<Inbound>, named: Option<Instant>) -> Response<Body> {
        let mut failed = None;
        loop {
            let Some(pick) = self.hosts.pick(failed) else {
                return answer::overloaded(FULL_RETRY_AFTER);
            };
            let host = pick.host();
            // A connection that rested may be ended by its host in the very moment it is used.
            let (link, again) = match self.pool.take(host) {
                Some(link) => (link, Again::of(&request)),
                None => match self.connect(host).await {
                    Some(link) => (link, None),
                    None => {
                        pick.failed();
                        if failed.replace(host).is_some() || self.hosts.len() == 1 {
                            return answer::bad_gateway();
                        }
                        continue;
                    }
                },
            };
            if let Some(deadline) = named {
                let left = deadline.saturating_duration_since(rt::now());
                head::set_timeout(request.headers_mut(), left);
            }
            match link.ask(request).await {
                Ok((response, link)) => return self.answer(response, link, pick),
                Err(Failed::Body(why)) => return answer::bad_body(why),
                // It rested, and its host closed it before the request left.
                Err(Failed::Unsent(unsent)) => request = *unsent,
                Err(Failed::Upstream) => match again {
                    Some(Again(copy)) => request = copy.map(|()| Inbound::none()),
                    None => {
                        pick.failed();
                        return answer::bad_gateway();
                    }
                },
            }
        }
    }

    async fn connect(&self, host: usize) -> Option<Link> {
        let connecting = Link::connect(self.hosts.address(host), self.options.header_bytes_max);
        within(rt::now() + self.options.connect_time, connecting).await?.ok()
    }

    fn answer(
        &self,
        response: Response<hyper::body::Incoming>,
        link: Link,
        pick: Pick,
    ) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        // What the host speaks is between it and us.
        parts.version = Version::HTTP_11;
        head::answer(&mut parts.headers, &self.via);
        let home = Home { pool: self.pool.clone(), pick };
        let body = Streamed::body(body, link, home, self.options.silence_max);
        Response::from_parts(parts, body)
    }
}
