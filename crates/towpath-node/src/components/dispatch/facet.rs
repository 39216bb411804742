//! What people see of a dispatcher, and the rules that they change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use towpath::Sender;
use towpath_observe::metrics::families;
use towpath_patterns::dispatch::{Counters, Policy};

use super::rules::{Change, shown};
use crate::facet::{Acting, Facet, Measures, Query, Verb};

/// How things stand, written by the process after each turn.
#[derive(Debug)]
pub(super) struct Now {
    pub(super) counters: Counters,
    pub(super) policy: Policy,
    pub(super) riding: usize,
    /// Requests without an answer.
    pub(super) waiting: usize,
    /// Requests that came again.
    pub(super) doubled: u64,
}

/// Shared by the process and those who look.
#[derive(Clone, Debug)]
pub(super) struct View(Arc<Mutex<Now>>);

impl View {
    pub(super) fn new(policy: Policy) -> Self {
        Self(Arc::new(Mutex::new(Now {
            counters: Counters::default(),
            policy,
            riding: 0,
            waiting: 0,
            doubled: 0,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Now> {
        // Numbers are written under this lock, and nothing panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Shows {
    pub(super) view: View,
    /// Rules for the process.
    pub(super) changes: Sender<Policy>,
}

const VERBS: &[Verb] = &[Verb::new(
    "set",
    "changes the rules: window, near_km, radius_km, deadline, margin, geofence, gather, waiting_max, drivers_max, silence",
)];

impl Facet for Shows {
    fn kind(&self) -> &'static str {
        "dispatch"
    }

    fn show(&self, _: &Query) -> Value {
        let now = self.view.lock();
        let counters: Map<String, Value> =
            now.counters.iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        json!({"counters": counters, "policy": shown(&now.policy), "riding": now.riding, "doubled": now.doubled})
    }

    fn measure(&self, to: &mut Measures<'_>) {
        let Now { counters, waiting, doubled, .. } = &*self.view.lock();
        to.put(&families::DISPATCH_WAITING, &[], *waiting);
        // What became of a request; the others say what was done for it.
        for (outcome, count) in [
            ("matched_near", counters.matched_near),
            ("matched_wide", counters.matched_wide),
            ("matched_backup", counters.matched_backup),
            ("late", counters.late),
            ("cancelled", counters.cancelled),
            ("outside", counters.outside),
            ("full", counters.full),
            ("doubled", *doubled),
        ] {
            to.put(&families::DISPATCH_REQUESTS, &[outcome], count);
        }
    }

    fn verbs(&self) -> &'static [Verb] {
        VERBS
    }

    fn act<'a>(&'a self, _: &'a str, args: Value) -> Acting<'a> {
        Box::pin(async move {
            let change = Change::from_message(args)?;
            let policy = {
                let mut now = self.view.lock();
                let policy = change.of(&now.policy).map_err(|problem| problem.message)?;
                now.policy = policy.clone();
                policy
            };
            let gone = |_| "the dispatcher is being started again: try again in a moment";
            self.changes.send(policy.clone()).await.map_err(gone)?;
            Ok(json!({"policy": shown(&policy)}))
        })
    }
}
