//! The process: refused messages into the journal, many at a time, and letters out again.
//!
//! What always holds: a message that was taken and is not a durable letter is in [`Untold`], which outlives this run of the process;
//! the next run begins with it. So only the end of the whole node can lose one, as it does those in channels.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Receiver, Scope, Sender, Traced, after, bounded, scope, select};
use towpath_patterns::fault::{
    Class, Failure, Fault,
    dead::{DeadLetters, Error, Letter, Limits, Pace, Replay, Unfinished},
};

use super::{
    REPLAYED,
    facet::{Shows, View, keep_fresh},
};
use crate::ports::{Input, Message, Outputs, Ports};

/// Letters that are being written at once: they share a sync.
const AT_ONCE: usize = 256;

/// A letter to be sent at a time: a replay goes one by one.
const TO_SEND: usize = 1;

/// How long a store that is full is left alone.
const FULL_AGAIN: Duration = Duration::from_secs(1);

/// How fast a replay goes on that was cut short; nobody knows any more how fast it was.
const GO_ON_PER_SECOND: f64 = 100.0;

/// The field by which a replayed message finds its letter.
const MARK: &str = "dead_letter";

/// Messages that were taken and are not durable yet, by the order in which they came.
#[derive(Debug, Default)]
struct Untold(Mutex<BTreeMap<u64, Message>>);

impl Untold {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Message>> {
        // Nothing under this lock panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, message: Message) -> u64 {
        let mut all = self.lock();
        let number = all.last_key_value().map_or(0, |(last, _)| last + 1);
        all.insert(number, message);
        number
    }
}

/// A message to be sent again, and where to say that it was.
pub(super) struct Send {
    pub(super) from: String,
    pub(super) message: Message,
    pub(super) sent: Sender<()>,
}

pub(super) async fn run(ctx: &Ctx, ports: &mut Ports, limits: Limits) -> Result<(), BoxError> {
    let home = ports.home().clone();
    let untold = home.kept("untold", || Ok(Untold::default()))?;
    let ran = scope(ctx, |s| async move {
        let (writer, inside, name) = (home.journal("")?, s.clone(), home.process().to_owned());
        // It may have to read for some time.
        let opened = s.spawn_blocking("dead letters", move |_| {
            Ok::<_, BoxError>(DeadLetters::open_with(&inside, name, writer, limits)?)
        });
        let letters = opened.await?;
        let (to_send, sends) = bounded(TO_SEND);
        let view = Arc::new(View::default());
        let shows = Shows {
            scope: s.clone(),
            letters: letters.clone(),
            to_send: to_send.clone(),
            view: view.clone(),
        };
        let _shown = home.show(shows);
        let fresh = keep_fresh(s.ctx().clone(), view.clone(), letters.clone());
        s.spawn("dead letters view", move |_| fresh);
        for unfinished in letters.unfinished().await? {
            let (letters, to_send) = (letters.clone(), to_send.clone());
            s.spawn("replay", move |ctx| async move {
                go_on(&ctx, &letters, unfinished, &to_send).await
            });
        }
        let ([input], out) = ports.split(["in"]);
        let (put, at_put) = bounded(AT_ONCE);
        let body = Body { scope: s.clone(), letters, untold, view, put, putting: 0 };
        body.work(input, out, at_put, sends).await
    });
    match ran.await {
        // Who is told to stop at once has nothing to answer for.
        Err(_) if ctx.is_done() => Ok(()),
        ran => Ok(ran?),
    }
}

struct Body {
    scope: Scope,
    letters: DeadLetters,
    untold: Arc<Untold>,
    view: Arc<View>,
    /// What came of a letter.
    put: Sender<Result<(), Error>>,
    putting: usize,
}

impl Body {
    async fn work(
        mut self,
        input: &mut Input,
        out: &Outputs,
        mut at_put: Receiver<Result<(), Error>>,
        mut sends: Receiver<Send>,
    ) -> Result<(), BoxError> {
        let ctx = self.scope.ctx().clone();
        let before: Vec<u64> = self.untold.lock().keys().copied().collect();
        before.into_iter().for_each(|number| self.put(number));
        let (mut batch, mut is_open) = (Vec::new(), true);
        let mut sending = None;
        while is_open || self.putting > 0 {
            let room = AT_ONCE.saturating_sub(self.putting);
            let may_send = sending.is_none();
            select! {
                cause = ctx.done() => return Err(cause.into()),
                put = at_put.recv() => {
                    self.putting -= 1;
                    put.transpose()?;
                }
                send = sends.recv(), if may_send => if let Some(send) = send {
                    let view = self.view.clone();
                    sending = Some(Box::pin(select::future(again(out, send, view))));
                },
                sent = sending.as_mut().map(Pin::as_mut) => {
                    sending = None;
                    sent?;
                }
                many = select::future(input.recv_many(&mut batch, room)), if is_open && room > 0 => { is_open = many > 0; }
            }
            for message in batch.drain(..) {
                let number = self.untold.add(message);
                self.put(number);
            }
        }
        // A replay that is under way is cut short, and goes on with the next start.
        self.scope.cancel("the process leaves");
        Ok(())
    }

    fn put(&mut self, number: u64) {
        let Some(letter) = self.untold.lock().get(&number).map(letter) else { return };
        self.putting += 1;
        let (letters, untold, put) = (self.letters.clone(), self.untold.clone(), self.put.clone());
        let view = self.view.clone();
        self.scope.spawn("dead letter", move |_| async move {
            let written = loop {
                match letters.put(letter.clone()).await {
                    // Whoever gives up messages waits, until people have decided about some.
                    Err(Error::Full { .. }) => after(FULL_AGAIN).await,
                    Err(error) => break Err(error),
                    Ok(_) => {
                        untold.lock().remove(&number);
                        view.taken(letter.faults.last().map_or("unknown", |it| &it.cause));
                        break Ok(());
                    }
                }
            };
            // Nobody is there to hear it when the process was stopped at once.
            let _ = put.send(written).await;
        });
    }
}

/// A refused message as a letter.
fn letter(message: &Message) -> Letter {
    let word = |name: &str| message.get(name).and_then(Value::as_str);
    // What is not in the form of a refused message is a letter as a whole.
    let (content, error) = match (message.get("message"), message.get("error")) {
        (Some(content), Some(error)) => {
            (content, error.as_str().map_or_else(|| error.to_string(), str::to_owned))
        }
        _ => (&**message, word("why").unwrap_or("it was sent here").to_owned()),
    };
    let class = match word("class") {
        Some("transient") => Class::Transient,
        Some("timeout") => Class::Timeout,
        Some("panic") => Class::Panic,
        Some("fatal") => Class::Fatal,
        _ => Class::Schema,
    };
    let mut letter =
        Letter::new(content.to_string()).with_headers(message.headers().clone()).with_fault(
            Fault::of(word("from").unwrap_or("unknown").to_owned(), &Failure::new(class, error)),
        );
    if let Some(mark) = content.get(MARK).and_then(Value::as_str) {
        letter = letter.with_key(mark.as_bytes());
    }
    letter
}

/// Hands a letter of a replay to the process, and waits until it was sent.
pub(super) async fn hand_over(
    replay: Replay,
    from: String,
    to_send: &Sender<Send>,
) -> Result<(), Failure> {
    let mut body: Value = serde_json::from_slice(&replay.payload).map_err(Failure::schema)?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert(
            MARK.to_owned(),
            Value::from(String::from_utf8_lossy(&replay.key).into_owned()),
        );
    }
    let message = Traced::new(replay.headers.clone(), body);
    let (sent, mut at_sent) = bounded(TO_SEND);
    let gone = |_| Failure::transient("the process leaves");
    to_send.send(Send { from, message, sent }).await.map_err(gone)?;
    at_sent.recv().await.ok_or_else(|| {
        Failure::schema("the file has no channel for it: give `replayed` one, in `out`")
    })
}

/// Sends a message again, to where it came from. One for which the file has no channel is not sent, and its letter stays.
async fn again(out: &Outputs, send: Send, view: Arc<View>) -> Result<(), BoxError> {
    let port = if out.has(&send.from) { &*send.from } else { REPLAYED };
    if !out.has(port) {
        return Ok(());
    }
    // What it was part of is over: this is a trace of its own.
    out.send(port, out.anew(port, send.message)).await?;
    view.replayed();
    let _ = send.sent.try_send(());
    Ok(())
}

/// Goes on with a replay that was cut short.
async fn go_on(
    ctx: &Ctx,
    letters: &DeadLetters,
    unfinished: Unfinished,
    to_send: &Sender<Send>,
) -> Result<(), BoxError> {
    let pace = Pace::per_second(GO_ON_PER_SECOND);
    let resumed = letters.resume(ctx, unfinished.replay, pace, async |_, replay: Replay| {
        let from = from_of(letters, &replay).await;
        hand_over(replay, from, to_send).await
    });
    match resumed.await {
        Ok(_) | Err(Error::Cancelled(..)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The process that gave a letter up last.
pub(super) async fn from_of(letters: &DeadLetters, replay: &Replay) -> String {
    letters
        .show(replay.id)
        .await
        .map_or_else(|_| String::new(), |shown| shown.summary.process.to_string())
}

/// What is sent for a letter that people look at.
pub(super) fn content(payload: Option<&[u8]>) -> Value {
    let content = payload.map(|bytes| {
        serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)))
    });
    content.unwrap_or_default()
}
