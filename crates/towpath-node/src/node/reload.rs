//! From one file to another while the network runs: plan, let go, swap, look, or back to what was.
//!
//! What always holds:
//! - No message is lost. A process lets go between two messages: its inputs look as if they had ended, it finishes what it has
//!   taken, and what is in its channels stays there for whoever receives next.
//! - Either all of the change is done or none of it: who cannot let go in time, a channel that would go with messages in it, or a
//!   process that fails with its new options, brings everything back to how it was.
//!
//! If only what processes do has changed, each is swapped where it stands while the others work on. If channels or wires have, all let
//! go, sources first, so that each can get rid of what it has; then a new network is built around the channels that stay, with what is
//! in them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use towpath::{
    BoxError, after, bounded,
    network::{Direction, Graph},
    rt, select,
};

use super::{
    Generation, Node,
    change::{Change, Difference, difference},
    lock, look,
    work::Work,
};
use crate::{
    assemble::{Doer, Ends, Plan, assemble},
    file::NetworkFile,
    line::Line,
    ports::{Message, Ports},
    seat::{At, Order, Seat},
    state::Status,
};

/// For so long a change is looked at before it is said to be good: who fails with new options mostly does so at once. Meanwhile those who
/// are new take nothing, so that the way back is open.
const SETTLE: Duration = Duration::from_millis(100);

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reloaded {
    /// What is different.
    pub changes: Vec<Change>,
    /// The network runs by the new file.
    pub done: bool,
    /// Why it runs by the old one again.
    pub rolled_back: Option<String>,
}

impl Work {
    /// Changes to another file.
    pub(super) async fn reload(
        &mut self,
        file: NetworkFile,
        plan: Plan,
        within: Duration,
    ) -> Result<Reloaded, BoxError> {
        let old = self.node.now();
        let Difference { changes, swaps, rewired } =
            difference((&old.file, &old.plan), (&file, &plan));
        self.node.set_status(Status::Reloading);
        let next = Generation { number: old.number + 1, file, plan, places: old.places.clone() };
        let seats = &old.places.seats;
        let ended =
            swaps.iter().any(|process| seats.get(*process).is_some_and(|it| it.at() == At::Gone));
        let done = if rewired || ended {
            self.rebuild(&old, next, &swaps, within).await?
        } else {
            self.swap(&old, next, &swaps, within).await
        };
        self.node.set_status(Status::Running);
        let rolled_back = done.err();
        Ok(Reloaded { changes, done: rolled_back.is_none(), rolled_back })
    }

    /// Swaps what processes do, one after the other, while the others work.
    async fn swap(
        &mut self,
        old: &Arc<Generation>,
        next: Generation,
        swaps: &[usize],
        within: Duration,
    ) -> Result<(), String> {
        let mut swapped = Vec::new();
        let mut problem = None;
        for &process in swaps {
            match self.swap_one(old, process, &next.plan, within).await {
                Ok(begun) => swapped.push((process, begun)),
                Err(why) => {
                    problem = Some(why);
                    break;
                }
            }
        }
        if problem.is_none() {
            problem = self.settled(old, &of(&next.plan, &swapped, false), within).await.err();
        }
        if problem.is_none() {
            swapped.iter().for_each(|(process, _)| old.places.seats[*process].order(Order::Go));
            problem = self.settled(old, &of(&next.plan, &swapped, true), within).await.err();
        }
        let Some(problem) = problem else {
            *lock(&self.node.inner.now) = Arc::new(next);
            return Ok(());
        };
        for (process, _) in swapped {
            *lock(&old.places.doers[process]) = old.plan.bodies[process].clone();
            let seat = &old.places.seats[process];
            // Not waited for: the way may be blocked, which was the problem perhaps.
            seat.renew(old.plan.sources[process]);
        }
        Err(problem)
    }

    /// How often the process had begun before it was another.
    async fn swap_one(
        &self,
        now: &Generation,
        process: usize,
        plan: &Plan,
        within: Duration,
    ) -> Result<u64, String> {
        let seat = &now.places.seats[process];
        let left = let_go(&self.node, seat, now.plan.sources[process], within).await;
        // Read while it stands still: it begins again at once.
        let left = left.map(|()| starts(seat));
        if left.is_ok() {
            *lock(&now.places.doers[process]) = plan.bodies[process].clone();
        }
        seat.unstop();
        seat.order(if left.is_ok() { Order::Pause } else { Order::Go });
        left
    }

    /// Looks for a while whether those who are new fail: processes, with how often each had begun before.
    async fn settled(
        &self,
        now: &Generation,
        changed: &[(usize, u64)],
        within: Duration,
    ) -> Result<(), String> {
        if changed.is_empty() {
            return Ok(());
        }
        // Who is slow to begin is waited for, though not for ever: it may be told to end meanwhile.
        let begun = async {
            for (process, before) in changed {
                while starts(&now.places.seats[*process]) == *before {
                    rt::sleep(SETTLE / 10).await;
                }
            }
        };
        let late = after(within);
        select! { biased;
            () = select::future(begun) => {}
            _ = late => {}
        }
        rt::sleep(SETTLE).await;
        for (process, before) in changed {
            let seat = &now.places.seats[*process];
            let begun = starts(seat) - before;
            if begun > 1 || (begun == 1 && seat.at() == At::Door) {
                let trouble = self.node.inner.shared.last_trouble(&seat.name);
                let why = trouble.map_or("it did not say why".to_owned(), |(why, _)| why);
                return Err(format!(
                    "process `{}` fails with what the new file says: {why}",
                    seat.name
                ));
            }
        }
        Ok(())
    }

    /// Lets all go, and builds a network around the channels that stay.
    async fn rebuild(
        &mut self,
        old: &Arc<Generation>,
        mut next: Generation,
        swaps: &[usize],
        within: Duration,
    ) -> Result<Result<(), String>, BoxError> {
        // What does not fit is found before anybody is disturbed.
        let (trial, _) =
            assemble(&next.file, &next.plan, &self.node.inner.shared, &mut IndexMap::new(), &[]);
        if let Err(problem) = trial.check() {
            return Ok(Err(problem.to_string()));
        }
        if let Err(why) = self.all_let_go(old, &next.file, within).await {
            self.all_go_on(old);
            return Ok(Err(why));
        }
        let finished = finished(old);
        let again = downstream(&next, swaps);
        finish(&mut next, finished.difference(&again));
        let before: Vec<(usize, u64)> =
            next.file.processes.iter().map(|it| old.begun(&it.name.text)).enumerate().collect();
        self.hand_over(old, next).await?;
        let now = self.node.now();
        let mut settled = self.settled(&now, &of(&now.plan, &before, false), within).await;
        if settled.is_ok() {
            self.all_go_on(&now);
            settled = self.settled(&now, &of(&now.plan, &before, true), within).await;
        }
        if let Err(why) = settled {
            let mut back = Generation {
                number: now.number + 1,
                file: old.file.clone(),
                plan: old.plan.clone(),
                places: now.places.clone(),
            };
            finish(&mut back, &finished);
            return Ok(match self.all_let_go(&now, &back.file, within).await {
                Ok(()) => {
                    self.hand_over(&now, back).await?;
                    self.all_go_on(&self.node.now());
                    Err(why)
                }
                Err(stuck) => {
                    self.all_go_on(&now);
                    Err(format!(
                        "{why}; and the way back is closed, so the new file stays: {stuck}"
                    ))
                }
            });
        }
        Ok(Ok(()))
    }

    /// Tells all to let go, sources first; and looks whether nothing would be lost by going over to `file`.
    async fn all_let_go(
        &self,
        old: &Generation,
        file: &NetworkFile,
        within: Duration,
    ) -> Result<(), String> {
        for process in sources_first(old) {
            let seat = &old.places.seats[process];
            let_go(&self.node, seat, old.plan.sources[process], within).await?;
        }
        let state = self.node.state();
        for (channel, line) in state.channels.iter().zip(&old.places.lines) {
            let (name, length) = (&channel.name, channel.length);
            let all = length + line.put_in();
            if all == 0 {
                continue;
            }
            match file.channel(name) {
                None => {
                    return Err(format!(
                        "channel `{name}` has {all} messages that nobody would receive: let them be received first"
                    ));
                }
                Some(kept) if kept.capacity < length => {
                    return Err(format!(
                        "channel `{name}` has {length} messages, and only {} places in the new file: let them be received first",
                        kept.capacity
                    ));
                }
                Some(kept)
                    if kept.kind.as_ref().map(|kind| &kind.text) != channel.kind.as_ref() =>
                {
                    return Err(format!(
                        "channel `{name}` has {all} messages of its old type: let them be received first"
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn all_go_on(&self, now: &Generation) {
        for seat in &now.places.seats {
            seat.unstop();
            seat.order(Order::Go);
        }
    }

    /// Ends the network, whose processes have all let go, and starts the next around its channels. Its processes begin, and take
    /// nothing yet.
    async fn hand_over(&mut self, old: &Generation, mut next: Generation) -> Result<(), BoxError> {
        old.places.seats.iter().for_each(|seat| seat.order(Order::HandOver));
        self.running.join().await?;
        let mut left = Left::default();
        for seat in &old.places.seats {
            if let Some(ports) = seat.take_handed() {
                left.take(ports);
            }
            seat.unstop();
            seat.reached(At::Door);
        }
        let mut adopted = left.channels(&next.file);
        let shared = &self.node.inner.shared;
        let (network, places) =
            assemble(&next.file, &next.plan, shared, &mut adopted, &old.places.seats);
        places.seats.iter().for_each(|seat| seat.order(Order::Pause));
        next.places = Arc::new(places);
        // It was tried before anybody let go.
        self.running = network.start(&self.ctx)?;
        *lock(&self.node.inner.now) = Arc::new(next);
        Ok(())
    }
}

impl Generation {
    /// How often a process of the name has begun; 0 if there is none.
    fn begun(&self, process: &str) -> u64 {
        self.places.seats.iter().find(|seat| seat.name == process).map_or(0, |seat| starts(seat))
    }
}

/// Those of the processes that are sources, or are none.
fn of(plan: &Plan, changed: &[(usize, u64)], sources: bool) -> Vec<(usize, u64)> {
    changed.iter().copied().filter(|(process, _)| plan.sources[*process] == sources).collect()
}

fn starts(seat: &Seat) -> u64 {
    seat.starts.load(std::sync::atomic::Ordering::Relaxed)
}

/// Lets a process finish what it has taken.
pub(super) async fn let_go(
    node: &Node,
    seat: &Seat,
    is_source: bool,
    within: Duration,
) -> Result<(), String> {
    // The order first: a source whose context ends before it is told to leave would go for good.
    seat.order(Order::Leave);
    if is_source {
        seat.stop();
    }
    let late = after(within);
    select! { biased;
        () = select::future(seat.wait_left()) => return Ok(()),
        _ = late => {}
    }
    let why = look::why(node, &seat.name).words.join("; ");
    Err(format!("process `{}` did not finish what it has within {within:?}: {why}", seat.name))
}

/// Processes that have done all they had to.
fn finished(now: &Generation) -> BTreeSet<String> {
    let gone = now.places.seats.iter().filter(|seat| seat.at() == At::Gone);
    gone.map(|seat| seat.name.clone()).collect()
}

/// Lets those not begin again that had finished.
fn finish<'a>(next: &mut Generation, finished: impl IntoIterator<Item = &'a String>) {
    let finished: BTreeSet<&String> = finished.into_iter().collect();
    for (process, doer) in next.file.processes.iter().zip(&mut next.plan.bodies) {
        if finished.contains(&process.name.text) {
            *doer = Doer(Arc::new(|_, _| Box::pin(async { Ok(()) })));
        }
    }
}

/// Some processes and all whom their messages may reach: if the first have something to do again, so have they.
fn downstream(now: &Generation, from: &[usize]) -> BTreeSet<String> {
    let feeds = feeds(&now.plan.graph);
    let (mut open, mut found) = (from.to_vec(), BTreeSet::new());
    while let Some(process) = open.pop() {
        if found.insert(now.file.processes[process].name.text.clone()) {
            open.extend(&feeds[process]);
        }
    }
    found
}

/// For each process those that receive what it sends, once for each channel between them.
fn feeds(graph: &Graph) -> Vec<Vec<usize>> {
    let mut feeds = vec![Vec::new(); graph.processes.len()];
    for channel in 0..graph.channels.len() {
        for from in graph.holders(channel, Direction::Out) {
            feeds[from].extend(graph.holders(channel, Direction::In).filter(|to| *to != from));
        }
    }
    feeds
}

/// The order in which each process can still get rid of what it has: who sends before who receives. In a circle the file's order.
pub(super) fn sources_first(now: &Generation) -> Vec<usize> {
    let feeds = feeds(&now.plan.graph);
    let mut fed_by = vec![0_usize; feeds.len()];
    feeds.iter().flatten().for_each(|to| fed_by[*to] += 1);
    let mut order = Vec::new();
    let mut open: Vec<usize> = (0..feeds.len()).collect();
    while !open.is_empty() {
        let free = open.iter().position(|process| fed_by[*process] == 0);
        let source = || open.iter().position(|process| now.plan.sources[*process]);
        let process = open.remove(free.or_else(source).unwrap_or(0));
        for to in &feeds[process] {
            fed_by[*to] = fed_by[*to].saturating_sub(1);
        }
        order.push(process);
    }
    order
}

/// What processes have left behind.
#[derive(Default)]
struct Left {
    txs: IndexMap<String, towpath::Sender<Message>>,
    rxs: IndexMap<String, (towpath::Receiver<Message>, Arc<Line>)>,
}

impl Left {
    fn take(&mut self, mut ports: Ports) {
        for input in ports.inputs.values_mut() {
            let (receivers, lines) = input.take();
            for (receiver, line) in receivers.into_iter().zip(lines) {
                self.rxs.insert(line.name.clone(), (receiver, line));
            }
        }
        for output in ports.outputs.ports.values() {
            for outlet in &output.channels {
                self.txs.insert(outlet.line.name.clone(), outlet.tx.clone());
            }
        }
    }

    /// The channels that the next file has too, with what is in them.
    fn channels(mut self, file: &NetworkFile) -> IndexMap<String, Ends> {
        let mut ends = IndexMap::new();
        for channel in &file.channels {
            let name = &channel.name.text;
            let Some((mut rx, line)) = self.rxs.swap_remove(name) else { continue };
            let tx = self.txs.swap_remove(name);
            let same_line = (line.full, line.trace) == (channel.full, channel.trace);
            let line = if same_line {
                line
            } else {
                Arc::new(line.successor(channel.full, channel.trace))
            };
            let same = rx.capacity() == Some(channel.capacity);
            let (tx, rx) = match tx {
                Some(tx) if same => (tx, rx),
                _ => {
                    let (tx, fresh) = bounded(channel.capacity);
                    while let Ok(message) = rx.try_recv() {
                        // It was looked at before: there is room, and both ends are here.
                        let sent = tx.try_send(message);
                        debug_assert!(sent.is_ok(), "a message was left behind");
                    }
                    (tx, fresh)
                }
            };
            ends.insert(name.clone(), Ends { tx, rx, line });
        }
        ends
    }
}
