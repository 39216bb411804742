//! What operators are given, held against a live scrape: every metric and label that an alert or the dashboard names is there.
//!
//! The program has channels, processes that wait and are started again, somebody who is stuck, spans and their exporter. What only a node
//! tells, by its dead letters, sagas and so on, comes from the table of families.

#[path = "support/queries.rs"]
mod queries;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use towpath::{
    BoxError, Ctx, Receiver, bounded, rendezvous, scope,
    supervisor::{Backoff, OnExit, Strategy, Supervisor},
};
use towpath_observe::{
    metrics::{Kind, Metrics, Samples, Source, families},
    span::{Sampling, Tracer},
};

use self::queries::{Query, Rule, dashboard, rules};

/// Families that a node tells.
struct Node;

/// Their first labels; the table says which follow.
const TOLD_BY_NODES: &[&str] = &[
    "towpath_channel_dropped",
    "towpath_process_refused",
    "towpath_dead_letters",
    "towpath_saga",
    "towpath_machine",
    "towpath_gateway",
    "towpath_limit",
    "towpath_dispatch",
    "towpath_match",
];

impl Source for Node {
    fn collect(&self, to: &mut Samples<'_>) {
        let told = |name: &str| TOLD_BY_NODES.iter().any(|stem| name.starts_with(stem));
        for family in families::ALL.iter().filter(|family| told(family.name)) {
            to.put(family, &vec!["told"; family.labels.len()], 1_u64);
        }
        #[cfg(not(feature = "otlp"))]
        to.put(&families::SPANS_EXPORTED, &["sent"], 0_u64);
    }
}

/// Series of a live program by name, each with the labels it has.
fn scrape() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = Metrics::new("test");
    metrics.install().expect("nobody else installs one");
    let node = Arc::new(Node);
    metrics.add(&node);
    #[cfg(feature = "otlp")]
    let (exporter, _pump) =
        towpath_observe::otlp::exporter(towpath_observe::otlp::Options::new("test"));
    #[cfg(feature = "otlp")]
    let exporter = {
        let exporter = Arc::new(exporter);
        metrics.add(&exporter);
        exporter
    };
    #[cfg(feature = "otlp")]
    let tracer = Tracer::exporting(Sampling::ratio(1.0), exporter.clone());
    #[cfg(not(feature = "otlp"))]
    let tracer = Tracer::new(Sampling::ratio(1.0));
    let tracer = Arc::new(tracer);
    metrics.add(&tracer);
    drop(tracer.root("intake"));

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let seen = runtime.unwrap().block_on(async {
        let (orders, mut at_cook) = bounded::<u32>(1);
        let orders = orders.named("orders");
        let (never, mut at_nobody) = rendezvous::<()>();
        let _never = never.named("never");
        let mut keeper = Supervisor::new("keeper", Strategy::OneForOne).with_backoff(Backoff::NONE);
        let work = async |_: Ctx, (gate, runs): &mut (Receiver<()>, u32)| {
            *runs += 1;
            if *runs < 2 {
                return Err(BoxError::from("again"));
            }
            gate.recv().await;
            Ok(())
        };
        let (gate, at_gate) = rendezvous();
        keeper.child("fragile", OnExit::RestartOnFailure, (at_gate, 0), work);
        scope(&Ctx::root(), |s| async move {
            s.spawn("keeper", |ctx| async move { keeper.run(&ctx).await });
            s.spawn("waiter", |ctx| async move {
                towpath::select! {
                    _ = at_nobody.recv() => {},
                    _ = ctx.done() => {},
                }
            });
            // Both sides of a channel wait, one after the other.
            s.spawn("cook", |_| async move {
                towpath::rt::sleep(Duration::from_millis(20)).await;
                while at_cook.recv().await.is_some() {}
            });
            for order in 0..3 {
                orders.send(order).await?;
            }
            towpath::rt::sleep(Duration::from_millis(20)).await;
            orders.send(3).await?;
            towpath::rt::sleep(Duration::from_millis(20)).await;
            let seen = metrics.scrape();
            drop((gate, orders));
            s.cancel("seen");
            Ok(seen)
        })
        .await
    });
    let seen = seen.unwrap();
    queries::series(&seen)
}

#[test]
fn a_query_is_read_as_it_is_meant() {
    let text = r#"sum by (le, channel) (rate(towpath_a_bucket{network=~"$n",on="x,y"}[5m])) / ignoring (side) towpath_b > 1"#;
    let query = Query::read(text);
    let metrics: Vec<_> = query.metrics.keys().collect();
    assert_eq!(metrics, ["towpath_a_bucket", "towpath_b"]);
    assert_eq!(
        query.metrics["towpath_a_bucket"],
        BTreeSet::from(["network", "on"].map(str::to_owned))
    );
    assert_eq!(query.groups, BTreeSet::from(["le", "channel", "side"].map(str::to_owned)));
    let series = BTreeMap::from([("towpath_b".to_owned(), BTreeSet::from(["side".to_owned()]))]);
    assert_eq!(query.missing(&series), ["towpath_a_bucket", "grouped by channel", "grouped by le"]);
}

#[test]
fn whatever_alerts_and_the_dashboard_name_is_in_a_live_scrape() {
    let series = scrape();
    let alerts = rules().into_iter().map(|rule| (rule.alert, rule.expr));
    let queries: Vec<_> = alerts.chain(dashboard()).collect();
    assert!(queries.len() > 40, "{}", queries.len());
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (place, text) in queries {
        let query = Query::read(&text);
        assert!(!query.metrics.is_empty(), "{place}: `{text}` asks for nothing of ours");
        used.extend(query.metrics.keys().cloned());
        wrong.extend(query.missing(&series).into_iter().map(|what| format!("{place}: {what}")));
    }
    assert_eq!(wrong, [""; 0]);
    // The other way round: what there is, is in the table, and somebody looks at it.
    for family in families::ALL {
        let name = match family.kind {
            Kind::Histogram => format!("{}_bucket", family.name),
            _ => family.name.to_owned(),
        };
        assert!(series.contains_key(&name), "{name} is in the table and not in the scrape");
        assert!(used.contains(&name), "{name}: neither an alert nor the dashboard shows it");
    }
    for name in series.keys() {
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let known = |family: &&families::Family| family.name == name || Some(family.name) == stem;
        assert!(families::ALL.iter().any(|family| known(&family)), "{name} is not in the table");
    }
}

#[test]
fn an_alert_says_what_is_the_matter_and_what_to_do() {
    for Rule { alert, expr, annotations } in rules() {
        for what in ["summary", "description"] {
            assert!(annotations.get(what).is_some_and(|text| text.len() > 10), "{alert}: {what}");
        }
        // A label in the words has survived the query.
        let groups = Query::read(&expr).groups;
        for text in annotations.values() {
            for behind in text.split("$labels.").skip(1) {
                let label = behind.split(' ').next().unwrap();
                let kept = !expr.contains(" by (") || groups.contains(label);
                assert!(kept, "{alert}: the query has no {label}");
            }
        }
    }
}
