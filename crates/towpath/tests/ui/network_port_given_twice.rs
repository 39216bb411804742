//! Only one process receives from a channel, unless sharing is said aloud.

use towpath::network::Network;

fn main() {
    let mut net = Network::new("net");
    let (_tx, numbers) = net.input::<u32>("numbers", 4);
    net.process("one", numbers, async |_, _| {});
    net.process("two", numbers, async |_, _| {});
}
