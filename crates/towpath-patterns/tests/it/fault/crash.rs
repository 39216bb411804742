//! A node that loses its power at any moment, again and again: no message is lost, no letter, and no history.
//!
//! What is outside of the node and survives it: the source, which delivers again what was not acknowledged, and the world, on
//! which handlers have their effects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use towpath::{BoxError, Ctx, rt, scope};
use towpath_patterns::fault::{
    Failure, Fault, Settlement, Worker,
    dead::{DeadLetters, Letter, LetterId, Limits, Pace, Pick, Replay, Status},
};
use towpath_sim::{
    disk::{Disk, Faults},
    net::{self, Net},
    node::{Cluster, Node},
};

/// Messages that wait: more than a test has.
const MESSAGES: usize = 16;

/// Small, so that crashes come between a checkpoint and what it stands for.
const LIMITS: Limits = Limits { letters_max: 100, checkpoint_every: 6 };

fn open(scope: &towpath::Scope, disk: &Disk) -> Result<DeadLetters, BoxError> {
    let writer = super::writer(disk)?;
    Ok(DeadLetters::open_with(scope, "orders", writer, LIMITS)?)
}

#[derive(Clone, Default)]
struct Outside(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    /// What the source has not had acknowledged.
    pending: BTreeSet<u64>,
    /// Who was told that it is a dead letter.
    told_dead: BTreeMap<u64, LetterId>,
    /// Effects, by idempotency key.
    effects: BTreeMap<String, u32>,
    /// Attempts that failed, by idempotency key.
    refused: BTreeMap<String, u32>,
}

impl Outside {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

async fn handle(_ctx: Ctx, message: &u64) -> Result<(), Failure> {
    rt::sleep(Duration::from_millis(1)).await;
    if message.is_multiple_of(3) { Ok(()) } else { Err(Failure::schema("no price")) }
}

/// The node: takes what the source delivers, again from the start after each crash.
async fn worker_node(node: Node, outside: Outside) -> Result<(), BoxError> {
    let dead = open(node.scope(), node.disk())?;
    let (tx, rx) = towpath::bounded(MESSAGES);
    let (settled_tx, mut settled) = towpath::bounded(MESSAGES);
    let pending: Vec<u64> = outside.world().pending.iter().copied().collect();
    for message in pending {
        tx.send(message).await?;
    }
    drop(tx);
    let worker = Worker::new("worker", rx, handle)
        .with_settled(settled_tx)
        .with_dead_letters(dead.clone(), |message: &u64| {
            Letter::new(message.to_string()).with_key(format!("m{message}"))
        });
    node.scope().spawn("worker", |ctx| worker.run(ctx));
    while let Some(it) = settled.recv().await {
        let mut world = outside.world();
        world.pending.remove(&it.message);
        if let Settlement::Dead(id) = it.how {
            world.told_dead.insert(it.message, id);
        }
    }
    // What was acknowledged as dead, now or in an earlier life, is there, once.
    let told_dead = outside.world().told_dead.clone();
    let there = dead.list(Pick::all(), LetterId(0), 100).await?;
    assert_eq!(there.len(), told_dead.len());
    for (message, id) in told_dead {
        let shown = dead.show(id).await?;
        assert_eq!(shown.summary.status, Status::Waiting);
        assert_eq!(shown.key, format!("m{message}").into_bytes());
        assert_eq!(shown.payload, Some(message.to_string().into_bytes()));
    }
    Ok(())
}

/// Starts a node and cuts its power during an operation of its disk that chance chooses, up to so many times; then lets it end.
async fn through_crashes<F, Fut>(crashes: u32, operations: u64, program: F)
where
    F: Fn(Node) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let run = scope(&Ctx::root(), |s| async move {
        let net = Net::new(net::Faults::default());
        let cluster = Cluster::new(&s, net, Faults::power_cuts());
        let program = Arc::new(program);
        let (ended_tx, mut ended) = towpath::unbounded();
        let disk = cluster.disk("node");
        for life in 0..=crashes {
            // Before it can crash.
            let machine = disk.until_crash();
            let choice = towpath_sim::choose(operations + 1);
            if life < crashes && choice > 0 {
                disk.crash_during(disk.operations() + choice);
            }
            if life == 0 {
                let (program, ended_tx) = (program.clone(), ended_tx.clone());
                cluster.start("node", move |node| {
                    let (program, ended_tx) = (program.clone(), ended_tx.clone());
                    async move {
                        let body = scope(node.ctx(), |_| program(node.clone()));
                        body.await?;
                        ended_tx.send(()).await?;
                        Ok::<_, BoxError>(())
                    }
                });
            } else {
                cluster.restart("node");
            }
            let crashed = towpath::select! {
                _ = ended.recv() => false,
                _ = towpath::select::future(machine.crashed()) => true,
            };
            // Its plan may not have come; so it is gone in any case.
            cluster.crash("node").await;
            if !crashed && life == crashes {
                break;
            }
        }
        Ok(())
    });
    run.await.unwrap();
}

#[towpath::test(schedules = 300)]
async fn what_was_not_acknowledged_comes_again_and_what_was_is_kept() {
    let outside = Outside::default();
    outside.world().pending = (0..7).collect();
    let last = outside.clone();
    through_crashes(3, 40, move |node| worker_node(node, outside.clone())).await;
    let world = last.world();
    assert!(world.pending.is_empty(), "{:?}", world.pending);
    let dead: Vec<u64> = world.told_dead.keys().copied().collect();
    assert_eq!(dead, [1, 2, 4, 5]);
}

/// Letters, replays and crashes; at the end each letter was handled, under one key, and failed ones know their failures.
#[towpath::test(schedules = 300)]
async fn a_replay_goes_on_after_any_crash() {
    let outside = Outside::default();
    let last = outside.clone();
    through_crashes(3, 60, move |node| replay_node(node, outside.clone())).await;
    let world = last.world();
    let effects: Vec<&str> = world.effects.keys().map(String::as_str).collect();
    assert_eq!(effects, ["m0", "m2", "m4", "orders/6"]);
    let refused: Vec<&str> = world.refused.keys().map(String::as_str).collect();
    assert_eq!(refused, ["m1", "m3", "orders/7"]);
    // A letter is handled more than once only if a crash came while it was in hand: one for each crash.
    let more: u32 = world.effects.values().chain(world.refused.values()).map(|it| it - 1).sum();
    assert!(more <= 3, "{:?} {:?}", world.effects, world.refused);
}

async fn replay_node(node: Node, outside: Outside) -> Result<(), BoxError> {
    let dead = open(node.scope(), node.disk())?;
    let put = |name: String, key: String| {
        let fault = Fault::of("parser", &Failure::schema("no price"));
        dead.put(Letter::new(name).with_key(key).with_fault(fault))
    };
    let handler = |_: Ctx, letter: Replay| {
        let outside = outside.clone();
        async move {
            let key = String::from_utf8(letter.key)?;
            let number = u32::from(letter.payload[0] - b'0');
            rt::sleep(Duration::from_millis(1)).await;
            let mut world = outside.world();
            let well = number % 2 == 0;
            let which = if well { &mut world.effects } else { &mut world.refused };
            *which.entry(key).or_default() += 1;
            if well { Ok(()) } else { Err("busy".into()) }
        }
    };
    let handler = |ctx, letter| {
        let handled = handler(ctx, letter);
        async move { handled.await.map_err(|error: BoxError| Failure::transient(error)) }
    };
    match dead.unfinished().await?.first() {
        Some(unfinished) => {
            dead.resume(node.ctx(), unfinished.replay, Pace::UNLIMITED, handler).await?;
        }
        None => {
            // From the beginning, if it did not get that far: those that are there are known by their keys.
            let all = dead.list(Pick::all(), LetterId(0), 100).await?;
            let begun = dead.show(LetterId(1)).await.is_ok_and(|it| it.summary.replays > 0);
            if !begun {
                for number in 0..5 {
                    put(format!("{number}"), format!("m{number}")).await?;
                }
                for number in all.iter().filter(|it| it.id.0 > 5).count()..2 {
                    put(format!("{}", 6 + number), String::new()).await?;
                }
                dead.replay(node.ctx(), Pick::all(), Pace::UNLIMITED, handler).await?;
            }
        }
    }
    let mut waiting = Vec::new();
    for summary in dead.list(Pick::all(), LetterId(0), 100).await? {
        assert_eq!(summary.cause, "busy");
        let shown = dead.show(summary.id).await?;
        waiting.push(String::from_utf8(shown.payload.clone().unwrap_or_default())?);
        assert_eq!(summary.status, Status::Waiting);
        // Put once or, if the answer did not come back, twice; and refused once, or once for each crash.
        assert!(summary.failures >= 2, "{shown:?}");
        assert!(summary.replays >= 1, "{shown:?}");
    }
    assert_eq!(waiting, ["1", "3", "7"]);
    let letter = dead.show(LetterId(1)).await?;
    assert_eq!(letter.summary.status, Status::Replayed);
    Ok(())
}

/// A disk that fails in place of a crash: whoever asks is told, and nothing that was promised is gone.
#[towpath::test(schedules = 200)]
async fn a_disk_that_fails_is_told_and_forgets_nothing() {
    let disk = Disk::new(Faults::default());
    let mut kept = Vec::new();
    for round in 0..3 {
        let faults = if round < 2 {
            Faults { sync_error: 100, write_error: 50, ..Faults::default() }
        } else {
            Faults::default()
        };
        let (machine, before) = (disk.until_crash(), kept.clone());
        let (faulty, put) = (disk.clone(), Arc::new(Mutex::new(Vec::new())));
        let acknowledged = put.clone();
        scope(&Ctx::root(), |s| async move {
            let dead = open(&s, &machine)?;
            let there: Vec<u64> = dead
                .list(Pick::all(), LetterId(0), 1_000)
                .await?
                .iter()
                .map(|it| it.id.0)
                .collect();
            assert!(before.iter().all(|id| there.contains(id)), "{before:?} of {there:?}");
            faulty.set_faults(faults);
            for number in 0..8 {
                match dead.put(super::letter(&format!("order {number}"), "no price")).await {
                    Ok(id) => acknowledged.lock().unwrap().push(id.0),
                    // From here on it says so to everybody.
                    Err(_) => assert!(dead.groups().await.is_err()),
                }
            }
            faulty.set_faults(Faults::default());
            Ok(())
        })
        .await
        .unwrap();
        kept.extend(put.lock().unwrap().iter());
        // As after a reboot: what was not synced is gone.
        disk.crash();
    }
}
