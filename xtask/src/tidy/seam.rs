//! Time, chance and tasks come through the runtime handle.
//!
//! The same program replays from one number only if nothing asks the machine for the time, for randomness or for
//! a thread behind the runtime's back. So those names appear in one folder per crate that has to know them.
//! Tests inside `src` are free: they look at the real machine on purpose.

use super::tree::Tree;
use super::{Problem, source};

/// Names that reach the real machine.
const AMBIENT: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "thread::sleep",
    "tokio::",
    "rand::",
    "fastrand::",
    "getrandom",
    "RandomState",
];

/// Crates that must know the machine, and where in them.
const HOMES: &[(&str, &str)] = &[
    ("towpath", "crates/towpath/src/rt/"),
    // Sockets are tokio's (ADR 0014).
    ("towpath-patterns", "crates/towpath-patterns/src/gateway/http/"),
    ("towpath-sim", "crates/towpath-sim/src/real.rs"),
    ("towpath-node", "crates/towpath-node/src/real/"),
    ("towpath-bench", "crates/towpath-bench/src/"),
    ("csp-bench", "crates/csp-bench/src/speed.rs"),
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust() {
        let Some(name) = file.product_of() else { continue };
        let home = HOMES.iter().find(|(owner, _)| *owner == name).map(|(_, home)| *home);
        if home.is_some_and(|home| file.path.starts_with(home)) {
            continue;
        }
        let advice = match home {
            Some(home) => format!("call the runtime handle, or move this under {home}"),
            None => "call the runtime handle of `towpath` instead".to_owned(),
        };
        for ambient in AMBIENT {
            for at in source::find_word(file.code(), ambient) {
                let line = source::line_of(file.code(), at);
                let message = format!("`{ambient}` goes past the runtime: {advice}");
                problems.push(Problem::new(&file.path, line, message));
            }
        }
    }
    problems
}
