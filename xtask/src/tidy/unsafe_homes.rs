//! Unsafe code stays in the few places that ARCHITECTURE.md names, and crates without one forbid it.
//!
//! The compiler already demands an attribute for each use and a `SAFETY:` comment; what it cannot know is where
//! such code may live, and whether the map still tells a reviewer where to look.

use super::tree::{File, Tree};
use super::{Problem, source};

/// Where a crate may be unsafe.
enum Home {
    /// Any file whose path begins like this.
    Under(&'static str),
    /// One file of the crate, whichever.
    OneFile,
}

const HOMES: &[(&str, Home)] = &[
    ("towpath", Home::Under("crates/towpath/src/raw/")),
    ("towpath-sim", Home::OneFile),
    ("towpath-ebpf", Home::Under("crates/towpath-ebpf/src/ring.rs")),
    ("towpath-bench", Home::OneFile),
];

const MAP: &str = "ARCHITECTURE.md";
const FORBID: &str = "#![forbid(unsafe_code)]";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust() {
        let Some((owner, inside)) = owner_of(&file.path) else { continue };
        if home_of(owner).is_none() && is_root(inside) && !file.code().contains(FORBID) {
            let message = format!("has no unsafe code: write `{FORBID}` under its opening comment");
            problems.push(Problem::new(&file.path, 1, message));
        }
    }
    let unsafe_files: Vec<_> =
        tree.rust().filter_map(|file| Some((file, first_unsafe(file)?))).collect();
    for (index, (file, line)) in unsafe_files.iter().enumerate() {
        let Some((owner, _)) = owner_of(&file.path) else { continue };
        let earlier = || {
            let same_owner = |(other, _): &&(&File, usize)| {
                owner_of(&other.path).is_some_and(|(name, _)| name == owner)
            };
            unsafe_files[..index].iter().find(same_owner)
        };
        let message = match home_of(owner) {
            None => Some(format!("crate `{owner}` has no home for unsafe code")),
            Some(Home::Under(home)) if !file.path.starts_with(home) => {
                Some(format!("unsafe code of `{owner}` lives in {home}"))
            }
            Some(Home::OneFile) => earlier().map(|(first, _)| {
                format!("`{owner}` may be unsafe in one file, and {} already is", first.path)
            }),
            Some(Home::Under(_)) => None,
        };
        if let Some(message) = message {
            let message = format!("{message}: move it there, or write it without `unsafe`");
            problems.push(Problem::new(&file.path, *line, message));
        } else if !tree.text(MAP).unwrap_or_default().contains(short(&file.path)) {
            let message = format!(
                "is unsafe, but {MAP} does not mention `{}`: add it to the list of unsafe homes \
                 with the model that attacks it",
                short(&file.path)
            );
            problems.push(Problem::new(&file.path, *line, message));
        }
    }
    problems
}

fn home_of(owner: &str) -> Option<&'static Home> {
    HOMES.iter().find(|(name, _)| *name == owner).map(|(_, home)| home)
}

/// The crate whose `src` a file lies in, and its path inside `src`.
fn owner_of(path: &str) -> Option<(&str, &str)> {
    let (folder, inside) = path.split_once("/src/")?;
    let owner = folder.strip_prefix("crates/").unwrap_or(folder);
    (!owner.contains('/')).then_some((owner, inside))
}

/// Whether a file is where a crate begins; attributes there hold for all of it.
fn is_root(inside: &str) -> bool {
    let program = inside.strip_prefix("bin/").is_some_and(|name| !name.contains('/'));
    inside == "lib.rs" || inside == "main.rs" || program
}

fn first_unsafe(file: &File) -> Option<usize> {
    let at = source::find_word(file.code(), "unsafe").next()?;
    Some(source::line_of(file.code(), at))
}

/// A path as a person writes it: `raw/ring.rs`.
fn short(path: &str) -> &str {
    owner_of(path).map_or(path, |(_, inside)| inside)
}
