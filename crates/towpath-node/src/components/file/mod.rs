//! `file`: a source that reads a file.
//!
//! ```yaml
//! rides:  {uses: file, path: rides.csv, time: pickup, speed: 60, out: rides,
//!          columns: {id: integer, pickup: text, fare: number, at: {geo: [lat, lon]}}}
//! orders: {uses: file, path: log.xes.gz, order: time, out: events}
//! access: {uses: file, path: /var/log/app.ndjson, from: tail, position: keep, out: lines}
//! ```
//!
//! | option | what |
//! |---|---|
//! | `path` | the file, relative to the network file; gzipped or not |
//! | `format` | `csv` with a line of names, `ndjson`, or `xes`; by the name of the file, if not said |
//! | `from` | `replay`: from its beginning to its end, and then the process has ended. `tail`: also what is written to it, for ever, through renaming and emptying |
//! | `columns` | the fields of a message: `text`, `number`, `integer` or `truth` of the column of that name, `{number: column}` of another, `{geo: [latitude, longitude]}` of two. Without it all columns, as text. For an event log the attributes of an event, then of its trace; without it `{"case", "activity", "at", "event": {…}, "trace": {…}}` |
//! | `time` | the field that says when; of an event log its own time, if not said |
//! | `speed` | so many times as fast as the times say, or `as_fast_as_possible`, which it is without `time` |
//! | `order` | `file`, or `time`: by the time of all records, of one file at most five million |
//! | `position` | `begin`, or `keep`: after a restart it goes on where it was, within a second's worth; those come again |
//! | `delimiter` | between the fields of a table, `,` if not said |
//!
//! A record that cannot be read is refused, with the line and the reason, and the rest goes on. One has a megabyte at most. A last line
//! without an end is a record of a file that is replayed, and not yet one of a file that is followed.
//!
//! A file that was emptied and is as long as before by the next look (a quarter of a second) is not known to have been.

mod columns;
mod format;
mod place;
mod source;
mod split;
mod time;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Receiver, Sender, Traced, after, at, bounded, rt, scope, select};
use towpath_patterns::{
    log::Log,
    yaml::{At, Place as Spot, Problem},
};

use self::{
    columns::Columns,
    format::Format,
    place::{Keeper, Place},
    source::{Given, Item, Plan},
};
use crate::{
    component::{Component, Port},
    facet::{Facet, Query},
    home::Site,
    ports::{Outputs, Ports},
};

/// Batches that are read ahead: one is sent while the next is read.
const AHEAD_CAPACITY: usize = 2;

/// How often a file that is followed is looked at: soon enough for somebody who watches, at no cost that shows.
const LOOK: Duration = Duration::from_millis(250);

/// How often the place is kept: what comes again after a crash is this much.
const KEEP: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    path: At<String>,
    format: Option<Format>,
    from: Option<At<From>>,
    columns: Option<At<Columns>>,
    time: Option<At<String>>,
    speed: Option<At<Speed>>,
    order: Option<At<Order>>,
    #[serde(default)]
    position: Position,
    delimiter: Option<At<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    Replay,
    Tail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    File,
    Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    #[default]
    Begin,
    Keep,
}

/// So many times as fast as it was; `None` as fast as possible.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Speed(Option<f64>);

impl<'de> Deserialize<'de> for Speed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let wrong = || {
            de::Error::custom("a speed is a number above 0, such as 60, or `as_fast_as_possible`")
        };
        let text = String::deserialize(from)?;
        if text == "as_fast_as_possible" {
            return Ok(Self(None));
        }
        let speed: f64 = text.parse().map_err(|_| wrong())?;
        if speed > 0.0 && speed.is_finite() { Ok(Self(Some(speed))) } else { Err(wrong()) }
    }
}

/// How a file is played.
struct Play {
    plan: Plan,
    shown: String,
    speed: Option<f64>,
    keeps: bool,
}

pub(super) fn component() -> Component {
    Component::new(
        "file",
        "reads a file: a table, lines of JSON or an event log; to its end, or for ever",
    )
    .output(Port::new("out"))
    .refuses()
    .source()
    .outside()
    .makes(|options: Options, site: &Site| {
        let play = Arc::new(play(options, site)?);
        Ok(async move |ctx: Ctx, ports: &mut Ports| run(&ctx, &play, ports.outputs()).await)
    })
}

fn play(options: Options, site: &Site) -> Result<Play, Problem> {
    let wrong = |place: Spot, why: &str| Err(Problem::new(place, why));
    let path: PathBuf = site.reads(&options.path.value);
    let Some(format) = options.format.or_else(|| Format::of(&options.path.value)) else {
        return wrong(options.path.place, "what is in it? give `format`: `csv`, `ndjson` or `xes`");
    };
    let tail = options.from.as_ref().is_some_and(|from| from.value == From::Tail);
    if let Some(from) = options.from.as_ref().filter(|_| tail)
        && (format == Format::Xes || options.path.value.ends_with(".gz"))
    {
        return wrong(
            from.place,
            "an event log or a packed file has an end: it is replayed, not followed",
        );
    }
    let sorted = options.order.as_ref().filter(|order| order.value == Order::Time);
    if let Some(order) = sorted
        && (tail || (options.time.is_none() && format != Format::Xes))
    {
        return wrong(order.place, "by which time? give `time`, and replay the file");
    }
    if let Some(columns) = options.columns.as_ref().filter(|_| format == Format::Ndjson) {
        return wrong(
            columns.place,
            "lines of JSON have no columns; `map` makes other messages of them",
        );
    }
    if let Some(At { place, value: Speed(Some(_)) }) = options.speed
        && (tail || (options.time.is_none() && format != Format::Xes))
    {
        return wrong(
            place,
            "a speed goes with `time`, the field that says when, and with a replay",
        );
    }
    let delimiter = match &options.delimiter {
        None => b',',
        Some(At { value, .. }) if value.len() == 1 && value != "\"" && value != "\n" => {
            value.as_bytes()[0]
        }
        Some(At { place, .. }) => return wrong(*place, "a delimiter is one character"),
    };
    if let (Some(time), Some(columns)) = (&options.time, &options.columns)
        && !columns.value.contains_key(&time.value)
    {
        return wrong(
            time.place,
            "`time` is a field of the message, and `columns` has none of this name",
        );
    }
    // The times of a file are of use only where somebody says so.
    let is_timed = options.time.is_some() || options.speed.is_some();
    let speed = match options.speed {
        Some(speed) => speed.value.0,
        None if is_timed && !tail => Some(1.0),
        None => None,
    };
    let plan = Plan {
        path,
        format,
        columns: options.columns.map(|columns| columns.value),
        delimiter,
        time: options.time.map(|time| time.value),
        tail,
        sorted: sorted.is_some(),
    };
    Ok(Play { plan, shown: options.path.value, speed, keeps: options.position == Position::Keep })
}

async fn run(ctx: &Ctx, play: &Arc<Play>, outputs: &Outputs) -> Result<(), BoxError> {
    let home = outputs.home();
    let progress = Arc::new(Progress::new(&play.shown));
    let _shown = home.show(Shown(progress.clone()));
    // Not below `ctx`: the place is kept when it has ended.
    let ran = scope(&Ctx::root(), |s| async move {
        let (mut keeper, mut place) = (None, None);
        if play.keeps {
            let writer = home.journal("position")?;
            place = Keeper::last(&writer)?;
            keeper = Some(Keeper::new(Log::start(&s, "position", writer)));
        }
        let (tx, items) = bounded(AHEAD_CAPACITY);
        let (reader, done) = (play.clone(), ctx.clone());
        let told = home.clone();
        let join = s.spawn_blocking("read", move |_| {
            read(&reader.plan, place, &tx, &done, |text| told.trouble(text))
        });
        let sent = send(ctx, play, items, outputs, &progress, &mut keeper).await;
        // The reader ends with its receiver. What it failed with is the reason why there is no more.
        let read = join.await;
        sent?;
        Ok(read?)
    });
    Ok(ran.await?)
}

/// Reads ahead, in a thread of its own: a disk may take its time.
fn read(
    plan: &Plan,
    place: Option<Place>,
    to: &Sender<Vec<Item>>,
    done: &Ctx,
    trouble: impl Fn(String),
) -> Result<(), BoxError> {
    let path = plan.path.display();
    let (mut source, is_other) = plan.open(place).map_err(|error| format!("{path}: {error}"))?;
    if is_other {
        trouble(format!(
            "{path} is not the file that was read before: it is read from its beginning"
        ));
    }
    while !done.is_done() {
        match source.next().map_err(|error| format!("{path}: {error}"))? {
            Given::Items(items) if items.is_empty() => {}
            Given::Items(items) => {
                if to.send_blocking(items).is_err() {
                    break;
                }
            }
            Given::Wait => towpath::block_on(after(LOOK)),
            Given::End => break,
        }
    }
    Ok(())
}

async fn send(
    ctx: &Ctx,
    play: &Play,
    mut items: Receiver<Vec<Item>>,
    outputs: &Outputs,
    progress: &Progress,
    keeper: &mut Option<Keeper>,
) -> Result<(), BoxError> {
    let mut pace = Pace { speed: play.speed, began: None };
    let mut kept_at = rt::now();
    let mut last: Option<Place> = None;
    'all: loop {
        let batch = select! { biased;
            _ = ctx.done() => break,
            batch = items.recv() => batch,
        };
        let Some(batch) = batch else {
            progress.ended.store(true, Relaxed);
            break;
        };
        for Item { what, at: when, line, place } in batch {
            if let Some(due) = pace.due(when, rt::now()) {
                select! { biased;
                    _ = ctx.done() => break 'all,
                    () = at(due) => {}
                }
            }
            progress.line.store(line, Relaxed);
            match what {
                Ok(message) => {
                    if outputs.send("out", Traced::new(ctx.headers(), message)).await.is_err() {
                        // Nobody wants any more.
                        break 'all;
                    }
                    progress.sent.fetch_add(1, Relaxed);
                }
                Err((why, text)) => {
                    let why = format!("{}:{line}: {why}", play.shown);
                    progress.refused(&why);
                    let record = json!({"file": play.shown, "line": line, "text": text});
                    outputs.refuse(record.into(), why).await?;
                }
            }
            last = Some(place);
            if let Some(keeper) = keeper
                && rt::now().saturating_duration_since(kept_at) >= KEEP
                && let Some(place) = last.take()
            {
                keeper.keep(&place).await?;
                kept_at = rt::now();
            }
            if ctx.is_done() {
                break 'all;
            }
        }
    }
    drop(items);
    if let (Some(keeper), Some(place)) = (keeper, last) {
        keeper.keep(&place).await?;
    }
    Ok(())
}

/// When records are due: those of a past time as far from each other as then, or so many times nearer.
struct Pace {
    speed: Option<f64>,
    /// The first record's time, and when it was sent.
    began: Option<(i64, Instant)>,
}

impl Pace {
    /// `None`: at once.
    fn due(&mut self, at: Option<i64>, now: Instant) -> Option<Instant> {
        let (speed, at) = (self.speed?, at?);
        let (first, began) = *self.began.get_or_insert((at, now));
        // Earlier than the first, and out of order, is at once.
        let millis = u64::try_from(at.saturating_sub(first)).ok()?;
        let after = Duration::try_from_secs_f64(millis as f64 / 1000.0 / speed).ok()?;
        began.checked_add(after).filter(|due| *due > now)
    }
}

/// How far it is.
struct Progress {
    path: String,
    line: AtomicU64,
    sent: AtomicU64,
    refused: AtomicU64,
    ended: AtomicBool,
    last_refused: Mutex<Option<String>>,
}

impl Progress {
    fn new(path: &str) -> Self {
        let [line, sent, refused] = [const { AtomicU64::new(0) }; 3];
        let (ended, last_refused) = (AtomicBool::new(false), Mutex::default());
        Self { path: path.to_owned(), line, sent, refused, ended, last_refused }
    }

    fn refused(&self, why: &str) {
        self.refused.fetch_add(1, Relaxed);
        *self.last() = Some(why.to_owned());
    }

    fn last(&self) -> MutexGuard<'_, Option<String>> {
        // Nothing under it panics.
        self.last_refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shown(Arc<Progress>);

impl Facet for Shown {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn show(&self, _query: &Query) -> Value {
        let progress = &self.0;
        json!({
            "path": progress.path,
            "line": progress.line.load(Relaxed),
            "sent": progress.sent.load(Relaxed),
            "refused": progress.refused.load(Relaxed),
            "last_refused": *progress.last(),
            "ended": progress.ended.load(Relaxed),
        })
    }
}

/// The first byte says how the bytes come and what they are; the rest are the bytes.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    source::fuzz(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_due_as_far_apart_as_they_were() {
        let now = rt::now();
        let mut pace = Pace { speed: Some(60.0), began: None };
        let after = |due: Option<Instant>| due.map(|due| (due - now).as_millis());
        assert_eq!(pace.due(None, now), None);
        assert_eq!(pace.due(Some(1_000_000), now), None, "the first");
        assert_eq!(after(pace.due(Some(1_060_000), now)), Some(1000));
        assert_eq!(pace.due(Some(999_000), now), None, "out of order");
        assert_eq!(after(pace.due(Some(1_030_000), now)), Some(500));
        assert_eq!(pace.due(Some(1_060_000), now + Duration::from_secs(2)), None, "late");
        assert_eq!(Pace { speed: None, began: None }.due(Some(1), now), None);
    }
}
