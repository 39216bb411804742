//! The chapters: every include, anchor and link leads somewhere, every chapter is listed, and every program is shown.
//!
//! It stands in for mdbook, which is not needed to test the book. What mdbook knows and this does not is left out of the
//! book: lines by number (they move), `rustdoc_include`, paths with spaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap()
}

/// All files below `folder` with this ending.
fn files(folder: &Path, ending: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|it| it == ending) {
            found.insert(path);
        }
    }
    found
}

/// The chapters and what is in them.
fn chapters() -> BTreeMap<PathBuf, String> {
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(&path).unwrap());
    files(&root().join("src"), "md").into_iter().map(read).collect()
}

/// What stands between `open` and `close`, each time.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| Some(rest.split_once(close)?.0))
}

/// Whether the file has lines between the two comments of this anchor.
fn has_anchor(text: &str, anchor: &str) -> bool {
    let line = |comment: &str| {
        let comment = format!("// {comment}: {anchor}");
        text.lines().position(|line| line.trim() == comment)
    };
    match (line("ANCHOR"), line("ANCHOR_END")) {
        (Some(begin), Some(end)) => begin + 1 < end,
        _ => false,
    }
}

/// Why an include shows nothing; `None` if all is well.
fn problem_of_include(chapter: &Path, include: &str) -> Option<String> {
    let (path, anchor) = match include.split_once(':') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (include, None),
    };
    let full = chapter.parent()?.join(path);
    let Ok(text) = fs::read_to_string(&full) else {
        return Some(format!("there is no file {}", full.display()));
    };
    let anchor = anchor?;
    if anchor.starts_with(|first: char| first.is_ascii_digit() || first == ':') {
        return Some("lines move: name an anchor instead of their numbers".to_owned());
    }
    let missing = !has_anchor(&text, anchor);
    missing.then(|| format!("`{path}` has no lines between `// ANCHOR: {anchor}` and its end"))
}

#[test]
fn every_include_and_its_anchor_exist() {
    let mut problems = Vec::new();
    for (chapter, text) in chapters() {
        let includes = between(&text, "{{#", "}}").map(|it| it.split_once(' ').unwrap_or((it, "")));
        for (verb, what) in includes {
            let problem = match verb {
                "include" => problem_of_include(&chapter, what.trim()),
                _ => Some("this test knows `{{#include …}}` alone".to_owned()),
            };
            problems.extend(problem.map(|it| format!("{}: {what}: {it}", chapter.display())));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_anchor_is_used() {
    let all: String = chapters().into_values().collect();
    let programs = files(&root().join("examples"), "rs");
    for program in programs.union(&files(&root().join("tests/quotes"), "rs")) {
        let text = fs::read_to_string(program).unwrap();
        let path = program.strip_prefix(root()).unwrap().to_str().unwrap();
        for anchor in between(&text, "// ANCHOR: ", "\n") {
            let include = format!("/{path}:{anchor}}}}}");
            assert!(all.contains(&include), "no chapter shows `{anchor}` of {path}");
        }
    }
}

#[test]
fn every_program_is_shown() {
    let all: String = chapters().into_values().collect();
    let programs = files(&root().join("examples"), "rs");
    for program in programs.union(&files(&root().join("go"), "go")) {
        let path = program.strip_prefix(root()).unwrap().to_str().unwrap();
        assert!(all.contains(&format!("/{path}")), "no chapter shows {path}");
    }
}

#[test]
fn the_summary_names_every_chapter() {
    let src = root().join("src");
    let chapters = chapters();
    let summary = &chapters[&src.join("SUMMARY.md")];
    let listed: BTreeSet<_> = between(summary, "](", ")").map(|path| src.join(path)).collect();
    let mut written: BTreeSet<_> = chapters.into_keys().collect();
    written.remove(&src.join("SUMMARY.md"));
    assert_eq!(listed, written, "left what SUMMARY.md lists, right what there is");
}

#[test]
fn every_link_within_the_repository_leads_somewhere() {
    for (chapter, text) in chapters() {
        let folder = chapter.parent().unwrap();
        for link in between(&text, "](", ")").filter(|link| !link.contains("://")) {
            let path = link.split('#').next().unwrap_or_default();
            let target = folder.join(path);
            assert!(target.is_file(), "{}: ({link}) leads nowhere", chapter.display());
        }
    }
}

#[test]
fn an_include_that_leads_nowhere_is_found() {
    let chapter = root().join("src/introduction.md");
    for (include, expected) in [
        ("../examples/five_minutes.rs", None),
        ("../examples/five_minutes.rs:main", None),
        ("../examples/five_minutes.rs:ending", Some("has no lines between")),
        ("../examples/five_minutes.rs:3:9", Some("lines move")),
        ("../examples/ten_minutes.rs", Some("there is no file")),
    ] {
        let problem = problem_of_include(&chapter, include);
        let as_expected = match (&problem, expected) {
            (None, None) => true,
            (Some(problem), Some(part)) => problem.contains(part),
            _ => false,
        };
        assert!(as_expected, "{include}: {problem:?}");
    }
}
