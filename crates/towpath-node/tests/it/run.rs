//! Running: what a file declares is what happens, under every schedule.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use serde::Deserialize;
use serde_json::json;
use towpath::{BoxError, Ctx, Traced};
use towpath_node::{
    Component, Need, NoOptions, Node, Port, Ports, Registry, Setup,
    file::NetworkFile,
    node::{StartError, Work},
    state::Doing,
};
use towpath_patterns::yaml::{At, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    to: At<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shout {
    #[serde(default)]
    fails_at_first: bool,
}

type Seen = Arc<Mutex<Vec<String>>>;

fn registry(seen: &Seen) -> Registry {
    let seen = seen.clone();
    Registry::new()
        .with(Component::new("count", "numbers").output(Port::new("out")).makes(
            |options: Count, _| {
                let At { place, value } = options.to;
                if value > 1_000 {
                    return Err(Problem::new(place, "counts to 1000 at most"));
                }
                Ok(async move |_: Ctx, ports: &mut Ports| {
                    for number in 1..=value {
                        ports.send("out", Traced::from(json!(number))).await?;
                    }
                    Ok::<_, BoxError>(())
                })
            },
        ))
        .with(
            Component::new("shout", "makes words loud")
                .input(Port::new("in"))
                .output(Port::new("out"))
                .runs(|options: Shout| {
                    let runs = Arc::new(AtomicU32::new(0));
                    async move |_: Ctx, ports: &mut Ports| {
                        if runs.fetch_add(1, Ordering::Relaxed) == 0 && options.fails_at_first {
                            panic!("a bad start");
                        }
                        while let Some(word) = ports.recv("in").await {
                            let loud = word.map(|word| json!(format!("{word}!")));
                            ports.send("out", loud).await?;
                        }
                        Ok::<_, BoxError>(())
                    }
                }),
        )
        .with(Component::new("keep", "keeps").input(Port::new("in").need(Need::Some)).runs(
            move |_: NoOptions| {
                let seen = seen.clone();
                async move |_: Ctx, ports: &mut Ports| {
                    let ([all], _) = ports.split(["in"]);
                    while let Some(word) = all.recv().await {
                        seen.lock().unwrap().push(word.to_string());
                    }
                }
            },
        ))
}

const FILE: &str = "
version: 1
name: loud
settings: {to: 3}
channels: {plain: {capacity: 1}, loud: {capacity: 0}, other: }
processes:
  one: {uses: count, to: \"${to}\", out: plain}
  two: {uses: count, to: 2, out: other}
  loud: {uses: shout, fails_at_first: true, in: plain, out: loud}
  keep: {uses: keep, in: [loud, other]}
";

fn start(file: NetworkFile, registry: Registry) -> (Node, Work) {
    let started = Node::start(file, registry, &Setup::new("not-there"), &Ctx::root());
    started.unwrap_or_else(|it| panic!("{it}"))
}

#[towpath::test]
async fn a_network_does_what_its_file_says() {
    let seen = Seen::default();
    let text = FILE.replace("\"${to}\"", "3");
    let file = NetworkFile::read("loud.yaml", &text, &[]).unwrap();
    let (node, work) = start(file, registry(&seen));
    work.run().await.unwrap();
    let state = node.state();
    let counts = |name: &str| {
        let process = state.processes.iter().find(|it| it.name == name).unwrap();
        (process.starts, process.received, process.sent)
    };
    assert_eq!(counts("loud"), (2, 3, 3), "its first start was a bad one");
    assert_eq!(counts("keep"), (1, 5, 0));
    assert!(state.processes.iter().all(|it| it.state == Doing::Ended), "{state:?}");
    let mut seen = seen.lock().unwrap().clone();
    // Each channel has an order; between two there is none.
    let loud: Vec<_> = seen.iter().filter(|it| it.contains('!')).cloned().collect();
    assert_eq!(loud, ["\"1!\"", "\"2!\"", "\"3!\""]);
    seen.retain(|it| !it.contains('!'));
    assert_eq!(seen, ["1", "2"]);
}

#[test]
fn options_that_are_wrong_are_told_at_their_place() {
    let told = |text: String| {
        let file = NetworkFile::read("loud.yaml", &text, &[]).unwrap();
        let registry = registry(&Seen::default());
        let setup = Setup::new("not-there");
        let Err(StartError::File(error)) = Node::start(file, registry, &setup, &Ctx::root()) else {
            panic!("it starts");
        };
        error
            .problems()
            .iter()
            .map(|it| format!("{} {}", it.place.line, it.message))
            .collect::<Vec<_>>()
    };
    let text = FILE.replace("\"${to}\"", "2000").replace("fails_at_first", "fails_at_frist");
    assert_eq!(
        told(text),
        [
            "7 counts to 1000 at most",
            "9 `fails_at_frist` is not known here; did you mean `fails_at_first`?"
        ]
    );
}
