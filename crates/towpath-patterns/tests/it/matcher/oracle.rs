//! Random parts by three streams: what is told is what brute force says, and every part comes out once.

use std::{collections::BTreeMap, time::Duration};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use towpath::{BoxError, Ctx, bounded, scope};
use towpath_patterns::matcher::{Input, Matcher, Output, Part, What, WhenFull};

use super::{Paper, brute::Brute, rules, words};

/// Streams of the tests.
const STREAMS: usize = 3;
/// Parts and outputs on their way: few, so that everybody waits for everybody.
const PLACES: usize = 2;

/// Parts of a stream, in the order of their time.
type Stream = Vec<Part<u8, Paper>>;

fn what() -> impl Strategy<Value = What<Paper>> {
    let kind = prop_oneof![
        Just(Paper::Order),
        Just(Paper::Goods),
        Just(Paper::Bill),
        Just(Paper::Payment)
    ];
    prop_oneof![
        12 => (kind.clone(), 0..8_i64).prop_map(|(kind, amount)| What::Is { kind, amount }),
        2 => (0..24_u64).prop_map(|id| What::Undo { id }),
        2 => kind.prop_map(|kind| What::UndoLast { kind }),
    ]
}

fn stream() -> impl Strategy<Value = Stream> {
    let part = (0..5_u8, 0..24_u64, what(), 0..4_u64);
    proptest::collection::vec(part, 0..16).prop_map(|parts| {
        let mut at = 0;
        let timed = parts.into_iter().map(|(key, id, what, later)| {
            at += later;
            Part { key, id, what, at: Duration::from_secs(at), body: () }
        });
        timed.collect()
    })
}

/// What a matcher tells of these streams.
fn run(matcher: Matcher<u8, Paper>, shards: usize, streams: &[Stream]) -> Vec<Output<u8, Paper>> {
    let streams = streams.to_vec();
    let told = scope(&Ctx::root(), |s| async move {
        let (out, mut told) = bounded(PLACES);
        if shards > 0 {
            let feeds = matcher.start(&s, "matcher", shards, STREAMS, &out);
            for (feed, stream) in feeds.into_iter().zip(streams) {
                s.spawn("feed", |_| async move {
                    for part in stream {
                        feed.send(part).await?;
                    }
                    Ok::<_, BoxError>(())
                });
            }
            drop(out);
        } else {
            let mut receivers = Vec::new();
            for stream in streams {
                let (tx, rx) = bounded(PLACES);
                receivers.push(rx);
                s.spawn("stream", |_| async move {
                    tx.send_all(stream.into_iter().map(Input::from)).await?;
                    Ok::<_, BoxError>(())
                });
            }
            s.spawn("matcher", |ctx| matcher.run(ctx, receivers, out));
        }
        let mut all = Vec::new();
        while let Some(output) = told.recv().await {
            all.push(output);
        }
        Ok(all)
    });
    towpath::block_on(told).unwrap()
}

fn by_key(outputs: &[Output<u8, Paper>]) -> BTreeMap<u8, Vec<String>> {
    let mut all: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for output in outputs {
        let key = match output {
            Output::Matched(set) | Output::Void(set) | Output::Unmatched { set, .. } => set.key,
            Output::Stray { part, .. } => part.key,
        };
        all.entry(key).or_default().push(words(output));
    }
    all
}

/// What comes out, one line for each part: key and id.
fn parts_of(outputs: &[Output<u8, Paper>]) -> Vec<(u8, u64, What<Paper>)> {
    let mut parts = Vec::new();
    for output in outputs {
        match output {
            Output::Matched(set) | Output::Void(set) | Output::Unmatched { set, .. } => {
                parts.extend(set.parts.iter().map(|part| (set.key, part.id, part.what)));
            }
            Output::Stray { part, .. } => parts.push((part.key, part.id, part.what)),
        }
    }
    parts.sort_by_key(|it| format!("{it:?}"));
    parts
}

/// All parts in the order of time, then of the streams.
fn merged(streams: &[Stream]) -> Vec<(u64, Part<u8, Paper>)> {
    let mut all: Vec<(u64, usize, usize, Part<u8, Paper>)> = Vec::new();
    for (number, stream) in streams.iter().enumerate() {
        let parts = stream.iter().enumerate();
        all.extend(parts.map(|(at, part)| (part.at.as_secs(), number, at, part.clone())));
    }
    all.sort_by_key(|it| (it.0, it.1, it.2));
    all.into_iter().map(|(at, _, _, part)| (at, part)).collect()
}

/// A property of nothing but strays would hold too.
#[test]
fn random_streams_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..1_000 {
        let streams = proptest::collection::vec(stream(), STREAMS);
        let streams = streams.new_tree(&mut runner).unwrap().current();
        for told in (Brute { within: 20, settle: 2 }).told(&merged(&streams)).values().flatten() {
            let words: Vec<_> =
                told.split(' ').take(1 + 3 * usize::from(told.starts_with("Late"))).collect();
            *seen.entry(words.join(" ")).or_default() += 1;
        }
    }
    for outcome in [
        "matched",
        "void",
        "Deadline",
        "Ended",
        "Duplicate",
        "Late { matched: true",
        "Late { matched: false",
    ] {
        let times = seen.iter().filter(|(it, _)| it.starts_with(outcome)).map(|(_, times)| times);
        assert!(times.sum::<u32>() >= 5, "{outcome}: {seen:?}");
    }
}

/// More than is taken in one go, all of it there before the matcher looks.
#[test]
fn a_long_queue_loses_nothing() {
    const LONG: u64 = 1_000;
    let told = scope(&Ctx::root(), |s| async move {
        let mut receivers = Vec::new();
        for stream in 0..STREAMS as u64 {
            let (tx, rx) = towpath::unbounded();
            for id in 0..LONG {
                tx.send(Input::from(Part::new(0_u8, LONG * stream + id, Paper::Payment))).await?;
            }
            receivers.push(rx);
        }
        let (out, mut told) = bounded(PLACES);
        let matcher = Matcher::new(rules(9, 1)).parts_max(STREAMS * LONG as usize);
        s.spawn("matcher", |ctx| matcher.run(ctx, receivers, out));
        let Some(Output::Unmatched { set, .. }) = told.recv().await else { panic!("no set") };
        assert!(told.recv().await.is_none());
        Ok(set)
    });
    let mut ids: Vec<_> =
        towpath::block_on(told).unwrap().parts.iter().map(|part| part.id).collect();
    for stream in 0..STREAMS as u64 {
        let of_stream = ids.iter().filter(|id| **id / LONG == stream);
        assert!(of_stream.is_sorted(), "a stream is in order");
    }
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..STREAMS as u64 * LONG));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// By event time, whatever the streams' threads do: in the order of time, then of the streams.
    #[test]
    fn what_is_told_is_what_brute_force_says(
        streams in proptest::collection::vec(stream(), STREAMS),
        within in 1..30_u64,
        settle in 0..6_u64,
    ) {
        let parts = merged(&streams);
        let expected = Brute { within, settle }.told(&parts);
        let matcher = Matcher::new(rules(within, settle)).event_time(1_000);
        let told = run(matcher, 0, &streams);
        prop_assert_eq!(by_key(&told), expected);
        let mut fed: Vec<_> = parts.iter().map(|(_, it)| (it.key, it.id, it.what)).collect();
        fed.sort_by_key(|it| format!("{it:?}"));
        prop_assert_eq!(parts_of(&told), fed);
    }

    /// Whatever is bounded, by either time, in one process or several: every part comes out once, and is counted.
    #[test]
    fn every_part_comes_out_once(
        streams in proptest::collection::vec(stream(), STREAMS),
        (open, parts, remember, ahead) in (1..4_usize, 1..6_usize, 0..3_usize, 0..8_usize),
        shards in 0..3_usize,
        refuse in any::<bool>(),
    ) {
        let when_full = if refuse { WhenFull::Refuse } else { WhenFull::CloseFirst };
        let bounded = Matcher::new(rules(9, 1)).open_max(open, when_full).parts_max(parts);
        let matcher = bounded.remember(remember);
        let matcher = if ahead > 0 { matcher.event_time(ahead) } else { matcher };
        let watch = matcher.watch();
        let told = run(matcher, shards, &streams);
        let mut fed: Vec<_> =
            streams.iter().flatten().map(|it| (it.key, it.id, it.what)).collect();
        fed.sort_by_key(|it| format!("{it:?}"));
        prop_assert_eq!(parts_of(&told), fed);
        let counted = watch.snapshot();
        let sets = told.iter().filter(|it| !matches!(it, Output::Stray { .. })).count() as u64;
        let strays = told.len() as u64 - sets;
        prop_assert_eq!(counted.parts, streams.iter().flatten().count() as u64);
        prop_assert_eq!(counted.matched + counted.unmatched + counted.void, sets);
        prop_assert_eq!(counted.late + counted.duplicates + counted.refused, strays);
        prop_assert_eq!(counted.open, 0);
    }
}
