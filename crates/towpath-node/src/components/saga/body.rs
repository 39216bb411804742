//! The process: messages start sagas, calls go out, answers come in, outcomes go on.
//!
//! ```text
//!   in ─▶ coordinator, with its journal ─▶ calls ─▶ out, by the port of the step
//!             ▲    └─ outcomes ─▶ out                  │
//!             └──────── answers ◀── in ◀── whoever does the work
//! ```
//!
//! What always holds:
//! - A message that was taken is a saga, durably, before this process lets go of it; or it was refused.
//! - An outcome that the coordinator has told goes out, also when the process is told to leave at that moment.
//! - The process receives while it sends, so those it calls never wait for it to take their answers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value, json};
use towpath::{BoxError, Ctx, Receiver, Scope, Sender, Traced, after, bounded, rt, scope, select};
use towpath_patterns::saga::{Call, Coordinator, Error, Filter, Handle, History, Outcome, Record};

use super::{
    super::{key::Key, tell::Teller},
    facet::{Shows, View, keep_fresh},
    plan::Plan,
};
use crate::ports::{Input, Message, Outputs, Ports};

/// Calls that the coordinator hands over at a time; it keeps what does not fit.
const CALLS: usize = 256;

/// Alerts wait in the coordinator if there are more.
const ALERTS: usize = 16;

/// What tasks that wait for a saga have to say, at a time.
const NOTES: usize = 256;

/// Messages that are taken in a row from one input.
const TAKEN: usize = 64;

/// Calls and outcomes that wait to be sent, before no more sagas are begun.
const SAID_MAX: usize = 4096;

/// How long a coordinator that is full is left alone.
const FULL_AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn run(ctx: &Ctx, ports: &mut Ports, plan: Arc<Plan>) -> Result<(), BoxError> {
    let home = ports.home().clone();
    let ran = scope(ctx, |s| async move {
        let name: Arc<str> = home.process().into();
        let (to_calls, calls) = bounded(CALLS);
        let (to_alerts, alerts) = bounded(ALERTS);
        let coordinator = Coordinator::new()
            .define(plan.saga(&name, &to_calls))
            .alerts(to_alerts)
            .unfinished_max(plan.unfinished_max.saturating_mul(2));
        let sagas = coordinator.start(&s, "saga", home.journal("")?).await?;
        let (resumed, at_resumed) = bounded(NOTES);
        let view = Arc::new(View::default());
        let shows = Shows { view: view.clone(), sagas: sagas.clone(), resumed };
        let _shown = home.show(shows);
        let fresh = keep_fresh(s.ctx().clone(), view.clone(), sagas.clone(), plan.clone());
        s.spawn("saga view", move |_| fresh);
        let ([input, answers], out) = ports.split(["in", "answers"]);
        let (to_notes, notes) = bounded(NOTES);
        let mut body = Body {
            scope: s.clone(),
            name,
            plan,
            sagas,
            view,
            out: Teller::new(out),
            called: HashMap::new(),
            live: HashSet::new(),
            held: HashSet::new(),
            starting: 0,
            to_notes,
        };
        body.go_on().await?;
        body.work([input, answers], out, Inbox { calls, alerts, notes, resumed: at_resumed }).await
    });
    match ran.await {
        // Who is told to stop at once has nothing to answer for.
        Err(_) if ctx.is_done() => Ok(()),
        ran => Ok(ran?),
    }
}

/// What comes from within.
struct Inbox {
    calls: Receiver<Call>,
    alerts: Receiver<towpath_patterns::saga::Alert>,
    notes: Receiver<Note>,
    /// Sagas that somebody has brought back to life.
    resumed: Receiver<(String, Message)>,
}

/// What a task says that waits for a saga.
enum Note {
    /// It is durable.
    Started,
    /// It was not started.
    Refused(String, Message, Error),
    Ended(String, Message, Outcome),
    /// The coordinator is gone, and goes on with it when it is back.
    Left(String),
}

struct Body<'a> {
    scope: Scope,
    name: Arc<str>,
    plan: Arc<Plan>,
    sagas: Handle,
    view: Arc<View>,
    out: Teller<'a>,
    /// Calls without an answer, by saga, step and whether it is taken back.
    called: HashMap<(String, String, bool), Call>,
    /// Sagas that somebody waits for.
    live: HashSet<String>,
    /// Of those, the ones that wait for a person.
    held: HashSet<String>,
    starting: usize,
    to_notes: Sender<Note>,
}

impl Body<'_> {
    async fn work(
        mut self,
        [input, answers]: [&mut Input; 2],
        out: &Outputs,
        mut inbox: Inbox,
    ) -> Result<(), BoxError> {
        let (mut starts, mut answered) = (Vec::new(), Vec::new());
        let (mut is_open, mut is_answered) = (true, true);
        loop {
            let is_quiet = self.live.iter().all(|id| self.held.contains(id)) && self.out.is_done();
            if !is_open && self.starting == 0 && (is_quiet || !is_answered) {
                break;
            }
            let room = self.plan.unfinished_max.saturating_sub(self.live.len()).min(TAKEN);
            let takes = is_open && room > 0 && self.out.waiting() < SAID_MAX;
            let ctx = self.scope.ctx().clone();
            select! {
                told = self.out.arm() => self.out.told(told)?,
                cause = ctx.done() => return Err(cause.into()),
                call = inbox.calls.recv() => {
                    if let Some(call) = call {
                        self.call(call);
                    }
                    for _ in 1..TAKEN {
                        let Ok(call) = inbox.calls.try_recv() else { break };
                        self.call(call);
                    }
                }
                note = inbox.notes.recv() => if let Some(note) = note { self.note(note); },
                alert = inbox.alerts.recv() => {
                    if let Some(alert) = alert {
                        self.held.insert(alert.id.to_string());
                        out.home().trouble(format!("saga {}: {}", alert.id, alert.reason));
                    }
                }
                resumed = inbox.resumed.recv() => if let Some((id, message)) = resumed {
                    self.held.remove(&id);
                    self.wait(id, message);
                },
                many = select::future(input.recv_many(&mut starts, room)), if takes => { is_open = many > 0; }
                many = select::future(answers.recv_many(&mut answered, TAKEN)), if is_answered => { is_answered = many > 0; }
            }
            // Also when another arm has won: what an input gives at that moment is in its batch, and nowhere else.
            starts.drain(..).for_each(|message| self.start(message));
            answered.drain(..).for_each(|message| self.answer(message));
        }
        // The coordinator writes down what it was at, and tells what has ended. Whoever waits for a saga hears one or the other.
        self.scope.cancel("the process leaves");
        let Body { mut out, .. } = self.leave(&mut inbox.notes).await;
        out.finish().await
    }

    /// Hears everybody out who waits for a saga.
    async fn leave(mut self, notes: &mut Receiver<Note>) -> Self {
        while !self.live.is_empty() {
            let Some(note) = notes.recv().await else { break };
            self.note(note);
        }
        self
    }

    /// Sagas that were unfinished when the process began. None of them ends before it is waited for, as nobody takes their calls yet;
    /// but for one whose last step is a sleep, of which only the key may be known.
    async fn go_on(&mut self) -> Result<(), BoxError> {
        for summary in self.sagas.list(Filter::all()).await? {
            let (message, began) = match self.sagas.show(&summary.id).await {
                Ok(history) => (message_of(&history), began(&history)),
                Err(_) => (Message::from(json!({"key": &*summary.id})), None),
            };
            self.view.begins(&summary.id, began.unwrap_or_else(rt::wall));
            self.wait(summary.id.to_string(), message);
        }
        Ok(())
    }

    fn start(&mut self, message: Message) {
        let key = match Key::of(&message, &self.plan.key) {
            Ok(key) => key,
            Err(why) => return self.out.refuse(message, why),
        };
        let id = id_of(&key);
        if !self.live.insert(id.clone()) {
            // It is under way, and its outcome is for both.
            return;
        }
        self.starting += 1;
        self.view.begins(&id, rt::wall());
        let (sagas, name, notes) = (self.sagas.clone(), self.name.clone(), self.to_notes.clone());
        self.scope.spawn("saga start", move |ctx| async move {
            let note = match start(&ctx, &sagas, &name, &id, &message).await {
                Ok(()) => {
                    let _ = notes.send(Note::Started).await;
                    outcome(&sagas, id, message).await
                }
                Err(error) => Note::Refused(id, message, error),
            };
            // Nobody is there to hear it when the process was stopped at once.
            let _ = notes.send(note).await;
        });
    }

    /// Waits for a saga that is under way.
    fn wait(&mut self, id: String, message: Message) {
        if !self.live.insert(id.clone()) {
            return;
        }
        let (sagas, notes) = (self.sagas.clone(), self.to_notes.clone());
        self.scope.spawn("saga wait", move |_| async move {
            let note = outcome(&sagas, id, message).await;
            let _ = notes.send(note).await;
        });
    }

    fn note(&mut self, note: Note) {
        if let Note::Refused(id, ..) | Note::Ended(id, ..) | Note::Left(id) = &note {
            self.view.is_over(id);
        }
        match note {
            Note::Started => self.starting -= 1,
            Note::Refused(id, message, error) => {
                self.starting -= 1;
                self.live.remove(&id);
                self.out.refuse(message, error.to_string());
            }
            Note::Ended(id, message, outcome) => {
                self.live.remove(&id);
                let message = self.outcome(&id, message, outcome);
                self.out.to("outcomes", message);
            }
            Note::Left(id) => _ = self.live.remove(&id),
        }
    }

    /// A step is to be done, or taken back.
    fn call(&mut self, call: Call) {
        let (id, step, undo) = (call.saga().to_owned(), call.step().to_owned(), call.is_undo());
        let Some(port) = self.plan.port(&step, undo).map(str::to_owned) else {
            return call.refuse("the file gives this step no port");
        };
        let input: Value = serde_json::from_slice(call.input()).unwrap_or_default();
        let before = self.plan.steps.iter().filter(|it| it.name != step);
        let outputs: Map<String, Value> = before
            .filter_map(|it| {
                let output = call.output_of(&it.name)?;
                Some((it.name.clone(), serde_json::from_slice(output).unwrap_or_default()))
            })
            .collect();
        let mut message = json!({
            "saga": &*self.name,
            "key": input.get(&self.plan.key).cloned().unwrap_or_else(|| Value::from(id.as_str())),
            "step": step,
            "attempt": call.attempt(),
            "idempotency": call.key(),
            "input": input,
        });
        if undo {
            message["undo"] = true.into();
        }
        if !outputs.is_empty() {
            message["outputs"] = outputs.into();
        }
        let headers = call.headers().clone();
        self.out.to(&port, Traced::new(headers, message));
        if let Some(old) = self.called.insert((id, step, undo), call) {
            old.lost("it was called again meanwhile");
        }
    }

    fn answer(&mut self, message: Message) {
        let parts = Key::of(&message, "key").and_then(|key| {
            let step = message
                .get("step")
                .and_then(Value::as_str)
                .ok_or("the answer has no field `step`, the step that it answers")?;
            let undo = message.get("undo").and_then(Value::as_bool).unwrap_or(false);
            if message.get("ok").is_none() && message.get("error").is_none() {
                return Err("the answer has neither `ok` nor `error`".to_owned());
            }
            Ok((id_of(&key), step.to_owned(), undo))
        });
        let at = match parts {
            Ok(at) => at,
            Err(why) => return self.out.refuse(message, why),
        };
        // None: it comes late, or twice, or answers a call that will be made again.
        let Some(call) = self.called.remove(&at) else { return self.view.late() };
        let Some(error) = message.get("error") else {
            return call
                .done(message.get("ok").map(Value::to_string).unwrap_or_default().into_bytes());
        };
        let reason = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        match message.get("class").and_then(Value::as_str) {
            Some("timeout") => call.lost(reason),
            Some("schema" | "fatal" | "refused") => call.refuse(reason),
            _ => call.retry(reason),
        }
    }

    /// The message that started a saga, with what came of it.
    fn outcome(&self, id: &str, message: Message, outcome: Outcome) -> Message {
        let (what, why, at) = match &outcome {
            Outcome::Completed { .. } => ("done", None, self.plan.steps.len()),
            Outcome::Compensated { step, reason } => {
                ("compensated", Some(reason), usize::from(*step))
            }
            Outcome::DeadLettered { step, reason } => ("failed", Some(reason), usize::from(*step)),
        };
        self.view.ended(what);
        let became = |index: usize, step: &str| match (index.cmp(&at), what) {
            (std::cmp::Ordering::Greater, _) => "not begun",
            (std::cmp::Ordering::Equal, _) => "failed",
            (_, "compensated") if self.plan.port(step, true).is_some() => "taken back",
            _ => "done",
        };
        let steps: Vec<Value> = self
            .plan
            .steps
            .iter()
            .enumerate()
            .map(|(index, step)| json!({"name": step.name, "became": became(index, &step.name)}))
            .collect();
        message.map(|body| {
            let mut fields = match body {
                Value::Object(fields) => fields,
                // It had a field with its key.
                _ => Map::new(),
            };
            if !fields.contains_key("key") {
                let key = fields.get(&self.plan.key).cloned();
                fields.insert("key".to_owned(), key.unwrap_or_else(|| id.into()));
            }
            fields.insert("outcome".to_owned(), what.into());
            if let Some(why) = why {
                fields.insert("why".to_owned(), why.as_str().into());
            }
            if let Outcome::Completed { output } = &outcome {
                fields.insert(
                    "output".to_owned(),
                    serde_json::from_slice(output).unwrap_or_default(),
                );
            }
            fields.insert("steps".to_owned(), steps.into());
            Value::Object(fields)
        })
    }
}

/// Starts a saga, as often as it takes while there are too many.
async fn start(
    ctx: &Ctx,
    sagas: &Handle,
    name: &str,
    id: &str,
    message: &Message,
) -> Result<(), Error> {
    let input: Arc<[u8]> = message.to_string().into_bytes().into();
    loop {
        let started = if message.headers().is_empty() {
            sagas.start(name, id, input.clone()).await
        } else {
            // Under a context of its own: that this process is told to stop is no reason to turn back.
            let carries = Ctx::root().with_headers(message.headers().clone());
            sagas.start_under(&carries, name, id, input.clone()).await
        };
        match started {
            Ok(_) => return Ok(()),
            Err(Error::Full { .. }) if !ctx.is_done() => after(FULL_AGAIN).await,
            Err(error) => return Err(error),
        }
    }
}

async fn outcome(sagas: &Handle, id: String, message: Message) -> Note {
    match sagas.outcome(&id).await {
        Ok(outcome) => Note::Ended(id, message, outcome),
        Err(_) => Note::Left(id),
    }
}

/// When a saga was started.
fn began(history: &History) -> Option<SystemTime> {
    history.records.iter().find_map(|record| match record {
        Record::Started { at, .. } => Some(SystemTime::UNIX_EPOCH + Duration::from_millis(*at)),
        _ => None,
    })
}

/// The message that started a saga.
pub(super) fn message_of(history: &History) -> Message {
    let started = history.records.iter().find_map(|record| match record {
        Record::Started { headers, input, .. } => Some((headers, input)),
        _ => None,
    });
    let Some((headers, input)) = started else { return Message::default() };
    let body = serde_json::from_slice(input).unwrap_or_default();
    Traced::new(towpath::Headers::new(headers.clone()), body)
}

/// The id of the saga of a key. A word that looks like a number is quoted, since it is another key.
fn id_of(key: &Key) -> String {
    match key {
        Key::Word(word) if word.parse::<i64>().is_ok() => format!("\"{word}\""),
        key => key.to_string(),
    }
}
