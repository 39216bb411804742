//! A server: accepts connections while there is room, and ends them when it is told to stop.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime,
};
use towpath::{Ctx, Error, Scope, rt, scope};

use super::{
    conn::{self, Site},
    counts::{Counts, Snapshot},
    handler::Handler,
    limits::Limits,
    pulse::Ticks,
    tls::Tls,
};

/// Connections that the kernel holds until they are accepted: what Linux allows at most without being told otherwise
/// (`net.core.somaxconn`).
const BACKLOG_CAPACITY: u32 = 4096;

/// How long the server waits when the machine has no file or memory for one more connection. It may have after some have ended.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);

/// How often a server that is full looks for a free place: a connection ends without telling it.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// An HTTP server: HTTP/1.1 and HTTP/2, told apart by what comes or by the TLS handshake.
///
/// Clones share the handler and the counts.
pub struct Server<H> {
    handler: Arc<H>,
    limits: Limits,
    tls: Option<Tls>,
    counts: Arc<Counts>,
}

/// A listener at an address; port 0 is one that is free.
///
/// `shared`: other listeners may have the same address, and the kernel shares connections out among them (`SO_REUSEPORT`).
///
/// # Errors
/// The system's: the address is taken, or not ours.
///
/// # Panics
/// Outside a tokio runtime.
pub fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    #[cfg(unix)]
    socket.set_reuseport(shared)?;
    #[cfg(not(unix))]
    let _ = shared;
    socket.bind(address)?;
    socket.listen(BACKLOG_CAPACITY)
}

impl<H: Handler> Server<H> {
    /// With the default limits, and without TLS.
    pub fn new(handler: H) -> Self {
        let counts = Arc::default();
        Self { handler: Arc::new(handler), limits: Limits::default(), tls: None, counts }
    }

    /// With other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Speaks TLS, and nothing else.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// How it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.counts.snapshot()
    }

    /// Serves connections until `ctx` ends. Then it accepts no more, tells its clients (`GOAWAY`, `Connection: close`), closes
    /// connections at rest, and gives requests under way `drain_time` to end.
    ///
    /// Every task of it ends before it returns.
    ///
    /// # Errors
    /// [`Error`] when the listener fails for good.
    ///
    /// # Cancel safety
    /// Dropped before completion, everything it serves is dropped before the drop returns.
    pub async fn serve(&self, ctx: &Ctx, listener: TcpListener) -> Result<(), Error> {
        // Not below `ctx`: requests go on for a while when it has ended.
        let work = Ctx::root().with_headers(ctx.headers());
        let limits = &self.limits;
        let site = Arc::new(Site {
            handler: self.handler.clone(),
            limits: limits.clone(),
            ticks: Ticks {
                header: limits.ticks(limits.header_time),
                write: limits.ticks(limits.write_time),
                resets: limits.resets_max,
            },
            tick: limits.tick(),
            counts: self.counts.clone(),
            tls: self.tls.clone(),
            stop: ctx.clone(),
            work: work.clone(),
        });
        let mut serving = Box::pin(scope(&work, |s| accept(s, site, listener)));
        let mut cut = pin!(async {
            ctx.done().await;
            rt::sleep(limits.drain_time).await;
        });
        std::future::poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Ready(served) => Poll::Ready(served),
            // What is under way is dropped with the scope.
            Poll::Pending => cut.as_mut().poll(cx).map(Ok),
        })
        .await
    }
}

/// Serves on so many threads, each with a runtime and a listener of its own, so that a connection and all that it needs stay on one
/// core. `make` gives each its server; what they share is up to it.
///
/// Limits hold for each thread. Port 0 is not for this: each would have another port.
///
/// # Errors
/// [`Error`] when a listener or a runtime cannot be made, or a listener fails; the other threads are stopped then.
///
/// # Cancel safety
/// Dropped before completion, it waits for the threads, which stop as soon as they have drained.
pub async fn serve_on_cores<H: Handler>(
    ctx: &Ctx,
    address: SocketAddr,
    cores: usize,
    mut make: impl FnMut(usize) -> Server<H>,
) -> Result<(), Error> {
    scope(ctx, |s| {
        for core in 0..cores {
            let server = make(core);
            s.spawn_blocking(format!("core {core}"), move |ctx| {
                let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let listener = listen(address, true)?;
                    Ok::<_, towpath::BoxError>(server.serve(&ctx, listener).await?)
                })
            });
        }
        async { Ok(()) }
    })
    .await
}

impl<H> Clone for Server<H> {
    fn clone(&self) -> Self {
        Self {
            handler: self.handler.clone(),
            limits: self.limits.clone(),
            tls: self.tls.clone(),
            counts: self.counts.clone(),
        }
    }
}

impl<H> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("limits", &self.limits)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// Accepts until told to stop.
async fn accept<H: Handler>(
    scope: Scope,
    site: Arc<Site<H>>,
    listener: TcpListener,
) -> Result<(), towpath::BoxError> {
    let stop = site.stop.clone();
    let mut stop = pin!(stop.done());
    let open = &site.counts.connections;
    loop {
        let room = open.load(Relaxed) < site.limits.connections_max as u64;
        let pause = if room { None } else { Some(FULL_PAUSE) };
        let accepted = {
            let mut pause = pause.map(rt::sleep);
            std::future::poll_fn(|cx| {
                if stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
                match &mut pause {
                    Some(pause) => Pin::new(pause).poll(cx).map(|()| Some(None)),
                    None => listener.poll_accept(cx).map(|accepted| Some(Some(accepted))),
                }
            })
            .await
        };
        match accepted {
            None => return Ok(()),
            Some(None) => {}
            Some(Some(Ok((stream, peer)))) => enter(&scope, &site, stream, peer),
            Some(Some(Err(error))) if conn::is_of_client(&error) => {}
            Some(Some(Err(_))) => rt::sleep(SHORTAGE_PAUSE).await,
        }
    }
}

fn enter<H: Handler>(scope: &Scope, site: &Arc<Site<H>>, stream: TcpStream, peer: SocketAddr) {
    Counts::one(&site.counts.accepted);
    let place = Place::new(site.counts.clone());
    let (site, inner) = (site.clone(), scope.clone());
    let counts = site.counts.clone();
    scope.spawn("connection", move |_| async move {
        // Held until the connection has ended, however it does.
        let _place = place;
        conn::caught(counts, conn::run(site, inner, stream, peer)).await;
    });
}

/// An open connection's place among the counted.
struct Place(Arc<Counts>);

impl Place {
    fn new(counts: Arc<Counts>) -> Self {
        Counts::one(&counts.connections);
        Self(counts)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
