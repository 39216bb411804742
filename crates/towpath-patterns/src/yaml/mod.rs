//! YAML that remembers where everything stood, so that errors point at the word that is wrong.
//!
//! Tables of [machines](mod@crate::machine) and the network files of the node are read with it: as a tree ([`parse`]), or
//! through serde ([`read`]). Errors come with line, column and the line itself ([`LoadError`]), and say what was probably meant.
//!
//! Anchors, aliases and tags are not read; what is read takes time and memory in proportion to its text.

mod de;
mod names;
pub(crate) mod span;
mod tree;

use std::error::Error;
use std::fmt;

pub use de::{At, Text, read};
pub use names::hint;
pub use span::Span;
pub use tree::{Kind, Node, Word, parse};

/// Where something stands, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what to do about it.
    pub message: String,
}

impl Problem {
    /// This, there.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }
}

/// Why a file cannot be used. Shows each problem with the line it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    file: String,
    lines: Vec<String>,
    problems: Vec<Problem>,
}

impl LoadError {
    /// What is wrong, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// These problems of a text; `file` is the name that they carry.
    pub fn new(file: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place);
        problems.dedup();
        // Only the lines that are shown.
        let line = |problem: &Problem| {
            let line = text.lines().nth(problem.place.line - 1).unwrap_or_default();
            line.chars().take(LINE_CHARS_MAX).collect()
        };
        let lines = problems.iter().map(line).collect();
        Self { file: file.to_owned(), lines, problems }
    }
}

/// Characters of a line that an error shows.
const LINE_CHARS_MAX: usize = 120;

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (Problem { place, message }, line)) in
            self.problems.iter().zip(&self.lines).enumerate()
        {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{}:{}:{}: {message}", self.file, place.line, place.column)?;
            if place.column <= line.chars().count() + 1 {
                let number = place.line.to_string();
                let indent = " ".repeat(number.len() + 2 + place.column);
                write!(f, "\n  {number} | {line}\n  {indent}^")?;
            }
        }
        Ok(())
    }
}

impl Error for LoadError {}
