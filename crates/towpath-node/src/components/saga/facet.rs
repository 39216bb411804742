//! What people see of sagas: which are under way, why one is tried again, and what they can do about it.
//!
//! Why what is shown is a copy: the coordinator is asked by messages, and who looks does not wait. While somebody looks the copy is made
//! anew a few times a second.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value, json};
use towpath::{Ctx, Sender, after, rt, select, sync::Notify};
use towpath_observe::metrics::families;
use towpath_patterns::saga::{Filter, Handle, History, Record, Status, Summary, Then};

use super::{body::message_of, plan::Plan};
use crate::{
    facet::{Acting, Facet, Measures, Query, Verb},
    ports::Message,
};

/// Sagas whose history is copied: those that wait for people first.
const SHOWN_MAX: usize = 200;

/// How long a copy is shown.
const FRESH: Duration = Duration::from_millis(200);

/// What a saga that has not ended can be, and what a scrape calls it.
const STATES: [(Status, &str); 6] = [
    (Status::Forward, "forward"),
    (Status::Back, "back"),
    (Status::Paused, "paused"),
    (Status::Quarantined, "quarantined"),
    (Status::DeadLettered, "dead_lettered"),
    (Status::Orphaned, "orphaned"),
];

/// What there is to see.
#[derive(Default)]
pub(super) struct View {
    looked: Notify,
    now: Mutex<Now>,
    done: AtomicU64,
    compensated: AtomicU64,
    failed: AtomicU64,
    late: AtomicU64,
    /// When those began that have not ended.
    began: Mutex<BTreeMap<String, SystemTime>>,
}

#[derive(Default)]
struct Now {
    counts: Map<String, Value>,
    /// By the names of the family, which are the library's.
    states: [u64; STATES.len()],
    sagas: Vec<Value>,
}

impl View {
    pub(super) fn ended(&self, outcome: &str) {
        let count = match outcome {
            "done" => &self.done,
            "compensated" => &self.compensated,
            _ => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A saga is under way.
    pub(super) fn begins(&self, id: &str, at: SystemTime) {
        self.began().insert(id.to_owned(), at);
    }

    /// It is not any more.
    pub(super) fn is_over(&self, id: &str) {
        self.began().remove(id);
    }

    fn began(&self) -> MutexGuard<'_, BTreeMap<String, SystemTime>> {
        // Nothing under this lock panics.
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that no call waits for.
    pub(super) fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Nothing under this lock panics.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the copy anew whenever somebody has looked.
pub(super) async fn keep_fresh(ctx: Ctx, view: Arc<View>, sagas: Handle, plan: Arc<Plan>) {
    loop {
        let looked = view.looked.notified();
        // An error says that the coordinator is gone.
        let Ok(list) = sagas.list(Filter::all()).await else { return };
        let mut counts = Map::new();
        for summary in &list {
            let count = counts.entry(word(summary.status)).or_insert_with(|| 0.into());
            *count = (count.as_u64().unwrap_or(0) + 1).into();
        }
        let states = STATES.map(|(status, _)| list.iter().filter(|it| it.status == status).count());
        let mut list = list;
        list.sort_by_key(|it| (it.status <= Status::Back, std::cmp::Reverse(it.attempt)));
        let mut shown = Vec::new();
        for summary in list.into_iter().take(SHOWN_MAX) {
            // One that has ended meanwhile is left out.
            if let Ok(history) = sagas.show(&summary.id).await {
                shown.push(saga(&plan, &history));
            }
        }
        let states = states.map(|count| count as u64);
        *view.lock() = Now { counts, states, sagas: shown };
        select! {
            _ = ctx.done() => return,
            () = after(FRESH) => {}
        }
        select! {
            _ = ctx.done() => return,
            () = looked => {}
        }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Forward => "running",
        Status::Back => "compensating",
        Status::Paused => "paused",
        Status::Quarantined => "quarantined",
        Status::DeadLettered => "failed",
        Status::Orphaned => "orphaned",
    }
}

/// A saga as people see it.
fn saga(plan: &Plan, history: &History) -> Value {
    let Summary { id, status, step, attempt, reason, .. } = &history.summary;
    let name = |step: &u16| plan.steps.get(usize::from(*step)).map_or("?", |it| &it.name);
    let mut why = reason.clone();
    let mut next = None;
    let mut said = Vec::new();
    for record in &history.records {
        let (step, what) = match record {
            Record::Started { .. } => ("", "started".to_owned()),
            Record::StepIntent { step, attempt } => {
                (name(step), format!("called, attempt {attempt}"))
            }
            Record::StepDone { step, .. } => (name(step), "done".to_owned()),
            Record::StepFailed { step, how, then, reason, .. } => {
                next = if let Then::Retry(at) = then { Some(*at) } else { None };
                why = Some(reason.clone());
                (name(step), format!("failed ({how:?}): {reason}"))
            }
            Record::CompIntent { step, attempt } => {
                (name(step), format!("being taken back, attempt {attempt}"))
            }
            Record::CompDone { step } => (name(step), "taken back".to_owned()),
            Record::CompFailed { step, how, then, reason, .. } => {
                next = if let Then::Retry(at) = then { Some(*at) } else { None };
                why = Some(reason.clone());
                (name(step), format!("not taken back ({how:?}): {reason}"))
            }
            Record::TimerSet { step, .. } => (name(step), "sleeps".to_owned()),
            Record::TimerFired { step } => (name(step), "has slept".to_owned()),
            Record::Paused { reason, .. } => ("", format!("paused: {reason}")),
            Record::Resumed => ("", "resumed".to_owned()),
            Record::Cancelled { reason } => ("", format!("cancelled: {reason}")),
            Record::DeadLettered { step, reason } => {
                (name(step), format!("waits for a person: {reason}"))
            }
            other => ("", format!("{other:?}")),
        };
        if !matches!(record, Record::StepFailed { .. } | Record::CompFailed { .. }) {
            next = None;
        }
        let at =
            if let Record::Started { at, .. } = record { Value::from(*at) } else { Value::Null };
        said.push(json!({"step": step, "what": what, "at": at}));
    }
    let now = rt::wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let next_in_ms = next.map(|at| u64::try_from(u128::from(at).saturating_sub(now)).unwrap_or(0));
    json!({
        "key": &**id, "state": word(*status), "step": &**step, "attempts": attempt,
        "next_in_ms": next_in_ms, "why": why, "history": said,
    })
}

pub(super) struct Shows {
    pub(super) view: Arc<View>,
    pub(super) sagas: Handle,
    /// Those that somebody has brought back to life.
    pub(super) resumed: Sender<(String, Message)>,
}

const VERBS: &[Verb] = &[
    Verb::new(
        "resume",
        "lets a saga go on that waits for a person, with all its tries again: {key}",
    ),
    Verb::new("cancel", "turns a saga back, unless it is behind its pivot: {key, why?}"),
];

impl Facet for Shows {
    fn kind(&self) -> &'static str {
        "saga"
    }

    fn show(&self, query: &Query) -> Value {
        let view = &*self.view;
        view.looked.notify_one();
        let now = view.lock();
        let is =
            |saga: &Value, field: &str| query.get(field).is_none_or(|word| saga[field] == word);
        let fits = |saga: &&Value| is(saga, "state") && is(saga, "key");
        let sagas: Vec<Value> =
            now.sagas.iter().filter(fits).take(query.limit()).cloned().collect();
        let mut counts = now.counts.clone();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        counts.insert("done".to_owned(), count(&view.done).into());
        counts.insert("compensated".to_owned(), count(&view.compensated).into());
        counts.entry("failed").or_insert_with(|| count(&view.failed).into());
        json!({"counts": counts, "sagas": sagas, "late_answers": count(&view.late)})
    }

    fn measure(&self, to: &mut Measures<'_>) {
        let view = &*self.view;
        if !to.is_last() {
            view.looked.notify_one();
        }
        let now = view.lock();
        for ((_, state), count) in STATES.iter().zip(now.states) {
            to.put(&families::SAGAS, &[state], count);
        }
        drop(now);
        let oldest = view.began().values().min().copied();
        let age = oldest.and_then(|began| rt::wall().duration_since(began).ok());
        to.put(&families::SAGA_OLDEST, &[], age.unwrap_or_default());
        for (outcome, count) in [
            ("completed", &view.done),
            ("compensated", &view.compensated),
            ("dead_lettered", &view.failed),
        ] {
            to.put(&families::SAGA_ENDED, &[outcome], count.load(Ordering::Relaxed));
        }
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }

    fn act<'a>(&'a self, verb: &'a str, args: Value) -> Acting<'a> {
        Box::pin(async move {
            let id = match args.get("key") {
                Some(Value::String(word)) => word.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => return Err("say which saga: `key`, a word or a number".into()),
            };
            if verb == "cancel" {
                let why =
                    args.get("why").and_then(Value::as_str).unwrap_or("cancelled by a person");
                let accepted = self.sagas.cancel(&id, why).await?;
                return Ok(json!({"cancelled": format!("{accepted:?}")}));
            }
            let message = message_of(&self.sagas.show(&id).await?);
            let resumed = self.sagas.resume(Filter::all().id(&id)).await?;
            // Nobody listens when the process is being started again, and then it goes on by itself.
            let _ = self.resumed.send((id, message)).await;
            Ok(json!({"resumed": resumed}))
        })
    }
}
