//! Every kernel under the simulator, with less effort than the command's: each bug found at the right place, no alarm where
//! there is no bug.

use csp_bench::{
    judge::{Effort, Verdict},
    kernels,
    table::Table,
};

/// Seeds and schedules that a few seconds have time for; `cargo run -p csp-bench` tries two hundred seeds.
const EFFORT: Effort = Effort {
    seeds: 4,
    schedules: 1_000,
    schedules_with_timers: 5_000,
    clean_schedules: 300,
    replays: 5,
    strategy: towpath_sim::Strategy::Portfolio,
};

#[test]
fn every_kernel_is_as_it_should_be() {
    let verdicts: Vec<_> = kernels::all().map(|kernel| Verdict::of(kernel, EFFORT)).collect();
    let wrong: Vec<_> = verdicts.into_iter().filter(|verdict| !verdict.is_perfect()).collect();
    let stories = wrong.iter().filter_map(|verdict| {
        let hunt = verdict.hunt.as_ref();
        let alarm = verdict.calms().find_map(|calm| calm.alarm.as_ref());
        let finding = alarm.or_else(|| hunt.and_then(|hunt| hunt.wrong.as_ref()))?;
        Some(format!("== {}\n{finding}", verdict.kernel.name))
    });
    let stories: String = stories.collect();
    assert!(wrong.is_empty(), "{}\n{stories}", Table(&wrong));
}
