//! `dispatch`: riders get the nearest free driver, by rules that change while it runs.
//!
//! ```yaml
//! dispatch: {uses: dispatch, in: {requests: requests, drivers: drivers, rides: over}, out: {matched: matches, late: backup},
//!            window: 300ms, near_km: 1, radius_km: 5, deadline: 1200ms, durable: true, on_error: dead_letters}
//! ```
//!
//! | port | messages |
//! |---|---|
//! | in `requests` | `{"id": 7, "at": [lat, lon], …}` |
//! | in `drivers` | `{"driver": 3, "at": [lat, lon], "free": true}`; `"gone": true` goes home; `"ride": 7` with `free` says that this ride is over |
//! | in `policy` | `{"window": "200ms", …}`: new rules, in the words of the options |
//! | in `cancels` | `{"id": 7}`: the rider does not want it any more |
//! | in `rides` | `{"key": 7, …}`, also as `ride` or `id`: the ride is over, and its driver free; with `over`, if its `to` is one of those states |
//! | in `replies` | `{"driver": 3, "lease": 17, "accept": true}`, when drivers are asked |
//! | out `matched` | the request with `ride`, `driver`, `waited_ms`, `distance_m`, `stage` and `lease` |
//! | out `late` | the request with `ride`, `waited_ms` and `why`: `late`, `outside_geofence`, `full`, `lost`, `over`. No driver comes |
//! | out `offers` | `{"ride", "driver", "lease", "distance_m"}`, when drivers are asked |
//! | out `events` | all decisions, `{"what", …}`, for who watches |
//!
//! | option | means | unless said |
//! |---|---|---|
//! | `window` | how long only drivers who are near are looked for | `300ms` |
//! | `near_km`, `radius_km` | how far away drivers are at most, before and after it | `1`, `5` |
//! | `deadline`, `margin` | when the rider is told at the latest, and how long before the search ends | `1200ms`, `25ms` |
//! | `geofence` | corners, `[[lat, lon], …]`, inside of which riders are picked up; or several such lists | everywhere |
//! | `gather` | how long requests are gathered to be matched together | they are not |
//! | `waiting_max`, `drivers_max`, `silence` | riders who may wait, drivers who are known, how long a silent one is offered | `8192`, `100000`, `30s` |
//! | `drivers_accept` | every driver takes every rider. `false`: they are asked by `offers` and say so by `replies`, within `lease` (`250ms`) | `true` |
//! | `durable` | matches are in a journal before they are told, and survive crashes | `false` |
//! | `ride` | the field of a request that says which ride it is | `id` |
//! | `over` | states in which a ride is over, for what comes by `rides` | each message there |
//!
//! # What is promised
//! - *A driver has one ride at a time, a ride one driver.* A driver who was matched is free again when a message says that *this* ride is
//!   over; a report that he is free does not say that, since it may have been under way. With `durable` that holds over crashes.
//! - Every request ends once, by `matched` or `late`, or by a cancellation, within its deadline. One that comes again while its ride is
//!   under way is told the same match again, with `again: true`; so whoever does not know whether it was heard sends it again.
//! - With `durable`, all rides that are under way are told again at each start, with `again: true`. Whoever acts on a match knows it by its
//!   `lease`, which is another for each.
//! - A match that was made and is lost, since its driver gives it up, is told by `late`, with `why: lost`.
//! - Riders who wait are not kept over a restart: whoever must not lose one sends it again.

mod body;
mod book;
mod facet;
mod rules;

use towpath::Ctx;

use crate::{
    component::{Component, Need, Port},
    ports::Ports,
};

pub(super) fn component() -> Component {
    let maybe = |name: &'static str| Port::new(name).need(Need::Maybe);
    Component::new("dispatch", "riders get the nearest free driver: window, near_km, radius_km, deadline, geofence, durable")
        .input(Port::new("requests").of("RideRequest"))
        .input(Port::new("drivers").of("Driver"))
        .input(maybe("policy"))
        .input(maybe("cancels"))
        .input(maybe("rides"))
        .input(maybe("replies"))
        .output(Port::new("matched").of("Match"))
        .output(maybe("late"))
        .output(maybe("offers"))
        .output(maybe("events"))
        .refuses()
        .makes(|change: rules::Change, _| {
            let options = std::sync::Arc::new(change.options()?);
            Ok(async move |ctx: Ctx, ports: &mut Ports| body::run(&ctx, ports, options).await)
        })
}
