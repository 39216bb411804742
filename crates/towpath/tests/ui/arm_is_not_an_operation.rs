//! Not everything is an arm.

fn main() {
    let (_tx, mut rx) = towpath::bounded::<u32>(4);
    towpath::block_on(async {
        towpath::select! {
            value = rx.recv() => drop(value),
            _ = async { 5 } => {}
        }
    });
}
