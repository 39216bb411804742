//! The ambient runtime: tasks on tokio and on plain threads, by the same calls.

use std::{future::pending, panic, thread, time::Duration};

use towpath::{
    rt::{self, Handle, TaskError},
    select, select_blocking,
};

use crate::harness::watchdog;

/// Runs `check` inside each backend.
fn on_each_runtime(check: impl Fn(Handle)) {
    check(Handle::threads());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let entered = runtime.enter();
    check(Handle::current());
    drop(entered);
}

#[test]
fn a_task_gives_its_result() {
    watchdog(30, || {
        on_each_runtime(|handle| {
            assert_eq!(handle.spawn(async { 6 * 7 }).join().unwrap(), 42);
            assert_eq!(handle.spawn_blocking(|| "done").join().unwrap(), "done");
        });
    });
}

#[test]
fn a_panic_comes_back_as_a_value() {
    watchdog(30, || {
        on_each_runtime(|handle| {
            let asked = handle.spawn_blocking(|| panic!("no more soup")).join();
            let Err(error @ TaskError::Panicked(_)) = asked else { panic!("it did not panic") };
            assert_eq!(error.to_string(), "the task panicked: no more soup");
            let resumed = panic::catch_unwind(panic::AssertUnwindSafe(|| error.resume()));
            assert_eq!(resumed.unwrap_err().downcast_ref(), Some(&"no more soup"));
        });
    });
}

#[test]
fn a_task_is_an_arm() {
    watchdog(30, || {
        on_each_runtime(|handle| {
            let task = handle.spawn(async { 1 });
            let got = select_blocking! {
                result = task => result.unwrap(),
                _ = towpath::never() => 0,
            };
            assert_eq!(got, 1);
            let task = handle.spawn(async { 2 });
            let got = towpath::block_on(async {
                select! { _ = towpath::never() => 0, result = task => result.unwrap() }
            });
            assert_eq!(got, 2);
        });
    });
}

#[test]
fn a_dropped_task_goes_on() {
    watchdog(30, || {
        on_each_runtime(|handle| {
            let (tx, mut rx) = towpath::rendezvous();
            drop(handle.spawn(async move { tx.send("still here").await }));
            assert_eq!(rx.recv_blocking(), Some("still here"));
        });
    });
}

#[test]
fn a_task_ends_with_its_runtime() {
    watchdog(30, || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let entered = runtime.enter();
        let task = rt::spawn(pending::<()>());
        drop(entered);
        drop(runtime);
        assert!(matches!(task.join(), Err(TaskError::Cancelled)));
    });
}

#[test]
fn sleeping_needs_no_runtime() {
    watchdog(30, || {
        let before = rt::now();
        towpath::block_on(rt::sleep(Duration::from_millis(2)));
        assert!(rt::now() > before);
        // Many timers at once, most of them dropped before their time.
        let sleepers: Vec<_> = (0..50)
            .map(|i| {
                thread::spawn(move || {
                    towpath::block_on(async {
                        select! {
                            _ = rt_sleep(i % 5) => {}
                            _ = rt_sleep(3_600_000) => panic!("an hour went by"),
                        }
                    });
                })
            })
            .collect();
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    });
}

fn rt_sleep(millis: u64) -> impl select::SelectArm<Output = ()> {
    select::future(rt::sleep(Duration::from_millis(millis)))
}
