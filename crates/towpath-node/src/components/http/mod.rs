//! `http`: takes messages in by HTTP.
//!
//! ```yaml
//! intake: {uses: http, listen: 127.0.0.1:8080, path: /rides, key: it.id, durable: true, in: done, out: requests}
//! ```
//!
//! `POST` with a JSON object is one message, with a list many, and with `content-type: application/x-ndjson` one a line. An answer:
//!
//! | status | what has become of the request |
//! |---|---|
//! | 202 | taken: `{"id": …}`, of several `{"ids": […], "repeated": […]}`. In the channel; with `durable` on the disk |
//! | 400 | not taken: `{"error", "line", "column"}` for what is no JSON; `{"error", "at", "message"}` for what is not of the channel's type |
//! | 401, 404, 405 | not taken: the token, the path or the method is another |
//! | 409 | every message of it was taken before: its key was seen within `remember` |
//! | 413, 408, 431 | not taken: too large, or too slow |
//! | 503 | not taken: there was no room in the channel for `deadline`; `Retry-After` says when to come again |
//! | 500, 504 | not known: send it again, with the same key |
//!
//! The key of a message is that of the expression `key`; without it the request's `Idempotency-Key`, or a new one. With `durable: true` what
//! was taken is in a journal before the answer, and is sent to `out` after every restart until its key comes in on `done` (a word, a number,
//! or an object with `key` or `id`, or what `done_key` says): so a message can come more than once, under its key. If `done` has no channel,
//! a message is done when it is in the channel behind `out`.
//!
//! With a channel for `answers` it is request and reply:
//!
//! ```yaml
//! door: {uses: http, listen: 127.0.0.1:8080, key: it.id, in: {answers: priced}, out: orders, answer_within: 5s, answer: it.price}
//! ```
//!
//! The caller waits until a message with his message's key comes in on `answers` (its `key` or `id`, or what `answer_key` says), and gets it
//! as JSON, or what `answer` makes of it, with the status 200, or what `answer_status` says. Who sent several messages gets a list, in their
//! order. After `answer_within` (30 s) he is told 504, with the key: the message was taken, and asking again with the same key waits on. So
//! does 503 when the network ends, and 5 more seconds did not bring the answer. 409 is for a key that was answered: an answer is told
//! once, to all who wait for it then, and one that nobody waits for is dropped and counted (`unclaimed`). 16,384 callers wait at a time.
//!
//! `tls: {cert: FILE, key: FILE}` makes it HTTPS, HTTP/2 included: PEM files, the certificate's chain behind it. They are read again
//! when the node reads its file again (SIGHUP, `towpath reload`), without a connection lost; files that do not fit change nothing.
//!
//! Who waits for room does so in his connection, 1,024 at a time; a slow client has the time that servers give one
//! (`towpath_patterns::gateway::http::Limits`). A trace context (`traceparent`) goes with the message. The listening socket stays open while
//! the file changes.
//!
//! Why the gateway's server and not axum: it has the limits, the defence against slow clients and the drain already, and there is one path to
//! route. The control API, which has many, is the place for a router.

pub(crate) mod body;
pub(crate) mod intake;
pub(crate) mod pending;
pub(crate) mod replies;
#[cfg(test)]
mod reply_tests;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Receiver, scope};
use towpath_observe::metrics::families;
use towpath_patterns::{
    log::Log,
    yaml::{At, Place, Problem, Span},
};

use self::{
    body::{Reading, Schema},
    intake::{Ask, Counts, Desk, Store, take_done, take_in, together},
    replies::{Replies, ReplyCounts, Telling, take_answers},
};
use crate::{
    component::{Component, Need, Port},
    expr::{Expr, Written},
    facet::{Facet, Measures, Query},
    home::Site,
    ports::{Input, Outputs, Ports},
    real,
};

/// Bytes of a request, if the file does not say: ten thousand small messages.
const BODY_BYTES: usize = 1 << 20;

/// Bytes of a request at most: all of it is in memory, and one message has to fit into a record of the journal.
const BODY_BYTES_MAX: usize = 8 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    listen: At<String>,
    #[serde(default = "path")]
    path: At<String>,
    key: Option<Written>,
    done_key: Option<Written>,
    max_body_bytes: Option<At<usize>>,
    #[serde(default = "deadline")]
    deadline: Span,
    #[serde(default = "remember")]
    remember: Span,
    token: Option<At<String>>,
    token_file: Option<At<String>>,
    tls: Option<Tls>,
    #[serde(default)]
    durable: bool,
    answer_key: Option<Written>,
    answer: Option<Written>,
    answer_status: Option<Written>,
    #[serde(default = "answer_within")]
    answer_within: Span,
}

/// Paths, as the file says them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    cert: String,
    key: String,
}

fn answer_within() -> Span {
    Span(Duration::from_secs(30))
}

fn path() -> At<String> {
    At { place: Place::default(), value: "/".to_owned() }
}

fn deadline() -> Span {
    Span(Duration::from_secs(1))
}

fn remember() -> Span {
    Span(Duration::from_secs(600))
}

/// The options, checked.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) path: String,
    pub(crate) reading: Reading,
    pub(crate) body_bytes_max: usize,
    /// How long a caller waits for room.
    pub(crate) room: Duration,
    pub(crate) token: Option<Token>,
    /// The files of the certificate and its key.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    done_key: Option<Arc<Expr>>,
    remember: Duration,
    durable: bool,
    answer_key: Option<Arc<Expr>>,
    answer: Option<Arc<Expr>>,
    answer_status: Option<Arc<Expr>>,
    /// How long a caller waits for his answer.
    pub(crate) answer_within: Duration,
}

/// What callers have to know.
pub(crate) enum Token {
    Said(String),
    In(PathBuf),
}

pub(super) fn component() -> Component {
    Component::new("http", "takes messages in by HTTP: on the disk before the answer, or answered by others, if wanted")
        .input(Port::new("done").need(Need::Maybe))
        .input(Port::new("answers").need(Need::Maybe))
        .output(Port::new("out"))
        .refuses()
        .source()
        .outside()
        .makes(|options: Options, site: &Site| {
            let settings = Arc::new(settings(options, site)?);
            Ok(async move |ctx: Ctx, ports: &mut Ports| serve(&ctx, &settings, ports).await)
        })
}

fn settings(options: Options, site: &Site) -> Result<Settings, Problem> {
    let At { place, value } = &options.listen;
    let listen = value.parse().map_err(|_| {
        Problem::new(
            *place,
            format!(
                "`{value}` is no address and port: write 127.0.0.1:8080, or 0.0.0.0:8080 for all"
            ),
        )
    })?;
    if !options.path.value.starts_with('/') {
        return Err(Problem::new(options.path.place, "a path begins with `/`"));
    }
    let body_bytes_max = options.max_body_bytes.as_ref().map_or(BODY_BYTES, |it| it.value);
    if let Some(At { place, value }) = options.max_body_bytes
        && !(1..=BODY_BYTES_MAX).contains(&value)
    {
        let why = format!("`max_body_bytes` is 1 to {BODY_BYTES_MAX}, and not {value}");
        return Err(Problem::new(place, why));
    }
    let token = match (options.token, options.token_file) {
        (Some(token), Some(_)) => {
            return Err(Problem::new(token.place, "give `token` or `token_file`, not both"));
        }
        (Some(token), None) if token.value.is_empty() => {
            return Err(Problem::new(token.place, "an empty token keeps nobody out"));
        }
        (Some(token), None) => Some(Token::Said(token.value)),
        (None, Some(file)) => Some(Token::In(site.reads(file.value))),
        (None, None) => None,
    };
    let schema = site.schemas.get("out").map(Schema::new).transpose();
    let schema = schema
        .map_err(|why| Problem::new(options.listen.place, format!("the type of `out`: {why}")))?;
    let key = options.key.map(|key| key.compile()).transpose()?;
    Ok(Settings {
        listen,
        path: options.path.value,
        reading: Reading { schema, key },
        body_bytes_max,
        room: options.deadline.0,
        token,
        tls: options.tls.map(|Tls { cert, key }| (site.reads(cert), site.reads(key))),
        done_key: options.done_key.map(|key| key.compile()).transpose()?,
        remember: options.remember.0,
        durable: options.durable,
        answer_key: options.answer_key.map(|it| it.compile()).transpose()?,
        answer: options.answer.map(|it| it.compile()).transpose()?,
        answer_status: options.answer_status.map(|it| it.compile()).transpose()?,
        answer_within: options.answer_within.0,
    })
}

async fn serve(ctx: &Ctx, settings: &Arc<Settings>, ports: &mut Ports) -> Result<(), BoxError> {
    let (has_done, has_answers) = (ports.has_input("done"), ports.has_input("answers"));
    let home = ports.home().clone();
    // Not below `ctx`: what was taken is sent on when it has ended.
    let served = scope(&Ctx::root(), |s| async move {
        let counts = Arc::<Counts>::default();
        let store = if settings.durable {
            let start = |writer| Log::start(&s, "journal", writer);
            Store::durable(home.journal("")?, start, settings.remember, counts.clone())?
        } else {
            Store::fleeting(settings.remember, counts.clone())
        };
        let store = Arc::new(store);
        let replies = has_answers.then(|| {
            let telling = Telling {
                key: settings.answer_key.clone(),
                body: settings.answer.clone(),
                status: settings.answer_status.clone(),
            };
            Arc::new(Replies::new(telling, settings.remember, store.pending_keys()))
        });
        let shown = Shown {
            settings: settings.clone(),
            counts: counts.clone(),
            store: store.clone(),
            replies: replies.clone(),
        };
        let _shown = home.show(shown);
        let (desk, asks) = Desk::new(counts.clone());
        let door = real::http::serve(ctx, &home, settings.clone(), desk, replies.clone(), counts);
        let work = Work {
            store: &store,
            replies: replies.as_deref(),
            has_done,
            done_key: settings.done_key.as_deref(),
        };
        work.run(door, asks, ports).await
    });
    Ok(served.await?)
}

/// What is behind a door.
struct Work<'a> {
    store: &'a Store,
    replies: Option<&'a Replies>,
    has_done: bool,
    done_key: Option<&'a Expr>,
}

impl Work<'_> {
    /// Takes in what comes through a door until that is shut, and what is done and answered until nobody can say so any more.
    async fn run(
        self,
        door: impl Future<Output = Result<(), BoxError>>,
        asks: Receiver<Ask>,
        ports: &mut Ports,
    ) -> Result<(), BoxError> {
        let ([done, answers], outputs) = ports.split(["done", "answers"]);
        let taking = take_in(asks, self.store, outputs, self.has_done);
        // As long as the door is not shut somebody may wait, also when this process leaves.
        let told = self.take_told(done, answers, outputs, true);
        together(door, taking, told).await?;
        if !ports.stay() {
            // Those behind find their end, and what they still say is noted.
            ports.close("out");
            let ([done, answers], outputs) = ports.split(["done", "answers"]);
            self.take_told(done, answers, outputs, false).await?;
        }
        Ok(())
    }

    /// What those behind have to say.
    async fn take_told(
        &self,
        done: &mut Input,
        answers: &mut Input,
        outputs: &Outputs,
        leaving: bool,
    ) -> Result<(), BoxError> {
        let done = take_done(done, self.store, outputs, self.done_key);
        let Some(replies) = self.replies else { return done.await };
        let answered = take_answers(answers, replies, outputs, leaving);
        futures_util::future::try_join(done, answered).await.map(drop)
    }
}

struct Shown {
    settings: Arc<Settings>,
    counts: Arc<Counts>,
    store: Arc<Store>,
    replies: Option<Arc<Replies>>,
}

impl Facet for Shown {
    fn kind(&self) -> &'static str {
        "http"
    }

    fn show(&self, _query: &Query) -> Value {
        let Counts { accepted, repeated, shed, wrong, done, again, .. } = &*self.counts;
        let mut told = json!({
            "listen": self.settings.listen.to_string(),
            "path": self.settings.path,
            "accepted": accepted.load(Relaxed),
            "repeated": repeated.load(Relaxed),
            "shed": shed.load(Relaxed),
            "wrong": wrong.load(Relaxed),
        });
        if self.settings.durable {
            told["pending"] = self.store.pending().into();
            told["done"] = done.load(Relaxed).into();
            told["sent_again"] = again.load(Relaxed).into();
        }
        if let Some(replies) = &self.replies {
            let ReplyCounts { answered, late, left, unclaimed } = &replies.counts;
            told["waiting"] = replies.waiting().into();
            told["answered"] = answered.load(Relaxed).into();
            told["late"] = late.load(Relaxed).into();
            told["left"] = left.load(Relaxed).into();
            told["unclaimed"] = unclaimed.load(Relaxed).into();
        }
        told
    }

    fn measure(&self, to: &mut Measures<'_>) {
        let Counts { accepted, repeated, shed, wrong, late, waiting, .. } = &*self.counts;
        for (outcome, count) in [
            ("answered", accepted),
            ("repeated", repeated),
            ("overloaded", shed),
            ("late", late),
            ("wrong", wrong),
        ] {
            to.put(&families::GATEWAY_CALLS, &[outcome], count.load(Relaxed));
        }
        to.put(&families::GATEWAY_WAITING, &[], waiting.load(Relaxed));
        to.put(&families::GATEWAY_IN_HAND, &[], self.store.pending());
    }
}
