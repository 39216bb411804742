//! `machine`: by the table, one answer for each event, also after a restart.

use std::time::Duration;

use serde_json::{Value, json};
use towpath::rt;

use super::*;

const RIDES: &str = "
version: 1
name: rides
channels: {events: {capacity: 4}, life: {capacity: 4}, twice: , bad: {capacity: 4}}
processes:
  source: {uses: quiet, out: events}
  life: {uses: machine, table: machines/ride.yaml, key: ride, id: id, carries: [fare], durable: DURABLE, again: [Completed], in: events,
         out: {out: life, duplicates: twice}, on_error: bad}
  told: {uses: keep, in: life}
  twice: {uses: keep, in: twice}
  bad: {uses: keep, in: bad}
";

fn rides(durable: bool) -> String {
    RIDES.replace("DURABLE", &durable.to_string())
}

fn event(ride: u64, event: &str) -> Value {
    json!({"ride": ride, "event": event})
}

/// What is shown of the state of those who were cancelled.
fn cancelled(shown: &Value) -> &Value {
    let states = shown["states"].as_array().unwrap();
    states.iter().find(|state| state["name"] == "Cancelled").unwrap()
}

/// `ride event from to`, of each.
fn moves(messages: &[Value]) -> Vec<String> {
    let word = |it: &Value, name: &str| it[name].as_str().unwrap_or("?").to_owned();
    let told = messages.iter().map(|it| {
        format!("{} {} {} {}", it["key"], word(it, "event"), word(it, "from"), word(it, "to"))
    });
    told.collect()
}

#[towpath::test(schedules = 60)]
async fn every_event_is_answered_once() {
    for durable in [false, true] {
        let told = run(&rides(durable), &disk(), |node, kept| async move {
            put(
                &node,
                "events",
                [
                    event(1, "Request"),
                    json!({"ride": 1, "event": "NoDriver", "zone": 7, "id": "m1"}),
                    event(2, "Pay"),
                    json!({"ride": 1, "event": "NoDriver", "zone": 8, "id": "m1"}),
                    event(1, "Matsch"),
                    json!({"event": "Match"}),
                    json!({"ride": 1}),
                    event(3, "Cancel"),
                ],
            );
            let moved = kept.next("told", 3).await;
            assert_eq!(
                moves(&moved),
                [
                    "1 Request Requested Requested",
                    "1 NoDriver Requested NoDriver",
                    "3 Cancel Requested Cancelled"
                ]
            );
            assert_eq!(
                (&moved[1]["zone"], &moved[1]["ride"]),
                (&json!(7), &json!(1)),
                "the message comes with it"
            );
            let twice = kept.next("twice", 1).await.remove(0);
            assert_eq!((&twice["zone"], &twice["state"]), (&json!(8), &json!("NoDriver")));
            let bad = kept.next("bad", 4).await;
            // What the machine refuses comes behind what it has told; what is no event, at once.
            let mut errors: Vec<_> =
                bad.iter().map(|it| it["error"].as_str().unwrap_or("?")).collect();
            errors.sort_unstable();
            assert_eq!(
                errors,
                [
                    "Pay is refused in state Requested: nobody drives it yet; possible there: Request, Match, NoDriver, Cancel",
                    "machine ride has no event `Matsch`; did you mean `Match`?",
                    "the message has no field `event`, which says what happens",
                    "the message has no field `ride`, which is its key",
                ]
            );
            let shown = shown(&node, "life", &[]);
            assert_eq!(
                shown["instances"],
                json!([{"key": 3, "state": "Cancelled", "version": 1}, {"key": 1, "state": "NoDriver", "version": 2}])
            );
            assert_eq!(*cancelled(&shown), json!({"name": "Cancelled", "count": 1, "final": true}));
            assert_eq!((&shown["refused"], &shown["duplicates"]), (&json!(4), &json!(1)));
            assert!(shown["mermaid"].as_str().unwrap().starts_with("stateDiagram-v2"));
            Ok(())
        });
        told.await.unwrap();
    }
}

#[towpath::test(schedules = 60)]
async fn time_brings_a_ride_on_and_many_are_under_way_at_once() {
    const RIDES: u64 = 6;
    let story = run(&rides(true), &disk(), |node, kept| async move {
        put(&node, "events", (0..RIDES).map(|ride| event(ride, "Match")));
        let told = moves(&kept.next("told", 3 * RIDES as usize).await);
        for ride in 0..RIDES {
            let of: Vec<_> = told.iter().filter(|it| it.starts_with(&format!("{ride} "))).collect();
            let expected =
                ["Match Requested Matched", "PickUp Matched Riding", "DropOff Riding Completed"];
            assert_eq!(of, expected.map(|it| format!("{ride} {it}")).iter().collect::<Vec<_>>());
        }
        Ok(())
    });
    story.await.unwrap();
}

/// The node is stopped where it stands, or its power is cut, and started again.
#[towpath::test(schedules = 60)]
async fn what_was_told_is_not_forgotten() {
    let disk = disk();
    let first = run_and_stop(&rides(true), &disk, |node, kept| async move {
        put(&node, "events", (1..=3).map(|ride| event(ride, "Match")));
        // Some are told, the others may be.
        let many = rt::random() % 4;
        let told = kept.next("told", many as usize).await;
        Ok(told.iter().map(|it| it["key"].as_u64()).collect::<Vec<_>>())
    });
    let told = first.await.unwrap();
    disk.crash();
    let second = run(&rides(true), &disk, |node, _| async move {
        put(&node, "events", [event(9, "Match")]);
        until("the ninth", || shown(&node, "life", &[("key", "9")])["instances"][0].is_object())
            .await;
        for key in told.iter().flatten() {
            let key = key.to_string();
            let there = shown(&node, "life", &[("key", &key)]);
            // It may have gone on meanwhile.
            assert!(
                there["instances"][0]["version"].as_u64() >= Some(1),
                "ride {key} was told of: {there}"
            );
        }
        Ok(())
    });
    second.await.unwrap();
}

#[towpath::test(schedules = 60)]
async fn states_that_tell_again_do_so_at_each_start() {
    let disk = disk();
    let completed = json!({"ride": 5, "event": "Match", "fare": 12});
    let first = run(&rides(true), &disk, |node, kept| async move {
        put(&node, "events", [completed]);
        assert_eq!(kept.next("told", 3).await[2]["to"], "Completed");
        Ok(())
    });
    first.await.unwrap();
    let second = run(&rides(true), &disk, |node, kept| async move {
        let again = kept.next("told", 1).await.remove(0);
        assert_eq!(
            again,
            json!({"key": 5, "event": "DropOff", "from": "Completed", "to": "Completed", "fare": 12, "again": true})
        );
        put(&node, "events", [event(5, "Pay")]);
        assert_eq!(moves(&kept.next("told", 1).await), ["5 Pay Completed Paid"]);
        Ok(())
    });
    second.await.unwrap();
    let third = run(&rides(true), &disk, |node, _| async move {
        until("what was", || shown(&node, "life", &[])["total"] == 1).await;
        rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(node.state().channels[1].sent, 0, "who is paid is left alone");
        let paid = shown(&node, "life", &[("state", "Paid")]);
        assert_eq!(paid["instances"][0]["version"], 4, "{paid}");
        Ok(())
    });
    third.await.unwrap();
}

/// Of those that have ended one is kept, over a restart too; of the others nothing is left.
#[towpath::test(schedules = 60)]
async fn rides_that_are_over_are_forgotten() {
    for durable in [false, true] {
        let disk = disk();
        let text = rides(durable).replace("id: id,", "keep_most: 1, keep: 1h,");
        let first = run(&text, &disk, |node, kept| async move {
            put(&node, "events", (0..4).map(|ride| event(ride, "Cancel")));
            put(&node, "events", [event(7, "Request")]);
            kept.next("told", 5).await;
            until("one is kept", || shown(&node, "life", &[])["total"] == 2).await;
            let shown = shown(&node, "life", &[("state", "Cancelled")]);
            assert_eq!(shown["instances"], json!([{"key": 3, "state": "Cancelled", "version": 1}]));
            assert_eq!(cancelled(&shown)["count"], 1);
            // Who comes again is another.
            put(&node, "events", [event(0, "Request"), event(3, "Request")]);
            assert_eq!(moves(&kept.next("told", 1).await), ["0 Request Requested Requested"]);
            let bad = kept.next("bad", 1).await;
            assert!(bad[0]["error"].as_str().unwrap().contains("the rider has cancelled"));
            Ok(())
        });
        first.await.unwrap();
        if durable {
            disk.crash();
            let second = run(&text, &disk, |node, _| async move {
                until("what was", || shown(&node, "life", &[])["total"] == 3).await;
                let over = shown(&node, "life", &[("state", "Cancelled")]);
                assert_eq!(over["instances"][0]["key"], 3, "{over}");
                Ok(())
            });
            second.await.unwrap();
        }
    }
}

#[test]
fn what_is_wrong_with_a_table_is_told_where_it_stands() {
    let with = |from: &str, to: &str| problems(&rides(false).replace(from, to));
    assert_eq!(with("nothing", "nothing"), "nothing");
    let missing = with("machines/ride.yaml", "machines/rides.yaml");
    assert!(
        missing.contains("test.yaml:7:32: the table `") && missing.contains("cannot be read"),
        "{missing}"
    );
    let again = with("again: [Completed]", "again: [Complete]");
    assert!(
        again.contains("the table has no state `Complete`; did you mean `Completed`?"),
        "{again}"
    );
    let event = with("id: id,", "id: id, default_event: Mach,");
    assert!(event.contains("the table has no event `Mach`; did you mean `Match`?"), "{event}");
    let remember = with("id: id,", "remember: 7,");
    assert!(remember.contains("to remember messages they need an `id`"), "{remember}");
    let unknown = with("id: id,", "ids: id,");
    assert!(unknown.contains("`ids` is not known here; did you mean `id`?"), "{unknown}");
    let inline = "{machine: m, version: 1, states: {A: {initial: true}, B: {final: true}}, events: [Go], rules: {A: {Go: {to: C}}}}";
    let inline = with("machines/ride.yaml", inline);
    assert!(inline.contains("test.yaml:7:140: there is no state `C`"), "{inline}");
}

#[towpath::test(schedules = 20)]
async fn a_table_may_stand_in_the_file_and_have_things_done() {
    let table = "{machine: m, version: 1, states: {A: {initial: true}, B: {final: true}}, events: [Go], \
                 rules: {A: {Go: {to: B, do: [book, thank]}}, B: {_: {refuse: it is over}}}}";
    let text = rides(false)
        .replace("machines/ride.yaml", table)
        .replace("again: [Completed]", "default_event: Go, events: {'On we go': Go}");
    let story = run(&text, &disk(), |node, kept| async move {
        put(&node, "events", [json!({"ride": "a"}), json!({"ride": "b", "event": "On we go"})]);
        let told = kept.next("told", 2).await;
        assert_eq!((&told[0]["do"], &told[1]["event"]), (&json!(["book", "thank"]), &json!("Go")));
        Ok(())
    });
    story.await.unwrap();
}

/// Who takes what the machine tells may wait, in a circle of processes, until the machine takes what he sends: that is done although
/// much waits. The network of rides came to a halt by this, when more rides were to be paid than fitted into its channels.
#[towpath::test(schedules = 3, max_steps = 1000000)]
async fn what_comes_back_is_taken_while_nobody_takes_what_is_told() {
    // More than are in flight at most.
    const EVENTS: u64 = 5_000;
    let text = rides(false)
        .replace("{events: {capacity: 4},", "{events: {capacity: 4}, back: {capacity: 4},")
        .replace("out: events}", "out: [events, back]}")
        .replace("in: events,", "in: {in: events, back: back},");
    let story = run(&text, &disk(), |node, kept| async move {
        node.pause("told")?;
        let received = |channel: &str| {
            let state = node.state();
            state.channels.iter().find(|it| it.name == channel).map_or(0, |it| it.received)
        };
        for hundred in 0..EVENTS / 100 {
            put(&node, "events", (0..100).map(|n| event(hundred * 100 + n, "Request")));
            if hundred < 40 {
                until("a hundred more", || received("events") >= (hundred + 1) * 100).await;
            }
        }
        put(&node, "back", (0..200).map(|ride| event(ride, "Cancel")));
        until("what comes back", || received("back") == 200).await;
        assert!(received("events") < EVENTS, "there was room for all, so this says nothing");
        node.resume("told")?;
        let told = kept.next("told", EVENTS as usize + 200).await;
        assert_eq!(told.iter().filter(|it| it["to"] == "Cancelled").count(), 200);
        Ok(())
    });
    story.await.unwrap();
}
