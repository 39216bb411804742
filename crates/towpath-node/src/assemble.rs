//! From a file that was checked to a network that can run.

use std::sync::{Arc, atomic::AtomicU64};

use indexmap::IndexMap;
use towpath::{
    Network,
    network::{Direction, In, Out, Wiring},
    supervisor::{OnExit, Strategy, Supervisor},
};
use towpath_patterns::yaml::{LoadError, Problem};

use crate::{
    check::{Checked, check},
    component::Registry,
    file::{Full, NetworkFile},
    ports::{Input, Message, Outlet, Output, Ports},
};

/// A network that has been put together and not been started.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assembled {
    /// The network. Each of its processes is started again when it fails, as a supervisor of its own says.
    pub network: Network,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
    /// For each channel of the file, how many messages have found no room; only those that [drop](Full::Drop) lose any.
    pub dropped: Vec<Arc<AtomicU64>>,
}

/// Puts a network together.
///
/// # Errors
/// What [`check`] finds, and what is wrong with the options of a process.
pub fn assemble(file: &NetworkFile, registry: &Registry) -> Result<Assembled, LoadError> {
    let Checked { wires, warnings, .. } = check(file, registry)?;
    let mut problems = Vec::new();
    let mut network = Network::new(file.name.text.clone());
    let mut channels = Vec::new();
    let mut dropped = Vec::new();
    for channel in &file.channels {
        let (out, into) = network.channel::<Message>(channel.name.text.clone(), channel.capacity);
        channels.push((out, Some(into), channel.full));
        dropped.push(Arc::<AtomicU64>::default());
    }
    for (process, wires) in file.processes.iter().zip(wires) {
        // The check has found all of them.
        let Some(component) = registry.get(&process.uses.text) else { continue };
        let body = match component.body(&process.options) {
            Ok(body) => body,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let mut tokens = Tokens::default();
        for wire in wires {
            let (out, into, full) = &mut channels[wire.channel];
            match wire.direction {
                Direction::In => tokens.inputs.extend(into.take().map(|into| (wire.port, into))),
                Direction::Out => {
                    let dropped = dropped[wire.channel].clone();
                    tokens.outputs.push((wire.port, out.clone(), *full, dropped));
                }
            }
        }
        let name = &process.name.text;
        let supervisor = Supervisor::new(name.clone(), Strategy::OneForOne);
        network.supervised(supervisor, |group| {
            group.child(name.clone(), OnExit::RestartOnFailure, tokens, async move |ctx, ports| {
                body(ctx, ports).await
            });
        });
    }
    if problems.is_empty() {
        Ok(Assembled { network, warnings, dropped })
    } else {
        Err(LoadError::new(&file.path, &file.text, problems))
    }
}

/// The ports of a process, as they are declared.
#[derive(Default)]
struct Tokens {
    inputs: Vec<(String, In<Message>)>,
    outputs: Vec<(String, Out<Message>, Full, Arc<AtomicU64>)>,
}

impl towpath::network::Ports for Tokens {
    type Lent = Ports;

    fn connect(self, wiring: &mut Wiring<'_>) -> Ports {
        let mut inputs: IndexMap<String, Input> = IndexMap::new();
        for (port, token) in self.inputs {
            inputs.entry(port).or_default().channels.push(token.connect(wiring));
        }
        let mut outputs: IndexMap<String, Output> = IndexMap::new();
        for (port, token, full, dropped) in self.outputs {
            let outlet = Outlet { tx: token.connect(wiring), full, dropped };
            outputs.entry(port).or_default().channels.push(outlet);
        }
        Ports { inputs, outputs }
    }
}
