//! Notify: one notice is kept, a call to all is not, and none is lost with a dropped wait.

use std::{pin::pin, thread};

use towpath::sync::Notify;

use crate::harness::{Polled, Task, ready, watchdog};

#[test]
fn one_notice_is_kept_and_no_more() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    ready(notify.notified());
    drop(Polled::parked(notify.notified()));
}

#[test]
fn notices_go_to_those_who_waited_longest() {
    let notify = Notify::new();
    let waits: Vec<_> = (0..3).map(|_| Polled::parked(notify.notified())).collect();
    notify.notify_one();
    notify.notify_one();
    let woken: Vec<_> = waits.iter().map(Polled::woken).collect();
    assert_eq!(woken, [true, true, false]);
    waits.into_iter().take(2).for_each(Polled::finish);
    drop(Polled::parked(notify.notified())); // nothing was kept
}

#[test]
fn a_notice_given_to_a_dropped_wait_goes_to_the_next_or_is_kept() {
    let notify = Notify::new();
    let (first, second) = (Polled::parked(notify.notified()), Polled::parked(notify.notified()));
    notify.notify_one();
    drop(first);
    assert!(second.woken());
    drop(second);
    ready(notify.notified());
}

#[test]
fn a_wait_that_is_dropped_unnotified_leaves_the_line() {
    let notify = Notify::new();
    let (first, second) = (Polled::parked(notify.notified()), Polled::parked(notify.notified()));
    drop(first);
    notify.notify_one();
    second.finish();
}

#[test]
fn a_call_reaches_all_who_wait_and_those_made_before_it() {
    let notify = Notify::new();
    let waits = [Polled::parked(notify.notified()), Polled::parked(notify.notified())];
    let unpolled = notify.notified();
    notify.notify_waiters();
    waits.into_iter().for_each(Polled::finish);
    ready(unpolled);
    drop(Polled::parked(notify.notified())); // it is not kept for those who come later
}

#[test]
fn a_call_that_is_dropped_is_not_passed_on() {
    let notify = Notify::new();
    let wait = Polled::parked(notify.notified());
    notify.notify_waiters();
    drop(wait);
    drop(Polled::parked(notify.notified()));
}

#[test]
fn one_reached_by_a_call_uses_up_no_kept_notice() {
    let notify = Notify::new();
    let unpolled = notify.notified();
    notify.notify_waiters();
    notify.notify_one();
    ready(unpolled);
    ready(notify.notified());
}

#[test]
fn enabling_takes_a_place_in_line() {
    let notify = Notify::new();
    let mut first = pin!(notify.notified());
    assert!(!first.as_mut().enable());
    let second = Polled::parked(notify.notified());
    assert!(!first.as_mut().enable(), "again is no harm");
    notify.notify_one();
    assert!(!second.woken());
    assert!(first.as_mut().enable());
    let task = Task::new();
    assert!(task.poll(first).is_ready());
}

#[test]
fn enabling_takes_a_kept_notice_and_dropping_puts_it_back() {
    let notify = Notify::new();
    notify.notify_one();
    {
        let mut enabled = pin!(notify.notified());
        assert!(enabled.as_mut().enable());
        drop(Polled::parked(notify.notified())); // it is taken
    }
    ready(notify.notified());
}

#[test]
fn one_that_was_enabled_is_woken_once_it_is_polled() {
    let notify = Notify::new();
    let mut wait = pin!(notify.notified());
    assert!(!wait.as_mut().enable());
    let task = Task::new();
    assert!(task.poll(wait.as_mut()).is_pending());
    notify.notify_waiters();
    assert_eq!(task.wakes(), 1);
    assert!(task.poll(wait).is_ready());
}

#[test]
fn threads_wait_too() {
    watchdog(60, || {
        let (there, back) = (Notify::new(), Notify::new());
        thread::scope(|s| {
            s.spawn(|| {
                for _ in 0..1_000 {
                    there.notified_blocking();
                    back.notify_one();
                }
            });
            for _ in 0..1_000 {
                there.notify_one();
                towpath::block_on(back.notified());
            }
        });
    });
}

#[test]
fn what_it_prints() {
    let notify = Notify::default();
    assert_eq!(format!("{notify:?}"), "Notify { kept: false, .. }");
    notify.notify_one();
    assert_eq!(format!("{notify:?}"), "Notify { kept: true, .. }");
}
