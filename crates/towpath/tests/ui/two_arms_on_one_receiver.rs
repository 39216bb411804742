//! Nor two arms of one select on one receiver.

fn main() {
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    towpath::select_blocking! {
        a = rx.recv() => drop(a),
        b = rx.recv() => drop(b),
    }
}
