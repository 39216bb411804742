//! A message that stays on its thread keeps its channel there.

use std::rc::Rc;

fn main() {
    let (_tx, mut rx) = towpath::bounded::<Rc<u32>>(4);
    towpath::rt::spawn(async move {
        assert!(rx.recv().await.is_some());
    });
}
