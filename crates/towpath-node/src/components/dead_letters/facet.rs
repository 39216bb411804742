//! What people see of dead letters, and what they do with them.
//!
//! Why what is shown is a copy: the store is asked by messages, and who looks does not wait. While somebody looks the copy is made anew a
//! few times a second.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Scope, Sender, after, bounded, select, sync::Notify};
use towpath_observe::metrics::families;
use towpath_patterns::fault::dead::{DeadLetters, Error, LetterId, Pace, Pick, Replay};

use super::body::{self, content, from_of, hand_over};
use crate::facet::{Acting, Facet, Measures, Query, Verb};

/// Letters and groups whose content and times are copied, the latest letters.
const SHOWN_MAX: usize = 200;

/// How long a copy is shown.
const FRESH: Duration = Duration::from_millis(200);

/// How long whoever asks for a replay waits for its end; it goes on without him.
const PATIENCE: Duration = Duration::from_secs(20);

/// The end of a replay is told once.
const ENDS: usize = 1;

#[derive(Default)]
pub(super) struct View {
    looked: Notify,
    now: Mutex<Now>,
    counted: Mutex<Counted>,
}

/// Causes that are counted by themselves; a cause may quote what was wrong, and so there is no end of them.
const CAUSES_MAX: usize = 50;

/// The cause of those that found no place.
const OTHERS: &str = "(others)";

/// What has happened since the process began.
#[derive(Default)]
struct Counted {
    taken: BTreeMap<String, u64>,
    replayed: u64,
}

#[derive(Default)]
struct Now {
    total: u64,
    groups: Vec<Value>,
    letters: Vec<Value>,
}

impl View {
    /// A letter is durable.
    pub(super) fn taken(&self, cause: &str) {
        let taken = &mut self.counted().taken;
        let fits = taken.len() < CAUSES_MAX || taken.contains_key(cause);
        let cause = if fits { cause } else { OTHERS };
        match taken.get_mut(cause) {
            Some(count) => *count += 1,
            None => _ = taken.insert(cause.to_owned(), 1),
        }
    }

    /// A letter was sent again.
    pub(super) fn replayed(&self) {
        self.counted().replayed += 1;
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Nothing under this lock panics.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Nothing under this lock panics.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the copy anew whenever somebody has looked.
pub(super) async fn keep_fresh(ctx: Ctx, view: Arc<View>, letters: DeadLetters) {
    loop {
        let looked = view.looked.notified();
        match copy(&letters).await {
            Ok(now) => *view.lock() = now,
            // The store has ended, and the process ends for it.
            Err(_) => return,
        }
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

async fn copy(letters: &DeadLetters) -> Result<Now, Error> {
    let mut groups = Vec::new();
    let mut total = 0;
    let mut newest = LetterId(0);
    for group in letters.groups().await? {
        total += group.letters;
        newest = newest.max(group.newest);
        if groups.len() < SHOWN_MAX {
            let first = letters.show(group.oldest).await.map(|it| millis(it.summary.first));
            let last = letters.show(group.newest).await.map(|it| millis(it.summary.last));
            groups.push(json!({
                "cause": group.cause, "class": group.class.as_str(), "count": group.letters,
                "first": first.ok(), "last": last.ok(),
            }));
        }
    }
    let behind = LetterId(newest.0.saturating_sub(SHOWN_MAX as u64));
    let mut shown = Vec::new();
    for summary in letters.list(Pick::all(), behind, SHOWN_MAX).await? {
        let letter = letters.show(summary.id).await.ok();
        shown.push(json!({
            "id": summary.id.0, "cause": summary.cause, "class": summary.class.as_str(), "from": summary.process.to_string(),
            "attempts": summary.failures, "at": millis(summary.last), "status": format!("{:?}", summary.status),
            "message": letter.map(|it| content(it.payload.as_deref())),
        }));
    }
    shown.reverse();
    Ok(Now { total, groups, letters: shown })
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(super) struct Shows {
    pub(super) scope: Scope,
    pub(super) letters: DeadLetters,
    pub(super) to_send: Sender<body::Send>,
    pub(super) view: Arc<View>,
}

const VERBS: &[Verb] = &[
    Verb::new(
        "replay",
        "sends messages again: {ids} or {group: cause} or {all: true}; with dry_run, per_second",
    ),
    Verb::new("discard", "lets letters go: {ids, note?}"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    ids: Option<Vec<u64>>,
    group: Option<String>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    dry_run: bool,
    per_second: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Discard {
    ids: Vec<u64>,
    note: Option<String>,
}

impl Shows {
    async fn replay(&self, ask: Ask) -> Result<Value, BoxError> {
        let picks: Vec<Pick> = match (&ask.ids, &ask.group, ask.all) {
            (Some(ids), None, false) => ids.iter().map(|id| Pick::one(LetterId(*id))).collect(),
            (None, Some(cause), false) => vec![Pick::all().cause(cause.clone())],
            (None, None, true) => vec![Pick::all()],
            _ => {
                return Err(
                    "say which letters: `ids`, a `group` by its cause, or `all: true`".into()
                );
            }
        };
        let pace = match ask.per_second {
            None => Pace::UNLIMITED,
            Some(rate) if rate > 0.0 => Pace::per_second(rate),
            Some(_) => return Err("`per_second` is more than nothing".into()),
        };
        let mut would = 0;
        for pick in &picks {
            would += self.letters.dry_run(pick.clone(), pace).await?.letters;
        }
        if ask.dry_run {
            return Ok(json!({"would": would}));
        }
        let (ended, mut at_ended) = bounded(ENDS);
        let (letters, to_send) = (self.letters.clone(), self.to_send.clone());
        self.scope.spawn("replay", move |ctx| async move {
            let done = replay(&ctx, &letters, picks, pace, &to_send).await;
            // Who does not wait any more does not want to know.
            let _ = ended.try_send(done);
        });
        select! {
            done = at_ended.recv() => match done {
                Some(done) => Ok(json!({"replayed": done?})),
                None => Err("the process leaves; the replay goes on when it is back".into()),
            },
            () = after(PATIENCE) => Ok(json!({"replaying": would})),
        }
    }

    async fn discard(&self, ask: Discard) -> Result<Value, BoxError> {
        let note = ask.note.unwrap_or_else(|| "discarded by a person".to_owned());
        for id in &ask.ids {
            self.letters.discard(LetterId(*id), note.clone()).await?;
        }
        Ok(json!({"discarded": ask.ids.len()}))
    }
}

async fn replay(
    ctx: &Ctx,
    letters: &DeadLetters,
    picks: Vec<Pick>,
    pace: Pace,
    to_send: &Sender<body::Send>,
) -> Result<u64, Error> {
    let mut replayed = 0;
    for pick in picks {
        let done = letters.replay(ctx, pick, pace, async |_, replay: Replay| {
            let from = from_of(letters, &replay).await;
            hand_over(replay, from, to_send).await
        });
        replayed += done.await?.went_well;
    }
    Ok(replayed)
}

impl Facet for Shows {
    fn kind(&self) -> &'static str {
        "dead_letters"
    }

    fn show(&self, query: &Query) -> Value {
        self.view.looked.notify_one();
        let now = self.view.lock();
        let is =
            |letter: &Value, field: &str| query.get(field).is_none_or(|word| letter[field] == word);
        let fits = |letter: &&Value| is(letter, "cause") && is(letter, "from");
        let letters = now.letters.iter().filter(fits).take(query.limit()).map(|letter| {
            let mut letter = letter.clone();
            if !query.payloads()
                && let Some(fields) = letter.as_object_mut()
            {
                fields.remove("message");
            }
            letter
        });
        json!({"total": now.total, "groups": now.groups, "letters": letters.collect::<Vec<_>>()})
    }

    fn measure(&self, to: &mut Measures<'_>) {
        if !to.is_last() {
            self.view.looked.notify_one();
        }
        to.put(&families::DEAD_LETTERS, &[], self.view.lock().total);
        let counted = self.view.counted();
        for (cause, count) in &counted.taken {
            to.put(&families::DEAD_LETTERS_TAKEN, &[cause], *count);
        }
        to.put(&families::DEAD_LETTERS_REPLAYED, &[], counted.replayed);
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }

    fn act<'a>(&'a self, verb: &'a str, args: Value) -> Acting<'a> {
        Box::pin(async move {
            match verb {
                "discard" => self.discard(serde_json::from_value(args)?).await,
                _ => self.replay(serde_json::from_value(args)?).await,
            }
        })
    }
}
