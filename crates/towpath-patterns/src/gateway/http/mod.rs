//! The gateway's HTTP side: a server for HTTP/1.1 and HTTP/2 that hands requests to workers or passes them on to hosts.
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use towpath::{Ctx, scope};
//! use towpath_patterns::gateway::{Call, Gateway, Options, http::{Server, Workers, listen}};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! scope(&Ctx::root(), |s| async move {
//!     let greeting = Gateway::start(&s, "greeting", Options::new(4), async |call: Call<Request<Bytes>, Response<Bytes>>| {
//!         let answer = format!("you asked for {}\n", call.request().uri());
//!         call.answer(Response::new(Bytes::from(answer)));
//!     });
//!     let listener = listen("127.0.0.1:0".parse()?, false)?;
//!     let address = listener.local_addr()?;
//!     let server = Server::new(Workers::new(greeting));
//!     s.spawn("http", move |ctx| async move { server.serve(&ctx, listener).await });
//! #   assert!(ask(address).await?.ends_with("you asked for /tea\n"));
//!     s.cancel("closing time");
//!     Ok(())
//! })
//! .await?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # async fn ask(address: std::net::SocketAddr) -> std::io::Result<String> {
//! #     use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! #     let mut socket = tokio::net::TcpStream::connect(address).await?;
//! #     socket.write_all(b"GET /tea HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
//! #     let mut answer = String::new();
//! #     socket.read_to_string(&mut answer).await?;
//! #     Ok(answer)
//! # }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//! - Every input has a [limit](Limits), in bytes, in number and in time; a client beyond one is told why where HTTP allows it
//!   (400, 408, 413, 414, 431) and closed otherwise. Nobody else notices.
//! - Work ends with its client: when a connection or a stream ends, what was under way for it is dropped.
//! - A request has a deadline: that of the header [`TIMEOUT`], in milliseconds from its arrival, and [`Limits::work_time`] at the
//!   latest. It is answered 504 when it has passed. A proxy passes on how much is left of a time that the client named.
//! - What could not be taken is answered 503 with `Retry-After`.
//! - A trace context (W3C `traceparent` and `tracestate`) is carried as it came: into the context of a call
//!   ([`Asked::ctx`], [`Call::ctx`](super::Call::ctx)), from where [`write_headers`] puts it into what a worker asks others, and
//!   through a proxy.
//! - A server that is told to stop accepts nothing more and says so (`GOAWAY`, `Connection: close`), lets requests end
//!   for `drain_time`, and has no task when it has returned.
//!
//! # What is not
//! No upgrades (WebSocket), no tunnels (`CONNECT`), no HTTP/2 and no TLS to the hosts of a proxy, no caching, no
//! rewriting of paths. Where a request has `Transfer-Encoding` and `Content-Length`, the latter is dropped, the body framed
//! anew, and the connection closed after the answer (RFC 9112 section 6.3).
//!
//! This folder alone of the crate names tokio: sockets are its own (`docs/adr/0014`). Time still comes from `towpath::rt`.

mod answer;
mod body;
mod conn;
mod counts;
mod handler;
mod head;
mod limits;
mod pool;
mod proxy;
mod pulse;
mod server;
#[cfg(test)]
mod tests;
mod tls;
mod two;
mod upstream;
mod wire;
mod workers;

pub use body::{Body, BodyError, CutShort, Inbound};
pub use counts::Snapshot;
pub use handler::{Asked, Handler};
pub use head::{TIMEOUT, headers_of, write_headers};
pub use limits::Limits;
pub use proxy::{Host, Proxy, ProxyOptions};
pub use server::{Server, listen, serve_on_cores};
pub use tls::Tls;
pub use workers::Workers;
