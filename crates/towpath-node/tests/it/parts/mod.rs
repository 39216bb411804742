//! Components over the patterns, in networks of files, in the simulator: what goes in comes out, under every schedule, and after crashes.

mod dead_letters;
mod dispatch;
mod machine;
mod matching;
mod saga;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use towpath::{BoxError, Ctx, rt, scope, sync::Notify};
use towpath_node::{
    Component, Need, NoOptions, Node, Port, Ports, Registry, Setup, facet::Query, file::NetworkFile,
};
use towpath_sim::disk::{Disk, Faults};

use crate::sim_disk::sim_disk;

/// What processes that use `keep` have received, by their names.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<BTreeMap<String, Vec<Value>>>>, Arc<Notify>);

impl Kept {
    /// Takes the next messages of a process, when there are so many.
    pub(super) async fn next(&self, process: &str, many: usize) -> Vec<Value> {
        loop {
            let more = self.1.notified();
            if self.many(process) >= many {
                break;
            }
            more.await;
        }
        let mut all = self.0.lock().unwrap();
        all.entry(process.to_owned()).or_default().drain(..many).collect()
    }

    /// Messages that were not taken.
    pub(super) fn many(&self, process: &str) -> usize {
        self.0.lock().unwrap().get(process).map_or(0, Vec::len)
    }

    /// Takes all that are there.
    pub(super) fn rest(&self, process: &str) -> Vec<Value> {
        self.0.lock().unwrap().remove(process).unwrap_or_default()
    }
}

/// What comes with the node, a source that is silent until messages are put in, and a sink that keeps what it gets.
fn registry(kept: &Kept) -> Registry {
    let kept = kept.clone();
    let quiet = Component::new("quiet", "sends nothing").output(Port::new("out").need(Need::Some));
    let keep = Component::new("keep", "keeps").input(Port::new("in").need(Need::Some));
    Registry::builtin()
        .with(quiet.runs(|_: NoOptions| {
            async move |ctx: Ctx, _: &mut Ports| {
                ctx.done().await;
            }
        }))
        .with(keep.runs(move |_: NoOptions| {
            let kept = kept.clone();
            async move |_: Ctx, ports: &mut Ports| {
                let name = ports.home().process().to_owned();
                while let Some(message) = ports.recv("in").await {
                    let mut all = kept.0.lock().unwrap();
                    all.entry(name.clone()).or_default().push(message.into_inner());
                    drop(all);
                    kept.1.notify_waiters();
                }
            }
        }))
}

pub(super) fn disk() -> Disk {
    Disk::new(Faults::default())
}

/// Reads a file that stands beside the networks that ship.
pub(super) fn file(text: &str) -> NetworkFile {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../networks/test.yaml");
    NetworkFile::read(beside, text, &[]).unwrap_or_else(|it| panic!("{it}"))
}

/// What is wrong with a file.
pub(super) fn problems(text: &str) -> String {
    let setup = Setup::new("not-there");
    match Node::start(file(text), registry(&Kept::default()), &setup, &Ctx::root()) {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Runs a network while `story` is told, then drains it.
pub(super) fn run<V, F, Fut>(
    text: &str,
    disk: &Disk,
    story: F,
) -> impl Future<Output = Result<V, towpath::Error>> + use<V, F, Fut>
where
    F: FnOnce(Node, Kept) -> Fut,
    Fut: Future<Output = Result<V, BoxError>>,
{
    run_with(file(text), disk.clone(), true, story)
}

/// As [`run`], and stopped where it stands.
pub(super) fn run_and_stop<V, F, Fut>(
    text: &str,
    disk: &Disk,
    story: F,
) -> impl Future<Output = Result<V, towpath::Error>> + use<V, F, Fut>
where
    F: FnOnce(Node, Kept) -> Fut,
    Fut: Future<Output = Result<V, BoxError>>,
{
    run_with(file(text), disk.clone(), false, story)
}

async fn run_with<V, F, Fut>(
    file: NetworkFile,
    disk: Disk,
    drains: bool,
    story: F,
) -> Result<V, towpath::Error>
where
    F: FnOnce(Node, Kept) -> Fut,
    Fut: Future<Output = Result<V, BoxError>>,
{
    let setup = Setup::new("/data").on(sim_disk(&disk));
    scope(&Ctx::root(), |s| async move {
        let kept = Kept::default();
        let (node, work) = Node::start(file, registry(&kept), &setup, s.ctx())?;
        let working = s.spawn("work", move |_| work.run());
        let told = story(node.clone(), kept).await?;
        if drains {
            node.drain(Duration::from_secs(60)).await;
            working.await?;
        } else {
            s.cancel("stopped where it stands");
        }
        Ok(told)
    })
    .await
}

pub(super) fn put(node: &Node, channel: &str, messages: impl IntoIterator<Item = Value>) {
    for message in messages {
        node.inject(channel, message).unwrap();
    }
}

/// What a facet shows; null while its process begins.
pub(super) fn shown(node: &Node, process: &str, words: &[(&str, &str)]) -> Value {
    let Ok(facet) = node.facet(process) else { return Value::Null };
    facet.show(&Query::new(
        words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())),
    ))
}

/// Until something is so. It looks less and less often: a schedule may let everybody else wait for long.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for doubled in 0..24 {
        if is_so() {
            return;
        }
        rt::sleep(Duration::from_millis(1 << doubled)).await;
    }
    panic!("{what} never came");
}
