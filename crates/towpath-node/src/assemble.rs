//! From a file that was checked to a network that can run.

use std::{
    error::Error,
    path::Path,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use indexmap::IndexMap;
use towpath::{
    BoxError, Ctx, Network, after,
    network::{Direction, Graph, In, Out, Wiring},
    rt, select,
    supervisor::{Backoff, Intensity, OnExit, Strategy, Supervisor},
};
use towpath_patterns::yaml::{LoadError, Problem};

use crate::{
    check::{Checked, Wire, check},
    component::{Body, Registry},
    file::{NetworkFile, Process, Trace},
    home::{Home, Shared, Site},
    line::Line,
    ports::{Input, Message, Outlet, Output, Ports},
    seat::{At, Order, Seat},
};

/// What is still taken for bad luck: a process that panics more often than this ends its network. One that fails with an error begins
/// again and again, see [`BACKOFF`]: what it needs may come back.
const LUCK: Intensity = Intensity::new(10, Duration::from_secs(60));

/// Before a process that has failed begins again: it waits twice as long each time it fails in a row.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));

/// Who has worked for so long and then fails is not failing in a row.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the name of a supervisor begins with, before that of its process.
pub(crate) const KEEPER: &str = "supervisor of ";

/// A file with everything in it that runs: checked, and each process with what it does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) graph: Graph,
    pub(crate) wires: Vec<Vec<Wire>>,
    pub(crate) sources: Vec<bool>,
    pub(crate) bodies: Vec<Doer>,
    pub(crate) warnings: Vec<Problem>,
}

/// What a process does.
#[derive(Clone)]
pub(crate) struct Doer(pub(crate) Body);

impl std::fmt::Debug for Doer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Doer")
    }
}

/// Checks a file, and makes what its processes do.
///
/// # Errors
/// What [`check`] finds, and what is wrong with the options of a process.
pub(crate) fn plan(file: &NetworkFile, registry: &Registry) -> Result<Plan, LoadError> {
    let Checked { graph, wires, sources, warnings } = check(file, registry)?;
    let mut problems = Vec::new();
    let mut bodies = Vec::new();
    for (process, wires) in file.processes.iter().zip(&wires) {
        // The check has found all of them.
        let Some(component) = registry.get(&process.uses.text) else { continue };
        match component.body(&process.options, &site(file, process, wires)) {
            Ok(body) => bodies.push(Doer(body)),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(Plan { graph, wires, sources, bodies, warnings })
    } else {
        Err(LoadError::new(&file.path, &file.text, problems))
    }
}

/// What a process's options may refer to.
pub(crate) fn site(file: &NetworkFile, process: &Process, wires: &[Wire]) -> Site {
    let base = Path::new(&file.path).parent().unwrap_or(Path::new("")).to_owned();
    let mut schemas = IndexMap::new();
    for wire in wires {
        let kind = file.channels[wire.channel].kind.as_ref();
        let declared = kind.and_then(|kind| file.kind(&kind.text));
        schemas.extend(declared.map(|schema| (wire.port.clone(), schema)));
    }
    Site { base, process: process.name.text.clone(), schemas }
}

/// What stays while its network runs: the places of processes and channels.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) lines: Vec<Arc<Line>>,
    pub(crate) seats: Vec<Arc<Seat>>,
    /// For each process what it does when it begins the next time.
    pub(crate) doers: Vec<Arc<Mutex<Doer>>>,
}

/// The two ends of a channel that is there already, with what is in it.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) tx: towpath::Sender<Message>,
    pub(crate) rx: towpath::Receiver<Message>,
    pub(crate) line: Arc<Line>,
}

/// Puts a network together; `adopted` are channels of an earlier one that go on in this, `seats` the places of its processes.
pub(crate) fn assemble(
    file: &NetworkFile,
    plan: &Plan,
    shared: &Arc<Shared>,
    adopted: &mut IndexMap<String, Ends>,
    seats: &[Arc<Seat>],
) -> (Network, Places) {
    let mut network = Network::new(file.name.text.clone());
    let mut channels = Vec::new();
    let mut places = Places { lines: Vec::new(), seats: Vec::new(), doers: Vec::new() };
    for channel in &file.channels {
        let name = &channel.name.text;
        let (line, (out, into)) = match adopted.swap_remove(name) {
            Some(Ends { tx, rx, line }) => {
                (line, network.adopt(name.clone(), channel.capacity, tx, rx))
            }
            None => {
                let line = Arc::new(Line::new(name, channel.full, channel.trace));
                (line, network.channel::<Message>(name.clone(), channel.capacity))
            }
        };
        places.lines.push(line);
        channels.push((out, Some(into)));
    }
    for (index, process) in file.processes.iter().enumerate() {
        let name = &process.name.text;
        let seat = seats.iter().find(|seat| seat.name == *name).cloned();
        let seat = seat.unwrap_or_else(|| Arc::new(Seat::new(name, shared.tracer())));
        let home = Home { shared: shared.clone(), seat: seat.clone() };
        let is_source = plan.sources[index];
        let mut tokens = Tokens { home, is_source, inputs: Vec::new(), outputs: Vec::new() };
        for wire in &plan.wires[index] {
            let (out, into) = &mut channels[wire.channel];
            let line = places.lines[wire.channel].clone();
            match wire.direction {
                Direction::In => {
                    let into = into.take().map(|into| (wire.port.clone(), into, line));
                    tokens.inputs.extend(into);
                }
                Direction::Out => tokens.outputs.push((wire.port.clone(), out.clone(), line)),
            }
        }
        let doer = Arc::new(Mutex::new(plan.bodies[index].clone()));
        places.seats.push(seat.clone());
        places.doers.push(doer.clone());
        let run = Run { seat, doer, shared: shared.clone(), is_source };
        let supervisor =
            Supervisor::new(format!("{KEEPER}{name}"), Strategy::OneForOne).with_intensity(LUCK);
        network.supervised(supervisor, |group| {
            group.child(name.clone(), OnExit::RestartOnFailure, tokens, async move |ctx, ports| {
                run.work(ctx, ports).await
            });
        });
    }
    (network, places)
}

/// A process, from order to order.
#[derive(Clone)]
struct Run {
    seat: Arc<Seat>,
    doer: Arc<Mutex<Doer>>,
    shared: Arc<Shared>,
    is_source: bool,
}

impl Run {
    async fn work(self, ctx: Ctx, ports: &mut Ports) -> Result<(), BoxError> {
        let mut failures = 0;
        loop {
            if self.is_source {
                // What a source makes before it may send it would be in its hands, and in the way of a change.
                self.seat.while_paused().await;
            }
            let leaving = Leaving { run: &self, at: At::Door };
            let doer = self.doer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let inner = self.seat.enter(&ctx, self.is_source);
            let began = rt::now();
            let result = doer.0(inner, ports).await;
            let cut = self.seat.was_cut();
            match result {
                Ok(()) if cut => leaving.done(At::Left),
                Ok(()) => {
                    leaving.done(At::Gone);
                    return Ok(());
                }
                // A source that was told to end says so in its own way.
                Err(_) if cut && self.is_source => leaving.done(At::Left),
                Err(error) => {
                    self.seat.failures.fetch_add(1, Ordering::Relaxed);
                    let text = whole(&*error);
                    self.seat.spans.fail_all(&text);
                    self.shared.trouble(&self.seat.name, text, true);
                    leaving.done(At::Door);
                    let lasted = rt::now().saturating_duration_since(began);
                    failures = if lasted > PATIENCE { 0 } else { failures + 1 };
                    self.rest(&ctx, BACKOFF.delay(failures, rt::random())).await;
                }
            }
            // Who rests lets go at once.
            self.seat.reached_if_told(At::Left);
            let mut version = self.seat.version();
            while version.order() == Order::Leave {
                if self.seat.renews() {
                    self.seat.unstop();
                    self.seat.order(Order::Go);
                } else {
                    self.seat.changed(version).await;
                }
                version = self.seat.version();
            }
            if version.order() == Order::HandOver {
                let home = ports.home().clone();
                self.seat.hand_over(std::mem::replace(ports, Ports::new(home)));
            } else if !self.seat.is_stopped() && !ctx.is_done() {
                continue;
            }
            self.seat.reached(At::Gone);
            return Ok(());
        }
    }

    /// Waits before it begins again, unless it is told something.
    async fn rest(&self, ctx: &Ctx, delay: Duration) {
        let version = self.seat.version();
        if matches!(version.order(), Order::Leave | Order::HandOver) {
            return;
        }
        let time = async {
            select! { biased;
                _ = ctx.done() => {}
                _ = after(delay) => {}
            }
        };
        self.seat.unless_changed(version, time).await;
    }
}

/// Says where a body is when it is over, also if it was dropped or has panicked.
struct Leaving<'a> {
    run: &'a Run,
    at: At,
}

impl Leaving<'_> {
    fn done(mut self, at: At) {
        self.at = at;
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let Run { seat, shared, .. } = self.run;
        if std::thread::panicking() {
            let text = "it has panicked; the message is on the standard error".to_owned();
            shared.trouble(&seat.name, text, true);
        }
        seat.reached(self.at);
    }
}

/// The ports of a process, as they are declared.
struct Tokens {
    home: Home,
    is_source: bool,
    inputs: Vec<(String, In<Message>, Arc<Line>)>,
    outputs: Vec<(String, Out<Message>, Arc<Line>)>,
}

impl towpath::network::Ports for Tokens {
    type Lent = Ports;

    fn connect(self, wiring: &mut Wiring<'_>) -> Ports {
        let mut ports = Ports::new(self.home.clone());
        let is_traced = self.inputs.iter().any(|(_, _, line)| line.trace != Trace::Off);
        ports.outputs.begins = self.is_source || !is_traced;
        for (port, token, line) in self.inputs {
            let seat = &self.home.seat;
            let input = ports.inputs.entry(port).or_insert_with(|| Input::new(seat.clone()));
            input.add(token.connect(wiring), line);
        }
        for (port, token, line) in self.outputs {
            let output: &mut Output = ports.outputs.ports.entry(port).or_default();
            output.channels.push(Outlet::new(token.connect(wiring), line));
        }
        ports
    }
}

/// An error with what it comes of, as far as it does not say so itself.
fn whole(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}
