//! A process that receives cannot be given the sending side.

use towpath::{Ctx, Receiver, network::Network};

async fn reader(_: Ctx, numbers: &mut Receiver<u32>) {
    numbers.recv().await;
}

fn main() {
    let mut net = Network::new("net");
    let (out, _rx) = net.output::<u32>("numbers", 4);
    net.process("reader", out, reader);
}
