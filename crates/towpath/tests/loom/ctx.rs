//! Contexts: an end against whatever may meet it.
//!
//! A wait, a birth, a drop or another end at the same moment. That nothing is freed under somebody's hands shows as a
//! leak or as a panic of loom's own; links are no loom types, so ThreadSanitizer looks at those (`it::scope_stress`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
};

use loom::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    thread,
};
use towpath::{Canceller, Cause, Ctx, select, select_blocking};

use crate::{Alarm, Tally, block_on, model, poll};

fn pair() -> (Ctx, Canceller) {
    Ctx::root().with_cancel()
}

fn is_cancelled(cause: &Cause) -> bool {
    matches!(cause, Cause::Cancelled(_))
}

/// Cancelling a context happens before its `done()` completes, whoever waits and however; clause 5 of the contract.
#[test]
fn ctx_order_5_cancel_before_done() {
    for kind in 0..4 {
        model(move || {
            let (ctx, canceller) = pair();
            let written = Arc::new(AtomicU32::new(0));
            let read = written.clone();
            thread::spawn(move || {
                written.store(1, Relaxed);
                canceller.cancel("now");
            });
            let cause = match kind {
                0 => block_on(ctx.done()),
                1 => block_on(async {
                    select! { cause = ctx.done() => cause }
                }),
                2 => select_blocking! { cause = ctx.done() => cause },
                _ => {
                    while !ctx.is_done() {
                        thread::yield_now();
                    }
                    // Before the lock in `cause` could order it.
                    assert_eq!(read.load(Relaxed), 1);
                    ctx.cause()
                }
            };
            assert!(is_cancelled(&cause));
            assert_eq!(read.load(Relaxed), 1);
        });
    }
}

/// A wait that begins while its context ends above it is told, or sees it.
#[test]
fn ctx_cancel_meets_wait() {
    model(|| {
        let (ctx, canceller) = pair();
        let below = ctx.child();
        thread::spawn(move || canceller.cancel("now"));
        assert!(is_cancelled(&block_on(below.done())));
    });
}

/// A wait that is given up while its context ends is out of the line before it goes.
#[test]
fn ctx_cancel_meets_dropped_wait() {
    for arm in [false, true] {
        model(move || {
            let (ctx, canceller) = pair();
            thread::spawn(move || canceller.cancel("now"));
            let alarm = Alarm::new();
            if arm {
                let mut wait = Box::pin(async {
                    select! { cause = ctx.done() => cause }
                });
                let _ = poll(wait.as_mut(), &alarm);
            } else {
                let mut wait = Box::pin(ctx.done());
                let _ = poll(wait.as_mut(), &alarm);
            }
        });
    }
}

/// A wait that moves to another task while its context ends wakes that one, or has ended.
#[test]
fn ctx_cancel_meets_moving_wait() {
    model(|| {
        let (ctx, canceller) = pair();
        thread::spawn(move || canceller.cancel("now"));
        let mut wait = Box::pin(ctx.done());
        if poll(wait.as_mut(), &Alarm::new()).is_pending() {
            assert!(is_cancelled(&block_on(wait)));
        }
    });
}

/// Two waits in one line, and an end that wakes both.
#[test]
fn ctx_cancel_tells_all() {
    model(|| {
        let (ctx, canceller) = pair();
        let other = ctx.clone();
        thread::spawn(move || assert!(is_cancelled(&block_on(other.done()))));
        thread::spawn(move || canceller.cancel("now"));
        assert!(is_cancelled(&block_on(ctx.done())));
    });
}

/// A select that has an end and a message coming commits to one of them, and the message is not lost.
#[test]
fn ctx_cancel_meets_message() {
    model(|| {
        let (ctx, canceller) = pair();
        let (tx, mut rx) = towpath::bounded(1);
        thread::spawn(move || canceller.cancel("now"));
        thread::spawn(move || tx.send_blocking(1).unwrap());
        let first = block_on(async {
            select! { cause = ctx.done() => Err(cause), got = rx.recv() => Ok(got) }
        });
        match first {
            Ok(got) => {
                assert_eq!(got, Some(1));
                assert!(is_cancelled(&block_on(ctx.done())));
            }
            Err(cause) => {
                assert!(is_cancelled(&cause));
                assert_eq!(rx.recv_blocking(), Some(1));
            }
        }
    });
}

/// A child that is born while its parent ends has ended once both are through.
#[test]
fn ctx_cancel_meets_birth() {
    model(|| {
        let (ctx, canceller) = pair();
        let end = thread::spawn(move || assert!(canceller.cancel("now")));
        let grandchild = ctx.child().child();
        end.join().unwrap();
        assert!(grandchild.is_done());
        assert!(is_cancelled(&grandchild.cause()));
    });
}

/// What ended a context is there for who reads it below, however far the end is gone on its way, and when all above have
/// been let go of; and it goes with the last of them, which a leak would show.
#[test]
fn ctx_cause_is_read_below() {
    model(|| {
        let (ctx, canceller) = pair();
        let leaf = ctx.child().child();
        drop(ctx);
        let end = thread::spawn(move || canceller.cancel(String::from("now")));
        let early = leaf.cause();
        assert!(early.is_running() || early.to_string() == "cancelled: now");
        end.join().unwrap();
        assert_eq!(leaf.child().cause().to_string(), "cancelled: now");
    });
}

/// A child that is dropped while its parent ends is freed once, with what it carries.
#[test]
fn ctx_cancel_meets_drop() {
    model(|| {
        let tally = Tally::new();
        let (ctx, canceller) = pair();
        let children = [1, 2].map(|n| ctx.with_value(tally.parcel(n)));
        let below = children[0].with_value(tally.parcel(3));
        drop(ctx);
        let end = thread::spawn(move || canceller.cancel("now"));
        drop(children);
        drop(below);
        end.join().unwrap();
    });
}

/// Siblings that are dropped at once leave the list whole, and the parent goes with the last.
#[test]
fn ctx_drops_meet() {
    model(|| {
        let tally = Tally::new();
        let ctx = Ctx::root().with_value(tally.parcel(0));
        let [one, two, three] = [1, 2, 3].map(|n| ctx.with_value(tally.parcel(n)));
        drop(ctx);
        let other = thread::spawn(move || drop((one, three)));
        drop(two);
        other.join().unwrap();
    });
}

/// Two ends: one wins, its cause stays, and what is below has ended when the winner returns.
#[test]
fn ctx_ends_meet() {
    model(|| {
        let (ctx, canceller) = pair();
        let below = ctx.child();
        let (second, seen) = (canceller.clone(), below.clone());
        let other = thread::spawn(move || {
            let won = second.cancel("b");
            assert!(!won || seen.is_done());
            won
        });
        let won = canceller.cancel("a");
        assert!(!won || below.is_done());
        let cause = ctx.cause().to_string();
        assert_ne!(won, other.join().unwrap());
        assert_eq!(cause, if won { "cancelled: a" } else { "cancelled: b" });
        assert_eq!(ctx.cause().to_string(), cause);
        assert_eq!(below.cause().to_string(), cause);
    });
}

/// An end above and an end below at once: everything has ended, each with one cause.
#[test]
fn ctx_ends_meet_at_two_levels() {
    model(|| {
        let (_above, end_above) = pair();
        let (below, end_below) = end_above.ctx().with_cancel();
        let leaf = below.child();
        let other = thread::spawn(move || end_below.cancel("below"));
        end_above.cancel("above");
        let won = other.join().unwrap();
        let cause = below.cause().to_string();
        assert_eq!(cause, if won { "cancelled: below" } else { "cancelled: above" });
        assert_eq!(leaf.cause().to_string(), cause);
    });
}

/// A wait counts as told only once its waker has been called; a second poll before that does not lose it.
#[test]
fn ctx_wait_polled_twice_is_not_lost() {
    model(|| {
        let (ctx, canceller) = pair();
        let cancelled = Arc::new(AtomicBool::new(false));
        let flag = cancelled.clone();
        thread::spawn(move || {
            canceller.cancel("now");
            flag.store(true, SeqCst);
        });
        let alarm = Alarm::new();
        let mut wait = Box::pin(ctx.done());
        for _ in 0..2 {
            let ended = cancelled.load(SeqCst);
            match poll(wait.as_mut(), &alarm) {
                Poll::Ready(cause) => return assert!(is_cancelled(&cause)),
                Poll::Pending => assert!(!ended, "an end that has returned is seen"),
            }
        }
        alarm.wait();
        assert!(poll(wait.as_mut(), &alarm).is_ready());
    });
}
