//! Arguments that are right, and what is said about those that are not.

use super::Args;
use strsim::levenshtein as distance;

fn calls(text: &str) -> String {
    let args = Args::parse(text.parse().expect("tokens")).expect("right");
    let calls: Vec<_> = args.calls.iter().map(ToString::to_string).collect();
    calls.join("").replace(' ', "")
}

fn errors(text: &str) -> Vec<String> {
    let error = Args::parse(text.parse().expect("tokens")).expect_err("wrong");
    error.into_iter().map(|error| error.to_string()).collect()
}

#[test]
fn every_argument_is_a_call() {
    assert_eq!(calls(""), "");
    assert_eq!(calls("schedules = 1_000,"), ".schedules(1000u64)");
    assert_eq!(
        calls("seed = 0x51ee7, max_steps = 5u64, schedules = 1"),
        ".seed(335591u64).max_steps(5u64).schedules(1u64)"
    );
    assert_eq!(calls("leaks = \"allow\""), ".leaks(::towpath_sim::Leaks::Allow)");
    for (text, nanos) in
        [("5ms", "5000000"), ("1_000us", "1000000"), ("2 s", "2000000000"), ("0ns", "0")]
    {
        let expected = format!(".step_cost(::core::time::Duration::from_nanos({nanos}u64))");
        assert_eq!(calls(&format!("step_cost = \"{text}\"")), expected);
    }
    for (word, variant) in [
        ("random", "Random"),
        ("pct", "Pct"),
        ("pos", "Pos"),
        ("exhaustive", "Exhaustive"),
        ("portfolio", "Portfolio"),
    ] {
        let expected = format!(".strategy(::towpath_sim::Strategy::{variant})");
        assert_eq!(calls(&format!("strategy = \"{word}\"")), expected);
    }
}

#[test]
fn a_misspelt_word_gets_a_proposal() {
    for (text, expected) in [
        ("schedule = 5", "there is no argument `schedule`; did you mean `schedules`?"),
        ("Seed = 5", "there is no argument `Seed`; did you mean `seed`?"),
        ("maxsteps = 5", "there is no argument `maxsteps`; did you mean `max_steps`?"),
        (
            "threads = 5",
            "there is no such argument; there are `schedules`, `seed`, `strategy`, `max_steps`, `leaks`, \
             `step_cost`",
        ),
        ("strategy = \"pcr\"", "`strategy` has no \"pcr\"; did you mean \"pct\"?"),
        (
            "strategy = \"depth first\"",
            "`strategy` has no \"depth first\"; there are \"random\", \"pct\", \"pos\", \"exhaustive\", \"portfolio\"",
        ),
        ("leaks = \"alow\"", "`leaks` has no \"alow\"; did you mean \"allow\"?"),
    ] {
        assert_eq!(errors(text), [expected]);
    }
}

#[test]
fn a_wrong_value_says_what_would_be_right() {
    for (text, expected) in [
        ("schedules = 0", "`schedules` of 0 would run nothing; give at least 1"),
        ("schedules = -1", "`schedules` cannot be negative"),
        ("schedules = -n", "`schedules` cannot be negative"),
        ("schedules = 1.5", "`schedules` takes a whole number, such as `schedules = 1000`"),
        ("schedules = \"100\"", "`schedules` takes a number: write `schedules = 100`"),
        ("seed = 5i32", "`seed` is a u64: leave out `i32`"),
        ("seed = 18446744073709551616", "`seed` is at most 18446744073709551615"),
        ("leaks = true", "`leaks` takes a text: \"allow\", \"forbid\""),
        (
            "step_cost = 5",
            "`step_cost` takes a time as text, such as `step_cost = \"5ms\"`: ns, us, ms or s",
        ),
        (
            "step_cost = \"5 minutes\"",
            "`step_cost` takes a time as text, such as `step_cost = \"5ms\"`: ns, us, ms or s",
        ),
        ("seed = 1, seed = 2", "`seed` is given twice"),
    ] {
        assert_eq!(errors(text), [expected]);
    }
}

#[test]
fn all_mistakes_are_shown_at_once() {
    let all = errors("sede = 1, leaks = 2, schedules = 3, strategy = \"x\"");
    assert_eq!(all.len(), 3, "{all:?}");
}

#[test]
fn what_is_no_argument_at_all_is_answered_with_an_example() {
    for text in ["schedules", "schedules(5)", "5", "seed = "] {
        let all = errors(text);
        assert!(
            all[0].ends_with("arguments look like `schedules = 1000, strategy = \"pct\"`"),
            "{all:?}"
        );
    }
}

#[test]
fn distances_are_what_they_are() {
    for (one, other, expected) in [
        ("", "", 0),
        ("abc", "abc", 0),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("seed", "sede", 2),
    ] {
        assert_eq!(distance(one, other), expected);
        assert_eq!(distance(other, one), expected);
    }
}
