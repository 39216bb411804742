//! A body that is not a block ends with a comma.

fn main() {
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    towpath::select_blocking! {
        value = rx.recv() => drop(value)
        _ = towpath::never() => {}
    }
}
