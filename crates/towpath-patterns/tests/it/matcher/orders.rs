//! The three-way match of purchase orders: each way by itself, and all of a real company's log.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use towpath::{BoxError, Ctx, bounded, rt, scope, select};
use towpath_journal::Writer;
use towpath_patterns::{
    matcher::{
        Counters, Difference, HandOver, Matcher, Output, Part, Tolerance, What,
        purchase::{Paper, Stream, Way, papers, rules_of_all},
    },
    saga::{self, Action, Call, Coordinator, Outcome, Saga},
    xes::Log,
};

/// Papers of one stream on their way: enough for a batch.
const PAPERS: usize = 256;

const DAY: Duration = Duration::from_secs(86_400);
/// Longer than any item of the log takes from its first paper to its last but a few.
const DEADLINE: Duration = Duration::from_secs(365 * 86_400);
/// Rent is one item with a delivery a month.
const SETTLE: Duration = Duration::from_secs(60 * 86_400);
/// 2018-01-01, the first day of the log.
const SINCE: Duration = Duration::from_secs(1_514_764_800);

type Paper2 = (Stream, Part<Arc<str>, Paper>);

/// What a matcher tells of papers by three streams.
fn matched(matcher: Matcher<Arc<str>, Paper>, all: Vec<Paper2>) -> Vec<Output<Arc<str>, Paper>> {
    let mut by_stream = Stream::ALL.map(|_| Vec::new());
    for (stream, part) in all {
        by_stream[stream as usize].push(part);
    }
    let told = scope(&Ctx::root(), |s| async move {
        let (out, mut told) = bounded(PAPERS);
        let mut receivers = Vec::new();
        for stream in by_stream {
            let (tx, rx) = bounded(PAPERS);
            receivers.push(rx);
            s.spawn("stream", |_| async move {
                for part in stream {
                    tx.send(part.into()).await?;
                }
                Ok::<_, BoxError>(())
            });
        }
        s.spawn("matcher", |ctx| matcher.run(ctx, receivers, out));
        let mut all = Vec::new();
        while let Some(output) = told.recv().await {
            all.push(output);
        }
        Ok(all)
    });
    towpath::block_on(told).unwrap()
}

/// The papers of one item, a letter each, a day apart; `-` behind a letter cancels. Amounts are in cents.
fn story(text: &str) -> Vec<Paper2> {
    let mut all = Vec::new();
    for (word, id) in text.split(' ').zip(1..) {
        let letter = word.as_bytes()[0];
        let kind = match letter {
            b'V' => Paper::Vendor,
            b'O' => Paper::Order,
            b'G' => Paper::Receipt,
            b'I' => Paper::Invoice,
            b'C' => Paper::Clearing,
            _ => panic!("{word}"),
        };
        let what = match &word[1..] {
            "-" => What::UndoLast { kind },
            amount => What::Is { kind, amount: amount.parse().unwrap_or(0) },
        };
        let at = DAY * id;
        all.push((kind.stream(), Part { key: "item".into(), id: id.into(), what, at, body: () }));
    }
    all
}

/// What each way makes of a story, in the order of `Way::ALL`: `=` matched, `0` void, or the first difference.
fn judge(text: &str) -> [String; 4] {
    Way::ALL.map(|way| {
        let tolerance = Tolerance { amount: 0, per_mille: 20 };
        let matcher = Matcher::new(way.rules(DEADLINE, SETTLE, tolerance)).event_time(PAPERS);
        match &matched(matcher, story(text))[..] {
            [Output::Matched(_)] => "=".to_owned(),
            [Output::Void(_)] => "0".to_owned(),
            [Output::Unmatched { differences, .. }] => differences[0].to_string(),
            told => panic!("{told:?}"),
        }
    })
}

#[test]
fn each_way_matches_what_it_should() {
    let no_goods = "0 of Receipt, needs 1";
    let no_invoice = "0 of Invoice, needs 1";
    let billed = "1 of Invoice, 0 at most";
    for (text, expected) in [
        ("O G I C", ["=", "=", "=", billed]),
        ("V O G I C", ["=", "=", "=", billed]),
        ("O I G C", ["Invoice before Receipt", "=", "=", billed]),
        ("O I C", [no_goods, no_goods, "=", no_goods]),
        ("O G", [no_invoice, no_invoice, no_invoice, "="]),
        (
            "O G I",
            ["1 of Invoice and 0 of Clearing"; 3]
                .into_iter()
                .chain([billed])
                .collect::<Vec<_>>()
                .try_into()
                .unwrap(),
        ),
        ("O G G- I C", [no_goods, no_goods, "=", no_goods]),
        ("O G I C I- I C", ["=", "=", "=", billed]),
        ("O G G I I C C", ["=", "=", "=", "2 of Invoice, 0 at most"]),
        ("O O-", ["0"; 4]),
        ("V O O-", ["0"; 4]),
        ("O G100 I102 C", ["=", "=", "=", billed]),
        ("O G100 I103 C", ["Receipt 100, Invoice 103", "Receipt 100, Invoice 103", "=", billed]),
        (
            "O G C",
            ["0 of Invoice, needs 1", no_invoice, no_invoice, "0 of Invoice and 1 of Clearing"],
        ),
    ] {
        assert_eq!(judge(text), expected, "{text}");
    }
}

/// The way may be the key's.
#[test]
fn each_item_is_matched_in_its_way() {
    let rules = rules_of_all(DEADLINE, SETTLE, Tolerance::EXACT);
    let matcher = Matcher::by_key(rules, |key: &Arc<str>| usize::from(key.as_bytes()[0] - b'0'));
    let all = (0..4_u8).flat_map(|way| {
        let key: Arc<str> = way.to_string().into();
        let mut story = story("O I C");
        story.iter_mut().for_each(|(_, part)| part.key = key.clone());
        story
    });
    let told = matched(matcher.event_time(PAPERS), all.collect());
    let matched = told.iter().filter(|it| matches!(it, Output::Matched(set) if &*set.key == "2"));
    assert_eq!((matched.count(), told.len()), (1, 4));
}

fn log_file() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("TOWPATH_DATA").map_or_else(beside, PathBuf::from);
    folder.join("orders/bpic2019-variants.xes.gz")
}

/// One item thought over by itself: its papers in order, days looked at one after the other. Says whether it matched, the day it was
/// closed, and how many papers came later.
fn by_hand(way: Way, papers: &[&Paper2]) -> (bool, u64) {
    let first = papers[0].1.at;
    let (mut taken, mut last) = (0, first);
    let mut live: Vec<(Paper, Duration)> = Vec::new();
    let mut loose = false;
    let settled = |live: &[(Paper, Duration)], loose: bool| {
        let count = |kind| live.iter().filter(|it| it.0 == kind).count();
        let earliest = |kind| live.iter().filter(|it| it.0 == kind).map(|it| it.1).min();
        let (goods, bills) = (count(Paper::Receipt), count(Paper::Invoice));
        !loose
            && count(Paper::Order) == 1
            && bills == count(Paper::Clearing)
            && match way {
                Way::ThreeWayAfter => {
                    goods > 0 && bills > 0 && earliest(Paper::Receipt) <= earliest(Paper::Invoice)
                }
                Way::ThreeWayBefore => goods > 0 && bills > 0,
                Way::TwoWay => bills > 0,
                Way::Consignment => goods > 0 && bills == 0,
            }
    };
    for (_, part) in papers {
        if part.at >= first + DEADLINE || settled(&live, loose) && part.at >= last + SETTLE {
            break;
        }
        taken += 1;
        last = part.at;
        match part.what {
            What::Is { kind, .. } => live.push((kind, part.at)),
            What::UndoLast { kind } => match live.iter().rposition(|it| it.0 == kind) {
                None => loose = true,
                Some(place) => {
                    live.remove(place);
                    let count = |kind| live.iter().filter(|it| it.0 == kind).count();
                    if kind == Paper::Invoice && count(Paper::Clearing) > count(Paper::Invoice) {
                        let place = live.iter().rposition(|it| it.0 == Paper::Clearing);
                        live.remove(place.unwrap());
                    }
                }
            },
            What::Undo { .. } => unreachable!("the log names no documents"),
        }
    }
    (settled(&live, loose), (papers.len() - taken) as u64)
}

/// What is wrong, without its numbers.
fn name(difference: &Difference<Paper>) -> String {
    match difference {
        Difference::Missing { kind, .. } => format!("{kind:?} missing"),
        Difference::TooMany { kind, .. } => format!("too many of {kind:?}"),
        Difference::Uneven { has_of, has_by, .. } if has_of > has_by => "not cleared".to_owned(),
        Difference::Uneven { .. } => "cleared without invoice".to_owned(),
        Difference::Early { kind, before } => format!("{kind:?} before {before:?}"),
        Difference::UndidNothing { kind: Some(kind), .. } => format!("cancelled nothing: {kind:?}"),
        other => format!("{other}"),
    }
}

/// What is found under each way, and what is first wrong with those that do not match.
const EXPECTED: [(&str, &str); 4] = [
    (
        "4449 matched, 7402 not, 122 void, 1858 papers late",
        "487 Invoice before Receipt, 2697 Invoice missing, 35 Order missing, 520 Receipt missing, \
         2 cancelled nothing: Invoice, 3 cancelled nothing: Order, \
         1 cancelled nothing: Receipt, 1045 cleared without invoice, 2612 not cleared",
    ),
    (
        "5003 matched, 6848 not, 122 void, 2044 papers late",
        "2662 Invoice missing, 35 Order missing, 520 Receipt missing, 2 cancelled nothing: Invoice, \
         3 cancelled nothing: Order, 3 cancelled nothing: Receipt, \
         1037 cleared without invoice, 2586 not cleared",
    ),
    (
        "5142 matched, 6705 not, 126 void, 2077 papers late",
        "2930 Invoice missing, 29 Order missing, 3 cancelled nothing: Invoice, \
         3 cancelled nothing: Order, 9 cancelled nothing: Receipt, \
         1045 cleared without invoice, 2686 not cleared",
    ),
    (
        "2903 matched, 8952 not, 118 void, 1976 papers late",
        "36 Order missing, 522 Receipt missing, 6 cancelled nothing: Receipt, \
         391 cleared without invoice, 7997 too many of Invoice",
    ),
];

/// All of the log, under each of the four ways, since it does not say which item is which.
#[test]
fn a_year_of_purchase_orders() {
    let file = log_file();
    if !file.exists() {
        println!("not run: {} is not here; TOWPATH_DATA names the folder", file.display());
        return;
    }
    let all = papers(&mut Log::open(&file).unwrap(), SINCE).unwrap();
    let mut by_item: BTreeMap<Arc<str>, Vec<&Paper2>> = BTreeMap::new();
    // Of one minute: orders first, then goods, then invoices, as a matcher takes them.
    let mut sorted: Vec<&Paper2> = all.iter().collect();
    sorted.sort_by_key(|(stream, part)| (part.at, *stream));
    for paper in sorted {
        by_item.entry(paper.1.key.clone()).or_default().push(paper);
    }
    assert_eq!((all.len(), by_item.len()), (154_643, 11_973));
    for (way, expected) in Way::ALL.into_iter().zip(EXPECTED) {
        let rules = way.rules(DEADLINE, SETTLE, Tolerance::EXACT);
        let matcher = Matcher::new(rules).event_time(all.len());
        let watch = matcher.watch();
        let told = matched(matcher, all.clone());
        assert_eq!(watch.snapshot().parts, all.len() as u64, "{way:?}");
        let mut ends: BTreeMap<Arc<str>, (bool, u64)> = BTreeMap::new();
        let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
        for output in &told {
            match output {
                Output::Matched(set) => drop(ends.insert(set.key.clone(), (true, 0))),
                Output::Void(set) => drop(ends.insert(set.key.clone(), (false, 0))),
                Output::Unmatched { set, differences, .. } => {
                    ends.insert(set.key.clone(), (false, 0));
                    *reasons.entry(name(&differences[0])).or_default() += 1;
                }
                Output::Stray { part, .. } => ends.get_mut(&part.key).unwrap().1 += 1,
            }
        }
        for (item, papers) in &by_item {
            assert_eq!(ends[item], by_hand(way, papers), "{item} in {way:?}");
        }
        let Counters { matched, unmatched, void, late, duplicates, hurried, .. } = watch.snapshot();
        assert_eq!((duplicates, hurried), (0, 0), "{way:?}");
        let reasons: Vec<_> =
            reasons.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let found = format!("{matched} matched, {unmatched} not, {void} void, {late} papers late");
        assert_eq!((found.as_str(), reasons.join(", ").as_str()), expected, "{way:?}");
    }
}

/// Differences of the log that become sagas in the test below: enough for many at once.
const HANDED: usize = 500;
/// Calls of those sagas on their way.
const CALLS: usize = 64;

/// Payment is stopped, somebody is asked, and every third will not correct anything: then payment is allowed again. In the end it is
/// stopped for those whose saga is completed, and for nobody else.
#[test]
fn differences_of_the_log_become_sagas_that_compensate() {
    let file = log_file();
    if !file.exists() {
        println!("not run: {} is not here; TOWPATH_DATA names the folder", file.display());
        return;
    }
    let all = papers(&mut Log::open(&file).unwrap(), SINCE).unwrap();
    let rules = Way::ThreeWayBefore.rules(DEADLINE, SETTLE, Tolerance::EXACT);
    let told = matched(Matcher::new(rules).event_time(all.len()), all);
    let differences = told.into_iter().filter_map(|output| match output {
        Output::Unmatched { set, differences, .. } => {
            Some((format!("{}/{:016x}", set.key, set.fingerprint()), name(&differences[0])))
        }
        _ => None,
    });
    let differences: BTreeMap<String, String> = differences.take(HANDED).collect();
    assert_eq!(differences.len(), HANDED, "ids differ");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let (completed, stopped) = towpath::block_on(scope(&Ctx::root(), |s| async move {
        let (calls, mut at_office) = bounded::<Call>(CALLS);
        let stopped = Arc::new(Mutex::new(BTreeSet::new()));
        let books = Arc::clone(&stopped);
        s.spawn("office", move |ctx| async move {
            let mut asked = 0;
            loop {
                let call = select! { call = at_office.recv() => call, _ = ctx.done() => None };
                let Some(call) = call else { return };
                let id = call.saga().to_owned();
                match call.action() {
                    "stop payment" => _ = books.lock().unwrap().insert(id),
                    "allow payment" => _ = books.lock().unwrap().remove(&id),
                    _ => {
                        asked += 1;
                        if asked % 3 == 0 {
                            call.refuse("it is right as it is");
                            continue;
                        }
                    }
                }
                call.done(*b"");
            }
        });
        let action = |name: &str| Action::new(name, &calls);
        let correction = Saga::new("correction")
            .step(action("stop payment"), action("allow payment"))
            .action(action("ask"));
        let writer = Writer::open(path.join("sagas"))?;
        let sagas = Coordinator::new().define(correction).start(&s, "sagas", writer).await?;
        let writer = Writer::open(path.join("differences"))?;
        let hand_over = HandOver::start(&s, "hand over", writer, sagas.clone(), "correction");
        let hand_over = hand_over.await?;
        for (id, what) in &differences {
            hand_over.tell(id, what.clone().into_bytes()).await?;
            // A stream that is fed again tells again.
            hand_over.tell(id, what.clone().into_bytes()).await?;
        }
        let mut completed = BTreeSet::new();
        for id in differences.keys() {
            let outcome = loop {
                match sagas.outcome(id).await {
                    Err(saga::Error::Unknown { .. }) => rt::sleep(Duration::from_millis(1)).await,
                    outcome => break outcome?,
                }
            };
            match outcome {
                Outcome::Completed { .. } => _ = completed.insert(id.clone()),
                Outcome::Compensated { step, .. } => assert_eq!(step, 1),
                Outcome::DeadLettered { .. } => panic!("{id}: {outcome:?}"),
            }
        }
        s.cancel("that is all");
        let stopped = stopped.lock().unwrap().clone();
        Ok((completed, stopped))
    }))
    .unwrap();
    assert_eq!(completed.len(), HANDED - HANDED / 3);
    assert_eq!(stopped, completed);
}
