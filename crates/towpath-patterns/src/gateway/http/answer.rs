//! Answers of the gateway's own: why a request was not served, and what to do.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};

use super::body::{Body, BodyError};

/// Our texts.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// An answer that says why, and what to do.
pub(super) fn plain(status: StatusCode, advice: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(advice));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PLAIN);
    response
}

/// There is too much to do.
pub(super) fn overloaded(retry_after: Duration) -> Response<Body> {
    let mut response = plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded: try again after the time in retry-after\n",
    );
    // Whole seconds, rounded up: 0 would invite everybody at once.
    let seconds = retry_after.as_millis().div_ceil(1000).max(1);
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// It would have come too late.
pub(super) fn late() -> Response<Body> {
    plain(
        StatusCode::GATEWAY_TIMEOUT,
        "not answered within the deadline: give more time, or ask for less\n",
    )
}

/// An upstream did not answer.
pub(super) fn bad_gateway() -> Response<Body> {
    plain(StatusCode::BAD_GATEWAY, "the upstream failed: try again, and look at that host\n")
}

/// A body that is not taken. The rest of it is not read, so the connection cannot be used again.
pub(super) fn bad_body(why: BodyError) -> Response<Body> {
    let (status, advice) = match why {
        BodyError::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large: send less\n")
        }
        BodyError::Late => {
            (StatusCode::REQUEST_TIMEOUT, "the body came too slowly: send it faster\n")
        }
        BodyError::Broken => {
            (StatusCode::BAD_REQUEST, "the body is no HTTP: look at its length or its chunks\n")
        }
    };
    let mut response = plain(status, advice);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// 413, 408 or 400, and the connection is closed after it.
impl From<BodyError> for Response<Body> {
    fn from(why: BodyError) -> Self {
        bad_body(why)
    }
}

/// What is written to a client whose head does not come to its end, past hyper.
pub(super) const HEAD_LATE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
