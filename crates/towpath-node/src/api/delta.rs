//! What has changed from one look to the next; a value without I/O.
//!
//! What always holds: whoever takes the first state and applies every change has what the node has, but for ages that grow by
//! themselves: for how long somebody waits or nothing has happened is told again when it is not what time alone would have made of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::state::{ChannelState, ProcessState, State, Status, Stuck, WaitState};

/// How far an age may be from what is told, in milliseconds, before it is told again: looks are not exactly apart.
const AGE_MS: u64 = 1000;

/// Length, sent, received, who waits to send and to receive, dropped, for how long unchanged.
type Numbers = (usize, u64, u64, usize, usize, u64, u64);

/// What has changed.
#[derive(Debug, Default, Serialize)]
pub(super) struct Change<'a> {
    uptime_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    processes: BTreeMap<usize, &'a ProcessState>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    channels: BTreeMap<usize, Numbers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<&'a [Stuck]>,
}

impl Change<'_> {
    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.status.is_none()
            && self.processes.is_empty()
            && self.channels.is_empty()
            && self.stuck.is_none()
    }
}

/// What somebody has been told: the state, with the moment at which each process was.
#[derive(Debug)]
pub(super) struct Told {
    state: State,
    at: Vec<u64>,
}

impl Told {
    pub(super) fn new(state: State) -> Self {
        let at = vec![state.uptime_ms; state.processes.len()];
        Self { state, at }
    }

    /// What has to be told; nothing if it is another network by now, of which everything has to.
    pub(super) fn change<'a>(&self, now: &'a State) -> Option<Change<'a>> {
        let before = &self.state;
        let is_same = before.generation == now.generation
            && before.processes.len() == now.processes.len()
            && before.channels.len() == now.channels.len();
        if !is_same {
            return None;
        }
        let mut change = Change { uptime_ms: now.uptime_ms, ..Change::default() };
        change.status = (before.status != now.status).then_some(now.status);
        for (index, (was, is)) in before.processes.iter().zip(&now.processes).enumerate() {
            if process_changed(was, is, now.uptime_ms.saturating_sub(self.at[index])) {
                change.processes.insert(index, is);
            }
        }
        for (index, (was, is)) in before.channels.iter().zip(&now.channels).enumerate() {
            if numbers(was) != numbers(is) {
                let (length, sent, received, send, recv, dropped) = numbers(is);
                let told = (length, sent, received, send, recv, dropped, is.unchanged_ms);
                change.channels.insert(index, told);
            }
        }
        change.stuck = stuck_changed(&before.stuck, &now.stuck).then_some(&*now.stuck);
        Some(change)
    }

    /// Notes that this was told.
    pub(super) fn advance(&mut self, now: State, processes: &[usize]) {
        for &index in processes {
            self.at[index] = now.uptime_ms;
        }
        let before = std::mem::replace(&mut self.state, now);
        // What was not told stays as it was told, or ages would be compared with what nobody has seen.
        let mut kept: Vec<_> = before.processes.into_iter().map(Some).collect();
        for &index in processes {
            kept[index] = None;
        }
        for (slot, kept) in self.state.processes.iter_mut().zip(kept) {
            if let Some(kept) = kept {
                *slot = kept;
            }
        }
    }
}

/// The processes of a change.
pub(super) fn processes(change: &Change<'_>) -> Vec<usize> {
    change.processes.keys().copied().collect()
}

fn process_changed(was: &ProcessState, is: &ProcessState, elapsed_ms: u64) -> bool {
    let fixed = |it: &ProcessState| {
        (it.state, it.stuck, it.starts, it.received, it.sent, it.refused, it.waits.len())
    };
    let grown = |was_ms: u64, is_ms: u64| (was_ms + elapsed_ms).abs_diff(is_ms) > AGE_MS;
    let wait = |(was, is): (&WaitState, &WaitState)| {
        was.what != is.what || was.on != is.on || was.at != is.at || grown(was.for_ms, is.for_ms)
    };
    let error = match (&was.last_error, &is.last_error) {
        (None, None) => false,
        (Some(was), Some(is)) => was.text != is.text || grown(was.ago_ms, is.ago_ms),
        _ => true,
    };
    fixed(was) != fixed(is)
        || was.facet != is.facet
        || error
        || was.waits.iter().zip(&is.waits).any(wait)
}

fn numbers(it: &ChannelState) -> (usize, u64, u64, usize, usize, u64) {
    (it.length, it.sent, it.received, it.waiting_send, it.waiting_recv, it.dropped)
}

/// The words have ages in them, so they are not compared.
fn stuck_changed(was: &[Stuck], is: &[Stuck]) -> bool {
    let same = |(was, is): (&Stuck, &Stuck)| {
        was.grade == is.grade && was.cycle == is.cycle && was.members == is.members
    };
    was.len() != is.len() || !was.iter().zip(is).all(same)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn state(uptime_ms: u64, received: u64, for_ms: u64, length: usize) -> State {
        serde_json::from_value(json!({
            "network": "n", "file": "n.yaml", "generation": 1, "status": "running",
            "uptime_ms": uptime_ms, "read_only": false, "stuck": [],
            "processes": [{"name": "p", "component": "c", "declared": "n.yaml:1:1", "state": "waiting", "stuck": null,
                "waits": [{"what": "recv", "on": "a", "at": null, "for_ms": for_ms}], "starts": 1,
                "received": received, "sent": 0, "refused": 0, "last_error": null, "facet": null}],
            "channels": [{"name": "a", "type": null, "capacity": 4, "length": length, "senders": 1, "receivers": 1,
                "waiting_send": 0, "waiting_recv": 1, "sent": 9, "received": 9, "dropped": 0, "unchanged_ms": uptime_ms}],
        }))
        .unwrap()
    }

    fn told(change: Option<Change<'_>>) -> Value {
        serde_json::to_value(change).unwrap()
    }

    #[test]
    fn what_only_grew_older_is_not_told() {
        let mut before = Told::new(state(1000, 5, 100, 0));
        for step in 1..40 {
            let now = state(1000 + 250 * step, 5, 100 + 250 * step, 0);
            let change = before.change(&now).unwrap();
            assert!(change.is_empty(), "{change:?}");
            let indexes = processes(&change);
            before.advance(now, &indexes);
        }
    }

    #[test]
    fn what_changed_is_told_once() {
        let mut before = Told::new(state(1000, 5, 100, 0));
        let now = state(1250, 6, 0, 2);
        let change = before.change(&now).unwrap();
        let indexes = processes(&change);
        let value = told(Some(change));
        assert_eq!(value["processes"]["0"]["received"], 6);
        assert_eq!(value["channels"]["0"], json!([2, 9, 9, 0, 1, 0, 1250]));
        assert!(value.get("stuck").is_none() && value.get("status").is_none(), "{value}");
        before.advance(now.clone(), &indexes);
        assert!(before.change(&now).unwrap().is_empty());
    }

    #[test]
    fn a_wait_that_began_anew_is_told() {
        let before = Told::new(state(1000, 5, 9000, 0));
        let value = told(before.change(&state(1250, 5, 0, 0)));
        assert_eq!(value["processes"]["0"]["waits"][0]["for_ms"], 0);
    }

    #[test]
    fn another_generation_is_told_whole() {
        let before = Told::new(state(1000, 5, 0, 0));
        let mut now = state(1250, 5, 0, 0);
        now.generation = 2;
        assert!(before.change(&now).is_none());
    }

    #[test]
    fn its_end_is_told() {
        let before = Told::new(state(1000, 5, 0, 0));
        let mut now = state(1250, 5, 250, 0);
        now.status = Status::Ended;
        assert_eq!(told(before.change(&now)), json!({"uptime_ms": 1250, "status": "ended"}));
    }
}
