//! `dispatch`: one answer for each rider, one ride for each driver, over restarts too.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use towpath::rt;

use super::*;

const RIDES: &str = "
version: 1
name: rides
channels: {requests: {capacity: 4}, drivers: {capacity: 4}, policy: , cancels: , rides: , replies: , matched: {capacity: 2}, late: , offers: , bad: }
processes:
  source: {uses: quiet, out: [requests, drivers, policy, cancels, rides, replies]}
  dispatch: {uses: dispatch, in: [requests, drivers, policy, cancels, rides, replies], out: {matched: matched, late: late, offers: offers},
             radius_km: 5, deadline: 1200ms, durable: DURABLE, over: [Completed], on_error: bad}
  matched: {uses: keep, in: matched}
  late: {uses: keep, in: late}
  offers: {uses: keep, in: offers}
  bad: {uses: keep, in: bad}
";

fn rides(durable: bool) -> String {
    // Under a schedule that lets somebody wait for long, a second is nothing.
    RIDES
        .replace("DURABLE", &durable.to_string())
        .replace("deadline: 1200ms", "deadline: 1d, window: 1h, silence: 30d")
}

fn request(ride: u64) -> Value {
    json!({"id": ride, "at": [40.75, -73.98], "fare": 10 + ride})
}

fn free(driver: u64) -> Value {
    json!({"driver": driver, "at": [40.75, -73.98], "free": true})
}

/// Ride and driver of each.
fn pairs(matches: &[Value]) -> Vec<(u64, u64)> {
    let number = |it: &Value, name: &str| it[name].as_u64().unwrap();
    matches.iter().map(|it| (number(it, "ride"), number(it, "driver"))).collect()
}

#[towpath::test(schedules = 40)]
async fn riders_get_drivers_and_a_driver_is_free_when_his_ride_is_over() {
    for durable in [false, true] {
        let story = run(&rides(durable), &disk(), |node, kept| async move {
            put(&node, "drivers", [free(1)]);
            put(&node, "requests", [request(7)]);
            let first = kept.next("matched", 1).await.remove(0);
            assert_eq!(
                (&first["ride"], &first["driver"], &first["fare"]),
                (&json!(7), &json!(1), &json!(17))
            );
            assert_eq!(first["distance_m"], 0.0);
            // That he is free may have been under way when he was matched.
            put(&node, "drivers", [free(1)]);
            put(&node, "requests", [request(8), request(7)]);
            let again = kept.next("matched", 1).await.remove(0);
            assert_eq!(
                (&again["ride"], &again["again"], &again["lease"]),
                (&json!(7), &json!(true), &first["lease"])
            );
            put(
                &node,
                "rides",
                [json!({"key": 7, "to": "Riding"}), json!({"key": 7, "to": "Completed"})],
            );
            assert_eq!(pairs(&kept.next("matched", 1).await), [(8, 1)]);
            // Or he says himself which ride is over.
            put(&node, "requests", [request(7), request(9)]);
            let mut report = free(1);
            report["ride"] = json!(8);
            put(&node, "drivers", [report]);
            assert_eq!(pairs(&kept.next("matched", 1).await), [(9, 1)]);
            until("the last", || shown(&node, "dispatch", &[])["counters"]["requests"] == 3).await;
            let shown = shown(&node, "dispatch", &[]);
            assert_eq!((&shown["riding"], &shown["doubled"]), (&json!(1), &json!(1)), "{shown}");
            assert_eq!(shown["policy"]["radius_km"], 5.0);
            Ok(kept)
        });
        let kept = story.await.unwrap();
        assert_eq!((kept.many("late"), kept.many("bad")), (0, 0));
    }
}

#[towpath::test(schedules = 40)]
async fn who_finds_nobody_is_told_so_also_when_the_network_drains() {
    let text = rides(false).replace("deadline: 1d, window: 1h", "deadline: 1200ms");
    let story = run(&text, &disk(), |node, kept| async move {
        put(
            &node,
            "requests",
            [request(1), json!({"id": 2, "at": [99, 0]}), json!({"id": 3}), json!({"at": [1, 1]})],
        );
        put(
            &node,
            "drivers",
            [json!({"driver": 4, "at": [0, 0]}), json!({"driver": 5, "free": true})],
        );
        let bad = kept.next("bad", 5).await;
        let mut errors: Vec<_> =
            bad.iter().map(|it| it["error"].as_str().unwrap_or("?").to_owned()).collect();
        errors.sort_unstable();
        assert_eq!(
            errors,
            [
                "latitude 99 and longitude 0 are no place on the earth; give degrees, -90 to 90 and -180 to 180, latitude first",
                "the driver does not say whether he is `free`",
                "the driver has no field `at`, where he is",
                "the message has no field `id`, which is its key",
                "the request has no field `at`, where the rider is",
            ]
        );
        Ok(kept)
    });
    let kept = story.await.unwrap();
    let late = kept.rest("late");
    assert_eq!(
        (late.len(), &late[0]["ride"], &late[0]["why"], &late[0]["fare"]),
        (1, &json!(1), &json!("late"), &json!(11))
    );
}

#[towpath::test(schedules = 40)]
async fn rules_change_while_it_runs() {
    let story = run(&rides(false), &disk(), |node, kept| async move {
        put(
            &node,
            "policy",
            [
                json!({"radius_km": 0.2, "geofence": [[40, -75], [41, -75], [41, -73], [40, -73]]}),
                json!({"window": "3d"}),
            ],
        );
        until("the policy", || shown(&node, "dispatch", &[])["counters"]["policies"] == 1).await;
        assert!(
            kept.next("bad", 1).await[0]["error"]
                .as_str()
                .unwrap()
                .starts_with("no time is left after the window")
        );
        let facet = node.facet("dispatch").unwrap();
        let set = facet.act("set", json!({"near_km": 0.1})).await.unwrap();
        assert_eq!(
            (&set["policy"]["near_km"], &set["policy"]["radius_km"]),
            (&json!(0.1), &json!(0.2))
        );
        let wrong = facet.act("set", json!({"near_km": 3})).await.unwrap_err();
        assert_eq!(wrong.to_string(), "the radii are wrong: 0 <= near_km <= radius_km");
        until("the set", || shown(&node, "dispatch", &[])["counters"]["policies"] == 2).await;
        put(&node, "requests", [json!({"id": 1, "at": [52.0, 5.0]})]);
        assert_eq!(kept.next("late", 1).await[0]["why"], "outside_geofence");
        put(&node, "requests", [request(2)]);
        until("the second", || shown(&node, "dispatch", &[])["counters"]["waiting"] == 1).await;
        put(&node, "cancels", [json!({"id": 2})]);
        until("the cancel", || shown(&node, "dispatch", &[])["counters"]["waiting"] == 0).await;
        Ok(())
    });
    story.await.unwrap();
}

#[towpath::test(schedules = 40)]
async fn drivers_who_are_asked_may_refuse() {
    let text = rides(false)
        .replace("over: [Completed]", "over: [Completed], drivers_accept: false, lease: 20h");
    let story = run(&text, &disk(), |node, kept| async move {
        put(&node, "drivers", [free(1), free(2)]);
        until("the drivers", || shown(&node, "dispatch", &[])["counters"]["drivers"] == 2).await;
        put(&node, "requests", [request(7)]);
        let offer = kept.next("offers", 1).await.remove(0);
        put(
            &node,
            "replies",
            [json!({"driver": offer["driver"], "lease": offer["lease"], "accept": false})],
        );
        let second = kept.next("offers", 1).await.remove(0);
        assert_ne!(offer["driver"], second["driver"]);
        put(
            &node,
            "replies",
            [json!({"driver": second["driver"], "lease": second["lease"], "accept": true})],
        );
        assert_eq!(kept.next("matched", 1).await[0]["driver"], second["driver"]);
        Ok(())
    });
    story.await.unwrap();
}

/// The node is stopped where it stands, with its power cut, and started again: who was told that he has a driver has him, and nobody
/// else does.
#[towpath::test(schedules = 40)]
async fn nobody_is_booked_twice_over_a_crash() {
    const DRIVERS: u64 = 3;
    const RIDES: u64 = 5;
    let disk = disk();
    let mut driver_of: BTreeMap<u64, u64> = BTreeMap::new();
    let mut ride_of: BTreeMap<u64, u64> = BTreeMap::new();
    for _ in 0..3 {
        let story = run_and_stop(&rides(true), &disk, |node, kept| async move {
            put(&node, "drivers", (0..DRIVERS).map(free));
            // Nobody knows which were heard, so all are sent again.
            put(&node, "requests", (0..RIDES).map(request));
            let many = (rt::random() % (DRIVERS + 1)) as usize;
            Ok((kept.next("matched", many).await, kept))
        });
        let (mut told, kept) = story.await.unwrap();
        disk.crash();
        told.extend(kept.rest("matched"));
        for (ride, driver) in pairs(&told) {
            assert_eq!(
                *driver_of.entry(ride).or_insert(driver),
                driver,
                "ride {ride} has another driver"
            );
            assert_eq!(
                *ride_of.entry(driver).or_insert(ride),
                ride,
                "driver {driver} has another ride"
            );
        }
    }
}

/// Who takes the answers may wait, in a circle of processes, until what ends rides is taken: that is done although much waits to be told.
/// The network of rides came to a halt by this under 40,000 rides at once.
#[towpath::test(schedules = 3)]
async fn rides_end_while_nobody_takes_the_answers() {
    // More answers than the dispatcher keeps before he takes no more requests.
    const REQUESTS: u64 = 5_000;
    let text = rides(false).replace("radius_km: 5", "radius_km: 5, waiting_max: 1");
    let story = run(&text, &disk(), |node, kept| async move {
        node.pause("late")?;
        let received = |channel: &str| {
            let state = node.state();
            state.channels.iter().find(|it| it.name == channel).map_or(0, |it| it.received)
        };
        for hundred in 0..REQUESTS / 100 {
            // One waits; for the others there is no room, and they are told so at once.
            put(&node, "requests", (0..100).map(|n| request(hundred * 100 + n)));
            if hundred < 40 {
                until("a hundred more", || received("requests") >= (hundred + 1) * 100).await;
            }
        }
        until("no more requests are taken", || received("requests") >= 4_096).await;
        put(&node, "rides", (0..3).map(|ride| json!({"key": ride, "to": "Completed"})));
        until("what ends rides", || received("rides") == 3).await;
        assert!(received("requests") < REQUESTS, "he had room for all, so this says nothing");
        node.resume("late")?;
        kept.next("late", REQUESTS as usize - 1).await;
        put(&node, "cancels", [json!({"id": 0})]);
        Ok(())
    });
    story.await.unwrap();
}
