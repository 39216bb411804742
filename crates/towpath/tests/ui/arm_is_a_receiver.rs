//! An arm is an operation, not the end it works on.

fn main() {
    let (_tx, rx) = towpath::bounded::<u32>(4);
    towpath::select_blocking! {
        value = rx => drop(value),
    }
}
