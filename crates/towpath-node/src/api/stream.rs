//! Server-sent events, as bytes and as an answer.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use futures_util::Stream;
use serde::Serialize;

/// Says that nothing has happened and somebody is still there.
pub(super) const STILL_HERE: &[u8] = b": still here\n\n";

/// One event. JSON has no line ends of its own, so one line of data is enough.
pub(super) fn event(name: &str, data: &impl Serialize) -> Bytes {
    let mut bytes = format!("event: {name}\ndata: ").into_bytes();
    // What is told here are plain structs and values, which always are JSON.
    if serde_json::to_writer(&mut bytes, data).is_err() {
        return Bytes::from_static(STILL_HERE);
    }
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

/// An answer that goes on for as long as the stream.
pub(super) fn answer(
    events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let kind = "text/event-stream; charset=utf-8";
    ([(CONTENT_TYPE, kind)], Body::from_stream(events)).into_response()
}
