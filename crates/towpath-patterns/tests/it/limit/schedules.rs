//! Limits under many schedules, in virtual time.

use std::{sync::Arc, time::Duration};

use towpath::{bounded, rt};
use towpath_patterns::limit::{
    Audited, Change, Level, Limit, Number, Rate, Refused, SlidingWindow, Together, TokenBucket, Why,
};
use towpath_sim::yield_point;

/// More changes than any of the tests makes.
const TRAIL: usize = 8;

/// What every limit promises: who has seen a change made does not read what was before, and one that is read once is not
/// taken back.
async fn follows<L: Limit<Value = u64> + 'static>(limit: L) {
    let limit = Arc::new(limit);
    let (made, mut changes) = towpath::unbounded();
    let changing = limit.clone();
    rt::spawn(async move {
        for value in 1..=3 {
            changing.change(value).unwrap();
            made.send(value).await.unwrap();
        }
    });
    let mut last = 0;
    while let Some(made) = changes.recv().await {
        let read = limit.get();
        assert!(read >= made && read >= last, "{made} was made, {last} had been read, now {read}");
        last = read;
    }
    assert_eq!(last, 3);
}

#[towpath::test]
async fn a_change_that_has_returned_is_seen() {
    follows(Number::new(0)).await;
    follows(Together::new(0)).await;
    let (trail, _audit) = bounded(TRAIL);
    follows(Audited::new(0, trail)).await;
}

/// Checks that changes are one chain: each begins where the one before has ended.
fn check_chain(changes: &[Change<u64>], first: u64) {
    let mut now = first;
    for (change, number) in changes.iter().zip(1..) {
        assert_eq!((change.number, *change.before), (number, now));
        now = *change.after;
    }
}

#[towpath::test]
async fn the_trail_has_every_change_in_order() {
    let (trail, mut audit) = bounded(1);
    let limit = Audited::new(0, trail);
    let operators = [10, 20].map(|base| {
        let limit = limit.by(if base == 10 { "early shift" } else { "late shift" });
        rt::spawn(async move {
            let mut made = 0;
            for value in base..base + 3 {
                if value == base + 1 {
                    // Without waiting: a full trail refuses, and nothing is changed.
                    match limit.change(value) {
                        Ok(()) => made += 1,
                        Err(refused) => {
                            assert_eq!((refused.value, refused.why), (value, Why::TrailFull))
                        }
                    }
                } else {
                    limit.change_audited(value).await.unwrap();
                    made += 1;
                }
            }
            made
        })
    });
    let reader = limit.clone();
    drop(limit);
    let mut changes = Vec::new();
    let mut made = 0;
    let auditing = rt::spawn(async move {
        while let Some(change) = audit.recv().await {
            changes.push(change);
        }
        changes
    });
    for operator in operators {
        made += operator.await.unwrap();
    }
    let last = reader.get();
    assert_eq!(reader.changes(), made);
    drop(reader);
    let changes = auditing.await.unwrap();
    assert_eq!(changes.len() as u64, made);
    check_chain(&changes, 0);
    assert_eq!(*changes.last().unwrap().after, last);
    assert!(changes.iter().all(|it| (*it.after < 20) == (&*it.author == "early shift")));
}

#[towpath::test]
async fn without_an_auditor_nothing_is_changed() {
    let (trail, mut audit) = bounded(TRAIL);
    let limit = Audited::new(1_u64, trail);
    let auditor = rt::spawn(async move {
        // It hears of one change, or of none, and goes.
        towpath::select! {
            change = audit.recv() => change.map(|change| *change.after),
            () = towpath::after(Duration::from_millis(1)) => None,
        }
    });
    let mut now = 1;
    for value in 2..5 {
        match limit.change_audited(value).await {
            Ok(_) => now = value,
            Err(refused) => assert_eq!((refused.value, refused.why), (value, Why::AuditorGone)),
        }
        assert_eq!(limit.get(), now);
        yield_point();
    }
    if let Some(heard) = auditor.await.unwrap() {
        assert!(now >= heard);
    }
    assert_eq!(limit.change(9).unwrap_err().why, Why::AuditorGone);
    assert_eq!(limit.get(), now);
}

#[towpath::test]
async fn a_stage_follows_and_misses_no_last_level() {
    let (trail, _audit) = bounded(TRAIL);
    let limit = Audited::new(100_u64, trail);
    let rule = |value: &u64| match value {
        0 => Level::Off,
        1..50 => Level::Reduced,
        _ => Level::Full,
    };
    let mut stage = limit.stage(rule);
    let following = rt::spawn(async move {
        let mut told = vec![Level::Full];
        while let Some(level) = stage.changed().await {
            told.push(level);
        }
        assert_eq!(stage.level(), *told.last().unwrap());
        told
    });
    let watching = limit.stage(rule);
    for value in [0, 10, 20, 0] {
        limit.change(value).unwrap();
        assert_eq!(watching.level(), rule(&value), "in force when the change has returned");
    }
    drop(limit);
    let told = following.await.unwrap();
    assert_eq!(*told.last().unwrap(), Level::Off);
    assert!(told.windows(2).all(|two| two[0] != two[1]), "{told:?}");
}

#[towpath::test]
async fn a_bucket_gives_its_burst_and_then_its_rate() {
    let bucket = TokenBucket::new(Rate::per_second(10).with_burst(3));
    let begun = rt::now();
    for _ in 0..23 {
        bucket.take(1).await.unwrap();
    }
    // Two seconds for the twenty after the burst; the simulator may be late, never early.
    assert!(begun.elapsed_virtually() >= Duration::from_secs(2));
}

trait Virtually {
    fn elapsed_virtually(&self) -> Duration;
}

impl Virtually for std::time::Instant {
    fn elapsed_virtually(&self) -> Duration {
        rt::now().duration_since(*self)
    }
}

/// They come so far apart that the simulator, which may be late, cannot let two come at once.
#[towpath::test]
async fn waiters_are_served_in_order_and_not_overtaken() {
    let rate = Rate { tokens: 1, per: Duration::from_secs(1000), burst: 2 };
    let bucket = Arc::new(TokenBucket::new(rate));
    bucket.try_take(2).unwrap();
    let (served, mut order) = towpath::unbounded();
    for name in 0..3 {
        let (bucket, served) = (bucket.clone(), served.clone());
        rt::spawn(async move {
            rt::sleep(Duration::from_secs(100 * (1 + name))).await;
            // The first wants most, and waits longest.
            bucket.take(if name == 0 { 2 } else { 1 }).await.unwrap();
            served.send(name).await.unwrap();
        });
    }
    drop(served);
    rt::sleep(Duration::from_secs(1500)).await;
    assert!(bucket.try_take(1).is_err(), "one is there, and it is not for who comes now");
    let mut all = Vec::new();
    while let Some(name) = order.recv().await {
        all.push(name);
    }
    assert_eq!(all, [0, 1, 2]);
}

#[towpath::test]
async fn a_new_rate_wakes_who_waits_for_the_old_one() {
    let bucket = Arc::new(TokenBucket::new(Rate {
        tokens: 1,
        per: Duration::from_secs(1_000_000),
        burst: 1,
    }));
    bucket.try_take(1).unwrap();
    let waiting = bucket.clone();
    let waiter = rt::spawn(async move {
        let taken = waiting.take(1).await;
        (taken, rt::now())
    });
    rt::sleep(Duration::from_millis(5)).await;
    let changed = rt::now();
    bucket.change(Rate::per_second(1000)).unwrap();
    let (taken, when) = waiter.await.unwrap();
    assert_eq!(taken, Ok(()));
    assert!(when.duration_since(changed) < Duration::from_secs(3600), "not by the old rate");
    assert!(when.duration_since(changed) >= Duration::from_micros(900), "and no token for nothing");
}

#[towpath::test]
async fn a_waiter_that_goes_away_leaves_its_place_and_no_token() {
    let bucket = TokenBucket::new(Rate::per_second(100).with_burst(1));
    bucket.try_take(1).unwrap();
    let gone = towpath::select! {
        _ = towpath::select::future(bucket.take(1)) => false,
        () = towpath::after(Duration::from_millis(1)) => true,
    };
    let again = rt::now();
    bucket.take(1).await.unwrap();
    if gone {
        assert!(rt::now().duration_since(again) <= Duration::from_secs(1));
    }
    assert!(matches!(bucket.try_take(1), Ok(()) | Err(Refused::Later(_))));
}

#[towpath::test]
async fn a_window_waits_until_there_is_room() {
    const PERIOD: Duration = Duration::from_millis(160);
    let window = Arc::new(SlidingWindow::new(2, PERIOD));
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let window = window.clone();
            rt::spawn(async move {
                let mut moments = Vec::new();
                for _ in 0..2 {
                    window.take(1).await.unwrap();
                    moments.push(rt::now());
                }
                moments
            })
        })
        .collect();
    let mut moments = Vec::new();
    for taker in takers {
        moments.extend(taker.await.unwrap());
    }
    moments.sort();
    assert_eq!(moments.len(), 6);
    // A taker may be told late of what it has taken; so the window is looked at by the whole.
    assert!(moments[5].duration_since(moments[0]) + PERIOD >= 2 * PERIOD);
    assert_eq!(window.try_take(3), Err(Refused::TooMany { most: 2 }));
    window.change(0).unwrap();
    assert_eq!(window.take(1).await, Err(Refused::TooMany { most: 0 }));
}
