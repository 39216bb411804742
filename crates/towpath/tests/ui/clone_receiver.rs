//! A receiver has one owner.

fn main() {
    let (_tx, rx) = towpath::bounded::<u32>(4);
    let _second = rx.clone();
}
