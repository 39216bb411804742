//! `cargo xtask tidy`: rules of this repository that no compiler knows.
//!
//! What always holds:
//! - A check reads a [`Tree`] and returns problems; it touches no disk, so tests feed it small trees.
//! - Each problem names a file and line and says what to do about it.
//! - Each check has a test in which it finds something and a test in which it does not.
//!
//! Checks look at text, not at syntax trees: comments and strings are blanked first (`source.rs`), the rest is
//! searched for words. That can be fooled by someone who tries; it is here for those who forget.

mod capacity;
mod deps;
mod form;
mod names;
mod seam;
mod size;
mod source;
mod tree;
mod unsafe_homes;

#[cfg(test)]
mod tests;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::session::{Outcome, root};
use tree::Tree;

/// Something to put right.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    line: usize,
    message: String,
}

impl Problem {
    fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into() }
    }
}

type Check = fn(&Tree) -> Vec<Problem>;

const CHECKS: &[(&str, Check)] = &[
    ("dependencies between our crates", deps::check),
    ("the crate list in ARCHITECTURE.md", names::crate_list),
    ("folder and package names", names::folders),
    ("time, chance and tasks", seam::check),
    ("named capacities", capacity::check),
    ("opening comments", form::opening),
    ("file length", form::length),
    ("ignored tests", form::ignored),
    ("unsafe homes", unsafe_homes::check),
    ("file size", size::check),
    ("blobs in src", size::blobs),
];

pub(crate) fn run() -> Result<Outcome> {
    let start = Instant::now();
    let tree = Tree::from_disk(&root())?;
    let mut count = 0;
    for (name, check) in CHECKS {
        let mut problems = check(&tree);
        problems.sort();
        for Problem { path, line, message } in &problems {
            println!("{path}:{line}: {message} [{name}]");
        }
        count += problems.len();
    }
    if count > 0 {
        bail!("tidy found {count} problem(s)");
    }
    let (files, checks) = (tree.files().len(), CHECKS.len());
    println!("tidy: {checks} checks, {files} files, {:.1} s", start.elapsed().as_secs_f64());
    Ok(Outcome::Done)
}
