//! Purchase orders, goods receipts and invoices are matched; what does not fit becomes a saga that puts it right.
//!
//! Three departments send their papers by streams of their own, each at its own speed. The matcher merges them by the time on the
//! papers, so what it tells is the same in every run. Each difference is handed over to a saga, through a journal: payment is
//! stopped, somebody is asked to correct it, and if they will not, payment is allowed again.
//!
//! ```text
//!   purchasing ──▶ ┌─────────┐ ──▶ matched
//!   warehouse  ──▶ │ matcher │ ──▶ differences ──▶ journal ──▶ saga: stop payment, ask for a correction
//!   accounting ──▶ └─────────┘ ──▶ late papers ──────┘
//! ```
//!
//! `reconcile_orders [FILE]`; without a file it is a small log that is written here. With the real one, BPI Challenge 2019
//! (`bpic2019-variants.xes.gz`), it says how many of its items match in which way.

use std::{collections::BTreeMap, env, path::Path, sync::Arc, time::Duration};

use towpath::{BoxError, Ctx, Receiver, Scope, Sender, bounded, scope, select};
use towpath_journal::Writer;
use towpath_patterns::{
    matcher::{
        HandOver, Matcher, Output, Part, Tolerance, What,
        purchase::{Paper, Papers, Stream, Way, papers},
    },
    saga::{self, Action, Call, Coordinator, Handle, Keys, Outcome, Saga},
    xes::Log,
};

/// Papers of one stream on their way: a batch.
const PAPERS: usize = 256;
/// Calls that wait for an office: more than this story has.
const CALLS: usize = 16;
/// Keys that an office remembers: more than this story has.
const KEYS: usize = 1_000;

const DAY: Duration = Duration::from_secs(86_400);

/// How long an item may take, and for how long one that matches waits for more deliveries.
type Days = (u32, u32);
/// Whoever delivers twice does so within a month.
const SMALL_DAYS: Days = (90, 30);
/// In the real log rent is one item with a delivery a month.
const REAL_DAYS: Days = (365, 60);

/// 2018-01-01, the first day of the real log.
const SINCE: Duration = Duration::from_secs(1_514_764_800);

/// Item, day, paper, and its amount in cents; none for a cancellation of the last such paper.
const SMALL_LOG: [(&str, u32, Paper, Option<i64>); 28] = [
    ("lamps", 1, Paper::Order, Some(0)),
    ("chairs", 1, Paper::Order, Some(0)),
    ("desks", 2, Paper::Order, Some(0)),
    ("paper", 2, Paper::Order, Some(0)),
    ("cables", 3, Paper::Order, Some(0)),
    ("phones", 4, Paper::Order, Some(0)),
    ("lamps", 5, Paper::Receipt, Some(10_000)),
    ("chairs", 6, Paper::Receipt, Some(40_000)),
    ("desks", 8, Paper::Receipt, Some(50_000)),
    ("lamps", 9, Paper::Invoice, Some(10_150)), // within two per cent
    ("phones", 10, Paper::Order, None),         // deleted
    ("paper", 11, Paper::Invoice, Some(2_000)),
    ("lamps", 12, Paper::Clearing, Some(0)),
    ("cables", 13, Paper::Receipt, Some(700)),
    ("cables", 14, Paper::Receipt, None), // the wrong ones
    ("cables", 15, Paper::Receipt, Some(700)),
    ("paper", 15, Paper::Clearing, Some(0)), // paid for what never came
    ("cables", 16, Paper::Invoice, Some(700)),
    ("cables", 17, Paper::Clearing, Some(0)),
    ("chairs", 18, Paper::Invoice, Some(40_000)),
    ("chairs", 19, Paper::Clearing, Some(0)),
    ("desks", 20, Paper::Invoice, Some(54_000)), // four thousand too many
    ("desks", 21, Paper::Clearing, Some(0)),
    ("chairs", 25, Paper::Receipt, Some(20_000)), // the rest
    ("chairs", 28, Paper::Invoice, Some(20_000)),
    ("chairs", 29, Paper::Clearing, Some(0)),
    ("screens", 30, Paper::Order, Some(0)),
    ("lamps", 95, Paper::Invoice, Some(10_150)), // once more, long after
];

fn small_log() -> Papers {
    let papers = SMALL_LOG.iter().zip(1..).map(|((item, day, kind, amount), id)| {
        let what = match *amount {
            Some(amount) => What::Is { kind: *kind, amount },
            None => What::UndoLast { kind: *kind },
        };
        (kind.stream(), Part { key: (*item).into(), id, what, at: *day * DAY, body: () })
    });
    papers.collect()
}

/// Starts a matcher that is fed by three departments.
fn reconcile(s: &Scope, way: Way, days: Days, all: Papers) -> Receiver<Output<Arc<str>, Paper>> {
    let (out, told) = bounded(PAPERS);
    let rules = way.rules(days.0 * DAY, days.1 * DAY, Tolerance { amount: 0, per_mille: 20 });
    let matcher = Matcher::new(rules).event_time(all.len());
    let mut by_stream = Stream::ALL.map(|_| Vec::new());
    for (stream, part) in all {
        by_stream[stream as usize].push(part);
    }
    let mut departments = Vec::new();
    for papers in by_stream {
        let (tx, rx) = bounded(PAPERS);
        departments.push(rx);
        s.spawn("department", |_| async move {
            for part in papers {
                tx.send(part.into()).await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    s.spawn("matcher", |ctx| matcher.run(ctx, departments, out));
    told
}

/// Stops and allows payments, and asks for corrections; whoever sold the desks will not hear of it.
async fn office(
    ctx: Ctx,
    mut calls: Receiver<Call>,
    diary: Sender<(String, String)>,
) -> Result<(), BoxError> {
    let mut keys = Keys::new(KEYS);
    loop {
        let call = select! {
            call = calls.recv() => call,
            _ = ctx.done() => None,
        };
        let Some(call) = call else { return Ok(()) };
        let Some(call) = keys.fresh(call) else { continue };
        let (id, action) = (call.saga().to_owned(), call.action().to_owned());
        if action == "ask for a correction" && id.starts_with("desks") {
            diary.send((id, format!("{action}: refused"))).await?;
            call.refuse("the price was agreed on by telephone");
        } else {
            diary.send((id, action)).await?;
            keys.done(call, *b"done");
        }
    }
}

/// The coordinator, and the way to it that loses nothing: each with a journal.
async fn start_sagas(
    s: &Scope,
    folder: &Path,
    calls: &Sender<Call>,
) -> Result<(Handle, HandOver), BoxError> {
    let action = |name: &str| Action::new(name, calls);
    let correction = Saga::new("correction")
        .step(action("stop payment"), action("allow payment"))
        .action(action("ask for a correction"));
    let writer = Writer::open(folder.join("sagas"))?;
    let sagas = Coordinator::new().define(correction).start(s, "sagas", writer).await?;
    let writer = Writer::open(folder.join("differences"))?;
    let hand_over = HandOver::start(s, "differences", writer, sagas.clone(), "correction").await?;
    Ok((sagas, hand_over))
}

async fn story(s: Scope, folder: &Path) -> Result<(), BoxError> {
    let (calls, at_office) = bounded(CALLS);
    let (diary, mut said) = towpath::unbounded();
    s.spawn("office", |ctx| office(ctx, at_office, diary));
    let (sagas, hand_over) = start_sagas(&s, folder, &calls).await?;
    let mut told = reconcile(&s, Way::ThreeWayBefore, SMALL_DAYS, small_log());
    let mut ids = Vec::new();
    while let Some(output) = told.recv().await {
        let (id, what) = match &output {
            Output::Matched(set) => {
                println!("{}: {} papers match", set.key, set.parts.len());
                continue;
            }
            Output::Void(set) => {
                println!("{}: taken back", set.key);
                continue;
            }
            Output::Unmatched { set, differences, why } => {
                let what: Vec<_> = differences.iter().map(ToString::to_string).collect();
                (
                    format!("{}/{:016x}", set.key, set.fingerprint()),
                    format!("{why:?}: {}", what.join("; ")),
                )
            }
            Output::Stray { part, why } => {
                (format!("{}/paper {}", part.key, part.id), format!("paper {}: {why}", part.id))
            }
        };
        println!("{}: {what}", item(&id));
        // ANCHOR: tell
        hand_over.tell(&id, what.into_bytes()).await?; // durable from here on
        ids.push(id);
        // ANCHOR_END: tell
    }
    let mut done: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in ids {
        let outcome = loop {
            match sagas.outcome(&id).await {
                // Told, and not yet started.
                Err(saga::Error::Unknown { .. }) => {
                    towpath::rt::sleep(Duration::from_millis(1)).await
                }
                outcome => break outcome?,
            }
        };
        // Sagas run beside each other: what the others did waits for their turn.
        while let Ok((saga, action)) = said.try_recv() {
            done.entry(saga).or_default().push(action);
        }
        let end = match outcome {
            Outcome::Completed { .. } => "corrected".to_owned(),
            Outcome::Compensated { reason, .. } => format!("as it was: {reason}"),
            Outcome::DeadLettered { reason, .. } => format!("somebody must look: {reason}"),
        };
        let actions = done.remove(&id).unwrap_or_default().join(", ");
        println!("saga for {}: {actions}; {end}", item(&id));
    }
    s.cancel("the story is told");
    Ok(())
}

/// An id begins with the item.
fn item(id: &str) -> &str {
    id.split('/').next().unwrap_or_default()
}

/// How many items of a log match in each way; it does not say which item is which.
async fn count(file: &Path) -> Result<(), BoxError> {
    let all = papers(&mut Log::open(file)?, SINCE)?;
    println!("{} papers", all.len());
    for way in Way::ALL {
        let all = all.clone();
        let counts = scope(&Ctx::root(), |s| async move {
            let mut told = reconcile(&s, way, REAL_DAYS, all);
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            while let Some(output) = told.recv().await {
                let what = match output {
                    Output::Matched(_) => "matched",
                    Output::Void(_) => "taken back",
                    Output::Unmatched { .. } => "unmatched",
                    Output::Stray { .. } => "late papers",
                };
                *counts.entry(what).or_default() += 1;
            }
            Ok(counts)
        });
        println!("{way:?}: {:?}", counts.await?);
    }
    println!("data: BPI Challenge 2019, B. van Dongen, 4TU.ResearchData, CC BY 4.0,");
    println!("doi 10.4121/uuid:d06aff4b-79f0-45e6-8ec8-e19730c248f1");
    Ok(())
}

fn main() -> Result<(), BoxError> {
    if let Some(file) = env::args_os().nth(1) {
        return towpath::block_on(count(file.as_ref()));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_owned();
    towpath::block_on(scope(&Ctx::root(), |s| async move { story(s, &path).await }))?;
    Ok(())
}
