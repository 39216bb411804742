//! The bill of materials: made by cargo-cyclonedx, and compared with what is in the program.
//!
//! What always holds: it is compared twice, with what cargo would build, and with the paths of sources that the program itself
//! carries for its panics and backtraces, so a crate that is in the program and not on the bill is an error.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::session::{Job, Session, root};

/// What the bill is called.
pub(super) const NAME: &str = "towpath.cdx.json";

/// Makes the bill and puts it into `folder`.
pub(super) fn make(session: &mut Session, folder: &Path) -> Result<()> {
    let job = Job::cargo(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"])
        .args(["--no-build-deps", "--manifest-path", "crates/towpath-node/Cargo.toml"])
        .args(["--override-filename", NAME.trim_end_matches(".json")]);
    let made = session.run(&job);
    let ours = root().join("crates/towpath-node").join(NAME);
    let text = fs::read(&ours);
    // The tool writes a bill beside each crate of ours, also when it fails over one of them.
    sweep()?;
    made?;
    fs::write(folder.join(NAME), text.context("no bill of materials was made")?)?;
    Ok(())
}

fn sweep() -> Result<()> {
    for place in ["crates", "docs", "."] {
        for folder in fs::read_dir(root().join(place))? {
            let bill = folder?.path().join(NAME);
            if bill.exists() {
                fs::remove_file(bill)?;
            }
        }
    }
    Ok(())
}

/// Compares the bill with cargo's plan and with the program; what to say of it.
pub(super) fn check(bill: &Path, program: &Path) -> Result<String> {
    let bill: Value = serde_json::from_slice(&fs::read(bill)?)?;
    let listed =
        listed(&bill).context("the bill of materials has another form than CycloneDX's")?;
    let tree = Job::cargo(["tree", "--locked", "-p", "towpath-node", "-e", "normal"])
        .args(["--prefix", "none", "--format", "{p}"]);
    let planned = planned(&tree.output().context("`cargo tree` failed")?);
    let carried = carried(&fs::read(program)?);
    if carried.is_empty() {
        bail!("the program carries no paths of sources, so nothing says what is in it");
    }
    for (what, crates) in [("cargo builds", &planned), ("the program carries", &carried)] {
        let missing: Vec<&str> = crates.difference(&listed).map(String::as_str).collect();
        if !missing.is_empty() {
            bail!("not on the bill of materials, though {what} them: {}", missing.join(", "));
        }
    }
    Ok(format!(
        "the bill lists {} crates: all {} that cargo builds, all {} that have left their paths in the program",
        listed.len(),
        planned.len(),
        carried.len()
    ))
}

/// `name-version` of what is on the bill, the program itself with it.
fn listed(bill: &Value) -> Option<BTreeSet<String>> {
    let all = bill["components"].as_array()?.iter().chain([&bill["metadata"]["component"]]);
    all.map(|it| Some(format!("{}-{}", it["name"].as_str()?, it["version"].as_str()?))).collect()
}

/// The same of `name vVERSION (…)`, a line each.
pub(super) fn planned(tree: &str) -> BTreeSet<String> {
    let pairs = tree.lines().filter_map(|line| line.split_once(" v"));
    pairs
        .map(|(name, rest)| format!("{name}-{}", rest.split(' ').next().unwrap_or_default()))
        .collect()
}

/// The same of `…/registry/src/INDEX/name-version/…` in a program.
fn carried(program: &[u8]) -> BTreeSet<String> {
    const MARK: &[u8] = b"/registry/src/";
    let starts = program.windows(MARK.len()).enumerate().filter(|(_, it)| *it == MARK);
    let folders = starts.filter_map(|(at, _)| {
        let mut parts = program[at + MARK.len()..].split(|byte| *byte == b'/');
        let folder = parts.nth(1)?;
        // What is cut off by another text is no folder.
        parts.next()?;
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte);
        (folder.len() < 100 && folder.iter().all(plain)).then_some(folder)
    });
    folders.map(|it| String::from_utf8_lossy(it).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn names_and_versions_are_found_in_all_three() {
        let bill = json!({
            "components": [{"name": "a", "version": "1.0.0"}],
            "metadata": {"component": {"name": "p", "version": "0.1.0"}},
        });
        assert_eq!(listed(&bill), Some(set(&["a-1.0.0", "p-0.1.0"])));
        let tree = "p v0.1.0 (/home/p)\na v1.0.0\nb-c v2.0.0-rc.1 (proc-macro)\na v1.0.0 (*)\n\n";
        assert_eq!(planned(tree), set(&["p-0.1.0", "a-1.0.0", "b-c-2.0.0-rc.1"]));
        let program =
            b"x/registry/src/index-1/a-1.0.0/src/lib.rs\0\xff/registry/src/i/b_c-2.0.0+z/x/registry/src/";
        assert_eq!(carried(program), set(&["a-1.0.0", "b_c-2.0.0+z"]));
    }

    #[test]
    fn a_bill_of_another_form_is_not_an_empty_one() {
        assert_eq!(listed(&json!({"packages": []})), None);
        assert_eq!(listed(&json!({"components": [{"name": "a"}]})), None);
    }
}
