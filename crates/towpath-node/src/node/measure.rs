//! What a node tells of itself: a scrape, and the last traces.
//!
//! What always holds: totals do not go back, whatever is reloaded; lines and seats go on, facets leave what they have counted, and the
//! metrics remember what has gone.

use std::sync::atomic::{AtomicU64, Ordering};

use towpath_observe::{
    metrics::{Metrics, Samples, Source, families},
    span::Trace,
};

use super::{Inner, Node};
use crate::{assemble::KEEPER, home::Setup};

/// The metrics of a network that is about to be started.
pub(super) fn metrics(network: &str, setup: &Setup) -> Metrics {
    // Who keeps a process has nothing to do but for that, and would count as waiting.
    let metrics = Metrics::of_network(network, |process| process.starts_with(KEEPER));
    if setup.timed {
        // Another probe may be there, which its owner wants more.
        let _ = metrics.install();
    }
    metrics
}

impl Node {
    /// Lets the metrics know what the node knows.
    pub(super) fn measured(&self, setup: &Setup) {
        let Inner { metrics, shared, .. } = &*self.inner;
        metrics.add(&self.inner);
        metrics.add(&shared.tracer);
        if let Some(exporter) = &setup.exporter {
            metrics.add(exporter);
        }
    }

    /// What there is to measure, as [OpenMetrics text](towpath_observe::metrics::CONTENT_TYPE).
    pub fn scrape(&self) -> String {
        self.settle();
        self.inner.metrics.scrape()
    }

    /// The last traces, the latest first, so many at most.
    pub fn traces(&self, most: usize) -> Vec<Trace> {
        self.settle();
        self.inner.shared.tracer.recent(most)
    }

    /// Ends the spans of work that is over. A process does so itself when it comes for its next message; one that waits for it has not.
    pub(crate) fn settle(&self) {
        self.now().places.seats.iter().for_each(|seat| seat.spans.settle_all());
    }
}

impl Source for Inner {
    fn collect(&self, to: &mut Samples<'_>) {
        let now = super::lock(&self.now).clone();
        for line in &now.places.lines {
            let dropped = line.dropped.load(Ordering::Relaxed);
            to.put(&families::CHANNEL_DROPPED, &[&line.name, "full"], dropped);
        }
        for seat in &now.places.seats {
            let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
            to.put(&families::PROCESS_REFUSED, &[&seat.name], count(&seat.refused));
            // Behind an error a process begins again without its supervisor, which counts the others.
            to.put(&families::PROCESS_RESTARTS, &[&seat.name], count(&seat.failures));
        }
        self.shared.board.measure(to);
    }
}
