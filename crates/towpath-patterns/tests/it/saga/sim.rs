//! Many sagas in the simulator: power cuts, kills, lost and late and doubled calls, partitions, participants that die.
//!
//! The coordinator is a node with a cruel disk. Between it and the participants stands a bad line: it loses calls and answers,
//! brings a call twice or long after its time, and is cut for a while. The participants keep their promise (one effect
//! for a key, none for a voided one) and check what must hold at every effect; in the end the effects must be all or none.
//!
//! `TOWPATH_SIM_SCHEDULES=100_000` for the night, in a release build.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use towpath::{BoxError, Ctx, Receiver, Sender, bounded, rt, scope, select, unbounded};
use towpath_journal::{Lsn, Options};
use towpath_patterns::saga::{
    Action, Backoff, Call, Coordinator, Effect, Error, Handle, Outcome, Saga,
};
use towpath_sim::{Sim, choose, disk, net, node::Cluster};

use super::sim_disk::sim_disk;

const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(10),
    factor: 2,
    max: Duration::from_millis(80),
    // Deaths and bad lines are many here, and nobody is to give up.
    attempts: 1_000,
};

const TIMEOUT: Duration = Duration::from_millis(200);
const CALLS: usize = 2;
const SAGAS: u64 = 2;
/// Small, so that crashes meet the change from one to the next.
const SEGMENT: u64 = 1 << 12;
const STEPS: [&str; 3] = ["hotel", "flight", "car"];

/// The kind of the records that are effects.
const EFFECT: u16 = 9;

/// What the participants have done, and what they must not do any more.
#[derive(Default)]
struct World {
    /// Saga and step to how often; compensations take it back.
    effects: BTreeMap<(String, String), u32>,
    answered: BTreeMap<String, Result<(), ()>>,
    voided: BTreeSet<String>,
    /// Each step's one key.
    keys: BTreeMap<(String, String, bool), String>,
    undone: BTreeMap<String, Vec<usize>>,
    /// A participant that forgets that a step was taken back before it came: to see that this is found.
    forgets: bool,
}

impl World {
    fn place(step: &str) -> usize {
        STEPS.iter().position(|it| *it == step).unwrap()
    }

    /// Does what a call asks for, as often as the line brings it.
    fn visit(&mut self, call: &Call, refuses: bool) -> Result<(), ()> {
        let (saga, step, key) = (call.saga().to_owned(), call.step().to_owned(), call.key());
        let of = (saga.clone(), step.clone(), call.is_undo());
        let known = self.keys.entry(of).or_insert_with(|| key.clone());
        assert_eq!(*known, key, "a key must be the same in every attempt");
        if let Some(answered) = self.answered.get(&key) {
            return *answered;
        }
        let result = if call.is_undo() {
            if self.effects.remove(&(saga.clone(), step.clone())).is_some() {
                let undone = self.undone.entry(saga).or_default();
                let place = Self::place(&step);
                assert!(undone.iter().all(|it| *it > place), "not in reverse: {place} {undone:?}");
                undone.push(place);
            }
            self.voided.insert(call.step_key());
            Ok(())
        } else if self.voided.contains(&key) && !self.forgets || refuses {
            Err(())
        } else {
            *self.effects.entry((saga, step)).or_default() += 1;
            Ok(())
        };
        self.answered.insert(key, result);
        result
    }
}

/// Takes calls off the line, which does to them what lines do. `refuses` says no to each third.
async fn participant(ctx: Ctx, mut calls: Receiver<Call>, world: Arc<Mutex<World>>, refuses: bool) {
    let mut late: Vec<Call> = Vec::new();
    let mut silent = Vec::new();
    let mut cut = 0;
    loop {
        let call = select! {
            call = calls.recv() => call,
            _ = ctx.done() => None,
        };
        let Some(call) = call else { return };
        let visit = |call: &Call| world.lock().unwrap().visit(call, refuses);
        if cut > 0 {
            // Both ways are cut; the coordinator runs out of patience.
            cut -= 1;
            silent.push(call);
            continue;
        }
        match choose(10) {
            // It comes long after its time, perhaps after it was taken back.
            1 => late.push(call),
            // Done, and the answer is lost.
            2 => {
                let _ = visit(&call);
                silent.push(call);
            }
            // Twice.
            3 => {
                let _ = visit(&call);
                answer(visit(&call), call);
            }
            // The participant dies with it, before or after.
            4 => drop(call),
            5 => {
                let _ = visit(&call);
                drop(call);
            }
            6 => call.lost("the line broke"),
            7 => {
                cut = choose(3);
                silent.push(call);
            }
            8 => {
                rt::sleep(Duration::from_millis(choose(300))).await;
                answer(visit(&call), call);
            }
            _ => answer(visit(&call), call),
        }
        if choose(3) > 0
            && let Some(call) = late.pop()
        {
            answer(visit(&call), call);
        }
    }
}

/// With the effect as a record, too: that copy must be in the journal once, whatever the line does.
fn answer(result: Result<(), ()>, call: Call) {
    match result {
        Ok(()) => {
            let key = call.key().into_bytes();
            let effect = Effect { kind: EFFECT, key, payload: call.saga().as_bytes().to_vec() };
            call.done_with(*b"ok", vec![effect]);
        }
        Err(()) => call.refuse("no"),
    }
}

fn saga(to: &[Sender<Call>]) -> Saga {
    let action = |name: &str, to| Action::new(name, to).timeout(TIMEOUT).retry(BACKOFF);
    STEPS.iter().zip(to).fold(Saga::new("trip").quarantine_after(1_000), |saga, (name, to)| {
        saga.step(action(name, to), action(&format!("cancel {name}"), to))
    })
}

async fn outcomes(sagas: &Handle) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::new();
    for number in 0..SAGAS {
        // Started again in each life: an id that was started is not started twice.
        sagas.start("trip", &format!("trip {number}"), *b"for two").await?;
    }
    if choose(4) == 1 {
        sagas.cancel("trip 0", "ill").await?;
    }
    for number in 0..SAGAS {
        outcomes.push(sagas.outcome(&format!("trip {number}")).await?);
    }
    Ok(outcomes)
}

/// One schedule: two trips of three steps, at most three crashes.
async fn trips(forgets: bool) -> Result<(), BoxError> {
    let world = Arc::new(Mutex::new(World { forgets, ..World::default() }));
    let (said, mut heard) = unbounded::<Vec<Outcome>>();
    let seen = Arc::clone(&world);
    scope(&Ctx::root(), |s| async move {
        let mut to = Vec::new();
        for step in STEPS {
            let (tx, rx) = bounded(CALLS);
            to.push(tx);
            let world = Arc::clone(&world);
            let refuses = step == "car" && choose(2) == 1;
            s.spawn(step, move |ctx| participant(ctx, rx, world, refuses));
        }
        let faults = disk::Faults::power_cuts();
        let cluster = Cluster::new(&s, net::Net::new(net::Faults::default()), faults);
        cluster.start("coordinator", move |node| {
            let (to, said) = (to.clone(), said.clone());
            async move {
                let writer = Options::new()
                    .segment_bytes(SEGMENT)
                    .open_on(sim_disk(node.disk()), "sagas")?;
                let coordinator = Coordinator::new()
                    .define(saga(&to))
                    // Often, so that crashes meet checkpoints.
                    .checkpoint_after(600);
                let sagas = coordinator.start(node.scope(), "sagas", writer).await?;
                let outcomes = outcomes(&sagas).await?;
                let _ = said.send(outcomes).await;
                node.ctx().done().await;
                Ok::<_, BoxError>(())
            }
        });
        for _ in 0..choose(4) {
            rt::sleep(Duration::from_millis(choose(400))).await;
            let gone = if choose(2) == 0 {
                cluster.crash("coordinator")
            } else {
                cluster.kill("coordinator")
            };
            gone.await;
            cluster.restart("coordinator");
        }
        let outcomes = heard.recv().await.ok_or("no outcomes")?;
        cluster.kill("coordinator").await;
        check(&world.lock().unwrap(), &outcomes);
        check_journal(&cluster.disk("coordinator"), &outcomes)?;
        s.cancel("seen enough");
        Ok(())
    })
    .await?;
    drop(seen);
    Ok(())
}

fn check(world: &World, outcomes: &[Outcome]) {
    for (number, outcome) in outcomes.iter().enumerate() {
        let id = format!("trip {number}");
        let effects: Vec<_> = world.effects.iter().filter(|((saga, _), _)| *saga == id).collect();
        match outcome {
            Outcome::Completed { .. } => {
                assert_eq!(effects.len(), STEPS.len(), "{id}: {effects:?}")
            }
            Outcome::Compensated { .. } => assert!(effects.is_empty(), "{id}: {effects:?}"),
            Outcome::DeadLettered { reason, .. } => panic!("{id}: {reason}"),
        }
        assert!(effects.iter().all(|(_, times)| **times == 1), "{id}: doubled {effects:?}");
    }
}

/// Effects that are records of the journal: one for each step that the saga counts as done, and none doubled.
fn check_journal(disk: &disk::Disk, outcomes: &[Outcome]) -> Result<(), BoxError> {
    let writer = Options::new().segment_bytes(SEGMENT).open_on(sim_disk(disk), "sagas")?;
    // Effects that nobody released are kept by every checkpoint.
    let mut reader = writer.reader(Lsn::ZERO)?;
    let mut effects: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(record) = reader.next()? {
        if record.kind == EFFECT {
            *effects.entry(String::from_utf8_lossy(record.key).into_owned()).or_default() += 1;
        }
    }
    assert!(effects.values().all(|times| *times == 1), "doubled: {effects:?}");
    for (number, outcome) in outcomes.iter().enumerate() {
        let done = |undo: &str| {
            let key = |step: &&str| format!("trip {number}/{step}{undo}");
            STEPS.iter().filter(|step| effects.contains_key(&key(step))).count()
        };
        match outcome {
            Outcome::Completed { .. } => assert_eq!((done(""), done("/undo")), (STEPS.len(), 0)),
            // What was in doubt is taken back too, so there may be more of these.
            _ => assert!(done("") <= done("/undo"), "{effects:?}"),
        }
    }
    Ok(())
}

#[test]
fn every_trip_is_booked_or_cancelled_whatever_crashes() {
    Sim::new()
        .schedules(600)
        .max_steps(200_000)
        .test("saga::sim::every_trip_is_booked_or_cancelled_whatever_crashes", || trips(false));
}

/// The same with participants that break their promise: the simulation notices.
#[test]
fn a_participant_that_forgets_what_it_has_taken_back_is_found() {
    let report =
        Sim::new().schedules(2_000).max_steps(200_000).shrink(Duration::ZERO).explore(|| async {
            trips(true).await.unwrap();
        });
    let finding = report.finding().expect("nothing was found");
    assert!(
        finding.summary.contains("panic") || !finding.summary.is_empty(),
        "{}",
        finding.summary
    );
}
