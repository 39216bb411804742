//! The matcher under many schedules, in virtual time.
//!
//! `TOWPATH_SIM_SCHEDULES=10_000` for the night.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use towpath::{BoxError, Ctx, bounded, rt, scope};
use towpath_patterns::matcher::{
    Error, Feed, Input, Matcher, Output, Part, Rules, Stray, What, WhenFull, Why,
};

use super::{Paper, brute::Brute, rules, words};

/// Few, so that everybody waits for everybody.
const PLACES: usize = 1;
/// A deadline that is longer than the simulator may be late with a timer, many times over.
const HOUR: Duration = Duration::from_secs(3_600);

/// An order and its goods.
fn pair(deadline: Duration) -> Rules<Paper> {
    Rules::within(deadline).needs(Paper::Order, 1..=1).needs(Paper::Goods, 1..=1)
}

/// Two streams and a consumer; some keys miss something, one part comes twice.
#[towpath::test(schedules = 300)]
async fn nothing_is_lost_and_nothing_is_matched_twice() {
    const KEYS: u32 = 4;
    let told = scope(&Ctx::root(), |s| async move {
        let (out, mut told) = bounded(PLACES);
        let mut receivers = Vec::new();
        for kind in [Paper::Order, Paper::Goods] {
            let (tx, rx) = bounded(PLACES);
            receivers.push(rx);
            s.spawn("stream", move |_| async move {
                for key in 0..KEYS {
                    // The last lacks its goods; the first has its order twice.
                    let times = match (kind, key) {
                        (Paper::Goods, key) if key == KEYS - 1 => 0,
                        (Paper::Order, 0) => 2,
                        _ => 1,
                    };
                    for _ in 0..times {
                        tx.send(Part::new(key, kind as u64, kind).into()).await?;
                    }
                }
                Ok::<_, BoxError>(())
            });
        }
        s.spawn("matcher", |ctx| Matcher::new(pair(HOUR)).run(ctx, receivers, out));
        let mut all = Vec::new();
        while let Some(output) = told.recv().await {
            all.push(output);
        }
        Ok(all)
    });
    let told = told.await.unwrap();
    let mut matched = BTreeSet::new();
    let mut rest = Vec::new();
    for output in &told {
        match output {
            Output::Matched(set) => {
                assert!(matched.insert(set.key), "{} is matched twice", set.key);
                let ids: BTreeSet<_> = set.parts.iter().map(|part| part.id).collect();
                assert_eq!(ids.len(), 2, "{set:?}");
            }
            Output::Stray { part, why } => rest.push(format!("{why:?} {}", part.key)),
            Output::Unmatched { set, why, .. } => rest.push(format!("{why:?} {}", set.key)),
            Output::Void(set) => panic!("nothing was undone: {set:?}"),
        }
    }
    rest.sort();
    assert_eq!(matched, (0..KEYS - 1).collect());
    assert_eq!(rest, ["Duplicate 0".to_owned(), format!("Ended {}", KEYS - 1)]);
}

/// By arrival: the deadline fires once, not before its time, also when nobody sends anything; what comes then is late.
#[towpath::test(schedules = 300)]
async fn a_deadline_fires_once_and_what_comes_then_is_late() {
    let told = scope(&Ctx::root(), |s| async move {
        let ((tx, rx), (out, mut told)) = (bounded(PLACES), bounded(PLACES));
        s.spawn("matcher", |ctx| Matcher::new(pair(HOUR)).run(ctx, vec![rx], out));
        let begun = rt::now();
        for key in ["a", "b"] {
            tx.send(Part::new(key, 1, Paper::Order).into()).await?;
            rt::sleep(HOUR / 4).await;
        }
        let mut fired = BTreeMap::new();
        for _ in 0..2 {
            let Some(Output::Unmatched { set, why: Why::Deadline, .. }) = told.recv().await else {
                panic!("both lack their goods");
            };
            assert_eq!(set.closed - set.opened, HOUR);
            assert!(fired.insert(set.key, rt::now().duration_since(begun)).is_none());
        }
        for key in ["a", "b"] {
            tx.send(Part::new(key, 2, Paper::Goods).into()).await?;
        }
        drop(tx);
        let mut late = Vec::new();
        while let Some(output) = told.recv().await {
            late.push(words(&output));
        }
        Ok((fired, late))
    });
    let (fired, late) = told.await.unwrap();
    assert!(fired["a"] >= HOUR && fired["b"] >= HOUR + HOUR / 5, "{fired:?}");
    assert_eq!(late, ["Late { matched: false } a#2", "Late { matched: false } b#2"]);
}

/// A race of the second part with the deadline: matched or told as a leftover with a late part, never both, never neither.
#[towpath::test(schedules = 500)]
async fn whoever_comes_at_the_deadline_is_in_time_or_late() {
    const SHORT: Duration = Duration::from_millis(5);
    let told = scope(&Ctx::root(), |s| async move {
        let ((tx, rx), (out, mut told)) = (bounded(PLACES), bounded(PLACES));
        s.spawn("matcher", |ctx| Matcher::new(pair(SHORT)).run(ctx, vec![rx], out));
        s.spawn("stream", move |_| async move {
            tx.send(Part::new(7, 1, Paper::Order).into()).await?;
            rt::sleep(SHORT).await;
            tx.send(Part::new(7, 2, Paper::Goods).into()).await?;
            Ok::<_, BoxError>(())
        });
        let mut all = Vec::new();
        while let Some(output) = told.recv().await {
            all.push(output);
        }
        Ok(all)
    });
    match &told.await.unwrap()[..] {
        [Output::Matched(set)] => assert_eq!(set.parts.len(), 2),
        [
            Output::Unmatched { why: Why::Deadline, .. },
            Output::Stray { why: Stray::Late { matched: false }, part },
        ] => assert_eq!(part.id, 2),
        told => panic!("{told:?}"),
    }
}

/// By event time, in one process or in two: the same as brute force, however the streams overtake each other.
#[towpath::test(schedules = 300)]
async fn by_event_time_every_schedule_tells_the_same() {
    let at = |seconds| Duration::from_secs(seconds);
    let part = |key: u8, id, kind, seconds| Part::new(key, id, kind).at(at(seconds));
    let undo = |key: u8, id, kind, seconds| {
        let undo = Part::new(key, id, kind).at(at(seconds));
        Part { what: What::UndoLast { kind }, ..undo }
    };
    let orders = vec![
        part(1, 1, Paper::Order, 0),
        part(2, 1, Paper::Order, 3),
        undo(2, 9, Paper::Order, 4),
        part(3, 1, Paper::Order, 7),
        part(3, 1, Paper::Order, 7),
    ];
    let goods = vec![
        part(1, 2, Paper::Goods, 2).amount(20),
        part(3, 2, Paper::Goods, 9).amount(9),
        part(1, 5, Paper::Goods, 12),
    ];
    let bills = vec![
        part(1, 3, Paper::Bill, 2).amount(24),
        part(1, 4, Paper::Payment, 4),
        part(3, 3, Paper::Bill, 8).amount(9),
        part(3, 4, Paper::Payment, 8),
        part(2, 3, Paper::Bill, 30),
    ];
    let mut parts: Vec<(u64, Part<u8, Paper>)> = Vec::new();
    for stream in [&orders, &goods, &bills] {
        parts.extend(stream.iter().map(|part| (part.at.as_secs(), part.clone())));
    }
    parts.sort_by_key(|(at, _)| *at);
    let expected = Brute { within: 15, settle: 3 }.told(&parts);
    for shards in [1, 2] {
        let streams = [orders.clone(), goods.clone(), bills.clone()];
        let told = scope(&Ctx::root(), |s| async move {
            let (out, mut told) = bounded(PLACES);
            let matcher = Matcher::new(rules(15, 3)).event_time(100);
            let feeds: Vec<Feed<u8, Paper>> = matcher.start(&s, "matcher", shards, 3, &out);
            drop(out);
            for (feed, stream) in feeds.into_iter().zip(streams) {
                s.spawn("stream", |_| async move {
                    for part in stream {
                        let at = part.at;
                        feed.send(part).await?;
                        feed.clock(at).await?;
                    }
                    Ok::<_, BoxError>(())
                });
            }
            let mut all: BTreeMap<u8, Vec<String>> = BTreeMap::new();
            while let Some(output) = told.recv().await {
                let key = match &output {
                    Output::Matched(set) | Output::Void(set) => set.key,
                    Output::Unmatched { set, .. } => set.key,
                    Output::Stray { part, .. } => part.key,
                };
                all.entry(key).or_default().push(words(&output));
            }
            Ok(all)
        });
        assert_eq!(told.await.unwrap(), expected, "{shards} shards");
    }
}

/// Room for one set: the oldest goes, or whoever comes; each part is told once either way.
#[towpath::test(schedules = 200)]
async fn a_full_house_loses_nothing() {
    for when_full in [WhenFull::Refuse, WhenFull::CloseFirst] {
        let told = scope(&Ctx::root(), |s| async move {
            let ((tx, rx), (out, mut told)) = (bounded(PLACES), bounded(PLACES));
            let matcher = Matcher::new(pair(HOUR)).open_max(1, when_full);
            let watch = matcher.watch();
            s.spawn("matcher", |ctx| matcher.run(ctx, vec![rx], out));
            for key in 0..2 {
                let tx = tx.clone();
                s.spawn("stream", move |_| async move {
                    for kind in [Paper::Order, Paper::Goods] {
                        tx.send(Part::new(key, kind as u64, kind).into()).await?;
                    }
                    Ok::<_, BoxError>(())
                });
            }
            drop(tx);
            let mut all = Vec::new();
            while let Some(output) = told.recv().await {
                all.push(output);
            }
            Ok((all, watch.snapshot()))
        });
        let (told, counted) = told.await.unwrap();
        let mut parts = Vec::new();
        for output in &told {
            match output {
                Output::Matched(set) | Output::Void(set) | Output::Unmatched { set, .. } => {
                    parts.extend(set.parts.iter().map(|part| (set.key, part.id)));
                }
                Output::Stray { part, .. } => parts.push((part.key, part.id)),
            }
        }
        parts.sort_unstable();
        assert_eq!(parts, [(0, 0), (0, 1), (1, 0), (1, 1)], "{told:?}");
        let full = counted.refused + counted.evicted;
        assert_eq!(counted.matched == 2, full == 0, "{told:?}");
    }
}

#[towpath::test(schedules = 200)]
async fn a_matcher_ends_with_its_context_and_when_nobody_listens() {
    for gone in [true, false] {
        let ended = scope(&Ctx::root(), |s| async move {
            let ((tx, rx), (out, told)) = (bounded(PLACES), bounded(PLACES));
            let matcher = Matcher::new(pair(HOUR)).remember(0);
            let watch = matcher.watch();
            let process = s.spawn("matcher", |ctx| async move {
                Ok::<_, BoxError>(matcher.run(ctx, vec![rx], out).await.map(|_| ()))
            });
            if gone {
                drop(told);
            } else {
                s.cancel("enough");
            }
            // It may have gone already.
            for kind in [Paper::Order, Paper::Goods] {
                let _ = tx.send(Input::from(Part::new(1, kind as u64, kind))).await;
            }
            Ok((process.await?, watch.snapshot().open))
        });
        let (ended, open) = ended.await.unwrap();
        assert_eq!(open, 0, "nothing is counted as open when nobody has it");
        assert!(
            matches!(
                (gone, &ended),
                (true, Err(Error::OutputsGone)) | (false, Err(Error::Ended(_)))
            ),
            "{ended:?}"
        );
    }
}
