//! What does not belong in a source repository: large files, and generated ones among the sources.

use super::Problem;
use super::tree::{READ_BYTES_MAX, Tree};

/// No file is larger; a clone stays small for ever only if it never was large.
const FILE_BYTES_MAX: u64 = READ_BYTES_MAX;

/// A page with four pictures still comes at once.
const PICTURE_BYTES_MAX: u64 = 200_000;

/// Nobody writes longer lines by hand.
const LINE_BYTES_MAX: usize = 1_000;

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let large = tree.files().iter().filter(|file| file.bytes > FILE_BYTES_MAX);
    large
        .map(|file| {
            let message = format!(
                "has {} bytes, more than {FILE_BYTES_MAX}: make it when it is needed, or fetch it",
                file.bytes
            );
            Problem::new(&file.path, 1, message)
        })
        .collect()
}

/// Pages of the book show pictures, and mdBook takes them from beside the text.
const PICTURES: &str = "docs/book/src/images/";

/// Files under a `src` are text that a person wrote.
pub(super) fn blobs(tree: &Tree) -> Vec<Problem> {
    // Put together here, or this file would be found.
    let marker = concat!("@", "generated");
    let mut problems = Vec::new();
    for file in tree.files().iter().filter(|file| file.path.contains("/src/")) {
        if file.path.starts_with(PICTURES) && file.path.ends_with(".png") {
            if file.bytes > PICTURE_BYTES_MAX {
                let message = format!(
                    "has {} bytes, more than {PICTURE_BYTES_MAX}: make it smaller",
                    file.bytes
                );
                problems.push(Problem::new(&file.path, 1, message));
            }
            continue;
        }
        let Some(text) = file.text.as_deref().filter(|text| !text.contains('\0')) else {
            let message = "is not text: keep data beside `src` or make it in a build script";
            problems.push(Problem::new(&file.path, 1, message));
            continue;
        };
        let generated = |line: &str| line.contains(marker) || line.len() > LINE_BYTES_MAX;
        if let Some(index) = text.lines().position(generated) {
            let message = "looks generated: make it in a build script, or keep it beside `src`";
            problems.push(Problem::new(&file.path, index + 1, message));
        }
    }
    problems
}
