//! Who stands in for processes that do not run in a test: it sends what the test says, and takes what it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use serde_json::Value;
use towpath::{BoxError, Ctx, Receiver, Sender, Traced, bounded, network::Direction, select};

use crate::{
    Node,
    assemble::{Doer, Plan},
    component::Registry,
    file::NetworkFile,
    ports::Ports,
};

/// What a stand-in has to send next; the test waits until it has.
const ORDERS: usize = 1;

/// A port, and what is to be sent there.
type Order = (String, Value);

/// The ways to those who stand in.
#[derive(Default)]
pub(super) struct StandIns {
    /// For each channel, who sends there and by which port.
    channels: IndexMap<String, (Sender<Order>, String)>,
}

impl StandIns {
    /// Takes the places of processes that do not run in a test.
    pub(super) fn put(&mut self, file: &NetworkFile, registry: &Registry, plan: &mut Plan) {
        for (index, process) in file.processes.iter().enumerate() {
            let component = registry.get(&process.uses.text);
            if !component.is_some_and(|it| it.is_outside() || it.inputs().is_empty()) {
                continue;
            }
            let (tx, rx) = bounded(ORDERS);
            let mut inputs = Vec::new();
            for wire in &plan.wires[index] {
                match wire.direction {
                    Direction::In => inputs.push(wire.port.clone()),
                    Direction::Out => {
                        let channel = file.channels[wire.channel].name.text.clone();
                        self.channels.entry(channel).or_insert((tx.clone(), wire.port.clone()));
                    }
                }
            }
            inputs.dedup();
            // It is begun once: nothing in it fails.
            let orders = Arc::new(Mutex::new(Some(rx)));
            plan.bodies[index] = Doer(Arc::new(move |_: Ctx, ports| {
                let orders = orders.lock().unwrap_or_else(PoisonError::into_inner).take();
                let inputs = inputs.clone();
                Box::pin(async move { stand_in(orders, &inputs, ports).await })
            }));
        }
    }

    /// Sends in place of a process; to a channel that only processes send to which run, past those.
    pub(super) async fn send(
        &self,
        node: &Node,
        channel: &str,
        message: Value,
    ) -> Result<(), BoxError> {
        match self.channels.get(channel) {
            Some((tx, port)) => Ok(tx
                .send((port.clone(), message))
                .await
                .map_err(|_| format!("who stands in for the sender to `{channel}` has ended"))?),
            None => Ok(node.inject(channel, message)?),
        }
    }
}

async fn stand_in(
    orders: Option<Receiver<Order>>,
    inputs: &[String],
    ports: &mut Ports,
) -> Result<(), BoxError> {
    let Some(mut orders) = orders else { return Ok(()) };
    // One input of all that it has, as nothing is done with what comes.
    let mut all = crate::ports::Input::new(ports.home().seat.clone());
    for port in inputs {
        all.take_from(ports.input(port));
    }
    let mut open = (true, !inputs.is_empty());
    while open.0 || open.1 {
        select! {
            order = orders.recv(), if open.0 => match order {
                Some((port, message)) => {
                    // Whoever received may have gone, at the end of a test or before: what is expected tells.
                    let _ = ports.send(&port, Traced::from(message)).await;
                }
                None => {
                    open.0 = false;
                    // What it sent to sees that no more will come.
                    ports.outputs.ports.clear();
                }
            },
            message = select::future(all.recv()), if open.1 => open.1 = message.is_some(),
        }
    }
    Ok(())
}
