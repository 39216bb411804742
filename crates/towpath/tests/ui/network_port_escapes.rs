//! A port is lent for one run: no process that may live longer can borrow it.

use towpath::{Ctx, Receiver, network::Network, rt};

async fn reader(_: Ctx, numbers: &mut Receiver<u32>) {
    drop(rt::spawn(async move { numbers.recv().await }));
}

fn main() {
    let mut net = Network::new("net");
    let (_tx, numbers) = net.input::<u32>("numbers", 4);
    net.process("reader", numbers, reader);
}
