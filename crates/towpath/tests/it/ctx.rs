//! Contexts: ends, causes, deadlines, values, and the wait for an end.

use std::{
    error::Error,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use towpath::{Canceller, Cause, Ctx, Headers, rt, select, select_blocking};

use crate::{
    harness::{Census, Polled, ready, run, watchdog},
    memory,
};

/// Longer than any test takes.
const AN_HOUR: Duration = Duration::from_secs(3600);
const A_MOMENT: Duration = Duration::from_millis(1);

fn cancelled() -> (Ctx, Canceller) {
    let (ctx, canceller) = Ctx::root().with_cancel();
    canceller.cancel("enough");
    (ctx, canceller)
}

#[track_caller]
fn assert_cancelled(cause: &Cause, reason: &str) {
    match cause {
        Cause::Cancelled(given) => assert_eq!(given.to_string(), reason),
        other => panic!("{other:?} instead of {reason:?}"),
    }
}

#[test]
fn a_child_ends_with_its_parent_and_not_the_other_way_round() {
    let (above, cancel_above) = Ctx::root().with_cancel();
    let (below, cancel_below) = above.with_cancel();
    let (beside, _) = above.with_cancel();
    let leaf = below.with_value(1_u8).child();
    assert!(cancel_below.cancel("below"));
    assert!(below.is_done() && leaf.is_done());
    assert!(!above.is_done() && !beside.is_done());
    assert!(cancel_above.cancel("above"));
    assert!(above.is_done() && beside.is_done());
    assert_cancelled(&beside.cause(), "above");
    assert_cancelled(&leaf.cause(), "below");
}

#[test]
fn the_first_cause_stays() {
    let (ctx, canceller) = cancelled();
    assert!(!canceller.cancel("too much"));
    assert!(!canceller.clone().cancel(Cause::Stopped));
    assert_cancelled(&ctx.cause(), "enough");
    assert_cancelled(&ctx.check().unwrap_err(), "enough");
}

#[test]
fn a_child_of_an_ended_context_is_born_ended() {
    let (ctx, _) = cancelled();
    for child in [ctx.child(), ctx.with_value(0), ctx.with_timeout(AN_HOUR), ctx.with_cancel().0] {
        assert!(child.is_done());
        assert_cancelled(&child.cause(), "enough");
        assert_cancelled(&ready(child.done()), "enough");
    }
}

#[test]
fn what_still_runs_says_so() {
    let ctx = Ctx::root();
    assert!(ctx.check().is_ok() && !ctx.is_done());
    assert!(ctx.cause().is_running());
    assert_eq!((ctx.deadline(), ctx.remaining()), (None, None));
    Polled::parked(ctx.done());
}

#[test]
fn a_reason_is_a_text_an_error_or_a_cause() {
    let reason = |reason: Box<dyn Error + Send + Sync>| {
        let (ctx, canceller) = Ctx::root().with_cancel();
        assert!(canceller.cancel(reason));
        ctx.cause()
    };
    assert_eq!(reason("a".into()).to_string(), "cancelled: a");
    assert_eq!(reason(String::from("b").into()).to_string(), "cancelled: b");
    let io = reason(Box::new(std::io::Error::other("c")));
    assert_eq!(io.to_string(), "cancelled: c");
    let Cause::Cancelled(error) = io else { panic!("{io:?}") };
    assert!(error.is::<std::io::Error>());
    assert!(matches!(reason(Box::new(Cause::Stopped)), Cause::Stopped));
    // Nothing is no reason to end.
    assert!(matches!(reason(Box::new(Cause::Running)), Cause::Cancelled(_)));
}

#[test]
fn deadlines_only_shrink() {
    let now = rt::now();
    let ctx = Ctx::root().with_deadline(now + AN_HOUR);
    assert_eq!(ctx.with_deadline(now + 2 * AN_HOUR).deadline(), Some(now + AN_HOUR));
    assert_eq!(ctx.with_deadline(now + AN_HOUR / 2).deadline(), Some(now + AN_HOUR / 2));
    assert_eq!(ctx.child().deadline(), Some(now + AN_HOUR));
    assert!(ctx.remaining().unwrap() <= AN_HOUR);
    assert!(Ctx::root().with_timeout(Duration::MAX).remaining().unwrap() > AN_HOUR);
}

#[test]
fn a_deadline_that_has_passed_is_the_cause_though_somebody_cancels_afterwards() {
    let (parent, canceller) = Ctx::root().with_cancel();
    let child = parent.with_deadline(rt::now());
    let grandchild = child.child();
    assert_eq!(child.remaining(), Some(Duration::ZERO));
    assert!(canceller.cancel("late"));
    assert_cancelled(&parent.cause(), "late");
    assert!(matches!(child.cause(), Cause::DeadlineExceeded));
    assert!(matches!(grandchild.cause(), Cause::DeadlineExceeded));

    let (late, canceller) = child.with_cancel();
    assert!(!canceller.cancel("later still"));
    assert!(matches!(late.cause(), Cause::DeadlineExceeded));
}

#[test]
fn whoever_looks_first_ends_everything_below() {
    let ctx = Ctx::root().with_deadline(rt::now());
    let below = ctx.child();
    assert!(ctx.is_done());
    assert!(matches!(below.check(), Err(Cause::DeadlineExceeded)));
}

#[test]
fn values_and_headers_are_the_nearest_above() {
    let root = Ctx::root();
    assert!(root.headers().is_empty() && root.headers() == Headers::none());
    let ctx = root.with_value(1_u8).with_value("north").with_headers(Headers::new(*b"one"));
    let inner = ctx.with_value(2_u8).with_headers(Headers::new(*b"two"));
    assert_eq!((ctx.value::<u8>(), inner.value::<u8>()), (Some(&1), Some(&2)));
    assert_eq!(inner.child().value::<&str>(), Some(&"north"));
    assert_eq!(inner.value::<u16>(), None);
    assert_eq!((ctx.headers().as_bytes(), inner.headers().as_bytes()), (&b"one"[..], &b"two"[..]));
    assert!(inner.with_headers(Headers::none()).headers().is_empty(), "none hides what is above");
    assert_eq!(format!("{:?}", Headers::new(*b"\x00a")), "Headers(\"\\x00a\")");
    assert_eq!(Headers::new(Vec::new()), Headers::default());
}

#[test]
fn a_guard_cancels_on_drop_unless_it_is_disarmed() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let canceller = canceller.drop_guard().disarm();
    assert!(!ctx.is_done());
    drop(canceller.clone());
    assert!(!ctx.is_done(), "dropping a canceller ends nothing");
    drop(canceller.drop_guard());
    assert_cancelled(&ctx.cause(), "its guard was dropped");
}

#[test]
fn done_wakes_tasks_and_threads_wherever_they_wait() {
    watchdog(30, || {
        let (ctx, canceller) = Ctx::root().with_cancel();
        let below = ctx.child();
        let mut task = Polled::parked(below.done());
        let (_tx, mut rx) = towpath::bounded::<u8>(1);
        let mut selecting = Polled::parked(async {
            select! { _ = rx.recv() => panic!("nobody sends"), cause = below.done() => cause }
        });
        let threads = [0, 1].map(|i| {
            let below = below.clone();
            thread::spawn(move || match i {
                0 => below.done_blocking(),
                _ => select_blocking! { cause = below.done() => cause, _ = towpath::never() => unreachable!() },
            })
        });
        assert!(task.poll().is_pending() && selecting.poll().is_pending());
        canceller.cancel("now");
        assert_cancelled(&task.finish(), "now");
        assert_cancelled(&selecting.finish(), "now");
        for thread in threads {
            assert_cancelled(&thread.join().unwrap(), "now");
        }
    });
}

#[test]
fn done_that_moves_to_another_task_wakes_that_one() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let mut wait = Box::pin(ctx.done());
    let (first, second) = (crate::harness::Task::new(), crate::harness::Task::new());
    assert!(first.poll(wait.as_mut()).is_pending());
    assert!(second.poll(wait.as_mut()).is_pending());
    canceller.cancel("moved");
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    assert!(second.poll(wait.as_mut()).is_ready());
}

#[test]
fn done_leaves_the_line_when_it_is_dropped_or_loses() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let lost = Polled::parked(ctx.done());
    let left = Polled::parked(ctx.done());
    drop(lost);
    let (tx, mut rx) = towpath::bounded::<u8>(1);
    let mut done = Box::pin(ctx.done());
    for n in 0..3 {
        tx.try_send(n).unwrap();
        let got = ready(async {
            select! { biased; got = rx.recv() => got, _ = done.as_mut() => None }
        });
        assert_eq!(got, Some(n));
        let mut parked = Polled::parked(async {
            select! { biased; _ = rx.recv() => panic!("nobody sends"), cause = done.as_mut() => cause }
        });
        assert!(parked.poll().is_pending());
    }
    canceller.cancel("done");
    assert_cancelled(&left.finish(), "done");
    assert_cancelled(&ready(done), "done");
}

#[test]
fn waiting_and_giving_up_costs_no_memory() {
    let ctx = Ctx::root().child();
    let task = crate::harness::Task::new();
    let round = || {
        let mut wait = pin!(ctx.done());
        assert!(task.poll(wait.as_mut()).is_pending());
        assert!(task.poll(wait.as_mut()).is_pending());
    };
    round();
    assert_eq!(memory::allocations(|| (0..100_000).for_each(|_| round())), 0);
}

#[test]
fn dropped_children_leave_nothing_under_a_long_lived_parent() {
    let parent = Ctx::root();
    let round = || {
        drop(parent.child());
        let (child, canceller) = parent.with_cancel();
        let below = child.with_timeout(AN_HOUR).with_value([0_u8; 64]);
        canceller.cancel(Cause::Stopped);
        drop((child, canceller, below));
    };
    round();
    assert_eq!(memory::bytes_kept(|| (0..100_000).for_each(|_| round())), 0);
}

#[test]
fn a_hundred_thousand_children_end_in_one_pass_and_leave_nothing() {
    let kept = memory::bytes_kept(|| {
        let (ctx, canceller) = Ctx::root().with_cancel();
        let children: Vec<_> = (0..100_000).map(|_| ctx.child()).collect();
        assert!(canceller.cancel("all"));
        assert!(children.iter().all(Ctx::is_done));
    });
    assert_eq!(kept, 0);
}

#[test]
fn a_chain_of_a_million_needs_no_deep_stack() {
    let (top, canceller) = Ctx::root().with_cancel();
    let mut leaf = top.clone();
    for _ in 0..1_000_000 {
        leaf = leaf.child();
    }
    canceller.cancel("down");
    assert_cancelled(&leaf.cause(), "down");
    drop((top, canceller));
    drop(leaf);
}

#[test]
fn a_value_goes_with_the_last_who_can_see_it() {
    let census = Census::default();
    let (ctx, canceller) = Ctx::root().with_value(census.value(1)).with_cancel();
    canceller.cancel("over");
    drop(canceller);
    assert_eq!(census.alive(), 1);
    drop(ctx);
    census.all_dropped_once();
}

/// A waker that ends another context when it is woken: foreign code in the middle of a pass.
struct Domino(Canceller, AtomicBool);

impl Wake for Domino {
    fn wake(self: Arc<Self>) {
        self.1.store(true, Ordering::SeqCst);
        self.0.cancel("next");
    }
}

#[test]
fn a_waker_may_end_contexts_and_drop_waits_in_the_middle_of_a_pass() {
    let (ctx, canceller) = Ctx::root().with_cancel();
    let (below, cancel_below) = ctx.with_cancel();
    let dominoes = [canceller.clone(), cancel_below]
        .map(|canceller| Arc::new(Domino(canceller, AtomicBool::new(false))));
    let mut waits = [Box::pin(ctx.done()), Box::pin(below.done())];
    for (wait, domino) in waits.iter_mut().zip(&dominoes) {
        let waker = Waker::from(domino.clone());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    canceller.cancel("first");
    assert!(dominoes.iter().all(|domino| domino.1.load(Ordering::SeqCst)));
    assert_cancelled(&ctx.cause(), "first");
}

#[test]
fn a_task_on_tokio_finds_out_about_its_deadline() {
    run(30, async {
        let ctx = Ctx::root().with_timeout(A_MOMENT).child();
        assert!(matches!(ctx.done().await, Cause::DeadlineExceeded));
        let late = Ctx::root().with_timeout(A_MOMENT);
        let (_tx, mut rx) = towpath::bounded::<u8>(1);
        select! {
            _ = rx.recv() => panic!("nobody sends"),
            cause = late.done() => assert!(matches!(cause, Cause::DeadlineExceeded)),
        }
    });
}

#[test]
fn threads_and_tasks_without_a_runtime_find_out_about_deadlines() {
    watchdog(30, || {
        let late = || Ctx::root().with_timeout(A_MOMENT);
        assert!(matches!(late().done_blocking(), Cause::DeadlineExceeded));
        assert!(matches!(
            towpath::block_on(async { late().done().await }),
            Cause::DeadlineExceeded
        ));
        let (_tx, mut rx) = towpath::bounded::<u8>(1);
        let ctx = late();
        select_blocking! {
            _ = rx.recv() => panic!("nobody sends"),
            cause = ctx.done() => assert!(matches!(cause, Cause::DeadlineExceeded)),
        }
        let spinning = late();
        while spinning.check().is_ok() {}
        assert!(spinning.is_done());
    });
}

#[test]
fn a_paused_clock_decides_about_deadlines() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let ctx = Ctx::root().with_timeout(AN_HOUR);
        let mut done = Box::pin(ctx.done());
        let task = crate::harness::Task::new();
        assert!(task.poll(done.as_mut()).is_pending());
        tokio::time::advance(AN_HOUR / 2).await;
        assert!(!ctx.is_done() && task.poll(done.as_mut()).is_pending());
        tokio::time::advance(AN_HOUR / 2).await;
        assert!(matches!(done.await, Cause::DeadlineExceeded));
    });
}

#[test]
fn a_cancelled_wait_with_a_deadline_takes_its_timer_along() {
    run(30, async {
        let ctx = Ctx::root().with_timeout(AN_HOUR);
        let round = || {
            let mut wait = pin!(ctx.done());
            assert!(crate::harness::Task::new().poll(wait.as_mut()).is_pending());
        };
        round();
        // A task of the harness is one allocation; the wait and its timer are none.
        assert_eq!(memory::allocations(|| (0..1_000).for_each(|_| round())), 1_000);
    });
}

#[test]
fn deadlines_and_cancels_meet() {
    for round in 0..200_u64 {
        let (ctx, canceller) = Ctx::root().with_cancel();
        let late = ctx.with_timeout(Duration::from_micros(10 * round));
        let causes = run(30, async move {
            let waits = [late.child(), late.clone(), ctx.with_timeout(AN_HOUR)]
                .map(|ctx| tokio::spawn(async move { ctx.done().await }));
            let thread = rt::spawn_blocking(move || late.done_blocking());
            rt::sleep(Duration::from_micros(1_000)).await;
            canceller.cancel("now");
            let mut causes = vec![thread.await.unwrap()];
            for wait in waits {
                causes.push(wait.await.unwrap());
            }
            causes
        });
        assert_cancelled(&causes[3], "now");
        let either = |cause: &Cause| matches!(cause, Cause::DeadlineExceeded | Cause::Cancelled(_));
        assert!(causes[..3].iter().all(either), "{causes:?}");
    }
}

#[test]
fn select_prefers_nobody_between_an_end_and_a_message() {
    let (ctx, _) = cancelled();
    let mut ends = 0;
    const ROUNDS: u32 = 4_000;
    for _ in 0..ROUNDS {
        let (tx, mut rx) = towpath::bounded(1);
        tx.try_send(()).unwrap();
        ends += ready(async {
            select! { _ = ctx.done() => 1, _ = rx.recv() => 0 }
        });
    }
    // Twelve standard deviations to each side.
    assert!((ROUNDS * 2 / 5..=ROUNDS * 3 / 5).contains(&ends), "{ends} of {ROUNDS}");
}

#[test]
fn debug_and_display_say_what_matters() {
    let (ctx, canceller) = cancelled();
    assert!(format!("{ctx:?} {canceller:?} {:?}", ctx.done()).contains("enough"));
    assert_eq!(Cause::DeadlineExceeded.to_string(), "the deadline has passed");
    assert_eq!(Cause::Stopped.to_string(), "stopped from outside");
    assert!(Cause::Running.source().is_none());
    let Poll::Ready(cause) = Polled::new(ctx.done()).poll() else { panic!("it has ended") };
    assert!(cause.source().is_none(), "a text has nothing behind it");
}
