//! A real process, a real disk, a real `kill -9`: the process moves messages to dead letters and replays them, and is killed at
//! any moment.
//!
//! What the process has done it tells on its standard output, which survives it: a line is written by one system call, before
//! the next thing is done. `TOWPATH_KILLS` says how many kills; 30 of them are part of every test run.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use towpath::{BoxError, Ctx, block_on, scope};
use towpath_journal::Writer;
use towpath_patterns::fault::{
    Failure, Settlement, Worker,
    dead::{DeadLetters, Letter, LetterId, Limits, Pace, Pick, Replay, Status, Step},
};

/// Where the process has its journal; set by the test that starts it.
const DIR: &str = "TOWPATH_KILL_DIR";
/// The first message it is to handle.
const FIRST: &str = "TOWPATH_KILL_FIRST";

/// Messages that wait for the worker.
const MESSAGES: usize = 64;

/// Messages in one life of the process, if it is not killed before.
const IN_ONE_LIFE: u64 = 200;

/// So that checkpoints and carried letters are among what is killed.
const LIMITS: Limits = Limits { letters_max: 1_000_000, checkpoint_every: 64 };

fn tell(line: &str) {
    // One write, so that no line is there by half but the last.
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Every fourth replay of a letter fails, by its number and how often it has failed; the others have an effect.
fn goes_well(letter: &Replay) -> bool {
    !(letter.id.0 + u64::from(letter.failures)).is_multiple_of(4)
}

async fn replayed(_ctx: Ctx, letter: Replay) -> Result<(), Failure> {
    let key = String::from_utf8(letter.key.clone()).map_err(Failure::fatal)?;
    if goes_well(&letter) {
        tell(&format!("effect {key}"));
        Ok(())
    } else {
        tell(&format!("refused {key}"));
        Err(Failure::transient("busy"))
    }
}

async fn refuse(_ctx: Ctx, number: &u64) -> Result<(), Failure> {
    Err(Failure::schema(format!("order {number} has no price")))
}

/// The process: goes on with what was cut short, then moves messages and replays them, until it is killed or has done enough.
#[test]
fn process() {
    let Some(dir) = env::var_os(DIR) else { return };
    let first: u64 = env::var(FIRST).unwrap().parse().unwrap();
    // The harness has begun a line.
    tell("");
    let life = scope(&Ctx::root(), |s| async move {
        let dead = DeadLetters::open_with(&s, "orders", Writer::open(Path::new(&dir))?, LIMITS)?;
        for unfinished in dead.unfinished().await? {
            dead.resume(s.ctx(), unfinished.replay, Pace::UNLIMITED, replayed).await?;
            tell(&format!("resumed {}", unfinished.replay));
        }
        let (tx, rx) = towpath::bounded(MESSAGES);
        let (settled_tx, mut settled) = towpath::bounded(MESSAGES);
        let worker = Worker::new("worker", rx, refuse)
            .with_settled(settled_tx)
            .with_dead_letters(dead.clone(), |number: &u64| {
                Letter::new(format!("order {number}")).with_key(format!("m{number}"))
            });
        s.spawn("worker", |ctx| worker.run(ctx));
        s.spawn("source", move |_| async move {
            for number in first..first + IN_ONE_LIFE {
                tx.send(number).await?;
            }
            Ok::<_, BoxError>(())
        });
        let mut count = 0;
        while let Some(it) = settled.recv().await {
            let Settlement::Dead(id) = it.how else { panic!("{it:?}") };
            tell(&format!("dead {} {id}", it.message));
            count += 1;
            if count % 20 == 0 {
                dead.replay(s.ctx(), Pick::all(), Pace::UNLIMITED, replayed).await?;
            }
        }
        Ok(())
    });
    block_on(life).unwrap();
    tell("done");
}

/// What the lines say.
#[derive(Default)]
struct Told {
    dead: BTreeMap<u64, LetterId>,
    effects: BTreeMap<String, u32>,
    refused: BTreeMap<String, u32>,
    resumed: u32,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["dead", number, id] => {
                let (number, id) = (number.parse().unwrap(), LetterId(id.parse().unwrap()));
                // The same letter whenever it is delivered again.
                assert_eq!(*self.dead.entry(number).or_insert(id), id);
            }
            ["effect", key] => *self.effects.entry(key.to_owned()).or_default() += 1,
            ["refused", key] => *self.refused.entry(key.to_owned()).or_default() += 1,
            ["resumed", _] => self.resumed += 1,
            // The words of the test harness around it.
            _ => {}
        }
    }
}

/// A number that differs from kill to kill, and is the same in every run.
fn scattered(kill: u64, below: u64) -> u64 {
    let mixed = (kill + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) % below
}

#[test]
fn nothing_is_lost_at_any_kill() {
    let kills: u64 = env::var("TOWPATH_KILLS").map_or(30, |kills| kills.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    let (mut killed, mut first) = (0, 0);
    for kill in 0..kills {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "fault::kill::process", "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // After so many lines, and then while whatever comes next is under way.
        for line in lines.by_ref().take(scattered(kill, 90) as usize) {
            told.hear(&line);
        }
        for _ in 0..scattered(kill + 7, 2_000) {
            std::thread::yield_now();
        }
        // SIGKILL.
        child.kill().unwrap();
        let rest: Vec<String> = lines.collect();
        let ended = child.wait().unwrap();
        killed += u64::from(!ended.success());
        rest.iter().for_each(|line| told.hear(line));
        // What is not acknowledged is delivered again.
        first = (first..).find(|number| !told.dead.contains_key(number)).unwrap();
    }
    eprintln!(
        "{kills} lives, {killed} of them killed, {} letters, {} effects, {} refused, {} resumed",
        told.dead.len(),
        told.effects.len(),
        told.refused.len(),
        told.resumed
    );
    assert!(killed * 2 > kills, "too few were killed to say anything: {killed} of {kills}");
    look(dir.path(), &told);
}

/// Opens the store a last time and compares it with what was told.
fn look(dir: &Path, told: &Told) {
    let look = scope(&Ctx::root(), |s| async move {
        let dead = DeadLetters::open_with(&s, "orders", Writer::open(dir)?, LIMITS)?;
        for (number, id) in &told.dead {
            let key = format!("m{number}");
            let shown = dead.show(*id).await?;
            assert_eq!(String::from_utf8(shown.key)?, key);
            let effects = told.effects.get(&key).copied().unwrap_or_default();
            let refused = told.refused.get(&key).copied().unwrap_or_default();
            if shown.summary.status == Status::Replayed {
                assert!(effects > 0, "letter {id} is closed and was never handled");
            } else {
                assert_eq!(shown.payload, Some(format!("order {number}").into_bytes()));
            }
            let again =
                shown.history.iter().filter(|it| matches!(it, Step::FailedAgain { .. })).count();
            let failures = shown.summary.failures as usize;
            assert!(failures > again && again <= refused as usize, "{:?}", shown.history);
        }
        // And nobody else is there: every letter is a message that was delivered.
        let next = told.dead.keys().next_back().map_or(0, |last| last + 1);
        let all = dead.list(Pick::all(), LetterId(0), usize::MAX).await?;
        let keys: BTreeSet<Vec<u8>> = {
            let mut keys = BTreeSet::new();
            for summary in &all {
                keys.insert(dead.show(summary.id).await?.key);
            }
            keys
        };
        assert_eq!(keys.len(), all.len(), "a message with two letters");
        for key in keys {
            let number: u64 = String::from_utf8(key)?[1..].parse()?;
            assert!(number < next + 2 * MESSAGES as u64, "message {number} was never delivered");
        }
        Ok(())
    });
    block_on(look).unwrap();
}
