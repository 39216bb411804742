//! What a proxy changes in the head of a message, and what it refuses: values, no I/O.
//!
//! What always holds for a head that was let through:
//! - It has one `Host`, and none of the headers that are for one connection only (RFC 9110 section 7.6.1).
//! - The length of its body is said in one way. hyper reads `Transfer-Encoding` and drops a `Content-Length` beside it, closes the
//!   connection afterwards, and refuses lengths that differ; the body is framed anew on its way out.

use std::{net::IpAddr, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE, VIA,
    },
    uri::PathAndQuery,
};
use towpath::Headers;

/// The header with the time that a caller gives, in whole milliseconds: a relative time, so that clocks need not agree.
pub const TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");
/// Where a request was before, RFC 7239's older relative, which everybody reads.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `http` or `https`, as the client came.
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Older headers for one connection only, which `http` has no names for.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// W3C trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Headers for one connection only, besides those that `Connection` names.
static HOP_BY_HOP: [HeaderName; 8] = [
    TRANSFER_ENCODING,
    UPGRADE,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TE,
    TRAILER,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Why a request goes no further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Malformed {
    /// No host or several, or one with characters that none has.
    Host,
    /// A tunnel, which is not for this server.
    Connect,
    /// A time that is no number.
    Timeout,
}

impl Malformed {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Timeout => StatusCode::BAD_REQUEST,
            Self::Connect => StatusCode::NOT_IMPLEMENTED,
        }
    }

    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Host => "send one Host header with a host's name\n",
            Self::Connect => "this server makes no tunnels\n",
            Self::Timeout => "x-request-timeout-ms is a whole number of milliseconds\n",
        }
    }
}

/// What every request is held against, before anybody sees it.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Malformed> {
    if request.method() == Method::CONNECT {
        return Err(Malformed::Connect);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (None, None) if request.version() != Version::HTTP_11 => Ok(()),
        _ => Err(Malformed::Host),
    }
}

/// Whether nothing in it could be read as something else than a host and a port.
fn is_host(host: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+,;=".contains(byte);
    !host.is_empty() && host.iter().all(allowed)
}

/// The time a caller gives.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    // `parse` takes a sign; the header has none.
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let ms = digits.and_then(|text| text.parse().ok()).ok_or(Malformed::Timeout)?;
    Ok(Some(Duration::from_millis(ms)))
}

/// The trace context as it came: a line for each header, opaque to whoever carries it.
pub fn headers_of(headers: &HeaderMap) -> Headers {
    let Some(parent) = headers.get(TRACEPARENT) else { return Headers::none() };
    let mut bytes = Vec::new();
    let state = headers.get_all(TRACESTATE).iter().map(|value| (TRACESTATE, value));
    for (name, value) in std::iter::once((TRACEPARENT, parent)).chain(state) {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    Headers::new(bytes)
}

/// Puts a trace context that [`headers_of`] has read into a message that goes out, in place of what is there. Lines of other names,
/// or with bytes that no header may have, are left out.
pub fn write_headers(from: &Headers, into: &mut HeaderMap) {
    for name in [TRACEPARENT, TRACESTATE] {
        into.remove(name);
    }
    for line in from.as_bytes().split(|&byte| byte == b'\n') {
        for name in [TRACEPARENT, TRACESTATE] {
            let value = line.strip_prefix(name.as_str().as_bytes());
            let value = value.and_then(|rest| rest.strip_prefix(b": "));
            if let Some(Ok(value)) = value.map(HeaderValue::from_bytes) {
                into.append(name, value);
            }
        }
    }
}

/// Who a client is, as the headers say it, made once for a connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    address: HeaderValue,
    scheme: HeaderValue,
}

impl Client {
    pub(super) fn new(address: IpAddr, tls: bool) -> Self {
        let scheme = HeaderValue::from_static(if tls { "https" } else { "http" });
        let address = HeaderValue::from_str(&address.to_canonical().to_string());
        // An address is digits, dots, colons and, of a scope, a number.
        Self { address: address.unwrap_or_else(|_| HeaderValue::from_static("unknown")), scheme }
    }
}

/// Makes a request that came in one that goes out, over HTTP/1.1.
///
/// `trusted`: who the client says it speaks for is kept, and the client added to it; otherwise it is replaced.
pub(super) fn outbound<B>(
    request: &mut Request<B>,
    client: &Client,
    via: &HeaderValue,
    trusted: bool,
) {
    let came_as = request.version();
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() {
        let authority = request.uri().authority().cloned();
        let path = request.uri().path_and_query().cloned();
        // HTTP/2 has `:authority` in place of `Host`; in an absolute form it overrides `Host`, RFC 9112 section 3.2.2.
        if let Some(Ok(host)) = authority.map(|it| HeaderValue::from_str(it.as_str())) {
            request.headers_mut().insert(HOST, host);
        }
        *request.uri_mut() =
            path.map_or_else(|| Uri::from(PathAndQuery::from_static("/")), Uri::from);
    }
    let headers = request.headers_mut();
    strip(headers);
    if trusted && let Some(before) = headers.get(&FORWARDED_FOR) {
        let mut chain = before.as_bytes().to_vec();
        chain.extend_from_slice(b", ");
        chain.extend_from_slice(client.address.as_bytes());
        let chain = HeaderValue::from_bytes(&chain).unwrap_or_else(|_| client.address.clone());
        headers.insert(FORWARDED_FOR, chain);
    } else {
        headers.insert(FORWARDED_FOR, client.address.clone());
    }
    if !(trusted && headers.contains_key(&FORWARDED_PROTO)) {
        headers.insert(FORWARDED_PROTO, client.scheme.clone());
    }
    add_via(headers, came_as, via);
}

/// Makes an upstream's answer one of ours.
pub(super) fn answer(headers: &mut HeaderMap, via: &HeaderValue) {
    strip(headers);
    add_via(headers, Version::HTTP_11, via);
}

/// Says in a request that goes out how much of its time is left.
pub(super) fn set_timeout(headers: &mut HeaderMap, left: Duration) {
    let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    headers.insert(TIMEOUT, HeaderValue::from(ms));
}

/// Takes away what is for one connection only.
fn strip(headers: &mut HeaderMap) {
    // Nearly no message has any but `Connection`; each look is a hash.
    if headers.contains_key(CONNECTION) {
        for named in named_by_connection(headers) {
            // A client could take `Host` or a length away from the next in line this way.
            if named != HOST && named != CONTENT_LENGTH {
                headers.remove(named);
            }
        }
        headers.remove(CONNECTION);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// What `Connection` names, but `close` and `keep-alive`, which are no headers of their own here.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    let names = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let names = names.map(<[u8]>::trim_ascii);
    let names = names
        .filter(|it| !it.eq_ignore_ascii_case(b"close") && !it.eq_ignore_ascii_case(b"keep-alive"));
    names.filter_map(|name| HeaderName::from_bytes(name).ok()).collect()
}

/// RFC 9110 section 7.6.3: the version that the message came in, and who passes it on.
fn add_via(headers: &mut HeaderMap, came_as: Version, via: &HeaderValue) {
    if via.is_empty() {
        return;
    }
    if came_as == Version::HTTP_11 && !headers.contains_key(VIA) {
        headers.insert(VIA, via.clone());
        return;
    }
    let version = match came_as {
        Version::HTTP_2 => &b"2.0"[..],
        Version::HTTP_10 => b"1.0",
        _ => b"1.1",
    };
    let name = via.as_bytes().strip_prefix(b"1.1").unwrap_or(via.as_bytes());
    let value = [version, name].concat();
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.append(VIA, value);
    }
}

/// Whether a request may be sent twice: doing it again asks for no more than doing it once, RFC 9110 section 9.2.2.
pub(super) fn may_repeat(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}
