//! The map and the territory: crates on disk, crates in ARCHITECTURE.md, packages and their folders.

use std::collections::BTreeMap;

use super::Problem;
use super::tree::Tree;

const MAP: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- crates:begin -->";
const END: &str = "<!-- crates:end -->";

/// The list between the two markers names each folder under `crates`, and no other.
pub(super) fn crate_list(tree: &Tree) -> Vec<Problem> {
    let text = tree.text(MAP).unwrap_or_default();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let (begin, end) =
        (lines.iter().position(|line| *line == BEGIN), lines.iter().position(|line| *line == END));
    let (Some(begin), Some(end)) = (begin, end) else {
        return vec![Problem::new(
            MAP,
            1,
            format!(
                "has no list of crates: put one line per crate, \"- `name`: what it is\", between {BEGIN} and {END}"
            ),
        )];
    };
    let mut listed = BTreeMap::new();
    for (index, line) in lines.iter().enumerate().take(end).skip(begin + 1) {
        if let Some((name, _)) = line.strip_prefix("- `").and_then(|rest| rest.split_once('`')) {
            listed.insert(name, index + 1);
        }
    }
    let crates = tree.crates();
    let gone = listed.iter().filter(|(name, _)| !crates.contains(*name)).map(|(name, line)| {
        Problem::new(MAP, *line, format!("lists `{name}`, but there is no crates/{name}: move it to the planned list or delete the line"))
    });
    let missing = crates.iter().filter(|name| !listed.contains_key(*name)).map(|name| {
        Problem::new(
            MAP,
            begin + 1,
            format!("does not list `{name}`: add \"- `{name}`: what it is\""),
        )
    });
    gone.chain(missing).collect()
}

/// A crate's folder is called like its package.
pub(super) fn folders(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for folder in tree.crates() {
        let path = format!("crates/{folder}/Cargo.toml");
        let manifest = tree.text(&path).and_then(|text| text.parse::<toml::Table>().ok());
        let name = manifest.as_ref().and_then(|table| table.get("package")?.get("name")?.as_str());
        match name {
            Some(name) if name == folder => {}
            Some(name) => problems.push(Problem::new(
                path,
                1,
                format!("package `{name}` lies in folder `{folder}`: rename one of them"),
            )),
            None => problems.push(Problem::new(
                path,
                1,
                format!("folder `{folder}` has no manifest with a package name: add one or remove the folder"),
            )),
        }
    }
    problems
}
