//! The programs of the crate's front page, and that the report which it shows is the one that they give.

pub(crate) mod fails;
mod passes;
mod readme;

use std::{env, fs, panic::catch_unwind, path::Path};

/// What a test says that fails.
fn report_of(test: fn()) -> String {
    let payload = catch_unwind(test).expect_err("it fails");
    payload.downcast_ref::<String>().expect("the report is a text").clone()
}

#[test]
fn the_report_on_the_front_page_is_real() {
    let report = report_of(fails::every_bill_is_in_the_total) + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/front_page.txt");
    if env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&golden, &report).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(report, expected, "TOWPATH_BLESS=1 writes {} anew", golden.display());
}

#[test]
fn the_token_on_the_front_page_is_the_one_in_the_report() {
    let report = include_str!("../../golden/front_page.txt");
    let replay = report.lines().find(|line| line.contains("TOWPATH_REPLAY=")).expect("a token");
    let token = replay.split_whitespace().next().expect("a word");
    assert!(
        include_str!("../../../src/lib.rs").contains(token),
        "src/lib.rs shows another: {token}"
    );
}

#[test]
fn the_readme_shows_a_test_that_runs() {
    let (_, shown) = include_str!("readme.rs").split_once("// README\n").expect("the mark");
    let readme = include_str!("../../../../../README.md");
    assert!(readme.contains(shown), "README.md shows another test than readme.rs has");
}
