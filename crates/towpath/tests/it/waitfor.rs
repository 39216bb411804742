//! Who waits for whom: small worlds written as text, and the report expected of each.

mod cases;
mod drawings;
mod kernels;
mod oracle;
mod world;

use towpath::waitfor::Options;

/// The report of a world; `expected` may be indented.
fn check(world: &str, expected: &str) {
    check_with(&Options::new(), world, expected);
}

fn check_with(options: &Options, world: &str, expected: &str) {
    let report = world::parse(world).analyse(options);
    assert_eq!(format!("{report:#}"), trim(expected), "\nof the world:\n{world}");
}

/// Takes off the indent that the lines after the first share.
fn trim(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let shared = text.lines().skip(1).map(indent).min().unwrap_or_default();
    let lines = text.lines().map(|line| line.get(indent(line).min(shared)..).unwrap_or_default());
    lines.map(|line| format!("{line}\n")).collect()
}
