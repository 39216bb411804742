//! `cargo xtask changelog`: folds the notes in `changelog.d/` into `CHANGELOG.md`, under the version that the workspace has, and removes them.
//!
//! What always holds:
//! - No note is lost: the new file is written before the notes are removed, and a note whose name has no known kind ends the command.
//! - Run again, it adds to the version that is there; entries that are there stay as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::session::{Outcome, root};

/// The kinds of notes, in the order in which they are told, and their headings.
const KINDS: &[(&str, &str)] = &[
    ("security", "Security"),
    ("added", "Added"),
    ("changed", "Changed"),
    ("fixed", "Fixed"),
    ("removed", "Removed"),
];

/// What is not yet in a version, and where to look for it.
const UNRELEASED: &str = "## Unreleased\n\nSee `changelog.d/`.\n";

pub(crate) fn run() -> Result<Outcome> {
    let folder = root().join("changelog.d");
    let mut notes = BTreeMap::new();
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "README.md" {
            notes.insert(name, fs::read_to_string(&path)?);
            files.push(path);
        }
    }
    let log = root().join("CHANGELOG.md");
    let folded = fold(&fs::read_to_string(&log)?, &version(&root())?, &notes)?;
    fs::write(&log, folded)?;
    for file in &files {
        fs::remove_file(file)?;
    }
    println!("{} notes are in CHANGELOG.md now", files.len());
    Ok(Outcome::Done)
}

/// The version of the workspace.
fn version(root: &Path) -> Result<String> {
    let manifest: toml::Table = toml::from_str(&fs::read_to_string(root.join("Cargo.toml"))?)?;
    let version = manifest["workspace"]["package"]["version"].as_str();
    Ok(version.context("the workspace has no version")?.to_owned())
}

/// The log with the notes in it.
fn fold(log: &str, version: &str, notes: &BTreeMap<String, String>) -> Result<String> {
    let (head, rest) = log.split_once(UNRELEASED).context(
        "CHANGELOG.md has no part `## Unreleased` that refers to changelog.d: put it back",
    )?;
    let title = format!("## {version}\n");
    let rest = rest.trim_start();
    // The version's own part, when an earlier fold has made it, and those of older ones.
    let (own, older) = match rest.strip_prefix(&title) {
        Some(rest) => rest.find("\n## ").map_or((rest, ""), |at| rest.split_at(at + 1)),
        None => ("", rest),
    };
    let mut parts = parts(own)?;
    for (name, text) in notes {
        let kind = name.split('-').next().unwrap_or_default();
        let Some((_, heading)) = KINDS.iter().find(|(it, _)| *it == kind) else {
            bail!(
                "changelog.d/{name}: its name begins with none of the kinds in changelog.d/README.md"
            );
        };
        let entry = text.trim().replace('\n', "\n  ");
        parts.entry(heading).or_default().push_str(&format!("- {entry}\n"));
    }
    let mut folded = format!("{head}{UNRELEASED}\n{title}");
    for (_, heading) in KINDS {
        if let Some(entries) = parts.get(heading) {
            folded.push_str(&format!("\n### {heading}\n\n{entries}"));
        }
    }
    if !older.is_empty() {
        folded.push_str(&format!("\n{older}"));
    }
    Ok(folded)
}

/// The entries of a version, by their headings.
fn parts(own: &str) -> Result<BTreeMap<&'static str, String>> {
    let mut parts = BTreeMap::new();
    for part in own.split("### ").skip(1) {
        let (heading, entries) = part.split_once('\n').unwrap_or((part, ""));
        let known = KINDS.iter().find(|(_, it)| *it == heading);
        let (_, known) =
            known.with_context(|| format!("CHANGELOG.md has a heading `{heading}`"))?;
        parts.insert(*known, format!("{}\n", entries.trim()));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn notes_come_under_their_kinds_and_later_ones_after_them() -> Result<()> {
        let log = format!("# Changelog\n\n{UNRELEASED}\n## 0.0.9\n\n### Added\n\n- old\n");
        let first = [("fixed-b.md", "b: mends\nit\n"), ("added-a.md", "a: new\n")];
        let once = fold(&log, "0.1.0", &notes(&first))?;
        let expected = format!(
            "# Changelog\n\n{UNRELEASED}\n## 0.1.0\n\n### Added\n\n- a: new\n\n### Fixed\n\n- b: mends\n  it\n\n## 0.0.9\n\n### Added\n\n- old\n"
        );
        assert_eq!(once, expected);
        assert_eq!(fold(&once, "0.1.0", &notes(&[]))?, expected, "nothing to fold, nothing new");
        let twice = fold(&once, "0.1.0", &notes(&[("added-c.md", "c: too\n")]))?;
        assert_eq!(twice, expected.replace("- a: new\n", "- a: new\n- c: too\n"));
        Ok(())
    }

    #[test]
    fn a_note_of_no_known_kind_is_refused() {
        let told = fold(UNRELEASED, "0.1.0", &notes(&[("improved-a.md", "a")]));
        assert!(told.is_err_and(|it| it.to_string().contains("improved-a.md")));
    }
}
