//! A process is given tokens, not the ends of a channel.

use towpath::network::Network;

fn main() {
    let mut net = Network::new("net");
    let (tx, _rx) = towpath::bounded::<u32>(4);
    net.process("writer", tx, async |_, _| {});
}
