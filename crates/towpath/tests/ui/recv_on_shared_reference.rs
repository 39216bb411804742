//! Receiving needs the receiver for itself.

fn next(rx: &towpath::Receiver<u32>) -> Option<u32> {
    rx.recv_blocking()
}

fn main() {
    let (_tx, rx) = towpath::bounded(4);
    next(&rx);
}
