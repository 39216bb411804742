//! What is found only where operations take time.

use std::time::Duration;

use towpath::rt;
use towpath_sim::{FindingKind, Sim};

/// Further ahead than the stall, so no timer rings early for it: only work that takes long can beat it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A client gives up after a time in which, as its author thought, three operations are always done.
async fn an_answer_in_time() {
    let (tx, mut rx) = towpath::bounded(1);
    let server = rt::spawn(async move {
        let (first, mut second) = towpath::bounded(1);
        first.send(1).await.expect("it is there");
        let answer = second.recv().await;
        answer.is_some_and(|answer| tx.try_send(answer).is_ok())
    });
    towpath::select! {
        answer = rx.recv() => assert_eq!(answer, Some(1)),
        _ = towpath::after(PATIENCE) => panic!("the server was too slow"),
    }
    server.await.expect("it ends");
}

#[test]
fn a_timeout_that_nothing_else_can_beat() {
    let report = Sim::new().schedules(3_000).explore(an_answer_in_time);
    assert!(report.failure.is_none(), "{}", report.finding().expect("a finding"));
    let slow = Sim::new().step_cost(Duration::from_secs(1));
    let failed = slow.clone().explore(an_answer_in_time).failure.expect("it is too slow sometimes");
    assert_eq!(failed.finding.kind, FindingKind::Panic);
    assert!(failed.finding.summary.contains("too slow"), "{}", failed.finding.summary);
    assert!(failed.finding.time >= PATIENCE, "{:?}", failed.finding.time);
    // Nobody need be slow more often than it takes: three times the whole second, and one for where the others go.
    assert!(failed.forced.1 <= 4, "{} forced choices", failed.forced.1);
    let again = slow.replay(&failed.token, an_answer_in_time).failure.expect("it fails again");
    assert_eq!((again.finding, again.story), (failed.finding, failed.story));
}

#[towpath::test(schedules = 200, step_cost = "1s")]
#[should_panic(expected = "the server was too slow")]
async fn a_test_may_say_what_a_step_costs() {
    an_answer_in_time().await;
}

/// A timer that is passed while a step takes its time has rung when the step is over.
#[towpath::test(schedules = 500, step_cost = "30ms")]
async fn no_timer_is_passed_in_silence() {
    let naps = [1, 10, 100].map(|millis| {
        let nap = Duration::from_millis(millis);
        rt::spawn(async move {
            let before = rt::now();
            rt::sleep(nap).await;
            assert!(rt::now() >= before + nap);
        })
    });
    for nap in naps {
        nap.await.expect("it wakes up");
    }
}
