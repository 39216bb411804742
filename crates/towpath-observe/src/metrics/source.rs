//! Who adds families to a scrape, and what a scrape collects.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{Family, Kind, waits::Counts};

/// Somebody who knows numbers that the core does not: dead letters, sagas, limits.
///
/// It is asked at each scrape and answers from what it has, quickly and without waiting.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use towpath_observe::metrics::{Metrics, Samples, Source, families};
///
/// struct Intake { refused: AtomicU64 }
///
/// impl Source for Intake {
///     fn collect(&self, to: &mut Samples<'_>) {
///         to.put(&families::PROCESS_REFUSED, &["intake"], self.refused.load(Ordering::Relaxed));
///     }
/// }
///
/// let metrics = Metrics::new("rides");
/// let intake = Arc::new(Intake { refused: AtomicU64::new(3) });
/// metrics.add(&intake);
/// assert!(metrics.scrape().contains(r#"towpath_process_refused_total{network="rides",process="intake"} 3"#));
/// ```
pub trait Source: Send + Sync {
    /// Puts what it knows.
    fn collect(&self, to: &mut Samples<'_>);
}

/// A number of a series.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// Any number; seconds where the name says so.
    Number(f64),
}

macro_rules! count {
    ($($number:ty),*) => {
        $(impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Count(number as u64)
            }
        })*
    };
}

count!(u64, u32, usize);

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<std::time::Duration> for Value {
    fn from(time: std::time::Duration) -> Self {
        Self::Number(time.as_secs_f64())
    }
}

/// What a series shows.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Value(Value),
    Histogram(Box<Counts>),
}

/// The values of a series' labels, and the names of the labels: two who count under one name may count by different things.
pub(super) type Labels = (Vec<String>, &'static [&'static str]);

/// What names are shown as.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    /// What the names of channels begin with that is not shown.
    pub(super) prefix: &'a str,
    /// Processes that are not shown.
    pub(super) hides: fn(&str) -> bool,
}

/// What a scrape has collected so far: each family once, its series in the order of their labels.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    pub(super) names: Names<'a>,
    pub(super) families: Families,
}

/// By their names.
pub(super) type Families = BTreeMap<&'static str, (Family, BTreeMap<Labels, Shown>)>;

/// Nothing collected, and all names shown as they are.
impl Default for Samples<'_> {
    fn default() -> Self {
        Self::new(Names { prefix: "", hides: |_| false })
    }
}

impl<'a> Samples<'a> {
    pub(super) fn new(names: Names<'a>) -> Self {
        Self { names, families: BTreeMap::new() }
    }

    /// One number. `labels` are the values of the family's labels, in its order. Numbers with the same labels are added, so that several
    /// may speak of one thing.
    ///
    /// # Panics
    /// When there are more or fewer labels than the family has, or the family is a histogram: both are mistakes in the caller's text.
    pub fn put(&mut self, family: &Family, labels: &[&str], value: impl Into<Value>) {
        assert_ne!(family.kind, Kind::Histogram, "`{}` takes no single number", family.name);
        let value = value.into();
        let Some(series) = self.series(family, labels) else { return };
        if let Shown::Value(before) = series.or_insert(Shown::Value(Value::Count(0))) {
            *before = before.and(value);
        }
    }

    pub(super) fn put_histogram(&mut self, family: &Family, labels: &[&str], counts: &Counts) {
        let Some(series) = self.series(family, labels) else { return };
        if let Shown::Histogram(before) = series.or_insert_with(|| Shown::Histogram(Box::default()))
        {
            before.add(counts);
        }
    }

    /// Nothing, if it is about somebody who is not shown.
    fn series(&mut self, family: &Family, labels: &[&str]) -> Option<Entry<'_, Labels, Shown>> {
        let right = labels.len() == family.labels.len();
        assert!(right, "`{}` has the labels {:?}", family.name, family.labels);
        let Names { prefix, hides } = self.names;
        let mut values = Vec::with_capacity(labels.len());
        for (name, value) in family.labels.iter().zip(labels) {
            let value = match *name {
                "channel" => value.strip_prefix(prefix).unwrap_or(value),
                "process" if hides(value) => return None,
                _ => value,
            };
            values.push(value.to_owned());
        }
        let (_, series) =
            self.families.entry(family.name).or_insert_with(|| (*family, BTreeMap::new()));
        Some(series.entry((values, family.labels)))
    }
}

impl Value {
    /// Both together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        match (self, more) {
            (Self::Count(one), Self::Count(other)) => Self::Count(one.saturating_add(other)),
            (one, other) => Self::Number(one.as_f64() + other.as_f64()),
        }
    }

    pub(super) fn as_f64(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Number(number) => number,
        }
    }
}
