//! Differences on their way to a saga, with crashes at any moment.
//!
//! A node has two journals on a cruel disk: that of the hand-over and that of the sagas. The saga's one step has its effect in the
//! sagas' journal, so that the disk itself says what became of each difference: exactly one effect, whatever crashed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use towpath::{BoxError, Ctx, Receiver, bounded, rt, scope, select, unbounded};
use towpath_journal::{Lsn, Options};
use towpath_patterns::{
    matcher::{HandOver, HandOverError, Matcher, Output, Part, Rules},
    saga::{self, Action, Backoff, Call, Coordinator, Effect, Handle, Outcome, Saga},
};
use towpath_sim::{Sim, choose, disk, net, node::Cluster};

use super::Paper;
use crate::sim_disk::sim_disk;

/// Calls of the saga's one step.
const CALLS: usize = 2;
/// Parts and outputs on their way.
const PLACES: usize = 2;
/// Small, so that crashes meet the change from one to the next.
const SEGMENT: u64 = 1 << 12;
/// The kind of the records that are effects.
const EFFECT: u16 = 9;
/// A schedule may starve the clerk for longer than a call waits, and nobody is to give up.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(10),
    factor: 2,
    max: Duration::from_millis(80),
    attempts: 1_000,
};
/// Orders; every second one lacks its goods.
const ORDERS: u64 = 6;

/// Corrects what it is told of: a record of the sagas' journal.
async fn clerk(ctx: Ctx, mut calls: Receiver<Call>) {
    loop {
        let call = select! {
            call = calls.recv() => call,
            _ = ctx.done() => None,
        };
        let Some(call) = call else { return };
        if choose(8) == 1 {
            drop(call);
            continue;
        }
        let (key, payload) = (call.saga().as_bytes().to_vec(), call.input().to_vec());
        call.done_with(*b"ok", vec![Effect { kind: EFFECT, key, payload }]);
    }
}

fn options() -> Options {
    Options::new().segment_bytes(SEGMENT)
}

/// Both journals of a node, and what runs on them.
async fn office(scope: &towpath::Scope, disk: &disk::Disk) -> Result<(HandOver, Handle), BoxError> {
    let (calls, at_clerk) = bounded(CALLS);
    scope.spawn("clerk", |ctx| async move {
        clerk(ctx, at_clerk).await;
        Ok::<_, BoxError>(())
    });
    let correct = Action::new("correct", &calls).timeout(Duration::from_secs(3)).retry(BACKOFF);
    let definition = Saga::new("correction").quarantine_after(1_000).action(correct);
    let writer = options().open_on(sim_disk(disk), "sagas")?;
    let coordinator = Coordinator::new().define(definition).unfinished_max(2);
    let sagas = coordinator.start(scope, "sagas", writer).await?;
    let writer = options().open_on(sim_disk(disk), "differences")?;
    let hand_over =
        HandOver::start(scope, "differences", writer, sagas.clone(), "correction").await?;
    Ok((hand_over, sagas))
}

/// The streams from their beginning, with event time: the same differences in every life.
async fn match_all(scope: &towpath::Scope, hand_over: &HandOver) -> Result<Vec<String>, BoxError> {
    let at = Duration::from_secs;
    let rules = Rules::within(at(10)).needs(Paper::Order, 1..=1).needs(Paper::Goods, 1..=1);
    let ((orders, at_orders), (goods, at_goods)) = (bounded(PLACES), bounded(PLACES));
    let (out, mut told) = bounded(PLACES);
    let matcher = Matcher::new(rules).event_time(100);
    let matching = scope.spawn("matcher", |ctx| matcher.run(ctx, vec![at_orders, at_goods], out));
    scope.spawn("orders", |_| async move {
        for key in 0..ORDERS {
            orders.send(Part::new(key, 1, Paper::Order).at(at(key)).into()).await?;
        }
        Ok::<_, BoxError>(())
    });
    scope.spawn("goods", |_| async move {
        for key in (0..ORDERS).step_by(2) {
            goods.send(Part::new(key, 2, Paper::Goods).at(at(key + 2)).into()).await?;
        }
        Ok::<_, BoxError>(())
    });
    let mut ids = Vec::new();
    while let Some(output) = told.recv().await {
        if let Output::Unmatched { set, differences, .. } = &output {
            let id = format!("{}/{:016x}", set.key, set.fingerprint());
            hand_over.tell(&id, differences[0].to_string().into_bytes()).await?;
            ids.push(id);
        }
    }
    // The outputs end also when the matcher was stopped.
    matching.await?;
    ids.sort();
    Ok(ids)
}

/// One schedule: lives of a node until one has seen every difference become a saga that ended.
async fn lives(feeds_again: bool) -> Result<(), BoxError> {
    // What a source that moves on has let go: told and acknowledged, and never told again.
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let (said, mut heard) = unbounded::<Vec<String>>();
    scope(&Ctx::root(), |s| async move {
        let faults = disk::Faults::power_cuts();
        let cluster = Cluster::new(&s, net::Net::new(net::Faults::default()), faults);
        cluster.start("office", move |node| {
            let (said, acknowledged) = (said.clone(), Arc::clone(&acknowledged));
            async move {
                let (hand_over, sagas) = office(node.scope(), node.disk()).await?;
                let ids = if feeds_again {
                    match_all(node.scope(), &hand_over).await?
                } else {
                    let all: Vec<_> = (0..ORDERS).map(|key| format!("order {key}")).collect();
                    for id in &all {
                        if !acknowledged.lock().unwrap().contains(id) {
                            hand_over.tell(id, *b"0 of Goods, needs 1").await?;
                            acknowledged.lock().unwrap().insert(id.clone());
                        }
                    }
                    all
                };
                for id in &ids {
                    // It is durable, and may not have been started yet.
                    let outcome = loop {
                        match sagas.outcome(id).await {
                            Err(saga::Error::Unknown { .. }) => {
                                rt::sleep(Duration::from_millis(20)).await;
                            }
                            outcome => break outcome?,
                        }
                    };
                    assert!(matches!(outcome, Outcome::Completed { .. }), "{id}: {outcome:?}");
                }
                let _ = said.send(ids).await;
                node.ctx().done().await;
                Ok::<_, BoxError>(())
            }
        });
        for _ in 0..choose(4) {
            rt::sleep(Duration::from_millis(choose(60))).await;
            if choose(2) == 0 {
                cluster.crash("office").await;
            } else {
                cluster.kill("office").await;
            }
            cluster.restart("office");
        }
        let ids = heard.recv().await.ok_or("nobody said anything")?;
        cluster.crash("office").await;
        let expected = if feeds_again { ORDERS / 2 } else { ORDERS };
        assert_eq!(ids.len() as u64, expected);
        check(&cluster.disk("office"), &ids)?;
        s.cancel("the story is told");
        Ok(())
    })
    .await?;
    Ok(())
}

/// What the sagas' journal says: one effect for each difference, and nothing else.
fn check(disk: &disk::Disk, ids: &[String]) -> Result<(), BoxError> {
    let writer = options().open_on(sim_disk(disk), "sagas")?;
    let mut reader = writer.reader(Lsn::ZERO)?;
    let mut effects: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(record) = reader.next()? {
        if record.kind == EFFECT {
            assert_eq!(record.payload, b"0 of Goods, needs 1");
            *effects.entry(String::from_utf8_lossy(record.key).into_owned()).or_default() += 1;
        }
    }
    let expected: BTreeMap<_, _> = ids.iter().map(|id| (id.clone(), 1)).collect();
    assert_eq!(effects, expected);
    Ok(())
}

/// The source is read again from its beginning in each life.
#[test]
fn streams_that_are_fed_again_make_each_difference_one_saga() {
    Sim::new().schedules(300).max_steps(200_000).test(
        "matcher::hand_over::streams_that_are_fed_again_make_each_difference_one_saga",
        || lives(true),
    );
}

/// The source moves on when a difference was told: from then on only the hand-over's journal has it.
#[test]
fn what_was_told_becomes_a_saga_whatever_crashes() {
    Sim::new()
        .schedules(300)
        .max_steps(200_000)
        .test("matcher::hand_over::what_was_told_becomes_a_saga_whatever_crashes", || lives(false));
}

#[test]
fn a_journal_of_somebody_else_is_refused_and_so_is_what_no_saga_takes() {
    let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sagas_dir = tempfile::tempdir().unwrap();
    let mut writer = towpath_journal::Writer::open(other.path()).unwrap();
    writer.append(towpath_journal::Entry { kind: 7, key: b"k", payload: b"p" }).unwrap();
    writer.commit().unwrap();
    let refused = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (calls, _at_clerk) = bounded(CALLS);
        let definition = Saga::new("correction").action(Action::new("correct", &calls));
        let sagas = Coordinator::new()
            .define(definition)
            .start(&s, "sagas", towpath_journal::Writer::open(sagas_dir.path())?)
            .await?;
        let foreign = HandOver::start(&s, "other", writer, sagas.clone(), "correction").await;
        let writer = towpath_journal::Writer::open(mine.path())?;
        let hand_over = HandOver::start(&s, "mine", writer, sagas, "correction").await?;
        let refused = [
            foreign.map(|_| ()),
            hand_over.tell("", *b"x").await,
            hand_over.tell("big", vec![0; saga::PAYLOAD_BYTES_MAX + 1]).await,
        ];
        let counted = hand_over.snapshot();
        s.cancel("that is all");
        Ok((refused, counted.told))
    }))
    .unwrap();
    let (refused, told) = refused;
    let words = refused.map(|it| it.unwrap_err().to_string());
    assert_eq!(
        words[0],
        "record 1 of the journal is not of a hand-over: give it a journal of its own"
    );
    assert_eq!(words[1], "an id of 0 bytes: from 1 to 200 are allowed");
    assert!(words[2].starts_with("1048577 bytes are too many for a journal"), "{}", words[2]);
    assert_eq!(told, 0);
    let gone = HandOverError::Gone.to_string();
    assert_eq!(gone, "the hand-over has ended; tell again when it is back");
}
