//! `GET /metrics`: what a scrape gets, as OpenMetrics text, made of the node's state when it is asked for.

use std::fmt::Write as _;

use crate::{
    Node,
    state::{ChannelState, Doing, ProcessState, State},
};

/// Name, type, help, and what a channel has of it. A counter's samples end in `_total`.
type Family<T> = (&'static str, &'static str, &'static str, fn(&T) -> u64);

const OF_CHANNELS: &[Family<ChannelState>] = &[
    ("capacity", "gauge", "Messages that fit in; 0 is a rendezvous", |it| it.capacity as u64),
    ("length", "gauge", "Messages in it", |it| it.length as u64),
    ("senders", "gauge", "Ends that send", |it| it.senders as u64),
    ("receivers", "gauge", "Ends that receive", |it| it.receivers as u64),
    ("sends", "counter", "Messages sent", |it| it.sent),
    ("receives", "counter", "Messages received", |it| it.received),
];

const OF_PROCESSES: &[Family<ProcessState>] = &[
    ("received", "counter", "Messages received", |it| it.received),
    ("sent", "counter", "Messages sent", |it| it.sent),
    ("refused", "counter", "Messages given up", |it| it.refused),
    ("restarts", "counter", "Times it began again", |it| it.starts.saturating_sub(1)),
];

const DOINGS: [(Doing, &str); 6] = [
    (Doing::Running, "running"),
    (Doing::Waiting, "waiting"),
    (Doing::Blocked, "blocked"),
    (Doing::Paused, "paused"),
    (Doing::Restarting, "restarting"),
    (Doing::Ended, "ended"),
];

/// The text of a scrape.
pub(super) fn scrape(node: &Node) -> String {
    text(&node.state())
}

// A string takes everything that is written to it, so results of `write!` say nothing here.
fn text(state: &State) -> String {
    let network = escaped(&state.network);
    let mut out = String::new();
    for (name, kind, help, value) in OF_CHANNELS {
        head(&mut out, &format!("towpath_channel_{name}"), kind, help);
        for it in &state.channels {
            let labels = format!("network=\"{network}\",channel=\"{}\"", escaped(&it.name));
            sample(&mut out, &format!("towpath_channel_{name}"), kind, &labels, value(it));
        }
    }
    head(&mut out, "towpath_channel_waiters", "gauge", "Who waits at a channel");
    for it in &state.channels {
        for (side, count) in [("send", it.waiting_send), ("recv", it.waiting_recv)] {
            let name = escaped(&it.name);
            let labels = format!("network=\"{network}\",channel=\"{name}\",side=\"{side}\"");
            sample(&mut out, "towpath_channel_waiters", "gauge", &labels, count as u64);
        }
    }
    head(&mut out, "towpath_channel_dropped", "counter", "Messages that were dropped");
    for it in &state.channels {
        let name = escaped(&it.name);
        let labels = format!("network=\"{network}\",channel=\"{name}\",reason=\"full\"");
        sample(&mut out, "towpath_channel_dropped", "counter", &labels, it.dropped);
    }
    for (name, kind, help, value) in OF_PROCESSES {
        head(&mut out, &format!("towpath_process_{name}"), kind, help);
        for it in &state.processes {
            let labels = format!("network=\"{network}\",process=\"{}\"", escaped(&it.name));
            sample(&mut out, &format!("towpath_process_{name}"), kind, &labels, value(it));
        }
    }
    head(&mut out, "towpath_processes", "gauge", "Processes, by what they do");
    for (doing, word) in DOINGS {
        let count = state.processes.iter().filter(|it| it.state == doing).count();
        let labels = format!("network=\"{network}\",state=\"{word}\"");
        sample(&mut out, "towpath_processes", "gauge", &labels, count as u64);
    }
    head(&mut out, "towpath_stuck_processes", "gauge", "Processes that wait for ever");
    let stuck = state.processes.iter().filter(|it| it.stuck.is_some()).count();
    let labels = format!("network=\"{network}\"");
    sample(&mut out, "towpath_stuck_processes", "gauge", &labels, stuck as u64);
    out.push_str("# EOF\n");
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}.");
}

fn sample(out: &mut String, name: &str, kind: &str, labels: &str, value: u64) {
    let end = if kind == "counter" { "_total" } else { "" };
    let _ = writeln!(out, "{name}{end}{{{labels}}} {value}");
}

/// A label's value: backslashes, quotes and line ends are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scrape_has_every_family_once_and_an_end() {
        let state: State = serde_json::from_value(json!({
            "network": "a\"b", "file": "n.yaml", "generation": 1, "status": "running", "uptime_ms": 1,
            "read_only": false, "stuck": [],
            "processes": [{"name": "p", "component": "c", "declared": "n.yaml:1:1", "state": "blocked",
                "stuck": "proven", "waits": [], "starts": 3, "received": 5, "sent": 4, "refused": 1,
                "last_error": null, "facet": null}],
            "channels": [{"name": "a", "type": null, "capacity": 4, "length": 2, "senders": 1, "receivers": 1,
                "waiting_send": 7, "waiting_recv": 1, "sent": 9, "received": 8, "dropped": 6, "unchanged_ms": 0}],
        }))
        .unwrap();
        let text = text(&state);
        for line in [
            "towpath_channel_waiters{network=\"a\\\"b\",channel=\"a\",side=\"send\"} 7",
            "towpath_channel_sends_total{network=\"a\\\"b\",channel=\"a\"} 9",
            "towpath_process_restarts_total{network=\"a\\\"b\",process=\"p\"} 2",
            "towpath_processes{network=\"a\\\"b\",state=\"blocked\"} 1",
            "towpath_stuck_processes{network=\"a\\\"b\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
        let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let mut once = types.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(types.len(), once.len());
        assert!(text.ends_with("# EOF\n"));
    }
}
