//! The same in, the same out: seeds, tokens, in this process and in another one; and virtual time.

use std::{cell::RefCell, env, process::Command, rc::Rc, time::Duration};

use towpath::{Ctx, bounded, rt, scope, select};
use towpath_sim::{FindingKind, Report, Sim, Strategy, choose};

/// A bit of everything: tasks, a thread, a lock, a select, timers, chance. Whoever is first is written down.
async fn mixed(story: Rc<RefCell<Vec<String>>>) {
    const PLACES: usize = 2;
    let (tx, mut rx) = bounded::<String>(PLACES);
    let lock = std::sync::Arc::new(towpath::sync::Mutex::new(0));
    for name in ["a", "b"] {
        let (tx, lock) = (tx.clone(), lock.clone());
        drop(rt::spawn(async move {
            *lock.lock().await += rt::random() % 7;
            rt::sleep(Duration::from_millis(choose(3))).await;
            tx.send(name.to_owned()).await.unwrap();
        }));
    }
    drop(rt::spawn_blocking(move || {
        let sum = *lock.lock_blocking();
        tx.send_blocking(format!("thread {sum}")).unwrap();
    }));
    loop {
        select! {
            got = rx.recv() => match got {
                Some(who) => story.borrow_mut().push(who),
                None => return,
            },
            () = towpath::after(Duration::from_millis(1)) => story.borrow_mut().push("late".into()),
        }
    }
}

fn told(sim: Sim) -> (Report, Vec<String>) {
    let story = Rc::new(RefCell::new(Vec::new()));
    let report = sim.explore(|| mixed(story.clone()));
    (report, story.take())
}

#[test]
fn one_seed_is_one_set_of_schedules() {
    use Strategy::*;
    for strategy in [Random, Pct, Pos, Exhaustive, Portfolio] {
        let sim = Sim::new().schedules(100).seed(7).strategy(strategy);
        let (one, one_told) = told(sim.clone());
        let (other, other_told) = told(sim.clone());
        assert!(one.failure.is_none(), "{:?}", one.failure);
        assert_eq!((one.hash, one.steps, one.distinct), (other.hash, other.steps, other.distinct));
        assert_eq!(one_told, other_told, "{strategy}");
        let (third, _) = told(sim.seed(8));
        assert!(third.hash != one.hash || strategy == Exhaustive, "{strategy}");
    }
}

/// Fails when the second sender is the first, if the first does not come between.
async fn racy() {
    let (tx, mut rx) = towpath::unbounded();
    for n in [1, 2] {
        let tx = tx.clone();
        drop(rt::spawn(async move { tx.send(n).await.unwrap() }));
    }
    assert_eq!(rx.recv().await, Some(1), "overtaken");
}

#[test]
fn ten_thousand_replays_are_the_same() {
    let found = Sim::new().explore(racy).failure.unwrap();
    assert_eq!(found.finding.kind, FindingKind::Panic);
    let mut hash = None;
    for _ in 0..10_000 {
        let again = Sim::new().replay(&found.token, racy);
        assert_eq!((again.schedules, *hash.get_or_insert(again.hash)), (1, again.hash));
        let failed = again.failure.unwrap();
        assert_eq!((&failed.token, &failed.story), (&found.token, &found.story));
        assert_eq!(failed.finding, found.finding);
    }
}

/// Also one that is not shrunk, and one that came from a strategy's plan.
#[test]
fn tokens_of_both_kinds_replay() {
    for strategy in [Strategy::Random, Strategy::Pct, Strategy::Pos, Strategy::Portfolio] {
        let sim = Sim::new().strategy(strategy).shrink(Duration::ZERO);
        let story = Rc::new(RefCell::new(Vec::new()));
        let program = || {
            let story = story.clone();
            async move {
                story.borrow_mut().clear();
                mixed(story.clone()).await;
                assert_ne!(story.borrow()[0], "b", "b is first");
            }
        };
        let found = sim.clone().explore(program).failure.unwrap();
        let again = sim.replay(&found.token, program).failure.unwrap();
        assert_eq!((again.finding, again.story), (found.finding, found.story), "{strategy}");
    }
}

const CHILD: &str = "replay::only_in_a_process_of_its_own";

#[test]
#[ignore = "fails; `a_token_is_the_same_in_another_process` runs it as a program of its own"]
fn only_in_a_process_of_its_own() {
    Sim::new().test(&format!("it::{CHILD}"), racy);
}

/// What the test binary, started anew with these variables, says of the test that fails.
fn in_another_process(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", CHILD, "--ignored", "--nocapture"]);
    for name in ["REPLAY", "SIM_SCHEDULES", "SIM_SEED", "SIM_BUDGET"] {
        command.env_remove(format!("TOWPATH_{name}"));
    }
    let output =
        command.envs(variables.iter().copied()).env("RUST_BACKTRACE", "0").output().unwrap();
    assert!(!output.status.success(), "it should fail: {output:?}");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_token_is_the_same_in_another_process() {
    let found = Sim::new().explore(racy).failure.unwrap();
    let first = in_another_process(&[]);
    assert!(first.contains(&format!("TOWPATH_REPLAY={} ", found.token)), "{first}");
    let again = in_another_process(&[("TOWPATH_REPLAY", &found.token)]);
    assert!(again.contains("fails in the replay"), "{again}");
    for text in [&first, &again] {
        assert!(text.contains(&found.finding.summary), "{text}");
        assert!(text.contains(&found.story.join("\n")), "the whole story is in it: {text}");
    }
}

/// Time is virtual: an hour of waiting is a few steps, and whoever waits longest decides how long it takes.
#[test]
fn an_hour_of_timeouts_is_a_few_steps() {
    const HOUR: Duration = Duration::from_secs(3600);
    const TRIES: u32 = 60;
    let report = Sim::new().schedules(200).explore(|| async {
        let start = rt::now();
        let ran = scope(&Ctx::root().with_timeout(HOUR), |s| async move {
            let (tx, mut answers) = towpath::rendezvous::<u8>();
            s.spawn("client", |ctx| async move {
                let _tx = tx;
                for tries in 0.. {
                    select! { biased;
                        _ = ctx.done() => { assert!(tries >= TRIES - 1, "{tries} tries"); return }
                        _ = answers.recv() => unreachable!("nobody answers"),
                        () = towpath::after(HOUR / TRIES) => {}
                    }
                }
            });
            Ok(())
        });
        ran.await.unwrap();
        assert!(rt::now() - start >= HOUR && towpath_sim::elapsed() >= Some(HOUR));
    });
    assert!(report.failure.is_none(), "{}", report.finding().unwrap());
    let per_schedule = report.steps / report.schedules;
    assert!(per_schedule < 3 * u64::from(TRIES), "{per_schedule} steps for an hour");
}

/// A program without choices has one schedule, and one with a few has a few; then the search says that it is over.
#[test]
fn an_exhaustive_search_ends_and_says_so() {
    let exhaustive = || Sim::new().schedules(1_000_000).strategy(Strategy::Exhaustive);
    let report = exhaustive().explore(|| async {});
    assert_eq!((report.schedules, report.complete), (1, true));

    let seen = Rc::new(RefCell::new(std::collections::BTreeSet::new()));
    let report = exhaustive().explore(|| {
        let seen = seen.clone();
        async move {
            let dice = (choose(2), choose(3));
            seen.borrow_mut().insert(dice);
        }
    });
    assert_eq!((report.complete, seen.borrow().len()), (true, 6));

    // With operations that meet: everybody's order is seen.
    seen.borrow_mut().clear();
    let report = exhaustive().explore(|| {
        let seen = seen.clone();
        async move {
            let (tx, mut rx) = towpath::unbounded();
            let other = tx.clone();
            drop(rt::spawn(async move { other.try_send(1).unwrap() }));
            tx.try_send(2).unwrap();
            let first = (rx.recv().await.unwrap(), rx.recv().await.unwrap());
            seen.borrow_mut().insert(first);
        }
    });
    assert!(report.complete && report.failure.is_none(), "{} schedules", report.schedules);
    assert_eq!(seen.borrow().len(), 2, "after {} schedules", report.schedules);
    assert_eq!(report.distinct, report.schedules, "none of them twice");
}
