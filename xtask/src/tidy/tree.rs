//! The files of the repository, held in memory.
//!
//! What always holds:
//! - Paths are relative to the root and use `/`; files come in the order of their paths.
//! - Files that git ignores are absent. Without git, build folders and hidden folders are left out instead.
//! - `code` of a file has as many lines as its text, so line numbers found in one are right in the other.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::source;

/// Larger files are known by their size alone.
pub(super) const READ_BYTES_MAX: u64 = 1 << 20;

/// All files that a commit of the present state would hold.
pub(super) struct Tree {
    files: Vec<File>,
}

/// One file; `text` is absent when it is too large or not UTF-8.
pub(super) struct File {
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) text: Option<String>,
    code: OnceCell<String>,
}

impl Tree {
    pub(super) fn from_disk(root: &Path) -> Result<Self> {
        let paths = listed_by_git(root).map_or_else(|| found_on_disk(root), Ok)?;
        let mut files = Vec::new();
        for path in paths {
            let full = root.join(&path);
            // A file that was deleted and not yet committed is still in git's list.
            let Ok(metadata) = fs::symlink_metadata(&full) else { continue };
            if !metadata.is_file() {
                continue;
            }
            let text = if metadata.len() <= READ_BYTES_MAX {
                let content = fs::read(&full).with_context(|| format!("could not read {path}"))?;
                String::from_utf8(content).ok()
            } else {
                None
            };
            files.push(File { path, bytes: metadata.len(), text, code: OnceCell::new() });
        }
        Ok(Self { files })
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// Rust files with text.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs") && file.text.is_some())
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path)?.text.as_deref()
    }

    /// Folders under `crates`.
    pub(super) fn crates(&self) -> BTreeSet<&str> {
        let inside = self.files.iter().filter_map(|file| file.path.strip_prefix("crates/"));
        inside.filter_map(|path| path.split_once('/')).map(|(folder, _)| folder).collect()
    }
}

impl File {
    #[cfg(test)]
    fn new(path: &str, content: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            bytes: content.len() as u64,
            text: String::from_utf8(content.to_vec()).ok(),
            code: OnceCell::new(),
        }
    }

    /// The text with comments, strings and `#[cfg(test)]` items blanked.
    pub(super) fn code(&self) -> &str {
        let text = self.text.as_deref().unwrap_or_default();
        self.code.get_or_init(|| source::without_tests(&source::code_only(text)))
    }

    /// The crate whose `src` this file lies in, unless the file holds only tests.
    pub(super) fn product_of(&self) -> Option<&str> {
        let (name, inside) = self.path.strip_prefix("crates/")?.split_once('/')?;
        let inside = inside.strip_prefix("src/")?;
        let mut parts = inside.trim_end_matches(".rs").split('/');
        let tests = parts.any(|part| part == "tests" || part == "loom" || part.ends_with("_tests"));
        (!tests).then_some(name)
    }
}

/// Tracked files, and new ones that are not ignored; `None` without git or outside a repository.
fn listed_by_git(root: &Path) -> Option<BTreeSet<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let list = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

fn found_on_disk(root: &Path) -> Result<BTreeSet<String>> {
    let kept = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let known = [".ci", ".cargo", ".editorconfig", ".gitignore"].contains(&name.as_ref());
        entry.depth() == 0 || known || !(name.starts_with('.') || name == "target")
    };
    let mut paths = BTreeSet::new();
    for entry in WalkDir::new(root).into_iter().filter_entry(kept) {
        let entry = entry.context("could not walk the repository")?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(root).context("a file outside the root")?;
            paths.insert(path.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(paths)
}

#[cfg(test)]
impl Tree {
    /// A tree made of paths and contents.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self::of_bytes(
            &files.iter().map(|(path, text)| (*path, text.as_bytes())).collect::<Vec<_>>(),
        )
    }

    pub(super) fn of_bytes(files: &[(&str, &[u8])]) -> Self {
        let mut files: Vec<_> =
            files.iter().map(|(path, content)| File::new(path, content)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_seen_alike_with_and_without_git() {
        let root = crate::session::root();
        let on_disk = found_on_disk(&root).unwrap();
        assert!(on_disk.contains("xtask/src/tidy/tree.rs") && on_disk.contains(".ci/run"));
        assert!(
            !on_disk.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/"))
        );
        if let Some(by_git) = listed_by_git(&root) {
            assert!(by_git.contains("xtask/src/tidy/tree.rs"));
        }
    }

    #[test]
    fn only_product_code_counts_as_product() {
        for (path, expected) in [
            ("crates/towpath/src/raw/ring.rs", Some("towpath")),
            ("crates/towpath/src/raw/loom.rs", None),
            ("crates/towpath/src/ctx/tests.rs", None),
            ("crates/towpath/tests/it/main.rs", None),
            ("xtask/src/main.rs", None),
        ] {
            assert_eq!(File::new(path, b"").product_of(), expected, "{path}");
        }
    }
}
