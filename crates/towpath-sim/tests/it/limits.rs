//! What a test may allow, and where a schedule that does not end is cut.

use std::time::Duration;

use towpath::rt;
use towpath_sim::{FindingKind, Leaks, Sim, yield_point};

async fn leaves_somebody_behind() {
    let (tx, mut rx) = towpath::rendezvous::<u8>();
    drop(rt::spawn(async move {
        rx.recv().await;
    }));
    drop(rt::spawn(async move {
        loop {
            rt::sleep(Duration::from_secs(1)).await;
            if tx.is_closed() {
                return;
            }
        }
    }));
    rt::sleep(Duration::from_secs(3)).await;
}

#[test]
fn leaks_are_found_unless_they_are_allowed() {
    let report = Sim::new().explore(leaves_somebody_behind);
    let finding = report.finding().expect("it leaks");
    assert_eq!(finding.kind, FindingKind::Leak);
    assert!(finding.stuck.iter().all(|stuck| stuck.spawned_at.contains("limits.rs")));
    let report = Sim::new().leaks(Leaks::Allow).explore(leaves_somebody_behind);
    assert!(report.failure.is_none(), "{}", report.finding().unwrap());
}

#[towpath::test(leaks = "allow")]
async fn a_test_may_allow_leaks() {
    leaves_somebody_behind().await;
}

/// What is allowed is to be left, not to hang.
#[test]
fn who_is_allowed_to_leak_may_not_hang() {
    let report = Sim::new().leaks(Leaks::Allow).explore(|| async {
        let (_tx, mut rx) = towpath::rendezvous::<u8>();
        rx.recv().await;
    });
    assert_eq!(report.finding().map(|finding| finding.kind), Some(FindingKind::Deadlock));
}

#[test]
fn a_schedule_is_cut_where_it_was_said() {
    let spins = || async {
        loop {
            yield_point();
        }
    };
    for steps in [10, 1000] {
        let report = Sim::new().max_steps(steps).explore(spins);
        let finding = report.finding().expect("it does not end");
        assert_eq!(finding.kind, FindingKind::NoEnd);
        assert_eq!(finding.step_count, steps + 1, "the first step too many");
        assert!(
            finding.summary.contains(&format!("no end after {} steps", steps + 1)),
            "{finding}"
        );
    }
    let short = || async {
        for _ in 0..500 {
            yield_point();
        }
    };
    assert!(Sim::new().schedules(10).max_steps(499).explore(short).failure.is_some());
    assert!(Sim::new().schedules(10).max_steps(600).explore(short).failure.is_none());
}

/// A loop that polls is not a hang: others have their turn in the end, however unfair the schedule, and time passes.
#[towpath::test(schedules = 300)]
async fn a_loop_that_polls_sees_what_it_waits_for() {
    let (tx, mut rx) = towpath::unbounded();
    drop(rt::spawn(async move {
        rt::sleep(Duration::from_secs(60)).await;
        tx.send(1).await.unwrap();
    }));
    while rx.try_recv().is_err() {
        yield_point();
    }
}

/// A future that wakes itself does no operation, and neither does a thread that only sleeps; they end all the same.
#[test]
fn loops_without_a_single_operation_are_cut() {
    let spins = || async {
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::<()>::Pending
        })
        .await;
    };
    let spins_on_a_thread = || async {
        drop(rt::spawn_blocking(|| {
            towpath::block_on(std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                std::task::Poll::<()>::Pending
            }));
        }));
        std::future::pending::<()>().await;
    };
    let sleeps_on_a_thread = || async {
        drop(rt::spawn_blocking(|| {
            loop {
                towpath::block_on(rt::sleep(Duration::from_secs(1)));
            }
        }));
        std::future::pending::<()>().await;
    };
    let kind = |report: towpath_sim::Report| report.finding().map(|finding| finding.kind);
    let sim = || Sim::new().max_steps(1000);
    assert_eq!(kind(sim().explore(spins)), Some(FindingKind::NoEnd));
    assert_eq!(kind(sim().explore(spins_on_a_thread)), Some(FindingKind::NoEnd));
    assert_eq!(kind(sim().explore(sleeps_on_a_thread)), Some(FindingKind::NoEnd));
}
