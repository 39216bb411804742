//! Towpath's matcher: three feeds, one process or several.

use std::time::Instant;

use towpath::{Ctx, bounded, scope};
use towpath_patterns::matcher::{Feed, Matcher, Output, Part, Rules};

use super::{Clock, DEADLINE, Desk, Figures, REMEMBERED, STREAMS, Told, measure};

/// What is told and not yet heard.
const OUTPUTS: usize = 1024;

/// A stream's way in, used from its thread.
struct Ours(Feed<u64, u8, u64>);

impl Desk for Ours {
    fn put(&self, stream: usize, order: u64, at: u64) {
        let part = Part::new(order, stream as u64, stream as u8).body(at);
        self.0.send_blocking(part).expect("the matcher lives");
    }
}

pub(super) fn sample(orders: u64, rate: Option<u64>, shards: usize) -> Result<Figures, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(shards)
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    let figures = runtime.block_on(scope(&Ctx::root(), |s| async move {
        let (out, mut told) = bounded(OUTPUTS);
        let kinds = 0..STREAMS as u8;
        let rules = kinds.fold(Rules::within(DEADLINE), |rules, kind| rules.needs(kind, 1..=1));
        let matcher = Matcher::new(rules).remember(REMEMBERED);
        let feeds = matcher.start(&s, "matcher", shards, STREAMS, &out);
        drop(out);
        let next = move || {
            Some(match told.recv_blocking()? {
                Output::Matched(set) => {
                    let last = set.parts.iter().map(|part| part.body).max().unwrap_or(0);
                    Told::Matched { last, papers: set.parts.len() as u64 }
                }
                Output::Unmatched { set, .. } | Output::Void(set) => {
                    Told::Other { papers: set.parts.len() as u64 }
                }
                Output::Stray { .. } => Told::Other { papers: 1 },
            })
        };
        let measured = s.spawn_blocking("load", move |_| {
            let desk = move |stream: usize| Ours(feeds[stream].clone());
            let clock = Clock(Instant::now());
            Ok::<_, towpath::BoxError>(measure(desk, clock, next, orders, rate))
        });
        Ok(measured.await?)
    }));
    figures.map_err(|error| error.to_string())
}
