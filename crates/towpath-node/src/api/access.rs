//! Who may do what: a value that looks at the head of a request and does no I/O.
//!
//! What always holds:
//! - Who comes by the socket file is the user of the node, as the kernel has checked, and may do everything.
//! - Who comes by TCP has a token; one of two, of which one changes nothing.
//! - What changes something comes from no page but our own: a browser says where a request is from (`Origin`).
//! - A page whose name was bent to the loopback address (DNS rebinding) is turned away, since it says its name (`Host`).
//! - Payloads go to nobody by TCP, unless the node was begun so, and then not to who may only look.

use axum::http::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, HOST, ORIGIN},
    request::Parts,
};
use subtle::ConstantTimeEq as _;

use super::refusal::Refusal;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The socket file of the data directory.
    Socket,
    /// TCP.
    Tcp,
}

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    /// Change something.
    pub(crate) change: bool,
    /// See messages.
    pub(crate) payloads: bool,
}

/// What the node goes by.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    /// The token of who may do everything.
    pub(crate) full: String,
    /// The token of who may look.
    pub(crate) read_only: Option<String>,
    /// Messages may be seen by TCP.
    pub(crate) show_payloads: bool,
    /// The node listens at the loopback address, so only its names are right.
    pub(crate) loopback: bool,
    /// TCP speaks TLS here.
    pub(crate) tls: bool,
}

// No secret is printed by mistake.
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("show_payloads", &self.show_payloads)
            .field("loopback", &self.loopback)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// What a request to the API may do.
    ///
    /// # Errors
    /// It may not even ask: 401 without a token that is right, 403 for what its bearer may not do, or from where it comes.
    pub(crate) fn admit(&self, door: Door, request: &Parts) -> Result<Rights, Refusal> {
        let changes = !matches!(request.method, Method::GET | Method::HEAD);
        if changes && !is_own_origin(&request.headers, self.tls && door == Door::Tcp) {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "this comes from a page of somebody else (Origin): use the node's own page, or a program that sends no Origin",
            ));
        }
        let rights = match door {
            Door::Socket => Rights { change: true, payloads: true },
            Door::Tcp => self.by_token(request)?,
        };
        if changes && !rights.change {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "this token may only look: use the full one to change something",
            ));
        }
        Ok(rights)
    }

    /// Whether the name that a request calls the node by is one of its own.
    ///
    /// # Errors
    /// 403 if not.
    pub(crate) fn check_host(&self, door: Door, headers: &HeaderMap) -> Result<(), Refusal> {
        if door == Door::Socket || !self.loopback {
            return Ok(());
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
            _ => host,
        };
        if matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "this node is called 127.0.0.1 or localhost and nothing else (Host): use one of these",
        ))
    }

    fn by_token(&self, request: &Parts) -> Result<Rights, Refusal> {
        let unauthorized = || {
            Refusal::new(
                StatusCode::UNAUTHORIZED,
                "a token is needed (Authorization: Bearer …): open the URL that the node told when it began, or give its --token-file",
            )
        };
        let given = given_token(request).ok_or_else(unauthorized)?;
        // Both are compared always, so that the time says nothing.
        let is_full = is_same(&given, &self.full);
        let is_read_only = self.read_only.as_deref().map(|token| is_same(&given, token));
        match (is_full, is_read_only) {
            (true, _) => Ok(Rights { change: true, payloads: self.show_payloads }),
            (false, Some(true)) => Ok(Rights { change: false, payloads: false }),
            (false, _) => Err(unauthorized()),
        }
    }
}

/// Compares in a time that depends on the length alone. An empty token is none.
fn is_same(given: &str, token: &str) -> bool {
    !token.is_empty() && bool::from(given.as_bytes().ct_eq(token.as_bytes()))
}

/// The token of a request: in its head, or, for a stream, which a browser opens without a head of ours, in its query.
fn given_token(request: &Parts) -> Option<String> {
    if let Some(value) = request.headers.get(AUTHORIZATION) {
        let (kind, token) = value.to_str().ok()?.split_once(' ')?;
        return kind.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    let path = request.uri.path();
    let is_stream = path.ends_with("/events") || path.contains("/tap/");
    if request.method != Method::GET || !is_stream {
        return None;
    }
    let (_, token) = super::query(&request.uri).find(|(name, _)| name == "token")?;
    Some(token)
}

/// Without an `Origin` it is no page that asks; with one it has to be the page of this node.
fn is_own_origin(headers: &HeaderMap, tls: bool) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let scheme = if tls { "https" } else { "http" };
    let own = host.map(|host| format!("{scheme}://{host}"));
    origins.next().is_none() && own.is_some_and(|own| origin.as_bytes() == own.as_bytes())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn keys() -> Keys {
        let (full, read_only) = ("full".to_owned(), Some("look".to_owned()));
        Keys { full, read_only, show_payloads: false, loopback: true, tls: false }
    }

    /// `METHOD path; header: value; …` → rights, or the status of the refusal.
    fn asked(keys: &Keys, text: &str) -> String {
        let mut parts = text.split("; ");
        let (method, path) = parts.next().unwrap().split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for header in parts {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let (request, ()) = request.body(()).unwrap().into_parts();
        let admitted = keys
            .check_host(Door::Tcp, &request.headers)
            .and_then(|()| keys.admit(Door::Tcp, &request));
        match admitted {
            Ok(Rights { change, payloads }) => match (change, payloads) {
                (true, true) => "all".to_owned(),
                (true, false) => "change".to_owned(),
                (false, true) => "see".to_owned(),
                (false, false) => "look".to_owned(),
            },
            Err(refusal) => refusal.status().as_u16().to_string(),
        }
    }

    #[test]
    fn who_may_do_what() {
        let cases = [
            ("GET /state; host: 127.0.0.1:1; authorization: Bearer full", "change"),
            ("GET /state; host: localhost:1; authorization: bearer look", "look"),
            ("GET /state; host: [::1]:1; authorization: bearer look", "look"),
            ("GET /state; host: [::1]; authorization: bearer look", "look"),
            ("GET /state; host: 127.0.0.1:1", "401"),
            ("GET /state; host: 127.0.0.1:1; authorization: Bearer", "401"),
            ("GET /state; host: 127.0.0.1:1; authorization: Bearer ful", "401"),
            ("GET /state; host: 127.0.0.1:1; authorization: Basic full", "401"),
            ("GET /state; host: evil.example:1; authorization: Bearer full", "403"),
            ("GET /state; authorization: Bearer full", "403"),
            ("GET /state?token=full; host: 127.0.0.1:1", "401"),
            ("GET /api/v1/events?every=1s&token=full; host: 127.0.0.1:1", "change"),
            ("GET /api/v1/tap/a?token=look; host: 127.0.0.1:1", "look"),
            ("POST /api/v1/tap/a?token=full; host: 127.0.0.1:1", "401"),
            ("POST /reload; host: 127.0.0.1:1; authorization: Bearer look", "403"),
            ("POST /reload; host: 127.0.0.1:1; authorization: Bearer full", "change"),
            (
                "POST /r; host: 127.0.0.1:1; origin: http://127.0.0.1:1; authorization: Bearer full",
                "change",
            ),
            (
                "POST /r; host: 127.0.0.1:1; origin: http://127.0.0.1:2; authorization: Bearer full",
                "403",
            ),
            ("POST /r; host: 127.0.0.1:1; origin: null; authorization: Bearer full", "403"),
            (
                "POST /r; host: 127.0.0.1:1; origin: http://127.0.0.1:1; origin: http://x; authorization: Bearer full",
                "403",
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(asked(&keys(), request), expected, "{request}");
        }
    }

    #[test]
    fn payloads_are_asked_for_when_the_node_begins_and_go_to_who_may_all() {
        let keys = Keys { show_payloads: true, ..keys() };
        let full = "GET /state; host: localhost; authorization: Bearer full";
        assert_eq!(asked(&keys, full), "all");
        assert_eq!(asked(&keys, &full.replace("full", "look")), "look");
    }

    #[test]
    fn no_token_is_no_key() {
        let keys = Keys { full: String::new(), read_only: Some(String::new()), ..keys() };
        assert_eq!(asked(&keys, "GET /a; host: localhost; authorization: Bearer "), "401");
        assert_eq!(asked(&keys, "GET /api/v1/events?token=; host: localhost"), "401");
        assert!(!format!("{:?}", self::keys()).contains("full"), "a secret is printed");
    }
}
