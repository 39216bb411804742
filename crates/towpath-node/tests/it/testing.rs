//! Tests in network files: they pass, they fail with what came instead, and a token runs the failure again.

use towpath::{BoxError, Ctx};
use towpath_node::{
    Component, NoOptions, Port, Ports, Registry,
    file::NetworkFile,
    testing::{self, Trial},
};

/// `both` reads two inputs and hands on in the order in which they come, so which one is first is chance.
fn registry() -> Registry {
    Registry::builtin()
        .with(
            Component::new("both", "hands on what comes on two ways")
                .input(Port::new("left"))
                .input(Port::new("right"))
                .output(Port::new("out"))
                .runs(|_: NoOptions| {
                    async move |_: Ctx, ports: &mut Ports| {
                        let ([left, right], out) = ports.split(["left", "right"]);
                        loop {
                            let message = towpath::select! {
                                message = towpath::select::future(left.recv()) => message,
                                message = towpath::select::future(right.recv()) => message,
                            };
                            let Some(message) = message else { return Ok::<_, BoxError>(()) };
                            out.send("out", message).await?;
                        }
                    }
                }),
        )
        .with(Component::new("world", "is outside").input(Port::new("in")).outside().runs(
            |_: NoOptions| {
                async move |_: Ctx, _: &mut Ports| {
                    panic!("it ran in a test");
                }
            },
        ))
}

fn read(tests: &str) -> NetworkFile {
    let text = format!(
        "
version: 1
name: n
channels: {{left: , right: , out: {{capacity: 0}}}}
processes:
  l: {{uses: load, out: left}}
  r: {{uses: load, out: right}}
  both: {{uses: both, in: [left, right], out: out}}
  world: {{uses: world, in: out}}
tests:
{tests}
"
    );
    NetworkFile::read("n.yaml", &text, &[]).unwrap_or_else(|it| panic!("{it}"))
}

fn run(file: &NetworkFile, trial: &Trial) -> testing::Outcome {
    testing::run(file, &file.tests[0], &registry(), trial).unwrap_or_else(|it| panic!("{it}"))
}

const MANY: Trial = Trial::Schedules { count: 100, seed: 0 };

#[test]
fn what_comes_in_any_order_passes_and_what_is_chance_is_found() {
    let file = read("  - {send: {left: {n: 1, x: y}, right: 2}, expect: {out: {n: 1}}}");
    let outcome = run(&file, &MANY);
    assert!(outcome.failure.is_none(), "{outcome:?}");
    assert_eq!(outcome.schedules, 100);

    let file = read("  - {send: {left: 1, right: 2}, expect: [{out: 1}, {out: 2}], within: 5s}");
    let broken = run(&file, &MANY).failure.expect("which one comes first is chance");
    assert!(broken.summary.contains("within 5s this did not come:"), "{}", broken.summary);
    assert!(broken.summary.contains("on `out`: 2"), "{}", broken.summary);
    let again = run(&file, &Trial::Replay(broken.token.clone())).failure.expect("the same again");
    assert_eq!((again.summary, again.story), (broken.summary, broken.story));
}

#[test]
fn what_does_not_come_is_told_with_what_came() {
    let file =
        read("  - {send: [{left: {n: 1}}, {left: {n: 2}}], expect: {out: {n: 3}}, within: 1s}");
    let broken = run(&file, &MANY).failure.expect("3 does not come");
    for part in [r#"on `out`: {"n":3}"#, r#"came: {"n":1}"#, r#"came: {"n":2}"#] {
        assert!(broken.summary.contains(part), "{}", broken.summary);
    }
}
