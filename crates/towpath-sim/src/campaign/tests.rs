//! Campaigns with a toy engine: a program of locks and numbers whose bugs are known.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use super::{Cause, Difference, Explored, Origin, Run, Trouble, explore};
use crate::choice::tests::toy::{End, Step, Toy};
use crate::choice::{Choices, Kind, Token};
use crate::orders::{Committed, Orders};
use crate::{Config, Strategy, words};

/// What can be wrong with a toy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    Lost,
    Stuck(Vec<u32>),
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("an update was lost"),
            Self::Stuck(who) => write!(f, "deadlock of {who:?}"),
        }
    }
}

impl Trouble for Bug {
    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// A run of a toy, with everything an engine has to say.
pub(crate) fn run_of(toy: &Toy, choices: &mut Choices, story: bool) -> Run<Bug> {
    let End { numbers, order, stuck, steps, .. } = toy.go(choices);
    let updates = toy.processes.len() as u64;
    let failure = if stuck.is_empty() {
        let counts = toy.processes.iter().flatten();
        let adds = counts.filter(|step| matches!(step, Step::Store(0)));
        (adds.count() as u64 == updates && numbers[0] != updates).then_some(Bug::Lost)
    } else {
        Some(Bug::Stuck(stuck))
    };
    let hash = order.iter().fold(numbers[0], |hash, task| hash.wrapping_mul(31) + u64::from(*task));
    let story =
        if story { order.iter().map(|task| format!("task {task}")).collect() } else { vec![] };
    Run { steps, hash, failure, story }
}

fn config() -> Config {
    Config { schedules: 500, ..Config::default() }
}

fn campaign(toy: &Toy, orders: &Orders) -> Explored<Bug> {
    explore(orders, false, &mut |choices, story| run_of(toy, choices, story))
}

#[test]
fn a_correct_program_runs_all_its_schedules() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 4]; 3]);
    let explored = campaign(&toy, &Orders::of(config()));
    assert!(explored.found.is_none());
    assert_eq!((explored.schedules, explored.complete), (500, false));
    assert_eq!(explored.steps, 500 * 12);
}

#[test]
fn an_exhausted_program_is_complete() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 2]; 2]);
    let config = Config { strategy: Strategy::Exhaustive, ..config() };
    let explored = campaign(&toy, &Orders::of(config));
    assert_eq!((explored.schedules, explored.complete), (6, true));
}

#[test]
fn a_failure_is_found_made_small_and_replayed_by_its_token() {
    for strategy in
        [Strategy::Random, Strategy::Pct, Strategy::Pos, Strategy::Exhaustive, Strategy::Portfolio]
    {
        for (toy, bug) in
            [(Toy::lost_update(10), Bug::Lost), (Toy::crossed_locks(), Bug::Stuck(vec![0, 1]))]
        {
            let orders = Orders::of(Config { strategy, ..config() });
            let found = campaign(&toy, &orders).found.expect("found");
            let Cause::Failure(failure) = &found.trouble else { panic!("{:?}", found.trouble) };
            assert_eq!(*failure, bug);
            assert!(found.forced.1 <= 2, "{strategy}: {:?}", found.forced);
            assert!(!found.story.is_empty());

            // The token as text, in what could be another process.
            let token: Token = found.token.to_string().parse().expect("a token");
            let orders = Orders { replay: Some(token), ..Orders::of(config()) };
            let replayed = campaign(&toy, &orders);
            assert_eq!(replayed.schedules, 1);
            let replayed = replayed.found.expect("fails again");
            assert_eq!(replayed.story, found.story);
            assert_eq!(replayed.origin, Origin::Replay);
        }
    }
}

#[test]
fn without_time_for_shrinking_a_token_still_replays() {
    let toy = Toy::lost_update(60);
    for strategy in [Strategy::Random, Strategy::Pct, Strategy::Pos] {
        let config =
            Config { strategy, shrink: Duration::ZERO, schedules: 10_000, ..Config::default() };
        let found = campaign(&toy, &Orders::of(config)).found.expect("found");
        assert_eq!((found.forced.0, found.shrink_runs), (found.forced.1, 0));
        if strategy == Strategy::Random {
            assert!(matches!(found.token, Token::Plan(_)), "the shorter one: {}", found.token);
        }
        let orders = Orders { replay: Some(found.token), ..Orders::of(Config::default()) };
        let replayed = campaign(&toy, &orders).found.expect("fails again");
        assert_eq!(replayed.story, found.story);
    }
}

#[test]
fn the_same_configuration_finds_the_same() {
    let find = || {
        let found = campaign(&Toy::lost_update(20), &Orders::of(config())).found.expect("found");
        (found.origin, found.forced.0, found.story)
    };
    assert_eq!(find(), find());
}

#[test]
fn committed_tokens_run_first_and_name_their_place() {
    let toy = Toy::lost_update(3);
    let found = campaign(&toy, &Orders::of(config())).found.expect("found");
    let fixed = Token::Forced(vec![]);
    let committed = |token: &Token, line| Committed {
        token: token.clone(),
        place: format!("tests/replays/it__toy.txt:{line}"),
    };
    let orders = Orders {
        committed: vec![committed(&fixed, 1), committed(&found.token, 4)],
        ..Orders::of(config())
    };
    let explored = campaign(&toy, &orders);
    let found = explored.found.expect("fails again");
    assert_eq!(found.origin, Origin::Committed("tests/replays/it__toy.txt:4".into()));
    assert_eq!((explored.schedules, found.shrink_runs), (2, 0));
}

#[test]
fn a_budget_of_time_replaces_the_number_of_schedules() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 2]; 2]);
    let none = Config { budget: Some(Duration::ZERO), ..config() };
    assert_eq!(campaign(&toy, &Orders::of(none)).schedules, 0);
    let some = Config {
        budget: Some(Duration::from_millis(50)),
        schedules: 0,
        strategy: Strategy::Random,
        ..config()
    };
    let explored = campaign(&toy, &Orders::of(some));
    assert!(explored.schedules > 0);
    assert!(explored.time >= Duration::from_millis(50));
}

#[test]
fn chance_that_escapes_is_found_without_a_failure() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 2]; 2]);
    let runs = Cell::new(0);
    let explored = explore(&Orders::of(config()), false, &mut |choices, story| {
        let mut run = run_of(&toy, choices, story);
        runs.set(runs.get() + 1);
        run.hash ^= runs.get();
        if story {
            run.story[2] = format!("run {}", runs.get());
        }
        run
    });
    let found = explored.found.expect("found");
    assert_eq!(found.origin, Origin::Schedule(0));
    let Cause::Escaped(escaped) = &found.trouble else { panic!("{:?}", found.trouble) };
    assert!(escaped.failure.is_none());
    let expected = Difference { line: 3, one: "run 3".into(), other: "run 4".into() };
    assert_eq!(escaped.difference, Some(expected));
}

#[test]
fn something_left_over_from_the_first_run_is_told_apart() {
    let first = Cell::new(true);
    let explored = explore(&Orders::of(config()), false, &mut |choices, _| {
        choices.pick(Kind::User, 2);
        let failure = first.replace(false).then_some(Bug::Lost);
        Run { steps: 1, hash: u64::from(failure.is_some()), failure, story: vec!["one".into()] }
    });
    let found = explored.found.as_ref().expect("found");
    let Cause::Escaped(escaped) = &found.trouble else { panic!("{:?}", found.trouble) };
    assert_eq!((&escaped.failure, &escaped.difference), (&Some(Bug::Lost), &None));
    let text = words::failure("it::toy", &config(), &explored, found);
    assert!(text.contains("left over from one run to the next"), "{text}");
    assert!(text.contains("the first run failed: an update was lost"), "{text}");
}

#[test]
fn another_failure_is_not_taken_for_the_same() {
    // Fails in one way if the first number is 0 and in another if it is not; the smaller list has the other failure.
    let orders = Orders::of(Config { strategy: Strategy::Random, ..config() });
    let explored = explore(&orders, false, &mut |choices, _| {
        let number = choices.pick(Kind::User, 1000);
        let failure = if number < 500 { Bug::Lost } else { Bug::Stuck(vec![7]) };
        Run { steps: 1, hash: number, failure: Some(failure), story: vec![] }
    });
    let found = explored.found.expect("found");
    let Cause::Failure(failure) = found.trouble else { panic!("{:?}", found.trouble) };
    // Which of the two is up to the seed; but what is reported belongs to the token.
    let number = match &found.token {
        Token::Forced(forced) => forced.first().map_or(0, |forced| forced.value),
        Token::Plan(_) => panic!("shrunk"),
    };
    match failure {
        Bug::Lost => assert_eq!(number, 0),
        Bug::Stuck(_) => assert_eq!(number, 500),
    }
}

#[test]
fn coverage_counts_the_campaign_and_not_its_repetitions() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 3]; 2]);
    let orders = Orders::of(Config { strategy: Strategy::Random, ..config() });
    let explored = explore(&orders, true, &mut |choices, story| run_of(&toy, choices, story));
    let coverage = explored.coverage.expect("asked for");
    assert_eq!((coverage.schedules(), coverage.distinct()), (500, 20));
}

#[test]
fn the_report_has_the_story_and_the_line_to_run() {
    let orders = Orders::of(config());
    let explored = campaign(&Toy::lost_update(1), &orders);
    let found = explored.found.as_ref().expect("found");
    let text = words::failure("it::stock::keeps_count", &orders.config, &explored, found);
    assert!(text.starts_with("it::stock::keeps_count fails in schedule "), "{text}");
    assert!(text.contains("an update was lost"), "{text}");
    assert!(text.contains("\ntask 0\n"), "{text}");
    let line = format!("TOWPATH_REPLAY={} cargo test stock::keeps_count\n", found.token);
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("tests/replays/it__stock__keeps_count.txt"), "{text}");
}
