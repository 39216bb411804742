//! Pictures of networks that nobody would draw by hand: circles, crowds, chance.

use towpath::network::{Direction, Graph, ProcessKind};

use super::{Drawing, ProcessBox, path_points};
use crate::{component::Registry, file::NetworkFile};

fn file() -> NetworkFile {
    let text = "version: 1\nname: n\nchannels: {}\nprocesses: {}\n";
    NetworkFile::read("n.yaml", text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// Processes `p0`, `p1`, … with channels from each of some to one.
fn drawn(processes: usize, channels: &[(&[usize], usize)]) -> Drawing {
    let mut graph = Graph::new("n");
    for index in 0..processes {
        graph.add_process(format!("p{index}"), ProcessKind::Supervised);
    }
    for (index, (from, to)) in channels.iter().enumerate() {
        let channel = graph.add_channel(format!("c{index}"), Some(index));
        from.iter().for_each(|it| graph.connect(*it, Direction::Out, channel));
        graph.connect(*to, Direction::In, channel);
    }
    Drawing::of(&file(), &graph, &Registry::new())
}

fn overlap(a: &ProcessBox, b: &ProcessBox) -> bool {
    a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
}

/// What the head of `draw.rs` says of every picture.
fn check(drawing: &Drawing) {
    for (index, one) in drawing.processes.iter().enumerate() {
        assert!(one.x >= 0 && one.y >= 0, "{one:?}");
        assert!(one.x + one.w <= drawing.width && one.y + one.h <= drawing.height, "{one:?}");
        for other in &drawing.processes[..index] {
            assert!(!overlap(one, other), "{one:?} {other:?}");
        }
    }
    let named = |name: &str| drawing.processes.iter().find(|it| it.name == name).unwrap();
    for edge in drawing.channels.iter().flat_map(|it| &it.edges) {
        let (from, to) = (named(&edge.from), named(&edge.to));
        let touches = |it: &ProcessBox, [x, y]: [i32; 2]| {
            (it.x..=it.x + it.w).contains(&x) && (it.y..=it.y + it.h).contains(&y)
        };
        let (first, last) = (edge.points[0], edge.points[edge.points.len() - 1]);
        assert!(touches(from, first) && touches(to, last), "{edge:?} {from:?} {to:?}");
        // Lines keep out of boxes that are not theirs.
        for it in drawing.processes.iter().filter(|it| it.name != edge.from && it.name != edge.to) {
            for point in path_points(&edge.points) {
                assert!(!touches(it, point), "{edge:?} runs through {it:?} at {point:?}");
            }
        }
    }
}

#[test]
fn messages_go_from_left_to_right() {
    let drawing = drawn(3, &[(&[1], 0), (&[2], 1)]);
    check(&drawing);
    let x: Vec<i32> = drawing.processes.iter().map(|it| it.x).collect();
    assert!(x[2] < x[1] && x[1] < x[0], "{x:?}");
}

#[test]
fn a_line_of_processes_is_straight() {
    let drawing = drawn(4, &[(&[0], 1), (&[1], 2), (&[2], 3)]);
    check(&drawing);
    for edge in drawing.channels.iter().flat_map(|it| &it.edges) {
        assert_eq!((edge.points.len(), edge.points[0][1]), (2, edge.points[1][1]), "{edge:?}");
    }
}

#[test]
fn circles_and_those_who_send_to_themselves_are_drawn() {
    for channels in [
        &[(&[0_usize][..], 0_usize)][..],
        &[(&[0], 1), (&[1], 0)],
        &[(&[0], 1), (&[1], 2), (&[2], 0), (&[2], 2)],
    ] {
        let drawing = drawn(3, channels);
        check(&drawing);
        assert_eq!(drawing.channels.iter().map(|it| it.edges.len()).sum::<usize>(), channels.len());
    }
}

#[test]
fn many_senders_come_in_at_one_place() {
    let drawing = drawn(5, &[(&[0, 1, 2, 3], 4), (&[0], 4), (&[3], 4)]);
    check(&drawing);
    let ends: Vec<[i32; 2]> =
        drawing.channels[0].edges.iter().map(|it| it.points[it.points.len() - 1]).collect();
    assert_eq!(ends.len(), 4);
    assert!(ends.iter().all(|it| *it == ends[0]), "{ends:?}");
    assert_ne!(drawing.channels[1].edges[0].points.last(), Some(&ends[0]));
}

#[test]
fn a_network_without_processes_is_a_small_picture() {
    let drawing = drawn(0, &[]);
    assert!(drawing.processes.is_empty() && drawing.width > 0 && drawing.height > 0);
}

/// Numbers that look like chance and are always the same.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

fn tangled(processes: usize, channels: usize, far: usize, seed: u64) -> Drawing {
    let mut next = numbers(seed);
    let mut ends = Vec::new();
    for _ in 0..channels {
        let from = next(processes);
        let senders =
            if next(20) == 0 { vec![from, next(processes), next(processes)] } else { vec![from] };
        ends.push((senders, (from + 1 + next(far)) % processes));
    }
    let channels: Vec<(&[usize], usize)> = ends.iter().map(|(from, to)| (&from[..], *to)).collect();
    drawn(processes, &channels)
}

#[test]
fn every_tangle_is_a_picture() {
    for seed in 0..40 {
        check(&tangled(2 + seed as usize, 3 * (1 + seed as usize), 9, seed));
    }
}

#[test]
fn the_same_network_is_the_same_picture() {
    assert_eq!(tangled(60, 120, 20, 7), tangled(60, 120, 20, 7));
}

#[test]
fn a_thousand_processes_are_drawn() {
    let drawing = tangled(1_000, 2_000, 30, 3);
    assert_eq!((drawing.processes.len(), drawing.channels.len()), (1_000, 2_000));
    let mut taken: Vec<[i32; 2]> = drawing.processes.iter().map(|it| [it.x, it.y]).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 1_000);
}
