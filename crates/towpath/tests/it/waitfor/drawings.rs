//! Drawings of the stuck.

use towpath::waitfor::{Options, Snapshot, State};

use super::{trim, world};

const WORLD: &str = "a: send x | lock m
     b: recv y
     c: runs
     chan x 0/0: a -> b
     chan y 0/4: a? c -> b
     chan z 0/4: a -> b
     lock m: b
     d: done e
     ctx e: a";

#[test]
fn in_graphviz() {
    let report = world::parse(&WORLD.replace("a? c", "a?")).analyse(&Options::new());
    assert_eq!(
        report.to_dot(),
        trim(
            r#"digraph waits {
              rankdir=LR;
              node [fontname="sans-serif"];
              p0 [label="a", shape=box];
              p1 [label="b", shape=box];
              p3 [label="d", shape=box];
              r0t [label="receivers of x", shape=ellipse];
              r1 [label="senders of y", shape=ellipse];
              r3 [label="lock m", shape=ellipse];
              r4 [label="context e", shape=ellipse];
              p0 -> r0t;
              p0 -> r3;
              p1 -> r1;
              p3 -> r4;
              r0t -> p1;
              r1 -> p0;
              r3 -> p1;
              r4 -> p0;
            }"#
        )
    );
}

#[test]
fn in_mermaid() {
    let report = world::parse(&WORLD.replace("a? c", "a?")).analyse(&Options::new());
    let lines = [
        "flowchart LR",
        r#"p0["a"]"#,
        r#"p1["b"]"#,
        r#"p3["d"]"#,
        r#"r0t(["receivers of x"])"#,
        r#"r1(["senders of y"])"#,
        r#"r3(["lock m"])"#,
        r#"r4(["context e"])"#,
        "p0 --> r0t",
        "p0 --> r3",
        "p1 --> r1",
        "p3 --> r4",
        "r0t --> p1",
        "r1 --> p0",
        "r3 --> p1",
        "r4 --> p0",
    ];
    assert_eq!(report.to_mermaid(), lines.join("\n  ") + "\n");
}

#[test]
fn of_nobody() {
    let report = world::parse(WORLD).analyse(&Options::new());
    assert_eq!(report.to_mermaid(), "flowchart LR\n");
}

#[test]
fn names_cannot_break_out() {
    let mut world = Snapshot::new();
    world.process(1, "a\"]; b\\\n", State::Parked);
    world.wait(1, std::time::Duration::ZERO, None, []);
    let report = world.analyse(&Options::new());
    assert!(report.to_dot().contains(r#"p0 [label="a\"]; b\\ ", shape"#), "{}", report.to_dot());
    assert_eq!(report.to_mermaid(), "flowchart LR\n  p0[\"a#quot;]; b#92; \"]\n");
}
