//! The licences of what is in the program, as their authors wrote them: most ask that their text goes along.
//!
//! What always holds: each crate that cargo builds into the program is named with its licence and its origin; one that brings no text is
//! said to bring none. Equal texts are there once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::session::Job;

/// How files with licences begin, in capitals.
const NAMES: &[&str] = &["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// One crate of others.
struct Part {
    head: String,
    texts: Vec<String>,
}

/// Writes them all into `file`; how many crates there are.
pub(super) fn make(file: &Path) -> Result<usize> {
    let tree = Job::cargo(["tree", "--locked", "-p", "towpath-node", "-e", "normal"])
        .args(["--prefix", "none", "--format", "{p}"]);
    let built = super::bill::planned(&tree.output().context("`cargo tree` failed")?);
    let about = Job::cargo(["metadata", "--locked", "--format-version", "1"]);
    let about: Value = serde_json::from_str(&about.output().context("`cargo metadata` failed")?)?;
    let mut parts = Vec::new();
    for package in about["packages"].as_array().context("cargo knows no packages")? {
        let word = |key: &str| package[key].as_str().unwrap_or_default();
        let name = format!("{}-{}", word("name"), word("version"));
        // Ours have no origin but this repository.
        if package["source"].is_null() || !built.contains(&name) {
            continue;
        }
        let folder =
            Path::new(word("manifest_path")).parent().context("a manifest in no folder")?;
        let head = format!("{name}\n  {}\n  {}", word("license"), word("repository"));
        parts.push(Part { head, texts: texts(folder)? });
    }
    fs::write(file, page(&parts)?)?;
    Ok(parts.len())
}

/// The licences in the folder of a crate, in the order of their names.
fn texts(folder: &Path) -> Result<Vec<String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let is_code = name.ends_with(".RS") || name.ends_with(".TOML");
        if path.is_file() && !is_code && NAMES.iter().any(|it| name.starts_with(it)) {
            found.insert(name, String::from_utf8_lossy(&fs::read(&path)?).trim_end().to_owned());
        }
    }
    Ok(found.into_values().collect())
}

/// First who there is and which texts are theirs, then the texts.
fn page(parts: &[Part]) -> Result<String> {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut texts = Vec::new();
    let mut page = String::from("What others wrote and `towpath` is built with.\n");
    for Part { head, texts: own } in parts {
        let mut marks = Vec::new();
        for text in own {
            let number = *numbers.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len()
            });
            marks.push(number.to_string());
        }
        let marks = if marks.is_empty() { "none".to_owned() } else { marks.join(", ") };
        write!(page, "\n{head}\n  texts below: {marks}\n")?;
    }
    for (index, text) in texts.iter().enumerate() {
        write!(page, "\n==== text {} ====\n\n{text}\n", index + 1)?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_there_once_and_who_has_none_is_named() -> Result<()> {
        let part = |head: &str, texts: &[&str]| Part {
            head: head.to_owned(),
            texts: texts.iter().map(|it| (*it).to_owned()).collect(),
        };
        let page =
            page(&[part("a-1", &["take it"]), part("b-1", &["ask", "take it"]), part("c-1", &[])])?;
        assert_eq!(page.matches("take it").count(), 1, "{page}");
        for line in
            ["a-1\n  texts below: 1\n", "b-1\n  texts below: 2, 1\n", "c-1\n  texts below: none"]
        {
            assert!(page.contains(line), "{page}");
        }
        Ok(())
    }

    #[test]
    fn licences_are_found_by_name() -> Result<()> {
        assert_eq!(texts(&crate::session::root())?.len(), 2, "this repository has two");
        Ok(())
    }
}
