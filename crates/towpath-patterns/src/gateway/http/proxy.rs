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
    pool::{Home, Pool},
    upstream::{Failed, Link, Streamed},
};
use crate::gateway::upstream::{Health, Lease, NoHost, Upstreams};

/// Bytes of the head of a host's answer: what nginx and Go take is below, and cookies are set there.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Connections at rest, of each host: enough for the next burst to find one each, where requests take milliseconds.
const REST_MAX: usize = 256;
/// When clients that found all hosts full may come again.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A host that a proxy passes requests to: `address:port` or `name:port`.
pub type Host = Arc<str>;

/// How a proxy treats connections to its hosts. How it chooses among them is [`Health`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyOptions {
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
            rest_max: REST_MAX,
            rest_time: Duration::from_secs(30),
            connect_time: Duration::from_secs(2),
            silence_max: Duration::from_secs(30),
            header_bytes_max: HEADER_BYTES_MAX,
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
/// - A host that does not answer costs 502, one that is late 504, and no host with room 503 with `Retry-After`. An answer of 502, 503 or
///   504 counts as a failure of its host, which [`Upstreams`] knows and leaves alone for a while.
/// - A client that leaves ends its request at the host, by the end of its connection.
///
/// Clones share hosts and connections.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    hosts: Upstreams<Host>,
    pool: Arc<Pool>,
    options: ProxyOptions,
    via: HeaderValue,
}

impl Proxy {
    /// To hosts that others may add to, take from and probe.
    ///
    /// # Panics
    /// When [`ProxyOptions::via`] has characters that no header may have.
    #[track_caller]
    pub fn new(hosts: Upstreams<Host>, options: ProxyOptions) -> Self {
        let pool = Arc::new(Pool::new(options.rest_max, options.rest_time));
        let via = match options.via.as_str() {
            "" => HeaderValue::from_static(""),
            name => HeaderValue::from_str(&format!("1.1 {name}"))
                .unwrap_or_else(|_| panic!("`{name}` cannot stand in a header: use visible ASCII")),
        };
        Self { inner: Arc::new(Inner { hosts, pool, options, via }) }
    }

    /// To these hosts, with the default health and options.
    pub fn to(hosts: impl IntoIterator<Item = impl Into<Host>>) -> Self {
        let hosts = hosts.into_iter().map(Into::into);
        Self::new(Upstreams::new(hosts, Health::default()), ProxyOptions::default())
    }

    /// Another proxy to the same hosts, with connections of its own: for a server of another core.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::new(self.inner.hosts.clone(), self.inner.options.clone())
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
        let mut failed: Option<Host> = None;
        loop {
            let lease = match &failed {
                None => self.hosts.pick(),
                // With no other, there is nobody left to ask.
                Some(host) => match self.hosts.pick_other(host) {
                    Err(NoHost::Empty | NoHost::Down) => return answer::bad_gateway(),
                    lease => lease,
                },
            };
            let Ok(lease) = lease else { return answer::overloaded(FULL_RETRY_AFTER) };
            // A connection that rested may be ended by its host in the very moment it is used.
            let (link, again) = match self.pool.take(lease.host()) {
                Some(link) => (link, Again::of(&request)),
                None => match self.connect(lease.host()).await {
                    Some(link) => (link, None),
                    None => {
                        let host = lease.host().clone();
                        lease.failed();
                        if failed.replace(host).is_some() {
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
                Ok((response, link)) => return self.answer(response, link, lease),
                Err(Failed::Body(why)) => return answer::bad_body(why),
                // It rested, and its host closed it before the request left.
                Err(Failed::Unsent(unsent)) => request = *unsent,
                Err(Failed::Upstream) => match again {
                    Some(Again(copy)) => request = copy.map(|()| Inbound::none()),
                    None => {
                        lease.failed();
                        return answer::bad_gateway();
                    }
                },
            }
        }
    }

    async fn connect(&self, host: &Host) -> Option<Link> {
        let connecting = Link::connect(host, self.options.header_bytes_max);
        within(rt::now() + self.options.connect_time, connecting).await?.ok()
    }

    fn answer(
        &self,
        response: Response<hyper::body::Incoming>,
        link: Link,
        lease: Lease<Host>,
    ) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        // What the host speaks is between it and us.
        parts.version = Version::HTTP_11;
        head::answer(&mut parts.headers, &self.via);
        let well = !matches!(parts.status.as_u16(), 502..=504);
        let home = Home { pool: self.pool.clone(), lease, well };
        let body = Streamed::body(body, link, home, self.options.silence_max);
        Response::from_parts(parts, body)
    }
}
