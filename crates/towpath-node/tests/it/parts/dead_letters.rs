//! `dead_letters`: what was given up is there, after a crash too, and goes back when somebody says so.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use towpath::rt;

use super::*;

const DEAD: &str = "
version: 1
name: post
channels: {bad: {capacity: 2}, life: {capacity: 1}, others: {capacity: 1}}
processes:
  source: {uses: quiet, out: bad}
  dead: {uses: dead_letters, in: bad, back: [life], out: {life: life, replayed: others}}
  life: {uses: keep, in: life}
  others: {uses: keep, in: others}
";

fn refused(from: &str, id: u64, error: &str) -> Value {
    json!({"error": error, "from": from, "message": {"id": id}})
}

async fn letters(node: &Node, many: u64) -> Value {
    until("the letters", || shown(node, "dead", &[])["total"] == many).await;
    shown(node, "dead", &[("payloads", "true")])
}

#[towpath::test(schedules = 100)]
async fn what_was_given_up_is_grouped_and_goes_back() {
    let story = run(DEAD, &disk(), |node, kept| async move {
        let all = [
            refused("life", 1, "ride 1 has no driver"),
            refused("life", 2, "ride 2 has no driver"),
            refused("bank", 3, "it is closed"),
            json!({"why": "late", "ride": 4}),
        ];
        put(&node, "bad", all);
        let shown = letters(&node, 4).await;
        let groups: Vec<_> = shown["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| (it["cause"].clone(), it["count"].clone()))
            .collect();
        for group in [("ride # has no driver", 2), ("it is closed", 1), ("late", 1)] {
            assert!(groups.contains(&(json!(group.0), json!(group.1))), "{groups:?}");
        }
        let messages: Vec<_> =
            shown["letters"].as_array().unwrap().iter().map(|it| &it["message"]).collect();
        assert!(
            messages.contains(&&json!({"id": 3}))
                && messages.contains(&&json!({"why": "late", "ride": 4})),
            "{messages:?}"
        );
        let hidden = super::shown(&node, "dead", &[("from", "bank")]);
        assert!(
            hidden["letters"][0].get("message").is_none() && hidden["letters"][0]["from"] == "bank",
            "{hidden}"
        );

        let facet = node.facet("dead").unwrap();
        let act = |verb: &'static str, args: Value| {
            let facet = facet.clone();
            async move { facet.act(verb, args).await.map_err(|error| error.to_string()) }
        };
        let group = json!({"group": "ride # has no driver", "dry_run": true});
        assert_eq!(act("replay", group).await, Ok(json!({"would": 2})));
        assert_eq!(
            act("replay", json!({"group": "ride # has no driver"})).await,
            Ok(json!({"replayed": 2}))
        );
        let back = kept.next("life", 2).await;
        let letter: u64 = back[0]["dead_letter"]
            .as_str()
            .and_then(|it| it.strip_prefix("dead/"))
            .unwrap()
            .parse()
            .unwrap();
        // It fails again: the same letter, with a longer history.
        put(
            &node,
            "bad",
            [json!({"error": "still no driver", "from": "life", "message": back[0]})],
        );
        let is_there = |shown: &Value| {
            shown["letters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|it| it["cause"] == "still no driver"))
        };
        until("the letter again", || is_there(&super::shown(&node, "dead", &[]))).await;
        let shown = letters(&node, 3).await;
        let again = shown["letters"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["cause"] == "still no driver")
            .unwrap();
        assert_eq!((&again["id"], &again["attempts"]), (&json!(letter), &json!(2)), "{again}");
        let others = shown["letters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["from"] != "life")
            .map(|it| it["id"].clone());
        assert_eq!(
            act("replay", json!({"ids": others.collect::<Vec<_>>(), "per_second": 1000})).await,
            Ok(json!({"replayed": 2}))
        );
        assert_eq!(kept.next("others", 2).await.len(), 2);
        assert_eq!(act("discard", json!({"ids": [letter]})).await, Ok(json!({"discarded": 1})));
        letters(&node, 0).await;
        assert!(act("replay", json!({})).await.unwrap_err().contains("say which letters"));
        assert!(act("replay", json!({"idz": [1]})).await.unwrap_err().contains("idz"));
        assert!(
            act("discard", json!({"ids": [77]}))
                .await
                .unwrap_err()
                .contains("there is no dead letter 77")
        );
        Ok(())
    });
    story.await.unwrap();
}

/// The node is stopped where it stands, with its power cut, and started again.
#[towpath::test(schedules = 60)]
async fn letters_survive_a_crash() {
    let disk = disk();
    let mut there = BTreeSet::new();
    for round in 0..3_u64 {
        let story = run_and_stop(DEAD, &disk, |node, kept| async move {
            put(&node, "bad", (0..4).map(|id| refused("life", round * 10 + id, "no")));
            let many = round * 2 + rt::random() % 3;
            until("some letters", || shown(&node, "dead", &[])["total"].as_u64() >= Some(many))
                .await;
            let shown = shown(&node, "dead", &[("payloads", "true")]);
            let ids = shown["letters"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["message"]["id"].as_u64().unwrap());
            Ok((ids.collect::<BTreeSet<_>>(), kept))
        });
        let (now, _) = story.await.unwrap();
        disk.crash();
        assert!(now.is_superset(&there), "{now:?} has not all of {there:?}");
        there = now;
    }
    // What was taken when the node was told to end is there too.
    let before = there.len() as u64;
    run(DEAD, &disk, |node, _| async move {
        put(&node, "bad", [refused("life", 99, "no")]);
        Ok(())
    })
    .await
    .unwrap();
    let last = run(DEAD, &disk, |node, _| async move {
        until("the last", || shown(&node, "dead", &[])["total"].as_u64() > Some(before)).await;
        Ok(())
    });
    last.await.unwrap();
}
