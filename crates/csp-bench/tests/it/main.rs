//! What holds for every kernel, without a simulator: names, and that what has no bug ends on a real runtime.

mod campaigns;
mod clean;
mod quiet;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use csp_bench::{Fate, Symptom, kernels};

#[test]
fn names_are_given_once() {
    let mut seen = BTreeSet::new();
    for kernel in kernels::all() {
        assert!(seen.insert(kernel.name), "two kernels are called {}", kernel.name);
    }
}

/// A marked line must exist for every process that a kernel expects to be stuck.
#[test]
fn expectations_point_at_a_line() {
    for kernel in kernels::all() {
        for stuck in kernel.stuck {
            let marked = kernel.lines_of(stuck.process).count();
            assert!(marked > 0, "{}: no line is marked `stuck: {}`", kernel.name, stuck.process);
        }
    }
}

/// Neighbours in one file have processes of the same name; where they wait is told apart.
#[test]
fn a_marked_line_belongs_to_one_kernel() {
    let mut owners = BTreeMap::new();
    let with_modules = kernels::all()
        .filter(|kernel| kernel.source.contains(&format!("\nmod {} {{\n", kernel.name)));
    for kernel in with_modules {
        let processes: BTreeSet<_> = kernel.stuck.iter().map(|stuck| stuck.process).collect();
        for line in processes.into_iter().flat_map(|process| kernel.lines_of(process)) {
            let other = owners.insert((kernel.source, line), kernel.name);
            assert_eq!(other, None, "line {line} is also claimed by {}", kernel.name);
        }
    }
}

/// What a kernel says about itself agrees with the programs that it has.
#[test]
fn the_programs_are_those_of_the_fate() {
    for kernel in kernels::all() {
        let (owned, shared) = (kernel.owned.is_some(), kernel.shared.is_some());
        let expected = match kernel.fate {
            Fate::Unwritable => (false, true),
            Fate::Value | Fate::Scoped => (true, true),
            Fate::Detect => (true, false),
        };
        assert_eq!((owned, shared), expected, "{}: (owned, shared)", kernel.name);
        assert_eq!(kernel.stuck.is_empty(), kernel.symptom == Symptom::Panic, "{}", kernel.name);
    }
}
