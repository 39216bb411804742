//! `cargo xtask api`: compares the public API of each published crate with `tests/api.txt`.
//!
//! What always holds:
//! - One line per public item, sorted, so that a change of the API is a change in a reviewed file.
//! - The list is read from rustdoc's JSON, which only a nightly compiler writes.
//! - Not in it: signatures. It answers "what is there", and the compile-fail tests answer "how".
//!
//! Send and Sync are in the list because losing one breaks users without changing any name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::session::{Job, NO_NIGHTLY, Outcome, Session, has_nightly, root, target_dir};

#[derive(Args)]
pub(crate) struct Options {
    /// Take the present API as the new snapshot
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    if !has_nightly() {
        return Ok(Outcome::Skipped(NO_NIGHTLY.to_owned()));
    }
    let mut differing = Vec::new();
    for name in published_libraries(&root())? {
        session.run(
            &Job::cargo(["+nightly", "rustdoc", "-p", &name, "--lib", "--all-features", "--"])
                .args(["-Z", "unstable-options", "--output-format", "json"])
                .own_target_dir("api"),
        )?;
        let json = target_dir().join("api/doc").join(format!("{}.json", name.replace('-', "_")));
        let text = fs::read_to_string(&json)
            .with_context(|| format!("rustdoc left no {}", json.display()))?;
        let now = listing(&serde_json::from_str(&text)?)?;
        let snapshot = root().join("crates").join(&name).join("tests/api.txt");
        if options.bless {
            fs::write(&snapshot, &now)
                .with_context(|| format!("could not write {}", snapshot.display()))?;
            println!("wrote {}", snapshot.display());
            continue;
        }
        let before = fs::read_to_string(&snapshot).unwrap_or_default();
        if before != now {
            difference(&before, &now).iter().for_each(|line| println!("{line}"));
            differing.push(name);
        }
    }
    if !differing.is_empty() {
        bail!(
            "the public API of {} differs from its tests/api.txt; if that is meant, run \
             `cargo xtask api --bless` and add a note to changelog.d",
            differing.join(", ")
        );
    }
    Ok(Outcome::Done)
}

/// Crates with a library that people outside can depend on.
fn published_libraries(root: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let folder = entry?.path();
        if !folder.join("src/lib.rs").exists() {
            continue;
        }
        let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml"))?.parse()?;
        let macros = manifest.get("lib").and_then(|lib| lib.get("proc-macro"));
        if macros.and_then(toml::Value::as_bool) == Some(true) {
            // What it has is handed on by the crate that people depend on.
            continue;
        }
        let package = manifest.get("package").context("a manifest has no [package]")?;
        if package.get("publish").and_then(toml::Value::as_bool) != Some(false) {
            names.extend(package.get("name").and_then(toml::Value::as_str).map(str::to_owned));
        }
    }
    Ok(names)
}

/// The public items of one crate, from rustdoc's JSON, one per line.
fn listing(json: &Value) -> Result<String> {
    let mut walk = Walk { index: &json["index"], lines: BTreeSet::new(), open: Vec::new() };
    let top = walk.item(&json["root"]).context("rustdoc's JSON has no root module")?;
    let name = top["name"].as_str().context("the crate has no name")?.to_owned();
    walk.children(top, &name);
    Ok(walk.lines.into_iter().map(|line| line + "\n").collect())
}

/// Lines of only one of the two lists, marked as in a diff.
fn difference(before: &str, now: &str) -> Vec<String> {
    let (before, now): (BTreeSet<_>, BTreeSet<_>) =
        (before.lines().collect(), now.lines().collect());
    let gone = before.difference(&now).map(|line| format!("- {line}"));
    let new = now.difference(&before).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

struct Walk<'a> {
    index: &'a Value,
    lines: BTreeSet<String>,
    /// Modules being walked, so that two which re-export each other end.
    open: Vec<&'a Value>,
}

impl<'a> Walk<'a> {
    /// The item with an id; ids are numbers, but keys of the index are text.
    fn item(&self, id: &Value) -> Option<&'a Value> {
        self.index.get(id.to_string().trim_matches('"'))
    }

    fn visit(&mut self, id: &'a Value, path: &str) {
        let Some(item) = self.item(id) else { return };
        // Variants and trait items have the visibility of what holds them, which rustdoc calls "default".
        if !matches!(item["visibility"].as_str(), Some("public" | "default")) {
            return;
        }
        let Some((kind, inner)) = item["inner"].as_object().and_then(|inner| inner.iter().next())
        else {
            return;
        };
        if kind == "use" {
            self.visit_use(inner, path);
            return;
        }
        let path = format!("{path}::{}", item["name"].as_str().unwrap_or("_"));
        self.lines.insert(format!("{path} {}", kind.replace('_', " ")));
        self.children(item, &path);
    }

    /// A re-export appears under the name that users write.
    fn visit_use(&mut self, inner: &'a Value, path: &str) {
        let name = inner["name"].as_str().unwrap_or("_");
        let target = self.item(&inner["id"]);
        match target {
            Some(target) if inner["is_glob"] == true => self.children(target, path),
            Some(target) => {
                let path = format!("{path}::{name}");
                let kind = target["inner"].as_object().and_then(|inner| inner.keys().next());
                let kind = kind.map_or("item", String::as_str).replace('_', " ");
                self.lines.insert(format!("{path} {kind}"));
                self.children(target, &path);
            }
            None => {
                let source = inner["source"].as_str().unwrap_or("_");
                self.lines.insert(format!("{path}::{name} = {source}"));
            }
        }
    }

    fn children(&mut self, item: &'a Value, path: &str) {
        if self.open.iter().any(|open| std::ptr::eq(*open, item)) {
            return;
        }
        self.open.push(item);
        for inner in item["inner"].as_object().into_iter().flat_map(|inner| inner.values()) {
            for list in ["items", "variants"] {
                ids(&inner[list]).for_each(|id| self.visit(id, path));
            }
            let kind = &inner["kind"];
            for list in [&kind["plain"]["fields"], &kind["struct"]["fields"]] {
                ids(list).for_each(|id| self.visit(id, path));
            }
            ids(&inner["impls"]).for_each(|id| self.visit_impl(id, path));
        }
        self.open.pop();
    }

    fn visit_impl(&mut self, id: &'a Value, path: &str) {
        let Some(inner) = self.item(id).map(|item| &item["inner"]["impl"]) else { return };
        if !inner["blanket_impl"].is_null() {
            return;
        }
        if inner["trait"].is_null() {
            ids(&inner["items"]).for_each(|id| self.visit(id, path));
            return;
        }
        let name = inner["trait"]["path"].as_str().unwrap_or("_");
        let name = name.rsplit("::").next().unwrap_or(name);
        if inner["is_synthetic"] == true && !["Send", "Sync"].contains(&name) {
            return;
        }
        let not = if inner["is_negative"] == true { "not " } else { "" };
        self.lines.insert(format!("{path}: {not}{name}"));
    }
}

fn ids(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(name: &str, visibility: &str, inner: Value) -> Value {
        json!({ "name": name, "visibility": visibility, "inner": inner })
    }

    #[test]
    fn public_items_are_listed_and_private_ones_are_not() {
        let json = json!({ "root": 0, "index": {
            "0": item("boat", "public", json!({ "module": { "items": [1, 4, 5, 6] } })),
            "1": item("Rope", "public", json!({ "struct": { "kind": "unit", "impls": [2, 7, 8] } })),
            "2": item("", "default", json!({ "impl": { "trait": null, "items": [3, 4] } })),
            "3": item("pull", "public", json!({ "function": {} })),
            "4": item("secret", "crate", json!({ "function": {} })),
            "5": item("Load", "public", json!({ "enum": { "variants": [9], "impls": [] } })),
            "6": item("", "public", json!({ "use": { "name": "Line", "id": 1, "is_glob": false } })),
            "7": item("", "default", json!({ "impl": { "trait": { "path": "Send" }, "is_synthetic": true, "is_negative": true } })),
            "8": item("", "default", json!({ "impl": { "trait": { "path": "Unpin" }, "is_synthetic": true } })),
            "9": item("Full", "default", json!({ "variant": { "kind": "plain" } })),
        } });
        let expected = "boat::Line struct\nboat::Line: not Send\nboat::Line::pull function\n\
                        boat::Load enum\nboat::Load::Full variant\n\
                        boat::Rope struct\nboat::Rope: not Send\nboat::Rope::pull function\n";
        assert_eq!(listing(&json).unwrap(), expected);
    }

    #[test]
    fn a_difference_names_both_sides() {
        assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
        assert!(difference("a\n", "a\n").is_empty());
    }
}
