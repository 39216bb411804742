//! Taxis of a city: riders get the nearest free driver, and the rules change while they do.
//!
//! With the trip records of New York's taxis (March 2019, all days played as one) it replays the rides: requests come from pickups, and
//! drivers become free where their rides end. Without them it does the same with a small city of its own, made by arithmetic. First with
//! each request matched when it comes, then gathered for 300 ms and matched together; and at noon the wide circle shrinks.
//!
//! ```text
//!   replay ──requests──▶ dispatch ──offers, matches──▶ replay: riders and a fleet of drivers
//!     ▲ └──reports─────▶    ▲                            │
//!     │                     └──policy── office           │
//!     └──────────────────── decisions ───────────────────┘
//! ```
//!
//! Time is virtual: a day takes as long as the decisions do.
//!
//! `dispatch_city [FOLDER]`; without a folder it looks for `rides/rides.csv` and `rides/zones.csv` in the folder that `TOWPATH_DATA` names, or
//! in `shared/data` beside the repository.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use towpath::{BoxError, Ctx, after, bounded, scope, select};
use towpath_patterns::dispatch::{
    Dispatch, Event, Point, Policy, Stage,
    replay::{Replay, Ride, Tally},
    rides::Rides,
};

/// Decisions that the replay may be behind.
const EVENTS: usize = 256;

/// All days are played as one, a hundred times as fast as it was: so there is something to choose from.
const DAY: Duration = Duration::from_secs(24 * 3600);
const SPEED: f64 = 100.0;

/// Where the rides are, if they are anywhere.
fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = env::var_os("TOWPATH_DATA").map_or_else(beside, PathBuf::from);
    env::args_os().nth(1).map_or_else(|| data.join("rides"), PathBuf::from)
}

/// A city on a grid of streets: five hundred rides in a day, most of them around its station.
fn made_up() -> Result<Vec<Ride>, BoxError> {
    let station = Point::new(52.0907, 5.1214)?;
    let rides = (0..500_u64).map(|number| {
        // Numbers without a common factor meet every street.
        let street = |step: u64| (number * step % 61) as f64 * 90.0 - 2700.0;
        let near = |step: u64| (number * step % 13) as f64 * 90.0 - 540.0;
        let home = station.moved(street(17), street(43));
        let town = station.moved(near(5), near(7));
        let is_morning = number < 250;
        Ride {
            // A moment apart, so that no two are at the same time.
            starts: Duration::from_millis(number * 172_800 + number % 7),
            lasts: Duration::from_secs(240 + number * 31 % 900),
            pickup: if is_morning { home } else { town },
            dropoff: if is_morning { town } else { home },
        }
    });
    Ok(rides.collect())
}

/// Plays a day; at noon, the office shrinks the wide circle.
async fn day(replay: Replay, policy: Policy) -> Result<(Tally, u64), BoxError> {
    let played = scope(&Ctx::root(), |s| async move {
        let (out, mut events) = bounded(EVENTS);
        let smaller = Policy { wide_m: 3000.0, ..policy.clone() };
        let dispatch = Dispatch::start(&s, "dispatch", policy, out)?;
        let office = dispatch.clone();
        s.spawn("office", move |ctx| async move {
            select! {
                _ = ctx.done() => Ok(()),
                () = after((DAY / 2).div_f64(SPEED)) => office.change(smaller).await,
            }
        });
        let mut backup = 0;
        let tally = replay
            .run(s.ctx(), &dispatch, &mut events, |event| {
                backup += u64::from(matches!(event, Event::Backup { .. }));
            })
            .await?;
        assert_eq!(dispatch.counters().missed, 0, "every rider has an answer by the deadline");
        s.cancel("the day is over");
        Ok((tally, backup))
    });
    Ok(played.await?)
}

fn print(title: &str, tally: &Tally, backup: u64) {
    println!("{title}");
    let (riders, matches) = (tally.requests, tally.matches());
    println!("  {riders} riders, {matches} matched; {backup} came into the backup queue");
    for stage in [Stage::Near, Stage::Wide, Stage::Backup] {
        let matched = tally.matched.get(&stage).map_or(&[][..], |it| it);
        if !matched.is_empty() {
            let metres: f64 = matched.iter().map(|(metres, _)| metres).sum();
            let mean = metres / matched.len() as f64;
            println!("  {:>6} {stage}, a driver was {mean:.0} m away", matched.len());
        }
    }
    for (why, count) in &tally.ended {
        println!("  {count:>6} not: {why}");
    }
    println!("  on average a driver was {:.0} m away\n", tally.mean_distance_m());
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let folder = folder();
    let is_real = folder.join("rides.csv").exists();
    let rides = if is_real {
        let Rides { rides, left_out, .. } = Rides::open(&folder)?;
        println!("{} rides of New York's taxis, {left_out} left out\n", rides.len());
        rides
    } else {
        println!(
            "no trip records here, so it is a small city: TOWPATH_DATA names the folder of rides/rides.csv\n"
        );
        made_up()?
    };
    let fleet = (rides.len() / 25) as u32;
    let replay = Replay::new(rides).fold(DAY).speed(SPEED).drivers(fleet);
    println!("{fleet} drivers\n");
    let at_once = Policy::default();
    let (tally, backup) = day(replay.clone(), at_once.clone()).await?;
    print("each request when it comes", &tally, backup);
    let gathered = Policy { gather: Duration::from_millis(300), ..at_once };
    let (tally, backup) = day(replay, gathered).await?;
    print("gathered for 300 ms", &tally, backup);
    if is_real {
        println!(
            "data: NYC Taxi & Limousine Commission trip records, as sampled in the seaborn data collection"
        );
    }
    Ok(())
}
