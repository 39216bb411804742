//! `cargo xtask spin`: checks the Promela models of the channels' and the sagas' protocols, and that their broken variants are rejected.
//!
//! What always holds:
//! - A model file names its own runs, in lines that begin with ` *! `; a file without any is an error.
//! - A search that ended early (memory, depth) has shown nothing: it fails, unless it had found what it should.
//! - A mutant that spin accepts is a failure: then the model does not see what it is there to see.
//!
//! ```text
//!  *! quick safety CASE=1            assertions, invalid end states
//!  *! quick ltl=paired CASE=2        an LTL formula of the file
//!  *! quick fair=all_sent POLLS      the same, only for schedules in which nobody who can move is forgotten
//!  *! nightly safety CASE=6          with --nightly only
//!  *! mutant 3 safety CASE=2 : why   with MUTANT_3 defined; must be rejected
//! ```
//!
//! Fairness is asked for by name, because under it pan does not see that a formula fails by everybody's stopping.
//!
//! The models that `Graph::to_promela` writes are checked too, as their golden files: see `EXPORTS`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::session::{Job, Outcome, Session, root, target_dir};

/// Where the models lie: beside the code that they abstract.
const MODELS: &[&str] = &["crates/towpath/promela", "crates/towpath-patterns/promela"];

/// Where `it::network_graph` keeps what networks export.
const GOLDEN: &str = "crates/towpath/tests/golden";

/// Exports, and whether spin is to find nothing wrong: the pipeline passes, the ring without buffers is stuck.
const EXPORTS: &[(&str, bool)] =
    &[("pipeline.pml", true), ("ring.pml", false), ("rides.pml", true)];

/// What pan may use, in MiB, for each of the searches that run at once.
const MEMORY_MIB: u32 = 1_024;
const MEMORY_MIB_NIGHTLY: u32 = 6_144;

/// Steps on one path; none of ours comes near.
const DEPTH_MAX: u32 = 100_000;

/// Slots of the table of states at the start, as a power of two; it grows. Pan's own default costs more to clear than
/// most of our searches.
const SLOTS_LOG2: u32 = 18;

/// Searches at once.
const WORKERS: usize = 2;

const NO_SPIN: &str =
    "no spin here; install it with `apt-get install spin` (and a C compiler, `gcc`)";

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Run the larger parameters too; takes minutes and some GiB of memory
    #[arg(long)]
    nightly: bool,
    /// Fail when there is no spin, instead of skipping
    #[arg(long)]
    require: bool,
    /// Run only the models whose file name contains this
    filter: Option<String>,
}

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    if ["spin -V", "gcc --version"].iter().any(|it| job(it, &root()).output().is_none()) {
        if options.require {
            bail!("{NO_SPIN}");
        }
        return Ok(Outcome::Skipped(NO_SPIN.to_owned()));
    }
    let mut runs = all_runs(&root())?;
    let wanted = options.filter.as_deref().unwrap_or_default();
    runs.retain(|it| it.name().contains(wanted) && (options.nightly || it.tier != Tier::Nightly));
    if runs.is_empty() {
        bail!("no model has `{wanted}` in its file name");
    }
    println!("{:<10}{:<88}{:>8}{:>7}{:>8}  result", "model", "run", "states", "depth", "time");
    let (next, failed) = (Mutex::new(runs.iter().enumerate()), Mutex::new(0_u64));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some((number, run)) = take(&next, Iterator::next).flatten() {
                    let start = Instant::now();
                    let found = search(run, number, options.nightly);
                    println!("{}", row(run, &found, start.elapsed()));
                    if !matches!(&found, Ok(found) if found.problem(run).is_none()) {
                        take(&failed, |it| *it += 1);
                    }
                }
            });
        }
    });
    let failed = take(&failed, |it| *it).unwrap_or(u64::MAX);
    let passed = runs.len() as u64 - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    session.report(&format!("test result: {word}. {passed} passed; {failed} failed"));
    if failed > 0 {
        bail!("{failed} of {} searches did not end as they should", runs.len());
    }
    Ok(Outcome::Done)
}

/// Does something under a lock that no panic has poisoned.
fn take<T, R>(lock: &Mutex<T>, f: impl FnOnce(&mut T) -> R) -> Option<R> {
    lock.lock().ok().map(|mut it| f(&mut it))
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tier {
    Quick,
    Nightly,
    /// Must be rejected.
    Mutant,
}

/// One search: a file, what is defined for it, what is looked for.
#[derive(PartialEq, Eq, Debug)]
struct Run {
    file: PathBuf,
    tier: Tier,
    /// The LTL formula to check; without one, assertions and end states.
    formula: Option<String>,
    fair: bool,
    defines: Vec<String>,
}

impl Run {
    fn name(&self) -> &str {
        self.file.file_stem().and_then(|it| it.to_str()).unwrap_or_default()
    }

    /// Reads what stands behind ` *! `.
    fn parse(file: &Path, line: &str) -> Result<Self> {
        let mut words = line.split(" : ").next().unwrap_or_default().split_whitespace();
        let tier = match words.next() {
            Some("quick") => Tier::Quick,
            Some("nightly") => Tier::Nightly,
            Some("mutant") => Tier::Mutant,
            _ => bail!("{}: `{line}` is neither quick nor nightly nor mutant", file.display()),
        };
        let mut defines = Vec::new();
        if tier == Tier::Mutant {
            let number: u32 = words.next().unwrap_or_default().parse().with_context(|| {
                format!("{}: `{line}`: a mutant needs its number", file.display())
            })?;
            defines.push(format!("MUTANT_{number}"));
        }
        let (formula, fair) = match words.next().map(|it| it.split_once('=').unwrap_or((it, ""))) {
            Some((how @ ("ltl" | "fair"), formula)) => (Some(formula.to_owned()), how == "fair"),
            Some(("safety", "")) => (None, false),
            _ => bail!("{}: `{line}` checks none of `safety`, `ltl=`, `fair=`", file.display()),
        };
        defines.extend(words.map(str::to_owned));
        Ok(Self { file: file.to_owned(), tier, formula, fair, defines })
    }
}

/// The runs of all models, in the order of their files and lines.
fn all_runs(root: &Path) -> Result<Vec<Run>> {
    let mut files = Vec::new();
    for folder in MODELS {
        let entries =
            fs::read_dir(root.join(folder)).with_context(|| format!("there is no {folder}"))?;
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.retain(|path| path.extension().is_some_and(|it| it == "pml"));
    files.sort();
    let mut runs = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let before = runs.len();
        for line in text.lines().filter_map(|line| line.strip_prefix(" *! ")) {
            runs.push(Run::parse(&file, line)?);
        }
        if runs.len() == before {
            bail!("{} names no runs: add lines such as ` *! quick safety`", file.display());
        }
    }
    runs.extend(EXPORTS.iter().map(|(name, sound)| Run {
        file: root.join(GOLDEN).join(name),
        tier: if *sound { Tier::Quick } else { Tier::Mutant },
        formula: None,
        fair: false,
        defines: Vec::new(),
    }));
    Ok(runs)
}

/// What pan says at its end.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    errors: u64,
    states: String,
    depth: String,
    /// Everything there is has been looked at.
    complete: bool,
}

impl Found {
    fn read(text: &str) -> Option<Self> {
        let number = |before: &str| {
            let rest = text.split_once(before)?.1.trim_start();
            Some(rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        };
        let stored = text.lines().find_map(|line| line.split_once(" states, stored"))?.0;
        Some(Self {
            errors: number("errors: ")?.parse().ok()?,
            states: stored.trim().to_owned(),
            depth: number("depth reached ")?,
            complete: !["Search not completed", "max search depth too small", "reached -DMEMLIM"]
                .iter()
                .any(|it| text.contains(it)),
        })
    }

    fn problem(&self, run: &Run) -> Option<&'static str> {
        match (run.tier, self.errors) {
            (Tier::Mutant, 0) => Some("SURVIVES"),
            (Tier::Mutant, _) => None,
            (_, 1..) => Some("FAILS"),
            (_, 0) if !self.complete => Some("INCOMPLETE"),
            (_, 0) => None,
        }
    }
}

/// Translates, compiles and searches, in a folder of its own.
fn search(run: &Run, number: usize, nightly: bool) -> Result<Found> {
    let folder = target_dir().join("spin").join(format!("{number}-{}", run.name()));
    fs::create_dir_all(&folder)?;
    let ltl = run.formula.as_ref().map(|_| "LTL".to_owned());
    let defines = run.defines.iter().chain(&ltl).map(|it| format!("-D{it}"));
    let translate = job("spin -a", &folder).args(defines).arg(run.file.display().to_string());
    let (done, said) = translate.all_output()?;
    if !done || said.contains("rror:") {
        bail!("`{translate}`:\n{said}");
    }
    // Compiling costs more than a small search, so only the large ones are optimised.
    let optimise = if nightly && run.tier != Tier::Mutant { "-O2" } else { "-O0" };
    let memory = if nightly { MEMORY_MIB_NIGHTLY } else { MEMORY_MIB };
    let compile = job("gcc -w -DCOLLAPSE -DVECTORSZ=4096 -DNFAIR=3 -o pan pan.c", &folder)
        .args([optimise.to_owned(), format!("-DMEMLIM={memory}")])
        .args(run.formula.is_none().then_some("-DSAFETY"));
    let (done, said) = compile.all_output()?;
    if !done {
        bail!("`{compile}`:\n{said}");
    }
    let pan = folder.join("pan").display().to_string();
    let mut search =
        Job::program(&pan, &folder).args([format!("-m{DEPTH_MAX}"), format!("-w{SLOTS_LOG2}")]);
    if let Some(formula) = &run.formula {
        search = search.args(["-a", "-N", formula]).args(run.fair.then_some("-f"));
    }
    let (_, said) = search.all_output()?;
    Found::read(&said).with_context(|| format!("`{search}` said:\n{said}"))
}

/// A command line without arguments that need quoting.
fn job(words: &str, folder: &Path) -> Job {
    let mut words = words.split(' ');
    Job::program(words.next().unwrap_or_default(), folder).args(words)
}

fn row(run: &Run, found: &Result<Found>, took: Duration) -> String {
    let what = run.formula.as_ref().map_or("safety".to_owned(), |it| {
        format!("ltl {it}{}", if run.fair { ", fair" } else { "" })
    });
    let name = format!("{what} {}", run.defines.join(" "));
    let (states, depth, result) = match found {
        Ok(found) => {
            let good = if run.tier == Tier::Mutant { "rejected" } else { "ok" };
            (&*found.states, &*found.depth, found.problem(run).unwrap_or(good).to_owned())
        }
        Err(error) => ("-", "-", format!("ERROR: {error:#}")),
    };
    let (model, time) = (run.name(), format!("{:.1} s", took.as_secs_f64()));
    format!("{model:<10}{name:<88}{states:>8}{depth:>7}{time:>8}  {result}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Run> {
        Run::parse(Path::new("a/gate.pml"), line)
    }

    #[test]
    fn runs_are_read_from_their_lines() {
        let run = parsed("mutant 3 fair=woken CASE=2 OPEN : the flag is read: too early").unwrap();
        assert_eq!((run.name(), run.tier), ("gate", Tier::Mutant));
        assert_eq!((run.formula.as_deref(), run.fair), (Some("woken"), true));
        assert_eq!(run.defines, ["MUTANT_3", "CASE=2", "OPEN"]);
        assert_eq!(parsed("quick safety").unwrap().defines, [""; 0]);
        for wrong in ["", "often safety", "mutant safety", "quick", "quick all", "mutant 3"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    /// What pan prints, shortened.
    fn said(errors: u64, note: &str) -> Found {
        let text = format!(
            "{note}\nState-vector 96 byte, depth reached 320, errors: {errors}\n     5734 states, stored\n"
        );
        Found::read(&text).unwrap()
    }

    #[test]
    fn a_search_counts_for_what_it_has_shown() {
        let (quick, mutant) = (parsed("quick safety").unwrap(), parsed("mutant 1 safety").unwrap());
        let early = "Warning: Search not completed";
        for (run, errors, note, expected) in [
            (&quick, 0, "", None),
            (&quick, 1, early, Some("FAILS")),
            (&quick, 0, early, Some("INCOMPLETE")),
            (&quick, 0, "error: max search depth too small", Some("INCOMPLETE")),
            (&mutant, 1, early, None),
            (&mutant, 0, "", Some("SURVIVES")),
        ] {
            assert_eq!(said(errors, note).problem(run), expected, "{run:?} {errors} {note}");
        }
        assert_eq!(said(0, "").states, "5734");
        assert_eq!(Found::read("pan: out of memory"), None);
    }

    #[test]
    fn every_model_has_runs_and_two_mutants() {
        let runs = all_runs(&root()).unwrap();
        for run in &runs {
            let mutants = runs.iter().filter(|it| it.file == run.file && it.tier == Tier::Mutant);
            let exported = run.file.starts_with(root().join(GOLDEN));
            assert!(exported || mutants.count() >= 2, "{}", run.file.display());
            assert!(run.file.is_file(), "there is no {}", run.file.display());
        }
    }
}
