//! `match`: what belongs together comes out together, and what is missing is told.

use serde_json::{Value, json};

use super::*;

const PAIRS: &str = "
version: 1
name: papers
channels: {orders: {capacity: 2}, bills: {capacity: 2}, matched: {capacity: 1}, differences: {capacity: 1}, bad: }
processes:
  source: {uses: quiet, out: [orders, bills]}
  pairs:
    uses: match
    parts: {order: 1, bill: 1.., payment: 0..}
    each: {bill: payment}
    equal: [[order, bill]]
    tolerance: 2%
    window: WINDOW
    in: [orders, bills]
    out: {matched: matched, differences: differences}
    on_error: bad
  matched: {uses: keep, in: matched}
  differences: {uses: keep, in: differences}
  bad: {uses: keep, in: bad}
";

fn part(key: u64, part: &str, amount: f64) -> Value {
    json!({"key": key, "part": part, "amount": amount, "id": part})
}

#[towpath::test(schedules = 100)]
async fn sets_come_out_once_and_what_is_missing_is_told_in_words() {
    let story = run(&PAIRS.replace("WINDOW", "400d"), &disk(), |node, kept| async move {
        put(
            &node,
            "orders",
            [part(1, "order", 100.0), part(2, "order", 100.0), part(3, "order", 5.0)],
        );
        put(
            &node,
            "bills",
            [
                part(1, "bill", 101.5),
                part(1, "payment", 0.0),
                part(2, "bill", 120.0),
                part(2, "payment", 0.0),
                part(1, "bill", 7.0),
            ],
        );
        put(&node, "bills", [part(4, "bil", 1.0), json!({"part": "bill"})]);
        let bad = kept.next("bad", 2).await;
        let mut errors: Vec<_> = bad.iter().map(|it| it["error"].as_str().unwrap_or("?")).collect();
        errors.sort_unstable();
        assert_eq!(
            errors,
            [
                "the message has no field `key`, which is its key",
                "there is no part `bil`; did you mean `bill`?"
            ]
        );
        let matched = kept.next("matched", 1).await.remove(0);
        assert_eq!(
            (&matched["key"], matched["parts"].as_array().unwrap().len()),
            (&json!(1), 3),
            "{matched}"
        );
        assert!(
            matched["parts"].as_array().unwrap().iter().any(|it| it["message"]["amount"] == 101.5)
        );
        until("two to be open", || {
            shown(&node, "pairs", &[])["waiting"] == 2 && shown(&node, "pairs", &[])["parts"] == 8
        })
        .await;
        assert_eq!(shown(&node, "pairs", &[])["duplicates"], 1);
        // That nothing more comes is known when the sources have ended.
        Ok(kept)
    });
    let kept = story.await.unwrap();
    let mut differences: Vec<_> = kept
        .rest("differences")
        .iter()
        .map(|it| format!("{} {} {}", it["key"], it["why"], it["differences"]))
        .collect();
    differences.sort_unstable();
    assert_eq!(
        differences,
        [
            r#"2 "ended" ["order 100.00, bill 120.00"]"#,
            r#"3 "ended" ["0 of bill, needs 1","order 5.00, bill 0.00"]"#
        ]
    );
}

#[towpath::test(schedules = 100)]
async fn windows_end_by_the_clock_and_what_comes_late_is_told() {
    let story = run(&PAIRS.replace("WINDOW", "1s"), &disk(), |node, kept| async move {
        put(&node, "orders", [part(7, "order", 1.0)]);
        let missing = kept.next("differences", 1).await.remove(0);
        assert_eq!((&missing["key"], &missing["why"]), (&json!(7), &json!("deadline")));
        put(&node, "bills", [part(7, "bill", 1.0)]);
        let late = kept.next("differences", 1).await.remove(0);
        assert_eq!(
            (&late["why"], &late["differences"][0]),
            (&json!("late"), &json!("its set was closed unmatched"))
        );
        until("the count", || shown(&node, "pairs", &[])["late"] == 1).await;
        let shown = shown(&node, "pairs", &[]);
        assert_eq!(
            (&shown["late"], &shown["latest"][0]["why"]),
            (&json!(1), &json!("late")),
            "{shown}"
        );
        Ok(())
    });
    story.await.unwrap();
}

#[towpath::test(schedules = 50)]
async fn purchase_orders_match_by_their_papers() {
    let text = PAIRS.replace("WINDOW", "90d");
    let from = text.find("    parts:").unwrap();
    let to = text.find("    window:").unwrap();
    let text = format!("{}    rules: purchase\n{}", &text[..from], &text[to..]);
    let story = run(&text, &disk(), |node, kept| async move {
        let paper = |case: &str, activity: &str| json!({"case": case, "activity": activity});
        put(
            &node,
            "orders",
            [
                "Create Purchase Order Item",
                "Change Price",
                "Record Goods Receipt",
                "Record Invoice Receipt",
                "Clear Invoice",
            ]
            .map(|it| paper("a", it)),
        );
        put(
            &node,
            "bills",
            ["Create Purchase Order Item", "Record Invoice Receipt"].map(|it| paper("b", it)),
        );
        let matched = kept.next("matched", 1).await.remove(0);
        let parts: Vec<_> = matched["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["part"].as_str().unwrap_or("?"))
            .collect();
        assert_eq!(
            (&matched["key"], parts),
            (&json!("a"), vec!["order", "receipt", "invoice", "clearing"])
        );
        until("the other", || shown(&node, "pairs", &[])["parts"] == 6).await;
        Ok(kept)
    });
    let kept = story.await.unwrap();
    assert_eq!(kept.many("bad"), 0);
    let differences = kept.rest("differences");
    assert_eq!(
        differences[0]["differences"],
        json!([
            "0 of receipt, needs 1",
            "1 of invoice and 0 of clearing",
            "invoice before receipt"
        ])
    );
}
