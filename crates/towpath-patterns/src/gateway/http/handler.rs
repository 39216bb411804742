//! What answers requests: the trait that the server calls, and what it is given.

use std::{fmt, future::Future, net::SocketAddr, time::Instant};

use http::{Request, Response};
use towpath::Ctx;

use super::{
    body::{Body, Inbound},
    head::Client,
};

/// What answers requests. The [`Proxy`](super::Proxy) and the [`Workers`](super::Workers) are two; a function
/// `async fn(Asked) -> Response<Body>` is one.
///
/// # Cancel safety
/// The future is dropped when its client leaves, and when a server that stops has no more time.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. A panic costs that request, which is answered with 500.
    fn handle(&self, asked: Asked) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, Fut> Handler for F
where
    F: Fn(Asked) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Response<Body>> + Send,
{
    fn handle(&self, asked: Asked) -> impl Future<Output = Response<Body>> + Send {
        self(asked)
    }
}

/// A request, and what the server knows about it.
pub struct Asked {
    /// The request.
    pub request: Request<Inbound>,
    /// Who is on the other end of the connection.
    pub peer: SocketAddr,
    /// Until when an answer is of use: by the header [`TIMEOUT`](super::TIMEOUT), and `work_time` at the latest.
    pub deadline: Instant,
    /// Whether the caller named that time, and did not leave it to the server.
    pub(super) is_deadline_named: bool,
    /// The server's context, which ends when a server that stops has no more time.
    pub(super) ctx: Ctx,
    pub(super) client: Client,
}

impl Asked {
    /// A context for the work: it ends at the deadline, and carries the trace context of the request. Who drops the work when its
    /// future is dropped needs no more to learn that the client has left.
    pub fn ctx(&self) -> Ctx {
        let ctx = self.ctx.with_deadline(self.deadline);
        let headers = super::headers_of(self.request.headers());
        if headers.is_empty() { ctx } else { ctx.with_headers(headers) }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("request", &self.request)
            .field("peer", &self.peer)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
