//! Dependencies between our crates are exactly the picture in ARCHITECTURE.md.
//!
//! A crate is described best by what it does not know. The table is the picture in code: a crate may depend on
//! the ones listed for it, in `[dependencies]` and `[build-dependencies]`; tests may also use the simulator.

use std::collections::BTreeSet;

use super::Problem;
use super::tree::Tree;

/// Each crate of ours and the crates of ours it may know, planned ones included.
const ALLOWED: &[(&str, &[&str])] = &[
    ("towpath", &["towpath-macros"]),
    ("towpath-macros", &[]),
    ("towpath-journal", &[]),
    ("towpath-patterns", &["towpath", "towpath-journal", "towpath-macros"]),
    ("towpath-observe", &["towpath"]),
    ("towpath-remote", &["towpath", "towpath-journal", "towpath-patterns"]),
    ("towpath-kube", &["towpath", "towpath-journal", "towpath-patterns"]),
    ("towpath-ebpf", &["towpath", "towpath-journal", "towpath-patterns"]),
    ("towpath-wasm", &["towpath", "towpath-journal", "towpath-patterns"]),
    (
        "towpath-node",
        &[
            "towpath",
            "towpath-ebpf",
            "towpath-journal",
            "towpath-kube",
            "towpath-observe",
            "towpath-patterns",
            "towpath-remote",
            // The tests of network files run in the simulator, wherever the program is.
            "towpath-sim",
            "towpath-wasm",
        ],
    ),
    ("towpath-sim", &["towpath", "towpath-macros"]),
    // Leaves: nobody may know them.
    ("towpath-bench", LIBRARIES),
    ("csp-bench", LIBRARIES),
    ("examples", LIBRARIES),
    ("book", LIBRARIES),
    ("e2e", LIBRARIES),
    ("fuzz", LIBRARIES),
    ("xtask", &[]),
];

/// What a leaf may use.
const LIBRARIES: &[&str] = &[
    "towpath",
    "towpath-ebpf",
    "towpath-journal",
    "towpath-kube",
    "towpath-macros",
    "towpath-node",
    "towpath-observe",
    "towpath-patterns",
    "towpath-remote",
    "towpath-sim",
    "towpath-wasm",
];

/// What every crate's tests may use.
const FOR_TESTS: &str = "towpath-sim";

/// What the tests of one crate may use too: traces are followed through a gateway, alert rules are YAML.
const FOR_TESTS_OF: &[(&str, &str)] = &[("towpath-observe", "towpath-patterns")];

const MANIFEST: &str = "Cargo.toml";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.files() {
        let Some(folder) = folder_of(&file.path) else { continue };
        let text = file.text.as_deref().unwrap_or_default();
        let manifest: toml::Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                problems.push(Problem::new(&file.path, 1, format!("does not parse: {error}")));
                continue;
            }
        };
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == folder) else {
            let message = format!(
                "crate `{folder}` has no place in the picture of layers: add it to the table in \
                 xtask/src/tidy/deps.rs and to ARCHITECTURE.md"
            );
            problems.push(Problem::new(&file.path, 1, message));
            continue;
        };
        for Dependency { name, for_tests, key } in ours(&manifest) {
            let tested_with = name == FOR_TESTS || FOR_TESTS_OF.contains(&(folder, name.as_str()));
            if allowed.contains(&name.as_str()) || (for_tests && tested_with) {
                continue;
            }
            let list = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            let message = format!(
                "`{folder}` may not depend on `{name}` (allowed: {list}): move the code to a layer \
                 that may, or change the picture in ARCHITECTURE.md and the table in \
                 xtask/src/tidy/deps.rs"
            );
            problems.push(Problem::new(&file.path, line_of_key(text, &key), message));
        }
    }
    problems
}

/// The folder of a manifest that belongs to one of our crates; the root's own manifest has none.
fn folder_of(path: &str) -> Option<&str> {
    let folder = path.strip_suffix(MANIFEST)?.strip_suffix('/')?;
    let folder =
        ["crates/", "docs/"].iter().find_map(|home| folder.strip_prefix(home)).unwrap_or(folder);
    (!folder.contains('/')).then_some(folder)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Dependency {
    name: String,
    for_tests: bool,
    key: String,
}

/// Our crates among a manifest's dependencies, those under `[target.*]` too.
fn ours(manifest: &toml::Table) -> BTreeSet<Dependency> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(|t| t.values()).filter_map(toml::Value::as_table);
    let mut found = BTreeSet::new();
    for table in std::iter::once(manifest).chain(targets) {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let Some(list) = table.get(section).and_then(toml::Value::as_table) else { continue };
            for (key, value) in list {
                let name = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                if ALLOWED.iter().any(|(ours, _)| *ours == name) || name.starts_with("towpath") {
                    found.insert(Dependency {
                        name: name.to_owned(),
                        for_tests: section == "dev-dependencies",
                        key: key.clone(),
                    });
                }
            }
        }
    }
    found
}

fn line_of_key(text: &str, key: &str) -> usize {
    let mentions = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
    };
    text.lines().position(mentions).map_or(1, |index| index + 1)
}
