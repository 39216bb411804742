//! A port is lent: it cannot be moved out of the process.

use towpath::{Receiver, network::Network};

fn main() {
    let mut net = Network::new("net");
    let (_tx, numbers) = net.input::<u32>("numbers", 4);
    net.process("reader", (numbers,), async |_, (numbers,)| {
        let stolen: Receiver<u32> = *numbers;
        drop(stolen);
    });
}
