//! One receive at a time.

async fn both(mut rx: towpath::Receiver<u32>) {
    let first = rx.recv();
    let second = rx.recv();
    first.await;
    second.await;
}

fn main() {
    let (_tx, rx) = towpath::bounded(4);
    towpath::block_on(both(rx));
}
