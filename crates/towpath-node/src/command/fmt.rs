//! `towpath fmt`: network files in order.
//!
//! What it does: two spaces for each level, one empty line at most, no spaces at the ends of lines, `\n` between them, one at the end.
//! What it leaves: the order of keys, comments, quotes, flow mappings and their columns, which people align by hand.
//!
//! Why lines and no writer of YAML: none of the well-kept ones keeps comments. Text that is only moved keeps everything, and what came
//! out is read again and compared with what went in; where they differ, the file is left as it was.

use std::{fs, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};
use towpath_patterns::yaml::{self, Kind, LoadError, Node};

use super::{Exit, Failure};

/// Spaces for a level.
const INDENT: usize = 2;

#[derive(Args)]
pub(super) struct Options {
    /// The network files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only says which are not in order; the exit code is 1 then.
    #[arg(long)]
    check: bool,
    /// Tells it as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut told = Vec::new();
    let mut changed = 0;
    for path in &options.files {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        let tidy = formatted(&name, &text)?;
        let differs = tidy != text;
        if differs {
            changed += 1;
            if !options.check {
                fs::write(path, tidy).map_err(|error| format!("{name}: {error}"))?;
            }
            if !options.json {
                println!("{name}: {}", if options.check { "not in order" } else { "put in order" });
            }
        }
        told.push(json!({"file": name, "changed": differs}));
    }
    if options.json {
        println!("{}", Value::from(told));
    }
    if options.check && changed > 0 { Err(Exit::silent().into()) } else { Ok(()) }
}

/// The text in order.
///
/// # Errors
/// It is no YAML.
fn formatted(name: &str, text: &str) -> Result<String, LoadError> {
    let before = yaml::parse(text).map_err(|problem| LoadError::new(name, text, vec![problem]))?;
    let says_the_same = |tidy: &String| yaml::parse(tidy).is_ok_and(|after| same(&before, &after));
    // Where levels cannot be moved without changing what is said, at least the ends of lines are put in order; or nothing.
    let ways = [tidied(text, true), tidied(text, false)];
    Ok(ways.into_iter().find(says_the_same).unwrap_or_else(|| text.to_owned()))
}

/// Whether two files say the same, wherever it stands.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Mapping(one), Kind::Mapping(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|((one_key, one), (other_key, other))| {
                    one_key.text == other_key.text && same(one, other)
                })
        }
        (Kind::Sequence(one), Kind::Sequence(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Kind::Scalar(one, one_style), Kind::Scalar(other, other_style)) => {
            one == other && one_style == other_style
        }
        (Kind::Empty, Kind::Empty) => true,
        _ => false,
    }
}

fn tidied(text: &str, moves_levels: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut levels = Levels::default();
    let mut empty = 0;
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if empty > 0 && !out.is_empty() {
            out.push('\n');
        }
        empty = 0;
        let inner = line.trim_start_matches(' ');
        let indent = line.len() - inner.len();
        let indent = if moves_levels { levels.place(indent, inner) } else { indent };
        out.push_str(&" ".repeat(indent));
        out.push_str(inner);
        out.push('\n');
    }
    out
}

/// Which levels are open: where they stood, and where they stand now.
#[derive(Default)]
struct Levels {
    open: Vec<(usize, usize)>,
    /// Brackets that are open: their lines move with the one they began in.
    brackets: usize,
    /// How far lines inside of brackets or of a text move, to the right or to the left.
    shift: isize,
    /// The level of the line that began a text in lines (`|`, `>`), until it ends.
    text: Option<usize>,
}

impl Levels {
    /// Where a line goes that stood here.
    fn place(&mut self, indent: usize, inner: &str) -> usize {
        let moved = |shift: isize| indent.saturating_add_signed(shift);
        if let Some(level) = self.text {
            if indent > level {
                return moved(self.shift);
            }
            self.text = None;
        }
        if self.brackets > 0 {
            self.brackets = open_brackets(self.brackets, inner);
            return moved(self.shift);
        }
        while self.open.last().is_some_and(|(stood, _)| *stood > indent) {
            self.open.pop();
        }
        let stands = match self.open.last() {
            Some((stood, stands)) if *stood == indent => *stands,
            Some((_, stands)) => stands + INDENT,
            None => 0,
        };
        if inner.starts_with('#') {
            // A comment opens no level.
            return stands;
        }
        if self.open.last().is_none_or(|(stood, _)| *stood != indent) {
            self.open.push((indent, stands));
        }
        // What stands behind a dash opens a level of its own.
        let (mut rest, mut stood, mut now) = (inner, indent, stands);
        while let Some(more) = rest.strip_prefix("- ") {
            let gap = more.len() - more.trim_start_matches(' ').len();
            (rest, stood, now) = (more.trim_start_matches(' '), stood + 2 + gap, now + 2 + gap);
            self.open.push((stood, now));
        }
        self.shift = stands as isize - indent as isize;
        self.brackets = open_brackets(0, inner);
        let ends = inner.split(" #").next().unwrap_or_default().trim_end();
        let is_text = ["|", ">", "|-", ">-", "|+", ">+"].iter().any(|it| ends.ends_with(it));
        self.text = is_text.then_some(indent);
        stands
    }
}

/// How many brackets are open behind a line; those in quotes and comments are none.
fn open_brackets(mut open: usize, line: &str) -> usize {
    let mut quote = None;
    let mut before = ' ';
    for c in line.chars() {
        match (quote, c) {
            (Some(q), _) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (None, '#') if before == ' ' => break,
            (None, '{' | '[') => open += 1,
            (None, '}' | ']') => open = open.saturating_sub(1),
            (None, _) => {}
        }
        before = c;
    }
    open
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_put_in_order_and_says_the_same() {
        let text = "# a shop\nversion: 1   \n\n\n\nname: shop\nchannels:\n    orders: {capacity: 16,   # many\n             full: block}\n    late:\nprocesses:\n     # who\n     desk:\n        uses: load\n        message: |\n            two\n              lines\n        out: orders\ntests:\n-   send: {orders: 1}\n    expect: {late: 1}";
        let tidy = "# a shop\nversion: 1\n\nname: shop\nchannels:\n  orders: {capacity: 16,   # many\n           full: block}\n  late:\nprocesses:\n  # who\n  desk:\n    uses: load\n    message: |\n        two\n          lines\n    out: orders\ntests:\n-   send: {orders: 1}\n    expect: {late: 1}\n";
        let out = formatted("shop.yaml", text).unwrap();
        assert_eq!(out, tidy);
        assert_eq!(formatted("shop.yaml", &out).unwrap(), out);
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        let error = formatted("bad.yaml", "a: [1\nb: 2\n").unwrap_err().to_string();
        assert!(error.contains("bad.yaml:"), "{error}");
    }

    proptest! {
        /// Whatever comes in, what comes out says the same, and is in order.
        #[test]
        fn nothing_is_lost(lines in proptest::collection::vec(("[ ]{0,6}", "(- ){0,2}", "(a|b|c|d)[0-9]: ?(\\{x: 1|\\[1, 2\\]|'q # '|\\||#c|5|)"), 0..12)) {
            let text: String = lines.iter().map(|(a, b, c)| format!("{a}{b}{c}\n")).collect();
            if let Ok(before) = yaml::parse(&text) {
                let out = formatted("x", &text).unwrap();
                prop_assert!(same(&before, &yaml::parse(&out).unwrap()), "{text}\n{out}");
            }
        }
    }
}
