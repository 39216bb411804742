//! What the simulator does not govern and the program uses all the same: it is caught, and the report says where.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::poll_fn,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    task::Poll,
    time::{Duration, SystemTime},
};

use towpath::{Ctx, rt};
use towpath_sim::{Failed, Finding, FindingKind, Sim, choose, yield_point};

fn caught<F: Future<Output = ()> + 'static>(program: impl Fn() -> F) -> Failed {
    let failed = Sim::new().schedules(200).explore(program).failure.expect("it is caught");
    assert_eq!(failed.finding.kind, FindingKind::Nondeterminism, "{}", failed.finding);
    failed
}

/// The two tellings of the first operation that differed.
fn parted(finding: &Finding) -> (&str, &str) {
    let mut lines = finding.summary.lines();
    let head = lines.next().unwrap();
    assert!(head.starts_with("two runs of one schedule were not the same: operation "), "{head}");
    let (one, then, other) = (lines.next(), lines.next(), lines.next());
    assert_eq!(then, Some("and then"));
    (one.unwrap().trim(), other.unwrap().trim())
}

/// Its seed is another one in each map, so its order is another one in each run.
#[test]
fn a_hash_map_that_is_iterated() {
    let failed = caught(|| async {
        let mut channels = HashMap::new();
        let mut receivers = Vec::new();
        for n in 0..8 {
            let (tx, rx) = towpath::unbounded();
            channels.insert(n, tx.named(format!("channel {n}")));
            receivers.push(rx);
        }
        for (n, tx) in channels {
            drop(rt::spawn(async move { tx.send(n).await.unwrap() }));
        }
        for mut rx in receivers {
            rx.recv().await.unwrap();
        }
    });
    let (one, other) = parted(&failed.finding);
    for line in [one, other] {
        assert!(line.contains("sends on `channel "), "{line}");
        assert!(line.contains("tests/it/escape.rs:"), "{line}");
    }
    assert_ne!(one, other);
}

/// Forty looks at a clock that has gone on in between: no two runs see the same.
#[test]
fn the_real_clock() {
    let failed = caught(|| async {
        let look = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let mut last = look();
        for _ in 0..40 {
            let before = std::mem::replace(&mut last, look());
            while last == before {
                last = look();
            }
            // Mixed, so that it does not matter how coarse the clock is.
            if last.subsec_nanos().wrapping_mul(0x9e37_79b1) >> 31 == 0 {
                rt::sleep(Duration::from_millis(1)).await;
            } else {
                yield_point();
            }
        }
    });
    let (one, other) = parted(&failed.finding);
    assert_ne!(one, other);
}

#[test]
fn a_real_thread_that_wakes_somebody() {
    let failed = caught(|| async {
        let mut woken = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut woken, true) {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            std::thread::spawn(move || waker.wake()).join().unwrap();
            Poll::Pending
        })
        .await;
    });
    let summary = &failed.finding.summary;
    assert!(
        summary.starts_with("a thread that the simulator does not know has woken"),
        "{summary}"
    );
    assert!(summary.contains("towpath::rt::spawn_blocking"), "{summary}");
}

#[test]
fn a_static_that_counts() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let failed = caught(|| async {
        let (tx, mut rx) = towpath::unbounded();
        if RUNS.fetch_add(1, Relaxed).is_multiple_of(2) {
            tx.send(1).await.unwrap();
        } else {
            tx.try_send(1).unwrap();
        }
        rx.recv().await.unwrap();
    });
    let (one, other) = parted(&failed.finding);
    let mut deeds = [one, other].map(|line| line.contains("tries to send on the channel made at"));
    deeds.sort_unstable();
    assert_eq!(deeds, [false, true], "{one} / {other}");
}

/// Only the first run was different, so there is no second telling; and it says what that means.
#[test]
fn something_that_is_made_once() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let failed = caught(|| async {
        if RUNS.fetch_add(1, Relaxed) == 1 {
            yield_point();
        }
        yield_point();
    });
    let summary = &failed.finding.summary;
    assert!(summary.contains("something is left over from one run to the next"), "{summary}");
}

/// A failure that does not come again is not reported as one that does.
#[test]
fn a_panic_that_does_not_come_again() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    caught(|| async {
        let _ = choose(100); // so that there are schedules to try
        if RUNS.fetch_add(1, Relaxed) == 5 {
            rt::sleep(Duration::from_secs(1)).await;
            panic!("once");
        }
    });
}

thread_local! {
    static KEPT: RefCell<Vec<Ctx>> = const { RefCell::new(Vec::new()) };
}

/// Where the allocator puts things is no part of a schedule: here it puts every second context at another place in every
/// second run, because the place is taken.
#[test]
fn addresses_do_not_count() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let report = Sim::new().schedules(100).explore(|| async {
        let keeps = RUNS.fetch_add(1, Relaxed).is_multiple_of(2);
        for _ in 0..4 {
            let (ctx, canceller) = Ctx::root().with_cancel();
            assert!(!ctx.is_done());
            let mut lock = Box::new(towpath::sync::Mutex::new(0));
            *lock.lock().await += 1;
            assert_eq!(*lock.get_mut(), 1);
            canceller.cancel("over");
            ctx.done().await;
            if keeps {
                KEPT.with_borrow_mut(|kept| kept.push(ctx));
            }
        }
    });
    assert!(report.failure.is_none(), "{}", report.finding().unwrap());
    KEPT.take();
}
