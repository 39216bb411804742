//! `cargo xtask book`: the book as HTML, in `target/book`, ready to be put on any web server.
//!
//! What always holds:
//! - Every link in it leads somewhere: to a page, to a picture, or to a file of this repository, of which the book then has a copy.
//! - The programs that the chapters show are tested elsewhere: `cargo test -p book`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use walkdir::WalkDir;

use crate::session::{Job, Outcome, Session, root, target_dir};

const NO_MDBOOK: &str = "no mdbook here; `cargo install --locked mdbook`";

/// Where copies of the repository's files lie in the book.
const COPIES: &str = "repository";

pub(crate) fn run(session: &mut Session) -> Result<Outcome> {
    if Job::program("mdbook", &root()).arg("--version").output().is_none() {
        return Ok(Outcome::Skipped(NO_MDBOOK.to_owned()));
    }
    let book = target_dir().join("book");
    let build = Job::program("mdbook", &root()).args(["build", "docs/book", "--dest-dir"]);
    session.run(&build.arg(book.display().to_string()))?;
    let (mut pages, mut copies, mut broken) = (0, BTreeSet::new(), Vec::new());
    for entry in WalkDir::new(&book).sort_by_file_name() {
        let entry = entry?;
        if entry.path().extension().is_none_or(|it| it != "html") {
            continue;
        }
        let page = entry.path().strip_prefix(&book)?;
        let text = fs::read_to_string(entry.path())?;
        let mended = mend(&book, page, &text, &mut copies, &mut broken)?;
        if mended != text {
            fs::write(entry.path(), mended)?;
        }
        pages += 1;
    }
    if !broken.is_empty() {
        bail!("links of the book that lead nowhere:\n{}", broken.join("\n"));
    }
    println!(
        "{pages} pages in {}, with copies of {} files that they speak of",
        book.display(),
        copies.len()
    );
    Ok(Outcome::Done)
}

/// The page with its links to files of the repository led to copies of them.
fn mend(
    book: &Path,
    page: &Path,
    text: &str,
    copies: &mut BTreeSet<PathBuf>,
    broken: &mut Vec<String>,
) -> Result<String> {
    let mut parts = text.split("href=\"");
    let mut mended = parts.next().unwrap_or_default().to_owned();
    let folder = page.parent().context("a page in no folder")?;
    for part in parts {
        mended.push_str("href=\"");
        let (link, rest) = part.split_once('"').context("a link without an end")?;
        let path = link.split(['#', '?']).next().unwrap_or_default();
        let elsewhere = path.is_empty() || path.starts_with('/') || path.contains(':');
        if elsewhere || book.join(folder).join(path).exists() {
            mended.push_str(link);
        } else if let Some(file) = of_repository(folder, path) {
            let copy = Path::new(COPIES).join(&file);
            let to = book.join(&copy);
            fs::create_dir_all(to.parent().context("a copy in no folder")?)?;
            fs::copy(root().join(&file), to)?;
            copies.insert(file);
            mended.push_str(&"../".repeat(folder.components().count()));
            mended.push_str(&copy.to_string_lossy());
        } else {
            broken.push(format!("  {}: {link}", page.display()));
            mended.push_str(link);
        }
        mended.push('"');
        mended.push_str(rest);
    }
    Ok(mended)
}

/// The file of this repository that a chapter in `folder` means, by its path in there.
fn of_repository(folder: &Path, link: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new("docs/book/src").join(folder).join(link).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    // mdBook makes a page of each name that ends in .md, also of those that it has not.
    [path.clone(), path.with_extension("md")].into_iter().find(|it| root().join(it).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_chapters_lead_to_files_of_the_repository() {
        let folder = Path::new("operating");
        let told = |link| of_repository(folder, link).map(|it| it.display().to_string());
        assert_eq!(told("../../../../STYLE.md").as_deref(), Some("STYLE.md"));
        assert_eq!(told("../../../../STYLE.html").as_deref(), Some("STYLE.md"));
        assert_eq!(told("../../book.toml").as_deref(), Some("docs/book/book.toml"));
        assert_eq!(told("nowhere.md"), None);
        assert_eq!(told("../../../../../etc/passwd"), None);
    }
}
