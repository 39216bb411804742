//! What the chapter on model checking a network shows.

use towpath::{
    BoxError, Receiver, Sender,
    network::{Behaviour, Network},
};

/// Questions that wait for an answer.
const DESK: usize = 1;

// ANCHOR: network
/// Passes on what comes in.
async fn pass(ports: &mut (Receiver<u32>, Sender<u32>)) {
    while let Some(paper) = ports.0.recv().await {
        if ports.1.send(paper).await.is_err() {
            return;
        }
    }
}

fn office() -> Network {
    let mut net = Network::new("office");
    let (to_clerk, clerk_in) = net.channel("questions", DESK);
    let (to_registry, registry_in) = net.channel("files", DESK);
    net.process("registry", (registry_in, to_clerk), async |_, ports| pass(ports).await);
    net.process("clerk", (clerk_in, to_registry), async |_, ports| pass(ports).await);
    net
}
// ANCHOR_END: network

fn main() -> Result<(), BoxError> {
    // ANCHOR: export
    let net = office();
    net.check()?;
    let model = net.graph().to_promela_with(|process| match process.name.as_str() {
        "registry" | "clerk" => Behaviour::Strict, // receives one paper, then sends one
        _ => Behaviour::Free,                      // anything its ports allow
    });
    // ANCHOR_END: export
    print!("{model}");
    Ok(())
}
