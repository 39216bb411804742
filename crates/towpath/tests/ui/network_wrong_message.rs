//! A process cannot be connected to a channel of another message.

use towpath::{Ctx, Receiver, network::Network};

async fn reader(_: Ctx, words: &mut Receiver<String>) {
    words.recv().await;
}

fn main() {
    let mut net = Network::new("net");
    let (_tx, numbers) = net.input::<u32>("numbers", 4);
    net.process("reader", numbers, reader);
}
