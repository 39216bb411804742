//! What a run leaves: a markdown table per group and mode, and every sample as JSON.
//!
//! A figure is the median of the samples that nobody disturbed; when there are fewer than two of those, the
//! median of all of them with a `~`. `towpath / best peer` compares with the best library for Rust, not with Go.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cells::Cell;
use crate::go;
use crate::machine::{Machine, first_line};
use crate::peers::{GO, is_ours};
use crate::runner::{Plan, Sample};
use crate::sample::Report;

/// Everything about a run.
#[derive(Serialize)]
pub(crate) struct Run<'a> {
    date: String,
    machine: Machine,
    versions: BTreeMap<String, String>,
    repeats: usize,
    quick: bool,
    /// What went missing before the first sample.
    note: Option<String>,
    samples: &'a [Sample],
}

impl<'a> Run<'a> {
    /// Notes when and where `samples` were taken.
    pub(crate) fn of(plan: &Plan, note: Option<String>, samples: &'a [Sample]) -> Run<'a> {
        Run {
            date: first_line("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
            machine: Machine::here(),
            versions: versions(),
            repeats: plan.repeats,
            quick: plan.quick,
            note,
            samples,
        }
    }

    /// All samples, for machines.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a run is plain data") + "\n"
    }

    /// The tables, for people.
    pub(crate) fn markdown(&self, plan: &Plan) -> String {
        let mut md = String::new();
        let versions: Vec<_> = self.versions.iter().map(|(k, v)| format!("{k} {v}")).collect();
        let _ = writeln!(
            md,
            "{}; {}; {} repeats{}.\n\n{}.\n\nProducers x consumers: spsc 1x1, mpsc 4x1, mpmc 4x4. \
             A cell is `shape : capacity : payload bytes`, in selects `arms : channels : capacity`. \
             `-`: not offered. FAIL: hung, panicked or wrong.\n",
            self.date,
            self.machine,
            self.repeats,
            if self.quick { ", quick: the figures mean nothing" } else { "" },
            versions.join(", "),
        );
        if let Some(note) = &self.note {
            let _ = writeln!(md, "{note}.\n");
        }
        let mut tables: Vec<String> = Vec::new();
        for cell in &plan.cells {
            if !tables.contains(&cell.table()) {
                tables.push(cell.table());
            }
        }
        for table in tables {
            let cells: Vec<Cell> =
                plan.cells.iter().copied().filter(|cell| cell.table() == table).collect();
            self.table(&mut md, &table, &cells, &plan.libs);
        }
        md
    }

    fn table(&self, md: &mut String, table: &str, cells: &[Cell], libs: &[&'static str]) {
        let measured = |lib: &&'static str| {
            self.samples.iter().any(|sample| sample.lib == *lib && cells.contains(&sample.cell))
        };
        let libs: Vec<&'static str> = libs.iter().copied().filter(measured).collect();
        if libs.is_empty() {
            return;
        }
        let unit = cells[0].unit();
        let _ = writeln!(
            md,
            "### {}: {unit}, median; **best**; `~` = fewer than 2 undisturbed samples\n",
            table.replace('/', ", ")
        );
        let _ =
            writeln!(md, "| cell | {} | towpath / best peer | towpath / Go |", libs.join(" | "));
        let _ = writeln!(md, "|---|{}---|---|", "---|".repeat(libs.len()));
        for &cell in cells {
            let figures: Vec<(&str, Figure)> =
                libs.iter().map(|&lib| (lib, self.figure(cell, lib))).collect();
            let best_of = |wanted: &dyn Fn(&str) -> bool| {
                let values = figures.iter().filter(|(lib, _)| wanted(lib));
                values.filter_map(|(_, figure)| figure.value).min_by(f64::total_cmp)
            };
            let best = best_of(&|_| true);
            let ours = best_of(&|lib| is_ours(lib));
            let peers = best_of(&|lib| !is_ours(lib) && !GO.contains(&lib));
            let go = best_of(&|lib| GO.contains(&lib));
            let _ = write!(md, "| {} |", cell.row());
            for (_, figure) in &figures {
                let _ = match figure.value {
                    Some(value) if figure.value == best => {
                        write!(md, " **{}**{} |", short(value), figure.note)
                    }
                    Some(value) => write!(md, " {}{} |", short(value), figure.note),
                    None => write!(md, " {} |", figure.note),
                };
            }
            let _ = writeln!(md, " {} | {} |", ratio(ours, peers), ratio(ours, go));
        }
        md.push('\n');
    }

    fn figure(&self, cell: Cell, lib: &str) -> Figure {
        let here = || self.samples.iter().filter(|s| s.cell == cell && s.lib == lib);
        let values = |disturbed_too: bool| {
            here()
                .filter(|sample| disturbed_too || !sample.disturbed)
                .filter_map(|sample| match sample.report {
                    Report::Ok { value } => Some(value),
                    _ => None,
                })
                .collect::<Vec<f64>>()
        };
        let why = here().find_map(|sample| match &sample.report {
            Report::Fail { why } => Some(why.as_str()),
            _ => None,
        });
        let failed = here().filter(|s| matches!(s.report, Report::Fail { .. })).count();
        let quiet = values(false);
        let few = quiet.len() < 2;
        let Some(value) = median(if few { values(true) } else { quiet }) else {
            let note = match why {
                Some(why) => {
                    format!("FAIL {}", why.replace('|', "/").chars().take(40).collect::<String>())
                }
                None => "-".to_owned(),
            };
            return Figure { value: None, note };
        };
        let mut note = if few { "~".to_owned() } else { String::new() };
        if failed > 0 {
            let _ = write!(note, " ({failed} failed)");
        }
        Figure { value: Some(value), note }
    }
}

/// One entry of a table.
struct Figure {
    value: Option<f64>,
    note: String,
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Three digits are all that these figures can carry.
fn short(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => format!("{:.2}", ours / theirs),
        _ => "-".to_owned(),
    }
}

/// Versions of the compilers and of everybody measured, as this binary was built.
fn versions() -> BTreeMap<String, String> {
    const MEASURED: [&str; 11] = [
        "async-channel",
        "crossbeam-channel",
        "crossfire",
        "flume",
        "kanal",
        "loole",
        "may",
        "tachyonix",
        "thingbuf",
        "tokio",
        "towpath",
    ];
    let mut versions = BTreeMap::new();
    let mut name = "";
    for line in include_str!("../../../Cargo.lock").lines() {
        let value = |key| line.strip_prefix(key).and_then(|v: &str| v.split('"').nth(1));
        if let Some(found) = value("name = ") {
            name = found;
        } else if let Some(version) = value("version = ")
            && MEASURED.contains(&name)
        {
            versions.insert(name.to_owned(), version.to_owned());
        }
    }
    let rustc = first_line("rustc", &["--version"]);
    versions.insert("rustc".into(), rustc.trim_start_matches("rustc ").into());
    versions.insert("go".into(), go::version().unwrap_or_else(|| "not installed, skipped".into()));
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn ratios_need_both_sides() {
        assert_eq!(ratio(Some(50.0), Some(100.0)), "0.50");
        assert_eq!(ratio(None, Some(100.0)), "-");
    }
}
