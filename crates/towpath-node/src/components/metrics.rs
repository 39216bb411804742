//! `metrics`: counts messages, by what is in them.
//!
//! ```yaml
//! by_city: {uses: metrics, in: rides, out: counted, name: rides_total, labels: {city: it.city}}
//! turnover: {uses: metrics, in: bills, name: fares_total, labels: {city: it.city}, value: it.fare}
//! ```
//!
//! Each message adds 1, or `value`, to the number of its labels. Messages go on to `out`, if the file gives it a channel. There is one
//! number for each set of labels, and 1,000 sets at most: further ones are counted together under `other`, and the facet says so. A message
//! for which an expression has no value, or whose value is no number or below zero, is refused, and is not counted.
//!
//! A scrape of the node (`/metrics`) has it too, with the labels `network` and `process` besides its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use towpath::{BoxError, Ctx};
use towpath_observe::metrics::{Family, Kind};
use towpath_patterns::yaml::{At, Problem};

use crate::{
    component::{Component, Need, Port},
    expr::{Expr, Written},
    facet::{Facet, Measures, Query},
    ports::Ports,
};

/// Sets of labels: what whoever stores metrics can bear of one; a label with more values is an identity and no label.
const SERIES_MAX: usize = 1000;

/// Characters of a label's value that count.
const LABEL_CHARS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    name: At<String>,
    #[serde(default)]
    help: Option<String>,
    #[serde(default)]
    labels: IndexMap<String, Written>,
    value: Option<Written>,
}

/// What is counted, and by what.
struct Counter {
    name: String,
    help: String,
    labels: Vec<(String, Arc<Expr>)>,
    value: Option<Arc<Expr>>,
    /// As a scrape has it.
    family: Family,
}

/// The numbers, by the values of the labels.
#[derive(Default)]
struct Numbers {
    series: BTreeMap<Vec<String>, f64>,
    /// Messages whose labels found no place.
    other: u64,
}

pub(super) fn component() -> Component {
    Component::new("metrics", "counts messages by what is in them")
        .input(Port::new("in"))
        .output(Port::new("out").need(Need::Maybe))
        .refuses()
        .makes(|options: Options, _| {
            let counter = Arc::new(counter(options)?);
            // Over restarts: a number that goes back is none that anybody can use.
            let numbers = Arc::<Mutex<Numbers>>::default();
            Ok(async move |_: Ctx, ports: &mut Ports| {
                let _shown = ports.home().show(Shown(counter.clone(), numbers.clone()));
                while let Some(message) = ports.recv("in").await {
                    match counter.read(&message) {
                        Ok((labels, value)) => {
                            lock(&numbers).add(labels, value);
                            ports.send("out", message).await?;
                        }
                        Err(why) => ports.refuse(message, why).await?,
                    }
                }
                Ok::<_, BoxError>(())
            })
        })
}

fn lock(numbers: &Mutex<Numbers>) -> MutexGuard<'_, Numbers> {
    // Nothing under it panics half way.
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As Prometheus has them.
fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|it| it.is_ascii_alphabetic() || it == b'_')
        && letters.all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

fn counter(options: Options) -> Result<Counter, Problem> {
    let At { place, value: name } = options.name;
    if name.starts_with("towpath_") {
        let why = "names that begin with `towpath_` are the node's own: choose another name";
        return Err(Problem::new(place, why));
    }
    if !is_name(&name) || !name.ends_with("_total") {
        let why = format!(
            "`{name}` is no name of a counter: letters, digits and `_`, ending in `_total`"
        );
        return Err(Problem::new(place, why));
    }
    let labels = options.labels.into_iter().map(|(label, value)| {
        if !is_name(&label) || label.starts_with("__") {
            let why = format!("`{label}` is no name of a label: letters, digits and `_`");
            return Err(Problem::new(value.0.place, why));
        }
        if ["network", "process"].contains(&&*label) {
            let why = format!("every series has a label `{label}` already: choose another name");
            return Err(Problem::new(value.0.place, why));
        }
        Ok((label, value.compile()?))
    });
    let labels: Vec<(String, Arc<Expr>)> = labels.collect::<Result<_, _>>()?;
    let help = options.help.unwrap_or_default();
    let family = family(&name, &help, &labels);
    Ok(Counter {
        name,
        help,
        labels,
        family,
        value: options.value.map(|value| value.compile()).transpose()?,
    })
}

/// A family with these names. A scrape takes names that last, and those of files do, each once: there are as many as people write.
fn family(name: &str, help: &str, labels: &[(String, Arc<Expr>)]) -> Family {
    static WORDS: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    static LABELS: Mutex<BTreeSet<&[&str]>> = Mutex::new(BTreeSet::new());
    let lasting = |word: &str| {
        let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = words.get(word) {
            return known;
        }
        let word: &'static str = Box::leak(word.into());
        words.insert(word);
        word
    };
    let names: Vec<&'static str> =
        ["process"].into_iter().chain(labels.iter().map(|(label, _)| lasting(label))).collect();
    let mut known = LABELS.lock().unwrap_or_else(PoisonError::into_inner);
    let names = known.get(&*names).copied().unwrap_or_else(|| {
        let names: &'static [&'static str] = Box::leak(names.into());
        known.insert(names);
        names
    });
    let help = if help.is_empty() { "Counted by what is in messages" } else { help };
    Family::new(lasting(name), Kind::Counter, lasting(help.trim_end_matches('.')), names)
}

impl Counter {
    /// Labels, and what is added.
    fn read(&self, message: &Value) -> Result<(Vec<String>, f64), String> {
        let value = match &self.value {
            None => 1.0,
            Some(value) => {
                let found = value.value(message).map_err(|error| error.to_string())?;
                found.as_f64().filter(|it| *it >= 0.0).ok_or_else(|| {
                    format!(
                        "`{}` should be a number that is not below zero, and is {found}",
                        value.text()
                    )
                })?
            }
        };
        let label = |(_, label): &(String, Arc<Expr>)| {
            let value = label.value(message).map_err(|error| error.to_string())?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Ok::<_, String>(text.chars().take(LABEL_CHARS_MAX).collect())
        };
        Ok((self.labels.iter().map(label).collect::<Result<_, _>>()?, value))
    }
}

impl Numbers {
    fn add(&mut self, labels: Vec<String>, value: f64) {
        if let Some(number) = self.series.get_mut(&labels) {
            *number += value;
        } else if self.series.len() < SERIES_MAX {
            self.series.insert(labels, value);
        } else {
            self.other += 1;
            let other = labels.iter().map(|_| "other".to_owned()).collect();
            *self.series.entry(other).or_default() += value;
        }
    }
}

struct Shown(Arc<Counter>, Arc<Mutex<Numbers>>);

impl Facet for Shown {
    fn kind(&self) -> &'static str {
        "metrics"
    }

    fn show(&self, query: &Query) -> Value {
        let Self(counter, numbers) = self;
        let numbers = lock(numbers);
        let series = numbers.series.iter().take(query.limit());
        let told: Vec<Value> = series
            .map(|(labels, value)| {
                let names = counter.labels.iter().map(|(name, _)| name.clone());
                let labels: Map<String, Value> =
                    names.zip(labels.iter().map(|it| Value::from(it.as_str()))).collect();
                json!({"labels": labels, "value": value})
            })
            .collect();
        json!({"name": counter.name, "help": counter.help, "type": "counter", "other": numbers.other, "series": told})
    }

    fn measure(&self, to: &mut Measures<'_>) {
        let Self(counter, numbers) = self;
        for (labels, value) in &lock(numbers).series {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            to.put(&counter.family, &labels, *value);
        }
    }
}

#[cfg(test)]
mod tests {
    use towpath_patterns::yaml;

    use super::*;

    fn made(text: &str) -> Result<Counter, String> {
        let options = yaml::read::<Options>(&yaml::parse(text).unwrap()).unwrap();
        counter(options).map_err(|problem| problem.message)
    }

    #[test]
    fn messages_are_counted_by_their_labels() {
        let counter =
            made("name: fares_total\nlabels: {city: it.city, paid: it.paid}\nvalue: it.fare\n")
                .unwrap();
        let mut numbers = Numbers::default();
        for (city, paid, fare) in [("NYC", true, 1.5), ("NYC", true, 2.0), ("LON", false, 4.0)] {
            let (labels, value) =
                counter.read(&json!({"city": city, "paid": paid, "fare": fare})).unwrap();
            numbers.add(labels, value);
        }
        let shown = Shown(Arc::new(counter), Arc::new(Mutex::new(numbers)));
        let told = shown.show(&Query::default());
        assert_eq!(
            told["series"],
            json!([
                {"labels": {"city": "LON", "paid": "false"}, "value": 4.0},
                {"labels": {"city": "NYC", "paid": "true"}, "value": 3.5},
            ])
        );
        for wrong in
            [json!({"city": "NYC", "paid": true, "fare": -1}), json!({"city": "NYC", "paid": true})]
        {
            assert!(shown.0.read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn too_many_labels_are_counted_together() {
        let mut numbers = Numbers::default();
        for n in 0..SERIES_MAX + 5 {
            numbers.add(vec![n.to_string()], 1.0);
        }
        numbers.add(vec!["7".to_owned()], 1.0);
        assert_eq!((numbers.series.len(), numbers.other), (SERIES_MAX + 1, 5));
        assert_eq!(numbers.series[&vec!["other".to_owned()]], 5.0);
        assert_eq!(numbers.series[&vec!["7".to_owned()]], 2.0);
    }

    #[test]
    fn names_are_those_of_counters() {
        assert!(made("name: rides").is_err_and(|it| it.contains("ending in `_total`")));
        assert!(made("name: 1_total").is_err());
        assert!(
            made("name: a_total\nlabels: {a-b: it.a}")
                .is_err_and(|it| it.contains("name of a label"))
        );
        assert!(
            made("name: a_total\nlabels: {process: it.a}")
                .is_err_and(|it| it.contains("has a label `process`"))
        );
        assert!(made("name: towpath_a_total").is_err_and(|it| it.contains("the node's own")));
        assert!(
            made("name: a_total\nlabels: {ab: a}").is_err_and(|it| it.contains("there is no `a`"))
        );
    }
}
