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

/// Takes off the indent that the first line has.
fn trim(text: &str) -> String {
    let text = text.trim_start_matches('\n').trim_end();
    let indent = text.len() - text.trim_start().len();
    text.lines().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect()
}
