//! `cargo xtask mutants`: turns each seeded mistake of `towpath` on and sees whether the tests notice.
//!
//! What always holds:
//! - The list is the table in `towpath/src/mutants.rs`; a line that cannot be read is an error, never skipped.
//! - The same binary passes without a mutant first, else nothing it says counts.
//! - A mutant is killed by a case that fails or crashes, or by one that does not end within `LIMIT_MIN` and `PATIENCE` times
//!   what the whole suite takes without it.
//! - Fewer than `KILLED_PERCENT_MIN` killed is a failure; survivors are named in any case.
//!
//! Two suites, each compiled once: the simulator's (`towpath-sim/tests/mutants`), on every change; with `--loom` also the
//! models, for mistakes that only show when threads really meet.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::session::{Job, Outcome, Session, root};

/// The mutants and who must kill them.
const TABLE: &str = "crates/towpath/src/mutants.rs";

const KILLED_PERCENT_MIN: usize = 95;

/// A case that takes so long, and `PATIENCE` times as long as everything does without a mutant, does not end.
const LIMIT_MIN: Duration = Duration::from_secs(20);
const PATIENCE: u32 = 5;

/// For the suite without a mutant.
const LIMIT_SOUND: Duration = Duration::from_secs(300);

/// Mutants tried at once.
const WORKERS: usize = 2;

/// KiB of addresses a suite may use: a mistake can make a model grow for ever.
const MEMORY_KIB: u32 = 12_000_000;

/// Interruptions per execution of a model.
const PREEMPTIONS: &str = "2";

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Also those that only the models notice; takes minutes
    #[arg(long)]
    loom: bool,
    /// Only the mutants whose name contains this
    filter: Option<String>,
}

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    let wanted = options.filter.as_deref().unwrap_or_default();
    let mut mutants = table(&fs::read_to_string(root().join(TABLE))?)?;
    mutants.retain(|it| it.name.contains(wanted) && (options.loom || it.suite == Suite::Sim));
    if mutants.is_empty() {
        bail!(
            "no mutant has `{wanted}` in its name{}",
            if options.loom { "" } else { ", or its killers are models: `--loom`" }
        );
    }
    let mut tries = Vec::new();
    let of = |sim: bool| mutants.iter().filter(move |it| (it.suite == Suite::Sim) == sim);
    if of(true).next().is_some() {
        let build = ["test", "--workspace", "--all-features", "--test", "mutants"];
        let binary = Binary::build(Job::cargo(build), "mutants")?;
        prepare(&binary, of(true), &mut tries)?;
    }
    if of(false).next().is_some() {
        let build =
            ["test", "-p", "towpath", "--release", "--features", "mutants", "--test", "loom"];
        let build = Job::cargo(build).env("RUSTFLAGS", "--cfg towpath_loom").own_target_dir("loom");
        let binary = Binary::build(build, "loom")?;
        prepare(&binary, of(false), &mut tries)?;
    }
    println!("\n{:<34}{:>8}  killed by", "mutant", "time");
    let survivors = all(&tries)?;
    judge(session, tries.len(), &survivors)
}

/// The verdict on all of them together.
fn judge(session: &mut Session, count: usize, survivors: &[String]) -> Result<Outcome> {
    let killed = count - survivors.len();
    if !survivors.is_empty() {
        println!("survivors: {}", survivors.join(", "));
    }
    let enough = killed * 100 >= count * KILLED_PERCENT_MIN;
    let (word, failed) = if enough { ("ok", 0) } else { ("FAILED", survivors.len()) };
    session.report(&format!("test result: {word}. {killed} passed; {failed} failed"));
    if !enough {
        bail!("{killed} of {count} mutants were killed, fewer than {KILLED_PERCENT_MIN} %");
    }
    Ok(Outcome::Done)
}

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mutant {
    name: String,
    suite: Suite,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Suite {
    Sim,
    /// The models with this in their names.
    Loom(String),
}

/// Reads the table out of its source.
fn table(source: &str) -> Result<Vec<Mutant>> {
    let (_, table) =
        source.split_once("\n    mutants! {\n").context("there is no table of mutants")?;
    let (table, _) = table.split_once("\n    }\n").context("the table of mutants has no end")?;
    let mut mutants = Vec::new();
    for line in table.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let read = || {
            let (name, suite) = line.strip_suffix(',')?.split_once(" => ")?;
            let models = || suite.strip_prefix("loom(\"")?.strip_suffix("\")");
            let suite = match suite {
                "sim" => Suite::Sim,
                _ => Suite::Loom(models()?.to_owned()),
            };
            Some(Mutant { name: name.to_owned(), suite })
        };
        mutants.push(read().with_context(|| format!("{TABLE}: cannot read `{line}`"))?);
    }
    Ok(mutants)
}

/// A compiled suite.
struct Binary(String);

impl Binary {
    /// Compiles the test `name` and finds where it is.
    fn build(job: Job, name: &str) -> Result<Self> {
        let job = job.args(["--no-run", "--message-format=json-render-diagnostics"]);
        println!("$ {job}");
        let (built, said) = job.all_output()?;
        let messages = || said.lines().filter(|line| line.starts_with('{'));
        if !built {
            let rest: Vec<_> = said.lines().filter(|line| !line.starts_with('{')).collect();
            bail!("`{job}` failed:\n{}", rest.join("\n"));
        }
        let found = messages().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_it = message["target"]["name"] == name && message["profile"]["test"] == true;
            if is_it { message["executable"].as_str().map(str::to_owned) } else { None }
        });
        found.map(Self).with_context(|| format!("`{job}` made no test `{name}`"))
    }

    fn job(&self, suite: &Suite) -> Job {
        let shell = format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"");
        let job = Job::program("sh", &root())
            .args(["-c", &shell, &self.0, "--test-threads=1"])
            .env("RUST_BACKTRACE", "0");
        match suite {
            Suite::Sim => job,
            Suite::Loom(models) => job.arg(models).env_default("LOOM_MAX_PREEMPTIONS", PREEMPTIONS),
        }
    }
}

/// A mutant and how to try it.
struct Try {
    mutant: Mutant,
    job: Job,
    limit: Duration,
}

/// Runs the suites without a mutant, and says how the mutants are to be tried.
fn prepare<'a>(
    binary: &Binary,
    mutants: impl Iterator<Item = &'a Mutant>,
    tries: &mut Vec<Try>,
) -> Result<()> {
    let mut limits = BTreeMap::new();
    for mutant in mutants {
        let job = binary.job(&mutant.suite);
        let limit = match limits.get(&mutant.suite) {
            Some(limit) => *limit,
            None => {
                println!("$ {job}");
                let start = Instant::now();
                match watch(&job, LIMIT_SOUND)? {
                    Fate::Survived { cases: 1.. } => {}
                    Fate::Survived { cases: 0 } => bail!("`{job}` ran no test"),
                    killed => bail!("without a mutant: `{job}`: {killed}"),
                }
                let limit = LIMIT_MIN.max(start.elapsed() * PATIENCE);
                limits.insert(mutant.suite.clone(), limit);
                limit
            }
        };
        let job = job.env("TOWPATH_MUTANT", &mutant.name);
        tries.push(Try { mutant: mutant.clone(), job, limit });
    }
    Ok(())
}

/// Tries them, a few at once. Returns the names of those that survive.
fn all(tries: &[Try]) -> Result<Vec<String>> {
    let next = Mutex::new(tries.iter());
    let survivors = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        while let Some(it) = next.lock().ok().and_then(|mut it| it.next()) {
            let start = Instant::now();
            let fate = watch(&it.job, it.limit)?;
            let time = format!("{:.1} s", start.elapsed().as_secs_f64());
            println!("{:<34}{time:>8}  {fate}", it.mutant.name);
            if let (Fate::Survived { .. }, Ok(mut survivors)) = (fate, survivors.lock()) {
                survivors.push(it.mutant.name.clone());
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|it| match it.join() {
            Ok(result) => result,
            Err(_) => bail!("a worker panicked"),
        })
    })?;
    let mut survivors = survivors.into_inner().unwrap_or_default();
    survivors.sort();
    Ok(survivors)
}

/// What became of one run of a suite.
#[derive(PartialEq, Eq, Debug)]
enum Fate {
    Survived { cases: usize },
    Failed(String),
    Crashed(String, ExitStatus),
    Endless(String),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Survived { .. } => f.write_str("SURVIVED"),
            Self::Failed(case) => f.write_str(case),
            Self::Crashed(case, status) => write!(f, "{case} ({status})"),
            Self::Endless(case) => write!(f, "{case} (does not end)"),
        }
    }
}

/// Runs a suite until it ends, a case fails, or `limit` has passed.
fn watch(job: &Job, limit: Duration) -> Result<Fate> {
    let mut child = job
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("could not start `{job}`"))?;
    let mut out = child.stdout.take().context("the child has no standard output")?;
    let (tx, rx) = mpsc::channel();
    // It ends when the child does.
    let reader = thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = out.read(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            if tx.send(text).is_err() {
                return;
            }
        }
    });
    let fate = follow(&mut child, &rx, Instant::now() + limit);
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().with_context(|| format!("could not wait for `{job}`"))?;
    let _ = reader.join();
    fate
}

fn follow(child: &mut Child, rx: &mpsc::Receiver<String>, end: Instant) -> Result<Fate> {
    let mut said = Said::default();
    loop {
        match rx.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(text) => {
                said.hear(&text);
                if let Some(case) = said.failed.take() {
                    return Ok(Fate::Failed(case));
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => return Ok(Fate::Endless(said.running)),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = child.wait().context("could not wait for a suite")?;
                return Ok(if status.success() {
                    Fate::Survived { cases: said.passed }
                } else {
                    Fate::Crashed(said.running, status)
                });
            }
        }
    }
}

/// What a test runner with one thread has said so far: `test a::b ... ` when a case begins, the rest when it ends. What a
/// failed case printed comes after all cases.
#[derive(Default)]
struct Said {
    line: String,
    /// The case that was begun last.
    running: String,
    failed: Option<String>,
    passed: usize,
}

impl Said {
    fn hear(&mut self, text: &str) {
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            if let Some(rest) = self.line.strip_prefix("test ")
                && let Some((case, end)) = rest.split_once(" ... ")
            {
                self.running = case.trim_end_matches(" - should panic").to_owned();
                match end.trim_end() {
                    "FAILED" => self.failed = Some(self.running.clone()),
                    "ok" if part.ends_with('\n') => self.passed += 1,
                    _ => {}
                }
            }
            if part.ends_with('\n') {
                self.line.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> String {
        fs::read_to_string(root().join(TABLE)).unwrap()
    }

    /// All of the text below a folder.
    fn text_below(folder: &str) -> String {
        walkdir::WalkDir::new(root().join(folder))
            .into_iter()
            .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
            .collect()
    }

    #[test]
    fn every_mutant_is_somewhere_and_every_model_is_there() {
        let code: String = text_below("crates/towpath/src").split_whitespace().collect();
        let models = text_below("crates/towpath/tests/loom");
        let mutants = table(&source()).unwrap();
        for mutant in &mutants {
            assert!(code.contains(&format!("mutant!({},", mutant.name)), "{}", mutant.name);
            if let Suite::Loom(part) = &mutant.suite {
                let mut named = models.lines().filter_map(|line| line.strip_prefix("fn "));
                assert!(named.any(|it| it.contains(&**part)), "no model has `{part}` in its name");
            }
        }
        assert!(mutants.len() >= 20);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_an_error() {
        let of = |line: &str| table(&format!("x\n    mutants! {{\n        {line}\n    }}\n"));
        let models = Suite::Loom("ring_".to_owned());
        assert_eq!(of("/// Why.").unwrap(), []);
        assert_eq!(
            of("a => loom(\"ring_\"),").unwrap()[0],
            Mutant { name: "a".to_owned(), suite: models }
        );
        assert_eq!(of("a => sim,").unwrap()[0].suite, Suite::Sim);
        for wrong in ["a => sim", "a, sim", "a => shuttle,", "a => loom(ring),"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_case_that_fails_is_named() {
        let mut said = Said::default();
        // As it comes: in any pieces.
        for text in ["running 3 tests\ntest a::b ", "... ok\nte", "st c ... ", "FAI", "LED\n"] {
            assert_eq!(said.failed, None);
            said.hear(text);
        }
        assert_eq!((said.failed.as_deref(), said.passed), (Some("c"), 1));
        said.hear("test d ... ");
        assert_eq!(said.running, "d");
    }

    #[test]
    fn a_suite_ends_in_one_of_four_ways() {
        let job = |script: &str| Job::program("sh", &root()).args(["-c", script]);
        let fate = |script: &str, limit| watch(&job(script), limit).unwrap();
        let (soon, late) = (Duration::from_millis(300), Duration::from_secs(60));
        assert_eq!(fate("echo 'test a ... ok'", late), Fate::Survived { cases: 1 });
        let failed = fate("echo 'test a ... FAILED'; exec sleep 60", late);
        assert_eq!(failed, Fate::Failed("a".to_owned()));
        let endless = fate("printf 'test a ... '; exec sleep 60", soon);
        assert_eq!(endless, Fate::Endless("a".to_owned()));
        assert!(
            matches!(fate("printf 'test a ... '; exit 3", late), Fate::Crashed(case, _) if case == "a")
        );
    }

    #[test]
    fn too_many_survivors_fail() {
        let judged = |count, survivors: &[&str]| {
            let survivors: Vec<_> = survivors.iter().map(|it| (*it).to_owned()).collect();
            let mut session = Session::new();
            let verdict = judge(&mut session, count, &survivors).is_ok();
            (verdict, session.tally().passed, session.tally().failed)
        };
        assert_eq!(judged(20, &[]), (true, 20, 0));
        assert_eq!(judged(20, &["a"]), (true, 19, 0));
        assert_eq!(judged(20, &["a", "b"]), (false, 18, 2));
    }
}
