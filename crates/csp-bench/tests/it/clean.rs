//! On a real runtime: what has no bug ends, and leaves nobody behind.

use std::time::Duration;

use csp_bench::{Fate, Kernel, Program, kernels};
use tokio::runtime::{Builder, Runtime};

/// How often each program runs.
const RUNS: usize = 50;

/// Long after this something hangs; nothing is measured with it.
const HANGS: Duration = Duration::from_secs(30);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime")
}

/// Runs it once, and then until nobody is left. False: it hangs, or somebody is.
fn ends(runtime: &Runtime, program: Program, patience: Duration) -> bool {
    runtime.block_on(async {
        let run = async {
            (program.start)().await;
            // Whoever was joined may still have to give its place back to the runtime.
            while runtime.metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(patience, run).await.is_ok()
    })
}

/// The programs of a kernel that have no bug.
fn clean(kernel: &Kernel) -> impl Iterator<Item = (&'static str, Program)> {
    let owned = kernel.owned.filter(|_| matches!(kernel.fate, Fate::Value | Fate::Scoped));
    owned.map(|owned| ("owned", owned)).into_iter().chain([("fixed", kernel.fixed)])
}

#[test]
fn what_has_no_bug_ends() {
    let runtime = runtime();
    for kernel in kernels::all() {
        for (form, program) in clean(kernel) {
            for run in 0..RUNS {
                let name = kernel.name;
                assert!(ends(&runtime, program, HANGS), "{name}, {form}: run {run} hangs");
            }
        }
    }
}

/// That the test above can fail: this one hangs always, and that one always leaves somebody behind.
#[test]
fn what_hangs_is_seen() {
    /// Too short only for a program that would be found to hang in any case.
    const A_MOMENT: Duration = Duration::from_millis(50);

    for name in ["moby_33293", "moby_4395"] {
        let kernel = kernels::all().find(|kernel| kernel.name == name).expect("it is in the list");
        let buggy = kernel.buggy().expect("it can be written");
        let runtime = runtime();
        assert!(!ends(&runtime, buggy, A_MOMENT), "{name} ends");
        runtime.shutdown_background();
    }
}
