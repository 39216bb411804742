//! How a Rust file must look: its opening, its length, its ignored tests.

use super::tree::Tree;
use super::{Problem, source};

/// Beyond this a file holds more than one idea.
const LINES_MAX: usize = 700;

/// Longer files, each with the reason why splitting it would make it worse.
const LONG: &[(&str, &str)] = &[];

/// Every file opens with `//!`: what it is, what always holds, why it is built this way.
pub(super) fn opening(tree: &Tree) -> Vec<Problem> {
    let closed = tree.rust().filter(|file| {
        let text = file.text.as_deref().unwrap_or_default();
        !text.starts_with("//!")
    });
    closed
        .map(|file| {
            let message = "does not open with `//!`: say in the first line what this file is";
            Problem::new(&file.path, 1, message)
        })
        .collect()
}

pub(super) fn length(tree: &Tree) -> Vec<Problem> {
    length_with(tree, LONG)
}

/// Files that are too long, and exceptions that are no longer needed.
pub(super) fn length_with(tree: &Tree, exceptions: &[(&str, &str)]) -> Vec<Problem> {
    let lines = |text: &Option<String>| text.as_deref().unwrap_or_default().lines().count();
    let mut problems = Vec::new();
    for file in tree.rust() {
        let count = lines(&file.text);
        if count > LINES_MAX && !exceptions.iter().any(|(path, _)| *path == file.path) {
            let message = format!(
                "has {count} lines, more than {LINES_MAX}: split it by idea, or list it with a \
                 reason in xtask/src/tidy/form.rs"
            );
            problems.push(Problem::new(&file.path, LINES_MAX + 1, message));
        }
    }
    for (path, reason) in exceptions {
        let long = tree.rust().any(|file| file.path == *path && lines(&file.text) > LINES_MAX);
        if !long || reason.is_empty() {
            let message = "needs no exception, or has one without a reason: put its line in \
                           xtask/src/tidy/form.rs right";
            problems.push(Problem::new(*path, 1, message));
        }
    }
    problems
}

/// `#[ignore]` says why, so that somebody can tell when the reason is gone.
pub(super) fn ignored(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust() {
        // Test modules are blanked in `code()`, and they are what this check is about.
        let text = file.text.as_deref().unwrap_or_default();
        let code = source::code_only(text);
        for at in source::find_word(&code, "ignore") {
            let before = code[..at].trim_end();
            let after = code[at + "ignore".len()..].trim_start();
            let silent = after.starts_with(']')
                || after.starts_with(')')
                || after
                    .strip_prefix('=')
                    .is_some_and(|value| value.trim_start().starts_with("\"\""));
            let attribute = before.ends_with("#[") || inside_cfg_attr(before);
            if attribute && silent {
                let message =
                    "ignores a test in silence: write `#[ignore = \"why, and until when\"]`";
                problems.push(Problem::new(&file.path, source::line_of(&code, at), message));
            }
        }
    }
    problems
}

/// Whether the text ends inside `#[cfg_attr(condition, `.
fn inside_cfg_attr(before: &str) -> bool {
    let open = before.rfind("#[cfg_attr(");
    before.ends_with(',') && open.is_some_and(|at| !before[at..].contains(")]"))
}
