//! A scrape as text, by the library that knows OpenMetrics.

use std::{fmt, sync::Mutex};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use super::{
    Family, Kind,
    source::{Families, Samples, Shown, Value},
};

/// Writes `samples` behind what is in `out`, to the end of an exposition.
pub(super) fn write(network: &str, samples: Samples<'_>, out: &mut String) -> fmt::Result {
    let mut registry = Registry::default();
    let (network, families) = (network.to_owned(), samples.families);
    registry.register_collector(Box::new(Collected { network, families: Mutex::new(families) }));
    text::encode(out, &registry)
}

#[derive(Debug)]
struct Collected {
    network: String,
    families: Mutex<Families>,
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let families = self.families.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (family, series) in families.values() {
            let (name, seconds) = family.stem();
            let unit = seconds.then_some(&Unit::Seconds);
            let mut metric =
                encoder.encode_descriptor(name, family.help, unit, family.metric_type())?;
            for ((values, names), shown) in series {
                let labels: Vec<(&str, &str)> = std::iter::once(("network", &*self.network))
                    .chain(names.iter().copied().zip(values.iter().map(String::as_str)))
                    .collect();
                one(family, shown, metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn one(family: &Family, shown: &Shown, mut encoder: MetricEncoder<'_>) -> fmt::Result {
    match (shown, family.kind) {
        (Shown::Histogram(counts), _) => {
            let buckets: Vec<_> = counts.buckets().collect();
            encoder.encode_histogram::<NoLabelSet>(counts.sum(), counts.count(), &buckets, None)
        }
        (Shown::Value(Value::Count(count)), Kind::Counter) => {
            ConstCounter::new(*count).encode(encoder)
        }
        (Shown::Value(value), Kind::Counter) => ConstCounter::new(value.as_f64()).encode(encoder),
        (Shown::Value(value), _) => ConstGauge::new(value.as_f64()).encode(encoder),
    }
}
