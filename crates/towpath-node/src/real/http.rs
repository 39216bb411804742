//! The HTTP side of component `http`: requests to the desk, and answers.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::{Value, json};
use towpath::{BoxError, Ctx, rt};
use towpath_patterns::gateway::http::{Asked, Body, Handler, Limits, Server, Tls, listen};

use crate::{
    components::http::{
        Settings, Token,
        body::{Form, KEY_BYTES_MAX, Keyed},
        intake::{Counts, Desk, NotTaken},
        replies::{Answered, Patience, Replies, Reply},
    },
    home::Home,
    real::tls::Pair,
};

/// After which somebody who found no room may find some.
const RETRY_SECONDS: u16 = 1;

/// How long requests may go on when the network drains: as long as one waits for room, for the disk, and for an answer.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// What is left of a request's time to say that it is over.
const TELL_TIME: Duration = Duration::from_secs(1);

/// Answers requests at a listening socket that outlives this run, until `ctx` ends.
///
/// # Errors
/// The address cannot be listened at, the token or the certificate cannot be read, or the socket fails.
pub(crate) async fn serve(
    ctx: &Ctx,
    home: &Home,
    settings: Arc<Settings>,
    desk: Desk,
    replies: Option<Arc<Replies>>,
    counts: Arc<Counts>,
) -> Result<(), BoxError> {
    let token = match &settings.token {
        None => None,
        Some(Token::Said(token)) => Some(token.clone()),
        Some(Token::In(path)) => {
            let read = fs::read_to_string(path);
            let read = read.map_err(|error| {
                format!("the token cannot be read from {}: {error}", path.display())
            })?;
            Some(read.trim().to_owned()).filter(|token| !token.is_empty())
        }
    };
    if settings.token.is_some() && token.is_none() {
        return Err(
            "the file of the token is empty: write one into it, or leave out `token_file`".into()
        );
    }
    let tls = match &settings.tls {
        None => None,
        Some((cert, key)) => {
            let pair = Pair::read(cert, key)?;
            home.renews(&pair);
            Some(Tls::with_config(pair.config()?))
        }
    };
    let listener = tokio::net::TcpListener::from_std(kept(home, settings.listen)?)?;
    let mut limits = Limits::default();
    limits.body_bytes_max = settings.body_bytes_max as u64;
    limits.drain_time = DRAIN_TIME;
    if replies.is_some() {
        limits.drain_time += TELL_TIME;
        let longest = settings.room + settings.answer_within + TELL_TIME;
        limits.work_time = limits.work_time.max(longest);
    }
    let door = Door { settings, token, desk, replies, counts, ending: ctx.clone() };
    let server = Server::new(door).with_limits(limits);
    let server = match tls {
        Some(tls) => server.with_tls(tls),
        None => server,
    };
    server.serve(ctx, listener).await?;
    Ok(())
}

/// The listening socket of a process: the same one for as long as its address is the same.
fn kept(home: &Home, address: SocketAddr) -> io::Result<TcpListener> {
    type Kept = Mutex<Option<(SocketAddr, TcpListener)>>;
    let kept = home.kept::<Kept>("listener", || Ok(Mutex::new(None)))?;
    // Nothing panics under it.
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, listener)) = &*kept
        && *at == address
    {
        return listener.try_clone();
    }
    // The old one is closed first: the new one may be the same port.
    *kept = None;
    let told = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"))
    };
    let listener =
        listen(address, false).and_then(tokio::net::TcpListener::into_std).map_err(told)?;
    let clone = listener.try_clone()?;
    *kept = Some((address, listener));
    Ok(clone)
}

/// Where requests come in.
struct Door {
    settings: Arc<Settings>,
    token: Option<String>,
    desk: Desk,
    /// None: nobody waits for answers.
    replies: Option<Arc<Replies>>,
    counts: Arc<Counts>,
    /// Ends when no more is taken.
    ending: Ctx,
}

impl Handler for Door {
    async fn handle(&self, asked: Asked) -> Response<Body> {
        let head = asked.request.headers();
        if asked.request.uri().path() != self.settings.path {
            let error = format!("there is nothing here; messages go to {}", self.settings.path);
            return answer(StatusCode::NOT_FOUND, &json!({"error": error}));
        }
        if asked.request.method() != Method::POST {
            let mut told =
                answer(StatusCode::METHOD_NOT_ALLOWED, &json!({"error": "messages come by POST"}));
            told.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return told;
        }
        if !self.is_let_in(head) {
            let error = "a token is needed: authorization: Bearer …";
            let mut told = answer(StatusCode::UNAUTHORIZED, &json!({"error": error}));
            told.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return told;
        }
        let form = Form::of(head.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()));
        let named = match head.get("idempotency-key").map(|value| value.to_str()) {
            None => None,
            Some(Ok(key)) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Some(key.to_owned()),
            Some(_) => {
                let error = format!("an idempotency key is 1 to {KEY_BYTES_MAX} letters");
                return answer(StatusCode::BAD_REQUEST, &json!({"error": error}));
            }
        };
        let (headers, until) = (asked.ctx().headers(), asked.deadline);
        let body = match asked.request.into_body().collect().await {
            Ok(body) => body,
            Err(why) => return why.into(),
        };
        let read = self.settings.reading.read(form, &body, named.as_deref(), new_key);
        drop(body);
        let messages = match read {
            Ok(messages) => messages,
            Err(refusal) => {
                Counts::add(&self.counts.wrong, 1);
                return answer(StatusCode::BAD_REQUEST, &refusal.to_json());
            }
        };
        let keys: Vec<String> = messages.iter().map(|Keyed { key, .. }| key.clone()).collect();
        if let Some(replies) = &self.replies {
            let Settings { room, answer_within, .. } = *self.settings;
            let until = until.min(rt::now() + answer_within);
            let patience = Patience { room, until, ending: DRAIN_TIME };
            let asked = replies.ask(&self.desk, messages, headers, patience, &self.ending);
            return answered(keys, asked.await, answer_within);
        }
        match self.desk.hand_in(messages, headers, self.settings.room, until).await {
            Ok(is_new) => taken(keys, &is_new),
            Err(why) => not_taken(&why),
        }
    }
}

impl Door {
    fn is_let_in(&self, head: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = head.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        is_same(given, token.as_bytes())
    }
}

/// Compares in a time that says nothing of where they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |differ, (one, other)| differ | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differ) == 0
}

/// 128 bits, so that two are not the same.
fn new_key() -> String {
    format!("{:016x}{:016x}", rt::random(), rt::random())
}

const REPEATED: &str = "a message of this key was taken before";

fn taken(mut keys: Vec<String>, is_new: &[bool]) -> Response<Body> {
    if let [key] = keys.as_mut_slice() {
        let id = std::mem::take(key);
        if is_new == [true] {
            return answer(StatusCode::ACCEPTED, &json!({"id": id}));
        }
        return answer(StatusCode::CONFLICT, &json!({"id": id, "error": REPEATED}));
    }
    let (mut ids, mut repeated) = (Vec::new(), Vec::new());
    for (key, is_new) in keys.into_iter().zip(is_new) {
        if *is_new { &mut ids } else { &mut repeated }.push(key);
    }
    let status = if ids.is_empty() { StatusCode::CONFLICT } else { StatusCode::ACCEPTED };
    answer(status, &json!({"ids": ids, "repeated": repeated}))
}

/// What a caller gets who waited for answers.
fn answered(mut keys: Vec<String>, asked: Answered, within: Duration) -> Response<Body> {
    let ids = if keys.len() == 1 { json!(keys[0]) } else { json!(keys) };
    let again = "the message was taken: ask again with the same key to wait on";
    let (status, error) = match asked {
        Answered::NotTaken(why) => return not_taken(&why),
        Answered::Told(told) => match <[_; 1]>::try_from(told) {
            Ok([Some(Reply { status, body })]) => return answer(code(status), &body),
            Ok([None]) => return taken(keys, &[false]),
            Err(told) => {
                let one = |(key, reply): (String, Option<Reply>)| match reply {
                    Some(Reply { status, body }) => {
                        json!({"id": key, "status": status, "answer": body})
                    }
                    None => json!({"id": key, "status": 409, "error": REPEATED}),
                };
                let all: Vec<Value> = keys.drain(..).zip(told).map(one).collect();
                return answer(StatusCode::OK, &all.into());
            }
        },
        Answered::Late => {
            (StatusCode::GATEWAY_TIMEOUT, format!("no answer has come within {within:?}; {again}"))
        }
        Answered::Ending => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the node ends, and no answer has come yet; {again}"),
        ),
    };
    let mut told = answer(status, &json!({"id": ids, "error": error}));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        told.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    }
    told
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn not_taken(why: &NotTaken) -> Response<Body> {
    let (status, error) = match why {
        NotTaken::Full => (
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no room now; nothing was taken: come again after `retry-after`",
        ),
        NotTaken::Closed => (
            StatusCode::SERVICE_UNAVAILABLE,
            "nothing is taken now; whether this was is not known: send it again with the same key",
        ),
        NotTaken::Late => (
            StatusCode::GATEWAY_TIMEOUT,
            "it is not known yet whether this was taken: send it again with the same key",
        ),
        NotTaken::Failed(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "it is not known whether this was taken; the node's errors say why: send it again with the same key",
        ),
    };
    let mut told = answer(status, &json!({"error": error}));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        told.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    }
    told
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut text = body.to_string();
    text.push('\n');
    let mut response = Response::new(Body::from(Bytes::from(text)));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_the_same_or_not() {
        for (one, other, expected) in
            [("a", "a", true), ("a", "b", false), ("a", "ab", false), ("", "a", false)]
        {
            assert_eq!(is_same(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }

    #[test]
    fn several_are_told_apart() {
        let told = |keys: &[&str], is_new: &[bool]| {
            taken(keys.iter().map(|&key| key.to_owned()).collect(), is_new).status().as_u16()
        };
        assert_eq!(told(&["a"], &[true]), 202);
        assert_eq!(told(&["a"], &[false]), 409);
        assert_eq!(told(&["a", "b"], &[true, false]), 202);
        assert_eq!(told(&["a", "b"], &[false, false]), 409);
    }
}
