//! The HTTP side of component `http_out`: connections, requests and their answers.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER},
};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use towpath::{BoxError, Headers, after, rt, select};
use towpath_patterns::{
    fault::{Times, Why},
    gateway::http::write_headers,
};

use super::tls;
use crate::{
    components::http_out::{Target, Trust},
    ports::{Input, Message, Outputs},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Bytes of an answer that are read: enough for a reason.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Characters of an answer that are told.
const EXCERPT_CHARS_MAX: usize = 300;

/// The longest wish to come later that is listened to.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Sends messages until there are no more, over as many connections as the target says.
///
/// # Errors
/// Nobody receives what is refused, or there are no roots to believe.
pub(crate) async fn send(
    target: &Target,
    messages: &mut Input,
    outputs: &Outputs,
) -> Result<(), BoxError> {
    let secure = target.tls.as_ref().map(|trust| Secure::new(target, trust)).transpose()?;
    let secure = secure.as_ref();
    let mut lines: Vec<Line<'_>> = (0..target.concurrency).map(|_| Line::default()).collect();
    let mut ended = false;
    let mut batch = Vec::new();
    loop {
        let free = lines.iter().position(|line| line.sending.is_none());
        let busy = lines.iter().any(|line| line.sending.is_some());
        if ended && !busy {
            return Ok(());
        }
        select! { biased;
            done = select::future(poll_fn(|cx| poll_lines(&mut lines, cx))), if busy => done?,
            count = select::future(messages.recv_many(&mut batch, target.batch)), if !ended && free.is_some() => {
                match free {
                    Some(free) if count > 0 => {
                        let line = &mut lines[free];
                        let connection = line.connection.take();
                        let batch = std::mem::take(&mut batch);
                        line.sending = Some(Box::pin(deliver(target, secure, connection, batch, outputs)));
                    }
                    _ => ended = true,
                }
            },
        }
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Option<Connection>, BoxError>> + Send + 'a>>;

/// A connection, or what is sent over it.
#[derive(Default)]
struct Line<'a> {
    connection: Option<Connection>,
    sending: Option<Sending<'a>>,
}

/// Ready when one of them is free again.
fn poll_lines(lines: &mut [Line<'_>], cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
    for line in lines {
        let Some(sending) = &mut line.sending else { continue };
        if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
            line.sending = None;
            return Poll::Ready(sent.map(|connection| line.connection = connection));
        }
    }
    Poll::Pending
}

/// Sends a batch, again and again if need be, and refuses it at last.
async fn deliver(
    target: &Target,
    secure: Option<&Secure>,
    mut connection: Option<Connection>,
    batch: Vec<Message>,
    outputs: &Outputs,
) -> Result<Option<Connection>, BoxError> {
    let request = match Prepared::of(target, &batch, outputs) {
        Ok(request) => request,
        Err(why) => {
            refuse(batch, &why, outputs).await?;
            return Ok(connection);
        }
    };
    let (began, mut failures) = (rt::now(), 0);
    loop {
        // One that was idle may have been closed by the other side meanwhile, which says nothing about the request.
        let reused = connection.is_some();
        let attempt = select! { biased;
            attempt = select::future(attempt(target, secure, connection.take(), &request)) => attempt,
            () = after(target.timeout) => Err(Failure::later(format!("no answer within {:?}", target.timeout))),
        };
        let failure = match attempt {
            Ok(open) => return Ok(open),
            Err(failure) if reused && failure.broken => continue,
            Err(failure) => failure,
        };
        failures += 1;
        let times = Times { failures, began, now: rt::now(), end: None };
        let next = match failure.again {
            true => target.retry.next_attempt(times, failure.retry_after, rt::random()),
            false => Err(Why::Attempts),
        };
        let Ok(next) = next else {
            let why = format!("{}; attempts: {failures}", failure.why);
            refuse(batch, &why, outputs).await?;
            return Ok(None);
        };
        towpath::at(next).await;
    }
}

async fn refuse(batch: Vec<Message>, why: &str, outputs: &Outputs) -> Result<(), BoxError> {
    for message in batch {
        outputs.refuse(message, why).await?;
    }
    Ok(())
}

/// A request, to be sent as often as it takes.
struct Prepared {
    body: Bytes,
    key: HeaderValue,
    trace: HeaderMap,
    /// Of several, the span that the request is part of lasts as long as this.
    _gathered: Headers,
}

impl Prepared {
    fn of(target: &Target, batch: &[Message], outputs: &Outputs) -> Result<Self, String> {
        let mut trace = HeaderMap::new();
        let gathered = outputs.gather(batch.iter().map(|it| it.headers()));
        write_headers(&gathered, &mut trace);
        let body = match batch {
            [one] if target.batch == 1 => one.to_string(),
            several => Value::from_iter(several.iter().map(|it| (**it).clone())).to_string(),
        };
        let key = match (&target.key, batch) {
            (Some(key), [one]) => {
                let value = key.value(one).map_err(|error| error.to_string())?;
                value.as_str().map_or_else(|| value.to_string(), str::to_owned)
            }
            _ => format!("{:016x}{:016x}", rt::random(), rt::random()),
        };
        let key = HeaderValue::from_str(&key)
            .map_err(|_| format!("`{key}` cannot be sent as an idempotency key"))?;
        Ok(Self { body: Bytes::from(body), key, trace, _gathered: gathered })
    }

    fn request(&self, target: &Target) -> Request<Once> {
        let mut request = Request::new(Once(Some(self.body.clone())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target.path.clone();
        let head = request.headers_mut();
        *head = self.trace.clone();
        head.insert(HOST, target.host.clone());
        head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        head.insert(IDEMPOTENCY_KEY, self.key.clone());
        if let Some(authorization) = &target.authorization {
            head.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }
}

/// Why an attempt was none.
struct Failure {
    why: String,
    again: bool,
    /// Before there was an answer.
    broken: bool,
    retry_after: Option<Duration>,
}

impl Failure {
    fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: true, broken: false, retry_after: None }
    }
}

/// A connection and what drives it: polled by whoever has a request on it, so there is no task.
struct Connection {
    requests: http1::SendRequest<Once>,
    driver: Pin<Box<Driver>>,
}

type Driver = http1::Connection<TokioIo<Box<dyn Stream>>, Once>;

/// A connection's bytes, plain or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// How a server is believed to be who it says.
struct Secure {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Secure {
    fn new(target: &Target, trust: &Trust) -> Result<Self, String> {
        let connector = tls::connector(trust.roots.as_deref())?;
        Ok(Self { connector, name: tls::name_of(&target.address)? })
    }

    async fn shake(&self, socket: TcpStream) -> Result<Box<dyn Stream>, String> {
        let shaken = self.connector.connect(self.name.clone(), socket).await;
        Ok(Box::new(shaken.map_err(|error| tls::told(&error, "`tls: {roots: FILE}`"))?))
    }
}

async fn connect(target: &Target, secure: Option<&Secure>) -> Result<Connection, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::later(format!("no connection to {}: {error}", target.address))
    };
    let socket = TcpStream::connect(&target.address).await.map_err(|error| failed(&error))?;
    socket.set_nodelay(true).map_err(|error| failed(&error))?;
    let stream: Box<dyn Stream> = match secure {
        None => Box::new(socket),
        Some(secure) => secure.shake(socket).await.map_err(|why| failed(&why))?,
    };
    let shaken = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    Ok(Connection { requests: shaken.0, driver: Box::pin(shaken.1) })
}

/// One attempt; gives the connection back if it can be used again.
async fn attempt(
    target: &Target,
    secure: Option<&Secure>,
    connection: Option<Connection>,
    request: &Prepared,
) -> Result<Option<Connection>, Failure> {
    let Connection { mut requests, mut driver } = match connection {
        Some(connection) => connection,
        None => connect(target, secure).await?,
    };
    let request = request.request(target);
    let mut answered = pin!(async move {
        let broken = |error: hyper::Error| Failure {
            broken: true,
            ..Failure::later(format!("the connection broke: {error}"))
        };
        requests.ready().await.map_err(broken)?;
        let response = requests.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let text = excerpt(body)
            .await
            .map_err(|error| Failure::later(format!("the answer broke: {error}")))?;
        Ok::<_, Failure>((head, text, requests))
    });
    let mut is_open = true;
    let (head, text, requests) = poll_fn(|cx| {
        if is_open && driver.as_mut().poll(cx).is_ready() {
            // Closed, or broken: what it has to say comes through the request.
            is_open = false;
        }
        answered.as_mut().poll(cx)
    })
    .await?;
    if head.status.is_success() {
        return Ok((is_open && text.is_some()).then_some(Connection { requests, driver }));
    }
    let told: String = text.unwrap_or_default().chars().take(EXCERPT_CHARS_MAX).collect();
    let again = head.status.is_server_error()
        || matches!(head.status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    let wish = head.headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()?.parse().ok());
    let retry_after = wish.map(Duration::from_secs).map(|it| it.min(RETRY_AFTER_MAX));
    Err(Failure {
        why: format!("answered {}: {told}", head.status),
        again,
        broken: false,
        retry_after,
    })
}

/// The answer, as text; `None` if it is too long to be read to its end.
async fn excerpt(mut body: Incoming) -> Result<Option<String>, hyper::Error> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            if all.len() + data.len() > ANSWER_BYTES_MAX {
                return Ok(None);
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(Some(String::from_utf8_lossy(&all).into_owned()))
}

/// A body of bytes that are there.
struct Once(Option<Bytes>);

impl HttpBody for Once {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Bytes::len) as u64)
    }
}
