//! The queries that operators are given, and what of them is in a scrape: for the tests of this crate and of the node.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Deserialize;
use towpath_patterns::yaml;

/// The series of a scrape by name, each with the labels it has.
pub(crate) fn series(seen: &str) -> BTreeMap<String, BTreeSet<String>> {
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
pub(crate) struct Query {
    pub(crate) metrics: BTreeMap<String, BTreeSet<String>>,
    pub(crate) groups: BTreeSet<String>,
}

impl Query {
    pub(crate) fn read(text: &str) -> Self {
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
    pub(crate) fn missing(&self, series: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
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
#[allow(dead_code, reason = "not every test needs all of a rule")]
pub(crate) struct Rule {
    pub(crate) alert: String,
    pub(crate) expr: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn rules() -> Vec<Rule> {
    let text = file("prometheus/alerts.yaml");
    let rules: Rules = yaml::read(&yaml::parse(&text).unwrap()).unwrap();
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Every query of the dashboard, with where it stands.
pub(crate) fn dashboard() -> Vec<(String, String)> {
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
