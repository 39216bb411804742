//! Real load: the week of the final of the 1998 World Cup, with durations of Azure functions, replayed against the policies.
//! `towpath-bench pool` replays all three months.
//!
//! The data is not in the repository: `TOWPATH_DATA` names its folder, or it lies in `shared/data` beside the repository.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::read::MultiGzDecoder;
use towpath_patterns::pool::{
    Policy, Sizing,
    replay::{Bill, KeepAlive, Request, Sized, replay},
};

/// Each so many requests of the log are one here: a pool of a few dozen instances.
const THIN: u64 = 1_000;
/// Making an instance takes so long.
const MAKING: Duration = Duration::from_secs(1);

/// The week of the final, in minutes from the beginning of the log, which is on the evening of 30 April.
const WEEK: std::ops::Range<usize> = 66 * 1440..73 * 1440;

/// Requests a minute, and seconds that functions take; if the data is there.
fn data() -> Option<(Vec<u64>, Vec<f64>)> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = env::var_os("TOWPATH_DATA").map_or_else(beside, PathBuf::from).join("functions");
    let (minutes, durations) =
        (folder.join("worldcup98-per-minute.csv.gz"), folder.join("azure2021-200.csv"));
    let (Ok(packed), Ok(durations)) = (fs::File::open(&minutes), fs::read_to_string(durations))
    else {
        println!("skipped: {} is not there; TOWPATH_DATA names its folder", minutes.display());
        return None;
    };
    let mut text = String::new();
    MultiGzDecoder::new(packed).read_to_string(&mut text).unwrap();
    fn last<T: std::str::FromStr<Err: std::fmt::Debug>>(line: &str) -> T {
        line.rsplit(',').next().unwrap_or(line).trim().parse().unwrap()
    }
    let minutes = text.lines().skip(1).map(last).collect();
    Some((minutes, durations.lines().skip(1).map(last).collect()))
}

/// The requests of these minutes, each somewhere in its own, with the duration of some function.
fn requests(minutes: &[u64], durations: &[f64]) -> Vec<Request> {
    let mut seed = 0x7079_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut carry = 0;
    let mut requests = Vec::new();
    for (minute, count) in (0_u64..).zip(minutes) {
        carry += count;
        for _ in 0..carry / THIN {
            let at = minute * 60_000_000 + random() % 60_000_000;
            let lasts = durations[(random() % durations.len() as u64) as usize];
            let (at, lasts) = (Duration::from_micros(at), Duration::from_secs_f64(lasts));
            requests.push(Request { at, lasts });
        }
        carry %= THIN;
    }
    requests.sort_by_key(|it| it.at);
    requests
}

fn sized(requests: &[Request], policy: Policy) -> Bill {
    let mut keeper = Sized::new(Sizing::new(policy), Duration::from_secs(30));
    replay(requests.iter().copied(), MAKING, &mut keeper)
}

#[test]
fn the_policy_keeps_its_goal_and_costs_less_than_the_formula() {
    let Some((minutes, durations)) = data() else { return };
    assert_eq!((minutes.len(), durations.len()), (125_300, 199));
    let requests = requests(&minutes[WEEK], &durations);
    let kept = replay(requests.iter().copied(), MAKING, &mut KeepAlive(Duration::from_secs(600)));
    let formula = sized(&requests, Policy::formula());
    let ours = sized(&requests, Policy::default());
    println!("ten minutes {kept:?}\nformula {formula:?}\nours {ours:?}");
    // What is asked for, and half as much again, since it begins without experience.
    assert!(ours.cold_share() < 0.0075, "{ours:?}");
    assert!(ours.cold_share() < kept.cold_share(), "{ours:?} {kept:?}");
    assert!(ours.held < formula.held / 3.0, "{ours:?} {formula:?}");
    assert_eq!(ours, sized(&requests, Policy::default()), "the same requests, the same bill");
}
