//! A pattern must always match.

fn main() {
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    towpath::select_blocking! {
        Some(value) = rx.recv() => drop(value),
    }
}
