//! `saga` and `service`: every saga that was started ends, once, whatever crashes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use towpath::rt;

use super::*;

const PAY: &str = "
version: 1
name: shop
channels: {starts: {capacity: 2}, to_stock: {capacity: 1}, to_bank: {capacity: 1}, answers: {capacity: 1}, paid: {capacity: 1}, bad: }
processes:
  source: {uses: quiet, out: starts}
  pay:
    uses: saga
    steps:
      - {name: reserve, do: stock, undo: stock, timeout: 10d}
      - {name: charge, do: bank, undo: bank, timeout: 10d, attempts: 3, pause: 10ms}
      - {name: thank, do: stock, timeout: 10d}
    quarantine_after: 100
    in: {in: starts, answers: answers}
    out: {stock: to_stock, bank: to_bank, outcomes: paid}
    on_error: bad
  stock: {uses: service, in: to_stock, out: answers, on_error: bad}
  bank: {uses: service, in: to_bank, out: answers, BANK, on_error: bad}
  paid: {uses: keep, in: paid}
  bad: {uses: keep, in: bad}
";

fn shop(bank: &str) -> String {
    PAY.replace("BANK", bank)
}

fn order(key: u64) -> Value {
    json!({"key": key, "fare": 10 + key})
}

#[towpath::test(schedules = 100)]
async fn every_saga_ends_as_its_steps_do() {
    const ORDERS: u64 = 5;
    for (bank, ends) in
        [("takes: 5ms", "done"), ("declines: 100%", "compensated"), ("fails: 100%", "compensated")]
    {
        let story = run(&shop(bank), &disk(), |node, kept| async move {
            put(&node, "starts", (0..ORDERS).chain(0..2).map(order));
            put(&node, "starts", [json!({"fare": 1})]);
            let bad = kept.next("bad", 1).await;
            assert_eq!(bad[0]["error"], "the message has no field `key`, which is its key");
            let paid = kept.next("paid", ORDERS as usize).await;
            for outcome in &paid {
                assert_eq!(
                    (&outcome["outcome"], outcome["fare"].as_u64()),
                    (&json!(ends), outcome["key"].as_u64().map(|key| key + 10))
                );
            }
            let steps = &paid[0]["steps"];
            match bank {
                "takes: 5ms" => {
                    let key = &paid[0]["key"];
                    assert_eq!(paid[0]["output"], json!({"idempotency": format!("{key}/thank")}));
                    assert_eq!(steps[2], json!({"name": "thank", "became": "done"}));
                }
                _ => {
                    assert_eq!(
                        steps[0],
                        json!({"name": "reserve", "became": "taken back"}),
                        "{paid:?}"
                    );
                    assert_eq!(
                        (&steps[1]["became"], &steps[2]["became"]),
                        (&json!("failed"), &json!("not begun"))
                    );
                }
            }
            Ok(kept)
        });
        let kept = story.await.unwrap();
        // One that came again when the first had ended is told the same outcome again.
        let again = kept.rest("paid");
        assert!(again.len() <= 2 && again.iter().all(|it| it["outcome"] == ends), "{again:?}");
    }
}

#[towpath::test(schedules = 60)]
async fn why_one_is_tried_again_is_shown_and_it_can_be_turned_back() {
    let text = shop("fails: 100%")
        .replace("attempts: 3, pause: 10ms", "attempts: 1000, pause: 100d, longest_pause: 100d");
    let story = run(&text, &disk(), |node, kept| async move {
        put(&node, "starts", [order(7)]);
        until("a failed try", || {
            !shown(&node, "pay", &[("state", "running")])["sagas"][0]["why"].is_null()
        })
        .await;
        let shown = shown(&node, "pay", &[("key", "7")]);
        let saga = &shown["sagas"][0];
        assert_eq!((&saga["key"], &saga["step"]), (&json!("7"), &json!("charge")), "{shown}");
        assert_eq!(saga["why"], "charge is not available at the moment");
        let facet = node.facet("pay").unwrap();
        assert_eq!(
            facet.act("cancel", json!({"key": 7, "why": "enough"})).await.unwrap(),
            json!({"cancelled": "New"})
        );
        let outcome = kept.next("paid", 1).await.remove(0);
        assert_eq!(
            (&outcome["outcome"], &outcome["why"]),
            (&json!("compensated"), &json!("enough"))
        );
        let unknown = facet.act("resume", json!({"key": "nobody"})).await.unwrap_err();
        assert!(unknown.to_string().contains("nobody"), "{unknown}");
        Ok(())
    });
    story.await.unwrap();
}

#[towpath::test(schedules = 60)]
async fn behind_the_pivot_it_waits_for_a_person_who_lets_it_go_on() {
    let text = shop("fails: 100%")
        .replace("do: bank, undo: bank,", "do: bank, pivot: true,")
        .replace("attempts: 3", "attempts: 2");
    let text = text.replace(
        "- {name: thank, do: stock, timeout: 10d}",
        "- {name: thank, do: bank, timeout: 10d, attempts: 2, pause: 1ms}",
    );
    let text = text.replace("fails: 100%", "fails: 51%");
    let story = run(&text, &disk(), |node, kept| async move {
        // Of these, some are not done behind the pivot in two tries.
        put(&node, "starts", (0..12).map(order));
        let outcomes = kept.next("paid", 12).await;
        let failed: Vec<_> = outcomes
            .iter()
            .filter(|it| it["outcome"] == "failed")
            .map(|it| it["key"].clone())
            .collect();
        assert!(
            !failed.is_empty() && outcomes.iter().any(|it| it["outcome"] == "done"),
            "{outcomes:?}"
        );
        let facet = node.facet("pay").unwrap();
        let mut waiting = failed;
        while !waiting.is_empty() {
            for key in &waiting {
                assert_eq!(
                    facet.act("resume", json!({"key": key})).await.unwrap(),
                    json!({"resumed": 1})
                );
            }
            let outcomes = kept.next("paid", waiting.len()).await;
            let still = outcomes.iter().filter(|it| it["outcome"] == "failed");
            waiting = still.map(|it| it["key"].clone()).collect();
        }
        Ok(())
    });
    story.await.unwrap();
}

/// The node is stopped where it stands, or told to leave, with its power cut, and started again: every saga ends, and as it was told first.
#[towpath::test(schedules = 60)]
async fn sagas_go_on_after_a_crash() {
    const ORDERS: u64 = 4;
    let disk = disk();
    let mut ended: BTreeMap<u64, Value> = BTreeMap::new();
    for round in 0..4 {
        let text = shop("takes: 3ms, declines: 40%");
        let is_last = round == 3;
        let story = move |node: Node, kept: Kept| async move {
            // Whoever does not know whether they were heard sends them again.
            put(&node, "starts", (0..ORDERS).map(order));
            let many = if is_last { ORDERS } else { rt::random() % ORDERS };
            Ok((kept.next("paid", many as usize).await, kept))
        };
        let ran = if is_last {
            run(&text, &disk, story).await
        } else {
            run_and_stop(&text, &disk, story).await
        };
        let (mut told, kept) = ran.unwrap();
        disk.crash();
        told.extend(kept.rest("paid"));
        for it in told {
            let (key, outcome) = (it["key"].as_u64().unwrap(), it["outcome"].clone());
            assert_eq!(*ended.entry(key).or_insert(outcome.clone()), outcome, "saga {key}");
        }
    }
    assert_eq!(ended.len() as u64, ORDERS);
}

#[test]
fn what_is_wrong_with_the_steps_is_told_at_its_place() {
    let with = |from: &str, to: &str| problems(&shop("takes: 1ms").replace(from, to));
    assert_eq!(with("nothing", "nothing"), "nothing");
    let port = with("stock: to_stock, bank", "stok: to_stock, bank");
    assert!(
        port.contains("component `saga` has no output `stok`; did you mean `stock`?"),
        "{port}"
    );
    let step = with("pause: 10ms", "pause: soon");
    assert!(step.contains(":11:") && step.contains("a span of time is"), "{step}");
    let share = with("takes: 1ms", "fails: 5");
    assert!(share.contains("a share is a number from 0 to 100 and a percent sign: 5%"), "{share}");
}
