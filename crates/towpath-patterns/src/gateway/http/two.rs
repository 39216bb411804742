//! A connection that speaks HTTP/2: many streams, each a task of the server's scope.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::{rt as hyper_rt, server::conn::http2, service::service_fn};
use hyper_util::rt::TokioIo;
use towpath::{Scope, rt};

use super::{
    conn::{self, Caller, Site, Then, Watch, Watched},
    counts::Counts,
    handler::Handler,
    pulse::{Pulse, Ticks, Verdict},
    wire::Wire,
};

/// How often a silent client is asked whether it is there, and how long it may take to say so: half-open connections are found in
/// less than a minute, as the defaults of gRPC servers behind load balancers have it.
const PING_TIME: Duration = Duration::from_secs(20);

/// Bytes of answers that a stream may hold before its client takes them: a window's worth, RFC 9113 section 6.9.2.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// Serves HTTP/2 until the client leaves, breaks a limit, or nothing was asked for too long.
pub(super) async fn run<H: Handler>(
    site: &Arc<Site<H>>,
    scope: &Scope,
    caller: &Arc<Caller>,
    wire: Wire,
    stop: Pin<&mut impl Future>,
) {
    let service = service_fn({
        let (site, caller) = (site.clone(), caller.clone());
        move |request| conn::serve(&site, &caller, request)
    });
    let limits = &site.limits;
    let mut builder =
        http2::Builder::new(Streams { scope: scope.clone(), counts: site.counts.clone() });
    builder
        .timer(Clock)
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(limits.resets_max as usize)
        .max_local_error_reset_streams(limits.resets_max as usize)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_TIME)
        .keep_alive_timeout(PING_TIME);
    let conn = Box::pin(builder.serve_connection(TokioIo::new(wire), service));
    let pulse = &*caller.pulse;
    let mut two = Two { conn, pulse, ticks: site.ticks, resets: false };
    let idle_max = limits.ticks(limits.idle_time);
    let mut idle = 0_u32;
    let ends = |verdict| {
        idle = if pulse.requests() == 0 { idle.saturating_add(1) } else { 0 };
        match verdict {
            Verdict::Stuck | Verdict::Resets => Then::End,
            // A client that was told to go has as long again to do so.
            _ if idle > idle_max.saturating_mul(2) => Then::End,
            _ if idle == idle_max => Then::Stop,
            _ => Then::GoOn,
        }
    };
    let watched = conn::watch(site, pulse, &mut two, stop, ends).await;
    if two.resets || matches!(watched, Watched::Told(Verdict::Resets)) {
        Counts::one(&site.counts.resets);
    } else if matches!(watched, Watched::Told(Verdict::Stuck)) {
        Counts::one(&site.counts.stuck);
    }
}

/// The connection, which ends when its client gives up too much.
struct Two<'a, C> {
    conn: Pin<Box<C>>,
    pulse: &'a Pulse,
    ticks: Ticks,
    resets: bool,
}

impl<S, E> Watch for Two<'_, http2::Connection<TokioIo<Wire>, S, E>>
where
    http2::Connection<TokioIo<Wire>, S, E>: Future,
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = super::body::Reply>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper_rt::bounds::Http2ServerConnExec<S::Future, super::body::Reply>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.conn.as_mut().poll(cx).map(drop);
        // At once, not at the next tick: a second of resets is what the attack wants.
        self.resets = self.pulse.resets_too_much(&self.ticks);
        if self.resets { Poll::Ready(()) } else { polled }
    }

    fn stop(&mut self) {
        self.conn.as_mut().graceful_shutdown();
    }
}

/// Starts streams in the server's scope.
#[derive(Clone)]
struct Streams {
    scope: Scope,
    counts: Arc<Counts>,
}

impl<F: Future<Output = ()> + Send + 'static> hyper_rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.scope.spawn("stream", |_| conn::caught(self.counts.clone(), stream));
    }
}

/// hyper's timers, by our clock.
#[derive(Clone, Copy, Debug)]
struct Clock;

impl hyper_rt::Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper_rt::Sleep>> {
        Box::pin(Asleep(rt::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper_rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(rt::now()))
    }

    fn now(&self) -> Instant {
        rt::now()
    }
}

struct Asleep(rt::Sleep);

impl Future for Asleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl hyper_rt::Sleep for Asleep {}
