//! What people see of a machine: its table, how many instances are in each state, and where each one is.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

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

/// Forgotten instances that are left lying in any case: sweeping looks at all.
const SWEPT_AT: usize = 1024;

#[derive(Default)]
struct Now {
    counts: Vec<u64>,
    /// None: it is forgotten, and swept before those are the most.
    instances: IndexMap<Key, Option<(StateId, u32)>>,
    gone: usize,
    forgotten: u64,
    /// Forgotten before it was told here that they have ended.
    early: HashSet<Key>,
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

    /// An instance that was there at the start.
    pub(super) fn found(&self, key: &Key, state: StateId, moves: u32) {
        let mut now = self.lock();
        now.counts[state.index()] += 1;
        now.instances.insert(key.clone(), Some((state, moves)));
    }

    /// An instance is in a state, after so many moves.
    pub(super) fn is_in(&self, key: &Key, state: StateId, moves: u32) {
        let mut now = self.lock();
        if moves > 1 && now.instances.get(key).is_none_or(Option::is_none) {
            // It has handled something else since it ended, and is forgotten.
            return;
        }
        let is_known = match now.instances.get_mut(key) {
            Some(known) => Some(known.replace((state, moves))),
            None => {
                now.instances.insert(key.clone(), Some((state, moves)));
                None
            }
        };
        match is_known {
            Some(Some((before, _))) => now.counts[before.index()] -= 1,
            Some(None) => now.gone -= 1,
            None => {}
        }
        now.counts[state.index()] += 1;
        if self.states[state.index()].1 && !now.early.is_empty() && now.early.remove(key) {
            now.remove(key);
        }
    }

    /// The state that an instance is in; none, if it is not known or was forgotten.
    pub(super) fn state(&self, key: &Key) -> Option<&str> {
        let state = self.lock().instances.get(key).copied().flatten();
        state.map(|(state, _)| &*self.states[state.index()].0)
    }

    /// An instance that has ended is kept no longer.
    pub(super) fn forget(&self, key: &Key) {
        let mut now = self.lock();
        now.forgotten += 1;
        match now.instances.get(key) {
            Some(Some((state, _))) if self.states[state.index()].1 => now.remove(key),
            _ => _ = now.early.insert(key.clone()),
        }
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

impl Now {
    fn remove(&mut self, key: &Key) {
        if let Some((state, _)) = self.instances.get_mut(key).and_then(Option::take) {
            self.counts[state.index()] -= 1;
            self.gone += 1;
        }
        // At once they would cost their order, or all that come behind a step.
        if self.gone > self.instances.len() / 2 + SWEPT_AT {
            self.instances.retain(|_, known| known.is_some());
            self.gone = 0;
        }
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
        let known = now.instances.iter().rev();
        let known = known.filter_map(|(key, known)| known.as_ref().map(|it| (key, it)));
        let instances: Vec<Value> = known
            .filter(|(key, (at, _))| fits(key, *at))
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
            "total": now.instances.len() - now.gone,
            "forgotten": now.forgotten,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A table with a state to begin in and one to end in.
    fn view() -> View {
        let table = "machine: m\nversion: 1\nstates: {A: {initial: true}, B: {final: true}}\nevents: [Go]\nrules: {A: {Go: {to: B}}, B: {Go: stay}}\n";
        View::new("m", &Table::from_yaml("m", table).unwrap())
    }

    const A: StateId = StateId(0);
    const B: StateId = StateId(1);

    fn shown(view: View) -> (Value, Value, Value) {
        let shown = Shows(view.into()).show(&Query::default());
        (
            shown["total"].clone(),
            shown["states"][0]["count"].clone(),
            shown["states"][1]["count"].clone(),
        )
    }

    #[test]
    fn what_is_forgotten_is_gone_before_or_after_it_was_told() {
        let (view, one, two) = (view(), Key::Number(1), Key::Number(2));
        view.found(&Key::Number(9), B, 7);
        view.is_in(&one, A, 1);
        view.is_in(&one, B, 2);
        view.forget(&one);
        view.is_in(&one, B, 3);
        view.forget(&two);
        view.is_in(&two, A, 1);
        view.is_in(&two, B, 2);
        assert_eq!(shown(view), (1.into(), 0.into(), 1.into()));
    }

    #[test]
    fn who_begins_again_is_another_and_what_is_gone_takes_no_room() {
        let view = view();
        for key in 0..10_000 {
            for _ in 0..2 {
                view.is_in(&Key::Number(key), B, 1);
                view.forget(&Key::Number(key));
            }
            view.is_in(&Key::Number(key % 10), A, 1);
            let now = view.lock();
            assert!(now.instances.len() <= 2 * (10 + SWEPT_AT), "{}", now.instances.len());
        }
        assert_eq!(shown(view), (10.into(), 10.into(), 0.into()));
    }
}
