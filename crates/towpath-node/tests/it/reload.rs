//! Changing a network while it runs: no message is lost or comes twice, and what does not work is taken back. Under every schedule.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Deserialize;
use serde_json::json;
use towpath::{BoxError, Ctx, rt, scope};
use towpath_node::{
    Component, Need, NoOptions, Node, Port, Ports, Registry, Setup,
    file::NetworkFile,
    node::{Reloaded, Work},
};
use towpath_sim::Sim;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    /// What is added to each number.
    #[serde(default)]
    tens: u64,
    #[serde(default)]
    fails: bool,
    /// It keeps a message for so long that no deadline waits for it.
    #[serde(default)]
    holds: bool,
}

type Seen = Arc<Mutex<Vec<u64>>>;

fn registry(seen: &Seen) -> Registry {
    let seen = seen.clone();
    Registry::builtin()
        .with(Component::new("add", "adds").input(Port::new("in")).output(Port::new("out")).runs(
            |options: Add| {
                async move |_: Ctx, ports: &mut Ports| {
                    if options.fails {
                        return Err(BoxError::from("it cannot"));
                    }
                    while let Some(number) = ports.recv("in").await {
                        if options.holds {
                            rt::sleep(Duration::from_secs(1000)).await;
                        }
                        let number =
                            number.map(|n| json!(n.as_u64().unwrap_or(0) + options.tens * 1000));
                        ports.send("out", number).await?;
                    }
                    Ok(())
                }
            },
        ))
        .with(Component::new("keep", "keeps").input(Port::new("in").need(Need::Some)).runs(
            move |_: NoOptions| {
                let seen = seen.clone();
                async move |_: Ctx, ports: &mut Ports| {
                    while let Some(number) = ports.recv("in").await {
                        seen.lock().unwrap().push(number.as_u64().unwrap());
                    }
                }
            },
        ))
}

const ONE: &str = "
version: 1
name: n
channels: {a: {capacity: 2}, b: {capacity: 3}}
processes:
  makes: {uses: load, every: 10ms, count: 40, out: a}
  add: {uses: add, in: a, out: b}
  keep: {uses: keep, in: b}
";

/// Another process between, and a channel more.
const TWO: &str = "
version: 1
name: n
channels: {a: {capacity: 2}, b: {capacity: 3}, c: {capacity: 0}}
processes:
  makes: {uses: load, every: 10ms, count: 40, out: a}
  add: {uses: add, in: a, out: c}
  more: {uses: add, tens: 1, in: c, out: b}
  keep: {uses: keep, in: b}
";

fn start(text: &str, seen: &Seen, ctx: &Ctx) -> (Node, Work) {
    let file = NetworkFile::read("n.yaml", text, &[]).unwrap_or_else(|it| panic!("{it}"));
    let started = Node::start(file, registry(seen), &Setup::new("not-there"), ctx);
    started.unwrap_or_else(|it| panic!("{it}"))
}

const WITHIN: Duration = Duration::from_secs(20);

/// Runs the first file, changes to the others after a while each, and runs to the end. What came, and what became of the changes.
async fn through(files: &[&str]) -> (Vec<u64>, Vec<Reloaded>) {
    let seen = Seen::default();
    let ctx = Ctx::root();
    let (node, work) = start(files[0], &seen, &ctx);
    let files: Vec<String> = files[1..].iter().map(|text| (*text).to_owned()).collect();
    let done = scope(&ctx, |s| async move {
        s.spawn("network", move |_| work.run());
        let mut told = Vec::new();
        for text in &files {
            rt::sleep(Duration::from_millis(35)).await;
            // It may have ended: a slow machine.
            let Ok(reloaded) = node.reload(text, WITHIN).await else { break };
            told.push(reloaded);
        }
        Ok(told)
    });
    let told = done.await.unwrap();
    let seen = seen.lock().unwrap().clone();
    (seen, told)
}

fn all(seen: &[u64]) {
    let numbers: Vec<_> = seen.iter().map(|number| number % 1000).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>(), "each once, in its order");
}

#[towpath::test(schedules = 150)]
async fn other_options_are_swapped_without_a_loss() {
    let (seen, told) = through(&[ONE, &ONE.replace("uses: add", "uses: add, tens: 7")]).await;
    all(&seen);
    let last = seen[39];
    if let [reloaded] = told.as_slice() {
        assert_eq!((reloaded.done, &reloaded.rolled_back), (true, &None));
        assert_eq!(reloaded.changes[0].words, "tens: 7 is new");
        // Who had ended by then did not have to change.
        assert!(last == 40 || last == 7040, "{last}");
    }
    let first_new = seen.iter().position(|number| *number > 7000).unwrap_or(seen.len());
    assert!(seen[first_new..].iter().all(|number| *number > 7000), "once changed it stays so");
}

#[towpath::test(schedules = 150)]
async fn a_process_comes_between_and_goes_again_without_a_loss() {
    let (seen, told) = through(&[ONE, TWO, ONE]).await;
    all(&seen);
    for reloaded in told {
        // What is in a channel that would go is a reason to stay.
        match reloaded.rolled_back {
            Some(why) => assert!(why.contains("channel `c`"), "{why}"),
            None => assert!(reloaded.done),
        }
    }
}

#[towpath::test(schedules = 150)]
async fn who_fails_with_what_is_new_has_the_old_back() {
    let bad = ONE.replace("uses: add", "uses: add, fails: true");
    let (seen, told) = through(&[ONE, &bad]).await;
    all(&seen);
    for reloaded in told {
        // It may have had nothing more to do, and so not begun.
        if let Some(why) = reloaded.rolled_back {
            assert!(why.contains("process `add` fails") && why.contains("it cannot"), "{why}");
        }
    }
    // Who fails only later, as the machine is slow, gets what works by the next change.
    let bad = TWO.replace("tens: 1", "fails: true");
    let (seen, _) = through(&[ONE, &bad, TWO, TWO, TWO]).await;
    all(&seen);
}

#[towpath::test(schedules = 50)]
async fn who_had_ended_and_has_more_to_do_goes_on() {
    // Another load keeps the network from ending.
    let more = "  add: {uses: add, in: a, out: b}\n  slow: {uses: load, every: 100s, count: 1, message: 900, out: b}\n";
    let file = |count: u32| {
        let text = ONE.replace("count: 40", &format!("count: {count}"));
        text.replace("  add: {uses: add, in: a, out: b}\n", more)
    };
    let seen = Seen::default();
    let ctx = Ctx::root();
    let (node, work) = start(&file(3), &seen, &ctx);
    let done = scope(&ctx, |s| async move {
        s.spawn("network", move |_| work.run());
        rt::sleep(Duration::from_millis(500)).await;
        Ok(node.reload(&file(5), WITHIN).await?)
    });
    let reloaded = done.await.unwrap();
    assert_eq!((reloaded.done, reloaded.rolled_back), (true, None));
    assert_eq!(reloaded.changes[0].words, "count: 3 becomes 5");
    let mut seen = seen.lock().unwrap().clone();
    seen.retain(|number| *number != 900);
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

/// What a change costs those who do not change is a moment, and not the time that they would have at most.
#[test]
fn a_swap_does_not_wait_for_who_has_begun_already() {
    // On a machine that is not slow: nothing but waiting takes time.
    let report = Sim::new().stall(Duration::ZERO).schedules(150).explore(|| async {
        let seen = Seen::default();
        let ctx = Ctx::root();
        let (node, work) = start(ONE, &seen, &ctx);
        let done = scope(&ctx, |s| async move {
            s.spawn("network", move |_| work.run());
            rt::sleep(Duration::from_millis(35)).await;
            let began = rt::now();
            let other = ONE.replace("uses: add", "uses: add, tens: 7");
            let reloaded = node.reload(&other, WITHIN).await?;
            Ok((reloaded, rt::now() - began))
        });
        let (reloaded, took) = done.await.unwrap();
        assert_eq!(reloaded.rolled_back, None);
        assert!(took < WITHIN / 2, "{took:?}");
    });
    if let Some(failure) = report.failure {
        panic!("{}", failure.finding.summary);
    }
}

#[towpath::test(schedules = 150)]
async fn who_cannot_let_go_in_time_stays_as_it_is() {
    let slow = ONE.replace("uses: add", "uses: add, holds: true").replace("count: 40", "count: 3");
    let seen = Seen::default();
    let ctx = Ctx::root();
    let (node, work) = start(&slow, &seen, &ctx);
    let done = scope(&ctx, |s| async move {
        s.spawn("network", move |_| work.run());
        while node.state().processes[1].received == 0 {
            rt::sleep(Duration::from_millis(10)).await;
        }
        for other in [ONE, TWO] {
            let other = other.replace("count: 40", "count: 3");
            if let Ok(reloaded) = node.reload(&other, WITHIN).await
                && let Some(why) = reloaded.rolled_back
            {
                assert!(why.contains("did not finish what it has within 20s"), "{why}");
            }
        }
        Ok(())
    });
    done.await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3]);
}

#[towpath::test(schedules = 20)]
async fn a_text_that_is_no_such_network_changes_nothing() {
    let seen = Seen::default();
    let ctx = Ctx::root();
    let (node, work) = start(ONE, &seen, &ctx);
    let done = scope(&ctx, |s| async move {
        s.spawn("network", move |_| work.run());
        let told = |error: towpath_node::node::StartError| error.to_string();
        let error = told(node.reload(&ONE.replace("in: a", "in: x"), WITHIN).await.unwrap_err());
        assert!(error.contains("there is no channel `x`"), "{error}");
        let error = told(node.plan(&ONE.replace("name: n", "name: m")).unwrap_err());
        assert!(error.contains("the network that runs is `n`"), "{error}");
        let changes = node.plan(TWO).unwrap();
        let told: Vec<_> =
            changes.iter().map(|it| format!("{} {} {}", it.change, it.what, it.name)).collect();
        assert_eq!(told, ["added channel c", "changed process add", "added process more"]);
        assert_eq!(node.state().generation, 1);
        Ok(())
    });
    done.await.unwrap();
    all(&seen.lock().unwrap());
}
