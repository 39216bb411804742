//! `#[towpath::test]` from a test's point of view.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use towpath_sim::{Sim, Strategy};

#[towpath::test(schedules = 50, seed = 0x51ee7, strategy = "pct", max_steps = 1000)]
async fn an_async_function_is_a_test() {
    let (tx, mut rx) = towpath::bounded(1);
    let sender = towpath::rt::spawn(async move { tx.send(7).await });
    assert_eq!(rx.recv().await, Some(7));
    assert!(sender.await.is_ok());
}

#[towpath::test]
async fn a_result_is_a_test_too() -> Result<(), towpath::SendError<u8>> {
    let (tx, mut rx) = towpath::bounded(1);
    tx.send(1).await?;
    assert_eq!(rx.recv().await, Some(1));
    Ok(())
}

#[towpath::test]
#[should_panic(expected = "Refused")]
async fn an_error_fails_the_test() -> Result<(), Refused> {
    Err(Refused)
}

#[derive(Debug)]
struct Refused;

#[towpath::test]
#[should_panic(expected = "cargo test attribute::a_failure_says_how_to_run_it_again")]
async fn a_failure_says_how_to_run_it_again() {
    let (_tx, mut rx) = towpath::bounded::<u8>(1);
    rx.recv().await;
}

/// It fails without any forced choice, so the token in `tests/replays` is the one that forces nothing.
#[towpath::test]
#[should_panic(expected = "fails again with the committed token of tests/replays/\
                           it__attribute__a_committed_token_runs_first.txt:2")]
async fn a_committed_token_runs_first() {
    panic!("always");
}

#[test]
fn a_campaign_runs_its_schedules() {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = runs.clone();
    // Not `test`: the environment may ask that for more.
    let report = Sim::new().schedules(20).strategy(Strategy::Random).explore(move || {
        counted.fetch_add(1, Relaxed);
        async { assert!(towpath_sim::choose(2) < 2) }
    });
    assert_eq!(report.schedules, 20);
    // Schedules 0, 1, 2, 4, 8 and 16 are run twice, to see that they are the same; but without a choice there is only one.
    assert_eq!(runs.load(Relaxed), 20 + 6);
}
