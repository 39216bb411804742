//! Checking: what does not fit together is told, and what does is not.

use towpath_node::check::{Checked, check};
use towpath_node::{Component, Need, Port, Registry, file::NetworkFile};

fn registry() -> Registry {
    Registry::new()
        .with(Component::new("source", "makes numbers").output(Port::new("out")))
        .with(
            Component::new("map", "changes messages")
                .input(Port::new("in"))
                .output(Port::new("out"))
                .refuses(),
        )
        .with(
            Component::new("dispatch", "matches rides")
                .input(Port::new("requests").of("Request"))
                .input(Port::new("drivers").of("Driver").need(Need::Maybe))
                .output(Port::new("matched").of("Match"))
                .output(Port::new("late").of("Request").need(Need::Maybe)),
        )
        .with(
            Component::new("log", "writes down").input(Port::new("in").need(Need::Some)).refuses(),
        )
}

fn checked(text: &str) -> Result<Checked, Vec<String>> {
    let text = format!("version: 1\nname: n\n{text}");
    let file = NetworkFile::read("n.yaml", &text, &[]).unwrap_or_else(|error| panic!("{error}"));
    check(&file, &registry()).map_err(|error| {
        let told = error.problems().iter();
        told.map(|it| format!("{}:{} {}", it.place.line, it.place.column, it.message)).collect()
    })
}

fn problems(text: &str) -> Vec<String> {
    checked(text).map(|_| ()).unwrap_err()
}

#[test]
fn what_fits_is_a_graph() {
    let checked = checked(
        "channels: {requests: {type: Request}, matches: , late: }\nprocesses:\n  s: {uses: source, out: requests}\n  d: {uses: dispatch, in: [requests], out: {late: late, matched: matches}, on_error: late}\n  l: {uses: log, in: [matches, late], on_error: late}\n",
    );
    let checked = checked.unwrap();
    assert_eq!(checked.graph.to_mermaid().matches("-->").count(), 5);
    let ports: Vec<_> = checked.wires[1].iter().map(|wire| (&*wire.port, wire.channel)).collect();
    assert_eq!(ports, [("requests", 0), ("late", 2), ("matched", 1), ("on_error", 2)]);
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
}

#[test]
fn names_that_are_not_there() {
    let found = problems(
        "channels: {orders: }\nprocesses:\n  s: {uses: sorce, out: orders}\n  d: {uses: dispatch, in: {request: orders}, out: {matched: order}}\n",
    );
    assert_eq!(
        found,
        [
            "5:13 there is no component `sorce`; did you mean `source`?",
            "6:28 component `dispatch` has no input `request`; did you mean `requests`?",
            "6:61 there is no channel `order`; did you mean `orders`?",
        ]
    );
    let found = problems(
        "channels: {a: }\nprocesses:\n  s: {uses: source, out: a}\n  l: {uses: log, in: a}\ntests:\n  - {expect: {beta: 1}}\n",
    );
    assert_eq!(found, ["8:15 there is no channel `beta`; there are `a`"]);
}

#[test]
fn ports_and_how_many_channels_they_take() {
    let found = problems(
        "channels: {a: , b: }\nprocesses:\n  s: {uses: source, out: [a, b]}\n  m: {uses: map}\n  l: {uses: log, in: [a, b]}\n  t: {uses: source, in: a, out: b}\n",
    );
    assert_eq!(
        found,
        [
            "5:30 component `source` has one output, so `b` is too much",
            "6:3 port `in` of `m` has no channel: add it to `in`",
            "6:3 port `out` of `m` has no channel: add it to `out`",
            "8:25 component `source` has no input, so `a` is too much",
        ]
    );
}

#[test]
fn types_that_differ() {
    let found = problems(
        "types: {Order: {}}\nchannels: {requests: {type: Order}, m: }\nprocesses:\n  s: {uses: source, out: requests}\n  d: {uses: dispatch, in: requests, out: m}\n  e: {uses: dispatch, in: m, out: m}\n",
    );
    assert_eq!(
        found,
        [
            "4:12 channel `requests` has messages of type `Order` by its declaration, and `Request` by port `requests` of `d`",
            "4:37 channel `m` has messages of type `Match` by port `matched` of `d`, and `Request` by port `requests` of `e`",
        ]
    );
}

#[test]
fn types_that_nobody_declares() {
    let found = problems(
        "channels: {a: {type: Requst}}\nprocesses:\n  s: {uses: source, out: a}\n  l: {uses: log, in: a}\n",
    );
    assert_eq!(found, ["3:22 there is no type `Requst`; did you mean `Request`?"]);
}

#[test]
fn channels_with_one_side_and_processes_without_a_source() {
    let found = problems(
        "channels: {a: , b: , c: , d: , e: , f: }\nprocesses:\n  s: {uses: source, out: b}\n  m: {uses: map, in: d, out: e}\n  n: {uses: map, in: e, out: d}\n  x: {uses: log, in: [c, f]}\n  y: {uses: log, in: f}\n  z: {uses: source, out: f}\n",
    );
    assert_eq!(
        found,
        [
            "3:12 nobody uses channel `a`",
            "3:17 nobody receives from channel `b`: it fills up, and whoever sends to it waits for ever",
            "3:22 nobody sends to channel `c`",
            "3:37 2 processes receive from channel `f`, and each message would go to one of them: give each a channel of its own",
            "6:3 no message can reach `m`: behind it there is no source, only processes that wait for each other",
            "7:3 no message can reach `n`: behind it there is no source, only processes that wait for each other",
        ]
    );
}

#[test]
fn circles_and_missing_routes_are_warnings() {
    let text = "channels: {in: , a: {capacity: 0}, b: {capacity: 0}, c: }\nprocesses:\n  s: {uses: source, out: in}\n  m: {uses: dispatch, in: [in, b], out: [a, c]}\n  n: {uses: map, in: a, out: b}\n  l: {uses: log, in: c}\n";
    let warnings = checked(text).unwrap().warnings;
    let told: Vec<_> = warnings.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.iter().any(|it| it.ends_with("m -(a)-> n -(b)-> m; give one channel a `capacity`")),
        "{told:?}"
    );
    assert!(told[2].starts_with("`l` does not say where messages go"));
    // A single place is enough.
    let placed = checked(&text.replace("b: {capacity: 0}", "b: {capacity: 1}")).unwrap();
    assert_eq!(placed.warnings.len(), 2);
}
