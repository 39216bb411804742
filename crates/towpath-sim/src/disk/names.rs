//! Names: which path leads to which file. A flat, ordered map; the root is the empty path.

use std::{collections::BTreeMap, io};

use super::state::errno;
use super::state::errno::{self as numbers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    File(u64),
    Directory,
}

/// One change of names. It happens whole or not at all, also in a power cut.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Link { path: String, entry: Entry },
    Unlink { path: String },
    Rename { from: String, to: String, inode: u64 },
}

impl Change {
    /// Whether syncing this directory makes it safe.
    pub(super) fn touches(&self, directory: &str) -> bool {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } => parent(path) == directory,
            Self::Rename { from, to, .. } => parent(from) == directory || parent(to) == directory,
        }
    }

    /// The file that a name would lead to.
    pub(super) fn file(&self) -> Option<u64> {
        match self {
            Self::Link { entry: Entry::File(inode), .. } | Self::Rename { inode, .. } => {
                Some(*inode)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<String, Entry>);

impl Names {
    pub(super) fn get(&self, path: &str) -> Option<Entry> {
        if path.is_empty() { Some(Entry::Directory) } else { self.0.get(path).copied() }
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Link { path, entry } => {
                self.0.insert(path.clone(), *entry);
            }
            Change::Unlink { path } => {
                self.0.remove(path);
            }
            Change::Rename { from, to, inode } => {
                if self.0.get(from) == Some(&Entry::File(*inode)) {
                    self.0.remove(from);
                }
                self.0.insert(to.clone(), Entry::File(*inode));
            }
        }
    }

    /// # Errors
    /// When the directory in which `path` would lie is not one.
    pub(super) fn parent_of(&self, path: &str) -> io::Result<()> {
        match self.get(parent(path)) {
            Some(Entry::Directory) => Ok(()),
            Some(Entry::File(_)) => Err(errno(numbers::ENOTDIR)),
            None => Err(errno(numbers::ENOENT)),
        }
    }

    /// The names in a directory, in order.
    pub(super) fn list(&self, directory: &str) -> Vec<String> {
        let inside = self.0.keys().filter(|path| parent(path) == directory);
        inside.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect()
    }

    /// The files that have a name, in the order of their names.
    pub(super) fn files(&self) -> impl Iterator<Item = u64> {
        self.0.values().filter_map(|entry| match entry {
            Entry::File(inode) => Some(*inode),
            Entry::Directory => None,
        })
    }

    /// Drops what lies in directories that are gone. Parents come before what is in them.
    pub(super) fn drop_orphans(&mut self) {
        let paths: Vec<String> = self.0.keys().cloned().collect();
        for path in paths {
            if self.get(parent(&path)) != Some(Entry::Directory) {
                self.0.remove(&path);
            }
        }
    }
}

/// A path without what means nothing in it: `/log//1` and `log/./1` are `log/1`.
pub(super) fn normal(path: &str) -> io::Result<String> {
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    if parts.contains(&"..") {
        return Err(errno(numbers::EINVAL));
    }
    Ok(parts.join("/"))
}

/// The directory in which `path` lies.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
