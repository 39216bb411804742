//! A connection to an upstream, and an answer that comes over it.
//!
//! What always holds:
//! - Nobody but the request that has the connection polls it: no task of its own, no wake-up from one task to another.
//! - A connection goes back to its pool when its answer has ended and it can take the next request at once; in all other cases
//!   it is closed, which is how an upstream learns that nobody waits any more.
//!
//! Why not a task for each connection, as clients have it: request and connection would wake each other, at best across cores, four
//! times for each request; and a connection at rest would keep a task.

use std::{
    error::Error as _,
    fmt,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::unconstrained};
use towpath::rt;

use super::{
    body::{Body, BodyError, CutShort, Inbound},
    pool::Home,
};

/// A connection that one request has.
pub(super) struct Link {
    send: http1::SendRequest<Inbound>,
    conn: Pin<Box<http1::Connection<TokioIo<TcpStream>, Inbound>>>,
    /// It has ended, and must not be polled again.
    over: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request did not leave: here it is.
    Unsent(Box<Request<Inbound>>),
    /// The client's body failed, and the upstream is not to blame.
    Body(BodyError),
    /// The upstream closed the connection, or spoke no HTTP.
    Upstream,
}

impl Link {
    /// Connects to a host by its address, or by name and port.
    pub(super) async fn connect(address: &str, header_bytes_max: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut builder = http1::Builder::new();
        builder.max_header_size(header_bytes_max);
        let (send, conn) =
            builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        Ok(Self { send, conn: Box::pin(conn), over: false })
    }

    /// Whether it can take a request now.
    pub(super) fn is_ready(&mut self) -> bool {
        // A look, which notices an end that has come meanwhile. Nobody is to be woken: the next owner looks again. Past tokio's
        // budget of a task, which may be spent by looking at many, and then shows an end as nothing to read.
        let mut look = pin!(unconstrained(poll_fn(|cx| {
            self.poll_conn(cx);
            Poll::Ready(())
        })));
        let looked = look.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        debug_assert!(looked.is_ready(), "it looks once");
        !self.over && self.send.is_ready()
    }

    fn poll_conn(&mut self, cx: &mut Context<'_>) {
        if !self.over {
            self.over = self.conn.as_mut().poll(cx).is_ready();
        }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Cancel safety
    /// Dropped before completion, the connection is closed.
    pub(super) async fn ask(
        mut self,
        request: Request<Inbound>,
    ) -> Result<(Response<Incoming>, Self), Failed> {
        let mut answer = pin!(self.send.try_send_request(request));
        let answered = poll_fn(|cx| {
            if !self.over {
                self.over = self.conn.as_mut().poll(cx).is_ready();
            }
            answer.as_mut().poll(cx)
        })
        .await;
        match answered {
            Ok(response) => Ok((response, self)),
            Err(mut error) => match error.take_message() {
                Some(request) => Err(Failed::Unsent(Box::new(request))),
                None => Err(why(error.error())),
            },
        }
    }
}

fn why(error: &hyper::Error) -> Failed {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(body) = error.downcast_ref() {
            return Failed::Body(*body);
        }
        source = error.source();
    }
    Failed::Upstream
}

/// The body of an upstream's answer, and the connection that it comes over.
pub(super) struct Streamed {
    body: Incoming,
    /// `None` once the answer has ended or failed.
    link: Option<(Link, Home)>,
    /// The upstream may be silent so long.
    silence_max: Duration,
    /// Set at the first wait since something came.
    timer: Option<rt::Sleep>,
    /// It ended in the middle.
    broken: bool,
}

impl Streamed {
    /// The body of an answer. If all of it is there already, the connection goes home at once.
    pub(super) fn body(body: Incoming, link: Link, home: Home, silence_max: Duration) -> Body {
        let mut streamed =
            Self { body, link: Some((link, home)), silence_max, timer: None, broken: false };
        if streamed.body.is_end_stream() {
            streamed.end();
            return Body::empty();
        }
        // A look: who polls the body next brings a waker.
        let mut cx = Context::from_waker(Waker::noop());
        match (streamed.body.size_hint().exact(), streamed.poll_next(&mut cx)) {
            (Some(length), Poll::Ready(Some(Ok(frame)))) => match frame.into_data() {
                Ok(data) if data.len() as u64 == length => {
                    streamed.end();
                    Body::from(data)
                }
                Ok(data) => Body::streamed(Some(Frame::data(data)), Box::new(streamed)),
                Err(trailers) => Body::streamed(Some(trailers), Box::new(streamed)),
            },
            (None, Poll::Ready(Some(Ok(frame)))) => Body::streamed(Some(frame), Box::new(streamed)),
            (_, Poll::Ready(None)) => {
                streamed.end();
                Body::empty()
            }
            (_, Poll::Ready(Some(Err(_)))) => {
                streamed.fail();
                Body::streamed(None, Box::new(streamed))
            }
            (_, Poll::Pending) => Body::streamed(None, Box::new(streamed)),
        }
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Some((link, _)) = self.link.as_mut().filter(|_| polled.is_pending()) else {
            return polled;
        };
        // Asking for more is what makes the connection read on.
        link.poll_conn(cx);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    /// The answer is complete.
    fn end(&mut self) {
        if let Some((link, home)) = self.link.take() {
            home.welcome(link);
        }
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        if self.broken {
            return Poll::Ready(Some(Err(CutShort)));
        }
        match self.poll_next(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.timer = None;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                self.fail();
                Poll::Ready(Some(Err(CutShort)))
            }
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let timer = self.timer.get_or_insert_with(|| rt::sleep(self.silence_max));
                if Pin::new(timer).poll(cx).is_pending() {
                    return Poll::Pending;
                }
                self.fail();
                Poll::Ready(Some(Err(CutShort)))
            }
        }
    }

    /// The answer ends in the middle.
    fn fail(&mut self) {
        self.broken = true;
        if let Some((link, home)) = self.link.take() {
            drop(link);
            home.blame();
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        !self.broken && self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if self.is_end_stream() {
            self.end();
        }
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("body", &self.body).finish_non_exhaustive()
    }
}
