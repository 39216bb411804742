//! What a process holds while it waits crosses threads.

use std::rc::Rc;

use towpath::{Ctx, Receiver, network::Network};

async fn reader(_: Ctx, numbers: &mut Receiver<u32>) {
    let count = Rc::new(0);
    numbers.recv().await;
    drop(count);
}

fn main() {
    let mut net = Network::new("net");
    let (_tx, numbers) = net.input::<u32>("numbers", 4);
    net.process("reader", numbers, reader);
}
