//! A real coordinator on a real disk, killed at random moments with SIGKILL.
//!
//! The test starts itself as a child process that runs sagas, kills it a few milliseconds later, and again, forty times
//! (`TOWPATH_SAGA_KILLS=1000` for more). Each life starts sagas of its own and goes on with those of the others. The last
//! one is let finish; then the journal must say of every saga that all its effects are there, or that all are taken
//! back, and none twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use towpath::{BoxError, Ctx, bounded, scope};
use towpath_journal::{Lsn, Options};
use towpath_patterns::saga::{Action, Backoff, Call, Coordinator, Effect, Outcome, Saga};

const KILLS: u64 = 40;
const SAGAS: u64 = 20;
const STEPS: [&str; 3] = ["hotel", "flight", "car"];
const EFFECT: u16 = 9;
const PLACES: usize = 64;

/// Which journal, which life, and whether it is the last: set for a child.
const ROLE: &str = "TOWPATH_SAGA_CHILD";

/// Each third trip cannot be booked, by its number.
fn refuses(call: &Call) -> bool {
    let number: u64 = call.saga().rsplit(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0);
    call.step() == "car" && !call.is_undo() && number.is_multiple_of(3)
}

/// Does nothing in an ordinary run: it is what the child runs.
#[test]
fn coordinator() {
    let Ok(role) = env::var(ROLE) else { return };
    let mut role = role.splitn(3, ' ');
    let life: u64 = role.next().unwrap().parse().unwrap();
    let last = role.next().unwrap() == "last";
    let dir = role.next().unwrap().to_owned();
    towpath::block_on(run(life, last, &dir)).unwrap();
}

async fn run(life: u64, last: bool, dir: &str) -> Result<(), BoxError> {
    let writer = Options::new().segment_bytes(1 << 20).open(Path::new(dir))?;
    scope(&Ctx::root(), |s| async move {
        let (tx, mut rx) = bounded::<Call>(PLACES);
        let backoff =
            Backoff { base: Duration::from_millis(1), attempts: 1_000, ..Backoff::DEFAULT };
        let action = |name: &str| Action::new(name, &tx).retry(backoff);
        let saga = STEPS.iter().fold(Saga::new("trip").quarantine_after(u32::MAX), |saga, name| {
            saga.step(action(name), action(&format!("cancel {name}")))
        });
        s.spawn("agents", move |_| async move {
            while let Some(call) = rx.recv().await {
                if refuses(&call) {
                    call.refuse("no car");
                } else {
                    let effect =
                        Effect { kind: EFFECT, key: call.key().into_bytes(), payload: vec![] };
                    call.done_with(*b"booked", vec![effect]);
                }
            }
        });
        let coordinator = Coordinator::new()
            .define(saga)
            .resume_per_second(1_000_000)
            .finished_kept(1_000_000)
            .checkpoint_after(30_000);
        let sagas = coordinator.start(&s, "sagas", writer).await?;
        if !last {
            println!("ready");
            for number in 0.. {
                for number in number * SAGAS..(number + 1) * SAGAS {
                    sagas.start("trip", &format!("trip {life} {number}"), *b"").await?;
                }
            }
        }
        for summary in sagas.list(Default::default()).await? {
            sagas.outcome(&summary.id).await?;
        }
        // Behind what the test runner has begun to say.
        println!();
        // Whatever any life has started has ended. Who was started is known by asking until one was not.
        for life in 0..life {
            for number in 0.. {
                let id = format!("trip {life} {number}");
                match sagas.outcome(&id).await {
                    Ok(Outcome::Completed { .. }) => println!("completed {id}"),
                    Ok(Outcome::Compensated { .. }) => println!("compensated {id}"),
                    Ok(Outcome::DeadLettered { .. }) => println!("dead {id}"),
                    Err(_) => break,
                }
            }
        }
        s.cancel("that is all");
        drop(sagas);
        drop(tx);
        Ok(())
    })
    .await
    .or_else(|error| if error.to_string().contains("that is all") { Ok(()) } else { Err(error) })?;
    Ok(())
}

fn child(life: u64, how: &str, dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["saga::killed::coordinator", "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, format!("{life} {how} {}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
fn every_saga_ends_with_all_its_effects_or_none_after_many_kills() {
    let kills = env::var("TOWPATH_SAGA_KILLS").ok().and_then(|it| it.parse().ok()).unwrap_or(KILLS);
    let dir = tempfile::tempdir().unwrap();
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for life in 0..kills {
        let mut child = child(life, "more", dir.path()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        chance = chance.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        // Each fourth is killed while it opens the journal, the others while they work.
        if !chance.is_multiple_of(4) {
            assert!(lines.any(|line| line.unwrap().contains("ready")), "life {life} did not begin");
        }
        thread::sleep(Duration::from_micros((chance >> 33) % 30_000));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let output = child(kills, "last", dir.path()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    check(&said, dir.path(), kills);
    fs::remove_dir_all(dir.path()).unwrap();
}

fn check(said: &str, dir: &Path, kills: u64) {
    let writer = Options::new().segment_bytes(1 << 20).open(dir).unwrap();
    let mut reader = writer.reader(Lsn::ZERO).unwrap();
    let mut effects: BTreeMap<String, u32> = BTreeMap::new();
    let mut sagas = BTreeSet::new();
    while let Some(record) = reader.next().unwrap() {
        let key = String::from_utf8(record.key.to_vec()).unwrap();
        if record.kind == EFFECT {
            *effects.entry(key).or_default() += 1;
        } else {
            sagas.insert(key);
        }
    }
    let doubled: Vec<_> = effects.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    let mut ended = BTreeSet::new();
    let (mut completed, mut compensated) = (0, 0);
    for line in said.lines() {
        let Some((how, id)) = line.split_once(' ') else { continue };
        let has = |step: &str, undo: &str| effects.contains_key(&format!("{id}/{step}{undo}"));
        match how {
            "completed" => {
                assert!(STEPS.iter().all(|step| has(step, "") && !has(step, "/undo")), "{id}");
                completed += 1;
            }
            "compensated" => {
                for step in STEPS {
                    assert!(!has(step, "") || has(step, "/undo"), "{id}: {step} is left");
                }
                assert!(!has("car", ""), "{id}");
                compensated += 1;
            }
            "dead" => panic!("{id}"),
            _ => continue,
        }
        ended.insert(id.to_owned());
    }
    // Retention may have let go of the first; what is still there has ended.
    let lost: Vec<_> = sagas.difference(&ended).collect();
    assert!(lost.is_empty(), "started and never ended: {lost:?}");
    assert!(completed > 0 && compensated > 0);
    println!(
        "{kills} kills: {completed} completed, {compensated} compensated, {} effects, none doubled",
        effects.len()
    );
}
