//! One client's connection, from its first byte to its last.
//!
//! What always holds:
//! - All waiting on a client has an end: for a handshake, a head, a body, an answer that is to be taken, the next request.
//! - A connection at rest has no buffers: its hyper connection is taken apart, and another made when something comes.
//! - When it ends or is dropped, so is the work that was under way for it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use towpath::{Ctx, Scope, rt};

use super::{
    answer,
    body::{Body, BodyError, Inbound, Reply},
    counts::Counts,
    handler::{Asked, Handler},
    head::{self, Client},
    limits::Limits,
    pulse::{Pulse, Ticks, Verdict},
    tls::Tls,
    two,
    wire::{Version, Wire},
};

/// What all connections of a server share.
pub(super) struct Site<H> {
    pub(super) handler: Arc<H>,
    pub(super) limits: Limits,
    pub(super) ticks: Ticks,
    pub(super) tick: Duration,
    pub(super) counts: Arc<Counts>,
    pub(super) tls: Option<Tls>,
    /// Ends when the server is told to stop.
    pub(super) stop: Ctx,
    /// Ends when it has no more time.
    pub(super) work: Ctx,
}

/// Whose connection it is; its requests share it.
pub(super) struct Caller {
    pub(super) peer: SocketAddr,
    pub(super) client: Client,
    pub(super) pulse: Arc<Pulse>,
}

/// How a wait has gone.
enum Waited<T> {
    Came(T),
    /// The time is over, or the server stops.
    Over,
}

/// Waits for a future, but not beyond a time, and not beyond the server's end.
async fn wait<T>(
    stop: Pin<&mut impl Future>,
    time: Duration,
    work: impl Future<Output = T>,
) -> Waited<T> {
    let (mut work, mut stop, mut timer) = (pin!(work), stop, rt::sleep(time));
    poll_fn(|cx| {
        if let Poll::Ready(value) = work.as_mut().poll(cx) {
            return Poll::Ready(Waited::Came(value));
        }
        let over = stop.as_mut().poll(cx).is_ready() || Pin::new(&mut timer).poll(cx).is_ready();
        if over { Poll::Ready(Waited::Over) } else { Poll::Pending }
    })
    .await
}

/// Serves a client until it leaves, breaks a limit, or the server stops.
pub(super) async fn run<H: Handler>(
    site: Arc<Site<H>>,
    scope: Scope,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let stop = site.stop.clone();
    let mut stop = pin!(stop.done());
    let pulse = Arc::new(Pulse::default());
    let limits = &site.limits;
    // Small answers leave at once; only a socket that is gone refuses.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut wire = match &site.tls {
        None => Wire::plain(stream, pulse.clone()),
        Some(Tls(tls)) => match wait(stop.as_mut(), limits.header_time, tls.accept(stream)).await {
            Waited::Came(Ok(stream)) => Wire::tls(stream, pulse.clone()),
            Waited::Came(Err(_)) | Waited::Over => {
                Counts::one(&site.counts.handshakes_failed);
                return;
            }
        },
    };
    if !rest(&mut wire, stop.as_mut(), limits.idle_time).await {
        return;
    }
    let version = poll_fn(|cx| wire.poll_version(cx));
    let version = match wait(stop.as_mut(), limits.header_time, version).await {
        Waited::Came(Ok(version)) => version,
        Waited::Came(Err(_)) => return,
        Waited::Over => {
            Counts::one(&site.counts.heads_late);
            return;
        }
    };
    let client = Client::new(peer.ip(), wire.is_tls());
    let caller = Arc::new(Caller { peer, client, pulse });
    match version {
        Version::Two => two::run(&site, &scope, &caller, wire, stop).await,
        Version::One => loop {
            match one(&site, &caller, wire, stop.as_mut()).await {
                Some(at_rest) => wire = at_rest,
                None => return,
            }
            if !rest(&mut wire, stop.as_mut(), limits.idle_time).await {
                return;
            }
        },
    }
}

/// Waits without a buffer for something to read. False: nothing came in time, or the server stops.
async fn rest(wire: &mut Wire, stop: Pin<&mut impl Future>, time: Duration) -> bool {
    let readable = poll_fn(|cx| wire.poll_readable(cx));
    matches!(wait(stop, time, readable).await, Waited::Came(Ok(())))
}

/// Why watching a connection has ended.
pub(super) enum Watched {
    Ended,
    Told(Verdict),
}

/// What is watched.
pub(super) trait Watch {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// The server stops: what is under way is finished.
    fn stop(&mut self);
}

/// What follows from a verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    GoOn,
    /// Finish what is under way, take nothing new.
    Stop,
    End,
}

/// Runs a connection, and looks at its pulse every tick: `look` says what follows.
pub(super) async fn watch<H, S>(
    site: &Site<H>,
    pulse: &Pulse,
    conn: &mut impl Watch,
    mut stop: Pin<&mut S>,
    mut look: impl FnMut(Verdict) -> Then,
) -> Watched
where
    S: Future,
{
    let mut tick = rt::sleep(site.tick);
    let mut stopping = false;
    poll_fn(|cx| {
        loop {
            if conn.poll(cx).is_ready() {
                return Poll::Ready(Watched::Ended);
            }
            if !stopping && stop.as_mut().poll(cx).is_ready() {
                stopping = true;
                conn.stop();
                continue;
            }
            if Pin::new(&mut tick).poll(cx).is_pending() {
                return Poll::Pending;
            }
            let verdict = pulse.tick(&site.ticks);
            match look(verdict) {
                Then::GoOn => {}
                Then::Stop => conn.stop(),
                Then::End => return Poll::Ready(Watched::Told(verdict)),
            }
            tick = rt::sleep(site.tick);
        }
    })
    .await
}

/// Serves HTTP/1 until nothing is under way: `Some`, or it has ended.
async fn one<H: Handler>(
    site: &Arc<Site<H>>,
    caller: &Arc<Caller>,
    wire: Wire,
    stop: Pin<&mut impl Future>,
) -> Option<Wire> {
    struct One<F>(F);
    impl<I, S, B> Watch for One<&mut http1::Connection<TokioIo<I>, S>>
    where
        I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        S: hyper::service::HttpService<Incoming, ResBody = B> + Unpin,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: hyper::body::Body + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            // What went wrong was answered where it could be; the client knows, or has left.
            Pin::new(&mut *self.0).poll(cx).map(drop)
        }

        fn stop(&mut self) {
            Pin::new(&mut *self.0).graceful_shutdown();
        }
    }

    let service = service_fn(|request| serve(site, caller, request));
    let mut builder = http1::Builder::new();
    builder
        .max_header_size(site.limits.header_bytes_max)
        .max_headers(site.limits.headers_max)
        // Our ticks do it, for a clock less at each request.
        .header_read_timeout(None);
    let mut conn = Box::new(builder.serve_connection(TokioIo::new(wire), service));
    let pulse = &caller.pulse;
    let ends = |verdict| if verdict == Verdict::Fine { Then::GoOn } else { Then::End };
    match watch(site, pulse, &mut One(&mut *conn), stop, ends).await {
        Watched::Ended => None,
        Watched::Told(Verdict::Idle) => {
            let parts = conn.into_parts();
            let mut wire = parts.io.into_inner();
            wire.put_back(&parts.read_buf);
            Some(wire)
        }
        Watched::Told(Verdict::HeadLate) => {
            Counts::one(&site.counts.heads_late);
            // A hundred bytes fit into the socket; a client for whom they do not is not waited for.
            let mut wire = conn.into_parts().io.into_inner();
            let told = async {
                wire.write_all(answer::HEAD_LATE).await?;
                wire.shutdown().await
            };
            let mut told = pin!(told);
            drop(poll_fn(|cx| Poll::Ready(told.as_mut().poll(cx))).await);
            None
        }
        Watched::Told(_) => {
            Counts::one(&site.counts.stuck);
            None
        }
    }
}

/// One request of a connection.
pub(super) fn serve<H: Handler>(
    site: &Arc<Site<H>>,
    caller: &Arc<Caller>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Reply>, Infallible>> + use<H> {
    // Counted here: from now on it is no longer the head that is waited for.
    let guard = caller.pulse.request();
    let (site, caller) = (site.clone(), caller.clone());
    async move {
        Counts::one(&site.counts.requests);
        let head_only = request.method() == Method::HEAD;
        let is_one = request.version() != http::Version::HTTP_2;
        let mut response = answered(&site, &caller, request).await;
        if is_one && site.stop.is_done() {
            // Whether or not the watcher has noticed yet.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        site.counts.answered(response.status());
        Ok(response.map(|body| Reply::new(body, guard, head_only)))
    }
}

async fn answered<H: Handler>(
    site: &Site<H>,
    caller: &Caller,
    request: Request<Incoming>,
) -> Response<Body> {
    let limits = &site.limits;
    let named = match head::check(&request).and_then(|()| head::timeout(request.headers())) {
        Ok(named) => named,
        Err(why) => {
            caller.pulse.was_refused();
            return answer::plain(why.status(), why.advice());
        }
    };
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > limits.body_bytes_max) {
        caller.pulse.was_refused();
        return answer::bad_body(BodyError::TooLarge);
    }
    let now = rt::now();
    let (bytes_max, time) = (limits.body_bytes_max, limits.body_time);
    let asked = Asked {
        request: request.map(|body| Inbound::new(body, bytes_max, now + time)),
        peer: caller.peer,
        deadline: now + named.unwrap_or(limits.work_time).min(limits.work_time),
        is_deadline_named: named.is_some(),
        ctx: site.work.clone(),
        client: caller.client.clone(),
    };
    // What a panic leaves half done is dropped with the future.
    let Ok(work) = catch_unwind(AssertUnwindSafe(|| site.handler.handle(asked))) else {
        return panicked(site);
    };
    let mut work = pin!(work);
    let response = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled,
        Err(_) => Poll::Ready(panicked(site)),
    })
    .await;
    if matches!(response.status(), StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        caller.pulse.was_refused();
    }
    response
}

/// A process of the server, which its panic ends and nothing else: it would be a mistake of ours or of a library, in one of many.
pub(super) async fn caught(counts: Arc<Counts>, process: impl Future<Output = ()>) {
    let mut process = pin!(process);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| process.as_mut().poll(cx))).unwrap_or_else(|_| {
            Counts::one(&counts.panics);
            Poll::Ready(())
        })
    })
    .await;
}

fn panicked<H>(site: &Site<H>) -> Response<Body> {
    Counts::one(&site.counts.panics);
    answer::plain(StatusCode::INTERNAL_SERVER_ERROR, "a mistake of ours: tell us what you asked\n")
}

/// A client that has left, as `io` says it: nothing that a server can do anything about.
pub(super) fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | NotConnected)
}
