//! `default` comes last.

fn main() {
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    towpath::select_blocking! {
        default => {}
        value = rx.recv() => drop(value),
    }
}
