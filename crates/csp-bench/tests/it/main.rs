//! What holds for every kernel, without a simulator: names, and that what has no bug ends on a real runtime.

mod quiet;

use std::collections::BTreeSet;

use csp_bench::kernels;

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
