//! A permit is for one message.

fn main() {
    let (tx, _rx) = towpath::bounded::<u32>(4);
    let permit = tx.try_reserve().unwrap();
    permit.send(1);
    permit.send(2);
}
