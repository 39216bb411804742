//! What operators are given, held against a live scrape: every metric and label that an alert or the dashboard names is there.
//!
//! The program has channels, processes that wait and are started again, somebody who is stuck, spans and their exporter. What only a node
//! tells, by its dead letters, sagas and so on, comes from the table of families.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use towpath::{
    BoxError, Ctx, Receiver, bounded, rendezvous, scope,
    supervisor::{Backoff, OnExit, Strategy, Supervisor},
};
use towpath_observe::{
    metrics::{Kind, Metrics, Samples, Source, families},
    span::{Sampling, Tracer},
};
use towpath_patterns::yaml;

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
    fn collect(&self, to: &mut Samples) {
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
    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in seen.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once('{').expect("every series has the network");
        let (labels, _) = labels.rsplit_once('}').unwrap();
        let labels =
            labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        series.entry(name.to_owned()).or_default().extend(labels);
    }
    series
}

/// What a query names: metrics with the labels they are matched by, and labels it groups by.
#[derive(Default, Debug)]
struct Query {
    metrics: BTreeMap<String, BTreeSet<String>>,
    groups: BTreeSet<String>,
}

impl Query {
    fn read(text: &str) -> Self {
        let mut query = Self::default();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut rest = text;
        while let Some(at) = rest.find("towpath_") {
            let name: String = rest[at..].chars().take_while(|c| word(*c)).collect();
            rest = &rest[at + name.len()..];
            let labels = query.metrics.entry(name).or_default();
            if let Some(inner) = rest.strip_prefix('{') {
                let (matchers, behind) = inner.split_once('}').expect("a brace is closed");
                rest = behind;
                let keys = matchers.split("\",").filter(|matcher| !matcher.is_empty());
                labels.extend(
                    keys.map(|matcher| {
                        matcher.chars().take_while(|c| word(*c)).collect::<String>()
                    }),
                );
            }
        }
        for grouping in ["by (", "ignoring (", "on (", "without ("] {
            for behind in text.split(grouping).skip(1) {
                let (labels, _) = behind.split_once(')').expect("a parenthesis is closed");
                query.groups.extend(
                    labels.split(", ").filter(|label| !label.is_empty()).map(str::to_owned),
                );
            }
        }
        query
    }

    /// What of it is not in the scrape.
    fn missing(&self, series: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
        let mut missing = Vec::new();
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for (name, labels) in &self.metrics {
            let Some(there) = series.get(name) else {
                missing.push(name.clone());
                continue;
            };
            known.extend(there.iter().map(String::as_str));
            missing.extend(labels.difference(there).map(|label| format!("{name}{{{label}}}")));
        }
        let groups = self.groups.iter().filter(|label| !known.contains(label.as_str()));
        missing.extend(groups.map(|label| format!("grouped by {label}")));
        missing
    }
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    annotations: BTreeMap<String, String>,
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rules() -> Vec<Rule> {
    let text = file("prometheus/alerts.yaml");
    let rules: Rules = yaml::read(&yaml::parse(&text).unwrap()).unwrap();
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Every query of the dashboard, with where it stands.
fn dashboard() -> Vec<(String, String)> {
    let dashboard: serde_json::Value = serde_json::from_str(&file("grafana/towpath.json")).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            queries.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            queries.push((format!("variable {}", variable["name"]), query.to_owned()));
        }
    }
    queries
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
