//! Real rides, replayed in the simulator's virtual time: every rider has an answer by the deadline, whatever the schedule.
//!
//! The trip records are no part of the repository: `TOWPATH_DATA` names the folder in which `rides/rides.csv` and `rides/zones.csv`
//! are, or they are in `shared/data` beside it. Without them the test says so and checks nothing.

use std::{path::Path, time::Duration};

use towpath::{Ctx, bounded, scope};
use towpath_patterns::dispatch::{Dispatch, Policy, replay::Replay, rides::Rides};
use towpath_sim::Sim;

/// Decisions that the replay may be behind.
const EVENTS: usize = 64;

#[test]
fn a_day_of_new_york_is_answered_in_time() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("TOWPATH_DATA").map_or_else(beside, Into::into).join("rides");
    if !folder.join("rides.csv").exists() {
        println!(
            "not tested: rides/rides.csv is not here; TOWPATH_DATA names the folder that has it"
        );
        return;
    }
    let Rides { rides, left_out, .. } = Rides::open(&folder).unwrap();
    assert_eq!((rides.len(), left_out), (6383, 50));
    assert!(rides.is_sorted_by_key(|ride| ride.starts));
    assert!(rides.iter().all(|ride| ride.pickup.distance_m(&ride.dropoff) < 80_000.0));
    // An evening: what began in an hour of any day.
    let day = Duration::from_secs(24 * 3600);
    let evening: Vec<_> = rides
        .into_iter()
        .filter(|ride| (19..20).contains(&(ride.starts.as_secs() % day.as_secs() / 3600)))
        .collect();
    let riders = evening.len();
    assert!(riders > 200, "{riders}");
    Sim::new().schedules(3).stall(Duration::ZERO).max_steps(5_000_000).test(
        "dispatch::rides::a_day_of_new_york_is_answered_in_time",
        move || {
            let replay = Replay::new(evening.clone()).fold(day / 24).drivers(200).speed(60.0);
            async move {
                scope(&Ctx::root(), |s| async move {
                    let (out, mut events) = bounded(EVENTS);
                    let dispatch = Dispatch::start(&s, "dispatch", Policy::default(), out)?;
                    let tally = replay.run(s.ctx(), &dispatch, &mut events, |_| {}).await?;
                    let counters = dispatch.counters();
                    assert_eq!((tally.requests, counters.missed), (riders, 0), "{tally:?}");
                    assert!(tally.matches() > riders / 2, "{tally:?}");
                    assert!(tally.wait_max() <= Duration::from_millis(1200));
                    Ok(())
                })
                .await
            }
        },
    );
}
