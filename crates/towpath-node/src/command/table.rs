//! Tables for people: columns under each other, numbers to the right, and colour only where somebody looks.

use std::io::{IsTerminal as _, stdout};

/// How a word is shown where colours are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    /// Something is wrong.
    Bad,
    /// Something may be wrong.
    Doubtful,
}

/// A table, row for row.
pub(super) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<(Tone, Vec<String>)>,
}

impl Table {
    /// With these heads; one that begins with `>` is of numbers.
    pub(super) fn new(heads: &[&'static str]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.toned(Tone::Plain, cells);
    }

    pub(super) fn toned(&mut self, tone: Tone, cells: impl IntoIterator<Item = String>) {
        self.rows.push((tone, cells.into_iter().collect()));
    }

    /// Writes it to the standard output.
    pub(super) fn print(&self) {
        print!("{}", self.text(colours()));
    }

    fn text(&self, colours: bool) -> String {
        let heads: Vec<String> =
            self.heads.iter().map(|it| it.trim_start_matches('>').to_owned()).collect();
        let mut widths: Vec<usize> = heads.iter().map(|it| it.chars().count()).collect();
        for (_, cells) in &self.rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for (tone, cells) in std::iter::once(&(Tone::Plain, heads)).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, width), head) in cells.iter().zip(&widths).zip(&self.heads) {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                let is_number = head.starts_with('>');
                let (before, after) = if is_number { (&*gap, "") } else { ("", &*gap) };
                line.push_str(&format!("{before}{cell}{after}  "));
            }
            text.push_str(&toned(*tone, line.trim_end(), colours));
            text.push('\n');
        }
        text
    }
}

/// Whether the standard output shows colours: it is a terminal, and nobody has said otherwise (no-color.org).
pub(super) fn colours() -> bool {
    stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

fn toned(tone: Tone, text: &str, colours: bool) -> String {
    match (tone, colours) {
        (Tone::Bad, true) => format!("\x1b[31m{text}\x1b[0m"),
        (Tone::Doubtful, true) => format!("\x1b[33m{text}\x1b[0m"),
        _ => text.to_owned(),
    }
}

/// A time in milliseconds, short.
pub(super) fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1e3),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        _ => format!("{:.1} h", ms as f64 / 3.6e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(&["NAME", ">COUNT", "STATE"]);
        table.row(["ä".to_owned(), "5".to_owned(), "waiting".to_owned()]);
        table.toned(Tone::Bad, ["longer".to_owned(), "12345678".to_owned(), String::new()]);
        let plain = "NAME       COUNT  STATE\nä              5  waiting\nlonger  12345678\n";
        assert_eq!(table.text(false), plain);
        assert!(table.text(true).contains("\x1b[31mlonger"));
    }

    #[test]
    fn times_are_short() {
        let told: Vec<_> = [5, 1500, 120_000, 5_400_000].map(time).into();
        assert_eq!(told, ["5 ms", "1.5 s", "2 min", "1.5 h"]);
    }
}
