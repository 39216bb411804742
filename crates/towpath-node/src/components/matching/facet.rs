//! What people see of a matcher: how many sets wait, matched or did not, and the latest that did not.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use towpath_observe::metrics::families;
use towpath_patterns::matcher::{Counters, Watch};

use crate::facet::{Facet, Measures, Query};

/// Differences that are shown: the latest.
const LATEST: usize = 200;

#[derive(Default)]
pub(super) struct View {
    latest: Mutex<VecDeque<Value>>,
}

impl View {
    pub(super) fn differs(&self, difference: Value) {
        let mut latest = self.lock();
        if latest.len() == LATEST {
            latest.pop_back();
        }
        latest.push_front(difference);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Value>> {
        // Nothing under this lock panics.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Shows {
    pub(super) view: Arc<View>,
    pub(super) watch: Watch,
}

impl Facet for Shows {
    fn kind(&self) -> &'static str {
        "match"
    }

    fn show(&self, query: &Query) -> Value {
        let Counters {
            parts,
            matched,
            unmatched,
            void,
            evicted,
            late,
            duplicates,
            refused,
            open,
            ..
        } = self.watch.snapshot();
        let latest: Vec<Value> = self.view.lock().iter().take(query.limit()).cloned().collect();
        json!({
            "waiting": open, "matched": matched, "differences": unmatched, "parts": parts, "void": void, "evicted": evicted,
            "late": late, "duplicates": duplicates, "refused": refused, "latest": latest,
        })
    }

    fn measure(&self, to: &mut Measures<'_>) {
        let counters = self.watch.snapshot();
        to.put(&families::MATCH_WAITING, &[], counters.open);
        for (outcome, count) in [
            ("matched", counters.matched),
            ("unmatched", counters.unmatched),
            ("void", counters.void),
        ] {
            to.put(&families::MATCHES, &[outcome], count);
        }
    }
}
