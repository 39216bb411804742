//! A node at work: what is seen of it, and what it is told, under every schedule.

use std::time::Duration;

use serde_json::{Value, json};
use towpath::{BoxError, Ctx, Traced, rt, scope};
use towpath_node::{
    Component, Facet, Need, NoOptions, Node, Port, Ports, Registry, Setup,
    facet::{Acting, Query, Verb},
    file::NetworkFile,
    node::Work,
    state::{Certainty, Doing},
};

/// A pipeline whose middle can be told to wait, and that shows how many it has seen.
fn registry() -> Registry {
    Registry::builtin()
        .with(
            Component::new("pass", "hands on")
                .input(Port::new("in"))
                .output(Port::new("out"))
                .runs(|_: NoOptions| {
                    async move |_: Ctx, ports: &mut Ports| {
                        let _shown = ports.home().show(Greeter);
                        while let Some(message) = ports.recv("in").await {
                            if message.is_null() {
                                ports.refuse(message, "there is nothing in it").await?;
                            } else {
                                ports.send("out", message).await?;
                            }
                        }
                        Ok::<_, BoxError>(())
                    }
                }),
        )
        .with(Component::new("sink", "takes").input(Port::new("in").need(Need::Some)).runs(
            |_: NoOptions| {
                async move |_: Ctx, ports: &mut Ports| {
                    while ports.recv("in").await.is_some() {}
                }
            },
        ))
        .with(
            Component::new("front", "hands on what comes, and ends with it, whatever comes back")
                .input(Port::new("in"))
                .input(Port::new("back"))
                .output(Port::new("out"))
                .runs(|_: NoOptions| {
                    async move |_: Ctx, ports: &mut Ports| {
                        while let Some(message) = ports.recv("in").await {
                            while ports.input("back").try_recv().is_some() {}
                            ports.send("out", message).await?;
                        }
                        Ok::<_, BoxError>(())
                    }
                }),
        )
        .with(
            Component::new("wants", "sends what it has received, and begins with nothing")
                .input(Port::new("in"))
                .output(Port::new("out"))
                .source()
                .runs(|_: NoOptions| {
                    async move |_: Ctx, ports: &mut Ports| {
                        while let Some(message) = ports.recv("in").await {
                            ports.send("out", message).await?;
                        }
                        Ok::<_, BoxError>(())
                    }
                }),
        )
}

struct Greeter;

impl Facet for Greeter {
    fn kind(&self) -> &'static str {
        "greeter"
    }

    fn show(&self, query: &Query) -> Value {
        json!({"limit": query.limit()})
    }

    fn verbs(&self) -> &'static [Verb] {
        const VERBS: &[Verb] = &[Verb::new("greet", "greets {name}")];
        VERBS
    }

    fn act<'a>(&'a self, _: &'a str, args: Value) -> Acting<'a> {
        Box::pin(
            async move { Ok(json!(format!("hello {}", args["name"].as_str().unwrap_or("?")))) },
        )
    }
}

fn start(text: &str, ctx: &Ctx) -> (Node, Work) {
    let file = NetworkFile::read("line.yaml", text, &[]).unwrap_or_else(|it| panic!("{it}"));
    Node::start(file, registry(), &Setup::new("not-there"), ctx).unwrap_or_else(|it| panic!("{it}"))
}

const LINE: &str = "
version: 1
name: line
channels: {first: {capacity: 2}, second: {capacity: 2}, bad: }
processes:
  makes: {uses: load, every: 10ms, count: 5, out: first}
  pass: {uses: pass, in: first, out: second, on_error: bad}
  sink: {uses: sink, in: [second, bad]}
";

/// A drain of a simulated network may take long by a clock that jumps.
const DRAIN: Duration = Duration::from_secs(1_000_000);

/// Until something is so; virtual time makes it quick.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    // Some schedules let nobody else have a turn for long: few looks, far apart.
    let mut pause = Duration::from_millis(20);
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        rt::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3600));
    }
    panic!("{what} never came");
}

#[towpath::test]
async fn who_is_paused_takes_nothing_and_what_it_has_missed_comes_after() {
    let ctx = Ctx::root();
    let (node, work) = start(&LINE.replace("10ms, count: 5", "100ms"), &ctx);
    node.pause("pass").unwrap();
    let handle = node.clone();
    let done = scope(&ctx, |s| async move {
        s.spawn("work", move |_| work.run());
        until("a blocked source", || node.state().processes[0].state == Doing::Blocked).await;
        let state = node.state();
        assert_eq!(state.processes[1].state, Doing::Paused);
        assert_eq!(state.channels[0].length, 2, "{state:?}");
        rt::sleep(Duration::from_secs(1)).await;
        assert_eq!(node.state().processes[1].received, state.processes[1].received);
        node.resume("pass").unwrap();
        node.drain(DRAIN).await;
        Ok(())
    });
    done.await.unwrap();
    let state = handle.state();
    assert!(state.processes.iter().all(|it| it.state == Doing::Ended), "{state:?}");
    assert_eq!(state.channels[1].received, state.channels[0].sent);
}

#[towpath::test]
async fn what_is_put_in_arrives_once_and_what_is_refused_is_told() {
    let ctx = Ctx::root();
    let (node, work) = start(&LINE.replace("10ms, count: 5", "1s"), &ctx);
    let mut tap = node.tap("bad", 16).unwrap();
    let told = node.clone();
    let done = scope(&ctx, |s| async move {
        s.spawn("work", move |_| work.run());
        for message in [json!("a"), Value::Null, json!("c")] {
            told.inject("first", message).unwrap();
        }
        until("the last of them", || told.state().processes[1].refused == 1).await;
        told.drain(DRAIN).await;
        Ok(())
    });
    done.await.unwrap();
    let state = node.state();
    assert!(state.channels[0].sent >= 3);
    assert_eq!(state.channels[0].sent, state.channels[0].received);
    assert_eq!(state.channels[1].received, state.channels[0].received - 1);
    let refused = tap.recv().await.map(Traced::into_inner);
    let told = json!({"error": "there is nothing in it", "from": "pass", "message": null});
    assert_eq!(refused, Some(told));
    assert_eq!(node.errors(10)[0].text, "there is nothing in it");
    assert_eq!(state.processes[1].last_error.as_ref().unwrap().text, "there is nothing in it");
    let unknown = node.inject("frist", json!(1)).unwrap_err().to_string();
    assert_eq!(unknown, "there is no channel `frist`; did you mean `first`?");
    let late = node.inject("first", json!(1)).unwrap_err().to_string();
    assert_eq!(late, "nobody receives from channel `first` any more: its process has ended");
}

/// `front` ends while `tell` still has what to tell it.
#[towpath::test]
async fn who_has_ended_in_a_circle_fails_nobody_when_the_network_ends() {
    let ctx = Ctx::root();
    let (node, work) = start(
        "
version: 1
name: circle
channels: {made: , through: , back: {capacity: 256}, kept: }
processes:
  makes: {uses: load, every: 10ms, count: 40, out: made}
  front: {uses: front, in: [made, back], out: through}
  tell: {uses: copy, in: through, out: [back, kept]}
  sink: {uses: sink, in: kept}
",
        &ctx,
    );
    let handle = node.clone();
    let done = scope(&ctx, |s| async move {
        s.spawn("work", move |_| work.run());
        until("some messages", || node.state().channels[3].received >= 3).await;
        node.drain(DRAIN).await;
        Ok(())
    });
    done.await.unwrap();
    let state = handle.state();
    assert_eq!(state.channels[3].received, state.channels[0].sent, "all came through");
    let errors = handle.errors(10);
    assert!(errors.is_empty(), "{errors:?}");
}

#[towpath::test]
async fn a_facet_is_there_while_its_process_runs() {
    let ctx = Ctx::root();
    let (node, work) = start(&LINE.replace("10ms, count: 5", "1s"), &ctx);
    let handle = node.clone();
    let done = scope(&ctx, |s| async move {
        s.spawn("work", move |_| work.run());
        until("a facet", || node.facet("pass").is_ok()).await;
        let facet = node.facet("pass").unwrap();
        let query = Query::new([("limit".to_owned(), "7".to_owned())]);
        assert_eq!(facet.show(&query), json!({"limit": 7}));
        assert_eq!(facet.act("greet", json!({"name": "Ada"})).await.unwrap(), json!("hello Ada"));
        assert_eq!(node.state().processes[1].facet.as_deref(), Some("greeter"));
        node.drain(DRAIN).await;
        Ok(())
    });
    done.await.unwrap();
    assert!(handle.facets().is_empty());
}

/// Not in the simulator, which would rightly say that this network hangs.
#[test]
fn processes_that_wait_for_each_other_are_told_with_their_places() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(stuck_pair());
}

async fn stuck_pair() {
    let ctx = Ctx::root();
    let (node, work) = start(
        "
version: 1
name: ring
channels: {there: , back: }
processes:
  a: {uses: wants, in: back, out: there}
  b: {uses: wants, in: there, out: back}
",
        &ctx,
    );
    let done = scope(&ctx, |s| async move {
        s.spawn("work", move |_| work.run());
        until("a stuck pair", || !node.state().stuck.is_empty()).await;
        let state = node.state();
        assert_eq!((state.stuck[0].grade, state.stuck[0].cycle), (Certainty::Proven, true));
        assert_eq!(state.stuck[0].members.len(), 2);
        assert_eq!(state.processes[0].declared, "line.yaml:6:3");
        assert_eq!(
            (&*state.processes[0].waits[0].what, state.processes[0].waits[0].on.as_deref()),
            ("recv", Some("back"))
        );
        let why = node.why("a").unwrap();
        assert_eq!(why.chain, ["a", "b"]);
        assert!(node.dump().contains("STUCK (Proven)"), "{}", node.dump());
        // What is put in brings them on: round and round it goes, until they are told to end.
        node.inject("there", json!("go")).unwrap();
        node.drain(Duration::from_secs(1)).await;
        Ok(())
    });
    let error = format!("{:?}", done.await.unwrap_err());
    assert!(error.contains("NotDrained"), "{error}");
}
