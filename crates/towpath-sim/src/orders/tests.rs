//! What the environment and the committed tokens make of a configuration.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Orders, replays_of};
use crate::Config;
use crate::choice::{Forced, Token};
use crate::real::Environment;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn token() -> Token {
    Token::Forced(vec![Forced { at: 3, value: 1 }])
}

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = format!("towpath-orders-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(folder.join("tests/replays")).expect("a folder");
        Self(folder)
    }

    fn read(&self, replays: &str) -> Result<Orders, String> {
        fs::write(self.0.join(replays_of("it::stock::counts")), replays).expect("a file");
        let environment = Environment { manifest: Some(self.0.clone()), ..Environment::default() };
        Orders::read(Config::default(), "it::stock::counts", &environment)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn nothing_said_changes_nothing() {
    let orders = Orders::read(Config::default(), "it::a", &Environment::default());
    assert_eq!(orders, Ok(Orders::of(Config::default())));
}

#[test]
fn the_environment_wins() {
    let environment = Environment {
        schedules: text("1_000_000"),
        seed: text("0x51ee7"),
        budget: text("0.5"),
        ..Environment::default()
    };
    let orders = Orders::read(Config::default(), "it::a", &environment).expect("read");
    assert_eq!((orders.config.schedules, orders.config.seed), (1_000_000, 0x51ee7));
    assert_eq!(orders.config.budget, Some(Duration::from_millis(500)));
    assert!(orders.talkative);
}

#[test]
fn a_number_of_schedules_replaces_a_budget_of_the_test() {
    let config = Config { budget: Some(Duration::from_secs(9)), ..Config::default() };
    let environment = Environment { schedules: text("7"), ..Environment::default() };
    let orders = Orders::read(config, "it::a", &environment).expect("read");
    assert_eq!((orders.config.schedules, orders.config.budget), (7, None));
}

#[test]
fn mistakes_in_the_environment_are_named() {
    let error = |environment: Environment| {
        Orders::read(Config::default(), "it::a", &environment).expect_err("refused")
    };
    let words = error(Environment { schedules: text("many"), ..Environment::default() });
    assert!(words.starts_with("TOWPATH_SIM_SCHEDULES=many: give a number"), "{words}");
    for budget in ["-1", "soon", "1e99"] {
        let words = error(Environment { budget: text(budget), ..Environment::default() });
        assert!(words.contains("give a number of seconds"), "{words}");
    }
    let words = error(Environment { replay: text("tp7-00"), ..Environment::default() });
    assert!(words.starts_with("TOWPATH_REPLAY=tp7-00: the token is of version 7"), "{words}");
}

#[test]
fn a_replay_is_alone() {
    let folder = Folder::new("alone");
    folder.read(&token().to_string()).expect("read");
    let environment = Environment {
        replay: Some(token().to_string()),
        manifest: Some(folder.0.clone()),
        ..Environment::default()
    };
    let orders = Orders::read(Config::default(), "it::stock::counts", &environment).expect("read");
    assert_eq!((orders.replay, orders.committed), (Some(token()), vec![]));
}

#[test]
fn committed_tokens_are_found_with_their_lines() {
    let folder = Folder::new("found");
    let replays = format!("# lost an update once\n{0}\n\n  {0}  # the same, later\n", token());
    let orders = folder.read(&replays).expect("read");
    let places: Vec<_> = orders.committed.iter().map(|one| one.place.replace('\\', "/")).collect();
    let file = "tests/replays/it__stock__counts.txt";
    assert_eq!(places, [format!("{file}:2"), format!("{file}:4")]);
    assert!(orders.committed.iter().all(|one| one.token == token()));
    assert!(!orders.talkative);
}

#[test]
fn a_damaged_committed_token_stops_the_test() {
    let folder = Folder::new("damaged");
    let cut = token().to_string();
    let error = folder.read(&format!("# one\n{}\n", &cut[..cut.len() - 1])).expect_err("refused");
    let error = error.replace('\\', "/");
    assert!(
        error.starts_with("tests/replays/it__stock__counts.txt:2: the token is cut off"),
        "{error}"
    );
}
