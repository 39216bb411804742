//! The graph of a network: how it is drawn, and which cycles are found in it.

use std::fs;

use proptest::prelude::*;
use towpath::network::{Behaviour, Cycle, Direction, Graph, Outside, ProcessKind};

/// Rides: an input, an output, a shared channel, a rendezvous, every kind of process.
fn rides() -> Graph {
    let mut graph = Graph::new("rides");
    let intake = graph.add_process("intake", ProcessKind::Task);
    let dispatchers =
        ["dispatcher 1", "dispatcher 2"].map(|it| graph.add_process(it, ProcessKind::Supervised));
    let journal = graph.add_process("journal", ProcessKind::Thread);
    let calls = graph.add_channel("calls", Some(16));
    let orders = graph.add_channel("orders", Some(256));
    let paid = graph.add_channel("paid", Some(0));
    let receipts = graph.add_channel("receipts", None);
    graph.channels[calls].outside = Some(Outside::Sends);
    graph.channels[receipts].outside = Some(Outside::Receives);
    graph.connect(intake, Direction::In, calls);
    graph.connect(intake, Direction::Out, orders);
    for dispatcher in dispatchers {
        graph.connect(dispatcher, Direction::In, orders);
        graph.connect(dispatcher, Direction::Out, paid);
    }
    graph.connect(journal, Direction::In, paid);
    graph.connect(journal, Direction::Out, receipts);
    graph
}

/// Names that a language could take for its own, and ends that are missing.
fn strange() -> Graph {
    let mut graph = Graph::new("say \"hi\": \\");
    let process = graph.add_process("a\"]; end[<b>&lt;", ProcessKind::Task);
    let channel = graph.add_channel("`x` #35;\n\\N\t|\u{2028}東京", Some(1));
    graph.connect(process, Direction::Out, channel);
    graph.add_channel("loose", Some(1));
    graph
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TOWPATH_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "TOWPATH_BLESS=1 writes {path} anew");
}

#[test]
fn a_graph_is_drawn_in_three_languages() {
    for (name, graph) in [("rides", rides()), ("strange", strange()), ("empty", Graph::new(""))] {
        golden(&format!("{name}.mmd"), &graph.to_mermaid());
        golden(&format!("{name}.dot"), &graph.to_dot());
        golden(&format!("{name}.json"), &graph.to_json());
    }
}

/// Three stages in a row, between the world and the world.
fn pipeline() -> Graph {
    let mut graph = graph_of(3, &[(0, 0, 1), (1, 2, 2)]);
    for (process, direction, outside) in
        [(0, Direction::In, Outside::Sends), (2, Direction::Out, Outside::Receives)]
    {
        let channel = graph.add_channel("edge", Some(1));
        graph.channels[channel].outside = Some(outside);
        graph.connect(process, direction, channel);
    }
    graph
}

/// `cargo xtask spin` checks these files: that the pipeline and the rides go well, and that the ring is stuck.
#[test]
fn a_graph_is_a_model_for_spin() {
    let stages = |_: &_| Behaviour::Strict;
    golden("pipeline.pml", &pipeline().to_promela_with(stages));
    golden("ring.pml", &graph_of(3, &[(0, 0, 1), (1, 0, 2), (2, 0, 0)]).to_promela_with(stages));
    golden("rides.pml", &rides().to_promela());
    golden("strange.pml", &strange().to_promela());
}

#[test]
fn no_name_ends_a_comment_of_the_model() {
    let graph = Graph::new("*/ #error /* \n active proctype");
    let model = graph.to_promela();
    assert!(
        model.starts_with("/* Network \"* / #error / * \\n active proctype\". */\n"),
        "{model}"
    );
}

#[test]
fn eight_workers_on_one_channel_are_nine_arrows() {
    let mut graph = Graph::new("pool");
    let jobs = graph.add_channel("jobs", Some(8));
    graph.channels[jobs].outside = Some(Outside::Sends);
    for n in 0..8 {
        let worker = graph.add_process(format!("worker {n}"), ProcessKind::Task);
        graph.connect(worker, Direction::In, jobs);
    }
    assert_eq!(graph.to_mermaid().matches("-->").count(), 9);
    assert_eq!(graph.to_dot().matches("->").count(), 9);
}

#[test]
fn who_holds_a_channel_is_told_once() {
    let mut graph = graph_of(3, &[(1, 0, 0)]);
    for _ in 0..2 {
        graph.connect(2, Direction::Out, 0);
        graph.connect(2, Direction::In, 0);
    }
    assert_eq!(graph.holders(0, Direction::Out).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(graph.holders(0, Direction::In).collect::<Vec<_>>(), [0, 2]);
    assert!(graph.to_json().contains(r#""from": ["p1", "p2"], "to": ["p0", "p2"]"#));
    assert_eq!(graph.to_dot().matches("->").count(), 4);
}

#[test]
#[should_panic(expected = "no channel has the index 3")]
fn a_port_of_a_channel_that_is_not_there_is_refused() {
    let mut graph = Graph::new("x");
    let process = graph.add_process("p", ProcessKind::Task);
    graph.connect(process, Direction::In, 3);
}

/// A graph from `from -channel capacity-> to`, processes by number.
fn graph_of(processes: usize, channels: &[(usize, usize, usize)]) -> Graph {
    let mut graph = Graph::new("test");
    for n in 0..processes {
        graph.add_process(format!("p{n}"), ProcessKind::Task);
    }
    for (n, &(from, capacity, to)) in channels.iter().enumerate() {
        let channel = graph.add_channel(format!("c{n}"), Some(capacity));
        graph.connect(from, Direction::Out, channel);
        graph.connect(to, Direction::In, channel);
    }
    graph
}

fn cycles(processes: usize, channels: &[(usize, usize, usize)]) -> Vec<String> {
    graph_of(processes, channels).buffer_free_cycles().iter().map(Cycle::to_string).collect()
}

#[test]
fn cycles_without_a_place_are_named() {
    for (processes, channels, expected) in [
        // A line, a circle with one place in it, a circle without.
        (3, &[(0, 0, 1), (1, 0, 2)][..], &[][..]),
        (2, &[(0, 0, 1), (1, 1, 0)], &[]),
        (2, &[(1, 0, 0), (0, 0, 1)], &["p0 -(c1)-> p1 -(c0)-> p0"]),
        // A process that sends to itself.
        (1, &[(0, 0, 0)], &["p0 -(c0)-> p0"]),
        // Of two through the first process the shorter; the longer shows when that is mended.
        (3, &[(0, 0, 1), (1, 0, 2), (2, 0, 0), (1, 0, 0)], &["p0 -(c0)-> p1 -(c3)-> p0"]),
        (
            3,
            &[(0, 0, 1), (1, 0, 2), (2, 0, 0), (1, 1, 0)],
            &["p0 -(c0)-> p1 -(c1)-> p2 -(c2)-> p0"],
        ),
        // Two circles that do not touch, joined one way only.
        (
            4,
            &[(2, 0, 3), (3, 0, 2), (2, 0, 0), (0, 0, 1), (1, 0, 0)],
            &["p0 -(c3)-> p1 -(c4)-> p0", "p2 -(c0)-> p3 -(c1)-> p2"],
        ),
    ] {
        assert_eq!(cycles(processes, channels), expected, "{channels:?}");
    }
}

#[test]
fn unbounded_and_shared_channels_count_as_they_are() {
    let mut graph = graph_of(3, &[(0, 0, 1)]);
    let back = graph.add_channel("back", None);
    graph.connect(1, Direction::Out, back);
    graph.connect(0, Direction::In, back);
    assert_eq!(graph.buffer_free_cycles(), []);
    // The third process shares the first channel's receiving side.
    graph.connect(2, Direction::In, 0);
    let reply = graph.add_channel("reply", Some(0));
    graph.connect(2, Direction::Out, reply);
    graph.connect(0, Direction::In, reply);
    let found: Vec<_> = graph.buffer_free_cycles().iter().map(Cycle::to_string).collect();
    assert_eq!(found, ["p0 -(c0)-> p2 -(reply)-> p0"]);
}

#[test]
fn a_deep_network_needs_no_deep_stack() {
    const DEPTH: usize = 100_000;
    let mut channels: Vec<_> = (0..DEPTH).map(|n| (n, 0, n + 1)).collect();
    assert!(cycles(DEPTH + 1, &channels).is_empty());
    channels.push((DEPTH, 0, 0));
    let graph = graph_of(DEPTH + 1, &channels);
    let [cycle] = &graph.buffer_free_cycles()[..] else { panic!("one cycle") };
    assert_eq!(cycle.steps.len(), DEPTH + 1);
}

proptest! {
    /// Against walking everywhere from everywhere: every group that has a cycle gives exactly one, it is a real one,
    /// and none through its first process is shorter.
    #[test]
    fn found_cycles_are_those_there_are(
        channels in prop::collection::vec((0..7_usize, 0..2_usize, 0..7_usize), 0..16),
    ) {
        let graph = graph_of(7, &channels);
        let arc = |from: usize, to: usize| channels.contains(&(from, 0, to));
        // How many arcs lead from one process to another, at least one.
        let one = |from, to| if arc(from, to) { 1 } else { usize::MAX / 2 };
        let mut far: [[usize; 7]; 7] =
            std::array::from_fn(|from| std::array::from_fn(|to| one(from, to)));
        for over in 0..7 {
            for from in 0..7 {
                for to in 0..7 {
                    far[from][to] = far[from][to].min(far[from][over] + far[over][to]);
                }
            }
        }
        let together = |a: usize, b: usize| far[a][b] < 100 && far[b][a] < 100;
        let expected: Vec<_> = (0..7)
            .filter(|&it| together(it, it) && !(0..it).any(|earlier| together(it, earlier)))
            .map(|it| (format!("p{it}"), far[it][it]))
            .collect();
        let found = graph.buffer_free_cycles();
        let summary: Vec<_> =
            found.iter().map(|it| (it.steps[0].process.clone(), it.steps.len())).collect();
        prop_assert_eq!(summary, expected);
        for cycle in found {
            for (step, next) in cycle.steps.iter().zip(cycle.steps.iter().cycle().skip(1)) {
                let channel: usize = step.channel[1..].parse().unwrap();
                let (from, capacity, to) = channels[channel];
                let real = (format!("p{from}"), capacity, format!("p{to}"));
                prop_assert_eq!(real, (step.process.clone(), 0, next.process.clone()));
            }
        }
    }
}
