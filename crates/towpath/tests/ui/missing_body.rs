//! Every arm has a body.

fn main() {
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    towpath::select_blocking! {
        value = rx.recv(),
    }
}
