//! The programs of the chapter "Find the hang before your users do", and that what it shows of them is real: the report, the
//! token, and that the token stays with the repaired program.
//!
//! `TOWPATH_BLESS=1` writes the report and the token anew.

mod after;
mod before;

use std::{
    env, fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What `before::the_desk_always_closes` says.
const REPORT: &str = "golden/reports/quotes.txt";

/// Where the repaired test finds the token.
const REPLAYS: &str = "tests/replays/quotes__after__the_desk_always_closes.txt";

fn book(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(book(path)).unwrap_or_default()
}

/// The token in a report.
fn token_in(report: &str) -> &str {
    let after = report.split_once("TOWPATH_REPLAY=").expect("the report has a token").1;
    after.split_whitespace().next().expect("a word follows")
}

/// Runs one test of this binary in a process of its own, as a developer would.
fn replay(test: &str, token: &str) -> Output {
    let mut command = Command::new(env::current_exe().expect("this test is a program"));
    command.args(["--exact", test, "--nocapture"]);
    command.env("TOWPATH_REPLAY", token).output().expect("it runs")
}

#[test]
fn the_chapter_shows_the_real_report() {
    let payload = catch_unwind(before::simulated).expect_err("it fails");
    let report = payload.downcast_ref::<String>().expect("the report is a text").clone() + "\n";
    if env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(book(REPORT), &report).expect("it can be written");
        let line = format!(
            "{}  # closed with a quote in the channel and one on its way\n",
            token_in(&report)
        );
        fs::write(book(REPLAYS), line).expect("it can be written");
    }
    assert_eq!(report, read(REPORT), "TOWPATH_BLESS=1 writes it anew");
}

#[test]
fn the_committed_token_is_the_one_in_the_report() {
    let (report, replays) = (read(REPORT), read(REPLAYS));
    assert_eq!(replays.split_whitespace().next(), Some(token_in(&report)), "in {REPLAYS}");
}

#[test]
fn the_token_fails_the_desk_as_it_was() {
    let output = replay("before::the_desk_always_closes", token_in(&read(REPORT)));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "it panics, as it should: {said}");
    assert!(said.contains("the_desk_always_closes fails in the replay"), "{said}");
    assert!(said.contains("deadlock"), "{said}");
}

#[test]
fn the_token_does_not_fail_the_desk_as_it_is() {
    let output = replay("after::the_desk_always_closes", token_in(&read(REPORT)));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the replay does not fail"), "{said}");
}
