//! Every queue length has a name and a reason.
//!
//! A bare number in `bounded(64)` hides a decision about memory and delay. A constant has a doc comment, a
//! configuration field has a manual: either is a place for the reason.

use super::tree::Tree;
use super::{Problem, source};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.rust().filter(|file| file.product_of().is_some()) {
        let code = file.code();
        for at in source::find_word(code, "bounded") {
            if code[..at].trim_end().ends_with("fn") {
                continue;
            }
            let Some(argument) = first_argument(&code[at + "bounded".len()..]) else { continue };
            if is_bare_number(argument) {
                let line = source::line_of(code, at);
                let message = format!(
                    "`bounded({argument})` has a bare capacity: name it in a `const` whose comment \
                     says why, or take it from the configuration (for 0, call `rendezvous`)"
                );
                problems.push(Problem::new(&file.path, line, message));
            }
        }
    }
    problems
}

/// The first argument of a call whose name ends just before `rest`, type arguments allowed.
fn first_argument(rest: &str) -> Option<&str> {
    let mut rest = rest.trim_start();
    if let Some(generics) = rest.strip_prefix("::") {
        let mut depth = 0_usize;
        let end = generics.find(|c| {
            match c {
                '<' => depth += 1,
                '>' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })?;
        rest = generics[end + 1..].trim_start();
    }
    let rest = rest.strip_prefix('(')?;
    let mut depth = 0_usize;
    let end = rest.find(|c| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' if depth == 0 => return true,
            _ => {}
        }
        false
    })?;
    Some(rest[..end].trim())
}

/// Whether an expression has numbers and operators in it, and no name: `64`, `0x40_usize`, `4 * 1024`.
fn is_bare_number(argument: &str) -> bool {
    let mut words = argument.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let is_type = |word: &str| ["as", "usize", "u8", "u16", "u32", "u64"].contains(&word);
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    argument.contains(|c: char| c.is_ascii_digit())
        && words.all(|word| word.is_empty() || number(word) || is_type(word))
}
