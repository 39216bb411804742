//! `into_shared` takes the receiver.

fn main() {
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    let _shared = rx.into_shared();
    rx.recv_blocking();
}
