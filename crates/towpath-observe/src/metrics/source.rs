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
///     fn collect(&self, to: &mut Samples) {
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
    fn collect(&self, to: &mut Samples);
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

/// The values of a series' labels, in the order of the family's.
pub(super) type Labels = Vec<String>;

/// What a scrape has collected so far: each family once, its series in the order of their labels.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    pub(super) families: BTreeMap<&'static str, (Family, BTreeMap<Labels, Shown>)>,
}

impl Samples {
    /// One number. `labels` are the values of the family's labels, in its order. Numbers with the same labels are added, so that several
    /// may speak of one thing.
    ///
    /// # Panics
    /// When there are more or fewer labels than the family has, or the family is a histogram: both are mistakes in the caller's text.
    pub fn put(&mut self, family: &Family, labels: &[&str], value: impl Into<Value>) {
        assert_ne!(family.kind, Kind::Histogram, "`{}` takes no single number", family.name);
        let value = value.into();
        let series = self.series(family, labels).or_insert(Shown::Value(Value::Count(0)));
        if let Shown::Value(before) = series {
            *before = before.and(value);
        }
    }

    pub(super) fn put_histogram(&mut self, family: &Family, labels: &[&str], counts: &Counts) {
        let series = self.series(family, labels);
        let series = series.or_insert_with(|| Shown::Histogram(Box::default()));
        if let Shown::Histogram(before) = series {
            before.add(counts);
        }
    }

    fn series(&mut self, family: &Family, labels: &[&str]) -> Entry<'_, Labels, Shown> {
        let right = labels.len() == family.labels.len();
        assert!(right, "`{}` has the labels {:?}", family.name, family.labels);
        let (_, series) =
            self.families.entry(family.name).or_insert_with(|| (*family, BTreeMap::new()));
        series.entry(labels.iter().map(|label| (*label).to_owned()).collect())
    }
}

impl Value {
    fn and(self, more: Self) -> Self {
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
