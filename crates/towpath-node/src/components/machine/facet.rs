//! What people see of a machine: its table, how many instances are in each state, and where each one is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use serde_json::{Value, json};
use towpath_observe::metrics::families;
use towpath_patterns::machine::{StateId, Table};

use super::super::key::Key;
use crate::facet::{Facet, Measures, Query};

/// Where all instances are, as was told last.
pub(super) struct View {
    name: String,
    states: Vec<(String, bool)>,
    mermaid: String,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    counts: Vec<u64>,
    instances: IndexMap<Key, (StateId, u32)>,
    /// Events of this run, by what became of them.
    handled: u64,
    refused: u64,
    duplicates: u64,
}

impl View {
    pub(super) fn new(name: &str, table: &Table) -> Self {
        let states = table.states().iter().map(|it| (it.name.to_string(), it.is_final)).collect();
        let counts = vec![0; table.states().len()];
        let now = Mutex::new(Now { counts, ..Now::default() });
        Self {
            name: format!("{name}: {} version {}", table.name(), table.version()),
            states,
            mermaid: table.to_mermaid(),
            now,
        }
    }

    /// An instance is in a state, after so many moves.
    pub(super) fn is_in(&self, key: &Key, state: StateId, moves: u32) {
        let mut now = self.lock();
        let before = match now.instances.get_mut(key) {
            Some(known) => Some(std::mem::replace(known, (state, moves)).0),
            None => now.instances.insert(key.clone(), (state, moves)).map(|known| known.0),
        };
        if let Some(before) = before {
            now.counts[before.index()] -= 1;
        }
        now.counts[state.index()] += 1;
    }

    pub(super) fn handled(&self) {
        self.lock().handled += 1;
    }

    pub(super) fn refused(&self) {
        self.lock().refused += 1;
    }

    pub(super) fn duplicate(&self) {
        self.lock().duplicates += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Nothing under this lock panics but for a table that is not this one's.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `state` and `key` of a query pick instances.
pub(super) struct Shows(pub(super) std::sync::Arc<View>);

impl Facet for Shows {
    fn kind(&self) -> &'static str {
        "machine"
    }

    fn show(&self, query: &Query) -> Value {
        let view = &*self.0;
        let now = view.lock();
        let state = query.get("state").map(|name| view.states.iter().position(|it| it.0 == name));
        let fits = |key: &Key, at: StateId| {
            state.is_none_or(|state| state == Some(at.index()))
                && query.get("key").is_none_or(|text| key.is(text))
        };
        let instances = now.instances.iter().rev().filter(|(key, (at, _))| fits(key, *at));
        let instances: Vec<Value> = instances
            .take(query.limit())
            .map(|(key, (at, moves))| {
                json!({"key": key.to_value(), "state": view.states[at.index()].0, "version": moves})
            })
            .collect();
        let states: Vec<Value> = view
            .states
            .iter()
            .zip(&now.counts)
            .map(|((name, is_final), count)| json!({"name": name, "count": count, "final": is_final}))
            .collect();
        json!({
            "table": view.name,
            "states": states,
            "instances": instances,
            "total": now.instances.len(),
            "refused": now.refused,
            "duplicates": now.duplicates,
            "mermaid": view.mermaid,
        })
    }

    fn measure(&self, to: &mut Measures<'_>) {
        let view = &*self.0;
        let now = view.lock();
        for ((state, _), count) in view.states.iter().zip(&now.counts) {
            to.put(&families::MACHINES, &[state], *count);
        }
        for (outcome, count) in
            [("handled", now.handled), ("refused", now.refused), ("duplicate", now.duplicates)]
        {
            to.put(&families::MACHINE_EVENTS, &[outcome], count);
        }
    }
}
