//! A message that stays on its thread keeps its channel there.

use std::rc::Rc;

fn main() {
    let (tx, _rx) = towpath::bounded::<Rc<u32>>(4);
    std::thread::spawn(move || assert!(tx.send_blocking(Rc::new(1)).is_ok()));
}
