//! `towpath test`: the tests of network files, in the simulator.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{Failure, Source, setting};
use crate::{
    component::Registry,
    testing::{self, Outcome, Trial},
};

/// Schedules for each test, when nobody says how many: a second or so for a network of a dozen processes.
const SCHEDULES: u64 = 100;

/// Lines at the end of a story that are shown.
const STORY: usize = 30;

#[derive(Args)]
pub(super) struct Options {
    /// The network files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Sets one of the files' settings.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// How many schedules to try for each test.
    #[arg(long, default_value_t = SCHEDULES)]
    schedules: u64,
    /// Tries the schedules of another seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Runs only tests with this in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Runs the one schedule of a token that a failed test has told.
    #[arg(long, value_name = "TOKEN")]
    replay: Option<String>,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct ReplayOptions {
    /// The token.
    token: String,
    #[command(flatten)]
    source: Source,
    /// The test, by a part of its name; needed where a file has several.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

/// As `towpath test --replay`.
pub(super) fn replay(options: ReplayOptions, registry: &Registry) -> Result<(), Failure> {
    let ReplayOptions { token, source, only, json } = options;
    let Source { file, set } = source;
    let files = vec![file];
    let replay = Some(token);
    let options = Options { files, set, schedules: SCHEDULES, seed: 0, only, replay, json };
    run(&options, registry)
}

pub(super) fn run(options: &Options, registry: &Registry) -> Result<(), Failure> {
    let trial = match &options.replay {
        Some(token) => Trial::Replay(token.clone()),
        None => Trial::Schedules { count: options.schedules, seed: options.seed },
    };
    let mut told = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for path in &options.files {
        let source = Source { file: path.clone(), set: options.set.clone() };
        let file = source.read()?;
        for (index, test) in file.tests.iter().enumerate() {
            let place = format!("{}:{}", file.path, test.place.line);
            let name = test.name.clone().unwrap_or_else(|| format!("test {}", index + 1));
            if options.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
                continue;
            }
            let outcome = testing::run(&file, test, registry, &trial)?;
            if outcome.failure.is_some() {
                failed += 1;
            } else {
                passed += 1;
            }
            if options.json {
                told.push(as_json(&place, &name, &outcome));
            } else {
                tell(&place, &name, &outcome);
            }
        }
    }
    if options.json {
        println!("{}", json!({"passed": passed, "failed": failed, "tests": told}));
    } else {
        println!("{passed} passed, {failed} failed");
    }
    match (passed, failed) {
        (0, 0) => Err("there is no such test in these files".into()),
        (_, 0) => Ok(()),
        _ => Err(format!("{failed} of {} tests failed", passed + failed).into()),
    }
}

fn tell(place: &str, name: &str, outcome: &Outcome) {
    let Outcome { schedules, took, failure } = outcome;
    match failure {
        None => println!("ok    {place} {name} ({schedules} schedules, {took:.1?})"),
        Some(broken) => {
            println!("FAIL  {place} {name}");
            println!("  {}", broken.summary);
            let from = broken.story.len().saturating_sub(STORY);
            if from > 0 {
                println!("    ... {from} lines before");
            }
            for line in &broken.story[from..] {
                println!("    {line}");
            }
            let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
            println!("  again: towpath replay {} {file} --only '{name}'", broken.token);
        }
    }
}

fn as_json(place: &str, name: &str, outcome: &Outcome) -> Value {
    let failure = outcome.failure.as_ref().map(
        |broken| json!({"summary": broken.summary, "token": broken.token, "story": broken.story}),
    );
    json!({
        "at": place,
        "name": name,
        "schedules": outcome.schedules,
        "ms": outcome.took.as_millis() as u64,
        "failure": failure,
    })
}
