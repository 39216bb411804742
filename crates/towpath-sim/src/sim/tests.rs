//! The builder, and what a test says in the end; with a toy engine.

use std::time::Duration;

use super::TestResult;
use crate::campaign::tests::run_of;
use crate::choice::tests::toy::{Step, Toy};
use crate::real::Environment;
use crate::{Config, Leaks, Sim, Strategy};

fn environment(variable: &str, value: &str) -> Environment {
    let mut environment = Environment::default();
    let slot = match variable {
        "TOWPATH_REPLAY" => &mut environment.replay,
        _ => &mut environment.schedules,
    };
    *slot = Some(value.to_owned());
    environment
}

fn test(toy: &Toy, environment: &Environment) -> Result<String, String> {
    let sim = Sim::new().schedules(300);
    sim.test_with("it::toy", environment, &mut |choices, story| run_of(toy, choices, story))
}

#[test]
fn every_method_sets_what_it_is_called_after() {
    let sim = Sim::new()
        .schedules(5)
        .seed(6)
        .strategy(Strategy::Pct)
        .budget(Duration::from_secs(7))
        .max_steps(8)
        .leaks(Leaks::Allow)
        .stall(Duration::from_millis(9))
        .step_cost(Duration::from_millis(3))
        .shrink(Duration::ZERO);
    let config = Config {
        schedules: 5,
        seed: 6,
        strategy: Strategy::Pct,
        budget: Some(Duration::from_secs(7)),
        max_steps: 8,
        leaks: Leaks::Allow,
        stall: Duration::from_millis(9),
        step_cost: Duration::from_millis(3),
        shrink: Duration::ZERO,
    };
    assert_eq!(*sim.config(), config);
    assert_eq!(Sim::with(config), sim);
}

#[test]
fn a_green_test_is_silent_unless_more_was_asked_for() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 2]; 2]);
    assert_eq!(test(&toy, &Environment::default()), Ok(String::new()));
    let line = test(&toy, &environment("TOWPATH_SIM_SCHEDULES", "40")).expect("green");
    assert!(line.starts_with("it::toy: 40 schedules, 160 steps in "), "{line}");
    assert!(line.contains("choice coverage: 2 of 2 answers at 1 places"), "{line}");
}

#[test]
fn the_printed_token_fails_the_test_again_and_not_when_it_is_repaired() {
    let broken = Toy::lost_update(3);
    let report = test(&broken, &Environment::default()).expect_err("fails");
    let token = report.split("TOWPATH_REPLAY=").nth(1).and_then(|rest| rest.split(' ').next());
    let replay = environment("TOWPATH_REPLAY", token.expect("a token"));
    let again = test(&broken, &replay).expect_err("fails again");
    assert!(again.starts_with("it::toy fails in the replay"), "{again}");

    let repaired = Toy::new(vec![vec![Step::Touch(0); 8]; 2]);
    let line = test(&repaired, &replay).expect("green");
    assert_eq!(line, "it::toy: the replay does not fail");
}

#[test]
fn exploring_does_not_look_at_the_environment_and_counts() {
    let toy = Toy::new(vec![vec![Step::Touch(0); 3]; 2]);
    let explored = Sim::new()
        .strategy(Strategy::Exhaustive)
        .explore_with(&mut |choices, story| run_of(&toy, choices, story));
    assert_eq!((explored.schedules, explored.complete), (20, true));
    assert_eq!(explored.coverage.expect("counted").distinct(), 20);
}

#[test]
fn an_error_is_a_failure_and_nothing_is_not() {
    assert_eq!(().into_error(), None);
    assert_eq!(Ok::<(), u8>(()).into_error(), None);
    assert_eq!(Err::<(), _>("lost").into_error(), Some("\"lost\"".to_owned()));
}
