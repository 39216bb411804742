//! `GET /tap/{channel}`: copies of a channel's messages as they go by.
//!
//! What always holds: whoever listens in slows nobody down; what he is too slow for is missed, and he is told how much.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, State as Shared},
    http::{StatusCode, Uri},
    response::Response,
};
use futures_util::stream;
use serde_json::{Value, json};
use towpath::{after, select};
use towpath_observe::trace::TraceContext;

use super::{
    Api, Place, Rights, query,
    refusal::Refusal,
    stream::{STILL_HERE, answer, event},
};
use crate::{Expr, Message, Node, Tap};

/// Messages that were not sent on yet. A burst of so many is seen whole.
const ROOM: usize = 1024;

/// After so long without a message the other side is told that somebody is there.
const QUIET: Duration = Duration::from_secs(10);

struct Listening {
    tap: Tap,
    node: Node,
    filter: Option<Expr>,
    payloads: bool,
    left: u64,
    missed: u64,
    _place: Place,
}

pub(super) async fn tap(
    Shared(api): Shared<Api>,
    Extension(rights): Extension<Rights>,
    Path(channel): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let (mut filter, mut left) = (None, u64::MAX);
    for (name, value) in query(&uri) {
        match name.as_str() {
            // It tells what is in messages, if one asks often enough.
            "where" if !rights.payloads => {
                let told = "a filter looks into messages, and they may not be seen here: start the node with --show-payloads, or come by its socket file";
                return Err(Refusal::new(StatusCode::FORBIDDEN, told));
            }
            "where" => filter = Some(Expr::compile(&value).map_err(Refusal::wrong)?),
            "once" if value != "false" => left = left.min(1),
            "limit" => {
                let limit: u64 = value.parse().map_err(|_| {
                    Refusal::wrong(format!("`limit` is a number, and `{value}` is none"))
                })?;
                left = left.min(limit);
            }
            _ => {}
        }
    }
    let place = api.place()?;
    let tap = api.node.tap(&channel, ROOM)?;
    let (node, payloads) = (api.node.clone(), rights.payloads);
    let listening = Listening { tap, node, filter, payloads, left, missed: 0, _place: place };
    Ok(answer(stream::unfold(listening, Listening::next)))
}

impl Listening {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.left == 0 {
            return None;
        }
        let mut quiet = after(QUIET);
        loop {
            let missed = self.tap.missed();
            if missed > self.missed {
                let event = event("missed", &json!({"missed": missed - self.missed}));
                self.missed = missed;
                return Some((Ok(event), self));
            }
            let message = select! { biased;
                message = select::future(self.tap.recv()) => message?,
                _ = select::future(&mut quiet) => return Some((Ok(Bytes::from_static(STILL_HERE)), self)),
            };
            if let Some(event) = self.event(message) {
                self.left -= 1;
                return Some((Ok(event), self));
            }
        }
    }

    fn event(&self, message: Message) -> Option<Bytes> {
        let (headers, message) = message.into_parts();
        if let Some(filter) = &self.filter {
            // A message for which it has no value is not one that was asked for.
            if !filter.test(&message).unwrap_or(false) {
                return None;
            }
        }
        let mut told = json!({"at_ms": self.node.uptime_ms()});
        if self.payloads {
            told["message"] = message;
        }
        let trace = TraceContext::from_headers(&headers);
        told["trace"] = trace.map_or(Value::Null, |it| it.trace.to_string().into());
        Some(event("message", &told))
    }
}
