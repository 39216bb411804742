//! Bodies: what a client sends, within its limits, and what it is answered.

use std::{
    error, fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use towpath::rt;

use super::{pulse::Request, upstream::Streamed};

/// The body of a request, as it comes in: an error beyond the server's limits.
pub struct Inbound {
    /// `None`: there is nothing to come.
    body: Option<Incoming>,
    /// Bytes that may still come.
    left: u64,
    /// When it has to be complete.
    until: Instant,
    /// Set at the first wait.
    timer: Option<rt::Sleep>,
}

/// Why there is no more of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than `body_bytes_max`.
    TooLarge,
    /// It took longer than `body_time`.
    Late,
    /// The client left, or what it sent is no HTTP.
    Broken,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "body too large: send less, or raise `body_bytes_max`",
            Self::Late => "body late: send faster, or raise `body_time`",
            Self::Broken => "the client left inside the body, or sent no HTTP; send it again",
        })
    }
}

impl error::Error for BodyError {}

impl Inbound {
    pub(super) fn new(body: Incoming, bytes_max: u64, until: Instant) -> Self {
        Self { body: Some(body), left: bytes_max, until, timer: None }
    }

    /// Of a request without one.
    pub(super) fn none() -> Self {
        Self { body: None, left: 0, until: rt::now(), timer: None }
    }

    /// All of it.
    ///
    /// # Errors
    /// [`BodyError`]; what came is lost.
    ///
    /// # Cancel safety
    /// Dropped before completion, what came is lost.
    pub async fn collect(mut self) -> Result<Bytes, BodyError> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await
        {
            let Ok(data) = frame?.into_data() else { continue };
            if first.is_empty() && rest.is_empty() {
                first = data;
                continue;
            }
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }
}

impl HttpBody for Inbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                let Some(left) = self.left.checked_sub(bytes) else {
                    return Poll::Ready(Some(Err(BodyError::TooLarge)));
                };
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyError::Broken))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let until = self.until;
                let timer = self
                    .timer
                    .get_or_insert_with(|| rt::sleep(until.saturating_duration_since(rt::now())));
                Pin::new(timer).poll(cx).map(|()| Some(Err(BodyError::Late)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").field("left", &self.left).finish_non_exhaustive()
    }
}

/// The body of an answer: bytes at hand, or what an upstream sends.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    /// What has come of it already, first.
    Streamed(Option<Frame<Bytes>>, Box<Streamed>),
}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    pub(super) fn streamed(first: Option<Frame<Bytes>>, rest: Box<Streamed>) -> Self {
        Self(Kind::Streamed(first, rest))
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        let bytes = bytes.into();
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }
}

/// Why an answer ends in the middle: its upstream failed.
#[derive(Debug)]
pub struct CutShort;

impl fmt::Display for CutShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upstream failed inside its answer; look at that host")
    }
}

impl error::Error for CutShort {}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Streamed(first, rest) => match first.take() {
                Some(first) => Poll::Ready(Some(Ok(first))),
                None => rest.poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Streamed(first, rest) => first.is_none() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed(first, rest) => {
                let ahead = first.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len) as u64;
                rest.size_hint()
                    .exact()
                    .map_or_else(SizeHint::new, |it| SizeHint::with_exact(it + ahead))
            }
        }
    }
}

/// An answer's body together with its request's place in the pulse.
pub(super) struct Reply {
    body: Body,
    request: Request,
}

impl Reply {
    pub(super) fn new(body: Body, mut request: Request, head_only: bool) -> Self {
        request.answering();
        if head_only {
            request.answered();
        }
        Self { body, request }
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = CutShort;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutShort>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => self.request.waiting(),
            Poll::Ready(Some(_)) if !self.body.is_end_stream() => self.request.answering(),
            Poll::Ready(_) => self.request.answered(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.request.answered();
        }
    }
}
